//! Features and labels in files of their own, as IDX or NumPy arrays.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;

use trainyard_core::config::{Config, DataFiles, DataFormat, Source};
use trainyard_core::files;
use trainyard_core::model::Task;

use super::dataset::Dataset;
use super::error::DataError;
use super::features::{Features, MEMORY_BUDGET_BYTES, Stored};
use super::folders::Folders;
use super::labels::{self, LabelProblem};
use super::measured::measure;
use super::row_labels::Labels;
use super::{idx, npz};

/// An array of features or labels, whatever file it came from.
struct Array {
    shape: Vec<usize>,
    values: Values,
}

enum Values {
    Bytes(Vec<u8>),
    Numbers(Vec<f64>),
    Floats(Vec<f32>),
    Stored(Stored),
}

pub(super) fn load(
    config: &Config,
    folders: Folders<'_>,
    files: &DataFiles,
) -> Result<Dataset, DataError> {
    let read = |source: &Option<Source>, name: Option<&String>| {
        let source = source.as_ref().expect("validated: arrays have files");
        let (path, mut entry) = measure(folders, source)?;
        let array = match config.data.format {
            DataFormat::Npy => read_npy(&path, name)?,
            _ => read_idx(&path, entry.size_bytes)?,
        };
        // Another array of the same file is other data, for which another model is trained.
        if let Some(name) = name {
            entry.path = format!("{}[{name}]", entry.path);
        }
        Ok::<_, DataError>((array, path, entry))
    };
    let (features, features_path, features_entry) =
        read(&files.features, files.features_array.as_ref())?;
    let (labels, labels_path, labels_entry) = read(&files.labels, files.labels_array.as_ref())?;
    let n_rows = *features.shape.first().unwrap_or(&0);
    // A column of labels is as good as a list.
    if !matches!(labels.shape[..], [_] | [_, 1]) {
        let problem = format!(
            "labels must have one axis, but the shape is {:?}",
            labels.shape
        );
        return Err(DataError::malformed(&labels_path, problem));
    }
    if labels.shape[0] != n_rows {
        return Err(DataError::Counts {
            features: features_path,
            n_features: n_rows,
            labels: labels_path,
            n_labels: labels.shape[0],
        });
    }
    if n_rows == 0 {
        return Err(DataError::malformed(&features_path, "there are no rows"));
    }
    let row_shape = config.model.input_shape.clone();
    let row_len: usize = row_shape.iter().product();
    if features.shape[1..].iter().product::<usize>() != row_len {
        let problem = format!(
            "one row has the shape {:?}, but `[model] input_shape` is {row_shape:?}",
            &features.shape[1..]
        );
        return Err(DataError::malformed(&features_path, problem));
    }
    let features = match features.values {
        Values::Bytes(values) => Features::U8(values),
        Values::Stored(stored) => Features::Stored(stored),
        Values::Floats(values) => Features::F32(narrow(&features_path, values, row_len)?),
        Values::Numbers(values) => Features::F32(narrow(&features_path, values, row_len)?),
    };
    let labels = match labels.values {
        Values::Bytes(values) => values.into_iter().map(f64::from).collect(),
        Values::Floats(values) => values.into_iter().map(f64::from).collect(),
        Values::Numbers(values) => values,
        Values::Stored(_) => return Err(DataError::labels(&labels_path)(LabelProblem::TooMany)),
    };
    let place = |row: usize| format!("row {row}");
    let labels = match (config.model.task, &config.data.classes) {
        (Task::Classification, classes) => {
            let classes = classes
                .as_ref()
                .expect("validated: a classifier has classes");
            labels::of_indices(&labels, classes.len(), place).map(Labels::Class)
        }
        (Task::Regression, _) => labels::of_values(labels, place).map(Labels::Value),
    };
    Ok(Dataset {
        row_shape,
        features: Arc::new(features),
        selection: None,
        labels: labels.map_err(DataError::labels(&labels_path))?,
        weights: None,
        row_ids: None,
        fill: None,
        keys: std::collections::BTreeMap::new(),
        columns: None,
        description: Vec::new(),
        warnings: Vec::new(),
        files: vec![features_entry, labels_entry],
    })
}

