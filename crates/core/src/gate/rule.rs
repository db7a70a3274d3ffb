//! One rule of `[[gate.rules]]`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::metrics::Direction;

/// What one metric must reach. Several bounds in one rule must all hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Name of the metric: `accuracy`, `loss`, `f1_macro`, …, or `precision`, `recall`, `f1` together with `class`.
    pub metric: String,
    /// Judge the metric of this class alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The value must be at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The value must be at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Against the baseline, the value may get worse by at most this, in its own unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drop: Option<f64>,
    /// Against the baseline, the value may get worse by at most this many per cent of the baseline's magnitude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_drop_pct: Option<f64>,
    /// Against the baseline, the value must get better by at least this, in its own unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_gain: Option<f64>,
    /// Fewer rows than this cannot be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_rows: Option<u64>,
    /// Judge by the confidence interval at this level instead of by the value alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// With `confidence`: what a drop beyond the tolerance that may be chance comes to.
    #[serde(default)]
    pub when_uncertain: WhenUncertain,
    /// How much a missed rule weighs.
    #[serde(default)]
    pub level: Level,
    /// Which way is better; needed only where the metric's name does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
}

/// How much a missed rule weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A miss fails the gate.
    #[default]
    Fail,
    /// A miss is a warning.
    Warn,
    /// Shown only.
    Info,
}

/// What a drop that may be chance comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum WhenUncertain {
    /// A warning.
    #[default]
    Warn,
    /// A miss.
    Fail,
    /// Nothing.
    Pass,
}

/// Whose rules judge a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RulesFrom {
    /// Those of the commit that is judged; the report says so where they changed.
    #[default]
    Head,
    /// Those of the base branch. Where the base branch says so, a pull request cannot take it back.
    Base,
}

/// What a baseline that is configured but not there comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MissingBaseline {
    /// Rules that compare cannot be judged, so the gate is red.
    #[default]
    Inconclusive,
    /// Rules that compare are skipped, and the report says so; the other bounds are judged.
    AbsoluteOnly,
}

impl Rule {
    /// The direction in force: stated, or known by the metric's name.
    pub fn direction(&self) -> Option<Direction> {
        self.direction.or_else(|| Direction::of(&self.metric))
    }

    /// The metric's full name: `accuracy`, or `recall of class 7`.
    pub fn subject(&self) -> String {
        match &self.class {
            Some(class) => format!("{} of class {class}", self.metric),
            None => self.metric.clone(),
        }
    }

    /// What is wrong with the rule itself, and at which key.
    pub(crate) fn problem(&self) -> Option<(Option<&'static str>, String)> {
        let Self {
            metric,
            class,
            min,
            max,
            max_drop,
            max_drop_pct,
            min_gain,
            confidence,
            ..
        } = self;
        if metric.trim().is_empty() {
            return Some((Some("metric"), "names no metric".to_owned()));
        }
        let bounds = [
            ("min", *min, f64::NEG_INFINITY),
            ("max", *max, f64::NEG_INFINITY),
            ("max_drop", *max_drop, 0.0),
            ("max_drop_pct", *max_drop_pct, 0.0),
            ("min_gain", *min_gain, 0.0),
        ];
        if bounds.iter().all(|(_, bound, _)| bound.is_none()) {
            return Some((
                None,
                "asks for nothing: add `min`, `max`, `max_drop`, `max_drop_pct` or `min_gain`"
                    .to_owned(),
            ));
        }
        for (key, bound, least) in bounds {
            if bound.is_some_and(|bound| !bound.is_finite() || bound < least) {
                return Some((
                    Some(key),
                    "must be a finite number, and a change is never negative".to_owned(),
                ));
            }
        }
        if let (Some(min), Some(max)) = (min, max)
            && min > max
        {
            return Some((Some("min"), format!("`min` {min} is above `max` {max}")));
        }
        if let Some(level) = confidence
            && !(*level > 0.5 && *level < 1.0)
        {
            return Some((
                Some("confidence"),
                "must lie between 0.5 and 1, such as 0.95".to_owned(),
            ));
        }
        let compares = max_drop.is_some() || max_drop_pct.is_some() || min_gain.is_some();
        if compares && self.direction().is_none() {
            let problem = format!(
                "it is not known which way `{metric}` is better: add `direction = \"higher_is_better\"` or `\"lower_is_better\"`"
            );
            return Some((Some("metric"), problem));
        }
        if compares
            && confidence.is_some()
            && (metric != "accuracy" || class.is_some() || max_drop_pct.is_some())
        {
            let problem = "a change can be judged by its interval for `accuracy` only, with `max_drop` or `min_gain`";
            return Some((
                Some("confidence"),
                format!("{problem}; leave `confidence` out here"),
            ));
        }
        None
    }
}
