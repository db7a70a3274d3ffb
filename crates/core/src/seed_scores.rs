//! Evaluations of one configuration under several seeds in, how much each metric differs from seed to seed out.
//!
//! The mean over seeds says what the configuration gives, the single value what one run of it gave. Its interval is Student's, over
//! independent trainings: it is about other seeds on the same rows, not about other rows.

use crate::evaluation::{Evaluation, SeedSpread, SeedTable, setting_differences};
use crate::measurement::{Measurement, MetricKey};
use crate::metrics::catalog;
use crate::row_set::RowMatch;
use crate::statistics::{Interval, IntervalMethod, Moments, student_quantile};

/// An evaluation, and the place that errors name.
pub type Placed<'a> = (&'a str, &'a Evaluation);

/// Why evaluations are not of one configuration on the same rows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SeedError {
    /// Nothing to compare.
    #[error("there is no evaluation of another seed")]
    Single,
    /// Of another task, or scored otherwise.
    #[error("`{other}` is scored otherwise than `{one}`: {difference}")]
    Scoring {
        /// The one.
        one: String,
        /// The other.
        other: String,
        /// What differs, as a clause.
        difference: String,
    },
    /// Of other rows.
    #[error("`{other}` is of other rows than `{one}`: {difference}")]
    Rows {
        /// The one.
        one: String,
        /// The other.
        other: String,
        /// How that is known, as a clause.
        difference: String,
    },
    /// Trained otherwise than by another seed.
    #[error(
        "`{other}` is of a model that was trained otherwise than that of `{one}`: {difference}"
    )]
    Training {
        /// The one.
        one: String,
        /// The other.
        other: String,
        /// What differs, as a clause.
        difference: String,
    },
    /// Of another configuration.
    #[error("`{other}` is not of this configuration under another seed: {inputs}")]
    Configuration {
        /// Which one.
        other: String,
        /// What overrode the configuration.
        inputs: String,
    },
    /// One model twice.
    #[error("`{other}` is of the same model as `{one}`: its seed was not changed")]
    Twice {
        /// The one.
        one: String,
        /// The other.
        other: String,
    },
}

