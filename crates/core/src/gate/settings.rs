//! `[evaluate]` of the configuration that judges beside that of the evaluation: what differs, and which rules it matters to.

use super::rule::slice_parts;
use crate::config::EvaluateConfig;
use crate::evaluation::{SettingDifference, setting_differences};
use crate::measurement::MetricKey;
use crate::metrics::{Compute, catalog};

/// What is written where reports name the two.
const PLACES: [&str; 2] = ["the configuration", "this evaluation"];

const ADVICE: &str = "run `trainyard-evaluate` again";

/// Settings that the configuration has otherwise than the evaluation.
pub(super) struct OtherSettings<'a> {
    differences: Vec<SettingDifference>,
    /// The configuration's, and the evaluation's.
    sections: [&'a EvaluateConfig; 2],
}

impl<'a> OtherSettings<'a> {
    /// `None` where nothing differs, or one of the two is not known.
    pub(super) fn of(
        configured: Option<&'a EvaluateConfig>,
        evaluated: Option<&'a EvaluateConfig>,
    ) -> Option<Self> {
        let sections = [configured?, evaluated?];
        let differences = setting_differences(sections[0], sections[1]);
        (!differences.is_empty()).then_some(Self {
            differences,
            sections,
        })
    }

    /// For the report.
    pub(super) fn note(&self) -> String {
        let words: Vec<String> = self
            .differences
            .iter()
            .map(|difference| difference.words(PLACES))
            .collect();
        format!(
            "`[evaluate]` of the configuration is another one than that of this evaluation: {}; {ADVICE}.",
            words.join("; ")
        )
    }

    /// Why `key` is not what the configuration asks for, as a clause.
    pub(super) fn reason(&self, key: &MetricKey) -> Option<String> {
        let differences = self.differences.iter();
        let decisive = differences.filter(|difference| self.decides(&difference.key, key));
        let words: Vec<String> = decisive
            .map(|difference| difference.words(PLACES))
            .collect();
        (!words.is_empty()).then(|| format!("{}: {ADVICE}", words.join("; ")))
    }

    /// Whether `setting` makes another figure of `key`.
    fn decides(&self, setting: &str, key: &MetricKey) -> bool {
        let name = key.metric.as_str();
        let any = |is_it: &dyn Fn(&Compute) -> bool| {
            catalog::all().any(|metric| metric.name == name && is_it(&metric.compute))
        };
        let is_of_predictions = any(&|compute| {
            matches!(
                compute,
                Compute::Confusion(_)
                    | Compute::PerClass(_)
                    | Compute::Sets(_)
                    | Compute::OfLabel {
                        of_rows: Some(_),
                        ..
                    }
            )
        });
        let is_of_scores = any(&|compute| {
            matches!(
                compute,
                Compute::Probabilities(_)
                    | Compute::Curves { .. }
                    | Compute::ScoredSets(_)
                    | Compute::OfLabel {
                        of_scores: Some(_),
                        ..
                    }
            )
        });
        let has_threshold = self
            .sections
            .iter()
            .any(|section| section.threshold.is_some());
        match setting {
            // Rules compute their intervals at their own level.
            "confidence" => false,
            "top_k" => name == "top_k_accuracy",
            "threshold" => is_of_predictions,
            // The class whose score is compared with the threshold, or that figures of all rows are of.
            "positive_class" => {
                let is_of_positive = any(&|compute| matches!(compute, Compute::PerClass(_)))
                    || ["brier_score", "average_precision"].contains(&name);
                has_threshold && is_of_predictions || key.class.is_none() && is_of_positive
            }
            // They decide which class has the highest score, too, where a file holds one column.
            "scores" => is_of_predictions || is_of_scores,
            "columns" => {
                let [configured, evaluated] = self.sections.map(|section| section.column_of(name));
                configured != evaluated
            }
            "slices" => key.slice.as_ref().is_some_and(|slice| {
                let columns = slice_columns(slice);
                let [configured, evaluated] = self.sections.map(|section| {
                    let slices = section.slices.iter();
                    slices
                        .filter(|slice| {
                            let mut names: Vec<&str> =
                                slice.columns.iter().map(String::as_str).collect();
                            names.sort_unstable();
                            names == columns
                        })
                        .collect::<Vec<_>>()
                });
                configured != evaluated
            }),
            "ranking" => any(&|compute| matches!(compute, Compute::Ranking(_))),
            "cross_validation" => key.fold.is_some(),
            // A setting that is not known here may decide anything.
            _ => true,
        }
    }
}

