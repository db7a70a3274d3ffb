//! Evaluations of the same configuration under other seeds, which lie below a folder.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use trainyard_core::evaluation::{EVALUATION_FILE, Evaluation};
use trainyard_core::seed_scores::seed_table;
use trainyard_runner::{ExitCode, WithExitCode as _};

const HINT: &str = "train and evaluate the same configuration with other seeds on the same rows: `trainyard-train --seed 1 --out seeds/1`, \
                    `trainyard-evaluate --out seeds/1`, and so on";

/// Adds to `evaluation` how much each metric differs from seed to seed. Its own folder, `own`, is left out where it lies below `folder`.
pub(crate) fn add(evaluation: &mut Evaluation, folder: &Path, own: &Path) -> anyhow::Result<()> {
    let mut others = Vec::new();
    for folder in evaluations(folder, own)? {
        let (other, _) = Evaluation::open(&folder).exit_code(ExitCode::Data)?;
        others.push((folder.display().to_string(), other));
    }
    let table = seed_table(evaluation, &others)
        .map_err(|error| anyhow!("`--seeds {}`: {error}", folder.display()))
        .exit_code(ExitCode::Data)
        .hint(HINT)?;
    evaluation.seeds = Some(table);
    Ok(())
}

/// The folders below `folder` that hold an evaluation, by name.
fn evaluations(folder: &Path, own: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let own = own.canonicalize().ok();
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        if folder.canonicalize().ok() == own && own.is_some() {
            continue;
        }
        if folder.join(EVALUATION_FILE).is_file() {
            found.push(folder);
            continue;
        }
        let entries = std::fs::read_dir(&folder)
            .map_err(|error| anyhow!("cannot read the folder `{}`: {error}", folder.display()))
            .exit_code(ExitCode::Usage)?;
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
