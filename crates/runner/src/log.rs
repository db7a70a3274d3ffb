//! The log: text for people on standard error, or ECS lines for Elasticsearch, with secrets masked.
//!
//! `trainyard_ecs` says what a line for Elasticsearch is.

mod sink;

use std::borrow::Cow;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use trainyard_ecs::{Ecs, Mask, rfc3339};

use self::sink::Sink;
use crate::annotate::neutralise;
use crate::environment::Environment;
use crate::exit_code::ExitCode;
use crate::redact::Redactor;

/// Events that say how the stage ended: text on standard error shows those in words of its own.
const ENDING: &str = "trainyard::ending";

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// `TRAINYARD_LOG` is none of the levels.
    #[error(
        "`TRAINYARD_LOG` is `{0}`; set it to `off`, `error`, `warn`, `info`, `debug` or `trace`"
    )]
    Level(String),
    /// The file of `--log-file` cannot be opened.
    #[error("cannot open the log file `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file of `--log-file` lies in a folder that is not there.
    #[error(
        "cannot open the log file `{}`: there is no folder `{}`\nhint: create it first, or name a path below the working directory",
        path.display(), folder.display()
    )]
    Folder {
        /// The file.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// Something in this process has started another log.
    #[error("the log of this process is already set up")]
    AlreadyStarted(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// What made the stage fail.
    Error,
    /// What needs a look.
    Warn,
    /// What the stage does.
    Info,
    /// What helps to find a mistake.
    Debug,
    /// Everything, also of the libraries in use.
    Trace,
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Off => LevelFilter::OFF,
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// In which form log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object per line, in the Elastic Common Schema.
    Json,
}

/// The options of the log, for every stage.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// Log level: `info` unless `TRAINYARD_LOG` names another, `debug` if debug logging is enabled for the workflow run
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub log_level: Option<LogLevel>,
    /// Format of the log lines
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Append the log to this file, in the format of `--log-format`; standard error then shows text
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
}

impl LogArgs {
    /// Sets up the log of this process. `stage` is the stage's name, like `train`.
    pub fn start(&self, stage: &str, environment: &Environment) -> Result<(), LogError> {
        let level = self.level(environment)?;
        let is_json = self.log_format == LogFormat::Json;
        let sinks = Sinks {
            is_coloured: is_coloured(environment),
            stderr: Sink::new(Box::new(io::stderr())),
            file: self.log_file.as_deref().map(open).transpose()?,
        };
        let is_json_on_stderr = is_json && sinks.file.is_none();
        let subscriber = subscriber(stage, environment, level, self.log_format, sinks);
        tracing::subscriber::set_global_default(subscriber).map_err(LogError::AlreadyStarted)?;
        IS_JSON_ON_STDERR.store(is_json_on_stderr, Ordering::Relaxed);
        Ok(())
    }

    fn level(&self, environment: &Environment) -> Result<LogLevel, LogError> {
        if let Some(level) = self.log_level {
            return Ok(level);
        }
        match environment.get("TRAINYARD_LOG") {
            Some(text) => {
                clap::ValueEnum::from_str(text, true).map_err(|_| LogError::Level(text.to_owned()))
            }
            // Set by "Enable debug logging" when a run is repeated.
            None if environment.get("RUNNER_DEBUG") == Some("1") => Ok(LogLevel::Debug),
            None => Ok(LogLevel::Info),
        }
    }
}

static IS_JSON_ON_STDERR: AtomicBool = AtomicBool::new(false);

/// Whether standard error takes nothing but ECS lines.
pub(crate) fn is_json_on_stderr() -> bool {
    IS_JSON_ON_STDERR.load(Ordering::Relaxed)
}

/// Logs what made a stage fail.
pub(crate) fn error(stage: &str, message: &str, code: ExitCode) {
    tracing::error!(target: ENDING, stage, exit_code = u8::from(code), "{message}");
}

