//! What `publish-image` attaches to an image, and what `verify` says of it, through a registry of this process.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use trainyard_attest::{
    CYCLONEDX, MODEL_SIGNATURE, PROVENANCE, PrivateKey, PublicKey, ResourceDescriptor, Statement,
    TEST_RESULT, sign,
};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::publication::EVALUATION_MEDIA_TYPE;
use trainyard_oci::spec::{Descriptor, MANIFEST};
use trainyard_oci::{Artifact, Layout, MODEL_PACK};

use crate::project::{Project, Said, read_json};
use crate::registry::{Behaviour, Fake, push};
use crate::support::{repository, run, stage};

/// The repository of these tests.
pub(crate) const REPOSITORY: &str = "acme/m";

pub(crate) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

fn key_file(name: &str) -> PathBuf {
    repository().join("crates/attest/fixtures").join(name)
}

fn private_key(name: &str) -> PrivateKey {
    PrivateKey::from_pem(&fs::read_to_string(key_file(name)).unwrap()).unwrap()
}

fn verify(fake: &Fake, tag: &str, arguments: &[&str]) -> Command {
    let mut verify = stage("verify");
    verify
        .arg(format!("{}/{REPOSITORY}:{tag}", fake.address()))
        .arg("--key")
        .arg(key_file("p256.pub"))
        .args(arguments);
    verify
}

fn verified(fake: &Fake, arguments: &[&str], code: i32) -> Said {
    Said::of(&mut verify(fake, "1.0.0", arguments), code)
}

/// Publishes to the registry with the key, and returns `publication.json`.
fn publish(project: &Project, fake: &Fake, key: &str) -> Value {
    let to = format!("{}/{REPOSITORY}", fake.address());
    let mut publish = project.stage(
        "publish-image",
        &["--push", &to, "--tag", "1.0.0", "--overwrite"],
    );
    publish.env("SOURCE_DATE_EPOCH", "1700000000");
    publish.arg("--key").arg(key_file(key));
    Said::of(&mut publish, 0);
    project.json("image/publication.json")
}

