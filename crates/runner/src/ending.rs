//! The end of a stage: its result, its error or its panic, told to people and to the caller.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use trainyard_core::config::ConfigError;

use crate::annotate::{Annotation, Annotator, indent, neutralise};
use crate::environment::Environment;
use crate::exit::{failures, find};
use crate::exit_code::ExitCode;
use crate::log;
use crate::redact::Redactor;

const ISSUES_URL: &str = "https://github.com/trainyard/trainyard/issues";

/// Runs a stage and tells how it ended: the error and its causes on standard error, and as an annotation in
/// GitHub Actions. Secrets are masked. A panic ends with [`ExitCode::Bug`].
///
/// `stage` is the stage's name, like `train`.
pub fn run(stage: &str, main: impl FnOnce() -> anyhow::Result<ExitCode>) -> std::process::ExitCode {
    let environment = Environment::from_process();
    let ending = Ending {
        stage: stage.to_owned(),
        redactor: Redactor::from_environment(&environment),
        annotator: Annotator::from_environment(&environment),
    };
    let (mut of_result, mut of_panic) = (ending.clone(), ending.clone());
    note_panics(ending.redactor.clone(), move |message| {
        of_panic.tell_bug(message, &mut io::stderr().lock(), &mut io::stdout().lock())
    });
    let code = match panic::catch_unwind(AssertUnwindSafe(main)) {
        Ok(result) => of_result.tell(result, &mut io::stderr().lock(), &mut io::stdout().lock()),
        Err(payload) => {
            let (mut stderr, mut stdout) = (io::stderr().lock(), io::stdout().lock());
            of_result.tell_bug(panic_message(&*payload), &mut stderr, &mut stdout)
        }
    };
    code.into()
}

/// Where the last panic was: a hook learns it, its payload does not tell.
static PANIC_PLACE: Mutex<Option<String>> = Mutex::new(None);

/// Prints each panic once, without secrets, and remembers its place. In a build that does not unwind the process ends there, on whatever
/// thread it was, with the code of `tell`.
fn note_panics(redactor: Redactor, tell: impl FnMut(&str) -> ExitCode + Send + 'static) {
    let tell = Mutex::new(tell);
    panic::set_hook(Box::new(move |panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string);
        let message = panic_message(panic.payload());
        let backtrace = Backtrace::capture();
        let mut text = format!(
            "panicked at {}: {message}\n",
            place.as_deref().unwrap_or("an unknown place")
        );
        if backtrace.status() == BacktraceStatus::Captured {
            let _ = writeln!(text, "{backtrace}");
        }
        *PANIC_PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place;
        // An error stream that takes nothing cannot be told so.
        let _ = io::stderr().write_all(neutralise(&redactor.redact(&text)).as_bytes());
        if cfg!(panic = "abort") {
            let code = tell.lock().unwrap_or_else(PoisonError::into_inner)(message);
            #[expect(
                clippy::exit,
                reason = "nothing is unwound: there is no other way to end with this code"
            )]
            std::process::exit(u8::from(code).into());
        }
    }));
}

fn panic_message(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a message")
}

/// Says how a stage ended.
#[derive(Clone)]
struct Ending {
    stage: String,
    redactor: Redactor,
    annotator: Annotator,
}

/// What is said of a stage that failed.
struct Failure {
    code: ExitCode,
    message: String,
    hints: Vec<String>,
    /// A file and a line in it.
    place: Option<(PathBuf, usize)>,
}

impl Ending {
    fn tell(
        &mut self,
        result: anyhow::Result<ExitCode>,
        stderr: &mut impl Write,
        stdout: &mut impl Write,
    ) -> ExitCode {
        let error = match result {
            Ok(code) => return code,
            Err(error) => error,
        };
        let place = match find::<ConfigError>(&error) {
            Some(ConfigError::Invalid { path, line, .. }) => Some((path.clone(), *line)),
            _ => None,
        };
        let failure = Failure {
            code: ExitCode::of(&error),
            message: chain(&error),
            hints: failures(&error)
                .flat_map(|failure| failure.hints.clone())
                .collect(),
            place,
        };
        self.tell_failure(failure, stderr, stdout)
    }

