//! Where log lines go, each whole, whatever threads write at once.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

/// A place for whole lines, shared by threads.
#[derive(Clone)]
pub(super) struct Sink(Arc<Mutex<Box<dyn Write + Send>>>);

impl Sink {
    pub(super) fn new(out: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(out)))
    }

    pub(super) fn write(&self, lines: &str) -> io::Result<()> {
        let mut out = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(lines.as_bytes())?;
        out.flush()
    }
}
