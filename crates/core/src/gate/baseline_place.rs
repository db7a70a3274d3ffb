//! Where a baseline lies, as an option or the configuration names it: a file, or a published image that has its evaluation
//! attached.
//!
//! Only what tells the two apart is read here. The grammar of image references is `trainyard-oci`'s.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What the place of an image begins with.
const IMAGE_SCHEME: &str = "oci://";

/// Where a baseline lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum BaselinePlace {
    /// An `evaluation.json`, or another file that a baseline is read from.
    File(PathBuf),
    /// The image whose attached evaluation it is: `HOST/NAME`, with a tag or digest or without. The reference has not been
    /// parsed yet.
    Image(String),
}

/// Why a text is not the place of a baseline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaselinePlaceError {
    /// An address of another kind.
    #[error(
        "`{text}` is neither a path nor an image; write a path such as `baseline/evaluation.json`, or `oci://{rest}` for an image"
    )]
    Scheme {
        /// The text.
        text: String,
        /// What follows the scheme.
        rest: String,
    },
    /// An image without a name.
    #[error("`{text}` does not name an image; write one such as `oci://ghcr.io/owner/name:1.0`")]
    Image {
        /// The text.
        text: String,
    },
}

impl BaselinePlace {
    /// The file, where it is one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Image(_) => None,
        }
    }
}

impl FromStr for BaselinePlace {
    type Err = BaselinePlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self::File(text.into()));
        };
        if format!("{scheme}://") != IMAGE_SCHEME {
            return Err(BaselinePlaceError::Scheme {
                text: text.to_owned(),
                rest: rest.to_owned(),
            });
        }
        let has_name = rest
            .split_once('/')
            .is_some_and(|(host, name)| !host.is_empty() && !name.is_empty());
        if !has_name || rest.contains(char::is_whitespace) {
            return Err(BaselinePlaceError::Image {
                text: text.to_owned(),
            });
        }
        Ok(Self::Image(rest.to_owned()))
    }
}

impl TryFrom<String> for BaselinePlace {
    type Error = BaselinePlaceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<BaselinePlace> for String {
    fn from(place: BaselinePlace) -> Self {
        place.to_string()
    }
}

impl fmt::Display for BaselinePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Image(reference) => write!(formatter, "{IMAGE_SCHEME}{reference}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_a_path_and_an_image_is_told_by_its_scheme() {
        for (text, expected) in [
            (
                "old/evaluation.json",
                BaselinePlace::File("old/evaluation.json".into()),
            ),
            ("ghcr.io/a/b:1", BaselinePlace::File("ghcr.io/a/b:1".into())),
            (
                "C:/old/evaluation.json",
                BaselinePlace::File("C:/old/evaluation.json".into()),
            ),
            (
                "oci://ghcr.io/a/b:1",
                BaselinePlace::Image("ghcr.io/a/b:1".to_owned()),
            ),
        ] {
            let place: BaselinePlace = text.parse().unwrap();
            assert_eq!(place, expected);
            assert_eq!(place.to_string(), text);
        }
    }

    #[test]
    fn what_is_neither_is_said_with_what_to_write() {
        for (text, expected) in [
            ("https://ghcr.io/a/b", "or `oci://ghcr.io/a/b` for an image"),
            ("docker://a/b:1", "or `oci://a/b:1` for an image"),
            ("OCI://a.b/c", "or `oci://a.b/c` for an image"),
            ("oci://", "does not name an image"),
            ("oci://ghcr.io", "does not name an image"),
            ("oci:///a", "does not name an image"),
            ("oci://ghcr.io/a b", "does not name an image"),
        ] {
            let error = text.parse::<BaselinePlace>().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
