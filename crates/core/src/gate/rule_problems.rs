//! What is wrong with a rule by itself: a rule that could never be judged, or that says nothing.

use super::bound::Bound;
use super::rule::{CompareRows, PAIRED_METRIC, PAIRED_METRIC_OF_SETS, Rule, WILDCARD, slice_parts};
use crate::measurement::{Direction, MetricKey, Unit};
use crate::metrics::{Compute, catalog, has_paired_method};

impl Rule {
    /// What is wrong with the rule itself, and at which key.
    pub(crate) fn problem(&self) -> Option<(Option<&'static str>, String)> {
        self.problem_of_bounds()
            .or_else(|| self.problem_of_direction())
            .or_else(|| self.problem_of_sequential())
            .or_else(|| self.problem_of_confidence())
    }

    fn problem_of_bounds(&self) -> Option<(Option<&'static str>, String)> {
        let counts_rows = self.max_new_errors.is_some() || self.must_pass.is_some();
        let is_of_part = self.class.is_some() || self.output.is_some() || self.slice.is_some();
        let is_of_rows_alone = counts_rows && self.bounds().len() == 1 && !is_of_part;
        if counts_rows && (is_of_part || self.fold.is_some()) {
            let key = match self.must_pass {
                Some(_) => "must_pass",
                None => "max_new_errors",
            };
            let problem = "is about all rows: remove `class`, `output`, `slice` and `fold`";
            return Some((Some(key), problem.to_owned()));
        }
        if self.metric.trim().is_empty() && !is_of_rows_alone {
            return Some((Some("metric"), "names no metric".to_owned()));
        }
        let of_rows = [PAIRED_METRIC, PAIRED_METRIC_OF_SETS].map(MetricKey::overall);
        if counts_rows && !of_rows.contains(&self.key()) {
            let problem = format!(
                "counts rows, so it goes with `metric = \"{PAIRED_METRIC}\"` (`\"{PAIRED_METRIC_OF_SETS}\"` of multilabel rows) or without a metric: write a rule of its own"
            );
            let key = match self.must_pass {
                Some(_) => "must_pass",
                None => "max_new_errors",
            };
            return Some((Some(key), problem));
        }
        if self.fold.is_some() && is_of_part {
            let problem = "goes with metrics of all rows: remove `class`, `output` or `slice`";
            return Some((Some("fold"), problem.to_owned()));
        }
        if self.output.is_some() && (self.class.is_some() || self.slice.is_some()) {
            let problem = if self.class.is_some() {
                "is of numbers, and `class` of classes: remove one of the two"
            } else {
                "goes with all rows, since metrics of an output within a slice are not measured: remove `output` or `slice`"
            };
            return Some((Some("output"), problem.to_owned()));
        }
        if self.class.is_some() && self.slice.is_some() {
            let problem = match (self.metric.as_str(), &self.class, &self.slice) {
                ("recall", Some(class), Some(slice)) if class != WILDCARD => format!(
                    "metrics of a class within a slice are not measured; recall of a class is accuracy of its rows: cut the slices by `label` too, and write `metric = \"accuracy\"` with `slice = \"{slice}, label={class}\"` and without `class`"
                ),
                _ => "metrics of a class within a slice are not measured: remove `class` or `slice`; for the accuracy of a class within a slice, cut the slices by `label` too, and name both in `slice`"
                    .to_owned(),
            };
            return Some((Some("class"), problem));
        }
        if let Some(slice) = &self.slice
            && slice_parts(slice)
                .iter()
                .any(|(column, value)| column.is_empty() || value.is_empty())
        {
            let problem =
                "is not written as `column=value`: `country=DE`, or `country=*` for each value";
            return Some((Some("slice"), problem.to_owned()));
        }
        if self
            .name
            .as_ref()
            .is_some_and(|name| name.trim().is_empty())
        {
            return Some((Some("name"), "is empty".to_owned()));
        }
        let bounds = [
            ("min", self.min, f64::NEG_INFINITY),
            ("max", self.max, f64::NEG_INFINITY),
            ("max_drop", self.max_drop, 0.0),
            ("max_drop_pct", self.max_drop_pct, 0.0),
            ("min_gain", self.min_gain, 0.0),
            ("min_gain_pct", self.min_gain_pct, 0.0),
        ];
        if bounds.iter().all(|(_, bound, _)| bound.is_none()) && !counts_rows {
            return Some((
                None,
                "asks for nothing: add `min`, `max`, `max_drop`, `max_drop_pct`, `min_gain`, `min_gain_pct`, `max_new_errors` or `must_pass`"
                    .to_owned(),
            ));
        }
        for (key, bound, least) in bounds {
            let Some(bound) = bound else { continue };
            if !bound.is_finite() || bound < least {
                let problem = match key {
                    "min" | "max" => "must be a finite number",
                    _ => "must be a finite number, and not negative",
                };
                return Some((Some(key), problem.to_owned()));
            }
            let unit = catalog::find(&self.metric).map(|metric| metric.unit);
            let is_absolute = matches!(key, "min" | "max");
            if is_absolute && unit == Some(Unit::Proportion) && !(0.0..=1.0).contains(&bound) {
                let problem = format!(
                    "`{}` is a proportion, so a bound lies between 0 and 1: write 98 % as 0.98",
                    self.metric
                );
                return Some((Some(key), problem));
            }
            let is_change = matches!(key, "max_drop" | "min_gain");
            if is_change && unit == Some(Unit::Proportion) && bound >= 1.0 {
                let problem = format!(
                    "`{}` is a proportion, which cannot change by {bound} or more: write 5 % as 0.05, or use `{key}_pct`",
                    self.metric
                );
                return Some((Some(key), problem));
            }
            let never_negative = catalog::find(&self.metric).is_some_and(|metric| {
                metric.direction == Direction::HigherIsBetter && metric.range.0 >= 0.0
            });
            if key == "max_drop_pct" && never_negative && bound >= 100.0 {
                let problem = format!(
                    "`{}` is never below 0, so it cannot drop by more than 100 %: write 5 % as 5",
                    self.metric
                );
                return Some((Some(key), problem));
            }
        }
        match (self.min, self.max) {
            (Some(min), Some(max)) if min > max => {
                Some((Some("min"), format!("`min` {min} is above `max` {max}")))
            }
            _ => None,
        }
    }

