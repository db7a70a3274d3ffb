//! The inference server that goes into images: a model folder in, predictions over HTTP out.
//!
//! Speaks the Open Inference Protocol v2 (JSON) and TensorFlow Serving's predict API. Rows arrive raw and are
//! preprocessed as `model.json` says. No TLS, no shell, nothing read but the model folder.

mod answer;
mod model;
mod probe;
mod protocol;
mod server;
mod tensor;

use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

pub use model::Model;
pub use server::router;

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
    /// The port to listen on; 0 for any free one.
    #[arg(long, env = "PORT", value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
    /// Larger request bodies are refused.
    #[arg(long, value_name = "MIB", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub max_body_mib: u32,
    /// Ask the server that runs on this machine at `--port` whether it is ready, and exit with 0 or 1.
    #[arg(long)]
    pub probe: bool,
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
    if args.probe {
        return match probe::is_ready(args.port) {
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
    match serve(model, &args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::from(5)
        }
    }
}

fn serve(model: Model, args: &Args) -> anyhow::Result<()> {
    // One thread for the network; the model computes on threads of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let address = (args.host, args.port);
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {}:{}", args.host, args.port))?;
        let address = listener.local_addr()?;
        // Before anybody learns that it runs, and may ask it to end.
        let stop = stop_signal()?;
        tracing::info!(
            "serving `{}` ({}) on http://{address}",
            model.name(),
            model.digest().short()
        );
        // Standard output tells the parent process which port was taken.
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "http://{address}").and_then(|()| stdout.flush())?;
        drop(stdout);
        let max_body_bytes = args.max_body_mib as usize * (1 << 20);
        axum::serve(listener, router(model, max_body_bytes))
            .with_graceful_shutdown(stop)
            .await?;
        tracing::info!("stopped");
        Ok(())
    })
}

/// Completes when the process is asked to end. Handlers are in place when this returns: as process 1 of a container
/// no other process would react.
fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(not(unix))]
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
