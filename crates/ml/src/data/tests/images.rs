use image::ImageFormat;

use super::*;
use crate::data::images::decode::decode;

/// Pixels that no two places share, so that a turn or a lost row shows.
fn pattern(width: u32, height: u32) -> image::RgbImage {
    image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x * 16, y * 16, (x + y) * 7].map(|value| value as u8))
    })
}

fn encoded(image: &image::DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

const DATA: &str = "format = 'images'\ntrain = { path = 'i' }\ntest = { path = 'i' }";

/// The pixels of a file, which is each class's only one.
fn load(name: &str, bytes: &[u8], shape: &str) -> Result<Vec<f32>, String> {
    let project = Project::new(&[(&format!("i/c0/{name}"), bytes), ("i/c1/b.png", bytes)]);
    let dataset = project.load(shape, Some(2), DATA)?;
    Ok(values(&dataset)[..dataset.row_len()].to_vec())
}

fn png(width: u32, height: u32, value: u8) -> Vec<u8> {
    let image = image::GrayImage::from_pixel(width, height, image::Luma([value]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

#[test]
fn image_folders_are_read_class_by_class() {
    let project = Project::new(&[
        ("train/c1/b.png", &png(2, 2, 20)),
        ("train/c0/a.png", &png(2, 2, 10)),
        ("train/c1/a.PNG", &png(2, 2, 30)),
        ("train/c1/readme.txt", b"no image"),
    ]);
    let data = "format = 'images'\ntrain = { path = 'train' }\ntest = { path = 'train' }";
    let dataset = project.load("[2, 2, 1]", Some(2), data).unwrap();
    assert_eq!(dataset.labels, Labels::Class(vec![0, 1, 1]));
    assert_eq!(values(&dataset), [[10.0; 4], [30.0; 4], [20.0; 4]].concat());
    assert_eq!(
        dataset.description,
        ["`train/c0`: 1 image", "`train/c1`: 2 images"]
    );
    assert_eq!(
        dataset.warnings,
        ["`train`: 1 file that is not an image was passed over: `c1/readme.txt`"]
    );
    let colour = project.load("[2, 2, 3]", Some(2), data).unwrap();
    assert_eq!(colour.row_len(), 12);

    let error = project.load("[4, 4, 1]", Some(2), data).unwrap_err();
    assert!(
        error.contains("a.png`: the image is 2 pixels high and 2 wide")
            && error.contains("resize = true"),
        "{error}"
    );
    let resized = project
        .load("[4, 4, 1]", Some(2), &format!("resize = true\n{data}"))
        .unwrap();
    assert_eq!(values(&resized)[..16], [10.0; 16]);
    let error = project.load("[2, 2, 1]", Some(3), data).unwrap_err();
    assert!(
        error.contains("there is no folder `c2` for that class"),
        "{error}"
    );
    std::fs::write(
        project.folder.path().join("train/c0/a.png"),
        b"\x89PNG\r\n\x1a\nbroken",
    )
    .unwrap();
    let error = project.load("[2, 2, 1]", Some(2), data).unwrap_err();
    assert!(error.contains("a.png`: the image is cut off"), "{error}");
}

#[test]
fn every_format_gives_the_pixels_that_it_was_made_of() {
    let rgb = image::DynamicImage::from(pattern(8, 6));
    let expected: Vec<f32> = rgb.as_bytes().iter().copied().map(f32::from).collect();
    for (name, format) in [
        ("a.png", ImageFormat::Png),
        ("a.bmp", ImageFormat::Bmp),
        ("a.webp", ImageFormat::WebP),
        ("a.ppm", ImageFormat::Pnm),
        // The content decides what is decoded.
        ("a.jpg", ImageFormat::WebP),
    ] {
        let found = load(name, &encoded(&rgb, format), "[6, 8, 3]");
        assert_eq!(found.as_ref(), Ok(&expected), "{name}");
    }
    // 48 colours fit a GIF's palette, which its quantiser may still move a little.
    let gif = load("a.gif", &encoded(&rgb, ImageFormat::Gif), "[6, 8, 3]").unwrap();
    let jpeg = encoded(&rgb, ImageFormat::Jpeg);
    for (name, tolerance) in [("a.jpg", 24.0), ("a.jfif", 24.0), ("a.JPEG", 24.0)] {
        let found = load(name, &jpeg, "[6, 8, 3]").unwrap();
        let furthest = furthest(&found, &expected);
        assert!(furthest <= tolerance, "{name}: {furthest}");
    }
    assert!(furthest(&gif, &expected) <= 8.0);
    let grey = image::DynamicImage::from(rgb.to_luma8());
    let found = load("a.jpg", &encoded(&grey, ImageFormat::Jpeg), "[6, 8, 1]").unwrap();
    let expected: Vec<f32> = grey.as_bytes().iter().copied().map(f32::from).collect();
    assert!(furthest(&found, &expected) <= 24.0);
}

fn furthest(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let distances = found
        .iter()
        .zip(expected)
        .map(|(left, right)| (left - right).abs());
    distances.fold(0.0, f32::max)
}

#[test]
fn an_image_cut_off_anywhere_is_refused() {
    let rgb = image::DynamicImage::from(pattern(16, 16));
    for (name, format) in [
        ("a.jpg", ImageFormat::Jpeg),
        ("a.png", ImageFormat::Png),
        ("a.gif", ImageFormat::Gif),
        ("a.webp", ImageFormat::WebP),
        ("a.bmp", ImageFormat::Bmp),
        ("a.ppm", ImageFormat::Pnm),
    ] {
        let whole = encoded(&rgb, format);
        assert!(decode(&whole, [16, 16, 3], false).is_ok(), "{name}");
        for len in 0..whole.len() {
            let cut = decode(&whole[..len], [16, 16, 3], false);
            assert!(cut.is_err(), "{name}: {len} of {} bytes", whole.len());
        }
    }
    let whole = encoded(&rgb, ImageFormat::Jpeg);
    // What follows the end does not matter.
    let followed = [&whole[..], b"\xff\xd8 a second picture"].concat();
    assert_eq!(
        load("a.jpg", &followed, "[16, 16, 3]"),
        load("a.jpg", &whole, "[16, 16, 3]")
    );
}

/// The Exif segment of a JPEG file that says how it is to be turned.
fn exif(orientation: u8) -> Vec<u8> {
    let entry = [&b"\x01\x12\0\x03\0\0\0\x01\0"[..], &[orientation], b"\0\0"].concat();
    let tiff = [&b"MM\0\x2a\0\0\0\x08\0\x01"[..], &entry, &[0; 4]].concat();
    let len = (2 + 6 + tiff.len()) as u16;
    [&b"\xff\xe1"[..], &len.to_be_bytes(), b"Exif\0\0", &tiff].concat()
}

#[test]
fn pictures_are_turned_as_their_files_say() {
    let rgb = image::DynamicImage::from(pattern(8, 6));
    let jpeg = encoded(&rgb, ImageFormat::Jpeg);
    let upright = load("a.jpg", &jpeg, "[6, 8, 3]").unwrap();
    let pixel = |x: usize, y: usize| &upright[(y * 8 + x) * 3..][..3];
    // Exif 2.3, 4.6.4: which row and column of the stored picture are the top and the left of the seen one.
    for (orientation, shape, top_left, top_right) in [
        (1, "[6, 8, 3]", (0, 0), (7, 0)),
        (2, "[6, 8, 3]", (7, 0), (0, 0)),
        (3, "[6, 8, 3]", (7, 5), (0, 5)),
        (4, "[6, 8, 3]", (0, 5), (7, 5)),
        (5, "[8, 6, 3]", (0, 0), (0, 5)),
        (6, "[8, 6, 3]", (0, 5), (0, 0)),
        (7, "[8, 6, 3]", (7, 5), (7, 0)),
        (8, "[8, 6, 3]", (7, 0), (7, 5)),
    ] {
        let turned = [&jpeg[..2], &exif(orientation), &jpeg[2..]].concat();
        let found = load("a.jpg", &turned, shape).unwrap();
        let width = if orientation < 5 { 8 } else { 6 };
        assert_eq!(&found[..3], pixel(top_left.0, top_left.1), "{orientation}");
        assert_eq!(
            &found[(width - 1) * 3..][..3],
            pixel(top_right.0, top_right.1),
            "{orientation}"
        );
    }
}

#[test]
fn what_would_lose_something_is_refused_by_name() {
    let deep = image::DynamicImage::from(pattern(4, 4)).to_rgb16();
    let deep = encoded(&image::DynamicImage::from(deep), ImageFormat::Png);
    let mut animation = std::io::Cursor::new(Vec::new());
    let mut encoder = image::codecs::gif::GifEncoder::new(&mut animation);
    for _ in 0..2 {
        let frame = image::Frame::new(image::DynamicImage::from(pattern(4, 4)).to_rgba8());
        encoder.encode_frame(frame).unwrap();
    }
    drop(encoder);
    let still = encoded(&image::DynamicImage::from(pattern(4, 4)), ImageFormat::Png);
    for (name, bytes, expected) in [
        (
            "a.png",
            &deep,
            "a.png`: the image has more than 8 bits a channel",
        ),
        (
            "a.gif",
            animation.get_ref(),
            "a.gif`: the image is an animation",
        ),
        (
            "a.tif",
            &still,
            "a.tif`: images of the kind `.tif` are not read; convert it to PNG",
        ),
        ("a.HEIC", &still, "images of the kind `.heic` are not read"),
        (
            "a.jpg",
            &b"GIF89a, they said".to_vec(),
            "a.jpg`: the image is cut off",
        ),
        (
            "a.jpg",
            &b"no image".to_vec(),
            "a.jpg`: the image cannot be read",
        ),
        ("a.jpg", &Vec::new(), "a.jpg`: the image cannot be read"),
        (
            "more/a.png",
            &still,
            "more`: this is a folder inside the folder of a class",
        ),
        (
            "a.png",
            &b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            "a.png` is a Git LFS pointer",
        ),
    ] {
        let error = load(name, bytes, "[4, 4, 3]").unwrap_err();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn what_systems_leave_behind_is_passed_over_and_nothing_else() {
    let image = png(2, 2, 9);
    let left_behind = Project::new(&[
        ("i/c0/a.png", &image),
        ("i/c0/._a.png", b"a resource fork"),
        ("i/c0/Thumbs.db", b"x"),
        ("i/c1/a.png", &image),
        ("i/c1/.DS_Store", b"x"),
        ("i/c1/.ipynb_checkpoints/a.png", &image),
        ("i/__MACOSX/c0/a.png", b"x"),
        ("i/.git/HEAD", b"x"),
        ("i/README.md", b"x"),
    ]);
    let dataset = left_behind.load("[2, 2, 1]", Some(2), DATA).unwrap();
    assert_eq!((dataset.n_rows(), dataset.warnings.len()), (2, 0));

    let other = Project::new(&[
        ("i/c0/a.png", &image),
        ("i/c1/b.png", &image),
        ("i/more/c.png", &image),
    ]);
    let error = other.load("[2, 2, 1]", Some(2), DATA).unwrap_err();
    assert!(
        error.contains("the folder `more` is none of the classes `c0`, `c1`"),
        "{error}"
    );
    let loose = Project::new(&[
        ("i/c0/a.png", &image),
        ("i/c1/b.png", &image),
        ("i/c.png", &image),
    ]);
    let error = loose.load("[2, 2, 1]", Some(2), DATA).unwrap_err();
    assert!(
        error.contains("c.png`: this image lies beside the folders"),
        "{error}"
    );

    let empty = Project::new(&[("i/c0/a.png", &image), ("i/c1/notes.txt", b"x")]);
    let error = empty.load("[2, 2, 1]", Some(2), DATA).unwrap_err();
    assert!(
        error.contains("there are no images of the class `c1`"),
        "{error}"
    );
    let test = empty
        .load_split(Split::Test, "[2, 2, 1]", Some(2), DATA)
        .unwrap();
    assert_eq!(
        test.warnings,
        [
            "`i`: there are no images of the class `c1`",
            "`i`: 1 file that is not an image was passed over: `c1/notes.txt`"
        ]
    );
}

#[test]
fn fewer_rows_are_drawn_from_every_class() {
    let image = png(2, 2, 9);
    let names: Vec<String> = (0..30)
        .map(|idx| format!("i/c{}/{idx:02}.png", usize::from(idx >= 20)))
        .collect();
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), &image[..]))
        .collect();
    let project = Project::new(&files);
    for split in [Split::Train, Split::Test] {
        let data = format!("max_train_rows = 6\nmax_test_rows = 6\n{DATA}");
        let dataset = project
            .load_split(split, "[2, 2, 1]", Some(2), &data)
            .unwrap();
        assert_eq!(dataset.labels, Labels::Class(vec![0, 0, 0, 0, 1, 1]));
        let again = project
            .load_split(split, "[2, 2, 1]", Some(2), &data)
            .unwrap();
        assert_eq!(dataset.selection, again.selection);
    }
}
