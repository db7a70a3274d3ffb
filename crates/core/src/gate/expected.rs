//! What the configuration says that the candidate is: an evaluation of something else is not judged by its rules.

use super::scorecard::Scorecard;
use crate::config::JudgingConfig;
use crate::digest::Sha256Digest;
use crate::evaluation::{NAMELESS, OTHER_TRAINING};
use crate::model::Task;
use crate::prediction_task::PredictionTask;

/// What an evaluation must be of. What is absent may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expected<'a> {
    /// `[model] name`.
    pub model_name: Option<&'a str>,
    /// `[model] task`.
    pub task: Option<Task>,
    /// Digest of the settings that decide the weights, without the seed.
    pub training: Option<&'a Sha256Digest>,
}

/// How an evaluation is not of what the configuration describes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Of a model of another name.
    #[error(
        "the evaluation is of the model `{evaluated}`, but `[model] name` is `{configured}`: name the evaluation of this model, or write one name in both"
    )]
    Name {
        /// The evaluation's.
        evaluated: String,
        /// The configuration's.
        configured: String,
    },
    /// Of another task.
    #[error(
        "the evaluation is of {evaluated}, but `[model] task` is `{configured}`: name the evaluation of this model, or correct `[model] task`"
    )]
    Task {
        /// The evaluation's.
        evaluated: &'static str,
        /// The configuration's.
        configured: &'static str,
    },
    /// Of a model that was trained by other settings.
    #[error(
        "the evaluated model was trained by another configuration than this one: run `trainyard-train` and `trainyard-evaluate` again, or restore the settings that it was trained by"
    )]
    Training,
}

impl<'a> Expected<'a> {
    /// What an evaluation must be of to be judged by `config`.
    pub fn of(config: &'a JudgingConfig) -> Self {
        Self {
            model_name: config.model_name.as_deref(),
            task: config.required_task,
            training: config.training.as_ref(),
        }
    }

    /// Refuses `card` where it is of something else. A model that was trained or scored with inputs that overrode the configuration is
    /// what its user asked for: reports name the inputs, and nothing is compared with it later.
    pub(super) fn check(&self, card: &Scorecard) -> Result<(), Mismatch> {
        if let (Some(configured), Some(evaluated)) = (self.model_name, &card.model_name)
            && evaluated != configured
            && evaluated != NAMELESS
        {
            return Err(Mismatch::Name {
                evaluated: evaluated.clone(),
                configured: configured.to_owned(),
            });
        }
        if let (Some(configured), Some(evaluated)) = (self.task, card.task) {
            let is_regression = evaluated == PredictionTask::Regression;
            if is_regression != (configured == Task::Regression) {
                let word = |is_regression| match is_regression {
                    true => "regression",
                    false => "classification",
                };
                return Err(Mismatch::Task {
                    evaluated: word(is_regression),
                    configured: word(configured == Task::Regression),
                });
            }
        }
        let is_stale = card.overriding_inputs == [OTHER_TRAINING];
        let is_asked_for = !card.overriding_inputs.is_empty() && !is_stale;
        let has_changed_since = self
            .training
            .zip(card.training.as_ref())
            .is_some_and(|(configured, trained)| configured != trained);
        if is_stale || has_changed_since && !is_asked_for {
            return Err(Mismatch::Training);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_evaluation_of_something_else_is_refused() {
        let digests = [b"trained", b"changed"].map(|text| Sha256Digest::of(text));
        let [trained, changed] = &digests;
        let card = Scorecard {
            model_name: Some("dogs".to_owned()),
            task: Some(PredictionTask::Multilabel),
            training: Some(trained.clone()),
            ..Scorecard::bare(Sha256Digest::of(b"evaluation"), Vec::new())
        };
        let expected = Expected {
            model_name: Some("dogs"),
            task: Some(Task::Classification),
            training: Some(trained),
        };
        assert_eq!(expected.check(&card), Ok(()));
        assert_eq!(Expected::default().check(&card), Ok(()));
        for (expected, words) in [
            (
                Expected {
                    model_name: Some("prices"),
                    ..expected
                },
                "of the model `dogs`, but `[model] name` is `prices`",
            ),
            (
                Expected {
                    task: Some(Task::Regression),
                    ..expected
                },
                "of classification, but `[model] task` is `regression`",
            ),
            (
                Expected {
                    training: Some(changed),
                    ..expected
                },
                "run `trainyard-train` and `trainyard-evaluate` again",
            ),
        ] {
            let mismatch = expected.check(&card).unwrap_err().to_string();
            assert!(mismatch.contains(words), "{mismatch}");
        }
        let nameless = Scorecard {
            model_name: Some(NAMELESS.to_owned()),
            ..card.clone()
        };
        assert_eq!(expected.check(&nameless), Ok(()));
        // No input is known by which it was trained by other settings; with one, its user asked for it.
        let of_inputs = |inputs: &[&str]| Scorecard {
            training: Some(changed.clone()),
            overriding_inputs: inputs.iter().map(|&input| input.to_owned()).collect(),
            ..card.clone()
        };
        assert_eq!(
            expected.check(&of_inputs(&[OTHER_TRAINING])),
            Err(Mismatch::Training)
        );
        assert_eq!(expected.check(&of_inputs(&["epochs = 1"])), Ok(()));
    }
}
