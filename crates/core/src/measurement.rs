//! One measured number and all that belongs to it: what it is of, its unit, its direction, its interval and how many
//! rows are behind it.
//!
//! Evaluation, baseline record, rule result and every report hold this one type. A report renders keys; nothing parses
//! or joins on words.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::statistics::{FoldMoments, Interval, Moments, Roc};

/// What a measurement is of: a metric, and the part of the rows that it was taken on.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct MetricKey {
    /// Name of the metric: the catalog's, or that of another tool's file.
    pub metric: String,
    /// The class that it is of; absent for a metric of all classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The output that it is of, where several numbers a row are predicted; absent for the mean over the outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// The slice of rows that it is of, as `column=value`; absent for all rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// The fold of cross-validation that it is of, from 0, or `"mean"` for the mean over all folds; absent outside of
    /// cross-validation and for all rows of all folds taken together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
}

/// What of a cross-validation a measurement is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fold {
    /// The rows that were held out in this fold, counted from 0.
    Index(u32),
    /// The mean over the folds, each counted alike.
    Mean,
}

impl MetricKey {
    /// A metric of all rows.
    pub fn overall(metric: impl Into<String>) -> Self {
        Self {
            metric: metric.into(),
            class: None,
            output: None,
            slice: None,
            fold: None,
        }
    }

    /// A metric of one class.
    pub fn of_class(metric: impl Into<String>, class: impl Into<String>) -> Self {
        Self {
            class: Some(class.into()),
            ..Self::overall(metric)
        }
    }

    /// A metric of one of several outputs.
    pub fn of_output(metric: impl Into<String>, output: impl Into<String>) -> Self {
        Self {
            output: Some(output.into()),
            ..Self::overall(metric)
        }
    }

    /// Whether it is of all rows, classes and outputs.
    pub const fn is_overall(&self) -> bool {
        self.class.is_none() && self.output.is_none() && self.slice.is_none() && self.fold.is_none()
    }
}

/// For people: `recall of class 7, country=DE, fold 2`, `rmse of output height`. Never read back.
impl fmt::Display for MetricKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            metric,
            class,
            output,
            slice,
            fold,
        } = self;
        formatter.write_str(metric)?;
        if let Some(class) = class {
            write!(formatter, " of class {class}")?;
        }
        if let Some(output) = output {
            write!(formatter, " of output {output}")?;
        }
        if let Some(slice) = slice {
            write!(formatter, ", {slice}")?;
        }
        if let Some(fold) = fold {
            match fold {
                Fold::Index(idx) => write!(formatter, ", fold {idx}")?,
                Fold::Mean => formatter.write_str(", mean of the folds")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Fold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Index(idx) => idx.serialize(serializer),
            Self::Mean => "mean".serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Fold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IndexOrMean;
        impl Visitor<'_> for IndexOrMean {
            type Value = Fold;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("the index of a fold, or `\"mean\"`")
            }

            fn visit_u64<E: de::Error>(self, idx: u64) -> Result<Fold, E> {
                let idx = u32::try_from(idx);
                idx.map(Fold::Index)
                    .map_err(|_| E::custom("the index of a fold is too large"))
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Fold, E> {
                match word {
                    "mean" => Ok(Fold::Mean),
                    _ => Err(E::unknown_variant(word, &["mean"])),
                }
            }
        }
        deserializer.deserialize_any(IndexOrMean)
    }
}

impl JsonSchema for Fold {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fold".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The index of a fold of cross-validation, from 0, or `mean` for the mean over all folds.",
            "oneOf": [{ "type": "integer", "minimum": 0 }, { "const": "mean" }]
        })
    }
}

/// One measured number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// What it is of.
    pub key: MetricKey,
    /// What was measured; always finite.
    pub value: f64,
    /// What the value counts; absent where another tool's file does not say and the name is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// The unit of a numeric column, as the configuration writes it: `ms`. It takes the place of `unit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit_name: Option<String>,
    /// Which way is better; absent where another tool's file does not say and the name is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// The confidence interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// Why there is no interval, where these rows are outside what the method can promise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_interval: Option<String>,
    /// Number of rows behind the value: those of the denominator, such as the rows predicted as a class for its precision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_rows: Option<u64>,
    /// What an interval at another confidence is computed from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
}

impl Measurement {
    /// A bare value, with what the catalog knows about its name.
    pub fn bare(
        key: MetricKey,
        value: f64,
        unit: Option<Unit>,
        direction: Option<Direction>,
    ) -> Self {
        Self {
            key,
            value,
            unit,
            unit_name: None,
            direction,
            interval: None,
            no_interval: None,
            n_rows: None,
            evidence: None,
        }
    }

    /// What a report shows and a later comparison needs; what intervals are computed from stays in the evaluation.
    #[must_use]
    pub fn without_evidence(&self) -> Self {
        Self {
            evidence: None,
            ..self.clone()
        }
    }
}

/// Sufficient statistics of one measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Evidence {
    /// `n_successes / n`.
    Proportion {
        /// Rows that count.
        n_successes: u64,
        /// All rows.
        n: u64,
    },
    /// F1 as a function of the proportion J = TP / (TP + FP + FN): 2J / (1 + J).
    F1 {
        /// True positives.
        n_true_positives: u64,
        /// True and false positives and false negatives.
        n: u64,
    },
    /// The mean of a value a row.
    Mean(Moments),
    /// The square root of the mean of a value a row.
    RootMean(Moments),
    /// The value plus the sum of the influences of each group's rows on it, where rows come in groups.
    Groups(Moments),
    /// The area under the ROC curve.
    RocArea(Roc),
    /// The mean over the folds of a cross-validation.
    Folds(FoldMoments),
}

impl Evidence {
    /// Whether all of its numbers are; JSON has no word for others.
    pub fn is_finite(&self) -> bool {
        let are_finite = |moments: &Moments| {
            moments.mean.is_finite() && moments.variance.is_finite() && moments.skewness.is_finite()
        };
        match self {
            Self::Mean(moments) | Self::RootMean(moments) | Self::Groups(moments) => {
                are_finite(moments)
            }
            Self::Folds(scores) => scores.mean.is_finite() && scores.variance.is_finite(),
            Self::Proportion { .. } | Self::F1 { .. } | Self::RocArea(_) => true,
        }
    }
}

/// A metric that has no value here, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undefined {
    /// What was asked for.
    pub key: MetricKey,
    /// Why it has no value, as a clause: `never predicted`.
    pub reason: String,
}

/// What a value counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A share of 1.
    Proportion,
    /// Natural-logarithm units of information.
    Nats,
    /// The label's own unit.
    Label,
    /// The label's own unit, squared.
    LabelSquared,
    /// No unit.
    None,
}

/// Which way a metric is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Such as accuracy.
    HigherIsBetter,
    /// Such as loss.
    LowerIsBetter,
}

impl Direction {
    /// The change from `baseline` to `value`, positive when it is better.
    pub fn improvement(self, value: f64, baseline: f64) -> f64 {
        match self {
            Self::HigherIsBetter => value - baseline,
            Self::LowerIsBetter => baseline - value,
        }
    }
}
