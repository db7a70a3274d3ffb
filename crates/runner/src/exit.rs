//! How a stage ends: its exit code, and what it says about an error.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::{Mutex, PoisonError};

use trainyard_core::config::ConfigError;
use trainyard_core::files::FileError;

use crate::annotate::{Annotation, Annotator, indent, neutralise};
use crate::context::ContextError;
use crate::environment::Environment;
use crate::log::{self, LogError};
use crate::redact::Redactor;

const ISSUES_URL: &str = "https://github.com/trainyard/trainyard/issues";

/// What a stage tells its caller. The numbers are part of the interface: scripts depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// The stage did its work; the gate passed, maybe with warnings.
    Success = 0,
    /// The gate failed, or publish met a failed verdict.
    GateFailed = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// The gate could not judge, or publish met no valid verdict.
    Inconclusive = 3,
    /// Data or a model could not be read, or a result not be written.
    Data = 4,
    /// GitHub, a registry or a cluster was unreachable or refused.
    Service = 5,
    /// A deployment failed and the one before it was restored.
    RolledBack = 6,
    /// A deployment failed, and so did restoring the one before it.
    RollbackFailed = 7,
    /// A bug of Trainyard.
    Bug = 70,
    /// Interrupted by the user (SIGINT), with a checkpoint to resume from.
    Interrupted = 130,
    /// Ended by the system (SIGTERM), with a checkpoint to resume from.
    Terminated = 143,
}

impl ExitCode {
    /// The code that the error carries, or else the one that its kind stands for.
    ///
    /// A wrong configuration is [`ExitCode::Usage`], a file that cannot be read or written is
    /// [`ExitCode::Data`]; an error that nobody classified is a bug of ours.
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

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        code as Self
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(u8::from(code))
    }
}

/// An error together with its exit code and with hints. It reads like the error that it holds.
#[derive(Debug)]
pub struct Failure {
    code: Option<ExitCode>,
    hints: Vec<String>,
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

fn failures(error: &anyhow::Error) -> impl Iterator<Item = &Failure> {
    error.chain().filter_map(<dyn Error>::downcast_ref)
}

fn attached(error: &anyhow::Error) -> Option<ExitCode> {
    failures(error).find_map(|failure| failure.code)
}

/// The first error of the type among the error and its causes, also where a [`Failure`] stands for it.
fn find<T: Error + Send + Sync + 'static>(error: &anyhow::Error) -> Option<&T> {
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

/// Runs a stage and tells how it ended: the error and its causes on standard error, and as an annotation in
/// GitHub Actions. Secrets are masked. A panic ends with [`ExitCode::Bug`].
///
/// `stage` is the stage's name, like `train`.
pub fn run(stage: &str, main: impl FnOnce() -> anyhow::Result<ExitCode>) -> std::process::ExitCode {
    let environment = Environment::from_process();
    let redactor = Redactor::from_environment(&environment);
    note_panics(redactor.clone());
    let mut ending = Ending {
        stage,
        redactor,
        annotator: Annotator::from_environment(&environment),
    };
    let outcome = panic::catch_unwind(AssertUnwindSafe(main));
    let code = ending.tell(outcome, &mut io::stderr().lock(), &mut io::stdout().lock());
    code.into()
}

/// Where the last panic was: a hook learns it, its payload does not tell.
static PANIC_PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Prints each panic once, without secrets, and remembers its place.
fn note_panics(redactor: Redactor) {
    panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string);
        let message = panic_message(panic.payload());
        let backtrace = std::backtrace::Backtrace::capture();
        let mut text = format!(
            "panicked at {}: {message}\n",
            place.as_deref().unwrap_or("an unknown place")
        );
        if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
            text.push_str(&format!("{backtrace}\n"));
        }
        *PANIC_PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
        // An error stream that takes nothing cannot be told so.
        let _ = io::stderr().write_all(neutralise(&redactor.redact(&text)).as_bytes());
    }));
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

type Outcome = Result<anyhow::Result<ExitCode>, Box<dyn Any + Send>>;

/// Says how a stage ended.
struct Ending<'a> {
    stage: &'a str,
    redactor: Redactor,
    annotator: Annotator,
}

impl Ending<'_> {
    fn tell(
        &mut self,
        outcome: Outcome,
        stderr: &mut impl Write,
        stdout: &mut impl Write,
    ) -> ExitCode {
        let (code, message, hints, place) = match outcome {
            Ok(Ok(code)) => return code,
            Ok(Err(error)) => {
                let place = match find::<ConfigError>(&error) {
                    Some(ConfigError::Invalid { path, line, .. }) => Some((path.clone(), *line)),
                    _ => None,
                };
                let hints: Vec<String> = failures(&error)
                    .flat_map(|failure| failure.hints.clone())
                    .collect();
                (ExitCode::of(&error), chain(&error), hints, place)
            }
            Err(payload) => {
                let place = PANIC_PLACE
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
                let message = format!(
                    "this is a bug of Trainyard, not of your project: {}{place}",
                    panic_message(&*payload)
                );
                let hint = format!(
                    "please report it with the log at {ISSUES_URL}; `RUST_BACKTRACE=1` adds where it happened"
                );
                (ExitCode::Bug, message, vec![hint], None)
            }
        };
        let hints: String = hints.iter().map(|hint| format!("\nhint: {hint}")).collect();
        let text = self
            .redactor
            .redact(&format!("{message}{hints}"))
            .into_owned();
        log::error(self.stage, &text, code);
        // The code must reach the caller even where nobody reads the words.
        if !log::is_json_on_stderr() {
            let _ = writeln!(stderr, "error: {}", neutralise(&text));
        }
        if self.annotator.is_github_actions() {
            let mut annotation = Annotation::error(text).title(format!("Trainyard {}", self.stage));
            if let Some((path, line)) = place {
                annotation = annotation.at(path, line);
            }
            let _ = self.annotator.emit(vec![annotation], stdout);
        }
        code
    }
}

