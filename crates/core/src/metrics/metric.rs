//! What the catalog says of a metric.

use super::estimate::Computed;
use super::matrix::Confusion;
use super::rows::{Probabilities, ValuedRows};
use crate::measurement::{Direction, Unit};
use crate::model::Task;

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// The field's standard name, in snake case.
    pub name: &'static str,
    /// Other names that tools give it.
    pub aliases: &'static [&'static str],
    /// What its value counts.
    pub unit: Unit,
    /// Which way is better.
    pub direction: Direction,
    /// Which models it is for.
    pub task: Task,
    /// What it is, with its formula.
    pub definition: &'static str,
    /// How its interval is made; empty where it has none.
    pub interval: &'static str,
    /// Where the definition comes from.
    pub source: &'static str,
    /// How it is computed, and so what it needs.
    pub compute: Compute,
}

/// How a metric is computed. The last argument is the interval's two-sided confidence.
#[derive(Debug, Clone, Copy)]
pub enum Compute {
    /// From labels and predicted classes.
    Confusion(fn(&Confusion, f64) -> Computed),
    /// From labels and predicted classes, for the class with this index.
    PerClass(fn(&Confusion, usize, f64) -> Computed),
    /// From labels and a probability of each class.
    Probabilities(fn(&Probabilities<'_>, f64) -> Computed),
    /// From numbers and predicted numbers.
    Values(fn(&ValuedRows<'_>, f64) -> Computed),
    /// By other tools only: its name is known where it stands in their files.
    Elsewhere,
}

impl Compute {
    /// What it needs, in words.
    pub const fn needs(&self) -> &'static str {
        match self {
            Self::Confusion(_) => "labels and predicted classes",
            Self::PerClass(_) => "labels and predicted classes; the rule names a `class`",
            Self::Probabilities(_) => "labels and a score of each class",
            Self::Values(_) => "numbers and predicted numbers",
            Self::Elsewhere => "another tool that computes it",
        }
    }
}
