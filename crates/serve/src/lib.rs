//! The inference server that goes into images: a model folder in, predictions over HTTP out.
//!
//! Speaks the Open Inference Protocol v2, in JSON and binary data, and TensorFlow Serving's predict API. Rows arrive raw and are
//! preprocessed as `model.json` says. No TLS, no shell, nothing read but the model folder.
//!
//! One thread looks after the connections ([`connections`]); bodies are parsed as they come ([`body`], [`json`]) and rows computed on
//! threads of their own ([`pool`]). The memory of all requests together is bounded ([`admission`]).

mod admission;
mod answer;
mod body;
mod connections;
mod datatype;
mod encoded;
mod json;
mod metrics;
mod model;
mod openapi;
mod pool;
mod probe;
mod protocol;
mod server;
mod tensor;

use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;

use connections::{ConnectionLimits, Ended, default_max_connections};
pub use model::Model;
pub use server::{Limits, router};

const DEFAULT_PORT: u16 = 8080;

/// Answer inference requests by a trained model.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-serve", version)]
pub struct Args {
    /// The folder of the model, or a tar archive of it, such as a layer of an image.
    #[arg(long, value_name = "FOLDER", default_value = "/models")]
    pub model: PathBuf,
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0")]
    pub host: IpAddr,
    /// The port to listen on; 0 for any free one. By default that of the variable PORT, else 8080.
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
    /// Larger request bodies are refused, as sent or inflated.
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub max_body_mib: u32,
    /// The memory that the values of all requests take at a time; requests wait for their share of it.
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub max_request_mib: u32,
    /// A request waits so long for its share, and is then refused with 503.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub queue_timeout: u32,
    /// The next part of a body must come within this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub body_idle_timeout: u32,
    /// All of a body must come within this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub body_timeout: u32,
    /// The head of the next request must come within this time.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub head_timeout: u32,
    /// Connections at a time; where there are as many, the one that has been idle for longest gives way. By default as many as the
    /// limit of open files leaves.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_connections: Option<u32>,
    /// On SIGTERM the server is not ready any more, and still accepts new connections for so long, until load balancers
    /// have noticed.
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    pub notice: u32,
    /// What is under way then has this time; a second signal ends it at once.
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub drain_timeout: u32,
    /// Ask the server that runs on this machine at `--port` whether it is ready, and exit with 0 or 1.
    #[arg(long)]
    pub probe: bool,
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
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(false)
        .init();
    let opened = Model::open(&args.model)
        .with_context(|| format!("cannot serve the model in `{}`", args.model.display()));
    let model = match opened {
        Ok(model) => model,
        Err(error) => {
            tracing::error!("{error:#}");
            return ExitCode::from(4);
        }
    };
    match serve(model, &args, port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(5)
        }
    }
}

fn serve(model: Model, args: &Args, port: u16) -> anyhow::Result<()> {
    // One thread for the network; what takes time has threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((args.host, port))
            .await
            .with_context(|| format!("cannot listen on {}:{port}", args.host))?;
        let address = listener.local_addr()?;
        // Before anybody learns that it runs, and may ask it to end.
        let stop = StopSignals::listen()?;
        tracing::info!(
            "serving `{}` ({}) on http://{address}",
            model.name(),
            model.digest().short()
        );
        // Standard output tells the parent process which port was taken.
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "http://{address}").and_then(|()| stdout.flush())?;
        drop(stdout);
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        let limits = Limits {
            max_body_bytes: args.max_body_mib as usize * (1 << 20),
            max_request_bytes: args.max_request_mib as usize * (1 << 20),
            patience: seconds(args.queue_timeout),
            body_idle: seconds(args.body_idle_timeout),
            body_total: seconds(args.body_timeout),
        };
        let connections = ConnectionLimits {
            max_connections: args
                .max_connections
                .map_or_else(default_max_connections, |n| n as usize),
            head: seconds(args.head_timeout),
            notice: seconds(args.notice),
            drain: seconds(args.drain_timeout),
        };
        let is_draining = Arc::new(AtomicBool::new(false));
        let router = router(model, limits, Arc::clone(&is_draining))?;
        let ended = connections::serve(listener, router, connections, is_draining, || stop.next());
        anyhow::Ok(ended.await)
    })?;
    match ended {
        Ended::Drained => tracing::info!("stopped"),
        Ended::CutOff => tracing::warn!("stopped before all requests were answered"),
    }
    // Computations whose result is not awaited any more are abandoned.
    runtime.shutdown_background();
    Ok(())
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
