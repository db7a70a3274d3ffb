//! The evaluation attached to a published image as the gate's baseline, through a registry of this process.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::publication::EVALUATION_MEDIA_TYPE;
use trainyard_oci::spec::{Descriptor, INDEX, MANIFEST};
use trainyard_oci::{Artifact, Layout};

use crate::project::{Project, Said, read_json};
use crate::registry::{Behaviour, Fake, push};

/// The repository of these tests.
const REPOSITORY: &str = "acme/m";

/// The project, whose rules compare, with its first model published as 1.0.0; what was evaluated of that one; and then its second
/// model, scored.
struct Published {
    project: Project,
    fake: Fake,
    first: String,
}

impl Published {
    fn start(behaviour: Behaviour) -> Self {
        let fake = Fake::start(behaviour);
        let project = Project::passed();
        let to = place(&fake, "");
        project.run("publish-image", &["--push", &to, "--tag", "1.0.0"], 0);
        let evaluation = project.path("trainyard-out/evaluation/evaluation.json");
        let first = fs::read_to_string(evaluation).unwrap();
        add_rule(&project, "accuracy", "max_drop = 0.9");
        project.edit("seed = 42", "seed = 43");
        project.run("train", &[], 0);
        project.run("evaluate", &[], 0);
        Self {
            project,
            fake,
            first,
        }
    }

    /// Runs the gate against the image and returns its verdict.
    #[track_caller]
    fn judged(&self, rest: &str, code: i32) -> Value {
        self.said(rest, code);
        self.project.json("verdict/verdict.json")
    }

    #[track_caller]
    fn said(&self, rest: &str, code: i32) -> Said {
        let baseline = format!("oci://{}", place(&self.fake, rest));
        self.project.run("gate", &["--baseline", &baseline], code)
    }

    fn digest(&self, tag: &str) -> String {
        self.fake.tag(REPOSITORY, tag).unwrap()
    }

    /// Another tag for the image of 1.0.0.
    fn tag(&self, tag: &str) {
        let digest = self.digest("1.0.0");
        let key = (REPOSITORY.to_owned(), tag.to_owned());
        self.fake.state().tags.insert(key, digest);
    }
}

fn add_rule(project: &Project, metric: &str, bound: &str) {
    let rule = format!("[[gate.rules]]\nmetric = \"{metric}\"\n{bound}\n\n[image]\n");
    project.edit("[image]\n", &rule);
}

/// `[gate]` of the configuration, which the example does not have.
fn set_gate(project: &Project, line: &str) {
    project.edit("# Judged by", &format!("[gate]\n{line}\n\n# Judged by"));
}

fn place(fake: &Fake, rest: &str) -> String {
    format!("{}/{REPOSITORY}{rest}", fake.address())
}

fn notes(verdict: &Value) -> String {
    verdict["notes"].to_string()
}

/// What the headline metric was for the baseline.
fn accuracy_before(verdict: &Value) -> &Value {
    let rows = verdict["metrics"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["key"] == json!({"metric": "accuracy"}));
    &row.unwrap()["baseline"]["value"]
}

/// The accuracy in an `evaluation.json`.
fn accuracy_in(evaluation: &str) -> Value {
    let evaluation: Value = serde_json::from_str(evaluation).unwrap();
    let measured = evaluation["measurements"].as_array().unwrap().iter();
    let mut accuracy = measured.filter(|it| it["key"] == json!({"metric": "accuracy"}));
    accuracy.next().unwrap()["value"].clone()
}

/// Publish, judge a second model by the first, publish that one: whether the registry keeps the list of what is attached or not.
#[test]
fn a_model_is_judged_by_the_published_one_and_published_by_the_same_verdict() {
    for lists_referrers in [true, false] {
        let published = Published::start(Behaviour {
            lists_referrers,
            ..Behaviour::default()
        });
        let Published {
            project,
            fake,
            first,
        } = &published;
        let verdict = published.judged("", 0);
        assert_eq!(verdict["verdict"], "pass", "{verdict}");
        let image = place(fake, &format!(":1.0.0@{}", published.digest("1.0.0")));
        assert_eq!(verdict["baseline"]["source"], format!("image {image}"));
        assert_eq!(*accuracy_before(&verdict), accuracy_in(first));
        let kept = project.path("trainyard-out/verdict/baseline.json");
        assert_eq!(fs::read_to_string(kept).unwrap(), *first);
        let comment = fs::read_to_string(project.path("trainyard-out/verdict/comment.md"));
        assert!(comment.unwrap().contains("acme/m\\:1.0.0"));

        // The registry has moved on meanwhile, and is not asked again: what the gate kept is judged by.
        published.tag("9.0.0");
        let n_lists = fake.count("GET /v2/acme/m/tags/list");
        let baseline = format!("oci://{}", place(fake, ""));
        let to = place(fake, "");
        let arguments = ["--baseline", &baseline, "--push", &to, "--tag", "candidate"];
        project.run("publish-image", &arguments, 0);
        assert_eq!(fake.count("GET /v2/acme/m/tags/list"), n_lists);
        fs::remove_file(project.path("trainyard-out/verdict/baseline.json")).unwrap();
        project
            .run("publish-image", &arguments, 3)
            .has_error("name the same one here");
    }
}

