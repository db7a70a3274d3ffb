//! Evidence in a real registry: what we attach, through cosign, and what cosign attaches, through `verify`.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use trainyard_attest::{CYCLONEDX, PROVENANCE, TEST_RESULT};
use trainyard_core::model::ModelFolder;

use super::program;
use super::registry::Registry;
use crate::project::{Project, Said};
use crate::support::{output, repository, run, stage};

fn key_file(name: &str) -> String {
    let path = repository().join("crates/attest/fixtures").join(name);
    path.display().to_string()
}

/// cosign without a network but the registry's: it would fetch trusted roots into its home folder.
fn cosign(home: &Path) -> Command {
    let mut command = program("cosign");
    command
        .env("HOME", home)
        .env("COSIGN_PASSWORD", "a password")
        .env("NO_PROXY", "127.0.0.1")
        .env("HTTPS_PROXY", "http://127.0.0.1:1")
        .env("HTTP_PROXY", "http://127.0.0.1:1");
    command
}

fn verify_attestation(home: &Path, image: &str, kind: &str, key: &str) -> Command {
    let mut command = cosign(home);
    command
        .args(["verify-attestation", "--insecure-ignore-tlog=true"])
        .args(["--allow-http-registry", "--type", kind, "--key"])
        .args([key_file(key), image.to_owned()]);
    command
}

/// Publishes a model that passed, signed with P-256; the image by digest.
fn published(registry: &Registry) -> String {
    let project = Project::passed();
    let to = format!("{}/acme/m", registry.address);
    let key = key_file("p256.pem");
    project.run(
        "publish-image",
        &["--push", &to, "--tag", "1.0.0", "--key", &key],
        0,
    );
    let publication = project.json("image/publication.json");
    publication["destinations"][0]["image"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// docker-registry has no referrers API, so that cosign reads the list under the fallback tag.
#[test]
fn cosign_finds_and_verifies_each_statement_in_a_registry() {
    let registry = Registry::start();
    let image = published(&registry);
    let home = tempfile::tempdir().unwrap();
    for kind in [TEST_RESULT, PROVENANCE, CYCLONEDX] {
        let said = run(&mut verify_attestation(
            home.path(),
            &image,
            kind,
            "p256.pub",
        ));
        assert!(said.contains("dsse") || said.contains("payload"), "{said}");
        let refused = output(&mut verify_attestation(
            home.path(),
            &image,
            kind,
            "p256-params.pub",
        ));
        assert!(!refused.status.success(), "{kind}");
    }
    let other = "https://example.com/nobody-said-so";
    let refused = output(&mut verify_attestation(
        home.path(),
        &image,
        other,
        "p256.pub",
    ));
    assert!(!refused.status.success());
    let mut verify = stage("verify");
    let folder = home.path().join("published");
    verify.args([&image, "--key", &key_file("p256.pub"), "--save-model"]);
    Said::of(verify.arg(&folder), 0).has_output("saved model");
    ModelFolder::open(&folder).unwrap();
}

#[test]
fn what_cosign_attests_with_a_key_is_verified() {
    let registry = Registry::start();
    let image = published(&registry);
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    let predicate = json!({ "result": "FAILED", "configuration": [] });
    fs::write(path("predicate.json"), predicate.to_string()).unwrap();
    let mut import = cosign(home.path());
    import
        .args(["import-key-pair", "--yes", "--key", &key_file("p256.pem")])
        .arg("--output-key-prefix")
        .arg(path("imported"));
    run(&mut import);
    let verify = |code| {
        let mut verify = stage("verify");
        Said::of(verify.args([&image, "--key", &key_file("p256.pub")]), code)
    };
    verify(0);
    let mut attest = cosign(home.path());
    attest
        .args(["attest", "--yes", "--use-signing-config=false"])
        .args([
            "--tlog-upload=false",
            "--allow-http-registry",
            "--type",
            TEST_RESULT,
        ])
        .arg("--predicate")
        .arg(path("predicate.json"))
        .arg("--key")
        .arg(path("imported.key"))
        .arg(&image);
    run(&mut attest);
    verify(1).has_output("the verdict is FAILED");
}