/// The columns that a slice is cut by, sorted: of `country=DE, age=20–40`, `age` and `country`.
fn slice_columns(slice: &str) -> Vec<&str> {
    let mut columns: Vec<&str> = slice_parts(slice)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    columns.sort_unstable();
    columns
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::JudgingConfig;

    fn section(text: &str) -> EvaluateConfig {
        let path = Path::new("trainyard.toml");
        JudgingConfig::parse(text, path).unwrap().evaluate
    }

    #[test]
    fn a_setting_matters_to_the_metrics_that_depend_on_it() {
        let positive = "[evaluate]\npositive_class = \"ill\"\n";
        let by_country = "[[evaluate.slices]]\ncolumns = [\"country\"]\n";
        let slice = |slice: &str| MetricKey {
            slice: Some(slice.to_owned()),
            ..MetricKey::overall("accuracy")
        };
        let overall = MetricKey::overall;
        for (configured, evaluated, key, setting) in [
            (positive, "", overall("recall"), Some("positive_class")),
            (positive, "", overall("accuracy"), None),
            (positive, "", MetricKey::of_class("recall", "ill"), None),
            (
                "[evaluate]\ntop_k = 3",
                "",
                overall("top_k_accuracy"),
                Some("top_k"),
            ),
            ("[evaluate]\ntop_k = 3", "", overall("log_loss"), None),
            (
                "[evaluate]\nscores = \"logits\"",
                "",
                overall("log_loss"),
                Some("scores"),
            ),
            ("[evaluate]\nscores = \"logits\"", "", overall("rmse"), None),
            (
                "[evaluate]\nconfidence = 0.9",
                "",
                overall("accuracy"),
                None,
            ),
            (
                "[evaluate.ranking]\nk = 3",
                "[evaluate.ranking]",
                overall("ndcg"),
                Some("ranking"),
            ),
            (by_country, "", slice("country=DE"), Some("slices")),
            (by_country, "", slice("age=1"), None),
            (
                "[[evaluate.columns]]\nname = \"cost\"\ndirection = \"lower_is_better\"",
                "[[evaluate.columns]]\nname = \"cost\"",
                overall("cost.mean"),
                Some("columns"),
            ),
        ] {
            let [configured, evaluated] = [configured, evaluated].map(section);
            let found = OtherSettings::of(Some(&configured), Some(&evaluated)).unwrap();
            let reason = found.reason(&key);
            assert_eq!(reason.is_some(), setting.is_some(), "{key}: {reason:?}");
            let reason = reason.unwrap_or_default();
            assert!(reason.contains(setting.unwrap_or_default()), "{reason}");
        }
        let [threshold, other] =
            ["0.3", "0.5"].map(|value| section(&format!("{positive}threshold = {value}")));
        let found = OtherSettings::of(Some(&threshold), Some(&other)).unwrap();
        assert_eq!(
            found.reason(&overall("accuracy")).unwrap(),
            "`threshold` is `0.3` in the configuration and `0.5` in this evaluation: run `trainyard-evaluate` again"
        );
        assert_eq!(found.reason(&overall("roc_auc")), None);
        assert!(OtherSettings::of(Some(&threshold), Some(&threshold)).is_none());
        assert!(OtherSettings::of(Some(&threshold), None).is_none());
    }
}
