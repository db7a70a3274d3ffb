//! A file into an archive: the digest of the file is taken by one thread while another writes it and takes the archive's.

use std::io::{self, Read, Write};
use std::panic;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use sha2::{Digest as _, Sha256};
use trainyard_core::digest::Sha256Digest;

/// Read and written at a time: fewer calls of the system than by the libraries' own buffers.
const BUFFER_BYTES: usize = 256 << 10;

/// One is read or written, one is digested, and one waits between the two.
const N_BUFFERS: usize = 3;

/// Why a file could not be copied.
#[derive(Debug)]
pub(crate) enum CopyError {
    /// It cannot be read.
    Read(io::Error),
    /// The archive cannot be written.
    Write(io::Error),
    /// It does not have the promised number of bytes.
    OtherSize,
}

/// Part of the file, which both threads read.
struct Piece {
    buffer: Vec<u8>,
    n_bytes: usize,
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        &self.buffer[..self.n_bytes]
    }
}

/// Copies the `size` bytes of `input` to `output` and returns their digest.
pub(crate) fn copy_digested(
    mut input: impl Read,
    size: u64,
    output: &mut impl Write,
) -> Result<Sha256Digest, CopyError> {
    // A thread costs more than a small file.
    if size <= BUFFER_BYTES as u64 {
        let mut piece = vec![0; size as usize];
        fill(&mut input, &mut piece)?;
        expect_end(&mut input)?;
        output.write_all(&piece).map_err(CopyError::Write)?;
        return Ok(Sha256Digest::of(&piece));
    }
    let (free, freed) = mpsc::channel();
    for _ in 0..N_BUFFERS {
        give_back(&free, vec![0; BUFFER_BYTES]);
    }
    let (pieces, to_digest) = mpsc::channel();
    thread::scope(|scope| {
        let digesting = {
            let free = free.clone();
            scope.spawn(move || digest(&to_digest, &free))
        };
        let copied = copy(input, size, output, &pieces, &free, &freed);
        drop(pieces);
        let digest = digesting.join();
        copied?;
        Ok(digest.unwrap_or_else(|payload| panic::resume_unwind(payload)))
    })
}

fn copy(
    mut input: impl Read,
    size: u64,
    output: &mut impl Write,
    pieces: &Sender<Arc<Piece>>,
    free: &Sender<Vec<u8>>,
    freed: &Receiver<Vec<u8>>,
) -> Result<(), CopyError> {
    let mut remaining = size;
    while remaining > 0 {
        let mut buffer = freed.recv().expect("a sender of free buffers is held here");
        let n_bytes = remaining.min(buffer.len() as u64) as usize;
        fill(&mut input, &mut buffer[..n_bytes])?;
        let piece = Arc::new(Piece { buffer, n_bytes });
        pieces
            .send(Arc::clone(&piece))
            .expect("pieces are digested until there are no more");
        output.write_all(piece.bytes()).map_err(CopyError::Write)?;
        recycle(piece, free);
        remaining -= n_bytes as u64;
    }
    expect_end(&mut input)
}

fn digest(pieces: &Receiver<Arc<Piece>>, free: &Sender<Vec<u8>>) -> Sha256Digest {
    let mut hasher = Sha256::new();
    for piece in pieces {
        hasher.update(piece.bytes());
        recycle(piece, free);
    }
    Sha256Digest::of_hash(&hasher.finalize().into())
}

/// Gives the buffer back once both threads are done with the piece.
fn recycle(piece: Arc<Piece>, free: &Sender<Vec<u8>>) {
    if let Some(piece) = Arc::into_inner(piece) {
        give_back(free, piece.buffer);
    }
}

fn give_back(free: &Sender<Vec<u8>>, buffer: Vec<u8>) {
    // The receiver is gone once the copy has ended.
    let _ = free.send(buffer);
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> Result<(), CopyError> {
    input
        .read_exact(buffer)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => CopyError::OtherSize,
            _ => CopyError::Read(error),
        })
}

fn expect_end(input: &mut impl Read) -> Result<(), CopyError> {
    match input.read(&mut [0]).map_err(CopyError::Read)? {
        0 => Ok(()),
        _ => Err(CopyError::OtherSize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(n_bytes: usize) -> Vec<u8> {
        (0..n_bytes).map(|idx| (idx * 31 % 251) as u8).collect()
    }

    #[test]
    fn the_digest_is_that_of_the_copy_whatever_the_size() {
        for n_bytes in [
            0,
            1,
            BUFFER_BYTES,
            BUFFER_BYTES + 1,
            7 * BUFFER_BYTES,
            7 * BUFFER_BYTES - 1,
        ] {
            let input = bytes(n_bytes);
            let mut output = Vec::new();
            let digest = copy_digested(input.as_slice(), n_bytes as u64, &mut output).unwrap();
            assert!(output == input, "{n_bytes}");
            assert_eq!(digest, Sha256Digest::of(&input), "{n_bytes}");
        }
    }

    #[test]
    fn another_size_than_promised_is_noticed() {
        for n_bytes in [10, 3 * BUFFER_BYTES] {
            let input = bytes(n_bytes);
            for promised in [n_bytes - 1, n_bytes + 1] {
                let copied = copy_digested(input.as_slice(), promised as u64, &mut Vec::new());
                assert!(matches!(copied, Err(CopyError::OtherSize)), "{promised}");
            }
        }
    }

    /// A disk that is full after a while.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_sub(bytes.len());
            match self.0 {
                0 => Err(io::ErrorKind::StorageFull.into()),
                _ => Ok(bytes.len()),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_is_said_and_ends_both_threads() {
        let input = bytes(9 * BUFFER_BYTES);
        let mut full = Full(4 * BUFFER_BYTES);
        let copied = copy_digested(input.as_slice(), input.len() as u64, &mut full);
        let Err(CopyError::Write(error)) = copied else {
            panic!("{copied:?}");
        };
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
