//! The files of one judgement: read here, so that `gate` and `publish-image` cannot read them differently.

use std::path::{Path, PathBuf};

use super::{Baseline, BaselineRecord, Chain, MissingBaseline, Scorecard, ScorecardError, judge};
use crate::config::GateConfig;
use crate::evaluation::{EVALUATION_FILE, Evaluation, EvaluationError};
use crate::files;
use crate::model::{MANIFEST_FILE, ModelFolder};
use crate::verdict::Verdict;

/// What is to be judged, by which rules, beside which baseline.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The rules, and where the baseline lies.
    pub gate: &'a GateConfig,
    /// The folder that paths in the configuration are relative to.
    pub base: &'a Path,
    /// What is judged.
    pub candidate: Candidate<'a>,
    /// A baseline from elsewhere than the configuration.
    pub baseline: Given<'a>,
}

/// A baseline from elsewhere than the configuration.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// None.
    Nothing,
    /// A file named by the user, which comes before the configured one.
    File(&'a Path),
    /// A record of an earlier commit, and where it was found, in words.
    Record(&'a BaselineRecord, &'a str),
    /// It was looked for, and there is none, for this reason.
    Absent(&'a str),
    /// It could not be looked for, for this reason.
    Unknown(&'a str),
}

/// What is judged.
#[derive(Debug, Clone, Copy)]
pub enum Candidate<'a> {
    /// The evaluation in a folder. Where `model` holds a model, it must be the one that was evaluated.
    Evaluation {
        /// The folder of `evaluation.json`.
        folder: &'a Path,
        /// The folder of `model.json`, which may not be there; `None` where it is not to be looked at.
        model: Option<&'a Path>,
    },
    /// A flat JSON of metrics, or an `evaluation.json` on its own.
    Metrics(&'a Path),
    /// Nothing that may be read, for this reason.
    Refused(&'a str),
}

impl Case<'_> {
    /// Reads the files and judges. What cannot be read makes the verdict inconclusive.
    pub fn judge(&self, chain: Chain) -> Verdict {
        self.judge_read(&self.candidate.read(), chain)
    }

    /// The same for a candidate that was read already, by [`Candidate::read`].
    pub fn judge_read(&self, candidate: &Result<Scorecard, String>, chain: Chain) -> Verdict {
        let candidate = candidate.as_ref().map_err(String::as_str);
        judge(&self.gate.rules, candidate, &self.baseline(), chain)
    }

    fn baseline(&self) -> Baseline {
        let (path, is_named) = match (self.baseline, &self.gate.baseline) {
            (Given::File(path), _) => (path.to_owned(), true),
            (_, Some(path)) => (self.base.join(path), false),
            (Given::Record(record, source), None) => {
                return Baseline::Ready {
                    source: source.to_owned(),
                    card: Box::new(record.scorecard()),
                };
            }
            (Given::Absent(reason), None) => return Baseline::None(reason.to_owned()),
            (Given::Unknown(reason), None) => {
                return Baseline::Unreadable {
                    source: "of an earlier commit".to_owned(),
                    reason: reason.to_owned(),
                };
            }
            (Given::Nothing, None) => return Baseline::None("none is configured".to_owned()),
        };
        let source = self
            .gate
            .baseline
            .as_ref()
            .filter(|_| !is_named)
            .unwrap_or(&path)
            .display()
            .to_string();
        let bytes = match files::read(&path) {
            Ok(bytes) => bytes,
            Err(error)
                if error.is_not_found()
                    && self.gate.on_missing_baseline == MissingBaseline::AbsoluteOnly =>
            {
                return Baseline::None(format!("`{source}` is not there"));
            }
            Err(error) => {
                let reason = if error.is_not_found() {
                    "the file is not there; set `[gate] on_missing_baseline = \"absolute-only\"` for the first run"
                        .to_owned()
                } else {
                    with_causes(&error)
                };
                return Baseline::Unreadable { source, reason };
            }
        };
        match Scorecard::parse(&bytes, &path) {
            Ok(card) => Baseline::Ready {
                source,
                card: Box::new(card),
            },
            Err(error) => Baseline::Unreadable {
                source,
                reason: with_causes(&error),
            },
        }
    }
}

/// Why the candidate's files cannot be judged.
#[derive(Debug, thiserror::Error)]
enum CandidateError {
    #[error(transparent)]
    File(#[from] files::FileError),
    #[error(transparent)]
    Scorecard(#[from] ScorecardError),
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    #[error(transparent)]
    Model(#[from] crate::model::ModelError),
    #[error(
        "`{}` was made from the model {evaluated}, but `{}` holds {present}; run `trainyard-evaluate` again",
        evaluation.display(), model.display()
    )]
    OtherModel {
        evaluation: PathBuf,
        evaluated: String,
        model: PathBuf,
        present: String,
    },
}

impl Candidate<'_> {
    /// What is judged; the error says why it cannot be.
    pub fn read(&self) -> Result<Scorecard, String> {
        match *self {
            Self::Refused(reason) => Err(reason.to_owned()),
            Self::Metrics(path) => metrics_card(path).map_err(|error| with_causes(&error)),
            Self::Evaluation { folder, model } => {
                evaluation_card(folder, model).map_err(|error| with_causes(&error))
            }
        }
    }
}

fn metrics_card(path: &Path) -> Result<Scorecard, CandidateError> {
    Ok(Scorecard::parse(&files::read(path)?, path)?)
}

fn evaluation_card(folder: &Path, model: Option<&Path>) -> Result<Scorecard, CandidateError> {
    let (evaluation, digest) = Evaluation::open(folder)?;
    if let (Some(evaluated), Some(model)) = (&evaluation.model.digest, model)
        && model.join(MANIFEST_FILE).exists()
    {
        let present = ModelFolder::open(model)?.digest;
        if present != *evaluated {
            return Err(CandidateError::OtherModel {
                evaluation: folder.join(EVALUATION_FILE),
                evaluated: evaluated.short().to_owned(),
                model: model.to_owned(),
                present: present.short().to_owned(),
            });
        }
    }
    Ok(Scorecard::of_evaluation(&evaluation, digest))
}

/// The error and what it comes from, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}