/// Whether the registry keeps the list or not, the evidence is there before the version, and `verify` finds it.
#[test]
fn a_published_image_brings_its_evidence_and_is_verified_by_it() {
    let project = Project::passed();
    for lists_referrers in [true, false] {
        let fake = Fake::start(Behaviour {
            lists_referrers,
            ..Behaviour::default()
        });
        let publication = publish(&project, &fake, "p256.pem");
        let referrers = publication["referrers"].as_array().unwrap();
        let kinds: Vec<&str> = referrers
            .iter()
            .map(|it| it["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds,
            [
                EVALUATION_MEDIA_TYPE,
                MODEL_PACK,
                TEST_RESULT,
                PROVENANCE,
                CYCLONEDX,
                MODEL_SIGNATURE
            ]
        );
        let public = fs::read_to_string(key_file("p256.pub")).unwrap();
        let fingerprint = PublicKey::from_pem(&public).unwrap().fingerprint();
        assert_eq!(publication["signing_key"], fingerprint.as_str());

        let layout = Layout::open(&project.path("trainyard-out/image")).unwrap();
        let listed = layout.index().unwrap().manifests;
        assert_eq!(listed.len(), 1 + referrers.len());
        for (entry, referrer) in listed[1..].iter().zip(referrers) {
            assert_eq!(entry.digest.as_str(), referrer["digest"]);
            layout.blobs_of(entry).unwrap();
        }

        let requests = fake.state().requests.clone();
        let place = |line: String| requests.iter().position(|made| made.line == line);
        let path = |reference: &str| format!("PUT /v2/{REPOSITORY}/manifests/{reference}");
        let tagged = place(path("1.0.0")).unwrap();
        for referrer in referrers {
            let written = place(path(referrer["digest"].as_str().unwrap())).unwrap();
            assert!(written < tagged, "{written} {tagged}");
        }
        let fallback = publication["image_digest"].as_str().unwrap();
        let fallback = place(path(&fallback.replace(':', "-")));
        assert_eq!(fallback.is_some(), !lists_referrers);
        assert!(fallback.is_none_or(|written| written < tagged));

        let model = project.path("trainyard-out/model");
        let rules = project.path("trainyard.toml");
        let arguments = [
            "--json",
            "--model",
            model.to_str().unwrap(),
            "--rules",
            rules.to_str().unwrap(),
        ];
        let said = verified(&fake, &arguments, 0);
        let report: Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(report["outcome"], "held");
        assert_eq!(report["digest"], publication["image_digest"]);
        assert_eq!(report["verdicts"][0]["result"], "PASSED");
        assert_eq!(report["verdicts"][0]["model"], publication["model_digest"]);
        assert_eq!(
            report["verdicts"][0]["evaluation"],
            publication["evaluation_digest"]
        );
        assert_eq!(report["builds"][0]["finished_on"], "2023-11-14T22:13:20Z");
        assert_eq!(report["statements"].as_array().unwrap().len(), 4);
        assert_eq!(report["contradictions"], json!([]));
        // PyPI's `model-signing` would refuse that folder for them.
        let not_checked = report["not_checked"].to_string();
        let beside = "does not cover: history.tsv, run.json";
        assert!(not_checked.contains(beside), "{not_checked}");
    }
}

/// On a laptop, and in a CI system that is not known.
#[test]
fn a_checkout_is_named_by_its_commit_unless_it_has_changes() {
    let project = Project::passed();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=a", "-c", "user.email=a@b"]);
        run(git.args(arguments).current_dir(project.path(".")))
    };
    git(&["init", "--quiet"]);
    git(&["add", "trainyard.toml"]);
    git(&["commit", "--quiet", "--message=a"]);
    let url = "https://ci:s3cret@git.example/acme/price.git";
    git(&["remote", "add", "origin", url]);
    let commit = git(&["rev-parse", "HEAD"]).trim().to_owned();
    let fake = Fake::start(Behaviour::default());
    let reported = |policy: Option<&str>, code| {
        let mut arguments = vec!["--json"];
        arguments.extend(policy.iter().flat_map(|policy| ["--policy", policy]));
        let said = verified(&fake, &arguments, code);
        serde_json::from_str::<Value>(&said.stdout).unwrap()
    };
    let public = fs::read_to_string(key_file("p256.pub")).unwrap();
    let key = PublicKey::from_pem(&public).unwrap().fingerprint();
    let repository = "https://git.example/acme/price";
    let policy = format!("repository = \"{repository}\"\n[[signers]]\nkey = \"{key}\"\n");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.toml");
    fs::write(&path, policy).unwrap();
    let policy = path.to_str();

    let publication = publish(&project, &fake, "p256.pem");
    assert_eq!(publication["commit"], commit.as_str());
    let build = reported(policy, 0)["builds"][0].clone();
    assert_eq!(build["commit"], commit.as_str());
    assert_eq!(build["repository"], repository);
    assert_eq!(build["has_changes"], false);

    project.write("note.txt", "");
    let publication = publish(&project, &fake, "p256.pem");
    assert_eq!(publication["commit"], Value::Null);
    let build = reported(None, 0)["builds"][0].clone();
    assert_eq!(
        (&build["commit"], &build["repository"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(build["has_changes"], true);
    assert!(!build.to_string().contains("s3cret"), "{build}");
    verified(&fake, &["--policy", policy.unwrap()], 3);
    verified(&fake, &[], 0).has_output("none: built from a checkout with changes");
}

#[test]
fn another_model_and_other_rules_are_noticed() {
    let project = Project::passed();
    let fake = Fake::start(Behaviour::default());
    publish(&project, &fake, "p256.pem");
    let model = project.path("trainyard-out/model");
    let rules = project.path("trainyard.toml");
    project.edit("min = 0.5", "min = 0.4");
    verified(&fake, &["--rules", rules.to_str().unwrap()], 3)
        .has_output("the verdict is by the rules");
    project.edit("epochs = 1", "epochs = 2");
    project.run("train", &[], 0);
    verified(&fake, &["--model", model.to_str().unwrap()], 1)
        .has_output("the model's files are not those that were signed (changed:");
}

/// Without a key the evaluation and the model are attached. A key that is asked for and not there is said before anything is built.
#[test]
fn without_a_key_no_statement_is_attached() {
    let project = Project::passed();
    let fake = Fake::start(Behaviour::default());
    let to = format!("{}/{REPOSITORY}", fake.address());
    project.run("publish-image", &["--push", &to, "--tag", "1.0.0"], 0);
    let publication = project.json("image/publication.json");
    let kinds = |publication: &Value| {
        let referrers = publication["referrers"].as_array().unwrap().iter();
        referrers.map(|it| it["type"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&publication), [EVALUATION_MEDIA_TYPE, MODEL_PACK]);
    assert_eq!(publication["signing_key"], Value::Null);
    verified(&fake, &[], 3).has_output("no signed verdict names one");

    project.edit("[image]\n", "[image]\nsign = true\n");
    for arguments in [&[][..], &["--preflight"]] {
        project
            .run("publish-image", arguments, 2)
            .has_error("`[image] sign` is set, and there is no key");
    }
    let text = fs::read_to_string(key_file("p256.pem")).unwrap();
    let mut publish = project.stage("publish-image", &["--push", &to, "--tag", "2.0.0"]);
    publish.env("TRAINYARD_SIGNING_KEY", text);
    Said::of(&mut publish, 0);
    Said::of(&mut verify(&fake, "2.0.0", &[]), 0);
    let encrypted = key_file("encrypted-pkcs8.pem");
    project
        .run("publish-image", &["--key", encrypted.to_str().unwrap()], 2)
        .has_error("the private key is encrypted");
}

/// Ed25519 draws no random number; ECDSA does, in the signatures alone.
#[test]
fn the_same_inputs_and_time_give_the_same_evidence() {
    let project = Project::passed();
    let fake = Fake::start(Behaviour::default());
    let of_key = |key: &str| publish(&project, &fake, key)["referrers"].clone();
    let first = of_key("ed25519.pem");
    assert_eq!(first.as_array().unwrap().len(), 5);
    assert_eq!(of_key("ed25519.pem"), first);
    let (one, two) = (of_key("p256.pem"), of_key("p256.pem"));
    assert_eq!((&one[0], &one[1]), (&two[0], &two[1]));
    assert_ne!(one[2], two[2]);
}

/// Each image of an index has its own evidence, and so has the index.
#[test]
fn each_image_of_an_index_has_its_evidence() {
    let project = Project::passed();
    let server = crate::support::binaries().join("trainyard-serve");
    let mut arm64 = fs::read(&server).unwrap();
    // `e_machine` of AArch64 (System V ABI, chapter 4).
    arm64[18..20].copy_from_slice(&183_u16.to_le_bytes());
    project.write("serve-arm64", &arm64);
    let fake = Fake::start(Behaviour::default());
    let to = format!("{}/{REPOSITORY}", fake.address());
    let mut publish = project.stage("publish-image", &["--push", &to, "--tag", "1.0.0"]);
    publish
        .args(["--server", "serve-arm64", "--server"])
        .arg(server);
    publish.arg("--key").arg(key_file("p256.pem"));
    Said::of(&mut publish, 0);
    let publication = project.json("image/publication.json");
    let referrers = publication["referrers"].as_array().unwrap();
    assert_eq!(referrers.len(), 3 * 6);
    for referrer in referrers.iter().step_by(6) {
        let subject = referrer["subject"].as_str().unwrap();
        let mut verify = stage("verify");
        verify.arg(format!("{to}@{subject}"));
        verify.arg("--key").arg(key_file("p256.pub"));
        Said::of(&mut verify, 0);
    }
    assert_eq!(referrers[12]["subject"], publication["image_digest"]);
}

/// The model is there for tools that know ModelPack, over the layer that is in the image.
#[test]
fn the_model_is_attached_as_a_model_pack_over_the_same_layer() {
    let project = Project::passed();
    let fake = Fake::start(Behaviour::default());
    let to = format!("{}/{REPOSITORY}", fake.address());
    project.run("publish-image", &["--push", &to, "--tag", "1.0.0"], 0);
    let publication = project.json("image/publication.json");
    let referrers = publication["referrers"].as_array().unwrap();
    let pack = referrers.iter().find(|it| it["type"] == MODEL_PACK);
    let layout = Layout::open(&project.path("trainyard-out/image")).unwrap();
    let blob = |digest: &Value| {
        let digest = digest.as_str().unwrap().parse().unwrap();
        read_json(&layout.blob_path(&digest))
    };
    let pack = blob(&pack.unwrap()["digest"]);
    assert_eq!(pack["artifactType"], MODEL_PACK);
    let image = blob(&publication["image_digest"]);
    let layers = image["layers"].as_array().unwrap();
    assert_eq!(
        pack["layers"][0]["digest"],
        layers.last().unwrap()["digest"]
    );
    assert_eq!(pack["subject"]["digest"], publication["image_digest"]);
    let config = blob(&pack["config"]["digest"]);
    assert_eq!(config["descriptor"]["title"], "MNIST digits");
    assert_eq!(
        config["modelfs"]["diffIds"][0],
        layers.last().unwrap()["digest"]
    );

    // The same again: the registry lists all that is attached, so nothing of it is sent or written.
    let n_requests = fake.state().requests.len();
    project.run("publish-image", &["--push", &to, "--tag", "1.0.0"], 0);
    let requests = fake.state().requests.clone();
    let made: Vec<&str> = requests[n_requests..]
        .iter()
        .map(|it| it.line.as_str())
        .collect();
    assert!(made.len() <= 6, "{made:#?}");
    assert!(
        made.iter()
            .all(|line| !line.starts_with("PUT") && !line.starts_with("POST")),
        "{made:#?}"
    );
}

/// A small image in a registry, and what others attach to it.
pub(crate) struct Image {
    pub(crate) fake: Fake,
    pub(crate) manifest: Descriptor,
}

impl Image {
    pub(crate) async fn push() -> Self {
        let fake = Fake::start(Behaviour::default());
        push(&fake).await.0.unwrap();
        let digest = fake.tag(REPOSITORY, "1.0.0").unwrap();
        let manifest = {
            let state = fake.state();
            let (_, bytes) = &state.manifests[&(REPOSITORY.to_owned(), digest)];
            Descriptor::of(MANIFEST, bytes)
        };
        Self { fake, manifest }
    }

    pub(crate) fn attach(&self, media_type: &str, bytes: Vec<u8>) {
        let artifact = Artifact {
            media_type: media_type.to_owned(),
            bytes,
            title: None,
            annotations: std::collections::BTreeMap::new(),
        };
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).unwrap();
        let attachment = layout.attach(&artifact, &self.manifest).unwrap();
        let bytes = layout.read_blob(&attachment.manifest).unwrap();
        let of = |digest: &Sha256Digest| (REPOSITORY.to_owned(), digest.to_string());
        let mut state = self.fake.state();
        let blob = Sha256Digest::of(&artifact.bytes);
        state.blobs.insert(of(&blob), artifact.bytes.clone());
        let manifest = (MANIFEST.to_owned(), bytes);
        state
            .manifests
            .insert(of(&attachment.manifest.digest), manifest);
    }

    fn verdict(&self, result: &str, evaluation: &[u8]) -> Statement {
        let about = ResourceDescriptor::new("m", &self.manifest.digest);
        verdict(about, result, evaluation)
    }

    fn says(&self, words: &str, code: i32) {
        verified(&self.fake, &[], code).has_output(words);
    }
}

fn verdict(about: ResourceDescriptor, result: &str, evaluation: &[u8]) -> Statement {
    let evaluation = Sha256Digest::of(evaluation);
    let configuration = json!([
        { "name": "verdict.json", "annotations": { "dev.trainyard.reason": "So it is." } },
        { "name": "evaluation.json", "digest": { "sha256": evaluation.hex() } },
    ]);
    let predicate = json!({ "result": result, "configuration": configuration });
    Statement::new(about, TEST_RESULT, predicate)
}

fn signed(statement: &Statement, key: &str) -> Vec<u8> {
    sign(statement, &private_key(key)).unwrap()
}

/// The bundle with one byte of its payload changed.
fn changed(bundle: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    let mut document: Value = serde_json::from_slice(bundle).unwrap();
    let payload = document.pointer_mut("/dsseEnvelope/payload").unwrap();
    let mut bytes = STANDARD.decode(payload.as_str().unwrap()).unwrap();
    bytes[40] ^= 1;
    *payload = STANDARD.encode(bytes).into();
    document.to_string().into_bytes()
}

#[tokio::test]
async fn a_missing_verdict_and_one_by_another_key_are_not_checked() {
    let image = Image::push().await;
    image.says("not checked   a signed verdict: there is none", 3);
    image.attach(BUNDLE, signed(&image.verdict("PASSED", b""), "p384.pem"));
    image.says("signed by none of the 1 trusted keys", 3);
    let mut keyless: Value =
        serde_json::from_slice(&signed(&image.verdict("PASSED", b""), "p256.pem")).unwrap();
    keyless["verificationMaterial"] = json!({ "certificate": { "rawBytes": "" } });
    image.attach(BUNDLE, keyless.to_string().into_bytes());
    image.says("keyless: signed by a certificate", 3);
    image.attach(BUNDLE, signed(&image.verdict("PASSED", b""), "p256.pem"));
    image.says("held          a signed verdict: signed by the key", 0);
}

#[tokio::test]
async fn what_was_changed_and_what_is_about_something_else_is_a_contradiction() {
    let image = Image::push().await;
    let good = signed(&image.verdict("PASSED", b""), "p256.pem");
    image.attach(BUNDLE, good.clone());
    image.says("outcome       held", 0);
    image.attach(BUNDLE, changed(&good));
    image.says("payload or signature was changed after signing", 1);

    let image = Image::push().await;
    let other = ResourceDescriptor::new("m", &Sha256Digest::of(b"another image"));
    image.attach(BUNDLE, good);
    image.says("outcome       held", 0);
    image.attach(BUNDLE, signed(&verdict(other, "PASSED", b""), "p256.pem"));
    image.says("the statement is about `m`", 1);
}

#[tokio::test]
async fn a_failed_verdict_and_a_policy_that_does_not_hold_are_contradictions() {
    let image = Image::push().await;
    image.attach(BUNDLE, signed(&image.verdict("WARNED", b""), "p256.pem"));
    image.says("outcome       held", 0);
    let folder = tempfile::tempdir().unwrap();
    let judge = |policy: &str, code| {
        let fingerprint = private_key("p256.pem").public_key().fingerprint();
        let path = folder.path().join("policy.toml");
        let signer = format!("{policy}\n[[signers]]\nkey = \"{fingerprint}\"\n");
        fs::write(&path, signer).unwrap();
        verified(&image.fake, &["--policy", path.to_str().unwrap()], code)
    };
    judge("verdict = \"warn\"", 0);
    judge("verdict = \"pass\"", 1).has_output("the verdict is WARNED: So it is.");
    judge("require = [\"provenance\"]", 3).has_output("a signed provenance: there is none");
    judge("verdit = 1", 2).has_error("unknown field `verdit`");
    image.attach(BUNDLE, signed(&image.verdict("FAILED", b""), "p256.pem"));
    image.says("the verdict is FAILED: So it is.", 1);
}

#[tokio::test]
async fn an_evaluation_that_the_verdict_does_not_name_is_a_contradiction() {
    let image = Image::push().await;
    image.attach(
        BUNDLE,
        signed(&image.verdict("PASSED", b"right"), "p256.pem"),
    );
    image.says("not checked   the evaluation: it is not attached", 0);
    image.attach(EVALUATION_MEDIA_TYPE, b"wrong".to_vec());
    image.says("not the one that the verdict names", 1);
    // Anybody may attach another one: the right one is there.
    image.attach(EVALUATION_MEDIA_TYPE, b"right".to_vec());
    image.says("attached, the one that the verdict names", 0);
}

/// What others attach cannot write lines into the report.
#[tokio::test]
async fn what_cannot_be_asked_or_read_has_its_own_exit_code() {
    let image = Image::push().await;
    Said::of(&mut verify(&image.fake, "9.9.9", &[]), 5).has_error("is not there");
    let private = key_file("p256.pem");
    verified(&image.fake, &["--key", private.to_str().unwrap()], 2)
        .has_error("is not a public key to verify with");
    let mut nowhere = stage("verify");
    nowhere
        .args(["localhost:1/acme/m:1", "--key"])
        .arg(key_file("p256.pub"));
    Said::of(&mut nowhere, 5);
    let mut without_key = stage("verify");
    Said::of(without_key.arg("localhost:1/acme/m:1"), 2).has_error("--key");
    image.attach("text/x\nverdict       PASSED", b"x".to_vec());
    let said = verified(&image.fake, &[], 3);
    assert!(!said.stdout.contains("\nverdict "), "{}", said.stdout);
}
