//! Bundles, keys and policies; and, signed with a trusted key, whatever else the bytes say.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use trainyard_attest::{
    Bundle, Envelope, Material, Policy, PrivateKey, PublicKey, Statement, verify, verify_model,
};
use trainyard_core::digest::Sha256Digest;

const KEY: &str = include_str!("../../../crates/attest/fixtures/ed25519.pem");

const POLICY: &str = "
verdict = 'pass'
allow_override = true
max_age_days = 9
repository = 'owner/name'
workflow = '**'
tag = 'v*'
[[signers]]
key = 'sha256:958a800ff7336322101fb25c7d08ba730bdaa32c3a6f0ab405925653cb89bced'
";

fuzz_target!(|bytes: &[u8]| {
    let key = PrivateKey::from_pem(KEY).expect("the tests' key");
    let keys = [key.public_key().clone()];
    let digest = Sha256Digest::of(b"image");
    // Nobody but the key can have signed it, and it signs below alone.
    if let Ok(bundle) = Bundle::from_json(bytes) {
        assert!(verify(&bundle, &keys, &digest).is_err());
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Policy::parse(text, Path::new("policy.toml"));
        let _ = PrivateKey::from_pem(text);
        if let Ok(public) = PublicKey::from_pem(text) {
            assert_eq!(PublicKey::from_pem(&public.to_pem()), Ok(public));
        }
    }
    let bundle = Bundle {
        material: Material::PublicKey {
            hint: String::new(),
        },
        n_log_entries: 0,
        envelope: Envelope::sign(bytes.to_vec(), &key).expect("Ed25519 always signs"),
    };
    let _ = verify_model(&bundle, &keys, &[]);
    let Ok(statement) = Statement::from_json(bytes) else {
        return;
    };
    let hex = statement.subject.iter().find_map(|subject| subject.digest.get("sha256"));
    let digest = hex.and_then(|hex| format!("sha256:{hex}").parse().ok());
    if let Some(digest) = digest {
        let verified = verify(&bundle, &keys, &digest).expect("it is signed, and about this");
        let policy = Policy::parse(POLICY, Path::new("policy.toml")).expect("a sound policy");
        let _ = policy.judge(&[verified], 1_773_100_800);
    }
});