fn read_idx(path: &Path, size_bytes: u64) -> Result<Array, DataError> {
    let io = DataError::read(path);
    let malformed = |problem| DataError::malformed(path, problem);
    if size_bytes > MEMORY_BUDGET_BYTES || is_gzip_of_more(path, size_bytes).map_err(io)? {
        let mut file = File::open(path).map_err(io)?;
        if is_gzip(&mut file).map_err(io)? {
            // Unpacked once, so that rows can be read in any order.
            file = unpack(path, file)?;
        }
        if let Some((shape, offset)) = idx::bytes_header(&mut file).map_err(malformed)? {
            let stored = Stored::new(file, path, offset, true);
            return Ok(Array {
                shape,
                values: Values::Stored(stored),
            });
        }
    }
    let bytes = files::read(path)?;
    let array = idx::parse(&bytes).map_err(malformed)?;
    let values = match array.values {
        idx::Values::U8(values) => Values::Bytes(values),
        other => Values::Numbers(other.into_f64()),
    };
    Ok(Array {
        shape: array.shape,
        values,
    })
}

/// The content of a gzip file in a temporary one. A full disk and a damaged stream are told apart.
fn unpack(path: &Path, file: File) -> Result<File, DataError> {
    let mut plain = tempfile::tempfile().map_err(DataError::temporary(path))?;
    let mut packed = flate2::read::MultiGzDecoder::new(file);
    let mut buffer = vec![0; 1 << 16];
    loop {
        let n_read = packed.read(&mut buffer).map_err(|error| {
            let problem = format!("the gzip stream is damaged or cut off ({error})");
            DataError::malformed(path, problem)
        })?;
        if n_read == 0 {
            return Ok(plain);
        }
        plain
            .write_all(&buffer[..n_read])
            .map_err(DataError::temporary(path))?;
    }
}

fn is_gzip(file: &mut File) -> std::io::Result<bool> {
    let mut head = [0; 2];
    file.seek(SeekFrom::Start(0))?;
    let n_read = file.read(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(n_read == 2 && head == [0x1f, 0x8b])
}

/// gzip ends with the size of its content, modulo 2^32. A wrong guess only costs memory.
fn is_gzip_of_more(path: &Path, size_bytes: u64) -> std::io::Result<bool> {
    let mut file = File::open(path)?;
    if size_bytes < 18 || !is_gzip(&mut file)? {
        return Ok(false);
    }
    file.seek(SeekFrom::End(-4))?;
    let mut size = [0; 4];
    file.read_exact(&mut size)?;
    Ok(u64::from(u32::from_le_bytes(size)) > MEMORY_BUDGET_BYTES)
}

fn read_npy(path: &Path, array: Option<&String>) -> Result<Array, DataError> {
    let bytes = files::read(path)?;
    let found = if bytes.starts_with(b"PK") {
        npz::read_npz(&bytes).and_then(|mut arrays| {
            let names: Vec<String> = arrays.keys().cloned().collect();
            let name = match (array, names.as_slice()) {
                (Some(name), _) => name.clone(),
                (None, [only]) => only.clone(),
                (None, _) => {
                    return Err(format!(
                        "it holds the arrays {}; name one with `features_array` or `labels_array`",
                        names.join(", ")
                    ));
                }
            };
            arrays.remove(&name).ok_or_else(|| {
                format!("there is no array `{name}`; there are {}", names.join(", "))
            })
        })
    } else if let Some(name) = array {
        Err(format!(
            "this is not an `.npz`, so there is no array `{name}` in it; remove `features_array` or `labels_array`"
        ))
    } else {
        npz::read_npy(&bytes)
    };
    let npz::Array { shape, values } =
        found.map_err(|problem| DataError::malformed(path, problem))?;
    let values = match values {
        npz::Values::U8(values) => Values::Bytes(values),
        npz::Values::F32(values) => Values::Floats(values),
        npz::Values::F64(values) => Values::Numbers(values),
        npz::Values::I64(values) => {
            Values::Numbers(values.into_iter().map(|value| value as f64).collect())
        }
        npz::Values::Text(_) => {
            let problem = "the array holds text; save numbers (`array.astype(\"float32\")`)";
            return Err(DataError::malformed(path, problem));
        }
    };
    Ok(Array { shape, values })
}

/// The features as 32-bit numbers, all of them finite.
fn narrow<T: Copy + Into<f64>>(
    path: &Path,
    values: Vec<T>,
    row_len: usize,
) -> Result<Vec<f32>, DataError> {
    let narrow = |(at, value): (usize, T)| {
        let value: f64 = value.into();
        let narrowed = value as f32;
        if narrowed.is_finite() {
            return Ok(narrowed);
        }
        let what = if value.is_finite() {
            "is too large for a 32-bit number; scale the features"
        } else {
            "is not a finite number"
        };
        let (row, column) = (at / row_len, at % row_len);
        let problem = format!("row {row}, value {column}: {value} {what}");
        Err(DataError::malformed(path, problem))
    };
    values.into_iter().enumerate().map(narrow).collect()
}
