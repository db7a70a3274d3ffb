//! Feature values: in memory as compactly as the file held them, or left on the disk where they are too many.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::DataError;
use crate::kernels::isa::with_avx2;

/// Features that take more than this are read from the disk row by row.
pub(super) const MEMORY_BUDGET_BYTES: u64 = 256 << 20;

/// Rows of feature values.
#[derive(Debug, Clone)]
pub enum Features {
    /// Bytes, such as pixels.
    U8(Vec<u8>),
    /// Anything else.
    F32(Vec<f32>),
    /// On the disk.
    Stored(Stored),
}

/// Rows in a file: bytes or little-endian 32-bit floats.
#[derive(Debug, Clone)]
pub struct Stored {
    file: Arc<File>,
    /// Where the rows come from, for errors.
    path: Arc<PathBuf>,
    offset: u64,
    is_bytes: bool,
}

impl Stored {
    /// Rows in `file` from `offset` on, which is the one at `path` or a temporary one made of it.
    pub(super) fn new(file: File, path: &Path, offset: u64, is_bytes: bool) -> Self {
        Self {
            file: Arc::new(file),
            path: Arc::new(path.to_owned()),
            offset,
            is_bytes,
        }
    }

    fn read(&self, start: usize, out: &mut [f32]) -> Result<(), DataError> {
        let width = if self.is_bytes { 1 } else { 4 };
        let mut bytes = vec![0; out.len() * width];
        let at = self.offset + (start * width) as u64;
        read_at(&self.file, at, &mut bytes).map_err(|source| DataError::Lost {
            path: self.path.to_path_buf(),
            source: match source.kind() {
                io::ErrorKind::UnexpectedEof => {
                    io::Error::new(source.kind(), "the file is shorter than when it was opened")
                }
                _ => source,
            },
        })?;
        if self.is_bytes {
            widen(&bytes, out);
        } else {
            let values = bytes.as_chunks::<4>().0.iter();
            out.iter_mut()
                .zip(values)
                .for_each(|(out, bytes)| *out = f32::from_le_bytes(*bytes));
        }
        Ok(())
    }
}

#[cfg(unix)]
fn read_at(file: &File, at: u64, bytes: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, at: u64, bytes: &mut [u8]) -> io::Result<()> {
    use std::io::Read as _;
    use std::sync::{Mutex, PoisonError};
    // Threads share the file's one position, so they take turns.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

impl Features {
    /// Writes `out.len()` values from the value `start` on. Only rows on the disk can fail to be read.
    pub(super) fn read(&self, start: usize, out: &mut [f32]) -> Result<(), DataError> {
        match self {
            Self::U8(values) => {
                widen(&values[start..start + out.len()], out);
            }
            Self::F32(values) => out.copy_from_slice(&values[start..start + out.len()]),
            Self::Stored(stored) => stored.read(start, out)?,
        }
        Ok(())
    }
}

with_avx2! {
    fn widen(bytes: &[u8], out: &mut [f32]) {
        for (out, &byte) in out.iter_mut().zip(bytes) {
            *out = f32::from(byte);
        }
    }
}

/// Takes values row by row, in memory until they are too many, then in a temporary file that vanishes with it.
pub(super) struct Sink {
    memory: Vec<f32>,
    file: Option<BufWriter<File>>,
}

impl Sink {
    pub(super) const fn new() -> Self {
        Self {
            memory: Vec::new(),
            file: None,
        }
    }

    pub(super) fn push(&mut self, row: &[f32]) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            return write(file, row);
        }
        self.memory.extend_from_slice(row);
        if self.memory.len() as u64 * 4 > MEMORY_BUDGET_BYTES {
            let mut file = BufWriter::new(tempfile::tempfile()?);
            write(&mut file, &self.memory)?;
            self.memory = Vec::new();
            self.file = Some(file);
        }
        Ok(())
    }

    /// The rows of the file at `path`.
    pub(super) fn finish(self, path: &Path) -> Result<Features, DataError> {
        let Some(file) = self.file else {
            return Ok(Features::F32(self.memory));
        };
        let mut file = file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .map_err(DataError::temporary(path))?;
        file.seek(SeekFrom::Start(0))
            .map_err(DataError::temporary(path))?;
        Ok(Features::Stored(Stored::new(file, path, 0, false)))
    }
}

fn write(file: &mut BufWriter<File>, values: &[f32]) -> io::Result<()> {
    values
        .iter()
        .try_for_each(|value| file.write_all(&value.to_le_bytes()))
}
