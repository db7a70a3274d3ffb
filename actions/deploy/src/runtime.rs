//! The runtime of asynchronous work.

use tokio::runtime::{Builder, Runtime};
use trainyard_runner::{ExitCode, WithExitCode as _};

/// A runtime of one thread: the stage waits most of the time.
pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .exit_code(ExitCode::Bug)
}
