//! One population at one number of rows: samples drawn, intervals made, misses counted, widths compared.

use trainyard_core::statistics::{Fold, Interval, NoInterval};

use crate::random::Random;

/// The group of a row and its value.
pub(crate) type GroupedRow = (u64, f64);

/// The label and both models' scores.
pub(crate) type ScoredRow = (bool, f64, f64);

/// How much is simulated.
pub(crate) struct Settings {
    pub(crate) n_samples: u32,
    pub(crate) n_bootstrap_samples: u32,
    pub(crate) n_replicates: u32,
    pub(crate) confidence: f64,
    pub(crate) seed: u64,
}

impl Settings {
    /// The nominal share of samples that an end misses.
    pub(crate) fn tail(&self) -> f64 {
        (1.0 - self.confidence) / 2.0
    }

    /// The largest share of samples that an end may miss: nominal, one point, and two standard errors of this simulation.
    pub(crate) fn miss_limit(&self) -> f64 {
        let nominal = self.tail();
        nominal + 0.01 + 2.0 * (nominal * (1.0 - nominal) / f64::from(self.n_samples)).sqrt()
    }
}

/// What is promised of a figure at a number of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Nothing: reported only.
    None,
    /// How often each end misses.
    Misses,
    /// That, and at most 1 % without an interval.
    MissesAndDecided,
    /// All that, and at most 1.3 times the width of the percentile bootstrap's.
    MissesAndWidth,
}

/// A figure of a sample `S`.
pub(crate) struct Figure<S: ?Sized> {
    pub(crate) metric: String,
    pub(crate) claim: fn(usize) -> Claim,
    pub(crate) truth: Box<dyn Fn(&S) -> f64 + Sync>,
    pub(crate) value: Box<dyn Fn(&S) -> f64 + Sync>,
    pub(crate) interval: Box<IntervalOf<S>>,
}

type IntervalOf<S> = dyn Fn(&S, f64) -> Result<Interval, NoInterval> + Sync;

/// Where samples come from.
pub(crate) struct Population {
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    /// Rows fall into cells, of the probabilities given; a sample is the number of rows in each.
    Cells(Vec<f64>, Vec<Figure<[u64]>>),
    /// Each row has a value.
    Values(fn(&mut Random) -> f64, Vec<Figure<[f64]>>),
    /// Each row has a label and two scores.
    Scored(Draw<ScoredRow>, Vec<Figure<[ScoredRow]>>),
    /// Each row has a group and a value; groups are resampled whole.
    Grouped(
        fn(usize, &mut Random) -> Vec<GroupedRow>,
        Vec<Figure<[GroupedRow]>>,
    ),
    /// Rows are cross-validated; a sample is the folds.
    Folds(Draw<Fold>, Vec<Figure<[Fold]>>),
}

/// A sample of so many rows.
type Draw<T> = Box<dyn Fn(usize, &mut Random) -> Vec<T> + Sync>;

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    pub(crate) metric: String,
    pub(crate) population: String,
    pub(crate) n: usize,
    pub(crate) claim: Claim,
    n_samples: u32,
    n_below: u32,
    n_above: u32,
    n_refused: u32,
    widths: Mean,
    compared: Mean,
    bootstrap: Mean,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: f64,
    n: u32,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.n += 1;
    }

    fn value(self) -> f64 {
        self.sum / f64::from(self.n)
    }
}

impl Cell {
    /// Share of samples whose interval lies below the truth.
    pub(crate) fn miss_below(&self) -> f64 {
        f64::from(self.n_below) / f64::from(self.n_samples)
    }

    /// Share of samples whose interval lies above the truth.
    pub(crate) fn miss_above(&self) -> f64 {
        f64::from(self.n_above) / f64::from(self.n_samples)
    }

    /// Share of samples without an interval.
    pub(crate) fn refused(&self) -> f64 {
        f64::from(self.n_refused) / f64::from(self.n_samples)
    }

    pub(crate) fn width(&self) -> f64 {
        self.widths.value()
    }

    pub(crate) fn bootstrap_width(&self) -> f64 {
        self.bootstrap.value()
    }

