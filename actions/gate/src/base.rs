//! The base branch's rules, where they are to judge a change.

use std::path::{Path, PathBuf};

use trainyard_core::config::JudgingConfig;
use trainyard_core::files;
use trainyard_core::gate::{Given, RulesFrom};
use trainyard_core::verdict::{Decision, Verdict};
use trainyard_runner::{Context, Event};

use crate::github::{LookedUp, ReadError, Reporter};

/// The base branch's own baseline file, in the folder of the verdict.
const FILE: &str = "base-baseline.json";

/// Whose rules judge.
pub(crate) enum BaseRules {
    Own,
    /// Those of this branch or commit, with the baseline file that it names, or why that could not be read.
    Taken {
        reference: String,
        baseline: Option<Result<PathBuf, String>>,
    },
    /// The change's own, since the base's could not be read, for this reason.
    Unread(String),
    /// The change's own; whether the base's are to judge could not be found out, for this reason.
    Unknown(String),
}

impl BaseRules {
    /// Puts the base branch's rules in the place of the change's own, where they are to judge it.
    ///
    /// The base branch's word counts: its record says whether they are, or its configuration where there is no record. A
    /// change can ask for them itself, and cannot take them back.
    pub(crate) fn take(
        config: &mut JudgingConfig,
        context: &Context,
        reporter: Option<&Reporter<'_>>,
        found: &LookedUp,
        path: &Path,
        folder: &Path,
    ) -> Self {
        let Some(reference) = reference(context) else {
            return Self::Own;
        };
        let is_asked_for = config.gate.rules_from == RulesFrom::Base;
        let by_base = found
            .record()
            .map(|record| record.rules_from == RulesFrom::Base);
        let Some(reporter) = reporter else {
            return if is_asked_for {
                Self::Unread("there is no token to read them with".to_owned())
            } else {
                Self::Own
            };
        };
        if !is_asked_for && by_base == Some(false) {
            return Self::Own;
        }
        let is_certain = is_asked_for || by_base == Some(true);
        match reporter.base_config(path, reference) {
            Ok(base) if is_certain || base.gate.rules_from == RulesFrom::Base => {
                config.gate = base.gate;
                let baseline = config.gate.baseline.take();
                Self::Taken {
                    reference: reference.to_owned(),
                    baseline: baseline.map(|baseline| {
                        let beside = path.parent().unwrap_or(Path::new("")).join(baseline);
                        let text = reporter.base_file(&beside, reference);
                        let text = text.map_err(|error| error.to_string())?;
                        let to = folder.join(FILE);
                        files::write(&to, text.as_bytes()).map_err(|error| error.to_string())?;
                        Ok(to)
                    }),
                }
            }
            Ok(_) => Self::Own,
            Err(error) if is_certain => Self::Unread(error.to_string()),
            // The change brings the first configuration.
            Err(ReadError::NotThere) => Self::Own,
            // Nobody has asked for the base's rules, as far as can be known: trouble with GitHub turns nothing red.
            Err(ReadError::Other(reason)) => Self::Unknown(reason),
        }
    }

    /// The baseline that goes with the rules.
    pub(crate) fn baseline<'a>(&'a self, found: &'a LookedUp) -> Given<'a> {
        match self {
            Self::Taken {
                baseline: Some(Ok(path)),
                ..
            } => Given::File(path),
            Self::Taken {
                baseline: Some(Err(reason)),
                ..
            } => Given::Unknown(reason),
            _ => found.given(),
        }
    }

    /// Whether the lines of the rules are those of the file at hand.
    pub(crate) const fn are_own(&self) -> bool {
        !matches!(self, Self::Taken { .. })
    }

    pub(crate) fn apply(&self, verdict: &mut Verdict) {
        match self {
            Self::Own => {}
            Self::Unknown(reason) => verdict.notes.push(format!(
                "Whether the base branch's rules are to judge this could not be found out: {reason}."
            )),
            Self::Taken { reference, .. } => verdict
                .notes
                .push(format!("Judged by the rules of {reference}.")),
            Self::Unread(reason) => {
                if verdict.verdict.is_green() {
                    verdict.verdict = Decision::Inconclusive;
                    "The rules that are to judge this could not be read."
                        .clone_into(&mut verdict.summary);
                }
                verdict.notes.push(format!(
                    "The rules of the base branch, which are to judge this, could not be read: {reason}."
                ));
            }
        }
    }
}

/// Where a change wants to go; `None` where nothing is changed, where the rules at hand are the base's already, as in a
/// `workflow_run`, and where nobody believes the verdict anyway.
fn reference(context: &Context) -> Option<&str> {
    match context.event {
        Event::WorkflowRun => None,
        Event::MergeGroup => context.base_sha.as_deref(),
        _ if context.is_unverified() || context.pull_request.is_none() => None,
        _ => context.base_branch.as_deref(),
    }
}
