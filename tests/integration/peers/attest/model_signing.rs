//! Signatures of a model's files, through the `model_signing` of PyPI's `model-signing`, and its own through ours.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use trainyard_attest::{
    Bundle, ModelFile, PrivateKey, PublicKey, Verified, VerifyError, sign_model, verify_model,
};
use trainyard_core::digest::Sha256Digest;

use super::super::python_with;
use super::{PAYLOAD, SIGNATURE, change_json, flip, key_file};
use crate::support::{output, run};

const FILES: [&str; 4] = [
    "model.json",
    "sub.txt",
    "sub/weights.bin",
    "weights.safetensors",
];

/// A model's folder with a signature beside its files, as it would lie in an image.
struct Model {
    folder: tempfile::TempDir,
}

impl Model {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        for name in FILES {
            fs::write(folder.path().join(name), name.as_bytes()).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn signature(&self) -> PathBuf {
        self.path("model.sig")
    }

    /// Calls `call` with the files as they are now.
    fn with_files<T>(&self, call: impl FnOnce(&[ModelFile<'_>]) -> T) -> T {
        let digests = FILES.map(|name| Sha256Digest::of_file(&self.path(name)).unwrap());
        let files: Vec<_> = FILES
            .iter()
            .zip(&digests)
            .map(|(name, sha256)| ModelFile { name, sha256 })
            .collect();
        call(&files)
    }

    fn sign(&self, key: &str) {
        let text = fs::read_to_string(key_file(key, "pem")).unwrap();
        let key = PrivateKey::from_pem(&text).unwrap();
        let bundle = self.with_files(|files| sign_model("m", files, &["model.sig"], &key));
        fs::write(self.signature(), bundle.unwrap()).unwrap();
    }

    fn verify(&self, key: &str) -> Result<Verified, VerifyError> {
        let text = fs::read_to_string(key_file(key, "pub")).unwrap();
        let keys = [PublicKey::from_pem(&text).unwrap()];
        let bundle = Bundle::from_json(&fs::read(self.signature()).unwrap()).unwrap();
        self.with_files(|files| verify_model(&bundle, &keys, files))
    }

    fn verify_by_peer(&self, key: &str) -> Output {
        let mut command = model_signing("verify", self.folder.path());
        command
            .arg("--public_key")
            .arg(key_file(key, "pub"))
            .arg("--signature")
            .arg(self.signature());
        output(&mut command)
    }
}

fn model_signing(verb: &str, folder: &Path) -> Command {
    // Without `pyopenssl` it does not start.
    let mut command = python_with("model_signing, OpenSSL", "model-signing pyopenssl");
    command
        .args(["-m", "model_signing", verb, "key"])
        .arg(folder);
    command
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn pypis_model_signing_verifies_what_we_sign_and_refuses_every_change() {
    for key in ["p256", "p384"] {
        let model = Model::new();
        model.sign(key);
        let verified = model.verify_by_peer(key);
        assert!(verified.status.success(), "{key}: {}", said(&verified));
        assert!(model.verify(key).is_ok());

        let refused = model.verify_by_peer("p256-params");
        assert!(
            said(&refused).contains("Key mismatch"),
            "{}",
            said(&refused)
        );

        for pointer in [PAYLOAD, SIGNATURE] {
            let model = Model::new();
            model.sign(key);
            change_json(&model.signature(), |bundle| flip(bundle, pointer, 40));
            let refused = model.verify_by_peer(key);
            assert!(!refused.status.success(), "{key} {pointer}");
        }

        fs::write(model.path("sub/weights.bin"), b"changed").unwrap();
        let refused = model.verify_by_peer(key);
        assert!(
            said(&refused).contains("Hash mismatch for 'sub/weights.bin'"),
            "{}",
            said(&refused)
        );
        fs::write(model.path("sub/weights.bin"), b"sub/weights.bin").unwrap();
        fs::write(model.path("new"), b"").unwrap();
        let refused = model.verify_by_peer(key);
        assert!(said(&refused).contains("Extra files"), "{}", said(&refused));
    }
}

#[test]
fn what_pypis_model_signing_signs_is_verified() {
    let model = Model::new();
    let mut sign = model_signing("sign", model.folder.path());
    sign.arg("--private_key")
        .arg(key_file("p256", "pem"))
        .arg("--signature")
        .arg(model.signature());
    run(&mut sign);
    model.verify("p256").unwrap();
    assert!(!model.verify("p384").unwrap_err().is_contradiction());
    fs::write(model.path("sub.txt"), b"changed").unwrap();
    let error = model.verify("p256").unwrap_err();
    assert!(error.is_contradiction());
    assert!(error.to_string().contains("changed: `sub.txt`"), "{error}");
}