    /// Our width over the bootstrap's, on the samples where both were found.
    pub(crate) fn ratio(&self) -> f64 {
        self.compared.value() / self.bootstrap.value()
    }

    /// What of the claim does not hold.
    pub(crate) fn verdict(&self, settings: &Settings) -> Result<(), Vec<&'static str>> {
        let mut broken = Vec::new();
        if self.claim != Claim::None {
            if self.miss_below() > settings.miss_limit() {
                broken.push("misses below");
            }
            if self.miss_above() > settings.miss_limit() {
                broken.push("misses above");
            }
        }
        let is_decided = matches!(self.claim, Claim::MissesAndDecided | Claim::MissesAndWidth);
        if is_decided && self.refused() > 0.01 {
            broken.push("inconclusive");
        }
        if self.claim == Claim::MissesAndWidth && self.ratio() > 1.3 {
            broken.push("width");
        }
        if broken.is_empty() {
            Ok(())
        } else {
            Err(broken)
        }
    }
}

impl Population {
    /// Whether one of its figures is called so.
    pub(crate) fn has_metric(&self, name: &str) -> bool {
        fn any<S: ?Sized>(figures: &[Figure<S>], name: &str) -> bool {
            figures.iter().any(|figure| figure.metric.contains(name))
        }
        match &self.kind {
            Kind::Cells(_, figures) => any(figures, name),
            Kind::Values(_, figures) => any(figures, name),
            Kind::Scored(_, figures) => any(figures, name),
            Kind::Grouped(_, figures) => any(figures, name),
            Kind::Folds(_, figures) => any(figures, name),
        }
    }

    /// The cells of this population's figures at `n` rows; `stream` sets its draws apart from other populations'.
    pub(crate) fn run(&self, n: usize, stream: u64, settings: &Settings) -> Vec<Cell> {
        let mut random = Random::new(settings.seed, stream);
        match &self.kind {
            Kind::Cells(probabilities, figures) => {
                let table = AliasTable::new(probabilities);
                let draw = |random: &mut Random| {
                    let mut counts = vec![0; probabilities.len()];
                    for _ in 0..n {
                        counts[table.draw(random)] += 1;
                    }
                    counts
                };
                let resample = |counts: &[u64], random: &mut Random| {
                    let rows: Vec<usize> = counts
                        .iter()
                        .enumerate()
                        .flat_map(|(cell, &count)| vec![cell; count as usize])
                        .collect();
                    let mut replicate = vec![0; counts.len()];
                    for _ in 0..n {
                        replicate[rows[random.below(n)]] += 1;
                    }
                    replicate
                };
                self.cells(n, figures, settings, &mut random, draw, resample)
            }
            Kind::Values(value, figures) => {
                let draw = |random: &mut Random| (0..n).map(|_| value(random)).collect();
                self.cells(n, figures, settings, &mut random, draw, rows_again)
            }
            Kind::Scored(sample, figures) => {
                let draw = |random: &mut Random| sample(n, random);
                self.cells(n, figures, settings, &mut random, draw, rows_again)
            }
            Kind::Grouped(sample, figures) => {
                let draw = |random: &mut Random| sample(n, random);
                self.cells(n, figures, settings, &mut random, draw, groups_again)
            }
            Kind::Folds(sample, figures) => {
                let draw = |random: &mut Random| sample(n, random);
                self.cells(n, figures, settings, &mut random, draw, rows_again)
            }
        }
    }

