//! Being asked to stop: SIGTERM, which a cancelled job gets, and SIGINT from a terminal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use trainyard_runner::ExitCode;

/// Notes the first signal; a second one ends the process at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Starts to listen. Where the system allows no handler, signals end the process as they always did.
    pub(crate) fn listen() -> Self {
        let interrupt = Self::default();
        for (signal, code) in [(SIGTERM, 143), (SIGINT, 130)] {
            let was_heard = Arc::new(AtomicBool::new(false));
            let listening =
                flag::register_conditional_shutdown(signal, code, Arc::clone(&was_heard))
                    .and_then(|_| flag::register(signal, was_heard))
                    .and_then(|_| {
                        flag::register_usize(signal, Arc::clone(&interrupt.signal), signal as usize)
                    });
            if let Err(error) = listening {
                tracing::debug!("signal {signal} cannot be caught: {error}");
            }
        }
        interrupt
    }

    /// The exit code that the signal stands for, once there was one.
    pub(crate) fn exit_code(&self) -> Option<ExitCode> {
        match self.signal.load(Ordering::Relaxed) as i32 {
            0 => None,
            SIGINT => Some(ExitCode::Interrupted),
            _ => Some(ExitCode::Terminated),
        }
    }
}
