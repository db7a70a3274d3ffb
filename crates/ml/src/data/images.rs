//! Image folders: one folder per class, PNG and JPEG files in it.

use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::files;
use trainyard_core::model::FileEntry;

use super::DataError;

/// Images, their classes and files.
pub(super) struct Images {
    /// `[n, height, width, channels]`.
    pub(super) pixels: Vec<u8>,
    pub(super) labels: Vec<u32>,
    pub(super) files: Vec<FileEntry>,
}

/// Reads the images in `root/<class>/`, sorted by name within each class.
pub(super) fn read(
    root: &Path,
    classes: &[String],
    shape: [usize; 3],
    resizes: bool,
) -> Result<Images, DataError> {
    let folders = entries(root)?;
    for folder in folders.iter().filter(|path| path.is_dir()) {
        let name = folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if !classes.contains(&name) {
            let known = classes.join("`, `");
            return Err(DataError::malformed(
                root,
                format!("the folder `{name}` is none of the classes `{known}`"),
            ));
        }
    }
    let mut images = Images {
        pixels: Vec::new(),
        labels: Vec::new(),
        files: Vec::new(),
    };
    for (label, class) in classes.iter().enumerate() {
        let folder = root.join(class);
        if !folder.is_dir() {
            return Err(DataError::malformed(
                root,
                format!("there is no folder `{class}` for that class"),
            ));
        }
        for path in entries(&folder)?.into_iter().filter(|path| is_image(path)) {
            let bytes = files::read(&path)?;
            super::refuse_lfs_pointer(&path, &bytes)?;
            let pixels = decode(&bytes, shape, resizes)
                .map_err(|problem| DataError::malformed(&path, problem))?;
            images.pixels.extend(pixels);
            images.labels.push(label as u32);
            let name = path
                .strip_prefix(root)
                .unwrap_or(&path)
                .to_string_lossy()
                .replace('\\', "/");
            images.files.push(FileEntry {
                path: name,
                sha256: Sha256Digest::of(&bytes),
                size_bytes: bytes.len() as u64,
            });
        }
    }
    Ok(images)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let error = DataError::read(folder);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        paths.push(entry.map_err(error)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn is_image(path: &Path) -> bool {
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    matches!(extension.as_deref(), Some("png" | "jpg" | "jpeg"))
}

/// The pixels `[height, width, channels]`. The error says what is wrong, in words.
fn decode(bytes: &[u8], shape: [usize; 3], resizes: bool) -> Result<Vec<u8>, String> {
    let [height, width, channels] = shape;
    let mut reader = ImageReader::new(std::io::Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| format!("this is no image ({error})"))?;
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(1 << 30);
    reader.limits(limits);
    let mut image = reader
        .decode()
        .map_err(|error| format!("the image cannot be read ({error})"))?;
    let found = [image.height() as usize, image.width() as usize];
    if found != [height, width] {
        if !resizes {
            return Err(format!(
                "the image is {} pixels high and {} wide, but `[model] input_shape` says {height} and {width}; set \
                 `[data] resize = true` to resize all images",
                found[0], found[1]
            ));
        }
        let filter = image::imageops::FilterType::Triangle;
        image = image.resize_exact(width as u32, height as u32, filter);
    }
    Ok(pixels(&image, channels))
}

fn pixels(image: &DynamicImage, channels: usize) -> Vec<u8> {
    match channels {
        1 => image.to_luma8().into_raw(),
        4 => image.to_rgba8().into_raw(),
        _ => image.to_rgb8().into_raw(),
    }
}
