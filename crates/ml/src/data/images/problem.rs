//! Why an image or a folder of images cannot be used.

use crate::data::excerpt::{Excerpt, Names};

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
