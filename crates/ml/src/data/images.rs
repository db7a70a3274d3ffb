//! Image folders: one folder per class with image files in it.
//!
//! Nothing in a class's folder is left out in silence: what looks like an image and cannot be read is an error, as is a
//! folder, and any other file is named in a warning. Only files that systems leave behind are passed over.

pub(super) mod decode;
mod folder;
mod jpeg;

use std::path::{Path, PathBuf};

use trainyard_core::digest::Sha256Digest;
use trainyard_core::files;
use trainyard_core::model::FileEntry;

use super::DataError;
use super::error::{Excerpt, Names, refuse_lfs_pointer};
use folder::Folder;

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

/// Why an image or a folder of images cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageProblem {
    /// The decoder's own words.
    #[error("the image cannot be read ({0})")]
    Unreadable(#[from] image::ImageError),
    /// The JPEG decoder's own words.
    #[error("the image is damaged or cut off ({0})")]
    Jpeg(String),
    /// The file ends before the image does.
    #[error("the image is cut off: the file ends before the image does")]
    CutOff,
    /// More than a machine should be asked for.
    #[error(
        "the image is {height} pixels high and {width} wide, which is more than 1 GiB of pixels"
    )]
    TooLarge {
        /// In pixels.
        height: usize,
        /// In pixels.
        width: usize,
    },
    /// Not the size that the network takes.
    #[error(
        "the image is {} pixels high and {} wide, but `[model] input_shape` says {} and {}; set \
         `[data] resize = true` to resize all images",
        found[0], found[1], wanted[0], wanted[1]
    )]
    Size {
        /// Height and width.
        found: [usize; 2],
        /// Height and width.
        wanted: [usize; 2],
    },
    /// More than 8 bits a channel.
    #[error(
        "the image has more than 8 bits a channel, which would be cut to 8; convert it to 8 bits"
    )]
    Depth,
    /// Several frames.
    #[error("the image is an animation; save the frame that is meant as a PNG file")]
    Animation,
    /// A kind of image that is not read.
    #[error(
        "images of the kind `.{extension}` are not read; convert it to PNG, or move it out of the folder"
    )]
    Format {
        /// The extension of its name.
        extension: String,
    },
    /// A folder within a class's folder.
    #[error(
        "this is a folder inside the folder of a class; move its images into the class's own folder"
    )]
    Nested,
    /// An image beside the folders of the classes.
    #[error(
        "this image lies beside the folders of the classes; move it into one of them, or out of the folder"
    )]
    Loose,
    /// A folder beside those of the classes.
    #[error("the folder {folder} is none of the classes {classes}")]
    NoClass {
        /// Its name.
        folder: Excerpt,
        /// The classes.
        classes: Names,
    },
    /// A class without a folder.
    #[error("there is no folder {folder} for that class")]
    NoFolder {
        /// Its name.
        folder: Excerpt,
    },
    /// A class that could never be learnt.
    #[error(
        "there are no images of the class {class}; add some, or take it out of `[data] classes`"
    )]
    NoImages {
        /// The class.
        class: Excerpt,
    },
    /// Nothing at all.
    #[error("there are no images in the folders of the classes")]
    Nothing,
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
