//! Writes every file that is made from Rust types: `action.yml`, tables of READMEs, JSON schemas, the reference of the
//! configuration, index templates. `--check` writes nothing and fails where one differs. Run as `cargo xtask generate`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool for developers"
)]

mod actions;
mod kibana;
mod markdown;
mod metrics;
mod reference;
mod schemas;
mod telemetry;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

/// Write the generated files.
#[derive(Parser)]
struct Cli {
    /// Write nothing; fail when a file differs from what would be written.
    #[arg(long)]
    check: bool,
}

/// A generated file: its path from the repository's root, and all of its text.
pub(crate) struct Generated {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Generated {
    pub(crate) fn new(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            text: text.into(),
        }
    }
}

fn main() -> anyhow::Result<ExitCode> {
    let cli = Cli::parse();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("this package lies in `crates/` of the repository")?;
    let actions = actions::all();
    let mut files = schemas::files()?;
    files.push(reference::file()?);
    files.push(metrics::file());
    files.extend(telemetry::files()?);
    files.push(kibana::file());
    files.extend(actions.iter().map(actions::Action::file));
    for action in &actions {
        files.push(markdown::readme(root, action)?);
    }

    let mut n_stale = 0;
    for Generated { path, text } in files {
        let full = root.join(&path);
        if std::fs::read_to_string(&full).is_ok_and(|current| current == text) {
            continue;
        }
        n_stale += 1;
        if cli.check {
            eprintln!("`{}` is not current", path.display());
        } else {
            trainyard_core::files::write(&full, text.as_bytes())?;
            println!("wrote {}", path.display());
        }
    }
    if cli.check && n_stale > 0 {
        eprintln!("hint: run `cargo xtask generate` and commit what it writes");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