#[test]
fn without_a_tag_the_highest_version_counts_and_a_digest_names_one_image() {
    let published = Published::start(Behaviour::default());
    let Published { project, fake, .. } = &published;
    for tag in ["1.9.0", "1.10.0", "2.0.0-rc.1", "1.10", "latest", "main"] {
        published.tag(tag);
    }
    let verdict = published.judged("", 0);
    let source = verdict["baseline"]["source"].as_str().unwrap();
    assert!(source.contains("acme/m:1.10.0@sha256:"), "{source}");
    // The configuration names it, and a small letter is what registries know.
    let named = format!("oci://{}/Acme/M", fake.address());
    set_gate(project, &format!("baseline = \"{named}\""));
    let said = project.run("gate", &[], 0);
    assert!(
        said.stderr.contains("acme/m:1.10.0@sha256:"),
        "{}",
        said.stderr
    );
    let verdict = project.json("verdict/verdict.json");
    assert_eq!(verdict["baseline"]["source"], source);
    let to = place(fake, "");
    project.run("publish-image", &["--push", &to, "--tag", "3.0.0"], 0);

    let digest = published.digest("1.0.0");
    let verdict = published.judged(&format!("@{digest}"), 0);
    let expected = format!("image {}@{digest}", place(fake, ""));
    assert_eq!(verdict["baseline"]["source"], expected);
    let absent = Sha256Digest::of(b"nothing");
    let verdict = published.judged(&format!("@{absent}"), 3);
    assert!(
        notes(&verdict).contains("the registry does not have it"),
        "{verdict}"
    );
}

/// A first release has nothing to compare with; a tag that is misspelt is not one.
#[test]
fn what_is_not_published_yet_is_told_apart_from_a_wrong_tag() {
    let published = Published::start(Behaviour::default());
    let Published { project, fake, .. } = &published;
    let verdict = published.judged(":9.9.9", 3);
    assert!(
        notes(&verdict).contains("has no tag `9.9.9`; the highest version there is `1.0.0`"),
        "{verdict}"
    );
    let other = format!("oci://{}/acme/other", fake.address());
    for named in [other.clone(), format!("{other}:1.0.0")] {
        project
            .run("gate", &["--baseline", &named], 0)
            .has_output("No change was judged");
        let verdict = project.json("verdict/verdict.json");
        assert_eq!(verdict["verdict"], "warn");
        assert_eq!(verdict["baseline"], Value::Null);
        let none = read_json(&project.path("trainyard-out/verdict/no-baseline.json"));
        assert_eq!(none["state"], "never_recorded", "{none}");
    }
    // Published by the same verdict, whose rules without a baseline hold.
    let to = place(fake, "");
    let arguments = ["--baseline", &other, "--push", &to, "--tag", "1.1.0"];
    project.run("publish-image", &arguments, 0);
}

#[test]
fn a_place_that_cannot_be_one_is_said_at_once_with_its_line() {
    let project = Project::scored();
    for (named, expected) in [
        ("oci://acme/m:1.0", "names no registry"),
        ("oci://ghcr.io/acme/m:-", "is not a tag"),
        (
            "docker://ghcr.io/acme/m",
            "`oci://ghcr.io/acme/m` for an image",
        ),
    ] {
        project
            .run("gate", &["--baseline", named], 2)
            .has_error(expected);
    }
    set_gate(&project, "baseline = \"oci://acme/m:1.0\"");
    let said = project.run("gate", &[], 2);
    said.has_error("trainyard.toml:");
    said.has_error("`gate.baseline`: `acme/m:1.0` names no registry");
    project.edit("oci://acme/m:1.0", "https://ghcr.io/acme/m");
    let said = project.run("gate", &[], 2);
    said.has_error("trainyard.toml:");
    said.has_error("`oci://ghcr.io/acme/m` for an image");
}

