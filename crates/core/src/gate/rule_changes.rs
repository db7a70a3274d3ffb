//! What a change does to the rules that judge it.

use std::collections::BTreeMap;

use super::rule::Rule;
use super::verdict::RuleChange;

/// The bounds and settings that differ between two lists of rules, in the order of their metrics. A rule that moves within
/// the list changes nothing.
pub fn rule_changes(before: &[Rule], after: &[Rule]) -> Vec<RuleChange> {
    let (before, after) = (settings(before), settings(after));
    let keys: std::collections::BTreeSet<&(String, String)> =
        before.keys().chain(after.keys()).collect();
    let written = |key: &(String, String), value: &String| format!("{} {} {value}", key.0, key.1);
    keys.into_iter()
        .filter(|key| before.get(key) != after.get(key))
        .map(|key| RuleChange {
            before: before.get(key).map(|value| written(key, value)),
            after: after.get(key).map(|value| written(key, value)),
        })
        .collect()
}

/// What each metric's rules say: metric and setting, to the values of all its rules.
fn settings(rules: &[Rule]) -> BTreeMap<(String, String), String> {
    let mut all: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for rule in rules {
        let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(rule) else {
            unreachable!("a rule is an object of plain values");
        };
        for (setting, value) in fields {
            if matches!(setting.as_str(), "metric" | "class") {
                continue;
            }
            let text = match value {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            all.entry((rule.key().to_string(), setting))
                .or_default()
                .push(text);
        }
    }
    all.into_iter()
        .map(|(key, mut values)| {
            values.sort();
            (key, values.join(", "))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Vec<Rule> {
        #[derive(serde::Deserialize)]
        struct Rules {
            rules: Vec<Rule>,
        }
        let rules: Rules = toml::from_str(text).unwrap();
        rules.rules
    }

    #[test]
    fn each_bound_that_moves_is_named_with_both_values() {
        let before = rules(
            "[[rules]]\nmetric = 'accuracy'\nmin = 0.9\n[[rules]]\nmetric = 'loss'\nmax = 1.0\n\
             [[rules]]\nmetric = 'recall'\nclass = 'cat'\nmin = 0.5",
        );
        let after = rules(
            "[[rules]]\nmetric = 'recall'\nclass = 'cat'\nmin = 0.5\n[[rules]]\nmetric = 'accuracy'\nmin = 0.1\nlevel = 'warn'",
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
                (Some("loss level fail"), None),
                (Some("loss max 1.0"), None),
            ]
        );
        assert!(rule_changes(&before, &before).is_empty());
    }
}
