//! Evaluations of the same configuration under other seeds, which lie below a folder.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use trainyard_core::evaluation::{EVALUATION_FILE, Evaluation};
use trainyard_core::seed_scores::{Placed, seed_table};
use trainyard_runner::{ExitCode, WithExitCode as _, folders_with};

const HINT: &str = "train and evaluate the same configuration with other seeds on the same rows: `trainyard-train --seed 1 --out seeds/1`, \
                    `trainyard-evaluate --out seeds/1`, and so on";

/// Adds to `evaluation` how much each metric differs from seed to seed. Its own folder, `own`, is left out where it lies below `folder`.
pub(crate) fn add(evaluation: &mut Evaluation, folder: &Path, own: &Path) -> anyhow::Result<()> {
    let mut others = Vec::new();
    for folder in evaluations(folder, own)? {
        let (other, _) = Evaluation::open(&folder).exit_code(ExitCode::Data)?;
        others.push((folder.display().to_string(), other));
    }
    let others: Vec<Placed<'_>> = others
        .iter()
        .map(|(place, other)| (place.as_str(), other))
        .collect();
    let table = seed_table((&own.display().to_string(), evaluation), &others)
        .map_err(|error| anyhow!("`--seeds {}`: {error}", folder.display()))
        .exit_code(ExitCode::Data)
        .hint(HINT)?;
    evaluation.seeds = Some(table);
    Ok(())
}

/// The folders below `folder` that hold an evaluation, by name. A seed that has none is an error: left out, those that failed would
/// not count.
fn evaluations(folder: &Path, own: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let found = folders_with(EVALUATION_FILE, folder, Some(own)).exit_code(ExitCode::Usage)?;
    match found.named_without() {
        None => Ok(found.with),
        Some(without) => Err(anyhow!(
            "`--seeds {}`: there is no evaluation in {without}",
            folder.display(),
        ))
        .exit_code(ExitCode::Data)
        .hint("run `trainyard-evaluate --out` with that folder, or move what is not a seed's out of `--seeds`"),
    }
}
