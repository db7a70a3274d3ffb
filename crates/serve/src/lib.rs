//! The inference server that goes into images: a folder of models in, predictions over HTTP out.
//!
//! Speaks the Open Inference Protocol v2, in JSON and binary data, and TensorFlow Serving's predict API. Rows arrive raw and are
//! preprocessed as `model.json` says. No shell, nothing read but the folder of models and the files that options name.
//!
//! One thread looks after the connections ([`connections`]); bodies are parsed as they come ([`body`], [`json`]) and rows computed on
//! threads of their own ([`pool`]), those of small requests together ([`batch`]). The memory of all requests together is bounded
//! ([`admission`]). What is computed is counted for Prometheus ([`metrics`], [`drift`]). Models are found in [`repository`] and replaced
//! in [`reload`].

mod access;
mod admission;
mod answer;
mod auth;
mod batch;
mod body;
mod check;
mod connections;
mod datatype;
mod drift;
mod encoded;
mod exposition;
mod json;
mod log;
mod metrics;
mod model;
mod openapi;
mod page;
mod pool;
mod probe;
mod protocol;
mod reload;
mod repository;
mod sample;
mod server;
mod tensor;
mod tls;

use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

use trainyard_core::report::{ASSESSMENT_VARIABLE, Assessment};

use access::{Access, AccessLog};
use auth::Keys;
use connections::{ConnectionLimits, Ended, default_max_connections};
use drift::DriftArgs;
use log::LogFormat;
use reload::Served;
use repository::{Repository, Watcher};
use sample::Sampling;
use server::{Limits, Serving, router};
use tls::{Tls, TlsArgs};

const DEFAULT_PORT: u16 = 8080;

/// Answer inference requests by a trained model.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-serve", version)]
struct Args {
    /// The folder of the model, or a tar archive of it, such as a layer of an image; or a folder of models,
    /// `NAME/VERSION/model.json`.
    #[arg(long, value_name = "FOLDER", default_value = "/models")]
    model: PathBuf,
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0")]
    host: IpAddr,
    /// The port to listen on; 0 for any free one. By default that of the variable PORT, else 8080.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
    /// Look for other models in the folder once in so many seconds; 0 for never.
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    reload_interval: u32,
    /// Larger request bodies are refused, as sent or inflated.
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    max_body_mib: u32,
    /// The memory that the values and buffers of all requests take at a time; requests wait for their share of it.
    #[arg(long, value_name = "MIB", default_value_t = 48, value_parser = clap::value_parser!(u32).range(1..=65536))]
    max_request_mib: u32,
    /// A request waits so long for its share, and is then refused with 503.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    queue_timeout: u32,
    /// The next part of a body must come within this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    body_idle_timeout: u32,
    /// All of a body must come within this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    body_timeout: u32,
    /// The head of the next request must come within this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    head_timeout: u32,
    /// Connections at a time; where there are as many, the one that has been idle for longest gives way. By default as many as the
    /// limit of open files leaves.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: Option<u32>,
    /// On SIGTERM the server is not ready any more, and still accepts new connections for so long, until load balancers
    /// have noticed.
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    notice: u32,
    /// What is under way then has this time; a second signal ends it at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    drain_timeout: u32,
    #[command(flatten)]
    drift: DriftArgs,
    /// Form of the lines of the log: text for people, or JSON in the Elastic Common Schema.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Requests that the log has a line of: those that were refused or failed, all but health checks and scrapes that went well, or none.
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = AccessLog::Errors)]
    access_log: AccessLog,
    /// Log the predictions of so large a share of the requests, with figures of their inputs and never the inputs themselves.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    sample_requests: f64,
    /// Answer only who sends one of the keys in this file, one a line: `Authorization: Bearer KEY` or `X-API-Key: KEY`. Health is told
    /// to all.
    #[arg(long, value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    #[command(flatten)]
    tls: TlsArgs,
    /// Load each model, let it answer a request, and exit with 0; with 4 where one cannot.
    #[arg(long, conflicts_with = "probe")]
    check: bool,
    /// Ask the server that runs on this machine at `--port` whether it is ready, and exit with 0 or 1.
    #[arg(long)]
    probe: bool,
}

impl Args {
    /// As given, else by the variable `PORT`, which may be empty.
    fn port(&self) -> anyhow::Result<u16> {
        if let Some(port) = self.port {
            return Ok(port);
        }
        match std::env::var("PORT").unwrap_or_default().trim() {
            "" => Ok(DEFAULT_PORT),
            port => port
                .parse()
                .with_context(|| format!("the variable PORT is `{port}`, which is not a port")),
        }
    }
}

/// Runs the server until SIGTERM or SIGINT. Exit codes: 2 usage, 4 the model cannot be used, 5 the port is taken.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let port = match args.port() {
        Ok(port) => port,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            return ExitCode::from(2);
        }
    };
    if args.probe {
        return match probe::is_ready(port) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                let _ = writeln!(std::io::stderr(), "not ready: {problem}");
                ExitCode::FAILURE
            }
        };
    }
    let log = match log::start(args.log_format) {
        Ok(log) => log,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            return ExitCode::from(2);
        }
    };
    let code = run(&args, port).map_or_else(
        |failure| {
            tracing::error!("{:#}", failure.error);
            ExitCode::from(failure.code)
        },
        |()| ExitCode::SUCCESS,
    );
    drop(log);
    code
}

