//! Raw rows and their labels, whatever format they were read from.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use trainyard_core::digest::{self, DigestBuilder, Sha256Digest};
use trainyard_core::model::FileEntry;

use super::error::DataError;
use super::features::Features;
use super::means::means;
use super::row_labels::Labels;
use crate::random::{Purpose, Stream};

/// Raw rows and their labels.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Shape of one row, as `[model] input_shape`.
    pub row_shape: Vec<usize>,
    /// Row-major, before preprocessing; shared with the datasets that this one is a part of.
    pub features: Arc<Features>,
    /// Which of the features' rows are this dataset's; all of them where there is no list.
    pub selection: Option<Arc<Vec<u32>>>,
    /// One label a row.
    pub labels: Labels,
    /// What each row counts in training; 1 where there are none.
    pub weights: Option<Vec<f32>>,
    /// Any text, unique; where the data has ids.
    pub row_ids: Option<Vec<String>>,
    /// What stands for each column's missing values, which the features hold as NaN; where they are filled with means.
    pub fill: Option<Arc<Vec<f32>>>,
    /// The texts of columns that folds follow, by name.
    pub keys: BTreeMap<String, Vec<String>>,
    /// Names of the features, where each is a column of its own.
    pub columns: Option<Vec<String>>,
    /// What was read, in lines of text: of a table its columns by role, with the types that were found; of a folder its
    /// images by class.
    pub description: Vec<String>,
    /// What was not read though it lies there, in lines of text.
    pub warnings: Vec<String>,
    /// The files that it came from, with paths as the configuration writes them.
    pub files: Vec<FileEntry>,
}

impl Dataset {
    /// Number of rows.
    pub const fn n_rows(&self) -> usize {
        self.labels.len()
    }

    /// Which of the features' rows is the row `row`.
    fn stored(&self, row: usize) -> usize {
        self.selection
            .as_ref()
            .map_or(row, |selection| selection[row] as usize)
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

    /// Digests of the raw features of all rows, before preprocessing: one a column where the columns have names, else
    /// one of all, called `input`. They tell rows without ids apart.
    ///
    /// # Errors
    ///
    /// Where rows are left on the disk and their file cannot be read any more.
    pub fn column_digests(&self) -> Result<BTreeMap<String, Sha256Digest>, DataError> {
        const BATCH_ROWS: usize = 256;
        // A record of a baseline holds every digest, and has room for some hundreds.
        const MAX_COLUMNS: usize = 128;
        let names = match &self.columns {
            Some(names) if names.len() <= MAX_COLUMNS => names.as_slice(),
            _ => &["input".to_owned()],
        };
        let mut digests = vec![DigestBuilder::new("input"); names.len()];
        let width = self.row_len() / names.len();
        let rows: Vec<u32> = (0..self.n_rows() as u32).collect();
        let mut values = vec![0.0_f32; BATCH_ROWS * self.row_len()];
        let mut bytes = Vec::with_capacity(values.len() * 4);
        for batch in rows.chunks(BATCH_ROWS) {
            let values = &mut values[..batch.len() * self.row_len()];
            self.gather(batch, values)?;
            for (column, digest) in digests.iter_mut().enumerate() {
                let cells = values.chunks_exact(width).skip(column).step_by(names.len());
                bytes.clear();
                bytes.extend(cells.flatten().flat_map(|value| value.to_le_bytes()));
                digest.bytes(&bytes);
            }
        }
        let digests = digests.into_iter().map(DigestBuilder::finish);
        Ok(names.iter().cloned().zip(digests).collect())
    }

    /// Writes the raw features of `rows` to `out[rows.len(), row_len]`.
    ///
    /// # Errors
    ///
    /// Where rows are left on the disk and their file cannot be read any more.
    pub fn gather(&self, rows: &[u32], out: &mut [f32]) -> Result<(), DataError> {
        let row_len = self.row_len();
        for (&row, out) in rows.iter().zip(out.chunks_exact_mut(row_len)) {
            self.features
                .read(self.stored(row as usize) * row_len, out)?;
            if let Some(fill) = &self.fill {
                let missing = out.iter_mut().zip(fill.iter());
                missing
                    .filter(|(value, _)| value.is_nan())
                    .for_each(|(value, fill)| *value = *fill);
            }
        }
        Ok(())
    }

    /// The raw feature `name` of all rows, as its table writes it; `None` where no feature is a column of that name.
    ///
    /// # Errors
    ///
    /// Where rows are left on the disk and their file cannot be read any more.
    pub fn feature(&self, name: &str) -> Result<Option<Vec<f64>>, DataError> {
        let mut names = self.columns.iter().flatten();
        let Some(idx) = names.position(|column| column == name) else {
            return Ok(None);
        };
        // The shortest decimal number that is this one in single precision: 0.1, not 0.10000000149.
        let written = |value: f32| {
            value
                .to_string()
                .parse()
                .unwrap_or_else(|_| f64::from(value))
        };
        let mut values = vec![0.0_f32; self.row_len()];
        let mut feature = Vec::with_capacity(self.n_rows());
        for row in 0..self.n_rows() as u32 {
            self.gather(&[row], &mut values)?;
            feature.push(written(values[idx]));
        }
        Ok(Some(feature))
    }

    /// The same rows, their missing values filled with the means over `training` where these were filled with means: what
    /// a test row lacks must not be learnt from other test rows.
    ///
    /// # Errors
    ///
    /// Where a column has no value in `training`, or its rows cannot be read any more.
    pub fn fill_with_means_of(self, training: &Self) -> Result<Self, DataError> {
        let fill = match (&self.fill, &training.columns) {
            (Some(_), Some(names)) => {
                let rows = (0..training.n_rows()).map(|row| training.stored(row));
                let path = training.files.first().map_or("", |file| &file.path);
                let means = means(&training.features, rows, names, Path::new(path))?;
                Some(Arc::new(means))
            }
            _ => None,
        };
        Ok(Self { fill, ..self })
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

    /// The rows at `rows` as a dataset of their own, which shares the features.
    #[must_use]
    pub fn subset(&self, rows: &[usize]) -> Self {
        let stored = rows.iter().map(|&row| self.stored(row) as u32);
        Self {
            row_shape: self.row_shape.clone(),
            features: Arc::clone(&self.features),
            selection: Some(Arc::new(stored.collect())),
            labels: self.labels.gather(rows),
            weights: self
                .weights
                .as_ref()
                .map(|weights| rows.iter().map(|&row| weights[row]).collect()),
            row_ids: self
                .row_ids
                .as_ref()
                .map(|row_ids| rows.iter().map(|&row| row_ids[row].clone()).collect()),
            fill: self.fill.clone(),
            keys: self
                .keys
                .iter()
                .map(|(name, keys)| {
                    let keys = rows.iter().map(|&row| keys[row].clone()).collect();
                    (name.clone(), keys)
                })
                .collect(),
            columns: self.columns.clone(),
            description: self.description.clone(),
            warnings: self.warnings.clone(),
            files: self.files.clone(),
        }
    }

    /// Splits off the share `fraction` of the rows, drawn by `seed` and stratified by class: (kept, split off).
    ///
    /// At least one row of each class stays. `None` when the share comes to no row.
    pub fn split_validation(&self, fraction: f64, seed: u64) -> Option<(Self, Self)> {
        let mut strata: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
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
