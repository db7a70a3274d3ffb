//! What the types alone cannot say about a configuration.

use std::collections::BTreeSet;

use super::error::Problem;
use super::name::{PLAIN_NAME, is_plain_name};
use super::{Config, GateConfig, ImageConfig, Model, Threshold};
use crate::gate::{CompareRows, Level, Rule, RuleGroup};
use crate::model::architecture::{self, Activation, Layer};
use crate::model::{Loss, Task};
use crate::publication::{MODEL_FOLDER, SERVER_PATH};

impl Config {
    pub(super) fn validate(&self) -> Result<(), Problem> {
        self.model.validate()?;
        let n_outputs = self.validate_output()?;
        self.data
            .validate(self.model.task, &self.model.input_shape, n_outputs)?;
        let scales_twice = self
            .model
            .layers
            .iter()
            .position(|named| matches!(named.layer, Layer::Rescaling(_)))
            .filter(|_| !self.data.preprocessing.is_empty());
        if let Some(layer_idx) = scales_twice {
            let place = ["model", "layers", &layer_idx.to_string()];
            return Err(Problem::at(
                &place,
                "values are already scaled in `[data] preprocessing`",
            )
            .hint("remove one of the two"));
        }
        self.evaluate.validate(self.data.classes.as_deref())?;
        if self.evaluate.threshold.is_some() && self.evaluate.positive_class.is_none() {
            return Err(Threshold::without_class());
        }
        if let Some(folds) = &self.evaluate.cross_validation {
            folds.validate_for(self.model.task, &self.data)?;
        }
        self.gate.validate()?;
        self.image.validate()?;
        self.deploy.validate()?;
        self.report.validate()
    }

    /// The number of outputs, once task, loss and last layer fit together.
    fn validate_output(&self) -> Result<usize, Problem> {
        let layers = &self.model.layers;
        let last_idx = (layers.len() - 1).to_string();
        let shapes =
            architecture::shapes(layers, &self.model.input_shape).map_err(|(idx, error)| {
                Problem::at(&["model", "layers", &idx.to_string()], error.to_string())
            })?;
        let output = shapes.last().map(Vec::as_slice).unwrap_or_default();
        let [n_outputs] = *output else {
            return Err(Problem::at(&["model", "layers", &last_idx], format!("the output has the shape {output:?}"))
                .hint("end with a Dense layer after `type = \"Flatten\"`, so that one row gives one vector"));
        };
        let activation = layers.last().map(|named| named.layer.activation());
        let loss = self.train.loss;
        let last = ["model", "layers", &last_idx];
        let needs_last = |problem: String, line: &str| {
            Err(Problem::at(&last, problem).hint(format!("write {line} in the last Dense layer")))
        };
        match (self.model.task, loss) {
            (
                Task::Classification,
                Loss::SparseCategoricalCrossentropy | Loss::CategoricalCrossentropy,
            ) => {
                if activation != Some(Activation::Softmax) {
                    let problem = "a classifier's last layer must give probabilities".to_owned();
                    return needs_last(problem, "`activation = \"softmax\"`");
                }
            }
            (Task::Classification, Loss::BinaryCrossentropy) => {
                if activation != Some(Activation::Sigmoid) || n_outputs != 1 {
                    let problem = "binary cross-entropy needs one probability".to_owned();
                    return needs_last(problem, "`units = 1` and `activation = \"sigmoid\"`");
                }
            }
            (Task::Regression, Loss::MeanSquaredError | Loss::MeanAbsoluteError | Loss::Huber) => {
                if n_outputs != 1 {
                    let problem = format!(
                        "regression predicts one number, but the last layer gives {n_outputs}"
                    );
                    return needs_last(problem, "`units = 1`");
                }
            }
            _ => {
                return Err(Problem::at(&["train", "loss"], "this loss does not fit `[model] task`").hint(
                    "classification takes `sparse_categorical_crossentropy`, `categorical_crossentropy` or `binary_crossentropy`, \
                     regression `mean_squared_error`, `mean_absolute_error` or `huber`",
                ));
            }
        }
        Ok(n_outputs)
    }
}

impl Model {
    fn validate(&self) -> Result<(), Problem> {
        if !is_plain_name(&self.name) {
            return Err(Problem::at(
                &["model", "name"],
                format!("`{}` is not a valid name", self.name),
            )
            .hint(PLAIN_NAME));
        }
        if self.input_shape.is_empty() || self.input_shape.contains(&0) {
            return Err(
                Problem::at(&["model", "input_shape"], "every axis must be at least 1")
                    .hint("for grey images of 28 by 28 pixels write `input_shape = [28, 28, 1]`"),
            );
        }
        if self.layers.is_empty() {
            return Err(
                Problem::at(&["model", "layers"], "a network needs at least one layer")
                    .hint("add `[[model.layers]]` tables, such as `type = \"Dense\"`"),
            );
        }
        Ok(())
    }
}

