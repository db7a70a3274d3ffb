//! From a configuration to a dataset: each format's reader, then the same checks for all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trainyard_core::config::{Config, CsvConfig, DataFiles, DataFormat, Missing, Source};
use trainyard_core::files;
use trainyard_core::model::{FileEntry, Task};

use super::features::{Features, MEMORY_BUDGET_BYTES, Stored};
use super::{
    DataError, Dataset, Folders, Labels, Split, idx, images, npz, refuse_lfs_pointer, table,
};

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
    split: Split,
) -> Result<Dataset, DataError> {
    let (files, max_rows) = match split {
        Split::Train => (&config.data.train, config.data.max_train_rows),
        Split::Test => (&config.data.test, config.data.max_test_rows),
    };
    match config.data.format {
        DataFormat::Idx | DataFormat::Npy => load_arrays(config, folders, files, max_rows),
        DataFormat::Csv => load_table(config, folders, files, max_rows),
        DataFormat::Images => load_images(config, folders, files, max_rows),
    }
}

fn load_arrays(
    config: &Config,
    folders: Folders<'_>,
    files: &DataFiles,
    max_rows: Option<usize>,
) -> Result<Dataset, DataError> {
    let read = |source: Option<&Source>, array: Option<&String>| {
        let (path, entry) = measure(folders, source)?;
        let array = match config.data.format {
            DataFormat::Npy => read_npy(&path, array)?,
            _ => read_idx(&path, entry.size_bytes)?,
        };
        Ok::<_, DataError>((array, path, entry))
    };
    let (features, features_path, features_entry) =
        read(files.features.as_ref(), files.features_array.as_ref())?;
    let (labels, labels_path, labels_entry) =
        read(files.labels.as_ref(), files.labels_array.as_ref())?;
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
    let n_kept = max_rows.map_or(n_rows, |max_rows| max_rows.min(n_rows));
    let mut features = match features.values {
        Values::Bytes(values) => Features::U8(values),
        Values::Stored(stored) => Features::Stored(stored),
        Values::Floats(values) => Features::F32(values),
        Values::Numbers(values) => {
            Features::F32(values.into_iter().map(|value| value as f32).collect())
        }
    };
    check_finite(&features_path, &features, row_len)?;
    features.truncate(n_kept * row_len);
    let labels = match labels.values {
        Values::Bytes(values) => values.into_iter().map(f64::from).collect(),
        Values::Floats(values) => values.into_iter().map(f64::from).collect(),
        Values::Numbers(values) => values,
        Values::Stored(_) => {
            return Err(DataError::malformed(
                &labels_path,
                "there are too many labels for memory",
            ));
        }
    };
    let place = |row: usize| format!("row {row}");
    let labels = match config.model.task {
        Task::Classification => {
            let n_classes = config.data.classes.as_ref().map_or(0, Vec::len);
            Labels::Class(class_labels(&labels_path, &labels, n_classes, place)?)
        }
        Task::Regression => Labels::Value(value_labels(&labels_path, labels, place)?),
    };
    let labels = labels.gather(&(0..n_kept).collect::<Vec<_>>());
    Ok(Dataset {
        row_shape,
        features: Arc::new(features),
        selection: None,
        labels,
        weights: None,
        row_ids: (0..n_kept as i64).collect(),
        description: None,
        files: vec![features_entry, labels_entry],
    })
}

