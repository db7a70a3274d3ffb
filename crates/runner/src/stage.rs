//! What every stage holds while it runs: its context and the places where it speaks.

use std::io::Write as _;
use std::path::Path;

use crate::annotate::{Annotation, Annotator, neutralise, path_in_repository};
use crate::artifacts::Artifacts;
use crate::context::Context;
use crate::environment::Environment;
use crate::exit::{ExitCode, WithExitCode as _};
use crate::log::LogArgs;
use crate::outputs::Outputs;
use crate::redact::Redactor;
use crate::summary::Summary;

/// A running stage.
#[derive(Debug)]
pub struct Stage {
    /// Which commit, branch and pull request.
    pub context: Context,
    /// Its outputs.
    pub outputs: Outputs,
    /// Its part of the job summary.
    pub summary: Summary,
    /// Its annotations.
    pub annotator: Annotator,
    /// What it made, for GitHub's attestations.
    pub artifacts: Artifacts,
    redactor: Redactor,
}

impl Stage {
    /// Starts the log and reads the environment of this process.
    pub fn start(name: &str, log: &LogArgs) -> anyhow::Result<Self> {
        let environment = Environment::from_process();
        log.start(name, &environment).exit_code(ExitCode::Usage)?;
        Ok(Self {
            context: Context::from_environment(&environment).exit_code(ExitCode::Usage)?,
            outputs: Outputs::from_environment(&environment),
            summary: Summary::from_environment(&environment),
            annotator: Annotator::from_environment(&environment),
            artifacts: Artifacts::from_environment(&environment),
            redactor: Redactor::from_environment(&environment),
        })
    }

    /// Sets an output; a path is written with forward slashes on every system.
    pub fn set_output(&self, name: &str, value: impl std::fmt::Display) -> anyhow::Result<()> {
        self.outputs
            .set(name, &value.to_string())
            .exit_code(ExitCode::Data)
    }

    /// Sets an output to a path, relative to the workspace where it lies in there: a later step finds it from its own
    /// working directory, which is most often that.
    pub fn set_path_output(&self, name: &str, path: &Path) -> anyhow::Result<()> {
        let workspace = self.context.workspace.as_deref();
        self.set_output(name, path_in_repository(workspace, path))
    }

    /// Appends to the job summary; a failure is a warning, since a report never decides.
    pub fn summarise(&self, markdown: &str) {
        if let Err(error) = self.summary.append(markdown) {
            tracing::warn!("the job summary could not be written: {error}");
        }
    }

    /// Prints what the stage was asked for to standard output: without secrets, and no line is a workflow command.
    pub fn print(&self, text: &str) -> anyhow::Result<()> {
        let text = self.redactor.redact(text);
        let mut stdout = std::io::stdout().lock();
        let printed = stdout.write_all(neutralise(&text).as_bytes());
        printed
            .and_then(|()| stdout.flush())
            .exit_code(ExitCode::Data)
    }

    /// Declares a pushed image, by digest, to the runner, so that `actions/attest` without inputs is about it; a failure is a warning,
    /// since that action says itself that it found nothing.
    pub fn declare_image(&self, image: &str) {
        if let Err(error) = self.artifacts.declare_image(image) {
            tracing::warn!("the image could not be declared to `actions/attest`: {error}");
        }
    }

    /// Annotates; a failure is a warning, since a report never decides.
    pub fn annotate(&mut self, annotations: Vec<Annotation>) {
        if let Err(error) = self.annotator.emit_to_process(annotations) {
            tracing::warn!("annotations could not be written: {error}");
        }
    }
}
