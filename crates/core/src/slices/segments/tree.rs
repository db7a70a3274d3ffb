//! A shallow regression tree of the loss of each row: columns in, the rows where the loss is higher out.

use std::collections::HashMap;

use super::super::bins;
use crate::config::Binning;
use crate::scored_rows::Column;

/// Conditions of a segment at most.
const MAX_DEPTH: usize = 3;

/// Bins of a column of numbers, of about as many rows each.
const N_BINS: u32 = 16;

/// Values of a column of texts that are looked at, the most frequent ones.
const MAX_VALUES: usize = 50;

/// A split lowers the sum of squares by at least so many variances of the loss. Noise does so for about one of 600 splits, and there are
/// some hundred: what is left is mostly real, so few hypotheses are tested.
const MIN_GAIN: f64 = 10.0;

/// Code of a value that no condition is about.
const OTHER: u32 = u32::MAX;

/// What each row costs, and how much it counts.
#[derive(Clone, Copy)]
pub(super) struct Losses<'a> {
    pub(super) losses: &'a [f64],
    pub(super) weights: Option<&'a [f64]>,
}

/// A column whose values are numbered, for all rows.
pub(super) struct Coded<'a> {
    name: &'a str,
    codes: Vec<u32>,
    values: Values,
}

enum Values {
    /// Edges of bins: codes are ordered.
    Bins(Vec<f64>),
    /// Texts: each is a code.
    Texts(Vec<String>),
}

/// One condition of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Condition {
    column: usize,
    code: u32,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The code is at least this.
    AtLeast,
    /// The code is below this.
    Below,
    Equal,
    NotEqual,
}

impl Condition {
    const fn opposite(self) -> Self {
        let kind = match self.kind {
            Kind::AtLeast => Kind::Below,
            Kind::Below => Kind::AtLeast,
            Kind::Equal => Kind::NotEqual,
            Kind::NotEqual => Kind::Equal,
        };
        Self { kind, ..self }
    }

    fn holds(self, columns: &[Coded<'_>], row: usize) -> bool {
        let code = columns[self.column].codes[row];
        match self.kind {
            Kind::AtLeast => code >= self.code,
            Kind::Below => code < self.code,
            Kind::Equal => code == self.code,
            Kind::NotEqual => code != self.code,
        }
    }
}

/// A leaf of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    conditions: Vec<Condition>,
}

