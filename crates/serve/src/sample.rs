//! A sample of the requests, for the log: what came in, as figures and never as values, and what was predicted.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderValue;

use crate::model::Model;

/// Rows of a request that are logged.
const MAX_ROWS: usize = 8;

/// The golden ratio's fractional part: its multiples, modulo 1, fall evenly into any interval.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Which requests are logged.
#[derive(Debug)]
pub(crate) struct Sampling {
    share: f64,
    n_requests: AtomicU64,
}

/// A request that is to be logged once it is computed.
pub(crate) struct Sample {
    model: Model,
    request_id: Option<HeaderValue>,
    rows: Vec<InputFigures>,
}

/// The values of one row, without any of them.
#[derive(Debug, PartialEq)]
struct InputFigures {
    mean: f64,
    /// With divisor n.
    std: f64,
    min: f64,
    max: f64,
}

impl Sampling {
    /// Of so large a share of the requests, from 0 to 1.
    pub(crate) const fn new(share: f64) -> Self {
        Self {
            share,
            n_requests: AtomicU64::new(0),
        }
    }

    /// The next request, with the values `[n_rows, …]`, if it is one of the sample.
    pub(crate) fn draw(
        &self,
        model: &Model,
        request_id: Option<&HeaderValue>,
        values: &[f32],
        n_rows: usize,
    ) -> Option<Sample> {
        self.is_next().then(|| Sample {
            model: model.clone(),
            request_id: request_id.cloned(),
            rows: values
                .chunks((values.len() / n_rows.max(1)).max(1))
                .take(MAX_ROWS)
                .map(InputFigures::of)
                .collect(),
        })
    }

    fn is_next(&self) -> bool {
        if self.share <= 0.0 {
            return false;
        }
        let n = self.n_requests.fetch_add(1, Ordering::Relaxed);
        (n as f64 * GOLDEN).fract() < self.share
    }
}

impl InputFigures {
    fn of(row: &[f32]) -> Self {
        let n = row.len() as f64;
        let mean = row.iter().map(|&value| f64::from(value)).sum::<f64>() / n;
        let squares = row.iter().map(|&value| (f64::from(value) - mean).powi(2));
        let range = row.iter().map(|&value| f64::from(value));
        Self {
            mean,
            std: (squares.sum::<f64>() / n).sqrt(),
            min: range.clone().fold(f64::INFINITY, f64::min),
            max: range.fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

impl Sample {
    /// Logs a line a row of the scores `[n_rows, n_outputs]`.
    pub(crate) fn log(&self, scores: &[f32]) {
        let classes = self.model.classes(scores);
        let scores = scores.chunks_exact(self.model.n_outputs());
        for (idx, (row, scores)) in self.rows.iter().zip(scores).enumerate() {
            let class = classes.as_ref().map(|classes| classes[idx]);
            let score = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let predicted = class.map_or_else(|| score.to_string(), ToOwned::to_owned);
            tracing::info!(
                event.dataset = "trainyard.sample",
                http.request.id = self.request_id.as_ref().and_then(|id| id.to_str().ok()),
                model = self.model.name(),
                version = self.model.version(),
                row = idx as u64,
                class,
                score = f64::from(score),
                input_mean = row.mean,
                input_std = row.std,
                input_min = row.min,
                input_max = row.max,
                "a sampled row: {predicted}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_kept_in_any_stretch() {
        let sampling = Sampling::new(0.1);
        for _ in 0..5 {
            let n_drawn = (0..200).filter(|_| sampling.is_next()).count();
            assert!((18..=22).contains(&n_drawn), "{n_drawn}");
        }
        let all = Sampling::new(1.0);
        assert!((0..100).all(|_| all.is_next()));
        assert!(!Sampling::new(0.0).is_next());
    }

    /// By hand: 1, 2, 3, 6 have the mean 3, and squares about it of 4 + 1 + 0 + 9.
    #[test]
    fn a_row_is_told_by_its_figures() {
        let figures = InputFigures::of(&[1.0, 2.0, 3.0, 6.0]);
        let expected = InputFigures {
            mean: 3.0,
            std: 3.5_f64.sqrt(),
            min: 1.0,
            max: 6.0,
        };
        assert_eq!(figures, expected);
    }
}
