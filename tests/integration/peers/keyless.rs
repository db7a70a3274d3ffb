//! Keyless signatures against an instance of npm's `@sigstore/mock`: what we sign, through `verify`, npm's `@sigstore/verify` and
//! cosign; and what npm's `@sigstore/sign` signs, through `verify`.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use trainyard_oci::Layout;

use super::program;
use super::registry::Registry;
use crate::evidence::{BUNDLE, Image, REPOSITORY};
use crate::github::{Api, Repository};
use crate::keyless::with_failed_verdict;
use crate::project::{Project, Said, read_json};
use crate::support::{output, repository, run, stage};

const WORKFLOW: &str =
    "https://github.com/acme/digits/.github/workflows/release.yml@refs/tags/v1.0.0";
const GITHUB: &str = "https://token.actions.githubusercontent.com";
const VERDICT: &str = "https://in-toto.io/attestation/test-result/v0.1";

/// Authorities, logs and clocks, which run until this value is dropped.
struct Sigstore {
    server: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for Sigstore {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A program of `tests/fixtures/attest`, with npm's packages.
fn node(name: &str) -> Command {
    let modules =
        PathBuf::from(env::var("TRAINYARD_NODE_MODULES").expect("use `cargo xtask test`"));
    let mut command = program("node");
    command
        .arg(repository().join("tests/fixtures/attest").join(name))
        .arg(modules);
    command
}

impl Sigstore {
    fn start() -> Self {
        let mut server = node("sigstore.mjs")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        let mut lines = BufReader::new(server.stdout.take().unwrap());
        lines.read_line(&mut url).unwrap();
        let sigstore = Self {
            server,
            url: url.trim().to_owned(),
            folder: tempfile::tempdir().unwrap(),
        };
        // By node, which is here anyway.
        let fetch = "const [url, file] = process.argv.slice(1); \
                     fetch(url).then((answer) => answer.text()).then((text) => require('fs').writeFileSync(file, text))";
        let mut command = program("node");
        command
            .args(["-e", fetch, &format!("{}/trusted_root.json", sigstore.url)])
            .arg(sigstore.root());
        run(&mut command);
        sigstore
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("trusted_root.json")
    }

    /// Publishes as a job on GitHub does that may ask for a token.
    fn publish(&self, project: &Project, to: &str, arguments: &[&str]) -> Said {
        Said::of(&mut self.command(project, to, arguments), 0)
    }

    fn command(&self, project: &Project, to: &str, arguments: &[&str]) -> Command {
        let mut publish = project.stage(
            "publish-image",
            &["--push", to, "--tag", "1.0.0", "--keyless"],
        );
        publish
            .args(["--fulcio-url", &self.url])
            .args(arguments)
            .env(
                "ACTIONS_ID_TOKEN_REQUEST_URL",
                format!("{}/token?v=1", self.url),
            )
            .env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-runner");
        publish
    }

    fn verify(&self, image: &str, identity: &str, issuer: &str, code: i32) -> Said {
        let mut verify = stage("verify");
        verify
            .args([image, "--json", "--identity", identity, "--issuer", issuer])
            .arg("--trusted-root")
            .arg(self.root());
        Said::of(&mut verify, code)
    }

    fn verify_by_npm(&self, bundle: &Path) -> Output {
        let mut command = node("verify-keyless.mjs");
        output(command.arg(self.root()).arg(bundle))
    }
}

fn said(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// The bundles that a project attached to its image, as files of a folder.
fn bundles(project: &Project, folder: &Path) -> Vec<PathBuf> {
    let layout = Layout::open(&project.path("trainyard-out/image")).unwrap();
    let blob = |digest: &Value| layout.blob_path(&digest.as_str().unwrap().parse().unwrap());
    let publication = project.json("image/publication.json");
    let referrers = publication["referrers"].as_array().unwrap().iter();
    let manifests = referrers.map(|referrer| read_json(&blob(&referrer["digest"])));
    let layers = manifests.map(|mut manifest| manifest["layers"][0].take());
    let of_bundles = layers.filter(|layer| layer["mediaType"] == BUNDLE);
    of_bundles
        .enumerate()
        .map(|(idx, layer)| {
            let path = folder.join(format!("{idx}.json"));
            fs::copy(blob(&layer["digest"]), &path).unwrap();
            path
        })
        .collect()
}

#[test]
fn an_image_that_is_signed_keyless_is_verified() {
    let sigstore = Sigstore::start();
    let registry = Registry::start();
    let project = Project::passed();
    let to = format!("{}/acme/m", registry.address);
    let stamps = format!("{}/api/v1/timestamp", sigstore.url);
    for (proof, arguments) in [
        (
            "a transparency log entry",
            vec!["--rekor-url", &sigstore.url],
        ),
        (
            "a transparency log entry and a timestamp",
            vec!["--rekor-url", &sigstore.url, "--timestamp-url", &stamps],
        ),
    ] {
        let to = format!("{to}{}", arguments.len());
        let published = sigstore.publish(&project, &to, &arguments);
        for secret in ["of-the-runner", "eyJhbGciOiJub25lIn0"] {
            assert!(!published.stdout.contains(secret));
            assert!(!published.stderr.contains(secret));
        }
        let publication = project.json("image/publication.json");
        let signer = json!({ "identity": WORKFLOW, "issuer": GITHUB });
        assert_eq!(publication["signing_identity"], signer);
        assert_eq!(publication["signing_key"], Value::Null);

        let image = format!("{to}:1.0.0");
        let report = sigstore.verify(&image, WORKFLOW, GITHUB, 0);
        let report: Value = serde_json::from_str(&report.stdout).unwrap();
        assert_eq!(report["outcome"], "held");
        let statements = report["statements"].as_array().unwrap();
        assert_eq!(statements.len(), 4);
        for statement in statements {
            assert_eq!(statement["signer"], format!("{WORKFLOW} ({GITHUB})"));
            assert_eq!(statement["time_proof"], proof);
        }
        sigstore.verify(&image, "someone@example.com", GITHUB, 3);
        sigstore.verify(&image, WORKFLOW, "https://accounts.google.com", 3);

        let bundles = bundles(&project, sigstore.folder.path());
        assert_eq!(bundles.len(), 4);
        for bundle in bundles {
            let verified = sigstore.verify_by_npm(&bundle);
            assert!(verified.status.success(), "{}", said(&verified));
            assert_eq!(said(&verified).trim(), format!("{WORKFLOW} {GITHUB}"));
            for pointer in ["/dsseEnvelope/payload", "/dsseEnvelope/signatures/0/sig"] {
                let text = fs::read(&bundle).unwrap();
                super::attest::change_json(&bundle, |it| super::attest::flip(it, pointer, 40));
                assert!(
                    !sigstore.verify_by_npm(&bundle).status.success(),
                    "{pointer}"
                );
                fs::write(&bundle, text).unwrap();
            }
        }
    }
}

/// Each statement about the image is stored as it is attached, and a refusal is a warning that says what to do.
#[test]
fn statements_are_stored_in_githubs_attestations_too() {
    let sigstore = Sigstore::start();
    let registry = Registry::start();
    let project = Project::passed();
    project.write(
        "event.json",
        json!({ "ref": "refs/heads/main" }).to_string(),
    );
    let publish = |api: Api, repository: &Repository| {
        let to = format!("{}/acme/{}", registry.address, repository.name);
        let mut publish = sigstore.command(&project, &to, &["--rekor-url", &sigstore.url]);
        let workflow = "acme/digits/.github/workflows/release.yml@refs/heads/main";
        publish
            .arg("--github-attestations")
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_API_URL", api.address())
            .env("GITHUB_EVENT_NAME", "push")
            .env("GITHUB_EVENT_PATH", project.path("event.json"))
            .env("GITHUB_REF", "refs/heads/main")
            .env("GITHUB_REPOSITORY", format!("acme/{}", repository.name))
            .env("GITHUB_SHA", "d".repeat(40))
            .env("GITHUB_TOKEN", "ghs_1234567890")
            .env("GITHUB_WORKFLOW_REF", workflow);
        Said::of(&mut publish, 0)
    };
    let repository = Repository { name: "stored" };
    publish(Api::Checked, &repository).has_error("/acme/stored/attestations/3");
    let stored = repository.state()["attestations"].clone();
    let attached = bundles(&project, sigstore.folder.path());
    let attached: Vec<Value> = attached.iter().map(|path| read_json(path)).collect();
    // The last one is about the model's files, which are no image.
    assert_eq!(attached.len(), 4);
    assert_eq!(stored, json!(attached[..3]));

    let repository = Repository { name: "refused" };
    let fault = json!({ "method": "POST", "status": 403, "message": "Resource not accessible by integration", "times": 1 });
    repository.prepare(&json!({ "fault": fault }));
    let said = publish(Api::Direct, &repository);
    said.has_error("add `attestations: write` to the job's `permissions:`");
    said.has_error("attached to the image in the registry all the same");
    said.has_output("::warning");
    assert_eq!(repository.state()["attestations"], json!([]));
}

/// cosign takes the root of any instance, and looks the bundles up itself.
#[test]
fn cosign_verifies_what_we_sign_keyless() {
    let sigstore = Sigstore::start();
    let registry = Registry::start();
    let project = Project::passed();
    let to = format!("{}/acme/m", registry.address);
    let stamps = format!("{}/api/v1/timestamp", sigstore.url);
    let arguments = ["--rekor-url", &sigstore.url, "--timestamp-url", &stamps];
    sigstore.publish(&project, &to, &arguments);
    let verify = |identity: &str| {
        let mut cosign = program("cosign");
        cosign
            .env("HOME", sigstore.folder.path())
            .env("NO_PROXY", "127.0.0.1")
            .env("HTTPS_PROXY", "http://127.0.0.1:1")
            .env("HTTP_PROXY", "http://127.0.0.1:1")
            .args([
                "verify-attestation",
                "--allow-http-registry",
                "--type",
                VERDICT,
            ])
            .args(["--certificate-identity", identity])
            .args(["--certificate-oidc-issuer", GITHUB, "--trusted-root"])
            .arg(sigstore.root())
            .arg(format!("{to}:1.0.0"));
        output(&mut cosign)
    };
    let verified = verify(WORKFLOW);
    assert!(verified.status.success(), "{}", said(&verified));
    assert!(!verify("someone@example.com").status.success());
}

#[tokio::test]
async fn what_npms_sigstore_signs_is_verified() {
    let sigstore = Sigstore::start();
    for proofs in [&["dsse"][..], &["intoto"], &["dsse", "timestamp"]] {
        let image = Image::push().await;
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{ "name": "m", "digest": { "sha256": image.manifest.digest.hex() } }],
            "predicateType": VERDICT,
            "predicate": { "result": "PASSED", "configuration": [] },
        });
        let path = |name: &str| sigstore.folder.path().join(name);
        fs::write(path("statement.json"), statement.to_string()).unwrap();
        let mut sign = node("sign-keyless.mjs");
        sign.arg(&sigstore.url)
            .args([path("statement.json"), path("bundle.json")])
            .args(proofs);
        run(&mut sign);
        image.attach(BUNDLE, fs::read(path("bundle.json")).unwrap());
        let named = format!("{}/{REPOSITORY}:1.0.0", image.fake.address());
        let report = sigstore.verify(&named, WORKFLOW, GITHUB, 0);
        let report: Value = serde_json::from_str(&report.stdout).unwrap();
        assert_eq!(report["verdicts"][0]["result"], "PASSED", "{proofs:?}");
        sigstore.verify(&named, "https://github.com/acme/digits", GITHUB, 3);

        let failed = with_failed_verdict(read_json(&path("bundle.json")));
        image.attach(BUNDLE, failed.to_string().into_bytes());
        sigstore.verify(&named, WORKFLOW, GITHUB, 1);
    }
}
