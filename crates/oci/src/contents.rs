//! Which files an image of several layers has in a folder, without unpacking them.
//!
//! A layer adds, replaces and removes what lies below it (layer.md of the image specification, "Whiteouts").

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::layer::Layer;
use crate::unpack::{UnpackError, entries};

/// The prefix of a name that removes the file of the rest of it from the layers below.
const WHITEOUT: &str = ".wh.";

/// Removes all that the layers below have in its folder.
const OPAQUE: &str = ".wh..wh..opq";

/// What lies at `folder` or below it, folders aside, in an image of `layers`, lowest first: absolute paths, as `/model/model.json`.
///
/// Links and devices count as files, and so does a link in place of the folder.
pub fn files_below<'a>(
    layers: impl IntoIterator<Item = &'a Layer>,
    folder: &str,
) -> Result<BTreeSet<String>, UnpackError> {
    let folder = Path::new(folder.trim_start_matches('/'));
    let mut found = BTreeSet::new();
    for layer in layers {
        let mut added = Vec::new();
        entries(&layer.path, &layer.media_type, |entry| {
            let path = normal(&entry.path()?);
            let name = path.file_name().and_then(|name| name.to_str());
            let parent = path.parent().unwrap_or(Path::new(""));
            let name = name.unwrap_or_default();
            // What a layer removes is of those below it, wherever in the layer that stands.
            if name == OPAQUE {
                found.retain(|it: &PathBuf| !it.starts_with(parent));
            } else if let Some(removed) = name.strip_prefix(WHITEOUT) {
                let removed = parent.join(removed);
                found.retain(|it| !it.starts_with(&removed));
            } else if !entry.header().entry_type().is_dir() {
                // A file in place of a folder, and the other way round: of the one, nothing is left.
                found.retain(|it| !it.starts_with(&path));
                if path.starts_with(folder) {
                    added.push(path);
                }
            } else {
                found.remove(&path);
            }
            Ok(())
        })?;
        found.extend(added);
    }
    Ok(found.iter().map(|path| absolute(path)).collect())
}

fn absolute(path: &Path) -> String {
    let parts = path.iter().map(|part| part.to_string_lossy());
    parts.fold(String::new(), |path, part| path + "/" + &part)
}

/// The path without `.` and a slash before it.
fn normal(path: &Path) -> PathBuf {
    let parts = path.components();
    parts
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use trainyard_core::digest::Sha256Digest;

    use super::*;
    use crate::spec;

    /// A layer with these entries; one that ends with a slash is a folder, and one with an arrow a link.
    fn layer(folder: &Path, names: &[&str]) -> Layer {
        let mut builder = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.set_size(0);
            let (name, target) = name.split_once(" -> ").unwrap_or((name, ""));
            if name.ends_with('/') {
                header.set_entry_type(tar::EntryType::Directory);
            }
            if target.is_empty() {
                builder.append_data(&mut header, name, &[][..]).unwrap();
            } else {
                header.set_entry_type(tar::EntryType::Symlink);
                builder.append_link(&mut header, name, target).unwrap();
            }
        }
        let bytes = builder.into_inner().unwrap();
        let digest = Sha256Digest::of(&bytes);
        let path = folder.join(digest.hex());
        fs::write(&path, &bytes).unwrap();
        Layer {
            digest: digest.clone(),
            diff_id: digest,
            size: bytes.len() as u64,
            media_type: spec::LAYER_TAR.to_owned(),
            created_by: String::new(),
            path,
            files: BTreeMap::new(),
        }
    }

    fn below(layers: &[&[&str]]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let layers: Vec<Layer> = layers.iter().map(|it| layer(folder.path(), it)).collect();
        let found = files_below(&layers, "/models").unwrap();
        found.into_iter().collect()
    }

    /// The cases of layer.md: files added, replaced, and removed one by one or with their folder.
    #[test]
    fn layers_add_and_remove_files() {
        let lower: &[&str] = &[
            "models/",
            "models/a/",
            "./models/a/b",
            "models/c",
            "modelsx",
            "etc/d",
        ];
        assert_eq!(below(&[lower]), ["/models/a/b", "/models/c"]);
        assert_eq!(below(&[lower, &["models/c", "models/e"]]).len(), 3);
        assert_eq!(below(&[lower, &["models/.wh.c"]]), ["/models/a/b"]);
        assert_eq!(below(&[lower, &["models/.wh.a"]]), ["/models/c"]);
        // In any order within the layer, and only for those below.
        for upper in [
            &["models/.wh..wh..opq", "models/e"],
            &["models/e", "models/.wh..wh..opq"],
        ] {
            assert_eq!(below(&[lower, upper]), ["/models/e"]);
        }
        assert_eq!(below(&[lower, &[".wh.models"]]).len(), 0);
        assert_eq!(
            below(&[lower, &[".wh.models"], &["models/f"]]),
            ["/models/f"]
        );
    }

    #[test]
    fn links_count_as_files_and_take_the_place_of_folders() {
        assert_eq!(below(&[&["models -> data"]]), ["/models"]);
        assert_eq!(
            below(&[&["models/a/b", "models/c"], &["models -> data"]]),
            ["/models"]
        );
        assert_eq!(
            below(&[&["models -> data"], &["models/", "models/a"]]),
            ["/models/a"]
        );
        assert_eq!(below(&[&["models/a -> /etc/passwd"]]), ["/models/a"]);
    }
}
