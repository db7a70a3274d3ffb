//! Data of a configuration: files from the network verified into a cache, then all files loaded as a dataset.

mod download;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clap::Args;
use trainyard_core::config::{Config, Remote};
use trainyard_ml::data::{self, Dataset, Folders, Split};
use trainyard_runner::{Environment, ExitCode, StageArgs, WithExitCode as _};

pub use download::{Downloads, FetchError};

/// How data is downloaded.
#[derive(Debug, Clone, Default, Args)]
pub struct DataArgs {
    /// Folder in which downloads are cached; by default `trainyard` in the user's cache folder.
    #[arg(long, value_name = "FOLDER", env = "TRAINYARD_CACHE")]
    pub cache: Option<PathBuf>,
    /// PEM file of certificates to trust in addition to the system's: of authorities, or of servers themselves.
    #[arg(long, value_name = "FILE", env = "TRAINYARD_CA")]
    pub ca: Option<PathBuf>,
}

impl DataArgs {
    /// Downloads what is missing of one part of the data that `config`, read from `stage.config`, names, loads it, and logs
    /// what was read and what was not.
    ///
    /// `columns` are the features of the model that the rows are for, as [`data::load`] takes them.
    ///
    /// Ends as [`Self::fetch`] does, and with [`ExitCode::Data`] where the files cannot be used. Must not be called from
    /// asynchronous code.
    pub fn load(
        &self,
        stage: &StageArgs,
        config: &Config,
        split: Split,
        columns: Option<&[String]>,
    ) -> anyhow::Result<Dataset> {
        let downloads = self.fetch(&data::remotes(config, split))?;
        let folders = Folders {
            base: stage.base(),
            downloads: &downloads,
        };
        let dataset = data::load(config, folders, split, columns).exit_code(ExitCode::Data)?;
        for line in &dataset.description {
            tracing::info!("{line}");
        }
        for warning in &dataset.warnings {
            tracing::warn!("{warning}");
        }
        Ok(dataset)
    }

    /// Downloads all `remotes` that are not yet in the cache, and returns its folder.
    ///
    /// Ends with [`ExitCode::Service`] where a server cannot be reached or refuses, with [`ExitCode::Data`] where what it
    /// gives is not what the configuration names. Must not be called from asynchronous code.
    pub fn fetch(&self, remotes: &[&Remote]) -> anyhow::Result<PathBuf> {
        let folder = self.folder(&Environment::from_process());
        if remotes.is_empty() {
            return Ok(folder.unwrap_or_default());
        }
        let folder = folder
            .ok_or_else(|| anyhow::anyhow!("there is no cache folder to download to"))
            .exit_code(ExitCode::Usage)
            .hint("name one with `--cache` or `TRAINYARD_CACHE`")?;
        let downloads = Downloads::to(&folder).with_ca(self.ca.as_deref());
        for remote in remotes {
            let outcome = downloads.fetch(remote);
            let code = outcome.as_ref().err().map(FetchError::exit_code);
            outcome.exit_code(code.unwrap_or(ExitCode::Bug))?;
        }
        Ok(folder)
    }

    /// The folder of compressed layers; `None` where nothing says where the user's cache is.
    pub fn layers(&self) -> Option<PathBuf> {
        let cache = self.cache_folder(&Environment::from_process())?;
        Some(cache.join("layers"))
    }

    /// The folder of downloads; `None` where nothing says where the user's cache is.
    fn folder(&self, environment: &Environment) -> Option<PathBuf> {
        Some(self.cache_folder(environment)?.join("downloads"))
    }

    fn cache_folder(&self, environment: &Environment) -> Option<PathBuf> {
        let user = |name| environment.get(name).map(Path::new);
        if let Some(cache) = &self.cache {
            return Some(cache.clone());
        }
        let caches = user("XDG_CACHE_HOME")
            .map(Path::to_owned)
            .or_else(|| user("LOCALAPPDATA").map(Path::to_owned))
            .or_else(|| user("HOME").map(|home| home.join(".cache")))?;
        Some(caches.join("trainyard"))
    }
}
