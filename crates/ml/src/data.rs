//! Datasets: files named by the configuration in, raw rows and labels out. Preprocessing is the network's business.

pub mod idx;
pub mod npz;

use std::path::{Path, PathBuf};

use trainyard_core::config::{Config, DataFormat};
use trainyard_core::digest::{self, Sha256Digest};
use trainyard_core::evaluation;
use trainyard_core::model::{FileEntry, Task};

use crate::random::{Purpose, Stream};

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file is missing or unreadable.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A pointer of Git LFS stands where the data should be.
    #[error(
        "`{}` is a Git LFS pointer, not the data itself\nhint: set `lfs: true` on `actions/checkout`, or run `git lfs pull`",
        path.display()
    )]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold what its format says.
    #[error("`{}`: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// Two files do not belong together.
    #[error("`{}` has {n_features} rows, but `{}` has {n_labels} labels", features.display(), labels.display())]
    Counts {
        /// The file of features.
        features: PathBuf,
        /// Its rows.
        n_features: usize,
        /// The file of labels.
        labels: PathBuf,
        /// Its rows.
        n_labels: usize,
    },
}

impl DataError {
    pub(crate) fn malformed(path: &Path, problem: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }
}

/// Which part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// `[data] train`.
    Train,
    /// `[data] test`.
    Test,
}

/// Raw rows and their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Shape of one row, as `[model] input_shape`.
    pub row_shape: Vec<usize>,
    /// `[n_rows, row_shape]`, row-major, before preprocessing.
    pub features: Features,
    /// One label a row.
    pub labels: Labels,
    /// What each row counts in training; 1 where there are none.
    pub weights: Option<Vec<f32>>,
    /// Each row's place in its file, from 0.
    pub row_ids: Vec<i64>,
    /// The files that it came from, with paths as the configuration writes them.
    pub files: Vec<FileEntry>,
}

/// Feature values, as compactly as the file held them.
#[derive(Debug, Clone, PartialEq)]
pub enum Features {
    /// Bytes, such as pixels.
    U8(Vec<u8>),
    /// Anything else.
    F32(Vec<f32>),
}

/// Labels.
#[derive(Debug, Clone, PartialEq)]
pub enum Labels {
    /// Class indices.
    Class(Vec<u32>),
    /// Numbers to predict.
    Value(Vec<f64>),
}

impl Labels {
    /// How many there are.
    pub const fn len(&self) -> usize {
        match self {
            Self::Class(labels) => labels.len(),
            Self::Value(labels) => labels.len(),
        }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn gather(&self, rows: &[usize]) -> Self {
        match self {
            Self::Class(labels) => Self::Class(rows.iter().map(|&row| labels[row]).collect()),
            Self::Value(labels) => Self::Value(rows.iter().map(|&row| labels[row]).collect()),
        }
    }
}

impl Dataset {
    /// Loads one part of the data that `config` names; its paths are relative to `base`.
    pub fn load(config: &Config, base: &Path, split: Split) -> Result<Self, DataError> {
        let (files, max_rows) = match split {
            Split::Train => (&config.data.train, config.data.max_train_rows),
            Split::Test => (&config.data.test, config.data.max_test_rows),
        };
        let (features_path, labels_path) = (base.join(&files.features), base.join(&files.labels));
        let ((features, features_entry), (labels, labels_entry)) = match config.data.format {
            DataFormat::Idx => (read_idx(&features_path)?, read_idx(&labels_path)?),
        };
        let n_rows = *features.shape.first().unwrap_or(&0);
        if labels.shape.len() != 1 {
            return Err(DataError::malformed(
                &labels_path,
                format!(
                    "labels must have one axis, but the shape is {:?}",
                    labels.shape
                ),
            ));
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
            idx::Values::U8(values) => Features::U8(values),
            other => Features::F32(finite_features(&features_path, other, row_len)?),
        };
        features.truncate(n_kept * row_len);
        let labels = match config.model.task {
            Task::Classification => {
                let n_classes = config.data.classes.as_ref().map_or(0, Vec::len);
                Labels::Class(class_labels(&labels_path, &labels.values, n_classes)?)
            }
            Task::Regression => Labels::Value(value_labels(&labels_path, &labels.values)?),
        };
        let labels = labels.gather(&(0..n_kept).collect::<Vec<_>>());
        let files = [
            (&files.features, features_entry),
            (&files.labels, labels_entry),
        ];
        let files = files.map(|(path, (sha256, size_bytes))| FileEntry {
            path: path.to_string_lossy().replace('\\', "/"),
            sha256,
            size_bytes,
        });
        Ok(Self {
            row_shape,
            features,
            labels,
            weights: None,
            row_ids: (0..n_kept as i64).collect(),
            files: files.into(),
        })
    }

