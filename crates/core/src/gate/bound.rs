//! One bound of a rule: what it asks for, in words, and whether a measurement alone meets it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::decision::Outcome;
use crate::figure::{self, count, figure, percent, slack, told_apart};
use crate::measurement::{Direction, Measurement};
use crate::metrics::{Confusion, interval_at};

/// What one metric must reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// At least this.
    Min(f64),
    /// At most this.
    Max(f64),
    /// Worse than the baseline by no more than this.
    MaxDrop(f64),
    /// Worse than the baseline by no more than this many per cent of its magnitude.
    MaxDropPct(f64),
    /// Better than the baseline by at least this.
    MinGain(f64),
    /// Better than the baseline by at least this many per cent of its magnitude.
    MinGainPct(f64),
    /// No more rows than these that the baseline predicts right and the candidate wrong.
    MaxNewErrors(u64),
    /// Every listed row is predicted right.
    MustPass,
}

impl Bound {
    /// Whether it compares with a baseline.
    pub const fn compares(self) -> bool {
        !matches!(self, Self::Min(_) | Self::Max(_) | Self::MustPass)
    }

    /// The improvement that it asks for at least, in the metric's own direction: a tolerated drop is negative.
    /// `None` for an absolute bound, and for a gain relative to a baseline of exactly 0, which nothing can reach.
    pub(super) fn least_improvement(self, baseline: f64) -> Option<f64> {
        match self {
            Self::Min(_) | Self::Max(_) | Self::MaxNewErrors(_) | Self::MustPass => None,
            // From 0, so that no drop is 0 and not -0.
            Self::MaxDrop(drop) => Some(0.0 - drop),
            Self::MaxDropPct(pct) => Some(0.0 - pct / 100.0 * baseline.abs()),
            Self::MinGain(gain) => Some(gain),
            Self::MinGainPct(pct) => (baseline != 0.0).then(|| pct / 100.0 * baseline.abs()),
        }
    }

    /// The bound for people: `at least 0.98, with 95 % confidence`.
    pub(super) fn wanted(self, confidence: Option<f64>, direction: Option<Direction>) -> String {
        let (better, worse) = match direction {
            Some(Direction::HigherIsBetter) => ("above", "below"),
            Some(Direction::LowerIsBetter) => ("below", "above"),
            None => ("better than", "worse than"),
        };
        let text = match self {
            Self::Min(bound) => format!("at least {bound}"),
            Self::Max(bound) => format!("at most {bound}"),
            Self::MaxDrop(0.0) | Self::MaxDropPct(0.0) => format!("not {worse} the baseline"),
            Self::MaxDrop(bound) => format!("no more than {bound} {worse} the baseline"),
            Self::MaxDropPct(bound) => format!("no more than {bound} % {worse} the baseline"),
            Self::MinGain(bound) => format!("at least {bound} {better} the baseline"),
            Self::MinGainPct(bound) => format!("at least {bound} % {better} the baseline"),
            Self::MustPass => return "every listed row right".to_owned(),
            Self::MaxNewErrors(0) => return "no new errors".to_owned(),
            Self::MaxNewErrors(bound) => {
                return format!("at most {}", count(bound, "new error"));
            }
        };
        match confidence {
            Some(level) => format!("{text}, with {} % confidence", percent(level)),
            None => text,
        }
    }
}

/// Whether `measured` meets an absolute bound, and why, as a clause. Where the rule asks for a confidence, the interval
/// at that level is put into `measured`, and its end nearer to the bound decides.
pub(super) fn judge_absolute(
    confidence: Option<f64>,
    bound: f64,
    is_min: bool,
    measured: &mut Measurement,
    confusion: Option<&Confusion>,
) -> (Outcome, String) {
    let side = if is_min { "at least" } else { "at most" };
    let (judged, shown) = match confidence {
        None => (measured.value, told_apart(measured.value, bound)),
        Some(level) => {
            let interval = match interval_at(measured, confusion, level) {
                Ok(interval) => interval,
                Err(error) => return (Outcome::NotJudged, error.to_string()),
            };
            measured.interval = Some(interval);
            let (end, judged) = if is_min {
                ("lower", interval.lower)
            } else {
                ("upper", interval.upper)
            };
            let shown = format!(
                "{}, with a {} % interval of {}: its {end} end {}",
                figure(measured.value),
                percent(level),
                figure::interval(&interval),
                told_apart(judged, bound)
            );
            (judged, shown)
        }
    };
    let slack = slack(&[judged, bound]);
    let holds = if is_min {
        judged >= bound - slack
    } else {
        judged <= bound + slack
    };
    if holds {
        (Outcome::Holds, format!("{shown} is {side} {bound}"))
    } else {
        (Outcome::Missed, format!("{shown} is not {side} {bound}"))
    }
}

/// Whether the end of the interval at `confidence` that lies farther from the bound misses it too; `None` where there is no
/// such interval.
pub(super) fn is_miss_proven(
    bound: Bound,
    measured: &Measurement,
    confusion: Option<&Confusion>,
    confidence: f64,
) -> Option<bool> {
    let interval = interval_at(measured, confusion, confidence).ok()?;
    match bound {
        Bound::Min(min) => Some(interval.upper < min - slack(&[interval.upper, min])),
        Bound::Max(max) => Some(interval.lower > max + slack(&[interval.lower, max])),
        _ => None,
    }
}