    /// Of a panic with this message, at the place that was remembered.
    fn tell_bug(
        &mut self,
        message: &str,
        stderr: &mut impl Write,
        stdout: &mut impl Write,
    ) -> ExitCode {
        let place = PANIC_PLACE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
        let hint = format!(
            "please report it with the log at {ISSUES_URL}; `RUST_BACKTRACE=1` adds where it happened"
        );
        let failure = Failure {
            code: ExitCode::Bug,
            message: format!("this is a bug of Trainyard, not of your project: {message}{place}"),
            hints: vec![hint],
            place: None,
        };
        self.tell_failure(failure, stderr, stdout)
    }

    fn tell_failure(
        &mut self,
        failure: Failure,
        stderr: &mut impl Write,
        stdout: &mut impl Write,
    ) -> ExitCode {
        let said = [failure.message].into_iter().chain(failure.hints);
        let said = said.collect::<Vec<_>>().join("\nhint: ");
        let text = self.redactor.redact(&said).into_owned();
        log::error(&self.stage, &text, failure.code);
        // The code must reach the caller even where the text is not read.
        if !log::is_json_on_stderr() {
            let _ = writeln!(stderr, "error: {}", neutralise(&text));
        }
        if self.annotator.is_github_actions() {
            let title = format!("Trainyard {}", self.stage);
            let mut annotation = Annotation::error(text).title(title);
            if let Some((path, line)) = failure.place {
                annotation = annotation.at(path, line);
            }
            let _ = self.annotator.emit(vec![annotation], stdout);
        }
        failure.code
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
            text.push_str(message.trim_end());
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
    use anyhow::{Context as _, anyhow};

    use super::*;
    use crate::exit::WithExitCode as _;

    /// What `tell` says on standard error and on standard output, and the code.
    fn told(
        variables: &[(&str, &str)],
        tell: impl FnOnce(&mut Ending, &mut Vec<u8>, &mut Vec<u8>) -> ExitCode,
    ) -> (String, String, ExitCode) {
        let environment: Environment = variables.iter().copied().collect();
        let mut ending = Ending {
            stage: "train".to_owned(),
            redactor: Redactor::from_environment(&environment),
            annotator: Annotator::from_environment(&environment),
        };
        let (mut stderr, mut stdout) = (Vec::new(), Vec::new());
        let code = tell(&mut ending, &mut stderr, &mut stdout);
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(stderr), text(stdout), code)
    }

    fn tell(
        result: anyhow::Result<ExitCode>,
        variables: &[(&str, &str)],
    ) -> (String, String, ExitCode) {
        told(variables, |ending, stderr, stdout| {
            ending.tell(result, stderr, stdout)
        })
    }

    #[test]
    fn an_error_is_told_with_its_causes_and_hints() {
        let error = Err::<ExitCode, _>(anyhow!("bottom s3cr3t-value\nsecond line"))
            .context("middle")
            .hint("try again")
            .context("top")
            .exit_code(ExitCode::Service)
            .hint("or give up");
        let (stderr, stdout, code) = tell(error, &[("MY_TOKEN", "s3cr3t-value")]);
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
        let result = Err(invalid).exit_code(ExitCode::Usage);
        let (stderr, stdout, code) = tell(result, &[("GITHUB_ACTIONS", "true")]);
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
        note_panics(Redactor::default(), |_| ExitCode::Bug);
        let payload = panic::catch_unwind(|| panic!("index {} out of bounds", 7)).unwrap_err();
        let (stderr, _, code) = told(&[], |ending, stderr, stdout| {
            ending.tell_bug(panic_message(&*payload), stderr, stdout)
        });
        assert_eq!(code, ExitCode::Bug);
        assert!(
            stderr.starts_with("error: this is a bug of Trainyard, not of your project: index 7 out of bounds (crates/runner/src/ending.rs:"),
            "{stderr}"
        );
        assert!(stderr.contains("hint: please report it"), "{stderr}");
    }

    #[test]
    fn success_is_silent() {
        let told = tell(Ok(ExitCode::GateFailed), &[("GITHUB_ACTIONS", "true")]);
        assert_eq!(told, (String::new(), String::new(), ExitCode::GateFailed));
    }
}
