//! `[evaluate.cross_validation]`: how the training rows are divided into folds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::checks::first_problem;
use super::data::{DataConfig, DataFormat};
use super::error::Problem;
use crate::folds::{FoldMethod, Splitter};
use crate::model::Task;

const SECTION: [&str; 2] = ["evaluate", "cross_validation"];

/// `[evaluate.cross_validation]`: how the training rows are divided into folds, each of which is scored by a network that
/// was trained on the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CrossValidationConfig {
    /// How rows are divided; by default `stratified_k_fold` for classification and `k_fold` for regression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<FoldMethod>,
    /// Number of folds.
    pub n_splits: usize,
    /// How often the rows are divided anew; more than 1 needs `shuffle = true`.
    pub n_repeats: usize,
    /// group_k_fold, stratified_group_k_fold: the column of the table whose equal values stay in one fold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// time_series_split: the column of the table, numbers or dates, that orders the rows; by default they are in order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Whether rows (or groups) are shuffled before they are divided.
    pub shuffle: bool,
    /// Seed of the shuffle; 0 if not given, so that another seed of `[train]` keeps the folds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Default for CrossValidationConfig {
    fn default() -> Self {
        Self {
            method: None,
            n_splits: 5,
            n_repeats: 1,
            group: None,
            time: None,
            shuffle: false,
            seed: None,
        }
    }
}

impl CrossValidationConfig {
    /// With every default filled in.
    pub(super) fn resolve(self, task: Task) -> Self {
        Self {
            method: Some(self.method(task)),
            seed: self.seed.or(self.shuffle.then_some(0)),
            ..self
        }
    }

    fn method(&self, task: Task) -> FoldMethod {
        self.method.unwrap_or(match task {
            Task::Classification => FoldMethod::StratifiedKFold,
            Task::Regression => FoldMethod::KFold,
        })
    }

    /// What draws these folds.
    pub fn splitter(&self, task: Task) -> Splitter {
        Splitter {
            method: self.method(task),
            n_splits: self.n_splits,
            n_repeats: self.n_repeats,
            seed: self.shuffle.then(|| self.seed.unwrap_or(0)),
        }
    }

    /// The columns that the folds follow.
    pub fn columns(&self) -> impl Iterator<Item = &String> {
        self.group.iter().chain(&self.time)
    }

    /// What holds whatever the model and the data are.
    pub(super) fn validate(&self) -> Result<(), Problem> {
        let place = |key| [SECTION[0], SECTION[1], key];
        first_problem(&[
            (
                &place("n_splits"),
                self.n_splits >= 2,
                "must be at least 2: one fold is tested and the others are trained on",
            ),
            (
                &place("n_repeats"),
                self.n_repeats > 0,
                "must be at least 1",
            ),
        ])?;
        let is_grouped = self.method.is_some_and(FoldMethod::is_grouped);
        let is_by_time = self.method == Some(FoldMethod::TimeSeriesSplit);
        let problem =
            |key, problem: &str, hint: &str| Err(Problem::at(&place(key), problem).hint(hint));
        match () {
            () if is_by_time && self.shuffle => problem(
                "shuffle",
                "`time_series_split` keeps the order of time",
                "remove this line",
            ),
            () if is_by_time && self.n_repeats > 1 => problem(
                "n_repeats",
                "`time_series_split` divides the rows in one way only",
                "remove this line",
            ),
            () if self.n_repeats > 1 && !self.shuffle => problem(
                "n_repeats",
                "without a shuffle every repeat has the same folds",
                "add `shuffle = true`, or remove this line",
            ),
            () if self.seed.is_some() && !self.shuffle => problem(
                "seed",
                "has no effect without a shuffle",
                "add `shuffle = true`, or remove this line",
            ),
            () if is_grouped && self.group.is_none() => problem(
                "method",
                "this method keeps groups together, and `group` is missing",
                "add `group = \"…\"`, the name of a column of the table",
            ),
            () if !is_grouped && self.group.is_some() => problem(
                "group",
                "has no effect with this method",
                "write `method = \"group_k_fold\"` or `\"stratified_group_k_fold\"`, or remove this line",
            ),
            () if !is_by_time && self.time.is_some() => problem(
                "time",
                "has no effect with this method",
                "write `method = \"time_series_split\"`, or remove this line",
            ),
            () => Ok(()),
        }
    }

