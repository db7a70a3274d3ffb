//! The end of a stage: its result, its error or its panic, told to people and to the caller.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
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
        let text = self
            .redactor
            .redact(
                &[message]
                    .into_iter()
                    .chain(hints)
                    .collect::<Vec<_>>()
                    .join("\nhint: "),
            )
            .into_owned();
        log::error(self.stage, &text, code);
        // The code must reach the caller even where the text is not read.
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
            stderr.starts_with("error: this is a bug of Trainyard, not of your project: index 7 out of bounds (crates/runner/src/ending.rs:"),
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
