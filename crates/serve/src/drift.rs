//! Drift: whether the rows of now, and what is predicted for them, are distributed as those of training were.
//!
//! Rows are counted into the bins of the summaries in `model.json` as they are computed, by atomic additions and without a lock. The
//! distances between these counts and the summaries' are worked out when Prometheus asks.

pub(crate) mod page;
mod window;

use anyhow::ensure;
use trainyard_core::drift::class_bins;
use trainyard_core::model::{
    Histogram, InputSummary, ModelManifest, PredictedDistribution, RowSummary, SummaryScope,
    ValueSummary,
};

use window::{Counts, Window};

/// Features that are measured under their own names: each is a series that Prometheus keeps. Of the others the largest drift is told.
const MAX_FEATURES: usize = 64;

/// Bins for predicted classes: the rarest of more classes share one.
const MAX_CLASS_BINS: usize = 64;

/// Rows counted of each batch that is computed, spread evenly over it. It bounds what counting costs where many rows are computed at a
/// time, and what one large request weighs.
const MAX_ROWS_OF_BATCH: usize = 8;

/// How drift is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub(crate) struct DriftArgs {
    /// Drift is measured over the latest rows: at most so many, and at least half of them. 0 measures none.
    #[arg(long, value_name = "ROWS", default_value_t = 10_000)]
    pub(crate) drift_window: u32,
    /// Drift is told from so many rows on; at most half of `--drift-window`.
    #[arg(long, value_name = "ROWS", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) drift_min_rows: u32,
}

/// Less would be rotated within one batch.
const MIN_WINDOW: u32 = 100;

impl DriftArgs {
    /// Fails where the options contradict themselves.
    pub(crate) fn check(self) -> anyhow::Result<()> {
        let Self {
            drift_window,
            drift_min_rows,
        } = self;
        if drift_window == 0 {
            return Ok(());
        }
        ensure!(
            drift_window >= MIN_WINDOW,
            "`--drift-window {drift_window}` is too short: set it to {MIN_WINDOW} or more, or to 0 to measure no drift"
        );
        ensure!(
            drift_min_rows <= drift_window / 2,
            "`--drift-min-rows {drift_min_rows}` is more than half of `--drift-window {drift_window}`, whose rows are between half of it and all of it: set `--drift-window` to {} or more",
            2 * u64::from(drift_min_rows)
        );
        Ok(())
    }
}

/// Counts of the latest rows beside what training stored.
#[derive(Debug)]
pub(crate) struct Drift {
    min_rows: u64,
    /// Empty where nothing is known of the training inputs.
    features: Vec<Feature>,
    /// What of a row the features are.
    kind: InputKind,
    predictions: Option<Predictions>,
    window: Window,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InputKind {
    /// Each value of a row.
    Columns,
    /// Mean and contrast of a row.
    Rows,
}

/// A column, or a property of rows.
#[derive(Debug)]
struct Feature {
    name: String,
    reference: Histogram,
    /// Where its bins begin among all counts.
    first: usize,
}

/// What is predicted.
#[derive(Debug)]
struct Predictions {
    bins: PredictionBins,
    /// One count a bin.
    reference: Vec<u64>,
    first: usize,
}

#[derive(Debug)]
enum PredictionBins {
    /// The bin of each class.
    Classes(Vec<usize>),
    /// The ranges of a number.
    Values(Histogram),
}

impl Drift {
    /// For a model with this manifest. What cannot be measured is said in the log.
    pub(crate) fn new(manifest: &ModelManifest, args: DriftArgs) -> Self {
        let mut n_bins = 0;
        let (mut features, mut kind, mut predictions) = (Vec::new(), InputKind::Columns, None);
        if args.drift_window > 0 {
            match measured(manifest) {
                Ok((found, parts)) => {
                    kind = found;
                    for (name, part) in parts {
                        let reference = part.histogram.clone();
                        let first = n_bins;
                        n_bins += reference.counts.len();
                        features.push(Feature {
                            name,
                            reference,
                            first,
                        });
                    }
                }
                Err(missing) => {
                    tracing::info!("drift of inputs is not measured: {}", missing.reason());
                }
            }
            predictions = Predictions::of(manifest, n_bins);
            if let Some(found) = &predictions {
                n_bins += found.reference.len();
            } else {
                tracing::info!(
                    "drift of predictions is not measured: `model.json` has no `prediction_summary`; train the model again to store it"
                );
            }
        }
        Self {
            min_rows: args.drift_min_rows.into(),
            features,
            kind,
            predictions,
            window: Window::new(args.drift_window as usize / 2, n_bins),
        }
    }

    /// Whether anything is counted.
    pub(crate) const fn is_measured(&self) -> bool {
        !self.features.is_empty() || self.predictions.is_some()
    }