/// The table of `evaluation` and the `others`.
///
/// A metric that one of them lacks has no row. The interval of the mean of J seeds is mean ± t(J − 1) s / √J at the evaluation's
/// confidence.
pub fn seed_table(
    (place, evaluation): Placed<'_>,
    others: &[Placed<'_>],
) -> Result<SeedTable, SeedError> {
    if others.is_empty() {
        return Err(SeedError::Single);
    }
    let mut seen = vec![(place, evaluation)];
    for other in others {
        check_alike((place, evaluation), *other)?;
        let twin = seen
            .iter()
            .find(|(_, found)| identity(found) == identity(other.1));
        if let Some((one, _)) = twin {
            return Err(SeedError::Twice {
                one: (*one).to_owned(),
                other: other.0.to_owned(),
            });
        }
        seen.push(*other);
    }
    let all = || std::iter::once(evaluation).chain(others.iter().map(|(_, other)| *other));
    let of_metric = |found: &Measurement| {
        let key = MetricKey::overall(&found.key.metric);
        let values: Option<Vec<f64>> = all()
            .map(|evaluation| Some(evaluation.measurement(&key)?.value))
            .collect();
        Some(spread(
            &found.key.metric,
            values?,
            evaluation.scoring.confidence,
        ))
    };
    Ok(SeedTable {
        models: all()
            .map(|evaluation| identity(evaluation).to_owned())
            .collect(),
        spreads: evaluation.headline().filter_map(of_metric).collect(),
    })
}

/// Refuses two evaluations that are not of one configuration under two seeds, on the same rows.
pub fn check_alike(one: Placed<'_>, other: Placed<'_>) -> Result<(), SeedError> {
    let ((one_place, one), (other_place, other)) = (one, other);
    let places = || (one_place.to_owned(), other_place.to_owned());
    if let Some(difference) = scoring_difference((one_place, one), (other_place, other)) {
        let (one, other) = places();
        return Err(SeedError::Scoring {
            one,
            other,
            difference,
        });
    }
    if let RowMatch::Different { reason } = other.data.rows.matches(&one.data.rows) {
        let (one, other) = places();
        return Err(SeedError::Rows {
            one,
            other,
            difference: reason,
        });
    }
    check_configuration(one_place, one)?;
    check_configuration(other_place, other)?;
    let difference = match (&one.model.training, &other.model.training) {
        (Some(one), Some(other)) if one.config_digest != other.config_digest => {
            "another configuration, not the seed alone"
        }
        (Some(one), Some(other)) if one.data_digest != other.data_digest => "other training data",
        (Some(_), None) | (None, Some(_)) => {
            "only one of the two says by which configuration it was trained; evaluate both again"
        }
        _ => return Ok(()),
    };
    let (one, other) = places();
    Err(SeedError::Training {
        one,
        other,
        difference: difference.to_owned(),
    })
}

/// What the two are scored by otherwise, as a clause.
fn scoring_difference(
    (one_place, one): Placed<'_>,
    (other_place, other): Placed<'_>,
) -> Option<String> {
    let places = [one_place, other_place].map(|place| format!("`{place}`"));
    let places = [places[0].as_str(), places[1].as_str()];
    if one.task != other.task {
        return Some("another task".to_owned());
    }
    if let (Some(mine), Some(others)) = (&one.settings, &other.settings) {
        let found = setting_differences(mine, others);
        if !found.is_empty() {
            let words: Vec<String> = found.iter().map(|found| found.words(places)).collect();
            return Some(words.join("; "));
        }
    }
    if one.scoring != other.scoring {
        return Some(
            "another objective, positive class, confidence or setting of a metric".to_owned(),
        );
    }
    // A threshold that is chosen belongs to its model; one that is written is the same for all.
    (aim(one) != aim(other)).then(|| "another threshold".to_owned())
}

/// Refuses a model whose training another input than the seed overrode.
fn check_configuration(place: &str, evaluation: &Evaluation) -> Result<(), SeedError> {
    let inputs = evaluation.overriding_inputs.iter().map(String::as_str);
    let others: Vec<&str> = inputs
        .filter(|input| !input.starts_with("seed = ") && !input.starts_with("model = "))
        .collect();
    if others.is_empty() {
        return Ok(());
    }
    Err(SeedError::Configuration {
        other: place.to_owned(),
        inputs: others.join(", "),
    })
}

/// What tells models apart: the model's digest, else that of its predictions.
fn identity(evaluation: &Evaluation) -> &str {
    let of_model = evaluation.model.digest.as_ref();
    let of_predictions = || {
        let predictions = evaluation.predictions.as_ref();
        predictions.map_or(&evaluation.data.digest, |predictions| &predictions.sha256)
    };
    of_model.unwrap_or_else(of_predictions).as_str()
}

/// What the threshold is, where it does not depend on the model.
fn aim(evaluation: &Evaluation) -> Option<(Option<f64>, Option<String>)> {
    let threshold = evaluation.threshold.as_ref()?;
    Some(match &threshold.chosen {
        Some(chosen) => (None, Some(chosen.by.written())),
        None => (Some(threshold.value), None),
    })
}

fn spread(metric: &str, values: Vec<f64>, confidence: f64) -> SeedSpread {
    let moments = Moments::of(values.iter().copied());
    let n = values.len() as f64;
    let deviation = moments.variance.max(0.0).sqrt();
    // Equal values say nothing of how much others would differ.
    let interval = (deviation > 0.0).then(|| {
        let quantile = student_quantile(f64::midpoint(1.0, confidence), n - 1.0);
        let reach = quantile * deviation / n.sqrt();
        let interval = Interval {
            lower: moments.mean - reach,
            upper: moments.mean + reach,
            confidence,
            method: IntervalMethod::StudentT,
        };
        catalog::within_range(metric, interval)
    });
    SeedSpread {
        metric: metric.to_owned(),
        values,
        mean: moments.mean,
        deviation,
        interval,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: 0.80, 0.82 and 0.87 have the mean 0.83 and the variance (0.0009 + 0.0001 + 0.0016) / 2 = 0.0013; t(2; .975) = 4.302652730.
    #[test]
    fn the_interval_is_students_over_the_seeds() {
        let found = spread("accuracy", vec![0.80, 0.82, 0.87], 0.95);
        assert!((found.mean - 0.83).abs() < 1e-12);
        assert!((found.deviation - 0.0013_f64.sqrt()).abs() < 1e-12);
        let interval = found.interval.unwrap();
        let reach = 4.302_652_729_911_275 * (0.0013_f64 / 3.0).sqrt();
        assert!((interval.upper - 0.83 - reach).abs() < 1e-9, "{interval:?}");
        assert!((interval.lower - 0.83 + reach).abs() < 1e-9, "{interval:?}");
        let equal = spread("accuracy", vec![0.8, 0.8], 0.95);
        assert_eq!((equal.deviation, equal.interval), (0.0, None));
    }
}
