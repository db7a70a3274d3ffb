//! Files from the network: addresses and digests in, verified files in the cache folder out.

mod download;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use clap::Args;
use trainyard_core::config::Remote;
use trainyard_runner::{Environment, ExitCode, WithExitCode as _};

pub use download::{Downloads, FetchError};

/// Where downloads are kept.
#[derive(Debug, Clone, Default, Args)]
pub struct CacheArgs {
    /// Folder in which downloads are cached; by default `trainyard` in the user's cache folder.
    #[arg(long, value_name = "FOLDER", env = "TRAINYARD_CACHE")]
    pub cache: Option<PathBuf>,
    /// PEM file of certificate authorities to trust in addition to the system's.
    #[arg(long, value_name = "FILE", env = "TRAINYARD_CA")]
    pub ca: Option<PathBuf>,
}

impl CacheArgs {
    /// Sees to it that all `remotes` are in the cache, and says in which folder.
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

    /// The folder of downloads; `None` where nothing says where the user's cache is.
    fn folder(&self, environment: &Environment) -> Option<PathBuf> {
        let user = |name| environment.get(name).map(Path::new);
        let cache = match &self.cache {
            Some(cache) => cache.clone(),
            None => user("XDG_CACHE_HOME")
                .map(Path::to_owned)
                .or_else(|| user("LOCALAPPDATA").map(Path::to_owned))
                .or_else(|| user("HOME").map(|home| home.join(".cache")))?
                .join("trainyard"),
        };
        Some(cache.join("downloads"))
    }
}
