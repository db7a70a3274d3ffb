//! `cargo xtask bench`: figures beside those of peers, and coverage by simulation, for anyone to repeat.
//!
//! The peers of `training` and `serve` are heavy (several gigabytes), so nothing else installs them.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::dist;
use crate::peers::Toolbox;
use crate::process;
use crate::workspace::Workspace;

/// What `cargo xtask bench` takes.
#[derive(Args)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Train the article's network beside Keras and PyTorch: wall, CPU, memory, accuracy.
    Training(TrainingArgs),
    /// Score millions of rows beside scikit-learn and NumPy's bootstrap: wall and memory.
    Evaluate(EvaluateArgs),
    /// Build and push images beside buildah and umoci with skopeo: wall, CPU, memory.
    Publish(PublishArgs),
    /// Serve the article's model beside FastAPI with Keras and with onnxruntime, MLServer and BentoML: start, memory, latency,
    /// requests a second.
    Serve(ServeArgs),
    /// Simulate how often the ends of our intervals miss the truth; fails where one misses more often than claimed.
    Coverage(CoverageArgs),
}

/// What `cargo xtask bench coverage` takes.
#[derive(Args)]
struct CoverageArgs {
    /// Samples of each cell; fewer are quicker and allow for more chance.
    #[arg(long, default_value_t = 2000)]
    samples: u32,
    /// Two-sided level of the intervals.
    #[arg(long, default_value_t = 0.95)]
    confidence: f64,
    /// Seed of all samples.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only metrics whose name contains this; `looks` for repeated looks alone.
    #[arg(long, default_value = "")]
    metric: String,
}

/// What `cargo xtask bench serve` takes.
#[derive(Args)]
struct ServeArgs {
    /// Starts of each contestant, alternating; medians are compared.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Length of each load.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Seconds of each load before anything counts.
    #[arg(long, default_value_t = 1.0)]
    warm_up: f64,
    /// Whom to compare with.
    #[arg(
        long,
        default_value = "fastapi_keras,fastapi_onnxruntime,mlserver,bentoml"
    )]
    peers: String,
    /// Also write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure this server instead of one that is built as for a release.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
}

