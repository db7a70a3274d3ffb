//! What there is to compare with, and what it comes to where there is nothing.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::record::BaselineRecord;
use super::rule::MissingBaseline;
use super::scorecard::Scorecard;
use super::shared_rows::SharedRows;
use crate::config::GateConfig;
use crate::error_chain::in_one_line;
use crate::evaluation::EVALUATION_FILE;
use crate::files;

/// The gate's note of why it compared with nothing, in the folder of the verdict.
pub const NO_BASELINE_FILE: &str = "no-baseline.json";

/// Why there is nothing to compare with, as the gate keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoBaseline {
    /// What that comes to.
    pub state: NoBaselineState,
    /// Why, in words.
    pub reason: String,
}

/// What a missing baseline comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoBaselineState {
    /// [`Baseline::NeverRecorded`].
    NeverRecorded,
    /// [`Baseline::Unavailable`].
    Unavailable,
    /// [`Baseline::NotConfigured`].
    NotConfigured,
}

impl From<NoBaseline> for Baseline {
    fn from(NoBaseline { state, reason }: NoBaseline) -> Self {
        match state {
            NoBaselineState::NeverRecorded => Self::NeverRecorded(reason),
            NoBaselineState::Unavailable => Self::Unavailable(reason),
            NoBaselineState::NotConfigured => Self::NotConfigured(reason),
        }
    }
}

/// What there is to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum Baseline {
    /// It is at hand.
    Ready {
        /// Where it came from, in words.
        source: String,
        /// What it measured.
        card: Box<Scorecard>,
        /// Both models on the rows that they share, where that was asked for; or why it cannot be had, as a clause.
        shared: Option<Result<Box<SharedRows>, String>>,
    },
    /// The history was read to its end, and no usable record has ever been, for this reason. Rules that compare are
    /// skipped, and the verdict is at best a warning.
    NeverRecorded(String),
    /// One may exist and was not had, for this reason. Rules that compare cannot be judged.
    Unavailable(String),
    /// No source of one is configured, for this reason. Rules that compare are skipped, and the verdict is at best a
    /// warning.
    NotConfigured(String),
}

impl Baseline {
    /// A record, found at `source`.
    pub fn of_record(record: &BaselineRecord, source: String) -> Self {
        Self::Ready {
            source,
            card: Box::new(record.scorecard()),
            shared: None,
        }
    }

    /// The baseline in the file at `path`: an `evaluation.json`, a baseline's record or a flat JSON of metrics. `source`
    /// is what reports call it.
    pub fn read(path: &Path, source: &str) -> Self {
        let unavailable = |reason: String| Self::Unavailable(format!("`{source}`: {reason}"));
        if path.is_dir() {
            return unavailable(format!(
                "it is a folder: name a file in it, such as `{}`",
                path.join(EVALUATION_FILE).display()
            ));
        }
        let bytes = match files::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => {
                return unavailable("the file is missing".to_owned());
            }
            Err(error) => return unavailable(in_one_line(&error)),
        };
        Self::parse(&bytes, path, source)
    }

    /// The baseline in `bytes`, which came from `path`.
    pub fn parse(bytes: &[u8], path: &Path, source: &str) -> Self {
        match Scorecard::parse(bytes, path) {
            Ok(card) => Self::Ready {
                source: source.to_owned(),
                card: Box::new(card),
                shared: None,
            },
            Err(error) => Self::Unavailable(format!("`{source}`: {}", in_one_line(&error))),
        }
    }

    /// The file that `[gate] baseline` names, relative to `base`; `None` where it names none. The evaluation of an image is
    /// not asked for here.
    pub fn configured(gate: &GateConfig, base: &Path) -> Option<Self> {
        let path = gate.baseline.as_ref()?.file()?;
        Some(Self::read(&base.join(path), &path.display().to_string()))
    }

    /// Why there is nothing, as the gate keeps it; `None` where there is something.
    pub fn why_none(&self) -> Option<NoBaseline> {
        let (state, reason) = match self {
            Self::Ready { .. } => return None,
            Self::NeverRecorded(reason) => (NoBaselineState::NeverRecorded, reason),
            Self::Unavailable(reason) => (NoBaselineState::Unavailable, reason),
            Self::NotConfigured(reason) => (NoBaselineState::NotConfigured, reason),
        };
        Some(NoBaseline {
            state,
            reason: reason.clone(),
        })
    }

    /// The same, with both models on the rows that they share, or why that is not known. Nothing changes where there is no
    /// baseline, or where the rows are those of other predictions.
    #[must_use]
    pub fn on_shared_rows(
        self,
        candidate: &Scorecard,
        found: Result<Box<SharedRows>, String>,
    ) -> Self {
        match self {
            Self::Ready { source, card, .. } => {
                let found = found.and_then(|found| {
                    if found.are_of(candidate, &card) {
                        Ok(found)
                    } else {
                        Err("they are of other predictions".to_owned())
                    }
                });
                Self::Ready {
                    source,
                    card,
                    shared: Some(found),
                }
            }
            other => other,
        }
    }

    /// The same under `[gate] on_missing_baseline`: what was not had counts as none where the configuration says so.
    #[must_use]
    pub fn under(self, setting: MissingBaseline) -> Self {
        match (self, setting) {
            (Self::Unavailable(reason), MissingBaseline::AbsoluteOnly) => {
                Self::NotConfigured(format!("{reason}; `on_missing_baseline` allows that"))
            }
            (baseline, _) => baseline,
        }
    }
}
