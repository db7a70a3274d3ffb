//! What missing values are filled with.

use std::path::Path;

use trainyard_core::config::{CsvConfig, Missing};

use super::{TableProblem, read};
use crate::data::error::DataError;
use crate::data::excerpt::Excerpt;

/// The mean of each feature column over the cells that are there, in f64.
pub(in crate::data) fn means(
    path: &Path,
    config: &CsvConfig,
    classes: &[String],
) -> Result<Vec<f32>, DataError> {
    let absent = CsvConfig {
        missing: Missing::Mean,
        ..config.clone()
    };
    let table = read(path, &absent, classes, None, false)?;
    let mut sums = vec![(0.0_f64, 0_u64); table.n_columns];
    let mut row = vec![0.0; table.n_columns];
    for idx in 0..table.labels.len() {
        table.features.read(idx * table.n_columns, &mut row)?;
        for ((sum, n), &value) in sums
            .iter_mut()
            .zip(&row)
            .filter(|(_, value)| !value.is_nan())
        {
            *sum += f64::from(value);
            *n += 1;
        }
    }
    sums.iter()
        .zip(&table.columns)
        .map(|((sum, n), column)| match n {
            0 => Err(DataError::table(path)(TableProblem::NoMean {
                column: Excerpt::of(&column.name),
            })),
            n => Ok((sum / *n as f64) as f32),
        })
        .collect()
}
