//! Metrics of a regression model.

use super::{Direction, Metric, MetricError, Unit, check_scores};
use crate::config::EvaluateConfig;
use crate::statistics::{Resampler, percentile_interval};

/// `loss`, `mse`, `rmse`, `mae` and `r2` of predictions against labels, with bootstrap intervals.
///
/// `labels[n]` and `predicted[n]`. The definitions are scikit-learn's; `r2` is left out when all labels are equal.
pub fn regress(
    labels: &[f64],
    predicted: &[f32],
    config: &EvaluateConfig,
) -> Result<Vec<Metric>, MetricError> {
    check_scores(labels.len(), predicted, 1)?;
    if let Some(row) = labels.iter().position(|label| !label.is_finite()) {
        return Err(MetricError::NotFinite {
            row,
            column: 0,
            value: labels[row],
        });
    }
    let pairs: Vec<(f64, f64)> = labels
        .iter()
        .zip(predicted)
        .map(|(&label, &p)| (label, f64::from(p)))
        .collect();
    let whole = Figures::of(pairs.iter().copied(), pairs.len());
    let mut resampler = Resampler::new(config.seed);
    let resamples: Vec<Figures> = (0..config.bootstrap_samples)
        .map(|_| {
            Figures::of(
                (0..pairs.len()).map(|_| pairs[resampler.below(pairs.len())]),
                pairs.len(),
            )
        })
        .collect();
    let metric = |name: &str, unit, direction, figure: fn(&Figures) -> Option<f64>| {
        let mut samples: Vec<f64> = resamples.iter().filter_map(figure).collect();
        let interval = percentile_interval(&mut samples, config.confidence);
        figure(&whole).map(|value| Metric {
            name: name.to_owned(),
            value,
            unit,
            direction,
            interval,
        })
    };
    let lower = Direction::LowerIsBetter;
    Ok([
        metric("loss", Unit::LabelSquared, lower, |figures| {
            Some(figures.mse)
        }),
        metric("mse", Unit::LabelSquared, lower, |figures| {
            Some(figures.mse)
        }),
        metric("rmse", Unit::Label, lower, |figures| {
            Some(figures.mse.sqrt())
        }),
        metric("mae", Unit::Label, lower, |figures| Some(figures.mae)),
        metric("r2", Unit::None, Direction::HigherIsBetter, |figures| {
            figures.r2
        }),
    ]
    .into_iter()
    .flatten()
    .collect())
}

struct Figures {
    mse: f64,
    mae: f64,
    r2: Option<f64>,
}

impl Figures {
    fn of(pairs: impl Iterator<Item = (f64, f64)>, n: usize) -> Self {
        let (mut squared, mut absolute, mut mean, mut spread) = (0.0, 0.0, 0.0, 0.0);
        for (seen, (label, predicted)) in pairs.enumerate() {
            let error = label - predicted;
            squared += error * error;
            absolute += error.abs();
            // Welford's update keeps the spread exact where labels are large and close together.
            let step = label - mean;
            mean += step / (seen + 1) as f64;
            spread += step * (label - mean);
        }
        let n = n as f64;
        Self {
            mse: squared / n,
            mae: absolute / n,
            r2: (spread > 0.0).then(|| 1.0 - squared / spread),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: scikit-learn's documentation of `mean_squared_error`, `mean_absolute_error` and `r2_score`,
    /// whose examples use these rows (0.375, 0.5 and 0.948…).
    #[test]
    fn figures_match_scikit_learns_documentation() {
        let metrics = regress(
            &[3.0, -0.5, 2.0, 7.0],
            &[2.5, 0.0, 2.0, 8.0],
            &EvaluateConfig::default(),
        )
        .unwrap();
        let value = |name: &str| {
            metrics
                .iter()
                .find(|metric| metric.name == name)
                .unwrap()
                .value
        };
        assert_eq!(value("mse"), 0.375);
        assert_eq!(value("mae"), 0.5);
        assert!((value("r2") - 0.948_608_137_044_967_9).abs() < 1e-12);
        assert!((value("rmse") - 0.612_372_435_695_794_5).abs() < 1e-12);
    }

    #[test]
    fn equal_labels_have_no_r2() {
        let metrics = regress(&[1.0, 1.0], &[1.0, 2.0], &EvaluateConfig::default()).unwrap();
        assert!(metrics.iter().all(|metric| metric.name != "r2"));
    }

    #[test]
    fn what_is_no_number_is_refused() {
        let config = EvaluateConfig::default();
        assert!(matches!(
            regress(&[1.0], &[f32::INFINITY], &config),
            Err(MetricError::NotFinite { .. })
        ));
        assert!(matches!(
            regress(&[f64::NAN], &[1.0], &config),
            Err(MetricError::NotFinite { .. })
        ));
        assert!(matches!(
            regress(&[], &[], &config),
            Err(MetricError::NoRows)
        ));
    }
}
