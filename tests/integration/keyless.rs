//! Keyless signatures: what `publish-image` asks for before it builds, and what `verify` says of bundles that were made beforehand.

use std::path::PathBuf;

use serde_json::Value;
use trainyard_attest::TEST_RESULT;
use trainyard_core::publication::EVALUATION_MEDIA_TYPE;

use crate::evidence::{BUNDLE, Image, REPOSITORY};
use crate::project::{Project, Said, read_json};
use crate::support::{repository, stage};

const WORKFLOW: &str = "https://github.com/acme/digits/.github/workflows/release.yml@refs/tags/*";
const GITHUB: &str = "https://token.actions.githubusercontent.com";

/// Roots and bundles, of a statement about something else than any image here.
pub(crate) fn fixture(kind: &str, name: &str) -> Value {
    let path = repository().join("actions/verify/fixtures/keyless.json");
    let found = read_json(&path)[kind][name].take();
    assert_ne!(found, Value::Null, "{kind} {name}");
    found
}

/// The bundle with another verdict in its payload, which is still a statement.
pub(crate) fn with_failed_verdict(mut bundle: Value) -> Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let payload = bundle.pointer_mut("/dsseEnvelope/payload").unwrap();
    let bytes = STANDARD.decode(payload.as_str().unwrap()).unwrap();
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("PASSED"), "{text}");
    *payload = STANDARD.encode(text.replace("PASSED", "FAILED")).into();
    bundle
}

struct Root {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Root {
    fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trusted_root.json");
        std::fs::write(&path, fixture("roots", name).to_string()).unwrap();
        Self {
            _folder: folder,
            path,
        }
    }

    /// What `verify` says of the image.
    fn verify(&self, image: &Image, identity: &str, issuer: &str, code: i32) -> Said {
        let mut verify = stage("verify");
        verify
            .arg(format!("{}/{REPOSITORY}:1.0.0", image.fake.address()))
            .args(["--identity", identity, "--issuer", issuer])
            .arg("--trusted-root")
            .arg(&self.path);
        Said::of(&mut verify, code)
    }
}

/// Another identity and an expired certificate lack evidence; edits and a statement about something else contradict.
#[tokio::test]
async fn keyless_bundles_are_refused_with_their_own_exit_codes() {
    let root = Root::named("usual");
    let image = Image::push().await;
    image.attach(BUNDLE, fixture("bundles", "both").to_string().into_bytes());
    root.verify(&image, WORKFLOW, GITHUB, 1)
        .has_output("the statement is about `image`");
    root.verify(&image, "someone@example.com", GITHUB, 3)
        .has_output("release.yml@refs/tags/v1.0.0 (https://token.actions.githubusercontent.com), which is not a trusted identity");
    root.verify(&image, WORKFLOW, "https://accounts.google.com", 3)
        .has_output("which is not a trusted identity");
    Root::named("own")
        .verify(&image, WORKFLOW, GITHUB, 3)
        .has_output("the signature by the certificate is not proven");

    let image = Image::push().await;
    image.attach(
        BUNDLE,
        fixture("bundles", "late_entry").to_string().into_bytes(),
    );
    Root::named("late")
        .verify(&image, WORKFLOW, GITHUB, 3)
        .has_output("the signature by the certificate is not proven");

    let image = Image::push().await;
    let failed = with_failed_verdict(fixture("bundles", "logged"));
    image.attach(BUNDLE, failed.to_string().into_bytes());
    root.verify(&image, WORKFLOW, GITHUB, 1)
        .has_output("changed after signing");
}

/// The bundle is refused, and what was asked wrongly says what to write.
#[tokio::test]
async fn what_is_named_by_halves_is_a_usage_error() {
    let image = Image::push().await;
    let verify = |arguments: &[&str]| {
        let mut verify = stage("verify");
        verify.arg(format!("{}/{REPOSITORY}:1.0.0", image.fake.address()));
        Said::of(verify.args(arguments), 2)
    };
    verify(&["--identity", WORKFLOW]).has_error("--issuer");
    verify(&[]).has_error("name a public key by `--key`");
    let root = Root::named("usual");
    let root = root.path.to_str().unwrap();
    let key = repository().join("crates/attest/fixtures/p256.pub");
    let key = key.to_str().unwrap();
    verify(&["--key", key, "--trusted-root", root]).has_error("no identity is named");
    verify(&[
        "--identity",
        "**",
        "--issuer",
        GITHUB,
        "--trusted-root",
        key,
    ])
    .has_error("is not a trusted root");
}

/// The policy names the identity, with the roots of this build where no file is named.
#[tokio::test]
async fn a_policy_can_name_the_identity() {
    let image = Image::push().await;
    image.attach(BUNDLE, fixture("bundles", "both").to_string().into_bytes());
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.toml");
    let signer = format!("[[signers]]\nidentity = \"{WORKFLOW}\"\nissuer = \"{GITHUB}\"\n");
    std::fs::write(&policy, format!("verdict = \"pass\"\n{signer}")).unwrap();
    let verify = |root: Option<&Root>, code| {
        let mut verify = stage("verify");
        verify
            .arg(format!("{}/{REPOSITORY}:1.0.0", image.fake.address()))
            .arg("--policy")
            .arg(&policy);
        if let Some(root) = root {
            verify.arg("--trusted-root").arg(&root.path);
        }
        Said::of(&mut verify, code)
    };
    verify(Some(&Root::named("usual")), 1).has_output("the statement is about `image`");
    // Neither Sigstore nor GitHub issued that certificate; and a year after their release this build's roots are refused, with
    // the same code.
    verify(None, 3);
}

/// Before anything is built, and by the preflight too.
#[test]
fn keyless_signing_without_a_token_says_which_permission_is_missing() {
    let project = Project::passed();
    for arguments in [&["--keyless"][..], &["--keyless", "--preflight"]] {
        let said = project.run("publish-image", arguments, 2);
        said.has_error("keyless signing needs an identity token");
        said.has_error("SIGSTORE_ID_TOKEN");
    }
    project.edit("[image]\n", "[image]\nsign = \"keyless\"\n");
    project
        .run("publish-image", &[], 2)
        .has_error("keyless signing needs an identity token");
    let mut publish = project.stage("publish-image", &["--rekor-url", "none"]);
    publish.env("SIGSTORE_ID_TOKEN", "e30.eyJzdWIiOiJhIn0.c2ln");
    Said::of(&mut publish, 2)
        .has_error("keyless signing needs a transparency log or a timestamp authority");
    let mut publish = project.stage("publish-image", &["--fulcio-url", "http://fulcio.example"]);
    publish.env("SIGSTORE_ID_TOKEN", "e30.eyJzdWIiOiJhIn0.c2ln");
    Said::of(&mut publish, 2).has_error("must be an `https` URL");
    // GitHub takes no bundle that a key signed.
    let project_of_key = Project::new();
    let arguments = ["--preflight", "--github-attestations"];
    project_of_key
        .run("publish-image", &arguments, 2)
        .has_error("add `--keyless`");
    // Log entries are permanent, so a dry run makes none.
    let mut publish = project.stage("publish-image", &["--dry-run", "--tag", "1.0.0"]);
    publish.env("SIGSTORE_ID_TOKEN", "e30.eyJzdWIiOiJhIn0.c2ln");
    let said = Said::of(&mut publish, 0);
    assert!(
        said.stdout.contains(EVALUATION_MEDIA_TYPE),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains(TEST_RESULT), "{}", said.stdout);
}
