//! The interval of a change between two models: by the rows that both were scored on, or as between two samples.

use super::computation::Computation;
use super::pair::{Basis, Pair};
use super::verdict::PairedComparison;
use crate::figure::figure;
use crate::measurement::{Direction, Measurement};
use crate::metrics::interval_at;
use crate::statistics::{self, Interval};

impl Pair<'_> {
    /// The interval of the improvement as between two samples.
    fn as_two_samples(
        &self,
        measured: &Measurement,
        baseline: &Measurement,
        level: f64,
    ) -> Result<Found, String> {
        let of = |found: &Measurement, confusion, whose: &str| {
            interval_at(found, confusion, level)
                .map_err(|error| format!("no interval of {whose}: {error}"))
        };
        let new_interval = of(measured, self.new.confusion.as_ref(), "this model")?;
        let old_interval = of(baseline, self.old.confusion.as_ref(), "the baseline")?;
        let (new, old) = (measured.value, baseline.value);
        let (of_new, of_old) = ((new, &new_interval), (old, &old_interval));
        Ok(Found {
            interval: match measured.direction {
                Some(Direction::LowerIsBetter) => statistics::difference(of_old, of_new),
                _ => statistics::difference(of_new, of_old),
            },
            detectable: String::new(),
            computation: Computation::TwoSamples {
                new,
                new_interval,
                old,
                old_interval,
            },
        })
    }

    fn rows_not_known(&self) -> String {
        let why = match self.found {
            Some(Err(reason)) => format!(": {reason}"),
            _ => String::new(),
        };
        format!(
            "the predictions of both are not known, so the two cannot be compared row by row{why}"
        )
    }

    /// The interval of the improvement from `baseline` to `measured`, and what else is to be said about it, for a bound of at
    /// least `least`; or why there is none.
    pub(super) fn interval_of_change(
        &self,
        measured: &Measurement,
        baseline: &Measurement,
        level: f64,
        least: f64,
    ) -> Result<Found, String> {
        if matches!(self.basis, Basis::Unpaired) {
            return self.as_two_samples(measured, baseline, level);
        }
        if matches!(self.basis, Basis::Unknown) {
            return Err(
                "it is not known whether the baseline was scored on the same rows".to_owned(),
            );
        }
        let key = &measured.key;
        let change = self.found.and_then(Result::ok).and_then(|shared| {
            let found = shared.changes.iter().find(|change| change.key == *key);
            found.map(Ok).or_else(|| {
                let absent = shared.no_changes.iter().find(|absent| absent.key == *key);
                absent.map(|absent| Err(absent.reason.clone()))
            })
        });
        let found = |interval, detectable: Option<f64>, computation| Found {
            interval,
            detectable: detectable.map_or_else(String::new, |detectable| {
                format!("; smallest detectable change: about {}", figure(detectable))
            }),
            computation,
        };
        match change {
            Some(Ok(change)) => {
                let interval = change
                    .interval(level)
                    .map_err(|reason| format!("no interval holds here: {reason}"))?;
                let computation = Computation::of_change(change, &interval, least);
                let detectable = change.smallest_detectable(level);
                Ok(found(interval, detectable, computation))
            }
            // Accuracy needs no more than the rows that each predicts wrong.
            None if self.new.is_plain_accuracy(key) && self.old.is_plain_accuracy(key) => {
                let paired = self.paired(level).ok_or_else(|| self.rows_not_known())?;
                let PairedComparison {
                    n_rows,
                    n_gained,
                    n_lost,
                    interval,
                    smallest_detectable,
                } = paired;
                let computation = Computation::tango(n_gained, n_lost, n_rows, level, least);
                Ok(found(interval, Some(smallest_detectable), computation))
            }
            _ if key.fold.is_some() => self.as_two_samples(measured, baseline, level),
            Some(Err(reason)) => Err(reason),
            None => Err(self.rows_not_known()),
        }
    }
}

/// The interval of a change.
pub(super) struct Found {
    pub(super) interval: Interval,
    /// What these rows could show, as an addition to a reason.
    pub(super) detectable: String,
    pub(super) computation: Computation,
}