    fn cells<T>(
        &self,
        n: usize,
        figures: &[Figure<[T]>],
        settings: &Settings,
        random: &mut Random,
        draw: impl Fn(&mut Random) -> Vec<T>,
        resample: impl Fn(&[T], &mut Random) -> Vec<T>,
    ) -> Vec<Cell> {
        let mut cells: Vec<Cell> = figures
            .iter()
            .map(|figure| Cell {
                metric: figure.metric.clone(),
                population: self.name.clone(),
                n,
                claim: (figure.claim)(n),
                n_samples: settings.n_samples,
                n_below: 0,
                n_above: 0,
                n_refused: 0,
                widths: Mean::default(),
                compared: Mean::default(),
                bootstrap: Mean::default(),
            })
            .collect();
        for index in 0..settings.n_samples {
            let sample = draw(random);
            let bootstrap_widths = if index < settings.n_bootstrap_samples {
                bootstrap_widths(figures, &sample, settings, random, &resample)
            } else {
                Vec::new()
            };
            for (i, (figure, cell)) in figures.iter().zip(&mut cells).enumerate() {
                let Ok(interval) = (figure.interval)(&sample, settings.confidence) else {
                    cell.n_refused += 1;
                    continue;
                };
                let truth = (figure.truth)(&sample);
                cell.n_below += u32::from(interval.upper < truth);
                cell.n_above += u32::from(interval.lower > truth);
                let width = interval.upper - interval.lower;
                cell.widths.add(width);
                if let Some(&bootstrap) = bootstrap_widths.get(i) {
                    cell.compared.add(width);
                    cell.bootstrap.add(bootstrap);
                }
            }
        }
        cells
    }
}

/// As many rows, drawn with replacement.
fn rows_again<T: Copy>(rows: &[T], random: &mut Random) -> Vec<T> {
    let n = rows.len();
    (0..n).map(|_| rows[random.below(n)]).collect()
}

/// As many groups, drawn with replacement.
fn groups_again(rows: &[GroupedRow], random: &mut Random) -> Vec<GroupedRow> {
    let groups: Vec<&[GroupedRow]> = rows.chunk_by(|left, right| left.0 == right.0).collect();
    (0..groups.len())
        .flat_map(|_| groups[random.below(groups.len())])
        .copied()
        .collect()
}

/// Widths of the percentile bootstrap's intervals, all figures from the same replicates.
fn bootstrap_widths<T>(
    figures: &[Figure<[T]>],
    sample: &[T],
    settings: &Settings,
    random: &mut Random,
    resample: impl Fn(&[T], &mut Random) -> Vec<T>,
) -> Vec<f64> {
    let mut values = vec![Vec::new(); figures.len()];
    for _ in 0..settings.n_replicates {
        let replicate = resample(sample, random);
        for (figure, values) in figures.iter().zip(&mut values) {
            values.push((figure.value)(&replicate));
        }
    }
    let tail = (1.0 - settings.confidence) / 2.0;
    values
        .iter_mut()
        .map(|values| {
            // Some figures are not defined in every replicate.
            values.retain(|value| !value.is_nan());
            if values.is_empty() {
                return 0.0;
            }
            values.sort_unstable_by(f64::total_cmp);
            percentile(values, 1.0 - tail) - percentile(values, tail)
        })
        .collect()
}

/// Interpolated linearly, as NumPy does.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let position = share * (sorted.len() - 1) as f64;
    let below = sorted[position.floor() as usize];
    let above = sorted[position.ceil() as usize];
    below + (above - below) * position.fract()
}

/// Draws cells in constant time. A. J. Walker (1977), ACM Transactions on Mathematical Software 3, 253–256.
struct AliasTable {
    thresholds: Vec<f64>,
    aliases: Vec<usize>,
}

impl AliasTable {
    fn new(probabilities: &[f64]) -> Self {
        let k = probabilities.len();
        let mut thresholds: Vec<f64> = probabilities.iter().map(|p| p * k as f64).collect();
        let mut aliases: Vec<usize> = (0..k).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) =
            (0..k).partition(|&cell| thresholds[cell] < 1.0);
        while let (Some(&lower), Some(&upper)) = (small.last(), large.last()) {
            small.pop();
            aliases[lower] = upper;
            thresholds[upper] -= 1.0 - thresholds[lower];
            if thresholds[upper] < 1.0 {
                large.pop();
                small.push(upper);
            }
        }
        // What is left is one but for rounding.
        for cell in small.into_iter().chain(large) {
            thresholds[cell] = 1.0;
        }
        Self {
            thresholds,
            aliases,
        }
    }

    fn draw(&self, random: &mut Random) -> usize {
        let cell = random.below(self.thresholds.len());
        if random.uniform() < self.thresholds[cell] {
            cell
        } else {
            self.aliases[cell]
        }
    }
}
