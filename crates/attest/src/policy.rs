//! `policy.toml`: whose statements about an image are believed, and what they must say.
//!
//! Text in, a [`Policy`] out whose every value is usable; what it asks for is judged in [`Policy::judge`].

mod judge;
mod repository;
mod wildcard;

use std::path::{Path, PathBuf};

use serde::Deserialize;
use trainyard_core::digest::Sha256Digest;

use crate::ml_bom::CYCLONEDX;
use crate::model_signing::MODEL_SIGNATURE;
use crate::provenance::PROVENANCE;
use crate::signer::Signer;
use crate::test_result::TEST_RESULT;
use repository::repository_url;
use wildcard::stands_for;

pub use judge::{Finding, FindingOutcome, Judgement};

/// Short names of predicate types in a policy.
const TYPES: [(&str, &str); 4] = [
    ("verdict", TEST_RESULT),
    ("provenance", PROVENANCE),
    ("bill-of-materials", CYCLONEDX),
    ("model-signature", MODEL_SIGNATURE),
];

/// Whose statements are believed, and what they must say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PolicyFile")]
pub struct Policy {
    /// Any of them is enough for a statement.
    pub signers: Vec<PermittedSigner>,
    /// Types of the statements that must be there: those written, and those that the other settings need.
    pub require: Vec<PredicateType>,
    /// What the verdict must be at least; `None` where it is not looked at.
    pub verdict: Option<RequiredVerdict>,
    /// Whether a red verdict that a person let through will do.
    pub allow_override: bool,
    /// How many days ago the image may have been built.
    pub max_age_days: Option<u32>,
    /// URL of the repository.
    pub repository: Option<String>,
    /// Pattern of the workflow file's path.
    pub workflow: Option<String>,
    /// What was built.
    pub reference: Option<ReferencePattern>,
}

/// A signer whose statements are trusted.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "SignerEntry")]
pub enum PermittedSigner {
    /// The holder of the key with this fingerprint.
    Key(Sha256Digest),
    /// An identity that an issuer vouches for.
    Identity {
        /// Pattern of the certificate's subject alternative name.
        identity: String,
        /// The OpenID Connect issuer's URL.
        issuer: String,
    },
}

/// A predicate type's URI.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PredicateType(String);

/// What a verdict must be at least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RequiredVerdict {
    /// All rules hold.
    Pass,
    /// None failed.
    Warn,
}

/// Which git reference an image may be built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferencePattern {
    /// Pattern of a branch's name.
    Branch(String),
    /// Pattern of a tag's name.
    Tag(String),
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {problem}", path.display())]
pub struct PolicyError {
    /// The policy's file.
    pub path: PathBuf,
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// What is wrong, and what to write.
    pub problem: String,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    signers: Vec<PermittedSigner>,
    #[serde(default)]
    require: Vec<PredicateType>,
    verdict: Option<RequiredVerdict>,
    allow_override: Option<bool>,
    max_age_days: Option<u32>,
    repository: Option<String>,
    workflow: Option<String>,
    branch: Option<String>,
    tag: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignerEntry {
    key: Option<Sha256Digest>,
    identity: Option<String>,
    issuer: Option<String>,
}

impl Policy {
    /// Reads the policy in `text`, which came from `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PolicyError> {
        toml::from_str(text).map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or_default();
            let line_start = before.rfind('\n').map_or(0, |place| place + 1);
            PolicyError {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before[line_start..].chars().count() + 1,
                problem: error.message().trim_end().replace('\n', "; "),
            }
        })
    }

    /// What holds where no policy is written: one of `signers` signed a verdict, and no verdict of theirs failed.
    pub fn of_signers(signers: Vec<PermittedSigner>) -> Self {
        Self {
            signers,
            require: vec![PredicateType::known(TEST_RESULT)],
            verdict: Some(RequiredVerdict::Warn),
            allow_override: false,
            max_age_days: None,
            repository: None,
            workflow: None,
            reference: None,
        }
    }

    /// Whether statements of this signer are believed.
    pub fn permits(&self, signer: &Signer) -> bool {
        self.signers
            .iter()
            .any(|permitted| permitted.permits(signer))
    }
}

