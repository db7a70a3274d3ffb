//! One rule of `[[gate.rules]]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bound::Bound;
use crate::measurement::{Direction, Fold, MetricKey};
use crate::metrics::catalog;

/// In place of a class or an output: each.
pub(super) const WILDCARD: &str = "*";

/// The metric of rules on single rows.
pub(super) const PAIRED_METRIC: &str = "accuracy";

/// The same of multilabel rows. The change of either has an interval by the rows that each of the two models predicts wrong alone.
pub(super) const PAIRED_METRIC_OF_SETS: &str = "subset_accuracy";

/// What one metric must reach. Several bounds in one rule must all hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the metric: `accuracy`, `loss`, `f1_macro`, …, or `precision`, `recall`, `f1` together with `class`. May be left
    /// out where the rule has `max_new_errors` or `must_pass` alone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub metric: String,
    /// What `[[gate.groups]]` call the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Judge the metric of this class only; `*` stands for each class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Judge the metric of this output only, where several numbers a row are predicted; `*` stands for each output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Judge the metric on this slice of the rows only, as `[[evaluate.slices]]` names it: `country=DE`, or
    /// `country=DE, age=[20, 40)`; `country=*` stands for each value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// Judge the mean over the folds of `[evaluate.cross_validation]` instead of the test rows. Predictions with a column `fold` are
    /// judged so without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<FoldScope>,
    /// Minimum of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Maximum of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Maximum drop against the baseline, in the metric's unit. A drop is a change for the worse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<f64>,
    /// Maximum drop against the baseline, in per cent of the baseline's magnitude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drop_pct: Option<f64>,
    /// Minimum gain over the baseline, in the metric's unit. A gain is a change for the better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_gain: Option<f64>,
    /// Minimum gain over the baseline, in per cent of the baseline's magnitude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_gain_pct: Option<f64>,
    /// Maximum number of rows that the baseline predicts right and this model wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_new_errors: Option<u64>,
    /// A file that lists rows, relative to the configuration file: a CSV with a column `row_id`, or one id a line. Each must be
    /// predicted right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_pass: Option<PathBuf>,
    /// Minimum number of rows behind the value; with fewer, the rule is inconclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_rows: Option<u64>,
    /// Judge by the confidence interval at this two-sided level instead of by the value alone. One end of the interval
    /// decides, so the nominal error is half of what is left: 2.5 % at 0.95.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// With `confidence`: the outcome of a change whose interval lies on both sides of the bound; by default a warning.
    /// Required for a `max_drop` of 0, since no number of rows proves that nothing is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when_uncertain: Option<WhenUncertain>,
    /// With `confidence`: accumulate evidence from run to run over rows that no run judged before, such as nightly or mirrored
    /// ones. For `max_drop` and `min_gain` of `accuracy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequential: Option<RuleSequential>,
    /// Severity of a missed rule.
    #[serde(default)]
    pub level: Level,
    /// The outcome if the metric is not among those measured, or has no value.
    #[serde(default, skip_serializing_if = "OnMissing::is_default")]
    pub on_missing: OnMissing,
    /// Which direction is better; needed only if the metric's name does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
}

/// Severity of a missed rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A miss fails the gate.
    #[default]
    Fail,
    /// A miss is a warning.
    Warn,
    /// A miss is shown and changes nothing.
    Info,
}

/// How a rule is judged over several runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuleSequential {
    /// By the e-values of all sets of rows so far, each of which counts once.
    FreshRows,
}

/// Which folds a rule judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FoldScope {
    /// The mean over them, each counted alike.
    Mean,
}

/// The outcome of a rule whose metric has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// It cannot be judged, so the gate is red.
    #[default]
    Inconclusive,
    /// A warning.
    Warn,
    /// A miss.
    Fail,
}

impl OnMissing {
    /// For serde: what is the default need not be written.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Rules of which some must hold. A missed rule of a group counts only if the group is missed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleGroup {
    /// The rules, by their `name`.
    pub rules: Vec<String>,
    /// How many of them must hold.
    pub at_least: u32,
}

