//! What a change does to the rules that judge it.

use std::collections::BTreeMap;

use super::verdict::{ChangeScope, RuleChange};
use crate::config::GateConfig;

/// What all rules share, beside the metrics.
const ALL_RULES: &str = "all rules:";

/// The bounds and settings that differ between two sections, in the order of their metrics. A rule that moves within the
/// list changes nothing.
pub fn rule_changes(before: &GateConfig, after: &GateConfig) -> Vec<RuleChange> {
    let (before, after) = (settings(before), settings(after));
    let keys: std::collections::BTreeSet<&(String, String)> =
        before.keys().chain(after.keys()).collect();
    let written = |key: &(String, String), value: &String| format!("{} {} {value}", key.0, key.1);
    keys.into_iter()
        .filter(|key| before.get(key) != after.get(key))
        .map(|key| RuleChange {
            before: before.get(key).map(|value| written(key, value)),
            after: after.get(key).map(|value| written(key, value)),
            scope: ChangeScope::Judges,
        })
        .collect()
}

/// What each metric's rules say: metric and setting, to the values of all its rules; and what holds for all of them.
fn settings(gate: &GateConfig) -> BTreeMap<(String, String), String> {
    let mut all: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for rule in &gate.rules {
        for (setting, value) in fields(rule) {
            if !matches!(setting.as_str(), "metric" | "class") {
                all.entry((rule.key().to_string(), setting))
                    .or_default()
                    .push(value);
            }
        }
    }
    for (setting, value) in fields(gate) {
        if matches!(
            setting.as_str(),
            "on_missing_baseline" | "compare_rows" | "max_rows_lost" | "sequential"
        ) {
            all.insert((ALL_RULES.to_owned(), setting), vec![value]);
        }
    }
    all.into_iter()
        .map(|(key, mut values)| {
            values.sort();
            (key, values.join(", "))
        })
        .collect()
}

/// The fields of a section or a rule, as texts.
fn fields<T: serde::Serialize>(section: &T) -> impl Iterator<Item = (String, String)> + use<T> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(section) else {
        unreachable!("sections and rules are objects of plain values");
    };
    fields.into_iter().map(|(setting, value)| {
        let text = match value {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        (setting, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> GateConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn each_bound_that_moves_is_named_with_both_values() {
        let before = rules(
            "[[rules]]\nmetric = 'accuracy'\nmin = 0.9\n[[rules]]\nmetric = 'loss'\nmax = 1.0\n\
             [[rules]]\nmetric = 'recall'\nclass = 'cat'\nmin = 0.5",
        );
        let after = rules(
            "compare_rows = 'unpaired'\n[[rules]]\nmetric = 'recall'\nclass = 'cat'\nmin = 0.5\n[[rules]]\nmetric = 'accuracy'\nmin = 0.1\nlevel = 'warn'",
        );
        let changes = rule_changes(&before, &after);
        let texts: Vec<(Option<&str>, Option<&str>)> = changes
            .iter()
            .map(|change| (change.before.as_deref(), change.after.as_deref()))
            .collect();
        assert_eq!(
            texts,
            [
                (Some("accuracy level fail"), Some("accuracy level warn")),
                (Some("accuracy min 0.9"), Some("accuracy min 0.1")),
                (
                    Some("all rules: compare_rows same"),
                    Some("all rules: compare_rows unpaired")
                ),
                (Some("loss level fail"), None),
                (Some("loss max 1.0"), None),
            ]
        );
        assert_eq!(rule_changes(&before, &before).len(), 0);
    }
}