    fn problem_of_direction(&self) -> Option<(Option<&'static str>, String)> {
        let metric = &self.metric;
        if let (Some(stated), Some(known)) = (self.direction, catalog::direction(metric))
            && stated != known
        {
            let problem = format!(
                "contradicts what `{metric}` means; remove `direction`, or give a metric of your own another name"
            );
            return Some((Some("direction"), problem));
        }
        if self.compares() && !self.metric.is_empty() && self.direction().is_none() {
            let problem = format!(
                "it is not known which way `{metric}` is better: add `direction = \"higher_is_better\"` or `\"lower_is_better\"`"
            );
            return Some((Some("metric"), problem));
        }
        None
    }

    /// Why no interval of the change can ever be had that the rule asks for. The mean over folds, which `has_folds` says is
    /// judged, has one of any metric; two samples have one where each has.
    pub(crate) fn problem_of_paired_method(
        &self,
        compare_rows: CompareRows,
        has_folds: bool,
    ) -> Option<String> {
        let asks = self.confidence.is_some()
            && self
                .bounds()
                .into_iter()
                .any(|bound| bound.compares() && !matches!(bound, Bound::MaxNewErrors(_)));
        if !asks || compare_rows == CompareRows::Unpaired {
            return None;
        }
        let metric = self.key().metric;
        let is_computed = catalog::all()
            .any(|known| known.name == metric && !matches!(known.compute, Compute::Elsewhere));
        let is_of_folds = self.fold.is_some() || has_folds;
        // A name that neither the catalog nor a direction knows may be misspelt: where it is looked for, it is told what it may mean.
        let is_known = self.direction.is_some() || catalog::all().any(|known| known.name == metric);
        if !is_known || has_paired_method(&metric) || is_computed && is_of_folds {
            return None;
        }
        let of_folds = if is_computed {
            "; where the predictions have a column `fold`, add `fold = \"mean\"`"
        } else {
            ""
        };
        Some(format!(
            "no method is known for the interval of a change of `{metric}`, so this rule could never be judged: remove `confidence`{of_folds}"
        ))
    }

    fn problem_of_sequential(&self) -> Option<(Option<&'static str>, String)> {
        self.sequential?;
        let problem = |problem: &str| Some((Some("sequential"), problem.to_owned()));
        let allowed = [self.max_drop, self.min_gain].iter().flatten().count();
        if self.key() != MetricKey::overall(PAIRED_METRIC) {
            return problem(
                "accumulates evidence on the accuracy of all rows alone: write it in a rule with `metric = \"accuracy\"` and without `class`, `slice` and `fold`, or remove it",
            );
        }
        if allowed == 0 || allowed < self.bounds().len() {
            return problem(
                "accumulates evidence on a change: ask for `max_drop` or `min_gain`, and write a rule of its own for any other bound",
            );
        }
        if self.confidence.is_none() {
            return problem("has no effect without `confidence`: add `confidence = 0.95`");
        }
        None
    }

    fn problem_of_confidence(&self) -> Option<(Option<&'static str>, String)> {
        let Some(level) = self.confidence else {
            return self.when_uncertain.map(|_| {
                let problem = "has no effect without `confidence`: add `confidence = 0.95`";
                (Some("when_uncertain"), problem.to_owned())
            });
        };
        if !(level > 0.5 && level < 1.0) {
            let problem = "must lie between 0.5 and 1, such as 0.95";
            return Some((Some("confidence"), problem.to_owned()));
        }
        if (self.max_new_errors.is_some() || self.must_pass.is_some()) && self.bounds().len() == 1 {
            let problem = "has no effect on a number of rows; remove it";
            return Some((Some("confidence"), problem.to_owned()));
        }
        let asks_for_equality = [
            ("max_drop", self.max_drop),
            ("max_drop_pct", self.max_drop_pct),
        ]
        .into_iter()
        .find(|(_, bound)| *bound == Some(0.0));
        match asks_for_equality {
            Some((key, _)) if self.when_uncertain.is_none() => Some((
                Some(key),
                format!(
                    "with `confidence`, no number of rows proves that nothing is lost: allow a drop, such as `{key} = 0.005`, or add `when_uncertain = \"warn\"`, `\"pass\"` or `\"fail\"`"
                ),
            )),
            _ => None,
        }
    }
}