impl GateConfig {
    pub(super) fn validate(&self) -> Result<(), Problem> {
        for (rule_idx, rule) in self.rules.iter().enumerate() {
            validate_rule(rule, &rule_idx.to_string())?;
        }
        self.validate_names()?;
        for (group_idx, group) in self.groups.iter().enumerate() {
            self.validate_group(group, &group_idx.to_string())?;
        }
        if self.max_rows_lost > 0 && self.compare_rows != CompareRows::Common {
            return Err(Problem::at(
                &["gate", "max_rows_lost"],
                "has no effect without `compare_rows = \"common\"`",
            )
            .hint("add that line, or remove this one"));
        }
        Ok(())
    }

    fn validate_names(&self) -> Result<(), Problem> {
        let mut seen = BTreeSet::new();
        for (rule_idx, rule) in self.rules.iter().enumerate() {
            if let Some(name) = &rule.name
                && !seen.insert(name)
            {
                return Err(Problem::at(
                    &["gate", "rules", &rule_idx.to_string(), "name"],
                    format!("another rule is called `{name}` too"),
                ));
            }
        }
        Ok(())
    }

    fn validate_group(&self, group: &RuleGroup, group_idx: &str) -> Result<(), Problem> {
        let at =
            |key: &str, problem: String| Problem::at(&["gate", "groups", group_idx, key], problem);
        let mut seen = BTreeSet::new();
        for name in &group.rules {
            let named = |rule: &&Rule| rule.name.as_ref() == Some(name);
            let Some(rule) = self.rules.iter().find(named) else {
                return Err(
                    at("rules", format!("no rule is called `{name}`")).hint(format!(
                        "give the rule that is meant the line `name = \"{name}\"`"
                    )),
                );
            };
            if rule.level != Level::Fail {
                return Err(at(
                    "rules",
                    format!("`{name}` has a level of its own: in a group a missed rule counts only with the others"),
                )
                .hint("remove its `level`, or take it out of the group"));
            }
            let in_others = self
                .groups
                .iter()
                .filter(|other| other.rules.contains(name));
            if !seen.insert(name) || in_others.count() > 1 {
                return Err(at("rules", format!("`{name}` is in a group twice")));
            }
        }
        let n_rules = group.rules.len() as u32;
        if group.at_least == 0 || group.at_least > n_rules {
            return Err(at(
                "at_least",
                format!("must lie between 1 and the number of rules, {n_rules}"),
            ));
        }
        Ok(())
    }
}

impl ImageConfig {
    fn validate(&self) -> Result<(), Problem> {
        if self.port == 0 {
            return Err(Problem::at(&["image", "port"], "must be at least 1"));
        }
        if let Some(repository) = self.repository.as_ref()
            && repository
                .rsplit('/')
                .next()
                .is_some_and(|last| last.contains([':', '@']))
        {
            return Err(
                Problem::at(&["image", "repository"], "must not have a tag or digest")
                    .hint("tags come from the release: write `ghcr.io/owner/name`"),
            );
        }
        for (idx, file) in self.files.iter().enumerate() {
            let earlier = self.files[..idx].iter().map(|it| it.target.as_str());
            let place = ["image", "files", &idx.to_string(), "target"];
            if is_within(&file.target, MODEL_FOLDER) || is_within(MODEL_FOLDER, &file.target) {
                return Err(Problem::at(
                    &place,
                    "is where the model lies, whose files alone are signed",
                )
                .hint("choose another folder, such as `/extra`"));
            }
            let mut others = [SERVER_PATH].into_iter().chain(earlier);
            let clash = others
                .find(|other| is_within(&file.target, other) || is_within(other, &file.target));
            if let Some(other) = clash {
                return Err(Problem::at(
                    &place,
                    format!("and `{other}` cannot both be in the image"),
                )
                .hint("`target` is the file's own place with its name, not the folder for it"));
            }
        }
        Ok(())
    }
}

/// Whether `path` is `folder` or lies below it.
fn is_within(path: &str, folder: &str) -> bool {
    let rest = path.strip_prefix(folder.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn validate_rule(rule: &Rule, rule_idx: &str) -> Result<(), Problem> {
    match rule.problem() {
        Some((Some(key), problem)) => Err(Problem::at(&["gate", "rules", rule_idx, key], problem)),
        Some((None, problem)) => Err(Problem::at(&["gate", "rules", rule_idx], problem)),
        None => Ok(()),
    }
}
