//! The arguments that every stage takes.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::log::LogArgs;

/// Where a stage finds what it needs and leaves what it makes, and how it logs.
#[derive(Debug, Clone, Args)]
pub struct StageArgs {
    /// The configuration file. Paths in it are relative to its folder.
    #[arg(long, value_name = "FILE", default_value = "trainyard.toml")]
    pub config: PathBuf,
    /// Output folder of all stages. Each writes to a folder of its own in it: `model/`, `evaluation/`, `verdict/`, `image/`.
    #[arg(long, value_name = "FOLDER", default_value = "trainyard-out")]
    pub out: PathBuf,
    /// Logging.
    #[command(flatten)]
    pub log: LogArgs,
}

impl StageArgs {
    /// The folder that paths in the configuration are relative to.
    pub fn base(&self) -> &Path {
        self.config.parent().unwrap_or(Path::new(""))
    }
}
