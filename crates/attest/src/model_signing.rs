//! OpenSSF Model Signing (OMS) v1.0: a signature that follows the files of a model, wherever they are unpacked or mounted.
//!
//! <https://github.com/ossf/model-signing-spec>. A statement whose predicate lists each file with its digest, and whose
//! subject is the root: SHA-256 over those digests' bytes in the order of the list. `model_signing verify key` of PyPI's
//! `model-signing` checks it against a folder.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use trainyard_core::digest::Sha256Digest;

use crate::bundle::{self, Bundle};
use crate::key::{Algorithm, KeyError, PrivateKey, PublicKey};
use crate::statement::{ResourceDescriptor, Statement};
use crate::verify::{Authenticated, Verified};
use crate::verify_error::{Contradiction, Unverified, VerifyError};

/// The type of the predicate; the host is the specification's.
pub const MODEL_SIGNATURE: &str = "https://model_signing/signature/v1.0";

const SHA256: &str = "sha256";

/// What every verifier passes over at the top of a folder (section 6.2 of the specification).
const ALWAYS_IGNORED: [&str; 4] = [".git", ".gitignore", ".gitattributes", ".github"];

/// A file of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelFile<'a> {
    /// Path in the model's folder, with `/` between its parts.
    pub name: &'a str,
    /// Digest of its bytes.
    pub sha256: &'a Sha256Digest,
}

/// Why files cannot be signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelSigningError {
    /// There are none.
    #[error("a model without files cannot be signed")]
    NoFiles,
    /// A name that does not stand for one file of the folder.
    #[error(
        "`{0}` is not a relative path of a file, with `/` between its parts, or is named twice"
    )]
    Name(String),
    /// A file that no verifier would look at.
    #[error("`{0}` is to be signed, but verifiers pass it over")]
    Ignored(String),
    /// The specification knows keys on NIST's curves alone.
    #[error(
        "OpenSSF Model Signing has no Ed25519: make a key with `openssl genpkey -algorithm EC -pkeyopt \
         ec_paramgen_curve:P-256 -out key.pem`"
    )]
    Ed25519,
    /// The key does not sign.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[derive(Serialize, Deserialize)]
struct Predicate {
    serialization: Serialization,
    resources: Vec<Resource>,
}

/// How a folder becomes a list.
#[derive(Serialize, Deserialize)]
struct Serialization {
    /// `files`, or `shards` of a fixed size, which are not read here.
    method: String,
    hash_type: String,
    allow_symlinks: bool,
    /// What a verifier passes over in the folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    ignore_paths: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Resource {
    name: String,
    algorithm: String,
    /// Hexadecimal.
    digest: String,
}

