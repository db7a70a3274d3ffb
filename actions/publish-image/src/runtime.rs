//! What requests run on.

use tokio::runtime::{Builder, Runtime};
use trainyard_runner::{ExitCode, WithExitCode as _};

/// Of one thread: what is waited for are other processes and machines.
pub(crate) fn one_thread() -> anyhow::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .exit_code(ExitCode::Bug)
}