    /// Number of rows.
    pub const fn n_rows(&self) -> usize {
        self.row_ids.len()
    }

    /// Values of one row.
    pub fn row_len(&self) -> usize {
        self.row_shape.iter().product()
    }

    /// The digest of the data: of its files, and of how many rows of them are used.
    pub fn digest(&self) -> Sha256Digest {
        let files = digest::of_file_set(
            self.files
                .iter()
                .map(|f| (&f.sha256, f.size_bytes, f.path.as_str())),
        );
        Sha256Digest::of(format!("{files} {}\n", self.n_rows()).as_bytes())
    }

    /// The digest that two evaluations share exactly when their rows can be paired.
    pub fn row_set_digest(&self) -> Sha256Digest {
        match &self.labels {
            Labels::Class(labels) => {
                evaluation::row_set_digest(&self.row_ids, labels.iter().map(u32::to_string))
            }
            Labels::Value(labels) => {
                evaluation::row_set_digest(&self.row_ids, labels.iter().map(f64::to_string))
            }
        }
    }

    /// Writes the raw features of `rows` to `out[rows.len(), row_len]`.
    pub fn gather(&self, rows: &[u32], out: &mut [f32]) {
        let row_len = self.row_len();
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(row_len)) {
            let row = row as usize;
            let range = row * row_len..(row + 1) * row_len;
            match &self.features {
                Features::U8(values) => {
                    out.iter_mut()
                        .zip(&values[range])
                        .for_each(|(out, &value)| *out = f32::from(value));
                }
                Features::F32(values) => out.copy_from_slice(&values[range]),
            }
        }
    }

    /// The labels of `rows`.
    pub fn labels_of(&self, rows: &[u32]) -> Labels {
        let at = rows.iter().map(|&row| row as usize);
        match &self.labels {
            Labels::Class(labels) => Labels::Class(at.map(|row| labels[row]).collect()),
            Labels::Value(labels) => Labels::Value(at.map(|row| labels[row]).collect()),
        }
    }

    /// The weights of `rows`, where there are any.
    pub fn weights_of(&self, rows: &[u32]) -> Option<Vec<f32>> {
        let weights = self.weights.as_ref()?;
        Some(rows.iter().map(|&row| weights[row as usize]).collect())
    }

    /// The rows at `rows` as a dataset of their own.
    #[must_use]
    pub fn subset(&self, rows: &[usize]) -> Self {
        let row_len = self.row_len();
        let ranges = rows.iter().map(|row| row * row_len..(row + 1) * row_len);
        let features = match &self.features {
            Features::U8(values) => Features::U8(
                ranges
                    .flat_map(|range| values[range].iter().copied())
                    .collect(),
            ),
            Features::F32(values) => Features::F32(
                ranges
                    .flat_map(|range| values[range].iter().copied())
                    .collect(),
            ),
        };
        Self {
            row_shape: self.row_shape.clone(),
            features,
            labels: self.labels.gather(rows),
            weights: self
                .weights
                .as_ref()
                .map(|weights| rows.iter().map(|&row| weights[row]).collect()),
            row_ids: rows.iter().map(|&row| self.row_ids[row]).collect(),
            files: self.files.clone(),
        }
    }