/// Signs the files of a model.
///
/// `ignored` are paths in the folder that a verifier passes over, with all below them, beside git's own files: the signature
/// itself, where it lies there. `model_name` informs; another name of the folder breaks nothing.
pub fn sign_model(
    model_name: &str,
    files: &[ModelFile<'_>],
    ignored: &[&str],
    key: &PrivateKey,
) -> Result<Vec<u8>, ModelSigningError> {
    if key.public_key().algorithm() == Algorithm::Ed25519 {
        return Err(ModelSigningError::Ed25519);
    }
    let statement = model_statement(model_name, files, ignored)?;
    let hint = key.public_key().model_signing_hint();
    Ok(bundle::write(&statement, key, &hint)?)
}

/// The statement of [`sign_model`], for a signature by a certificate.
pub fn model_statement(
    model_name: &str,
    files: &[ModelFile<'_>],
    ignored: &[&str],
) -> Result<Statement, ModelSigningError> {
    let is_pattern = |path: &str| path.contains(['*', '?', '[']);
    let not_a_path = |path: &&&str| !is_relative(path) || is_pattern(path);
    if let Some(path) = ignored.iter().find(not_a_path) {
        return Err(ModelSigningError::Name((*path).to_owned()));
    }
    let mut sorted = BTreeMap::new();
    for file in files {
        let mut passed_over = ALWAYS_IGNORED.iter().chain(ignored);
        if passed_over.any(|path| is_below(file.name, path)) {
            return Err(ModelSigningError::Ignored(file.name.to_owned()));
        }
        if !is_relative(file.name) || sorted.insert(file.name, file.sha256).is_some() {
            return Err(ModelSigningError::Name(file.name.to_owned()));
        }
    }
    if sorted.is_empty() {
        return Err(ModelSigningError::NoFiles);
    }
    let root = root_digest(sorted.values().map(|digest| digest.hex()))
        .expect("a digest is written in hexadecimal digits");
    // The map's order is by bytes, which in UTF-8 is by code points.
    let resources = sorted.into_iter().map(|(name, digest)| Resource {
        name: name.to_owned(),
        algorithm: SHA256.to_owned(),
        digest: digest.hex().to_owned(),
    });
    let predicate = Predicate {
        serialization: Serialization {
            method: "files".to_owned(),
            hash_type: SHA256.to_owned(),
            allow_symlinks: false,
            ignore_paths: ALWAYS_IGNORED
                .iter()
                .chain(ignored)
                .map(|&path| path.to_owned())
                .collect(),
        },
        resources: resources.collect(),
    };
    Ok(Statement::new(
        ResourceDescriptor::new(model_name, &root),
        MODEL_SIGNATURE,
        serde_json::to_value(predicate).expect("texts and lists always serialise"),
    ))
}

/// A model's signature that a trusted key made and that holds together, whatever files are at hand.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedModel {
    verified: Verified,
    /// Hexadecimal digests by name.
    files: BTreeMap<String, String>,
}

/// Checks that one of `keys` signed exactly `files`: those that are going to be used, and not the signature itself.
///
/// The signature's own list of paths to pass over is not heeded, so that no file is used which it does not cover.
pub fn verify_model(
    bundle: &Bundle,
    keys: &[PublicKey],
    files: &[ModelFile<'_>],
) -> Result<Verified, VerifyError> {
    let signed = SignedModel::read(bundle, keys)?;
    signed.check(files)?;
    Ok(signed.verified)
}

impl SignedModel {
    /// Checks that one of `keys` made the signature and that it does not contradict itself. Of which files is not looked at.
    pub fn read(bundle: &Bundle, keys: &[PublicKey]) -> Result<Self, VerifyError> {
        Self::of(Authenticated::by_key(bundle, keys)?)
    }

    /// Checks that the statement is a model's signature that does not contradict itself. Of which files is not looked at.
    pub fn of(signed: Authenticated) -> Result<Self, VerifyError> {
        let statement = &signed.statement;
        if statement.predicate_type != MODEL_SIGNATURE {
            return Err(Unverified::PredicateType {
                expected: MODEL_SIGNATURE,
                found: statement.predicate_type.clone(),
            }
            .into());
        }
        let Predicate {
            serialization,
            resources,
        } = Predicate::deserialize(&statement.predicate).map_err(Unverified::Predicate)?;
        let is_sha256 = |resource: &Resource| resource.algorithm == SHA256;
        if serialization.method != "files" || !resources.iter().all(is_sha256) {
            return Err(Unverified::ModelSerialization {
                method: serialization.method,
                hash: serialization.hash_type,
            }
            .into());
        }
        let contradiction = |text: String| VerifyError::from(Contradiction::Content(text));

        let root = root_digest(resources.iter().map(|resource| resource.digest.as_str()));
        let is_of_root = |root: &Sha256Digest| match statement.subject.as_slice() {
            [subject] => subject.is(root),
            _ => false,
        };
        if !root.as_ref().is_some_and(is_of_root) {
            return Err(contradiction(
                "the model's signature contradicts itself: its root digest is not that of the files in it"
                    .to_owned(),
            ));
        }
        let mut files = BTreeMap::new();
        for Resource { name, digest, .. } in resources {
            if files
                .insert(name.clone(), digest.to_ascii_lowercase())
                .is_some()
            {
                return Err(contradiction(format!(
                    "the model's signature contradicts itself: it names `{name}` twice"
                )));
            }
        }
        Ok(Self {
            verified: signed.verified(),
            files,
        })
    }

    /// Whether it is of exactly these files.
    pub fn check(&self, files: &[ModelFile<'_>]) -> Result<(), Contradiction> {
        difference(&self.files, files).map_or(Ok(()), |words| Err(Contradiction::Content(words)))
    }

    /// What was signed.
    pub const fn verified(&self) -> &Verified {
        &self.verified
    }
}

/// What differs between the signed files and those at hand, in one sentence.
fn difference(signed: &BTreeMap<String, String>, files: &[ModelFile<'_>]) -> Option<String> {
    let found: BTreeSet<&str> = files.iter().map(|file| file.name).collect();
    let is_changed = |file: &&ModelFile<'_>| {
        let digest = signed.get(file.name);
        digest.is_some_and(|digest| digest != file.sha256.hex())
    };
    let changed = files.iter().filter(is_changed).map(|file| file.name);
    let missing = signed.keys().map(String::as_str);
    let missing = missing.filter(|name| !found.contains(name));
    let added = found
        .iter()
        .copied()
        .filter(|name| !signed.contains_key(*name));
    let part = |what: &str, names: &mut dyn Iterator<Item = &str>| {
        let names: Vec<_> = names.map(|name| format!("`{name}`")).collect();
        (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
    };
    let parts = [
        part("changed:", &mut changed.into_iter()),
        part("missing:", &mut missing.into_iter()),
        part("not signed:", &mut added.into_iter()),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let words = parts.join("; ");
    (!parts.is_empty())
        .then(|| format!("the model's files are not those that were signed ({words})"))
}

/// SHA-256 over the bytes of SHA-256 digests in hexadecimal; `None` where one is not such a digest.
fn root_digest<'a>(digests: impl Iterator<Item = &'a str>) -> Option<Sha256Digest> {
    let mut bytes = Vec::new();
    for hex in digests {
        if hex.len() != 64 {
            return None;
        }
        for place in (0..hex.len()).step_by(2) {
            let pair = hex.get(place..place + 2)?;
            // A sign is a number to `from_str_radix`, and not a digit.
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(pair, 16).ok()?);
        }
    }
    Some(Sha256Digest::of(&bytes))
}

/// Whether a name is a path inside the folder, in the one form that it has.
fn is_relative(name: &str) -> bool {
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    !name.contains(['\\', '\0']) && name.split('/').all(is_part)
}

/// Whether `name` is the path or lies below it.
fn is_below(name: &str, path: &str) -> bool {
    let rest = name.strip_prefix(path);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
