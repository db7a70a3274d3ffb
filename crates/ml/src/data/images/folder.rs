//! What lies in an image folder: images, and what else there is.

use std::path::{Path, PathBuf};

use super::problem::ImageProblem;
use crate::data::error::DataError;
use crate::data::excerpt::{Excerpt, Names};

/// Extensions of the images that are read; what is decoded is decided by the content.
const READABLE: [&str; 12] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "bmp", "gif", "webp", "pbm", "pgm", "ppm", "pnm",
];

/// Extensions of images that are not read, so that they are not taken for notes.
const UNREADABLE: [&str; 24] = [
    "apng", "arw", "avif", "cr2", "dcm", "dds", "dib", "dng", "exr", "hdr", "heic", "heif", "ico",
    "jp2", "jxl", "nef", "pam", "pcx", "psd", "qoi", "svg", "tga", "tif", "tiff",
];

/// Files that systems leave behind, beside those whose name begins with a dot.
const LEFT_BEHIND: [&str; 3] = ["Thumbs.db", "desktop.ini", "__MACOSX"];

/// A class's folder.
pub(super) struct Folder {
    pub(super) images: Vec<PathBuf>,
    /// Files that are not images.
    pub(super) others: Vec<PathBuf>,
}

impl Folder {
    pub(super) fn list(folder: &Path) -> Result<Self, DataError> {
        let mut listed = Self {
            images: Vec::new(),
            others: Vec::new(),
        };
        for path in entries(folder)? {
            if path.is_dir() {
                return Err(DataError::image(&path)(ImageProblem::Nested));
            }
            match kind(&path) {
                Kind::Image => listed.images.push(path),
                Kind::Unreadable(extension) => {
                    return Err(DataError::image(&path)(ImageProblem::Format { extension }));
                }
                Kind::Other => listed.others.push(path),
            }
        }
        Ok(listed)
    }
}

/// Refuses folders that are none of the classes, and images that lie beside the classes' folders.
pub(super) fn check_root(root: &Path, classes: &[String]) -> Result<(), DataError> {
    for path in entries(root)? {
        if path.is_dir() {
            let name = name_of(&path);
            if !classes.contains(&name) {
                return Err(DataError::image(root)(ImageProblem::NoClass {
                    folder: Excerpt::of(&name),
                    classes: Names::of(classes),
                }));
            }
        } else if !matches!(kind(&path), Kind::Other) {
            return Err(DataError::image(&path)(ImageProblem::Loose));
        }
    }
    Ok(())
}

/// What is in the folder, sorted by name, but for what systems leave behind.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let error = DataError::read(folder);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        let name = name_of(&path);
        if !name.starts_with('.') && !LEFT_BEHIND.contains(&name.as_str()) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> String {
    let name = path.file_name().expect("an entry of a folder has a name");
    name.to_string_lossy().into_owned()
}

enum Kind {
    Image,
    Unreadable(String),
    Other,
}

fn kind(path: &Path) -> Kind {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase())
        .unwrap_or_default();
    if READABLE.contains(&extension.as_str()) {
        Kind::Image
    } else if UNREADABLE.contains(&extension.as_str()) {
        Kind::Unreadable(extension)
    } else {
        Kind::Other
    }
}