fn load_table(
    config: &Config,
    folders: Folders<'_>,
    files: &DataFiles,
    max_rows: Option<usize>,
) -> Result<Dataset, DataError> {
    let (path, entry) = measure(folders, files.path.as_ref())?;
    let default = CsvConfig {
        label: String::new(),
        features: None,
        ignore: Vec::new(),
        weight: None,
        row_id: None,
        types: BTreeMap::new(),
        missing: Missing::Error,
        delimiter: ',',
    };
    let csv = config.data.csv.as_ref().unwrap_or(&default);
    // Always of the training rows: what a test row lacks must not be learnt from other test rows.
    let means = match csv.missing {
        Missing::Mean => Some(table::means(
            &folders.locate(config.data.train.path.as_ref()),
            csv,
        )?),
        _ => None,
    };
    let table = table::read(&path, csv, max_rows, means.as_deref())?;
    if table.labels.is_empty() {
        return Err(DataError::malformed(&path, "there are no rows"));
    }
    let row_shape = config.model.input_shape.clone();
    if row_shape.iter().product::<usize>() != table.n_columns {
        let problem = format!(
            "{} columns are features ({}), but `[model] input_shape` is {row_shape:?}",
            table.n_columns,
            table
                .columns
                .iter()
                .map(|column| column.name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        );
        return Err(DataError::malformed(&path, problem));
    }
    let n_rows = table.labels.len();
    let description = table.describe(csv);
    let lines = table.lines;
    let place = |row: usize| format!("line {}", lines.get(row).copied().unwrap_or_default());
    let numbers = || -> Result<Vec<f64>, DataError> {
        let number = |(row, label): (usize, &String)| {
            label.parse::<f64>().map_err(|_| {
                DataError::malformed(
                    &path,
                    format!("{}: the label `{label}` is not a number", place(row)),
                )
            })
        };
        table.labels.iter().enumerate().map(number).collect()
    };
    let labels = match (config.model.task, &config.data.classes) {
        (Task::Classification, Some(classes)) => {
            let by_name = |(row, label): (usize, &String)| {
                let idx = classes.iter().position(|class| class == label);
                idx.map(|idx| idx as u32).ok_or_else(|| {
                    let known = classes.join("`, `");
                    DataError::malformed(
                        &path,
                        format!(
                            "{}: the label `{label}` is none of the classes `{known}`",
                            place(row)
                        ),
                    )
                })
            };
            let has_names = table.labels.iter().any(|label| classes.contains(label));
            if has_names
                || table
                    .labels
                    .iter()
                    .any(|label| label.parse::<u32>().is_err())
            {
                Labels::Class(
                    table
                        .labels
                        .iter()
                        .enumerate()
                        .map(by_name)
                        .collect::<Result<_, _>>()?,
                )
            } else {
                Labels::Class(class_labels(&path, &numbers()?, classes.len(), place)?)
            }
        }
        _ => Labels::Value(value_labels(&path, numbers()?, place)?),
    };
    Ok(Dataset {
        row_shape,
        features: Arc::new(table.features),
        selection: None,
        labels,
        weights: table.weights,
        row_ids: table
            .row_ids
            .unwrap_or_else(|| (0..n_rows as i64).collect()),
        description: Some(format!("`{}`: {description}", entry.path)),
        files: vec![entry],
    })
}

fn load_images(
    config: &Config,
    folders: Folders<'_>,
    files: &DataFiles,
    max_rows: Option<usize>,
) -> Result<Dataset, DataError> {
    let root = folders.locate(files.path.as_ref());
    let row_shape = config.model.input_shape.clone();
    let shape = [0, 1, 2].map(|axis| row_shape.get(axis).copied().unwrap_or(1));
    let classes = config.data.classes.as_deref().unwrap_or_default();
    let images = images::read(&root, classes, shape, config.data.resize)?;
    if images.labels.is_empty() {
        return Err(DataError::malformed(
            &root,
            "there are no images in the folders of the classes",
        ));
    }
    let n_rows = images.labels.len();
    let dataset = Dataset {
        row_shape,
        features: Arc::new(Features::U8(images.pixels)),
        selection: None,
        labels: Labels::Class(images.labels),
        weights: None,
        row_ids: (0..n_rows as i64).collect(),
        description: None,
        files: images.files,
    };
    Ok(match max_rows.filter(|max_rows| *max_rows < n_rows) {
        Some(max_rows) => dataset.subset(&(0..max_rows).collect::<Vec<_>>()),
        None => dataset,
    })
}

/// Where the file of `source` lies, and how the digest of the data counts it.
fn measure(
    folders: Folders<'_>,
    source: Option<&Source>,
) -> Result<(PathBuf, FileEntry), DataError> {
    let path = folders.locate(source);
    let mut head = [0; 64];
    let n_read = File::open(&path)
        .and_then(|mut file| file.read(&mut head))
        .map_err(DataError::read(&path))?;
    refuse_lfs_pointer(&path, &head[..n_read])?;
    let (sha256, size_bytes) = files::measure(&path)?;
    if let Some(remote) = source.and_then(Source::remote)
        && remote.sha256 != sha256
    {
        let problem = format!(
            "this download of `{}` has the digest {sha256}; remove it, and it is downloaded anew",
            remote.address()
        );
        return Err(DataError::malformed(&path, problem));
    }
    let path_in_manifest = source.map(|source| source.name().into_owned());
    let entry = FileEntry {
        path: path_in_manifest.unwrap_or_default(),
        sha256,
        size_bytes,
    };
    Ok((path, entry))
}

fn read_idx(path: &Path, size_bytes: u64) -> Result<Array, DataError> {
    let io = DataError::read(path);
    let malformed = |problem| DataError::malformed(path, problem);
    if size_bytes > MEMORY_BUDGET_BYTES || is_gzip_of_more(path, size_bytes) {
        let mut file = File::open(path).map_err(io)?;
        if is_gzip(&mut file).map_err(io)? {
            // Unpacked once, so that rows can be read in any order.
            let mut plain = tempfile::tempfile().map_err(io)?;
            std::io::copy(&mut flate2::read::MultiGzDecoder::new(file), &mut plain).map_err(
                |error| malformed(format!("the gzip stream is damaged or cut off ({error})")),
            )?;
            file = plain;
        }
        if let Some((shape, offset)) = idx::bytes_header(&mut file).map_err(malformed)? {
            let stored = Stored::new(file, offset, true);
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

fn is_gzip(file: &mut File) -> std::io::Result<bool> {
    let mut head = [0; 2];
    file.seek(SeekFrom::Start(0))?;
    let n_read = file.read(&mut head)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(n_read == 2 && head == [0x1f, 0x8b])
}

/// gzip ends with the size of its content, modulo 2^32. A wrong guess only costs memory.
fn is_gzip_of_more(path: &Path, size_bytes: u64) -> bool {
    let ending = || -> std::io::Result<u64> {
        let mut file = File::open(path)?;
        if size_bytes < 18 || !is_gzip(&mut file)? {
            return Ok(0);
        }
        file.seek(SeekFrom::End(-4))?;
        let mut size = [0; 4];
        file.read_exact(&mut size)?;
        Ok(u64::from(u32::from_le_bytes(size)))
    };
    ending().is_ok_and(|content_bytes| content_bytes > MEMORY_BUDGET_BYTES)
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
    };
    Ok(Array { shape, values })
}

fn check_finite(path: &Path, features: &Features, row_len: usize) -> Result<(), DataError> {
    let Features::F32(values) = features else {
        return Ok(());
    };
    match values.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(DataError::malformed(
            path,
            format!(
                "row {}, value {}: {} is not a finite number",
                at / row_len,
                at % row_len,
                values[at]
            ),
        )),
        None => Ok(()),
    }
}

fn class_labels(
    path: &Path,
    values: &[f64],
    n_classes: usize,
    place: impl Fn(usize) -> String,
) -> Result<Vec<u32>, DataError> {
    let is_class = |value: &f64| value.fract() == 0.0 && *value >= 0.0 && *value < n_classes as f64;
    match values.iter().position(|value| !is_class(value)) {
        Some(row) => {
            let last = n_classes.saturating_sub(1);
            let problem = format!(
                "{}: the label {} is not one of the {n_classes} classes (0 to {last})",
                place(row),
                values[row]
            );
            Err(DataError::malformed(path, problem))
        }
        None => Ok(values.iter().map(|value| *value as u32).collect()),
    }
}

fn value_labels(
    path: &Path,
    values: Vec<f64>,
    place: impl Fn(usize) -> String,
) -> Result<Vec<f64>, DataError> {
    match values.iter().position(|value| !value.is_finite()) {
        Some(row) => {
            let problem = format!(
                "{}: the label {} is not a finite number",
                place(row),
                values[row]
            );
            Err(DataError::malformed(path, problem))
        }
        None => Ok(values),
    }
}
