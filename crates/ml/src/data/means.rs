//! What missing values are filled with.

use std::path::Path;

use super::error::DataError;
use super::excerpt::Excerpt;
use super::features::Features;
use super::table::TableProblem;

/// The mean of each of the columns `names` over the `rows` of `features` that have a value there, in f64 and in this
/// order; `path` is the table's, for errors.
pub(super) fn means(
    features: &Features,
    rows: impl Iterator<Item = usize>,
    names: &[String],
    path: &Path,
) -> Result<Vec<f32>, DataError> {
    let n_columns = names.len();
    let mut sums = vec![(0.0_f64, 0_u64); n_columns];
    let mut row = vec![0.0; n_columns];
    for stored in rows {
        features.read(stored * n_columns, &mut row)?;
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
        .zip(names)
        .map(|((sum, n), name)| match n {
            0 => Err(DataError::table(path)(TableProblem::NoMean {
                column: Excerpt::of(name),
            })),
            n => Ok((sum / *n as f64) as f32),
        })
        .collect()
}
