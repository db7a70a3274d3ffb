//! `cargo xtask generate`: hands over to the `generate` binary of `crates/devtools`, which can see every
//! Rust type the files are generated from; `xtask` itself stays free of our crates.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::process;
use crate::workspace::Workspace;

/// What `cargo xtask generate` takes.
#[derive(Args)]
pub(crate) struct GenerateArgs {
    /// Write nothing; fail when a file differs from what would be written.
    #[arg(long)]
    check: bool,
}

/// Writes the generated files, or checks them.
pub(crate) fn run(args: &GenerateArgs, workspace: &Workspace) -> Result<ExitCode> {
    process::run(&mut command(workspace, args.check))?;
    Ok(ExitCode::SUCCESS)
}

/// The command that writes the generated files, or with `check` compares them.
pub(crate) fn command(workspace: &Workspace, check: bool) -> Command {
    let package = "trainyard-devtools";
    let mut command = workspace.cargo(&["run", "--package", package, "--bin", "generate"]);
    if check {
        command.args(["--", "--check"]);
    }
    command
}
