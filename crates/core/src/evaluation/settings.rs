//! Two `[evaluate]` sections in, the keys that they have otherwise out.

use serde_json::Value;

use crate::config::EvaluateConfig;

/// A key of `[evaluate]` that two sections have otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingDifference {
    /// The key as it stands under `[evaluate]`.
    pub key: String,
    /// Its value in the one section, as JSON; `None` where it is not there.
    pub mine: Option<String>,
    /// The same of the other section.
    pub others: Option<String>,
}

/// The keys that `mine` and `others` have otherwise, by name. What is not written counts with its default.
pub fn setting_differences(
    mine: &EvaluateConfig,
    others: &EvaluateConfig,
) -> Vec<SettingDifference> {
    // By their values, so that a new key is compared without a word here.
    let [mine, others] = [mine, others]
        .map(|section| serde_json::to_value(section).expect("the keys of a section are texts"));
    let (Value::Object(mine), Value::Object(others)) = (mine, others) else {
        unreachable!("a section of plain values is an object of JSON");
    };
    let mut keys: Vec<&String> = mine.keys().chain(others.keys()).collect();
    keys.sort();
    keys.dedup();
    let written = |value: &Value| value.to_string();
    keys.into_iter()
        .filter(|key| mine.get(*key) != others.get(*key))
        .map(|key| SettingDifference {
            key: key.clone(),
            mine: mine.get(key).map(written),
            others: others.get(key).map(written),
        })
        .collect()
}

impl SettingDifference {
    /// Both values, as a clause; the arguments say where each stands. Lists and tables are not written out.
    pub fn words(&self, [mine, others]: [&str; 2]) -> String {
        let is_long = |value: &Option<String>| {
            let value = value.as_deref().unwrap_or_default();
            value.starts_with('[') || value.chars().count() > 60
        };
        let key = &self.key;
        if is_long(&self.mine) || is_long(&self.others) {
            return format!("`{key}` differs");
        }
        let shown = |value: &Option<String>| {
            value
                .as_ref()
                .map_or_else(|| "not set".to_owned(), |value| format!("`{value}`"))
        };
        format!(
            "`{key}` is {} in {mine} and {} in {others}",
            shown(&self.mine),
            shown(&self.others)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ScoreKind, SliceConfig, Threshold};

    #[test]
    fn every_key_is_compared_with_its_default() {
        let none = EvaluateConfig::default();
        let mine = EvaluateConfig {
            positive_class: Some("ill".to_owned()),
            threshold: Some(Threshold::Fixed(0.4)),
            scores: ScoreKind::Logits,
            top_k: 3,
            slices: vec![SliceConfig {
                columns: vec!["country".to_owned()],
                bins: None,
                min_rows: 30,
                metrics: Vec::new(),
            }],
            ..none.clone()
        };
        assert_eq!(setting_differences(&mine, &mine), []);
        let found = setting_differences(&mine, &none);
        let keys: Vec<&str> = found.iter().map(|found| found.key.as_str()).collect();
        assert_eq!(
            keys,
            ["positive_class", "scores", "slices", "threshold", "top_k"]
        );
        let words: Vec<String> = found
            .iter()
            .map(|found| found.words(["the configuration", "the evaluation"]))
            .collect();
        assert_eq!(
            words[0],
            "`positive_class` is `\"ill\"` in the configuration and not set in the evaluation"
        );
        assert_eq!(words[2], "`slices` differs");
        assert_eq!(
            words[4],
            "`top_k` is `3` in the configuration and `2` in the evaluation"
        );
    }
}
