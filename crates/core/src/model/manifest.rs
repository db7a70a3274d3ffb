//! `model.json`: what a model takes and gives, what computes it, and where it came from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Artifact, InputSummary, Origin, PredictionSummary, Preprocessing, architecture};
use crate::threshold::ChosenThreshold;

/// Everything needed to apply a model, and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelManifest {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// The model's name, from `[model] name`.
    pub name: String,
    /// What its output means.
    pub task: Task,
    /// One raw row, as clients send it: before preprocessing, without the batch axis.
    pub input: TensorSpec,
    /// Names of the features in their order, where each is a column of a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Vec<String>>,
    /// One row of output, without the batch axis.
    pub output: TensorSpec,
    /// Steps from a raw row to what the artifact receives, in order.
    pub preprocessing: Vec<Preprocessing>,
    /// One name per class, in the order of the output; absent for regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_names: Option<Vec<String>>,
    /// What computes the output.
    pub artifact: Artifact,
    /// Where the model came from.
    pub origin: Origin,
    /// How the raw training inputs are distributed; absent where they are not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_summary: Option<InputSummary>,
    /// What the model predicted for rows of its training data; absent where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction_summary: Option<PredictionSummary>,
    /// The threshold that was chosen on the validation rows, as `[evaluate] threshold` asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<ChosenThreshold>,
}

/// What a model's output means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// A score per class; the largest wins.
    Classification,
    /// One number.
    Regression,
}

/// Name, element type and shape of a tensor at the model's border.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// The name that inference clients use.
    pub name: String,
    /// Open Inference Protocol element type, such as `FP32`.
    pub datatype: String,
    /// Without the batch axis.
    pub shape: Vec<usize>,
}

impl TensorSpec {
    /// Number of elements of one row.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }
}

impl ModelManifest {
    /// What is wrong with the manifest, if anything is.
    pub(super) fn problem(&self) -> Option<String> {
        if let Some(path) = self.artifact.stray_file() {
            return Some(format!(
                "the artifact's file `{path}` must lie in the same folder"
            ));
        }
        if let Some(problem) = self.layers_problem() {
            return Some(problem);
        }
        let shape = &self.input.shape;
        if let Some(problem) = self
            .input_summary
            .as_ref()
            .and_then(|found| found.problem(shape))
        {
            return Some(problem);
        }
        if let Some(columns) = &self.columns {
            if columns.len() != self.input.n_elements() {
                return Some(format!(
                    "{} columns for {} inputs",
                    columns.len(),
                    self.input.n_elements()
                ));
            }
            let is_double = |(idx, name): &(usize, &String)| columns[..*idx].contains(name);
            if let Some((_, name)) = columns.iter().enumerate().find(is_double) {
                return Some(format!("two columns are called `{name}`"));
            }
        }
        if let Some(chosen) = &self.threshold {
            let names = self.class_names.as_deref().unwrap_or_default();
            if names.len() != 2 || !names.contains(&chosen.positive_class) {
                return Some(format!(
                    "`threshold` is for the class `{}`, which is not one of two classes",
                    chosen.positive_class
                ));
            }
            if chosen
                .threshold
                .is_some_and(|threshold| !threshold.is_finite())
            {
                return Some("`threshold` is not a finite number".to_owned());
            }
        }
        let of_classes = match (self.task, &self.class_names) {
            // One output is the probability of the second class.
            (Task::Classification, Some(names))
                if names.len() != self.output.n_elements().max(2) =>
            {
                Some(format!(
                    "{} class names for {} outputs",
                    names.len(),
                    self.output.n_elements()
                ))
            }
            (Task::Classification, None) => Some("a classifier needs `class_names`".to_owned()),
            (Task::Classification, Some(names)) => {
                let is_double = |(idx, name): &(usize, &String)| names[..*idx].contains(name);
                let double = names.iter().enumerate().find(is_double);
                double.map(|(_, name)| format!("two classes are called `{name}`"))
            }
            (Task::Regression, Some(_)) => {
                Some("a regression has no classes, but there are `class_names`".to_owned())
            }
            (Task::Regression, None) => None,
        };
        let predictions = self.prediction_summary.as_ref();
        of_classes.or_else(|| predictions?.problem(self.class_names.as_deref()))
    }

    /// What does not fit between layers, input and output of a network, if anything does not.
    fn layers_problem(&self) -> Option<String> {
        let network = self.artifact.network()?;
        let shapes = match architecture::shapes(&network.architecture, &self.input.shape) {
            Ok(shapes) => shapes,
            Err((layer_idx, error)) => return Some(format!("layer {}: {error}", layer_idx + 1)),
        };
        (shapes.last() != Some(&self.output.shape)).then(|| {
            format!(
                "the layers give {:?}, but `output` says {:?}",
                shapes.last(),
                self.output.shape
            )
        })
    }
}
