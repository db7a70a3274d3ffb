//! One image file in, its pixels out.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{
    AnimationDecoder as _, DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader,
};

use super::jpeg;
use super::problem::ImageProblem;

/// Of the pixels of one image.
const MAX_BYTES: usize = 1 << 30;

/// The pixels `[height, width, channels]`, turned as the file says that they are to be looked at.
pub(in crate::data) fn decode(
    bytes: &[u8],
    shape: [usize; 3],
    resizes: bool,
) -> Result<Vec<u8>, ImageProblem> {
    let [height, width, channels] = shape;
    let (mut image, orientation) = match image::guess_format(bytes)? {
        ImageFormat::Jpeg => jpeg::decode(bytes, MAX_BYTES)?,
        format => others(bytes, format)?,
    };
    image.apply_orientation(orientation);
    let found = [image.height() as usize, image.width() as usize];
    if found != [height, width] {
        if !resizes {
            let wanted = [height, width];
            return Err(ImageProblem::Size { found, wanted });
        }
        let filter = image::imageops::FilterType::Triangle;
        image = image.resize_exact(width as u32, height as u32, filter);
    }
    Ok(match channels {
        1 => image.to_luma8().into_raw(),
        4 => image.to_rgba8().into_raw(),
        _ => image.to_rgb8().into_raw(),
    })
}

/// Any format but JPEG.
fn others(bytes: &[u8], format: ImageFormat) -> Result<(DynamicImage, Orientation), ImageProblem> {
    if is_cut_off(bytes, format) {
        return Err(ImageProblem::CutOff);
    }
    if is_animation(bytes, format)? {
        return Err(ImageProblem::Animation);
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::default();
    limits.max_alloc = Some(MAX_BYTES as u64);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    if has_more_than_8_bits(decoder.original_color_type())
        || decoder.color_type().bytes_per_pixel() > 4
    {
        return Err(ImageProblem::Depth);
    }
    let orientation = decoder.orientation()?;
    Ok((DynamicImage::from_decoder(decoder)?, orientation))
}

const fn has_more_than_8_bits(color_type: ExtendedColorType) -> bool {
    use ExtendedColorType as Type;
    matches!(
        color_type,
        Type::L16 | Type::La16 | Type::Rgb16 | Type::Rgba16 | Type::Rgb32F | Type::Rgba32F
    )
}

/// Formats say how they end, and decoders make do without it where all pixels seem to be there.
fn is_cut_off(bytes: &[u8], format: ImageFormat) -> bool {
    match format {
        ImageFormat::WebP => {
            // RIFF counts the bytes behind its own 8.
            let size = bytes.get(4..).and_then(<[u8]>::first_chunk);
            size.is_none_or(|size| bytes.len() as u64 - 8 < u64::from(u32::from_le_bytes(*size)))
        }
        // The trailer; some programs pad the file behind it with zeros.
        ImageFormat::Gif => bytes.iter().rfind(|byte| **byte != 0) != Some(&0x3b),
        // The name of the last chunk and its checksum.
        ImageFormat::Png => !bytes.windows(8).any(|end| end.starts_with(b"IEND")),
        _ => false,
    }
}

fn is_animation(bytes: &[u8], format: ImageFormat) -> Result<bool, ImageProblem> {
    let file = Cursor::new(bytes);
    Ok(match format {
        ImageFormat::Png => PngDecoder::new(file)?.is_apng()?,
        ImageFormat::WebP => WebPDecoder::new(file)?.has_animation(),
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(file)?;
            let mut limits = image::Limits::default();
            limits.max_alloc = Some(MAX_BYTES as u64);
            decoder.set_limits(limits)?;
            let mut frames = decoder.into_frames();
            // A damaged second frame is one all the same.
            frames.next().transpose()?.is_some() && frames.next().is_some()
        }
        _ => false,
    })
}
