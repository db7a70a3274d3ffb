//! The CI runner's side of Trainyard: what the environment says about this run, and how a run speaks back.
//!
//! In come environment variables, the event file and the action's inputs; out go outputs, the step summary,
//! annotations, the log and the exit code. No network: what talks to GitHub's API lives elsewhere. Every value
//! is made from an [`Environment`], so that tests need no process of their own.

pub mod environment;

pub mod context;
pub mod inputs;

mod arguments;
mod artifacts;

pub mod annotate;
pub mod log;
pub mod outputs;
pub mod summary;

mod ending;
pub mod exit;
mod exit_code;
mod folders;

pub mod stage;

pub mod redact;

pub use annotate::{Annotation, Annotator, Level, path_in_repository};
pub use arguments::StageArgs;
pub use artifacts::{Artifacts, ArtifactsError};
pub use context::{Comment, Context, ContextError, Event, Provider, Trust, Workflow};
pub use ending::run;
pub use environment::Environment;
pub use exit::{Failure, WithExitCode};
pub use exit_code::ExitCode;
pub use folders::{FolderError, FoundFolders, folders_with};
pub use log::LogArgs;
pub use outputs::{OutputError, Outputs};
pub use redact::Redactor;
pub use stage::Stage;
pub use summary::{Summary, SummaryError};