/// One that is attached to the image in `fake` besides.
fn attach(fake: &Fake, subject: &Descriptor, media_type: &str, bytes: &[u8]) {
    let artifact = Artifact {
        media_type: media_type.to_owned(),
        bytes: bytes.to_vec(),
        title: None,
        annotations: BTreeMap::new(),
    };
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).unwrap();
    let attachment = layout.attach(&artifact, subject).unwrap();
    let manifest = layout.read_blob(&attachment.manifest).unwrap();
    let of = |digest: &Sha256Digest| (REPOSITORY.to_owned(), digest.to_string());
    let mut state = fake.state();
    let blob = Sha256Digest::of(bytes);
    state.blobs.insert(of(&blob), bytes.to_vec());
    let place = of(&attachment.manifest.digest);
    state
        .manifests
        .insert(place, (MANIFEST.to_owned(), manifest));
}

fn subject(fake: &Fake, tag: &str) -> Descriptor {
    let digest = fake.tag(REPOSITORY, tag).unwrap();
    let state = fake.state();
    let (media_type, bytes) = &state.manifests[&(REPOSITORY.to_owned(), digest)];
    Descriptor::of(media_type, bytes)
}

#[tokio::test]
async fn an_image_without_an_evaluation_or_with_one_of_another_model_is_not_a_baseline() {
    let published = Published::start(Behaviour::default());
    let Published {
        project,
        fake,
        first,
    } = &published;
    let bare = Fake::start(Behaviour::default());
    push(&bare).await.0.unwrap();
    let named = format!("oci://{}", place(&bare, ":1.0.0"));
    let judged = |code| {
        project.run("gate", &["--baseline", &named], code);
        project.json("verdict/verdict.json")
    };
    let verdict = judged(3);
    assert_eq!(verdict["verdict"], "inconclusive");
    for expected in [
        "acme/m:1.0.0",
        "no evaluation is attached to it; publish that version again",
    ] {
        assert!(notes(&verdict).contains(expected), "{verdict}");
    }
    // What only the list of referrers calls an evaluation is none, nor is one that cannot be read.
    attach(&bare, &subject(&bare, "1.0.0"), "text/plain", b"{}");
    assert!(notes(&judged(3)).contains("no evaluation is attached"));
    attach(
        &bare,
        &subject(&bare, "1.0.0"),
        EVALUATION_MEDIA_TYPE,
        br#"{"accuracy": 1}"#,
    );
    let verdict = judged(3);
    assert!(notes(&verdict).contains("cannot be read"), "{verdict}");

    // The image names its model, so another model's evaluation beside it changes nothing.
    let mut other: Value = serde_json::from_str(first).unwrap();
    other["model"]["digest"] = json!(Sha256Digest::of(b"another model"));
    attach(
        fake,
        &subject(fake, "1.0.0"),
        EVALUATION_MEDIA_TYPE,
        other.to_string().as_bytes(),
    );
    assert_eq!(
        *accuracy_before(&published.judged("", 0)),
        accuracy_in(first)
    );
    // Of two that are both of its model, nothing says which one counts.
    let mut second: Value = serde_json::from_str(first).unwrap();
    second["commit"] = json!("b".repeat(40));
    attach(
        fake,
        &subject(fake, "1.0.0"),
        EVALUATION_MEDIA_TYPE,
        second.to_string().as_bytes(),
    );
    let verdict = published.judged("", 3);
    assert!(
        notes(&verdict).contains("2 different evaluations are attached to it"),
        "{verdict}"
    );
}

/// Bytes that are not those of the digest are never judged by.
#[test]
fn a_damaged_evaluation_is_never_green() {
    let published = Published::start(Behaviour::default());
    let key = (
        REPOSITORY.to_owned(),
        Sha256Digest::of(published.first.as_bytes()).to_string(),
    );
    let damaged = published.first.replace("0.", "0.9");
    assert!(
        published
            .fake
            .state()
            .blobs
            .insert(key, damaged.into_bytes())
            .is_some()
    );
    let verdict = published.judged("", 3);
    assert_eq!(verdict["verdict"], "inconclusive");
    assert!(notes(&verdict).contains("does not allow"), "{verdict}");
    let arguments = ["--push", &*place(&published.fake, ""), "--tag", "1.1.0"];
    published.project.run("publish-image", &arguments, 3);
}