/// Why the server has ended, and with which code.
struct Failure {
    code: u8,
    error: anyhow::Error,
}

/// The code of a failure.
trait WithCode<T> {
    fn code(self, code: u8) -> Result<T, Failure>;
}

impl<T> WithCode<T> for anyhow::Result<T> {
    fn code(self, code: u8) -> Result<T, Failure> {
        self.map_err(|error| Failure { code, error })
    }
}

fn run(args: &Args, port: u16) -> Result<(), Failure> {
    args.drift.check().code(2)?;
    let keys = match &args.api_key_file {
        Some(file) => Keys::read(file).code(2)?,
        None => Keys::default(),
    };
    // A check asks in this process.
    let keys = if args.check { Keys::default() } else { keys };
    let tls = args.tls.open().code(2)?.map(Arc::new);
    let repository = Repository::open(&args.model, args.drift).code(4)?;
    let models = Served::new(repository);
    if args.reload_interval > 0 && !args.check {
        let interval = Duration::from_secs(args.reload_interval.into());
        let watched = models.watch(Watcher::new(&args.model), interval);
        watched.map_err(anyhow::Error::from).code(5)?;
    }
    let serving = Serving {
        models,
        keys,
        asks_clients: !args.check && tls.as_ref().is_some_and(|tls| tls.asks_clients()),
        access: Access::new(args.access_log),
        sampling: Sampling::new(args.sample_requests),
        assessment: assessment(),
        is_draining: Arc::new(AtomicBool::new(false)),
    };
    // One thread for the network; what takes time has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(anyhow::Error::from).code(5)?;
    if args.check {
        let models = serving.models.now().models().cloned().collect();
        let router = router(serving, args.limits());
        let router = router.map_err(anyhow::Error::from).code(5)?;
        return runtime.block_on(check::answers(router, models)).code(4);
    }
    let ended = runtime.block_on(serve(serving, tls, args, port)).code(5)?;
    match ended {
        Ended::Drained => tracing::info!("stopped"),
        Ended::CutOff => tracing::warn!("stopped before all requests were answered"),
    }
    // Computations whose result is not awaited any more are abandoned.
    runtime.shutdown_background();
    Ok(())
}

impl Args {
    fn limits(&self) -> Limits {
        Limits {
            max_body_bytes: self.max_body_mib as usize * (1 << 20),
            max_request_bytes: self.max_request_mib as usize * (1 << 20),
            patience: seconds(self.queue_timeout),
            body_idle: seconds(self.body_idle_timeout),
            body_total: seconds(self.body_timeout),
        }
    }

    fn connection_limits(&self) -> ConnectionLimits {
        ConnectionLimits {
            max_connections: self
                .max_connections
                .map_or_else(default_max_connections, |n| n as usize),
            head: seconds(self.head_timeout),
            notice: seconds(self.notice),
            drain: seconds(self.drain_timeout),
        }
    }
}

/// What the image says of its model. What cannot be read is not shown, with a word in the log: it decides nothing here.
fn assessment() -> Option<Assessment> {
    let text = std::env::var(ASSESSMENT_VARIABLE).unwrap_or_default();
    if text.trim().is_empty() {
        return None;
    }
    let parsed = serde_json::from_str(&text);
    parsed
        .inspect_err(|error| {
            tracing::warn!("the variable {ASSESSMENT_VARIABLE} is not shown: {error}");
        })
        .ok()
}

/// A number from 0 to 1.
fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "it must be a number from 0 to 1".to_owned())
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

async fn serve(
    serving: Serving,
    tls: Option<Arc<Tls>>,
    args: &Args,
    port: u16,
) -> anyhow::Result<Ended> {
    let listener = tokio::net::TcpListener::bind((args.host, port))
        .await
        .with_context(|| format!("cannot listen on {}:{port}", args.host))?;
    let address = listener.local_addr()?;
    // Before anybody learns that it runs, and may ask it to end.
    let stop = StopSignals::listen()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    for model in serving.models.now().models() {
        tracing::info!(
            "serving `{}` version {} ({}) on {scheme}://{address}",
            model.name(),
            model.version(),
            model.digest().short()
        );
    }
    // Standard output tells the parent process which port was taken.
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{scheme}://{address}").and_then(|()| stdout.flush())?;
    drop(stdout);
    let is_draining = Arc::clone(&serving.is_draining);
    let router = router(serving, args.limits())?;
    let limits = args.connection_limits();
    Ok(connections::serve(listener, tls, router, limits, is_draining, || stop.next()).await)
}

/// What asks the process to end. Handlers are in place once it listens: as process 1 of a container no other process would react.
#[cfg(unix)]
struct StopSignals {
    terminate: tokio::sync::Mutex<tokio::signal::unix::Signal>,
    interrupt: tokio::sync::Mutex<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?.into(),
            interrupt: signal(SignalKind::interrupt())?.into(),
        })
    }

    /// Completes with the next one.
    async fn next(&self) {
        let (mut terminate, mut interrupt) =
            (self.terminate.lock().await, self.interrupt.lock().await);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// What asks the process to end.
#[cfg(not(unix))]
struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn next(&self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}
