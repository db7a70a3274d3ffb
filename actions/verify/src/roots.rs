//! Trusted roots: the authorities, logs and clocks by which certificates are checked. Files in, verifiers out.
//!
//! Without a file, the roots of Sigstore's public instance and of GitHub's own, which private repositories sign by, as they were when
//! this build's library was released. Keys are added and withdrawn over time, so they are refused once they are a year old.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use sigstore_verify::trust_root::{
    SIGSTORE_GITHUB_TRUSTED_ROOT, SIGSTORE_PRODUCTION_TRUSTED_ROOT, TrustedRoot,
};
use sigstore_verify::{VerificationPolicy, Verifier};
use trainyard_core::files;
use trainyard_runner::{ExitCode, WithExitCode as _};

/// When the library's roots were fetched: its changelog says so of version 0.15.1, `refresh embedded TUF data`. In seconds since 1970,
/// 2026-10-23.
const BUNDLED_ON_S: i64 = 1_792_713_600;
const BUNDLED_ON: &str = "2026-10-23";

/// After this many seconds, a year, the library's roots are refused.
const MAX_AGE_S: i64 = 365 * 86_400;

/// A trusted root, ready to check certificates by.
pub(crate) struct Root {
    /// As people call it.
    pub(crate) name: String,
    pub(crate) verifier: Verifier,
    /// Whether it names transparency logs: then a signature without an entry in one is refused.
    has_logs: bool,
    /// Whether it names certificate transparency logs: then a certificate without their timestamp (SCT) is refused.
    has_certificate_logs: bool,
}

impl Root {
    /// The roots in `paths`, or those of this build if there are none. `now_s` is the time in seconds since 1970.
    ///
    /// Ends with [`ExitCode::Usage`] where they cannot be used, and with [`ExitCode::Inconclusive`] where those of this build are too
    /// old.
    pub(crate) fn all(paths: &[PathBuf], now_s: i64) -> anyhow::Result<Vec<Self>> {
        if paths.is_empty() {
            return Self::bundled(now_s);
        }
        let roots: Vec<Vec<Self>> = (paths.iter())
            .map(|path| Self::read(path))
            .collect::<anyhow::Result<_>>()?;
        Ok(roots.into_iter().flatten().collect())
    }

    /// One document, or one on each line, as `gh attestation trusted-root` prints them.
    fn read(path: &Path) -> anyhow::Result<Vec<Self>> {
        let text = files::read_text(path).exit_code(ExitCode::Usage)?;
        let name = format!("`{}`", path.display());
        let documents = serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>();
        let roots: anyhow::Result<Vec<Self>> = documents
            .map(|document| Self::parse(&name, &document?.to_string()))
            .collect();
        let roots = roots.and_then(|roots| match roots.len() {
            0 => Err(anyhow!("the file is empty")),
            _ => Ok(roots),
        });
        roots
            .with_context(|| format!("{name} is not a trusted root"))
            .exit_code(ExitCode::Usage)
            .hint(
                "a trusted root is JSON of the type `application/vnd.dev.sigstore.trustedroot`; `gh attestation trusted-root` prints \
                 those of Sigstore and GitHub, `cosign trusted-root create` makes one",
            )
    }

    fn bundled(now_s: i64) -> anyhow::Result<Vec<Self>> {
        if now_s - BUNDLED_ON_S > MAX_AGE_S {
            return Err(anyhow!(
                "the trusted roots in this build are of {BUNDLED_ON}, more than a year old"
            ))
            .exit_code(ExitCode::Inconclusive)
            .hint(
                "run `gh attestation trusted-root > trusted_root.jsonl` and name the file by `--trusted-root`, or install a newer \
                 trainyard-verify",
            );
        }
        let documents = [
            ("Sigstore's trusted root", SIGSTORE_PRODUCTION_TRUSTED_ROOT),
            ("GitHub's trusted root", SIGSTORE_GITHUB_TRUSTED_ROOT),
        ];
        let roots = documents.map(|(name, text)| Self::parse(name, text));
        let roots: anyhow::Result<Vec<Self>> = roots.into_iter().collect();
        roots.exit_code(ExitCode::Bug)
    }

    /// What is asked of a signature: whatever the root has logs for must be logged there.
    pub(crate) fn policy(&self, identity: &str, issuer: &str) -> VerificationPolicy {
        let policy = VerificationPolicy::new(identity, issuer);
        let policy = match self.has_logs {
            true => policy,
            false => policy.skip_tlog_unsafe(),
        };
        match self.has_certificate_logs {
            true => policy,
            false => policy.skip_sct(),
        }
    }

    /// The root in the JSON `text`.
    pub(crate) fn parse(name: &str, text: &str) -> anyhow::Result<Self> {
        let root = TrustedRoot::from_json(text)?;
        Ok(Self {
            name: name.to_owned(),
            verifier: Verifier::new(&root)?,
            has_logs: !root.tlogs.is_empty(),
            has_certificate_logs: !root.ctlogs.is_empty(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: i64 = 86_400;

    /// The date of the roots is that of the library's release, so a newer library needs a newer date.
    #[test]
    fn the_date_is_that_of_the_librarys_release() {
        let lock = include_str!("../../../Cargo.lock");
        assert!(
            lock.contains("name = \"sigstore-trust-root\"\nversion = \"0.15.1\""),
            "read the new version's changelog for the date of its roots"
        );
        let time = trainyard_oci::rfc3339(BUNDLED_ON_S.unsigned_abs());
        assert_eq!(time, format!("{BUNDLED_ON}T00:00:00Z"));
    }

    #[test]
    fn the_roots_of_this_build_are_used_for_a_year() {
        let roots = Root::all(&[], BUNDLED_ON_S + 365 * DAY_S).unwrap();
        let shape: Vec<_> = roots
            .iter()
            .map(|root| (root.has_logs, root.has_certificate_logs))
            .collect();
        // GitHub's instance has no log.
        assert_eq!(shape, [(true, true), (false, false)]);
        let Err(error) = Root::all(&[], BUNDLED_ON_S + 366 * DAY_S) else {
            panic!("a root of last year must be refused");
        };
        let text = format!("{error:#}");
        assert!(
            text.contains("of 2026-10-23, more than a year old"),
            "{text}"
        );
    }
}