#[test]
fn a_registry_that_is_down_or_refuses_is_inconclusive_unless_the_configuration_allows_it() {
    let published = Published::start(Behaviour::default());
    let project = &published.project;
    // Bound and given up at once: nothing listens there.
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let named = format!("oci://{nobody}/acme/m");
    project.run("gate", &["--baseline", &named], 3);
    let verdict = project.json("verdict/verdict.json");
    assert_eq!(verdict["verdict"], "inconclusive");
    assert!(
        notes(&verdict).contains(&format!("cannot reach `{nobody}`")),
        "{verdict}"
    );

    let refused = || {
        let answer = crate::registry::says("403 Forbidden", "");
        let faults = &mut published.fake.state().behaviour.faults;
        faults.push(("GET /v2/acme/m/tags/list", answer));
    };
    refused();
    let verdict = published.judged("", 3);
    assert!(
        notes(&verdict).contains("give the user the right to read"),
        "{verdict}"
    );
    set_gate(project, "on_missing_baseline = \"absolute-only\"");
    refused();
    let verdict = published.judged("", 0);
    assert_eq!(verdict["verdict"], "warn");
}

/// Rules that need rows find none beside the evaluation, and say so; accuracy needs only which rows were missed.
#[test]
fn a_published_evaluation_brings_no_predictions() {
    let published = Published::start(Behaviour::default());
    let project = &published.project;
    project.edit("max_drop = 0.9", "max_drop = 0.9\nconfidence = 0.95");
    add_rule(project, "f1_macro", "max_drop = 0.9\nconfidence = 0.95");
    let verdict = published.judged("", 3);
    let decision = |metric: &str| {
        let rules = verdict["rules"].as_array().unwrap().iter();
        let mut of = rules.filter(|rule| {
            rule["comparison"]["key"]["metric"] == metric
                && rule["wanted"].to_string().contains("below")
        });
        of.next().unwrap()["decision"].clone()
    };
    assert_eq!(decision("accuracy"), "pass");
    assert_eq!(decision("f1_macro"), "inconclusive");
    let said = fs::read_to_string(project.path("trainyard-out/verdict/comment.md")).unwrap();
    assert!(
        said.contains("attached to an image has none beside it"),
        "{said}"
    );
}

/// An index has the evaluation itself; where another tool made it, its first image has.
#[test]
fn an_index_is_a_baseline_by_its_own_evaluation_or_that_of_an_image_in_it() {
    let published = Published::start(Behaviour::default());
    let Published { fake, first, .. } = &published;
    let image = subject(fake, "1.0.0");
    let entry = |platform: &str, descriptor: &Descriptor| {
        json!({
            "mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size,
            "platform": { "os": platform, "architecture": platform },
        })
    };
    let attestation = Descriptor::of(MANIFEST, b"an attestation of buildx");
    let index = json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [entry("unknown", &attestation), entry("linux", &image)],
    });
    let bytes = index.to_string().into_bytes();
    let digest = Sha256Digest::of(&bytes).to_string();
    {
        let mut state = fake.state();
        let of = |name: &str| (REPOSITORY.to_owned(), name.to_owned());
        state
            .manifests
            .insert(of(&digest), (INDEX.to_owned(), bytes.clone()));
        state.tags.insert(of("2.0.0"), digest.clone());
    }
    let verdict = published.judged("", 0);
    assert_eq!(*accuracy_before(&verdict), accuracy_in(first));
    let source = verdict["baseline"]["source"].as_str().unwrap();
    assert!(
        source.ends_with(&format!("acme/m:2.0.0@{digest}")),
        "{source}"
    );

    let mut own: Value = serde_json::from_str(first).unwrap();
    let measured = own["measurements"].as_array_mut().unwrap().iter_mut();
    let mut accuracy = measured.filter(|it| it["key"] == json!({"metric": "accuracy"}));
    let accuracy = accuracy.next().unwrap();
    (accuracy["value"], accuracy["interval"]["lower"]) = (json!(0.25), json!(0.2));
    let index = Descriptor::of(INDEX, &bytes);
    attach(
        fake,
        &index,
        EVALUATION_MEDIA_TYPE,
        own.to_string().as_bytes(),
    );
    assert_eq!(*accuracy_before(&published.judged("", 0)), json!(0.25));
}
