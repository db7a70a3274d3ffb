//! The repository's own commands, run as `cargo xtask <command>`.
//!
//! In: the checkout. Out: built binaries, the demo's results under `trainyard-out/`, a test verdict. This
//! package must not depend on any other package of the workspace, so that it builds in seconds.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool for developers, whose output is for people"
)]

mod bench;
mod debian;
mod demo;
mod dist;
mod generate;
mod github;
mod kubernetes;
mod peers;
mod process;
mod soak;
mod stopwatch;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// Build, try out and test Trainyard. Needs cargo, and nothing else but what it says it installs.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Train, evaluate, judge and publish the MNIST example, all 60,000 images, and say where to look.
    ///
    /// Builds the binaries first. Results go to `trainyard-out/`, replacing those of an earlier demo. Stops at
    /// the first red stage with its exit code.
    Demo,
    /// Run every check that CI runs: format, lints, generated files, dependencies, tests against third-party peers.
    ///
    /// Missing peers are installed: programs of the distribution by apt, Python packages into `target/peers`
    /// (or `$TRAINYARD_PEERS_DIR`). All checks run, those that failed or could not run are named at the end, and the
    /// test runner's summary comes last.
    Test(test::TestArgs),
    /// Measure Trainyard beside its peers, side by side in one run.
    Bench(bench::BenchArgs),
    /// Build what a release offers: an archive of all binaries, its bill of materials, and digests.
    ///
    /// Two checkouts of one commit give the same bytes. Fails where a binary is larger than a release allows.
    Dist(dist::DistArgs),
    /// Run one fuzz target for minutes or hours, or the server under more than it can do; outside CI.
    Soak(soak::SoakArgs),
    /// Write the generated files (`action.yml`, README tables, JSON schemas, reference pages).
    Generate(generate::GenerateArgs),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let outcome = Workspace::locate().and_then(|workspace| match command {
        Command::Demo => demo::run(&workspace),
        Command::Test(args) => test::run(&args, &workspace),
        Command::Bench(args) => bench::run(&args, &workspace),
        Command::Dist(args) => dist::run(&args, &workspace),
        Command::Soak(args) => soak::run(&args, &workspace),
        Command::Generate(args) => generate::run(&args, &workspace),
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