    /// What holds for this model and these data.
    pub(super) fn validate_for(&self, task: Task, data: &DataConfig) -> Result<(), Problem> {
        let place = |key| [SECTION[0], SECTION[1], key];
        if task == Task::Regression && self.method(task).is_stratified() {
            let instead = match self.method(task).is_grouped() {
                true => FoldMethod::GroupKFold,
                false => FoldMethod::KFold,
            };
            return Err(
                Problem::at(&place("method"), "regression has no classes to stratify by")
                    .hint(format!("write `method = \"{}\"`", instead.name())),
            );
        }
        for (key, column) in [("group", &self.group), ("time", &self.time)] {
            if column.is_some() && data.format != DataFormat::Csv {
                return Err(Problem::at(
                    &place(key),
                    "names a column, and only a table has columns",
                )
                .hint("this needs `[data] format = \"csv\"`"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, JudgingConfig};
    use crate::folds::{FoldMethod, Splitter};

    const TABLE: &str = "\
[model]
name = \"m\"
task = \"regression\"
input_shape = [2]
[[model.layers]]
type = \"Dense\"
units = 1
[data]
format = \"csv\"
train = { path = \"a.csv\" }
test = { path = \"b.csv\" }
[data.csv]
label = \"y\"
[evaluate.cross_validation]
";

    fn parse(keys: &str) -> Result<Config, String> {
        Config::parse(&format!("{TABLE}{keys}"), Path::new("t.toml")).map_err(|e| e.to_string())
    }

    #[test]
    fn defaults_are_those_of_the_task() {
        let config = parse("").unwrap();
        let written = toml::to_string(&config.evaluate.cross_validation).unwrap();
        insta::assert_snapshot!(written, @r#"
        method = "k_fold"
        n_splits = 5
        n_repeats = 1
        shuffle = false
        "#);
        let shuffled = parse("n_splits = 3\nn_repeats = 2\nshuffle = true").unwrap();
        let folds = shuffled.evaluate.cross_validation.unwrap();
        assert_eq!(
            folds.splitter(shuffled.model.task),
            Splitter {
                method: FoldMethod::KFold,
                n_splits: 3,
                n_repeats: 2,
                seed: Some(0)
            }
        );
        assert_eq!(
            config.training_digest().unwrap(),
            parse("n_splits = 3").unwrap().training_digest().unwrap()
        );
    }

    /// Each mistake, with the line that it is on and what to write.
    #[test]
    fn combinations_that_mean_nothing_say_what_to_change() {
        let cases = [
            ("n_splits = 1", ["t.toml:15:1", "must be at least 2"]),
            ("n_repeats = 0", ["t.toml:15:1", "must be at least 1"]),
            ("n_repeats = 2", ["t.toml:15:1", "add `shuffle = true`"]),
            ("seed = 3", ["t.toml:15:1", "add `shuffle = true`"]),
            (
                "method = \"group_k_fold\"",
                ["t.toml:15:1", "add `group = "],
            ),
            (
                "group = \"who\"",
                ["t.toml:15:1", "write `method = \"group_k_fold\"`"],
            ),
            (
                "time = \"day\"",
                ["t.toml:15:1", "write `method = \"time_series_split\"`"],
            ),
            (
                "method = \"time_series_split\"\nshuffle = true",
                ["t.toml:16:1", "keeps the order of time"],
            ),
            (
                "method = \"time_series_split\"\nn_repeats = 2",
                ["t.toml:16:1", "remove this line"],
            ),
            (
                "method = \"stratified_k_fold\"",
                ["t.toml:15:1", "write `method = \"k_fold\"`"],
            ),
            (
                "method = \"stratified_group_k_fold\"\ngroup = \"who\"",
                ["t.toml:15:1", "write `method = \"group_k_fold\"`"],
            ),
            ("n_split = 3", ["t.toml:15:1", "did you mean `n_splits`?"]),
            (
                "method = \"kfold\"",
                ["t.toml:15:10", "did you mean `k_fold`?"],
            ),
        ];
        for (keys, expected) in cases {
            let error = parse(keys).unwrap_err();
            for part in expected {
                assert!(error.contains(part), "{keys}: {error}");
            }
        }
        let arrays = format!("{TABLE}method = \"group_k_fold\"\ngroup = \"who\"")
            .replace(
                "csv\"\ntrain = { path = \"a.csv\" }",
                "npy\"\ntrain = { features = \"a\", labels = \"b\" }",
            )
            .replace(
                "test = { path = \"b.csv\" }\n[data.csv]\nlabel = \"y\"\n",
                "test = { features = \"a\", labels = \"b\" }\n",
            );
        let error = Config::parse(&arrays, Path::new("t.toml"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("only a table has columns"), "{error}");
    }

    #[test]
    fn another_tools_folds_need_no_model() {
        let text = "[evaluate.cross_validation]\nmethod = \"stratified_k_fold\"\n";
        let config = JudgingConfig::parse(text, Path::new("t.toml")).unwrap();
        assert!(config.evaluate.cross_validation.is_some());
        let text = "[evaluate.cross_validation]\nn_splits = 1\n";
        assert!(JudgingConfig::parse(text, Path::new("t.toml")).is_err());
    }
}
