//! Which exit code an error stands for, and what it says beside its causes.

use std::error::Error;
use std::fmt;
use std::io;

use trainyard_core::config::ConfigError;
use trainyard_core::files::FileError;

use crate::context::ContextError;
pub use crate::exit_code::ExitCode;
use crate::log::LogError;

impl ExitCode {
    /// The code that the error carries, or else the one that its kind stands for.
    ///
    /// A wrong configuration is [`ExitCode::Usage`], a file that cannot be read or written is
    /// [`ExitCode::Data`]; an unclassified error is a bug of ours.
    pub fn of(error: &anyhow::Error) -> Self {
        if let Some(code) = attached(error) {
            return code;
        }
        // What a wrong configuration or environment comes from may be a file, so these are looked for first.
        let is_usage = find::<ConfigError>(error).is_some()
            || find::<ContextError>(error).is_some()
            || find::<LogError>(error).is_some()
            || find::<clap::Error>(error).is_some();
        if is_usage {
            Self::Usage
        } else if find::<FileError>(error).is_some() || find::<io::Error>(error).is_some() {
            Self::Data
        } else {
            Self::Bug
        }
    }
}

/// An error together with its exit code and with hints. It reads like the error that it holds.
#[derive(Debug)]
pub struct Failure {
    code: Option<ExitCode>,
    pub(crate) hints: Vec<String>,
    source: anyhow::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

/// Attaches exit codes and hints to errors.
pub trait WithExitCode<T> {
    /// Ends the stage with `code` if this error reaches its end. A code attached earlier, closer to the cause,
    /// is kept.
    fn exit_code(self, code: ExitCode) -> anyhow::Result<T>;

    /// Says on the last line of the error what to do about it.
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> WithExitCode<T> for Result<T, E> {
    fn exit_code(self, code: ExitCode) -> anyhow::Result<T> {
        self.map_err(|error| {
            let error = error.into();
            if attached(&error).is_some() {
                return error;
            }
            change(error, |failure| failure.code = Some(code))
        })
    }

    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| change(error.into(), |failure| failure.hints.push(hint.into())))
    }
}

/// Changes the outermost failure, which is made where the error is none yet.
fn change(error: anyhow::Error, change: impl FnOnce(&mut Failure)) -> anyhow::Error {
    let mut failure = if (*error).is::<Failure>() {
        match error.downcast::<Failure>() {
            Ok(failure) => failure,
            Err(error) => return error,
        }
    } else {
        Failure {
            code: None,
            hints: Vec::new(),
            source: error,
        }
    };
    change(&mut failure);
    anyhow::Error::new(failure)
}

pub(crate) fn failures(error: &anyhow::Error) -> impl Iterator<Item = &Failure> {
    error.chain().filter_map(<dyn Error>::downcast_ref)
}

fn attached(error: &anyhow::Error) -> Option<ExitCode> {
    failures(error).find_map(|failure| failure.code)
}

/// The first error of the type among the error and its causes, also where a [`Failure`] stands for it.
pub(crate) fn find<T: Error + Send + Sync + 'static>(error: &anyhow::Error) -> Option<&T> {
    let behind = |cause: &'_ Failure| cause.source.is::<T>();
    error
        .chain()
        .find_map(<dyn Error>::downcast_ref)
        .or_else(|| {
            failures(error)
                .find(|failure| behind(failure))?
                .source
                .downcast_ref()
        })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::{Context as _, anyhow};

    use super::*;

    fn missing_file() -> Result<(), FileError> {
        trainyard_core::files::read(Path::new("no/such/file")).map(drop)
    }

    #[test]
    fn the_code_closest_to_the_cause_holds() {
        let error = missing_file()
            .exit_code(ExitCode::Inconclusive)
            .context("reading the baseline")
            .exit_code(ExitCode::Usage)
            .unwrap_err();
        assert_eq!(ExitCode::of(&error), ExitCode::Inconclusive);
        assert!(find::<FileError>(&error).is_some());
    }

    #[test]
    fn known_errors_need_no_code() {
        let of = |error: anyhow::Error| ExitCode::of(&error);
        assert_eq!(of(missing_file().context("x").unwrap_err()), ExitCode::Data);
        assert_eq!(of(missing_file().hint("h").unwrap_err()), ExitCode::Data);
        assert_eq!(of(ContextError::NoEventFile.into()), ExitCode::Usage);
        let FileError::Read { path, source } = missing_file().unwrap_err() else {
            panic!("not a read error");
        };
        let unreadable = ConfigError::Unreadable(FileError::Read { path, source });
        assert_eq!(of(unreadable.into()), ExitCode::Usage);
        assert_eq!(of(anyhow!("who knows")), ExitCode::Bug);
    }
}
