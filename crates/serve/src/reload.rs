//! The models that are served at present, and how others take their place while requests are answered.

use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use crate::repository::{Repository, Watcher};

/// The repository at present. A request keeps the model that it began with.
#[derive(Debug, Clone)]
pub(crate) struct Served(Arc<RwLock<Arc<Repository>>>);

impl Served {
    pub(crate) fn new(repository: Repository) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(repository))))
    }

    pub(crate) fn now(&self) -> Arc<Repository> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, repository: Repository) {
        let mut now = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *now = Arc::new(repository);
    }

    /// Looks for other models once each `interval`, on a thread of its own, for as long as the process runs.
    pub(crate) fn watch(&self, mut watcher: Watcher, interval: Duration) -> std::io::Result<()> {
        let served = self.clone();
        let look = move || {
            loop {
                thread::sleep(interval);
                // Loaded and warm before anybody is sent to it.
                if let Some(repository) = watcher.look(&served.now()) {
                    served.replace(repository);
                }
            }
        };
        thread::Builder::new()
            .name("reload".to_owned())
            .spawn(look)?;
        Ok(())
    }
}