impl Segment {
    pub(super) fn holds(&self, columns: &[Coded<'_>], row: usize) -> bool {
        let mut conditions = self.conditions.iter();
        conditions.all(|condition| condition.holds(columns, row))
    }

    /// `country=DE, age=[20, 40)`: one part a column, in the order of the conditions.
    pub(super) fn name(&self, columns: &[Coded<'_>]) -> String {
        let mut parts: Vec<String> = Vec::new();
        let mut seen: Vec<usize> = Vec::new();
        for condition in &self.conditions {
            if seen.contains(&condition.column) {
                continue;
            }
            seen.push(condition.column);
            let column = &columns[condition.column];
            let of_column = self
                .conditions
                .iter()
                .filter(|other| other.column == condition.column);
            match &column.values {
                Values::Bins(edges) => {
                    let (mut lower, mut upper) = (None, None);
                    for bound in of_column {
                        let edge = edges[bound.code as usize - 1];
                        if bound.kind == Kind::AtLeast {
                            lower = Some(edge);
                        } else {
                            upper = Some(edge);
                        }
                    }
                    let bounds: Vec<f64> = lower.into_iter().chain(upper).collect();
                    let bin = usize::from(lower.is_some());
                    parts.push(format!("{}={}", column.name, bins::name(&bounds, bin)));
                }
                Values::Texts(texts) => {
                    let of_column: Vec<&Condition> = of_column.collect();
                    let equal = of_column.iter().find(|other| other.kind == Kind::Equal);
                    let shown = equal.map_or(of_column.as_slice(), std::slice::from_ref);
                    for condition in shown {
                        let sign = if condition.kind == Kind::Equal {
                            "="
                        } else {
                            "≠"
                        };
                        let text = match texts[condition.code as usize].as_str() {
                            "" => "(missing)",
                            text => text,
                        };
                        parts.push(format!("{}{sign}{text}", column.name));
                    }
                }
            }
        }
        parts.join(", ")
    }
}

impl<'a> Coded<'a> {
    /// Numbers by bins and texts by their most frequent values among the rows `searched`; `None` where all would be one.
    pub(super) fn of(name: &'a str, column: &Column, searched: &[usize]) -> Option<Self> {
        let (codes, values) = match column {
            Column::Numbers(numbers) => {
                let values = searched.iter().map(|&row| numbers[row]);
                let edges = bins::edges(&Binning::Count(N_BINS), values);
                let code = |&value: &f64| bins::bin_of(&edges, value) as u32;
                let codes: Vec<u32> = numbers.iter().map(code).collect();
                (codes, Values::Bins(edges))
            }
            Column::Texts(texts) => {
                let mut counts: HashMap<&str, usize> = HashMap::new();
                for &row in searched {
                    *counts.entry(texts[row].as_str()).or_default() += 1;
                }
                let mut frequent: Vec<(&str, usize)> = counts.into_iter().collect();
                frequent.sort_by(|left, right| right.1.cmp(&left.1).then(left.0.cmp(right.0)));
                frequent.truncate(MAX_VALUES);
                let of_text: HashMap<&str, u32> = frequent
                    .iter()
                    .enumerate()
                    .map(|(code, (text, _))| (*text, code as u32))
                    .collect();
                let code = |text: &String| of_text.get(text.as_str()).copied().unwrap_or(OTHER);
                let codes = texts.iter().map(code).collect();
                let texts = frequent.iter().map(|(text, _)| (*text).to_owned());
                (codes, Values::Texts(texts.collect()))
            }
        };
        let n_values = match &values {
            Values::Bins(edges) => edges.len() + 1,
            Values::Texts(texts) => texts.len(),
        };
        (n_values > 1).then_some(Self {
            name,
            codes,
            values,
        })
    }

    fn n_codes(&self) -> usize {
        match &self.values {
            Values::Bins(edges) => edges.len() + 1,
            Values::Texts(texts) => texts.len(),
        }
    }
}

/// Sums over some rows.
#[derive(Clone, Copy, Default)]
struct Sums {
    n: u64,
    weight: f64,
    loss: f64,
    squares: f64,
}

impl Sums {
    fn add(&mut self, weight: f64, loss: f64) {
        self.n += 1;
        self.weight += weight;
        self.loss += weight * loss;
        self.squares += weight * loss * loss;
    }

    fn plus(self, other: Self) -> Self {
        Self {
            n: self.n + other.n,
            weight: self.weight + other.weight,
            loss: self.loss + other.loss,
            squares: self.squares + other.squares,
        }
    }

    fn minus(self, other: Self) -> Self {
        Self {
            n: self.n - other.n,
            weight: self.weight - other.weight,
            loss: self.loss - other.loss,
            squares: self.squares - other.squares,
        }
    }

    fn mean(self) -> f64 {
        self.loss / self.weight
    }
}

/// Of the rows `searched`, the leaves whose mean loss is above that of all; each has at least `min_rows` rows. None where nothing splits.
pub(super) fn grow(
    columns: &[Coded<'_>],
    losses: Losses<'_>,
    searched: Vec<usize>,
    min_rows: u64,
) -> Vec<Segment> {
    let mut all = Sums::default();
    for &row in &searched {
        all.add(weight(losses, row), losses.losses[row]);
    }
    let mut found = Vec::new();
    let mut open = vec![(Vec::new(), searched)];
    while let Some((conditions, rows)) = open.pop() {
        let split = if conditions.len() < MAX_DEPTH {
            best_split(columns, losses, &rows, min_rows)
        } else {
            None
        };
        if let Some(condition) = split {
            let (inside, outside): (Vec<usize>, Vec<usize>) =
                rows.iter().partition(|&&row| condition.holds(columns, row));
            for (condition, rows) in [(condition.opposite(), outside), (condition, inside)] {
                let conditions = [conditions.as_slice(), &[condition]].concat();
                open.push((conditions, rows));
            }
            continue;
        }
        let mut sums = Sums::default();
        for &row in &rows {
            sums.add(weight(losses, row), losses.losses[row]);
        }
        if !conditions.is_empty() && sums.mean() > all.mean() {
            found.push(Segment { conditions });
        }
    }
    found
}

fn weight(losses: Losses<'_>, row: usize) -> f64 {
    losses.weights.map_or(1.0, |weights| weights[row])
}

/// The condition that lowers the sum of squares most, where it does so by enough; the first of equals.
fn best_split(
    columns: &[Coded<'_>],
    losses: Losses<'_>,
    rows: &[usize],
    min_rows: u64,
) -> Option<Condition> {
    let mut best: Option<(f64, Condition)> = None;
    let mut least = f64::INFINITY;
    for (column_idx, column) in columns.iter().enumerate() {
        let mut of_code = vec![Sums::default(); column.n_codes()];
        let mut all = Sums::default();
        for &row in rows {
            let (weight, loss) = (weight(losses, row), losses.losses[row]);
            all.add(weight, loss);
            if let Some(sums) = of_code.get_mut(column.codes[row] as usize) {
                sums.add(weight, loss);
            }
        }
        if column_idx == 0 {
            let variance = (all.squares - all.loss * all.mean()) / all.weight;
            // A sum of squares counts weights, so one row counts as much as the mean.
            least = MIN_GAIN * variance.max(0.0) * all.weight / all.n as f64;
        }
        let mut consider = |inside: Sums, code: u32, kind: Kind| {
            let outside = all.minus(inside);
            if inside.n < min_rows || outside.n < min_rows {
                return;
            }
            let distance = inside.mean() - outside.mean();
            let gain = inside.weight * outside.weight / all.weight * distance * distance;
            let is_better = best.is_none_or(|(other, _)| gain > other);
            if gain > 0.0 && gain >= least && is_better {
                let condition = Condition {
                    column: column_idx,
                    code,
                    kind,
                };
                best = Some((gain, condition));
            }
        };
        match &column.values {
            Values::Bins(_) => {
                let mut below = Sums::default();
                for code in 1..of_code.len() {
                    below = below.plus(of_code[code - 1]);
                    consider(below, code as u32, Kind::Below);
                }
            }
            Values::Texts(_) => {
                for (code, sums) in of_code.iter().enumerate() {
                    consider(*sums, code as u32, Kind::Equal);
                }
            }
        }
    }
    best.map(|(_, condition)| condition)
}
