//! From rows of a data set to a batch in a workspace.

use super::{Network, Workspace};
use crate::data::Dataset;
use crate::threads::Threads;

/// Rows that one thread gathers at a time.
const ROWS: usize = 16;

/// Writes the preprocessed rows of a batch into the workspace.
pub(crate) fn load(
    network: &Network,
    workspace: &mut Workspace,
    rows: &Dataset,
    batch: &[u32],
    threads: &Threads,
) {
    let row_len = network.n_inputs();
    let input = workspace.input_mut(batch.len());
    let work = input
        .chunks_mut(ROWS * row_len)
        .zip(batch.chunks(ROWS))
        .collect();
    threads.for_each(work, |(input, batch): (&mut [f32], &[u32])| {
        rows.gather(batch, input);
        network.preprocess(input);
    });
}
