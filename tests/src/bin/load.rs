//! A load on a server of HTTP/1.1, for `cargo xtask bench serve`: what came of it is one JSON object on standard output.

#![expect(clippy::print_stdout, reason = "the figures are what it is asked for")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use trainyard_tests::serving::client;
use trainyard_tests::serving::load::Load;

/// Send one request over and over, and count answers and times.
#[derive(Debug, Parser)]
struct Args {
    /// The server, as `127.0.0.1:8080`.
    address: SocketAddr,
    /// The path that is posted to.
    path: String,
    /// The file of the body, JSON.
    body: PathBuf,
    /// Clients, each with a connection of its own.
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// Before anything is counted.
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// What is counted.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let args = Args::parse();
    let body = std::fs::read(&args.body)?;
    let headers = [("Content-Type", "application/json")];
    let load = Load {
        address: args.address,
        request: client::request("POST", &args.path, &headers, &body).into(),
        n_clients: args.clients,
        warm_up: Duration::from_secs_f64(args.warm_up),
        duration: Duration::from_secs_f64(args.seconds),
        rate: None,
    };
    let report = load.run().await;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