impl PermittedSigner {
    /// Whether it is this signer.
    pub fn permits(&self, signer: &Signer) -> bool {
        match (self, signer) {
            (Self::Key(permitted), Signer::Key(fingerprint)) => permitted == fingerprint,
            (
                Self::Identity {
                    identity: permitted,
                    issuer: permitted_issuer,
                },
                Signer::Identity { identity, issuer },
            ) => permitted_issuer == issuer && stands_for(permitted, identity),
            (Self::Key(_), Signer::Identity { .. }) | (Self::Identity { .. }, Signer::Key(_)) => {
                false
            }
        }
    }
}

/// The short name that a policy has for a predicate type, or its URI where it has none.
pub fn short_name(uri: &str) -> &str {
    let known = TYPES.iter().find(|(_, known)| *known == uri);
    known.map_or(uri, |(name, _)| name)
}

impl PredicateType {
    /// The URI.
    pub fn uri(&self) -> &str {
        &self.0
    }

    /// The short name, or the URI where it has none.
    pub fn name(&self) -> &str {
        short_name(&self.0)
    }

    fn known(uri: &str) -> Self {
        Self(uri.to_owned())
    }
}

impl TryFrom<String> for PredicateType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if let Some((_, uri)) = TYPES.iter().find(|(name, _)| *name == text) {
            return Ok(Self::known(uri));
        }
        if text.contains("://") {
            return Ok(Self(text));
        }
        let names = TYPES.map(|(name, _)| format!("`{name}`")).join(", ");
        Err(format!(
            "`{text}` is not a type of statements: write {names} or a predicate type's URI"
        ))
    }
}

impl TryFrom<SignerEntry> for PermittedSigner {
    type Error = &'static str;

    fn try_from(entry: SignerEntry) -> Result<Self, Self::Error> {
        match (entry.key, entry.identity, entry.issuer) {
            (Some(key), None, None) => Ok(Self::Key(key)),
            (None, Some(identity), Some(issuer)) => Ok(Self::Identity { identity, issuer }),
            _ => Err(
                "a signer is a `key = \"sha256:…\"`, or an `identity = \"…\"` with its `issuer = \"https://…\"`",
            ),
        }
    }
}

impl TryFrom<PolicyFile> for Policy {
    type Error = &'static str;

    fn try_from(file: PolicyFile) -> Result<Self, Self::Error> {
        let PolicyFile {
            signers,
            mut require,
            verdict,
            allow_override,
            max_age_days,
            repository,
            workflow,
            branch,
            tag,
        } = file;
        // Any key can sign any statement, so a policy without a signer proves nothing.
        if signers.is_empty() {
            return Err(
                "the policy names no signer: add `[[signers]]` with `key = \"sha256:…\"`, the fingerprint that \
                 `openssl pkey -pubin -in key.pub -outform DER | sha256sum` prints",
            );
        }
        if allow_override.is_some() && verdict.is_none() {
            return Err("`allow_override` needs `verdict = \"pass\"` or `verdict = \"warn\"`");
        }
        let reference = match (branch, tag) {
            (Some(_), Some(_)) => return Err("write one of `branch` and `tag`"),
            (Some(branch), None) => Some(ReferencePattern::Branch(branch)),
            (None, Some(tag)) => Some(ReferencePattern::Tag(tag)),
            (None, None) => None,
        };
        let needs_provenance = max_age_days.is_some()
            || repository.is_some()
            || workflow.is_some()
            || reference.is_some();
        for (uri, is_needed) in [
            (TEST_RESULT, verdict.is_some()),
            (PROVENANCE, needs_provenance),
        ] {
            let kind = PredicateType::known(uri);
            if is_needed && !require.contains(&kind) {
                require.push(kind);
            }
        }
        if require.is_empty() {
            return Err(
                "the policy asks for nothing: write `verdict = \"pass\"` or `require = [\"provenance\"]`",
            );
        }
        Ok(Self {
            signers,
            require,
            verdict,
            allow_override: allow_override.unwrap_or_default(),
            max_age_days,
            repository: repository.as_deref().map(repository_url),
            workflow,
            reference,
        })
    }
}

#[cfg(test)]
mod tests;