/// The error and its causes, a line each; a cause that says the same as the error above it is left out.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    let mut last = String::new();
    for cause in error.chain() {
        let message = cause.to_string();
        if message == last {
            continue;
        }
        if text.is_empty() {
            text = message.trim_end().to_owned();
        } else {
            text.push_str("\n  caused by: ");
            text.push_str(&indent(&message, "    "));
        }
        last = message;
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use anyhow::{Context as _, anyhow};

    use super::*;

    /// What is said on standard error and on standard output, and the code.
    fn tell(outcome: Outcome, variables: &[(&str, &str)]) -> (String, String, ExitCode) {
        let environment: Environment = variables.iter().copied().collect();
        let mut ending = Ending {
            stage: "train",
            redactor: Redactor::from_environment(&environment),
            annotator: Annotator::from_environment(&environment),
        };
        let (mut stderr, mut stdout) = (Vec::new(), Vec::new());
        let code = ending.tell(outcome, &mut stderr, &mut stdout);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(stderr), text(stdout), code)
    }

    fn missing_file() -> Result<(), FileError> {
        trainyard_core::files::read(Path::new("no/such/file")).map(drop)
    }

    #[test]
    fn the_numbers_are_those_of_the_design() {
        let codes = [
            ExitCode::Success,
            ExitCode::GateFailed,
            ExitCode::Usage,
            ExitCode::Inconclusive,
            ExitCode::Data,
            ExitCode::Service,
            ExitCode::RolledBack,
            ExitCode::RollbackFailed,
            ExitCode::Bug,
            ExitCode::Interrupted,
            ExitCode::Terminated,
        ];
        assert_eq!(codes.map(u8::from), [0, 1, 2, 3, 4, 5, 6, 7, 70, 130, 143]);
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

    #[test]
    fn an_error_is_told_with_its_causes_and_hints() {
        let error = Err::<ExitCode, _>(anyhow!("bottom s3cr3t-value\nsecond line"))
            .context("middle")
            .hint("try again")
            .context("top")
            .exit_code(ExitCode::Service)
            .hint("or give up");
        let (stderr, stdout, code) = tell(Ok(error), &[("MY_TOKEN", "s3cr3t-value")]);
        insta::assert_snapshot!(stderr, @r"
        error: top
          caused by: middle
          caused by: bottom ***
            second line
        hint: or give up
        hint: try again
        ");
        assert_eq!((stdout.as_str(), code), ("", ExitCode::Service));
    }

    #[test]
    fn in_github_actions_the_error_is_annotated_where_it_is() {
        let invalid = ConfigError::Invalid {
            path: "trainyard.toml".into(),
            line: 3,
            column: 1,
            problem: "unknown key `epoch`".to_owned(),
            hint: None,
            source_line: "epoch = 3".to_owned(),
        };
        let outcome = Ok(Err(invalid).exit_code(ExitCode::Usage));
        let (stderr, stdout, code) = tell(outcome, &[("GITHUB_ACTIONS", "true")]);
        assert!(
            stderr.starts_with("error: trainyard.toml:3:1: unknown key"),
            "{stderr}"
        );
        assert!(
            stdout.starts_with(
                "::error file=trainyard.toml,line=3,title=Trainyard train::trainyard.toml:3:1: unknown key `epoch`"
            ),
            "{stdout}"
        );
        assert_eq!(stdout.lines().count(), 1);
        assert_eq!(code, ExitCode::Usage);
    }

    #[test]
    fn a_panic_is_our_bug() {
        note_panics(Redactor::default());
        let outcome = panic::catch_unwind(|| panic!("index {} out of bounds", 7));
        let (stderr, _, code) = tell(outcome, &[]);
        assert_eq!(code, ExitCode::Bug);
        assert!(
            stderr.starts_with("error: this is a bug of Trainyard, not of your project: index 7 out of bounds (crates/runner/src/exit.rs:"),
            "{stderr}"
        );
        assert!(stderr.contains("hint: please report it"), "{stderr}");
    }

    #[test]
    fn success_is_silent() {
        let told = tell(Ok(Ok(ExitCode::GateFailed)), &[("GITHUB_ACTIONS", "true")]);
        assert_eq!(told, (String::new(), String::new(), ExitCode::GateFailed));
    }
}
