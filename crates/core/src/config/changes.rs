//! What a change does to the configuration, beside its rules.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::gate::{ChangeScope, RuleChange};

/// What decides on which rows a model is judged, and how: a change of it is a change of the judges.
const JUDGING: [&str; 6] = [
    "data.max_test_rows",
    "data.test",
    "data.validation_fraction",
    "evaluate",
    "gate.baseline",
    "gate.rules_from",
];

/// Characters of a value that are kept.
const MAX_CHARS: usize = 120;

/// The settings that differ between two configurations, in the order of their names: `train.epochs = 10`. Rules, and what
/// holds for all of them, are not among them. Empty where one of the two cannot be parsed.
pub fn config_changes(before: &str, after: &str) -> Vec<RuleChange> {
    let (Some(before), Some(after)) = (settings(before), settings(after)) else {
        return Vec::new();
    };
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let written = |name: &String, value: &String| {
        let value: String = value.chars().take(MAX_CHARS).collect();
        format!("{name} = {value}")
    };
    names
        .into_iter()
        .filter(|name| before.get(*name) != after.get(*name))
        .map(|name| RuleChange {
            before: before.get(name).map(|value| written(name, value)),
            after: after.get(name).map(|value| written(name, value)),
            scope: scope(name),
        })
        .collect()
}

/// What the setting is about.
fn scope(name: &str) -> ChangeScope {
    let judges = JUDGING.iter().any(|setting| {
        let rest = name.strip_prefix(setting);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    });
    if judges {
        ChangeScope::Judges
    } else {
        ChangeScope::Model
    }
}

/// Every value by its path; `None` where the text is no TOML.
fn settings(text: &str) -> Option<BTreeMap<String, String>> {
    let table: toml::Table = text.parse().ok()?;
    let mut found = BTreeMap::new();
    for (section, value) in &table {
        flatten(section, value, &mut found);
    }
    let is_rule = |name: &str| {
        name.starts_with("gate.rules[")
            || [
                "gate.rules",
                "gate.on_missing_baseline",
                "gate.compare_rows",
                "gate.max_rows_lost",
                "gate.sequential",
            ]
            .contains(&name)
    };
    // Where results are indexed says nothing of the model.
    found.retain(|name, _| !is_rule(name) && !name.starts_with("report."));
    Some(found)
}

fn flatten(name: &str, value: &toml::Value, found: &mut BTreeMap<String, String>) {
    let parts: Vec<(String, &toml::Value)> = match value {
        toml::Value::Table(table) => table
            .iter()
            .map(|(key, value)| (format!("{name}.{key}"), value))
            .collect(),
        toml::Value::Array(values) if values.iter().any(toml::Value::is_table) => values
            .iter()
            .enumerate()
            .map(|(idx, value)| (format!("{name}[{idx}]"), value))
            .collect(),
        other => {
            found.insert(name.to_owned(), other.to_string());
            return;
        }
    };
    for (name, value) in parts {
        flatten(&name, value, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_that_moves_is_named_and_what_judges_is_marked() {
        let before = "[gate]\nrules_from = 'base'\n[train]\nepochs = 10\nseed = 1\n[data]\ntest = { path = 'a.csv' }\n\
                      [[model.layers]]\ntype = 'Dense'\nunits = 10\n[[gate.rules]]\nmetric = 'accuracy'\nmin = 0.9";
        let after = "[train]\nseed = 1\nepochs = 1\nbatch_size = 32\n[data]\ntest = { path = 'b.csv' }\n\
                     [[model.layers]]\ntype = 'Dense'\nunits = 20\n[[gate.rules]]\nmetric = 'accuracy'\nmin = 0.1";
        let changes = config_changes(before, after);
        let texts: Vec<(Option<&str>, Option<&str>, bool)> = changes
            .iter()
            .map(|change| {
                let RuleChange {
                    before,
                    after,
                    scope,
                } = change;
                let is_of_judges = *scope == ChangeScope::Judges;
                (before.as_deref(), after.as_deref(), is_of_judges)
            })
            .collect();
        assert_eq!(
            texts,
            [
                (
                    Some("data.test.path = \"a.csv\""),
                    Some("data.test.path = \"b.csv\""),
                    true
                ),
                (Some("gate.rules_from = \"base\""), None, true),
                (
                    Some("model.layers[0].units = 10"),
                    Some("model.layers[0].units = 20"),
                    false
                ),
                (None, Some("train.batch_size = 32"), false),
                (Some("train.epochs = 10"), Some("train.epochs = 1"), false),
            ]
        );
        assert_eq!(config_changes(before, before).len(), 0);
        assert_eq!(config_changes(before, "not toml").len(), 0);
    }
}
