//! The two lists of digests: `SHA256SUMS` for people, `checksums.json` for `actions/support/run.sh`.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// Digests of the files of one version.
pub(crate) struct Sums {
    version: String,
    /// Digest and file name, of everything that is offered.
    files: Vec<(String, String)>,
    /// Target, file name and digest, of archives.
    archives: Vec<(String, String, String)>,
}

impl Sums {
    /// Without files.
    pub(crate) fn new(version: &str) -> Self {
        Self {
            version: version.to_owned(),
            files: Vec::new(),
            archives: Vec::new(),
        }
    }

    /// Adds the file and returns its sha256 in hexadecimal.
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) -> String {
        let mut digest = String::new();
        for byte in Sha256::digest(bytes) {
            let _ = write!(digest, "{byte:02x}");
        }
        self.files.push((digest.clone(), name.to_owned()));
        digest
    }

    /// Says that the archive `name` is the one for `target`.
    pub(crate) fn record(&mut self, target: &str, name: &str, digest: &str) {
        let entry = (target.to_owned(), name.to_owned(), digest.to_owned());
        self.archives.push(entry);
    }

    /// As `sha256sum --check` reads it.
    pub(crate) fn lines(&self) -> String {
        let lines = self.files.iter();
        lines
            .map(|(digest, name)| format!("{digest}  {name}\n"))
            .collect()
    }

    /// Version, target, file name and digest. An entry stands on one line, since the shell reads it by lines.
    pub(crate) fn json(&self) -> String {
        let entries: Vec<String> = self
            .archives
            .iter()
            .map(|(target, name, digest)| {
                format!("    \"{target}\": {{ \"file\": \"{name}\", \"sha256\": \"{digest}\" }}")
            })
            .collect();
        format!(
            "{{\n  \"{}\": {{\n{}\n  }}\n}}\n",
            self.version,
            entries.join(",\n")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digest is the one that FIPS 180-2, appendix B.1 gives for "abc".
    #[test]
    fn both_lists_hold_the_digest() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut sums = Sums::new("1.2.3");
        assert_eq!(sums.add("a.tar.gz", b"abc"), digest);
        sums.record("x86_64-unknown-linux-gnu", "a.tar.gz", digest);
        sums.record("aarch64-unknown-linux-gnu", "b.tar.gz", "00");
        assert_eq!(sums.lines(), format!("{digest}  a.tar.gz\n"));
        let json: serde_json::Value = serde_json::from_str(&sums.json()).unwrap();
        let entry = &json["1.2.3"]["x86_64-unknown-linux-gnu"];
        assert_eq!(entry["file"], "a.tar.gz");
        assert_eq!(entry["sha256"], digest);
    }
}
