//! From rows of a data set to the input of a batch.

use std::sync::{Mutex, PoisonError};

use super::Network;
use crate::data::{DataError, Dataset};
use crate::threads::Threads;

/// Rows that one thread gathers at a time.
const ROWS: usize = 16;

/// Writes the preprocessed rows of a batch to `input[batch.len(), n_inputs]`.
pub(crate) fn load(
    network: &Network,
    input: &mut [f32],
    rows: &Dataset,
    batch: &[u32],
    threads: &Threads,
) -> Result<(), DataError> {
    let row_len = network.n_inputs();
    let work = input
        .chunks_mut(ROWS * row_len)
        .zip(batch.chunks(ROWS))
        .collect();
    // The batch is of no use once a part is missing, so whichever thread fails first may say so.
    let failure = Mutex::new(None);
    threads.for_each(work, |(input, batch): (&mut [f32], &[u32])| {
        match rows.gather(batch, input) {
            Ok(()) => network.preprocess(input),
            Err(error) => {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error);
            }
        }
    });
    let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    failure.map_or(Ok(()), Err)
}
