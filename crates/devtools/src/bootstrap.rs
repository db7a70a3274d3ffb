//! Bootstraps metrics of the confusion matrix of predictions, as `cargo xtask bench evaluate` times it beside NumPy.
//!
//! `bootstrap PREDICTIONS.npz REPLICATES`: the rows are counted once, and each replicate draws the counts.

#![expect(clippy::print_stdout, reason = "a command-line tool for developers")]

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow, bail};
use clap::Parser;
use trainyard_core::metrics::Confusion;
use trainyard_core::statistics::{CellBootstrap, CellStatistic};
use trainyard_ml::data::npz::{Array, Values, read_npz_from};

/// Bootstrap accuracy, macro recall, macro F1 and MCC.
#[derive(Parser)]
struct Cli {
    /// Predictions with the arrays `label` and `predicted`, class indices.
    predictions: PathBuf,
    /// Replicates.
    replicates: usize,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    let file = File::open(&cli.predictions)
        .with_context(|| format!("cannot open `{}`", cli.predictions.display()))?;
    let mut arrays = read_npz_from(file).map_err(|problem| anyhow!(problem))?;
    let mut take = |name: &str| {
        let array = arrays.remove(name);
        indices(array.with_context(|| format!("there is no array `{name}`"))?)
    };
    let (labels, predicted) = (take("label")?, take("predicted")?);
    let n_classes = labels
        .iter()
        .chain(&predicted)
        .max()
        .map_or(0, |max| max + 1);
    let mut table = vec![0_u64; n_classes * n_classes];
    for (label, predicted) in labels.iter().zip(&predicted) {
        table[label * n_classes + predicted] += 1;
    }
    let classes = (0..n_classes).map(|class| class.to_string()).collect();
    let cells = table.iter().enumerate();
    let cells = cells.map(|(cell, &n)| ((cell / n_classes) as u32, (cell % n_classes) as u32, n));
    let confusion = Confusion::new(classes, cells);
    let places = confusion.counts().cells().to_vec();
    let counts: Vec<u64> = places.iter().map(|cell| cell.2).collect();
    let sums = |counts: &[u64]| {
        let mut sums = vec![[0.0; 3]; n_classes];
        for (&(label, predicted, _), &n) in places.iter().zip(counts) {
            sums[label as usize][0] += n as f64;
            sums[predicted as usize][1] += n as f64;
            if label == predicted {
                sums[label as usize][2] += n as f64;
            }
        }
        sums
    };
    let mean = |of: fn(&[f64; 3]) -> f64, counts: &[u64]| {
        sums(counts).iter().map(of).sum::<f64>() / n_classes as f64
    };
    let accuracy = |counts: &[u64]| {
        let sums = sums(counts);
        let total = |place: usize| sums.iter().map(|class| class[place]).sum::<f64>();
        total(2) / total(0)
    };
    let recall = |counts: &[u64]| mean(|[labelled, _, right]| right / labelled.max(1.0), counts);
    let f1 = |counts: &[u64]| {
        mean(
            |[labelled, guessed, right]| 2.0 * right / (labelled + guessed).max(1.0),
            counts,
        )
    };
    let matthews = |counts: &[u64]| {
        let sums = sums(counts);
        let total = |of: fn(&[f64; 3]) -> f64| sums.iter().map(of).sum::<f64>();
        let (n, right) = (total(|class| class[0]), total(|class| class[2]));
        let chance = total(|class| class[0] * class[1]);
        let (labelled, guessed) = (
            total(|class| class[0] * class[0]),
            total(|class| class[1] * class[1]),
        );
        (n * right - chance) / ((n * n - labelled) * (n * n - guessed)).sqrt()
    };
    let statistics: [(&str, &CellStatistic<'_>); 4] = [
        ("accuracy", &accuracy),
        ("recall_macro", &recall),
        ("f1_macro", &f1),
        ("matthews_corrcoef", &matthews),
    ];
    let functions = statistics.map(|(_, statistic)| statistic);
    let all = CellBootstrap::of(&counts, cli.replicates, 1, &functions);
    for ((name, _), bootstrap) in statistics.iter().zip(all) {
        let interval = bootstrap.percentile(0.95)?;
        println!(
            "{name} {} {} {}",
            bootstrap.value, interval.lower, interval.upper
        );
    }
    Ok(())
}

fn indices(array: Array) -> anyhow::Result<Vec<usize>> {
    match array.values {
        Values::I64(values) => {
            let indices = values.into_iter().map(usize::try_from);
            indices
                .collect::<Result<_, _>>()
                .context("a class is below 0")
        }
        Values::U8(values) => Ok(values.into_iter().map(usize::from).collect()),
        _ => bail!("classes are not whole numbers"),
    }
}
