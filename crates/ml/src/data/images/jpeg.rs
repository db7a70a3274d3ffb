//! JPEG files, strictly: the `image` crate's decoder fills what is missing with grey and says nothing.

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, RgbImage};
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::problem::ImageProblem;

/// The image and how it is to be turned; `max_bytes` of pixels at most.
pub(super) fn decode(
    bytes: &[u8],
    max_bytes: usize,
) -> Result<(DynamicImage, Orientation), ImageProblem> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(problem)?;
    let known = "the headers were decoded";
    let (width, height) = decoder.dimensions().expect(known);
    let color_space = match decoder.input_colorspace().expect(known) {
        ColorSpace::Luma => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    if width * height * color_space.num_components() > max_bytes {
        return Err(ImageProblem::TooLarge { height, width });
    }
    let orientation = decoder
        .exif()
        .and_then(|exif| Orientation::from_exif_chunk(exif))
        .unwrap_or(Orientation::NoTransforms);
    // The decoder takes a scan that ends early for a whole one, where its last row of blocks has begun. A cut that some
    // program has mended with an end of its own passes here, as it does in libjpeg.
    if !reaches_end(bytes) {
        return Err(ImageProblem::CutOff);
    }
    decoder.set_options(options.jpeg_set_out_colorspace(color_space));
    let pixels = decoder.decode().map_err(problem)?;
    let (width, height) = (width as u32, height as u32);
    let image = match color_space {
        ColorSpace::Luma => GrayImage::from_raw(width, height, pixels).map(DynamicImage::from),
        _ => RgbImage::from_raw(width, height, pixels).map(DynamicImage::from),
    };
    Ok((
        image.expect("as many pixels as the decoder says"),
        orientation,
    ))
}

fn problem(error: DecodeErrors) -> ImageProblem {
    ImageProblem::Jpeg(error.to_string())
}

/// Whether the markers lead to the one that ends the image (EOI), as ITU-T T.81, annex B has them. What follows it,
/// such as the second picture of a phone, does not matter; nor does a preview, which lies inside of a segment.
fn reaches_end(bytes: &[u8]) -> bool {
    let mut at = 0;
    loop {
        // To the next marker: 0xff and a byte that is neither stuffing, fill nor a restart within a scan.
        let Some(found) = bytes
            .get(at..)
            .and_then(|rest| rest.iter().position(|&byte| byte == 0xff))
        else {
            return false;
        };
        at += found + 1;
        match bytes.get(at) {
            None => return false,
            Some(0xd9) => return true,
            // A second 0xff may itself begin the marker.
            Some(0xff) => {}
            Some(0x00 | 0x01 | 0xd0..=0xd8) => at += 1,
            Some(_) => {
                let Some(len) = bytes.get(at + 1..).and_then(<[u8]>::first_chunk) else {
                    return false;
                };
                at += 1 + usize::from(u16::from_be_bytes(*len));
            }
        }
    }
}
