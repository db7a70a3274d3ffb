//! Whether two evaluations measure one and the same by a metric.

use super::catalog;
use super::metric::Compute;
use super::scoring::Scoring;
use crate::measurement::MetricKey;

/// By which setting the metric `key` of `new` is another thing than that of `old`, as a clause; `None` where both measure one and the same.
pub fn scoring_difference(new: &Scoring, old: &Scoring, key: &MetricKey) -> Option<String> {
    let name = key.metric.as_str();
    let is_of_classes = |compute: &Compute| matches!(compute, Compute::PerClass(_));
    let is_ranked = |compute: &Compute| matches!(compute, Compute::Ranking(_));
    let any = |is_it: &dyn Fn(&Compute) -> bool| {
        catalog::all().any(|metric| metric.name == name && is_it(&metric.compute))
    };
    // With two classes, figures of all rows are those of the positive one.
    let is_of_positive = || {
        key.class.is_none()
            && (any(&is_of_classes) || ["brier_score", "average_precision"].contains(&name))
    };
    let quoted = |class: &Option<String>| {
        class
            .as_ref()
            .map_or_else(|| "none".to_owned(), |class| format!("\"{class}\""))
    };
    let number = |k: Option<u32>| k.map_or_else(|| "none".to_owned(), |k| k.to_string());
    let (setting, mine, others) = if new.positive_class != old.positive_class && is_of_positive() {
        (
            "positive_class",
            quoted(&new.positive_class),
            quoted(&old.positive_class),
        )
    } else if new.top_k != old.top_k && name == "top_k_accuracy" {
        ("top_k", new.top_k.to_string(), old.top_k.to_string())
    } else if new.ranking_k != old.ranking_k && any(&is_ranked) {
        (
            "[evaluate.ranking] k",
            number(new.ranking_k),
            number(old.ranking_k),
        )
    } else if new.beta.to_bits() != old.beta.to_bits() && name.starts_with("f_beta") {
        ("beta", new.beta.to_string(), old.beta.to_string())
    } else if new.quantile.to_bits() != old.quantile.to_bits() && name == "pinball_loss" {
        (
            "quantile",
            new.quantile.to_string(),
            old.quantile.to_string(),
        )
    } else {
        return None;
    };
    Some(format!(
        "the baseline was scored with `{setting}` = {others}, this evaluation with {mine}: score both alike"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Loss;

    #[test]
    fn a_setting_makes_other_metrics_of_those_that_depend_on_it_alone() {
        let old = Scoring::new(Loss::SparseCategoricalCrossentropy, 0.95);
        let ill = Some("ill".to_owned());
        for (new, metric, class, setting) in [
            (
                Scoring {
                    positive_class: ill.clone(),
                    ..old.clone()
                },
                "recall",
                None,
                Some("positive_class"),
            ),
            (
                Scoring {
                    positive_class: ill.clone(),
                    ..old.clone()
                },
                "recall",
                Some("ill"),
                None,
            ),
            (
                Scoring {
                    positive_class: ill,
                    ..old.clone()
                },
                "accuracy",
                None,
                None,
            ),
            (
                Scoring {
                    top_k: 3,
                    ..old.clone()
                },
                "top_k_accuracy",
                None,
                Some("top_k"),
            ),
            (
                Scoring {
                    top_k: 3,
                    ..old.clone()
                },
                "accuracy",
                None,
                None,
            ),
            (
                Scoring {
                    ranking_k: Some(3),
                    ..old.clone()
                },
                "ndcg",
                None,
                Some("ranking"),
            ),
            (
                Scoring {
                    confidence: 0.9,
                    ..old.clone()
                },
                "loss",
                None,
                None,
            ),
        ] {
            let key = MetricKey {
                class: class.map(str::to_owned),
                ..MetricKey::overall(metric)
            };
            let found = scoring_difference(&new, &old, &key);
            assert_eq!(found.is_some(), setting.is_some(), "{metric}: {found:?}");
            assert!(found.unwrap_or_default().contains(setting.unwrap_or("")));
        }
    }
}
