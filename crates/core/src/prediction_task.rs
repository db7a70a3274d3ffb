//! What predictions mean: wider than what our own models can be trained for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Task;

/// What the rows of a predictions file are labelled with. Our own models do [`Task`], which is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PredictionTask {
    /// One of several classes.
    Classification,
    /// Any number of several classes: each class is there or not.
    Multilabel,
    /// A number, or one of each of several outputs.
    Regression,
}

impl From<Task> for PredictionTask {
    fn from(task: Task) -> Self {
        match task {
            Task::Classification => Self::Classification,
            Task::Regression => Self::Regression,
        }
    }
}
