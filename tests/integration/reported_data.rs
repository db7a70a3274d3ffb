//! Data that came with public bug reports, by the real `train`: what is right for each, whatever it was then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use trainyard_ml::data::npz;

use crate::support::{output, repository, stage};

/// A copy of a case's folder to train in.
struct Case {
    folder: tempfile::TempDir,
}

impl Case {
    fn new(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = repository().join("tests/fixtures/reported").join(name);
        copy(&source, folder.path());
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{name}: {text}");
        fs::write(self.path(name), text.replacen(from, to, 1)).unwrap();
    }

    /// The exit code of `train` and its standard error.
    #[track_caller]
    fn train(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = stage("train");
        command.current_dir(self.folder.path()).args(arguments);
        let Output { status, stderr, .. } = output(&mut command);
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        (status.code().unwrap(), stderr)
    }

    #[track_caller]
    fn trains_on(&self, n_rows: usize) -> String {
        let (code, stderr) = self.train(&[]);
        assert_eq!(code, 0, "{stderr}");
        assert!(stderr.contains(&format!("on {n_rows} rows")), "{stderr}");
        stderr
    }

    #[track_caller]
    fn is_refused(&self, arguments: &[&str], code: i32, expected: &[&str]) -> String {
        let (found, stderr) = self.train(arguments);
        assert_eq!(found, code, "{stderr}");
        for text in expected {
            assert!(stderr.contains(text), "{text}: {stderr}");
        }
        assert!(!self.path("trainyard-out/model/model.json").exists());
        stderr
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

#[test]
fn images_of_every_format_are_read_and_counted() {
    let log = Case::new("a05-images-other-format-dropped").trains_on(8);
    for line in ["`img/left`: 4 images", "`img/top`: 4 images"] {
        assert!(log.contains(line), "{log}");
    }
}

#[test]
fn a_jpeg_that_is_cut_off_is_refused_by_name() {
    let case = Case::new("a06-jpeg-cut-off");
    case.is_refused(&[], 4, &["img/left/0.jpg`: the image is cut off"]);
}

#[test]
fn hidden_folders_are_passed_over() {
    Case::new("a07-images-hidden-folder").trains_on(4);
}

#[test]
fn a_picture_is_turned_as_its_file_says() {
    Case::new("a08-jpeg-exif-turned").trains_on(4);
}

#[test]
fn a_class_may_be_called_na() {
    let case = Case::new("a09-csv-class-called-NA");
    case.trains_on(6);
    for word in ["none", "null", "?"] {
        let case = Case::new("a09-csv-class-called-NA");
        let table = fs::read_to_string(case.path("t.csv")).unwrap();
        fs::write(case.path("t.csv"), table.replace("NA", word)).unwrap();
        let missing = format!("line 2: the label `y` is empty (`{word}`)");
        case.is_refused(&[], 4, &[&missing, "t.csv"]);
        case.replace("trainyard.toml", "\"NA\"", &format!("\"{word}\""));
        case.trains_on(6);
    }
}

#[test]
fn a_quote_that_is_never_closed_is_named_by_its_line() {
    let case = Case::new("a09-csv-class-called-NA");
    case.replace("trainyard.toml", "[\"NA\",\"EU\"]", "[\"cat\",\"dog\"]");
    let rows = "0,0,dog\n1,2,cat\n".repeat(1500);
    fs::write(case.path("t.csv"), format!("a,b,y\n1,2,\"cat\n{rows}")).unwrap();
    let log = case.is_refused(&[], 4, &["line 2: a quote is opened here and never closed"]);
    assert!(log.len() < 1000, "{} bytes: {log}", log.len());
}

#[test]
fn utf16_is_called_by_its_name() {
    let case = Case::new("a11-csv-utf16");
    case.is_refused(&[], 4, &["this is UTF-16 text; save it as UTF-8"]);
}

#[test]
fn a_decimal_comma_is_a_setting_and_a_hint() {
    let case = Case::new("a12-csv-decimal-comma");
    let expected = ["decimal comma", "set `decimal = \",\"` in `[data.csv]`"];
    case.is_refused(&[], 4, &expected);
    let delimiter = "delimiter = \";\"";
    case.replace(
        "trainyard.toml",
        delimiter,
        &format!("{delimiter}\ndecimal = \",\""),
    );
    case.trains_on(6);
}

#[test]
fn a_log_file_without_its_folder_is_an_error() {
    let case = Case::new("a21-log-file-lost");
    let lost = "/nonexistent/x.log";
    case.is_refused(
        &["--log-file", lost],
        2,
        &["cannot open the log file `/nonexistent/x.log`"],
    );
    assert!(!Path::new("/nonexistent").exists());
    // A relative path's folder is made, as the output folder is.
    let (code, log) = case.train(&["--log-file", "logs/x.log"]);
    assert_eq!(code, 0, "{log}");
    let written = fs::read_to_string(case.path("logs/x.log")).unwrap();
    assert!(written.contains("on 6 rows"), "{written}");
}

#[test]
fn half_precision_gives_the_weights_of_single_precision() {
    let weights = |case: &Case| {
        case.trains_on(40);
        fs::read(case.path("trainyard-out/model/weights.safetensors")).unwrap()
    };
    let half = Case::new("a22-npz-float16");
    let single = Case::new("a22-npz-float16");
    // What `x.astype("float32")` holds: every number of 16 bits is one of 32 bits.
    let arrays = npz::read_npz(&fs::read(half.path("tr.npz")).unwrap()).unwrap();
    let x = npz::Array {
        shape: arrays["x"].shape.clone(),
        values: npz::Values::F32(arrays["x"].to_f32().unwrap()),
    };
    let written = npz::write_npz(&[("x", &x), ("y", &arrays["y"])]).unwrap();
    fs::write(single.path("tr.npz"), written).unwrap();
    assert_eq!(weights(&half), weights(&single));
}
