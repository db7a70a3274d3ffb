//! What is judged: files in, a [`Scorecard`] out. Read here, so that `gate` and `publish-image` cannot read them
//! differently.

use std::path::{Path, PathBuf};

use super::expected::{Expected, Mismatch};
use super::reading::ReadingError;
use super::scorecard::Scorecard;
use crate::evaluation::{EVALUATION_FILE, Evaluation, EvaluationError};
use crate::files::{self, FileError};
use crate::model::{MANIFEST_FILE, ModelError, ModelFolder};

/// Where the candidate's measurements lie.
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
}

/// Why the candidate cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum CandidateError {
    /// A file is missing or unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of metrics that cannot be used.
    #[error(transparent)]
    Reading(#[from] ReadingError),
    /// An evaluation that cannot be used.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A model that cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The evaluation is of another model than the one beside it.
    #[error(
        "`{}` was made from the model {evaluated}, but `{}` holds {present}; run `trainyard-evaluate` again",
        evaluation.display(), model.display()
    )]
    OtherModel {
        /// The evaluation.
        evaluation: PathBuf,
        /// The digest of the model that it names, shortened.
        evaluated: String,
        /// The folder of the model.
        model: PathBuf,
        /// The digest of the model that is there, shortened.
        present: String,
    },
    /// An evaluation of something else than what the configuration describes.
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
    /// Figures that the predictions do not give.
    #[error("`{}` is not what its predictions give: {problem}; run `trainyard-evaluate` again", evaluation.display())]
    Edited {
        /// The evaluation.
        evaluation: PathBuf,
        /// What differs, as a clause.
        problem: String,
    },
    /// An artifact from outside that must not be read.
    #[error("{0}")]
    Refused(String),
}

impl Candidate<'_> {
    /// Reads the candidate; each file once. For an evaluation, also what `evaluation.json` says in full. One that is not of what is
    /// `expected` is refused.
    pub fn read(
        &self,
        expected: &Expected<'_>,
    ) -> Result<(Scorecard, Option<Evaluation>), CandidateError> {
        let (card, evaluation) = self.read_files()?;
        expected.check(&card)?;
        Ok((card, evaluation))
    }

    fn read_files(&self) -> Result<(Scorecard, Option<Evaluation>), CandidateError> {
        match *self {
            Self::Metrics(path) => Ok((Scorecard::parse(&files::read(path)?, path)?, None)),
            Self::Evaluation { folder, model } => {
                let (evaluation, digest) = Evaluation::open(folder)?;
                if let Some(model) = model {
                    check_model(&evaluation, folder, model)?;
                }
                let card = Scorecard::of_evaluation(&evaluation, digest);
                Ok((card, Some(evaluation)))
            }
        }
    }
}

/// Refuses an evaluation of another model than the one in `model`, where there is one.
fn check_model(evaluation: &Evaluation, folder: &Path, model: &Path) -> Result<(), CandidateError> {
    let Some(evaluated) = &evaluation.model.digest else {
        return Ok(());
    };
    if !model.join(MANIFEST_FILE).exists() {
        return Ok(());
    }
    let present = ModelFolder::open(model)?.digest;
    if present == *evaluated {
        return Ok(());
    }
    Err(CandidateError::OtherModel {
        evaluation: folder.join(EVALUATION_FILE),
        evaluated: evaluated.short().to_owned(),
        model: model.to_owned(),
        present: present.short().to_owned(),
    })
}
