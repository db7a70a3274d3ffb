//! SHA-256 digests: bytes or a file in, a typed digest out.
//!
//! A digest is written `sha256:<64 lower-case hex digits>` wherever it is stored, the form that OCI uses.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The SHA-256 digest of some bytes, in OCI notation (`sha256:<hex>`).
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String", extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
pub struct Sha256Digest(String);

/// A text that is not a digest of the form `sha256:<hex>`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest of the form `sha256:<64 lower-case hex digits>`")]
pub struct ParseDigestError(String);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_hash(Sha256::digest(bytes).as_slice())
    }

    /// The digest of the text that `value` serialises to as compact JSON: the identity of a configuration.
    pub fn of_json<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::of(&serde_json::to_vec(value)?))
    }

    /// The digest of everything that `reader` gives, in constant memory.
    pub fn of_reader(mut reader: impl Read) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let n_read = reader.read(&mut buffer)?;
            if n_read == 0 {
                return Ok(Self::from_hash(hasher.finalize().as_slice()));
            }
            hasher.update(&buffer[..n_read]);
        }
    }

    /// The digest of the file at `path`, in constant memory.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        Self::of_reader(std::fs::File::open(path)?)
    }

    /// A digest that was computed elsewhere.
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        Self::from_hash(hash)
    }

    /// The hexadecimal part, without `sha256:`.
    pub fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    /// The whole text, `sha256:<hex>`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve hexadecimal digits, for people to read.
    pub fn short(&self) -> &str {
        &self.hex()[..12]
    }

    fn from_hash(hash: &[u8]) -> Self {
        use fmt::Write as _;
        let mut text = String::from("sha256:");
        for byte in hash {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }
}

/// A digest over texts and bytes that come one after the other, each with its length, so that where one ends and the
/// next begins is part of the digest.
#[derive(Debug, Clone)]
pub struct DigestBuilder(Sha256);

impl DigestBuilder {
    /// A digest of things of `kind`: the same texts of another kind have another digest.
    pub fn new(kind: &str) -> Self {
        let mut builder = Self(Sha256::new());
        builder.text(kind);
        builder
    }

    /// Adds a text.
    pub fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// Adds bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        const SHORT: usize = 56;
        let len = (bytes.len() as u64).to_le_bytes();
        // Millions of short texts: one call for each is faster than two.
        if bytes.len() <= SHORT {
            let mut both = [0; 8 + SHORT];
            both[..8].copy_from_slice(&len);
            both[8..8 + bytes.len()].copy_from_slice(bytes);
            self.0.update(&both[..8 + bytes.len()]);
        } else {
            self.0.update(len);
            self.0.update(bytes);
        }
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Sha256Digest {
        Sha256Digest::from_hash(self.0.finalize().as_slice())
    }
}

/// Passes bytes on and keeps their digest and number.
pub(crate) struct DigestReader<R> {
    inner: R,
    hasher: Sha256,
    n_bytes: u64,
}

impl<R: Read> DigestReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: Sha256::new(),
            n_bytes: 0,
        }
    }

    /// Digest and number of all bytes, those that nobody read included.
    pub(crate) fn finish(mut self) -> io::Result<(Sha256Digest, u64)> {
        io::copy(&mut self, &mut io::sink())?;
        Ok((
            Sha256Digest::of_hash(&self.hasher.finalize().into()),
            self.n_bytes,
        ))
    }
}

impl<R: Read> Read for DigestReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n_read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..n_read]);
        self.n_bytes += n_read as u64;
        Ok(n_read)
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Sha256Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_digest = text.strip_prefix("sha256:").is_some_and(|hex| {
            hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        });
        if is_digest {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseDigestError(text.to_owned()))
        }
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = ParseDigestError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        digest.0
    }
}

/// The digest of a set of files: sha256 over the lines `<sha256> <size> <path>\n`, sorted bytewise.
///
/// `files` holds each file's digest, size in bytes and path within the set.
pub fn of_file_set<'a>(
    files: impl IntoIterator<Item = (&'a Sha256Digest, u64, &'a str)>,
) -> Sha256Digest {
    let mut lines: Vec<String> = files
        .into_iter()
        .map(|(digest, size, path)| format!("{} {size} {path}\n", digest.hex()))
        .collect();
    lines.sort_unstable();
    Sha256Digest::of(lines.concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest of the empty string and of "abc" as FIPS 180-2 appendix B gives them.
    #[test]
    fn matches_the_published_test_vectors() {
        assert_eq!(
            Sha256Digest::of(b"").as_str(),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            Sha256Digest::of_reader(&b"abc"[..]).unwrap().hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn refuses_what_is_no_digest() {
        for text in [
            "",
            "sha256:",
            "sha256:BA78",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
        ] {
            assert!(text.parse::<Sha256Digest>().is_err(), "{text}");
        }
    }

    /// Independent source: `printf … | sort | sha256sum` of the coreutils.
    #[test]
    fn file_sets_do_not_depend_on_the_order_of_their_files() {
        let (a, b) = (Sha256Digest::of(b"a"), Sha256Digest::of(b"b"));
        let forward = of_file_set([(&a, 1, "model.json"), (&b, 1, "weights.safetensors")]);
        let backward = of_file_set([(&b, 1, "weights.safetensors"), (&a, 1, "model.json")]);
        assert_eq!(forward, backward);
        assert_eq!(
            forward.hex(),
            "6e12c2cd5e20ac3b0f05595824fd0835ab43b365c85976b8285faeb5a168ee4b"
        );
    }
}