/// What `cargo xtask bench publish` takes.
#[derive(Args)]
struct PublishArgs {
    /// Sizes of the models, in megabytes.
    #[arg(long, default_value = "50,1000")]
    sizes: String,
    /// Runs of each contestant, alternating; medians are compared.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Also write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What `cargo xtask bench evaluate` takes.
#[derive(Args)]
struct EvaluateArgs {
    /// Rows that are scored.
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// Classes of each.
    #[arg(long, default_value_t = 10)]
    classes: u32,
    /// Bootstrap replicates.
    #[arg(long, default_value_t = 1000)]
    replicates: u32,
    /// Runs of ours, of which the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Rows for the table of growth; empty for none.
    #[arg(long, default_value = "100000,1000000,10000000")]
    growth: String,
    /// Also write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Run the peers by this Python, which has them, instead of installing them.
    #[arg(long, value_name = "FILE", env = "TRAINYARD_BENCH_PYTHON")]
    python: Option<PathBuf>,
}

/// What `cargo xtask bench training` takes.
#[derive(Args)]
struct TrainingArgs {
    /// Runs of each contestant, alternating, each with a seed of its own; medians are compared.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Epochs of each run.
    #[arg(long, default_value_t = 10)]
    epochs: u32,
    /// Whom to compare with.
    #[arg(long, default_value = "keras,torch")]
    peers: String,
    /// Rows for the table of growth; empty for none.
    #[arg(long, default_value = "10000,100000,1000000")]
    sizes: String,
    /// Also write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Run the peers by this Python, which has them, instead of installing them.
    #[arg(long, value_name = "FILE", env = "TRAINYARD_BENCH_PYTHON")]
    python: Option<PathBuf>,
}

const TRAINING: &str = "tests/benches/training";
const EVALUATE: &str = "tests/benches/evaluate";
const PUBLISH: &str = "tests/benches/publish";
const SERVE: &str = "tests/benches/serve";

/// The Python environments of the server's peers, which do not fit into one: a file of requirements each.
const SERVE_PYTHONS: [&str; 3] = ["fastapi", "mlserver", "bentoml"];

/// Runs the one that was asked for.
pub(crate) fn run(args: &BenchArgs, workspace: &Workspace) -> Result<ExitCode> {
    match &args.what {
        What::Training(args) => training(args, workspace),
        What::Evaluate(args) => evaluate(args, workspace),
        What::Publish(args) => publish(args, workspace),
        What::Serve(args) => serve(args, workspace),
        What::Coverage(args) => coverage(args, workspace),
    }
}

/// Builds the simulation and runs it; the table goes to standard output.
fn coverage(args: &CoverageArgs, workspace: &Workspace) -> Result<ExitCode> {
    let CoverageArgs {
        samples,
        confidence,
        seed,
        metric,
    } = args;
    let mut build = workspace.cargo(&[
        "build",
        "--package",
        "trainyard-devtools",
        "--bin",
        "coverage",
    ]);
    process::run(&mut build)?;
    let mut simulation = Command::new(workspace.binaries().join("coverage"));
    simulation
        .args(["--samples", &samples.to_string()])
        .args(["--confidence", &confidence.to_string()])
        .args(["--seed", &seed.to_string()])
        .args(["--metric", metric]);
    process::run(&mut simulation)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds, installs and measures.
fn training(args: &TrainingArgs, workspace: &Workspace) -> Result<ExitCode> {
    let binaries = workspace.build_binaries()?;
    let package = "trainyard-devtools";
    let mut peak = workspace.cargo(&["build", "--package", package, "--bin", "fma-peak"]);
    process::run(&mut peak)?;
    let mut bench = Command::new(python(
        args.python.as_ref(),
        "bench-python",
        TRAINING,
        workspace,
    )?);
    bench
        .arg(workspace.root.join(TRAINING).join("bench.py"))
        .arg(&binaries)
        .args(["--rounds", &args.rounds.to_string()])
        .args(["--epochs", &args.epochs.to_string()])
        .args(["--peers", &args.peers, "--sizes", &args.sizes]);
    if let Some(json) = &args.json {
        bench.arg("--json").arg(json);
    }
    process::run(&mut bench)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds, installs and measures.
fn evaluate(args: &EvaluateArgs, workspace: &Workspace) -> Result<ExitCode> {
    let binaries = workspace.build_binaries()?;
    let package = "trainyard-devtools";
    let mut bootstrap = workspace.cargo(&["build", "--package", package, "--bin", "bootstrap"]);
    process::run(&mut bootstrap)?;
    let mut bench = Command::new(python(
        args.python.as_ref(),
        "bench-evaluate",
        EVALUATE,
        workspace,
    )?);
    bench
        .arg(workspace.root.join(EVALUATE).join("bench.py"))
        .arg(&binaries)
        .args(["--rows", &args.rows.to_string()])
        .args(["--classes", &args.classes.to_string()])
        .args(["--replicates", &args.replicates.to_string()])
        .args(["--rounds", &args.rounds.to_string()])
        .args(["--growth", &args.growth]);
    if let Some(json) = &args.json {
        bench.arg("--json").arg(json);
    }
    process::run(&mut bench)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds and measures; the peers are programs of the distribution, which the script names where one is missing.
fn publish(args: &PublishArgs, workspace: &Workspace) -> Result<ExitCode> {
    let binaries = workspace.build_binaries()?;
    let mut bench = Command::new("python3");
    bench
        .arg(workspace.root.join(PUBLISH).join("bench.py"))
        .arg(&binaries)
        .args(["--sizes", &args.sizes])
        .args(["--rounds", &args.rounds.to_string()]);
    if let Some(json) = &args.json {
        bench.arg("--json").arg(json);
    }
    process::run(&mut bench)?;
    Ok(ExitCode::SUCCESS)
}

/// Builds, installs and measures.
fn serve(args: &ServeArgs, workspace: &Workspace) -> Result<ExitCode> {
    let binaries = workspace.build_binaries()?;
    let mut load = workspace.cargo(&["build", "--package", "trainyard-tests", "--bin", "load"]);
    process::run(&mut load)?;
    let server = match &args.server {
        Some(server) => server.clone(),
        None => dist::released("trainyard-serve", workspace)?,
    };
    let toolbox = Toolbox::new(workspace);
    let mut bench = Command::new("python3");
    bench
        .arg(workspace.root.join(SERVE).join("bench.py"))
        .arg(&binaries)
        .arg("--server")
        .arg(&server)
        .arg("--load")
        .arg(binaries.join("load"))
        .args(["--rounds", &args.rounds.to_string()])
        .args(["--seconds", &args.seconds.to_string()])
        .args(["--warm-up", &args.warm_up.to_string()])
        .args(["--peers", &args.peers]);
    for name in SERVE_PYTHONS {
        // The model of all onnxruntimes is written by FastAPI's environment.
        if name == "fastapi" || args.peers.split(',').any(|peer| peer.starts_with(name)) {
            let requirements = format!("{SERVE}/requirements-{name}.txt");
            let requirements = workspace.root.join(requirements);
            let python = toolbox.python_with(&format!("bench-serve-{name}"), &requirements)?;
            bench
                .arg("--python")
                .arg(format!("{name}={}", python.display()));
        }
    }
    if let Some(json) = &args.json {
        bench.arg("--json").arg(json);
    }
    process::run(&mut bench)?;
    Ok(ExitCode::SUCCESS)
}

/// The Python that was named, or one with the requirements in `folder`.
fn python(
    named: Option<&PathBuf>,
    name: &str,
    folder: &str,
    workspace: &Workspace,
) -> Result<PathBuf> {
    if let Some(python) = named {
        return Ok(python.clone());
    }
    let requirements = workspace.root.join(folder).join("requirements.txt");
    Toolbox::new(workspace).python_with(name, &requirements)
}