fn is_coloured(environment: &Environment) -> bool {
    io::stderr().is_terminal()
        && environment.get("NO_COLOR").is_none()
        && environment.get("TERM") != Some("dumb")
}

fn open(path: &Path) -> Result<Sink, LogError> {
    let error = |source| LogError::File {
        path: path.to_owned(),
        source,
    };
    // The folder of a relative path is made, like the output folder. That of an absolute one is most often a mount that
    // is missing or a typo: a log in a folder that was made for it there is a log that is lost.
    if let Some(folder) = path.parent() {
        if path.is_relative() {
            fs::create_dir_all(folder).map_err(error)?;
        } else if !folder.is_dir() {
            return Err(LogError::Folder {
                path: path.to_owned(),
                folder: folder.to_owned(),
            });
        }
    }
    let file = OpenOptions::new().append(true).create(true).open(path);
    Ok(Sink::new(Box::new(file.map_err(error)?)))
}

/// Where log lines go.
struct Sinks {
    is_coloured: bool,
    stderr: Sink,
    file: Option<Sink>,
}

fn subscriber(
    stage: &str,
    environment: &Environment,
    level: LogLevel,
    format: LogFormat,
    sinks: Sinks,
) -> impl Subscriber + Send + Sync + use<> {
    let redactor = Redactor::from_environment(environment);
    let is_github_actions = environment.is_github_actions();
    let text = |sink: Sink, is_coloured: bool, is_file: bool| {
        let redactor = redactor.clone();
        let is_read_by_runner = is_github_actions && !is_file;
        let layer = fmt::layer()
            .with_target(false)
            .with_ansi(is_coloured)
            .with_writer(move || TextWriter {
                sink: sink.clone(),
                redactor: redactor.clone(),
                is_read_by_runner,
            });
        // The runner puts the time before each line itself.
        if is_read_by_runner {
            layer.without_time().boxed()
        } else {
            layer.with_timer(Clock).boxed()
        }
    };
    let json = |sink| {
        let service = format!("trainyard-{stage}");
        let version = env!("CARGO_PKG_VERSION");
        Ecs::new(service, version, redactor.clone(), sink).boxed()
    };
    let Sinks {
        is_coloured,
        stderr,
        file,
    } = sinks;
    let mut layers = Vec::new();
    match (format, file) {
        (LogFormat::Json, None) => layers.push(json(stderr)),
        (format, file) => {
            let not_ending = |metadata: &Metadata<'_>| metadata.target() != ENDING;
            let on_stderr = text(stderr, is_coloured, false);
            layers.push(on_stderr.with_filter(filter_fn(not_ending)).boxed());
            layers.extend(file.map(|file| match format {
                LogFormat::Json => json(file),
                LogFormat::Text => text(file, false, true),
            }));
        }
    }
    Registry::default().with(layers).with(targets(level))
}

/// Libraries are heard from `warn` on, unless everything is wanted.
fn targets(level: LogLevel) -> Targets {
    let (libraries, kubernetes) = match level {
        LogLevel::Trace => (LevelFilter::TRACE, LevelFilter::TRACE),
        // Its errors are answers of the API server, of which the stage says what they mean.
        _ => (level.filter().min(LevelFilter::WARN), LevelFilter::OFF),
    };
    Targets::new()
        .with_default(libraries)
        .with_target("kube_client", kubernetes)
        .with_target("trainyard", level.filter())
}

impl Mask for Redactor {
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.redact(text)
    }
}

impl trainyard_ecs::Sink for Sink {
    fn write_line(&self, line: &str) {
        let _ = self.write(line);
    }
}

struct Clock;

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        writer.write_str(&rfc3339(SystemTime::now()))
    }
}

/// Takes one event as text, which `tracing-subscriber` writes at once.
struct TextWriter {
    sink: Sink,
    redactor: Redactor,
    is_read_by_runner: bool,
}

impl Write for TextWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = self.redactor.redact(&text);
        if self.is_read_by_runner {
            self.sink.write(&neutralise(&text))?;
        } else {
            self.sink.write(&text)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
