//! The architecture that Keras writes: the JSON of `model.to_json()` in, an input shape and layers out.
//!
//! Keras 2 (`tf.keras`) and Keras 3; Sequential models, and functional ones whose layers form a chain. A setting either
//! has its effect here or is refused with its layer and name: one that were passed over would train another network
//! than the file describes.

mod layer;
mod model;

use std::path::{Path, PathBuf};

use crate::files::{self, FileError};
use model::KerasModel;

/// Why a file is not an architecture that can be trained here.
#[derive(Debug, thiserror::Error)]
pub(super) enum KerasError {
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error(transparent)]
    File(#[from] FileError),
    #[error("`{}` is {what}, not the JSON of `model.to_json()`", path.display())]
    Format { path: PathBuf, what: &'static str },
    #[error("`{}` is not JSON: {source}", path.display())]
    Json {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("`{}`: {source}", path.display())]
    Model {
        path: PathBuf,
        source: Box<model::ModelError>,
    },
}

impl KerasError {
    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Format { .. } | Self::Json { .. } => Some(
                "in Python: `open(\"model.json\", \"w\").write(model.to_json())`, then write `keras = \"model.json\"`"
                    .to_owned(),
            ),
            Self::Model { source, .. } => source.hint(),
            Self::Read { .. } | Self::File(_) => None,
        }
    }
}

/// Reads the file at `path`.
pub(super) fn read(path: &Path) -> Result<KerasModel, KerasError> {
    let bytes = files::read(path).map_err(|error| match error {
        FileError::Read { path, source } => KerasError::Read { path, source },
        other => KerasError::File(other),
    })?;
    if let Some(what) = other_format(&bytes) {
        let path = path.to_owned();
        return Err(KerasError::Format { path, what });
    }
    // Windows editors begin UTF-8 files with a byte order mark, which JSON does not know.
    let text = bytes
        .strip_prefix(b"\xef\xbb\xbf")
        .unwrap_or(bytes.as_slice());
    let value = serde_json::from_slice(text).map_err(|source| KerasError::Json {
        path: path.to_owned(),
        source,
    })?;
    model::read(&value).map_err(|source| KerasError::Model {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// What the file is, where its first bytes say that it is not JSON.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 6] = [
        (
            b"PK\x03\x04",
            "a Keras archive (`.keras`, as `model.save` writes it)",
        ),
        (
            b"\x89HDF",
            "an HDF5 file (`.h5`, as `model.save` and `model.save_weights` write it)",
        ),
        (b"\xff\xfe", "text in UTF-16"),
        (b"\xfe\xff", "text in UTF-16"),
        (b"\x1f\x8b", "compressed by gzip"),
        (b"\x08\x01\x12", "a SavedModel (`saved_model.pb`)"),
    ];
    KNOWN
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic))
        .map(|(_, what)| *what)
}

#[cfg(test)]
mod tests;