    /// Counts raw rows `[n_rows, …]`, with their scores `[n_rows, n_outputs]` and predicted classes.
    pub(crate) fn observe(
        &self,
        n_rows: usize,
        rows: &[f32],
        scores: &[f32],
        predicted: Option<&[usize]>,
    ) {
        if !self.is_measured() || n_rows == 0 {
            return;
        }
        let (row_len, n_outputs) = (rows.len() / n_rows, scores.len() / n_rows);
        let step = n_rows.div_ceil(MAX_ROWS_OF_BATCH);
        let counts = self.window.begin(n_rows.div_ceil(step));
        for idx in (0..n_rows).step_by(step) {
            self.count_input(&rows[idx * row_len..][..row_len], counts);
            if let Some(predictions) = &self.predictions {
                let class = predicted.and_then(|predicted| predicted.get(idx));
                let score = scores.get(idx * n_outputs);
                if let Some(bin) = predictions.bin(class, score) {
                    counts.add(predictions.first + bin);
                }
            }
        }
    }

    fn count_input(&self, row: &[f32], counts: &Counts) {
        // As in training, what is not finite is not counted.
        let count = |feature: &Feature, value: f64| {
            if value.is_finite() {
                counts.add(feature.first + feature.reference.bin_of(value));
            }
        };
        match self.kind {
            InputKind::Columns => {
                let features = self.features.iter().zip(row);
                features.for_each(|(feature, value)| count(feature, f64::from(*value)));
            }
            InputKind::Rows => {
                if let ([mean, contrast], Some(found)) =
                    (self.features.as_slice(), RowSummary::of_row(row))
                {
                    // Training has stored their distribution in single precision.
                    count(mean, f64::from(found.0 as f32));
                    count(contrast, f64::from(found.1 as f32));
                }
            }
        }
    }
}

/// Each part of the inputs that is measured, by name.
type Parts<'a> = Vec<(String, &'a ValueSummary)>;

/// What `model.json` would need for inputs to be measured.
enum Missing {
    InputSummary,
    Rows,
}

impl Missing {
    const fn reason(&self) -> &'static str {
        match self {
            Self::InputSummary => "`model.json` has no `input_summary`",
            Self::Rows => {
                "`input_summary` in `model.json` has no `rows`; train the model again to store it"
            }
        }
    }
}

/// What of the inputs is measured.
fn measured(manifest: &ModelManifest) -> Result<(InputKind, Parts<'_>), Missing> {
    let summary = manifest.input_summary.as_ref();
    let InputSummary {
        over, parts, rows, ..
    } = summary.ok_or(Missing::InputSummary)?;
    if *over != SummaryScope::Feature {
        let rows = rows.as_ref().ok_or(Missing::Rows)?;
        let parts = [("mean", &rows.mean), ("contrast", &rows.contrast)];
        let parts = parts.map(|(name, part)| (name.to_owned(), part));
        return Ok((InputKind::Rows, parts.into()));
    }
    let columns = manifest.columns.as_deref().unwrap_or_default();
    let named = |(idx, part): (usize, _)| {
        let name = columns.get(idx).cloned();
        (name.unwrap_or_else(|| idx.to_string()), part)
    };
    let parts = parts.iter().enumerate().map(named).collect();
    Ok((InputKind::Columns, parts))
}

impl Predictions {
    /// Those of a model with this manifest, whose bins begin at `first`.
    fn of(manifest: &ModelManifest, first: usize) -> Option<Self> {
        let summary = manifest.prediction_summary.as_ref()?;
        let (bins, reference) = match &summary.predicted {
            PredictedDistribution::Classes(counts) => {
                let bins = class_bins(counts, MAX_CLASS_BINS);
                let mut reference = vec![0; counts.len().min(MAX_CLASS_BINS)];
                for (bin, count) in bins.iter().zip(counts) {
                    reference[*bin] += count;
                }
                (PredictionBins::Classes(bins), reference)
            }
            PredictedDistribution::Values(values) => {
                let histogram = values.histogram.clone();
                let reference = histogram.counts.clone();
                (PredictionBins::Values(histogram), reference)
            }
        };
        Some(Self {
            bins,
            reference,
            first,
        })
    }

    /// Of a row with this class, or this number.
    fn bin(&self, class: Option<&usize>, value: Option<&f32>) -> Option<usize> {
        match &self.bins {
            PredictionBins::Classes(bins) => bins.get(*class?).copied(),
            PredictionBins::Values(histogram) => {
                let value = f64::from(*value?);
                value.is_finite().then(|| histogram.bin_of(value))
            }
        }
    }
}

#[cfg(test)]
mod tests;