/// The outcome of a change whose interval lies on both sides of the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenUncertain {
    /// A warning.
    #[default]
    Warn,
    /// A miss.
    Fail,
    /// Not a miss.
    Pass,
}

/// Whose rules judge a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RulesFrom {
    /// Those of the commit that is judged; the report says so where they changed.
    #[default]
    Head,
    /// Those of the base branch. If the base branch says so, a pull request cannot take it back.
    Base,
}

/// Which rows a change is computed on where the baseline was scored on other rows. The same rows are always compared row by
/// row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompareRows {
    /// The same rows alone: other rows cannot be judged.
    #[default]
    Same,
    /// The rows that both were scored on, by `row_id` and label. Rows that are new do not matter; of the baseline's rows at
    /// most `max_rows_lost` may be missing.
    Common,
    /// All rows of each, as two samples. Whether the rows got harder or the model got worse cannot be told apart.
    Unpaired,
}

/// What happens if a baseline may exist and cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MissingBaseline {
    /// Rules that compare are inconclusive, so the gate is red.
    #[default]
    Inconclusive,
    /// Rules that compare are skipped and the verdict is at best a warning; absolute bounds are judged.
    AbsoluteOnly,
}

/// The columns and values of a slice's name: `country=DE, age=[20, 40)`. A comma within a value begins no column, as it is not
/// followed by a name and `=`.
pub(super) fn slice_parts(slice: &str) -> Vec<(&str, &str)> {
    let mut parts: Vec<(&str, &str)> = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(found) = slice[at..].find(", ") {
        let next = at + found;
        let rest = &slice[next + 2..];
        let name = rest.split_once('=').map(|(name, _)| name);
        if name.is_some_and(|name| !name.is_empty() && !name.contains([',', ' '])) {
            parts.push(part(&slice[start..next]));
            start = next + 2;
        }
        at = next + 2;
    }
    parts.push(part(&slice[start..]));
    parts
}

fn part(text: &str) -> (&str, &str) {
    text.split_once('=').unwrap_or((text, ""))
}

impl Rule {
    /// The direction in force: stated, or known by the metric's name.
    pub fn direction(&self) -> Option<Direction> {
        self.direction
            .or_else(|| catalog::direction(&self.key().metric))
    }

    /// What the rule judges. Where it has a wildcard, the key has it too, and stands for each key that it matches.
    pub fn key(&self) -> MetricKey {
        let metric = match self.metric.as_str() {
            "" => PAIRED_METRIC,
            metric => metric,
        };
        MetricKey {
            class: self.class.clone(),
            output: self.output.clone(),
            slice: self.slice.clone(),
            fold: self.fold.map(|FoldScope::Mean| Fold::Mean),
            ..MetricKey::overall(metric)
        }
    }

    /// Whether it stands for several keys.
    pub fn is_wildcard(&self) -> bool {
        let has_wildcard =
            |slice: &String| slice_parts(slice).iter().any(|part| part.1 == WILDCARD);
        self.class.as_deref() == Some(WILDCARD)
            || self.output.as_deref() == Some(WILDCARD)
            || self.slice.as_ref().is_some_and(has_wildcard)
    }

    /// The bounds, in a fixed order.
    pub(super) fn bounds(&self) -> Vec<Bound> {
        [
            self.min.map(Bound::Min),
            self.max.map(Bound::Max),
            self.max_drop.map(Bound::MaxDrop),
            self.max_drop_pct.map(Bound::MaxDropPct),
            self.min_gain.map(Bound::MinGain),
            self.min_gain_pct.map(Bound::MinGainPct),
            self.max_new_errors.map(Bound::MaxNewErrors),
            self.must_pass.as_ref().map(|_| Bound::MustPass),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Whether it compares with a baseline.
    pub fn compares(&self) -> bool {
        self.bounds().into_iter().any(Bound::compares)
    }
}
