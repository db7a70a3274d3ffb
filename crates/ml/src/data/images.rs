//! Image folders: one folder per class with image files in it.
//!
//! Nothing in a class's folder is left out in silence: what looks like an image and cannot be read is an error, as is a
//! folder, and any other file is named in a warning. Only files that systems leave behind are passed over.

pub(super) mod decode;
mod folder;
mod jpeg;
pub(super) mod problem;

use std::path::{Path, PathBuf};

use trainyard_core::digest::Sha256Digest;
use trainyard_core::files;
use trainyard_core::model::FileEntry;

use super::error::{DataError, refuse_lfs_pointer};
use super::excerpt::{Excerpt, Names};
use folder::Folder;
pub use problem::ImageProblem;

/// Images, their classes and files.
pub(super) struct Images {
    /// `[n, height, width, channels]`.
    pub(super) pixels: Vec<u8>,
    pub(super) labels: Vec<u32>,
    pub(super) files: Vec<FileEntry>,
    /// A line a class: how many images it has.
    pub(super) description: Vec<String>,
    pub(super) warnings: Vec<String>,
    /// Classes whose folder holds none.
    pub(super) without_images: Vec<String>,
}

/// Reads the images in `root/<class>/`, sorted by name within each class. `name` is what the configuration calls `root`.
pub(super) fn read(
    root: &Path,
    name: &str,
    classes: &[String],
    shape: [usize; 3],
    resizes: bool,
) -> Result<Images, DataError> {
    let mut images = Images {
        pixels: Vec::new(),
        labels: Vec::new(),
        files: Vec::new(),
        description: Vec::new(),
        warnings: Vec::new(),
        without_images: Vec::new(),
    };
    folder::check_root(root, classes)?;
    let mut passed_over = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let folder = root.join(class);
        if !folder.is_dir() {
            let folder = Excerpt::of(class);
            return Err(DataError::image(root)(ImageProblem::NoFolder { folder }));
        }
        let Folder {
            images: paths,
            others,
        } = Folder::list(&folder)?;
        passed_over.extend(others);
        let n_images = paths.len();
        for path in paths {
            let bytes = files::read(&path)?;
            refuse_lfs_pointer(&path, &bytes)?;
            let pixels = decode::decode(&bytes, shape, resizes).map_err(DataError::image(&path))?;
            images.pixels.extend(pixels);
            images.labels.push(label as u32);
            images.files.push(FileEntry {
                path: relative(root, &path),
                sha256: Sha256Digest::of(&bytes),
                size_bytes: bytes.len() as u64,
            });
        }
        if n_images == 0 {
            images.without_images.push(class.clone());
            let class = Excerpt::of(class);
            images.warnings.push(format!(
                "`{name}`: there are no images of the class {class}"
            ));
        }
        let plural = if n_images == 1 { "image" } else { "images" };
        images
            .description
            .push(format!("`{name}/{class}`: {n_images} {plural}"));
    }
    if images.labels.is_empty() {
        return Err(DataError::image(root)(ImageProblem::Nothing));
    }
    images.warnings.extend(warning(root, name, &passed_over));
    Ok(images)
}

/// Says which files were not read.
fn warning(root: &Path, name: &str, paths: &[PathBuf]) -> Option<String> {
    let names: Vec<String> = paths.iter().map(|path| relative(root, path)).collect();
    let names = match names.as_slice() {
        [] => return None,
        names => Names::of(names),
    };
    let (n_files, verb) = match paths.len() {
        1 => ("1 file that is not an image".to_owned(), "was"),
        n_files => (format!("{n_files} files that are not images"), "were"),
    };
    Some(format!("`{name}`: {n_files} {verb} passed over: {names}"))
}

/// The path within `root`, written the same on every system.
fn relative(root: &Path, path: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}
