//! Statements that we sign, through the verifiers that others use, and what those tools sign, through ours.

mod ml_bom;
mod model_signing;
mod signatures;
mod statements;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trainyard_attest::{PrivateKey, ResourceDescriptor, Statement, sign};
use trainyard_core::digest::Sha256Digest;

use crate::support::repository;

/// The type of the predicate that these tests make up.
const PREDICATE_TYPE: &str = "https://example.com/predicate";

/// A folder with a file, and a statement about it that one of the keys in the crate's fixtures signed.
struct Signed {
    folder: tempfile::TempDir,
    key: &'static str,
}

impl Signed {
    fn with(key: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("model"), b"the model").unwrap();
        let signed = Self { folder, key };
        let bundle = sign(&signed.statement(), &signed.private_key()).unwrap();
        fs::write(signed.path("bundle.json"), bundle).unwrap();
        signed
    }

    fn statement(&self) -> Statement {
        let digest = Sha256Digest::of_file(&self.path("model")).unwrap();
        let subject = ResourceDescriptor::new("model", &digest);
        Statement::new(subject, PREDICATE_TYPE, json!({ "accuracy": "0.9" }))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn private_key(&self) -> PrivateKey {
        let text = fs::read_to_string(key_file(self.key, "pem")).unwrap();
        PrivateKey::from_pem(&text).unwrap()
    }

    fn public_key_file(&self) -> PathBuf {
        key_file(self.key, "pub")
    }

    /// Changes the bundle in place.
    fn change(&self, change: impl FnOnce(&mut Value)) {
        change_json(&self.path("bundle.json"), change);
    }
}

fn key_file(key: &str, extension: &str) -> PathBuf {
    repository().join(format!("crates/attest/fixtures/{key}.{extension}"))
}

pub(super) fn change_json(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut document: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    change(&mut document);
    fs::write(path, document.to_string()).unwrap();
}

/// Changes a byte of base64 text at a JSON pointer.
pub(super) fn flip(document: &mut Value, pointer: &str, byte: usize) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let text = document.pointer_mut(pointer).unwrap();
    let mut bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    bytes[byte] ^= 1;
    *text = STANDARD.encode(bytes).into();
}

const PAYLOAD: &str = "/dsseEnvelope/payload";
const SIGNATURE: &str = "/dsseEnvelope/signatures/0/sig";