    /// Splits off the share `fraction` of the rows, drawn by `seed` and stratified by class: (kept, split off).
    ///
    /// At least one row of each class stays. `None` when the share comes to no row.
    pub fn split_validation(&self, fraction: f64, seed: u64) -> Option<(Self, Self)> {
        let mut strata: std::collections::BTreeMap<u32, Vec<usize>> =
            std::collections::BTreeMap::new();
        for row in 0..self.n_rows() {
            let stratum = match &self.labels {
                Labels::Class(labels) => labels[row],
                Labels::Value(_) => 0,
            };
            strata.entry(stratum).or_default().push(row);
        }
        let mut is_held_out = vec![false; self.n_rows()];
        for (stratum, mut rows) in strata {
            Stream::new(seed, Purpose::Split, stratum).shuffle(&mut rows);
            let n_held_out = ((rows.len() as f64 * fraction).round() as usize).min(rows.len() - 1);
            rows.iter()
                .take(n_held_out)
                .for_each(|&row| is_held_out[row] = true);
        }
        let (held_out, kept): (Vec<usize>, Vec<usize>) =
            (0..self.n_rows()).partition(|&row| is_held_out[row]);
        (!held_out.is_empty()).then(|| (self.subset(&kept), self.subset(&held_out)))
    }
}

impl Features {
    fn truncate(&mut self, len: usize) {
        match self {
            Self::U8(values) => values.truncate(len),
            Self::F32(values) => values.truncate(len),
        }
    }
}

/// Refuses a Git LFS pointer; `head` is how the file begins.
pub(crate) fn refuse_lfs_pointer(path: &Path, head: &[u8]) -> Result<(), DataError> {
    if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Err(DataError::LfsPointer {
            path: path.to_owned(),
        });
    }
    Ok(())
}

fn read_idx(path: &Path) -> Result<(idx::Array, (Sha256Digest, u64)), DataError> {
    let error = |source| DataError::Read {
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::read(path).map_err(error)?;
    let entry = (Sha256Digest::of(&bytes), bytes.len() as u64);
    refuse_lfs_pointer(path, &bytes)?;
    let array = idx::parse(&bytes).map_err(|problem| DataError::malformed(path, problem))?;
    Ok((array, entry))
}

fn finite_features(
    path: &Path,
    values: idx::Values,
    row_len: usize,
) -> Result<Vec<f32>, DataError> {
    let values = values.into_f64();
    match values.iter().position(|value| !(*value as f32).is_finite()) {
        Some(at) => Err(DataError::malformed(
            path,
            format!(
                "row {}, value {}: {} is not a finite number",
                at / row_len,
                at % row_len,
                values[at]
            ),
        )),
        None => Ok(values.into_iter().map(|value| value as f32).collect()),
    }
}

fn class_labels(
    path: &Path,
    values: &idx::Values,
    n_classes: usize,
) -> Result<Vec<u32>, DataError> {
    let values = values.clone().into_f64();
    let is_class = |value: &f64| value.fract() == 0.0 && *value >= 0.0 && *value < n_classes as f64;
    match values.iter().position(|value| !is_class(value)) {
        Some(row) => Err(DataError::malformed(
            path,
            format!(
                "row {row}: the label {} is not one of the {n_classes} classes (0 to {})",
                values[row],
                n_classes - 1
            ),
        )),
        None => Ok(values.into_iter().map(|value| value as u32).collect()),
    }
}

fn value_labels(path: &Path, values: &idx::Values) -> Result<Vec<f64>, DataError> {
    let values = values.clone().into_f64();
    match values.iter().position(|value| !value.is_finite()) {
        Some(row) => Err(DataError::malformed(
            path,
            format!(
                "row {row}: the label {} is not a finite number",
                values[row]
            ),
        )),
        None => Ok(values),
    }
}
