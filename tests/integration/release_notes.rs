//! What readers of a release are told: the notes and the model card that `publish-image` writes for a release tag.

use std::fs;

use serde_json::json;
use trainyard_core::config::Config;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::gate::Verdict;
use trainyard_core::model::ModelManifest;
use trainyard_core::publication::Publication;
use trainyard_core::report::{Release, model_card, release_notes};

use crate::project::{Project, Said};
use crate::registry::{Behaviour, Fake};
use crate::support::repository;

/// Publishes in a run of this git tag.
#[track_caller]
fn publish(project: &Project, fake: &Fake, tag: &str, arguments: &[&str]) -> Said {
    let to = format!("{}/acme/m", fake.address());
    let reference = format!("refs/tags/{tag}");
    project.write("event.json", json!({ "ref": reference }).to_string());
    let mut publish = project.stage("publish-image", &["--push", &to]);
    publish
        .args(arguments)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "push")
        .env("GITHUB_EVENT_PATH", project.path("event.json"))
        .env("GITHUB_REF", &reference)
        .env("GITHUB_REF_NAME", tag)
        .env("GITHUB_REF_TYPE", "tag")
        .env("GITHUB_REPOSITORY", "acme/m")
        .env(
            "GITHUB_WORKFLOW_REF",
            format!("acme/m/.github/workflows/model.yml@{reference}"),
        );
    Said::of(&mut publish, 0)
}

/// Version 1.0.0, then 1.1.0 judged by it.
pub(crate) fn released() -> Project {
    let fake = Fake::start(Behaviour::default());
    let project = Project::passed();
    publish(&project, &fake, "v1.0.0", &[]);
    project.edit(
        "[image]\n",
        "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.9\n\n[image]\nlicenses = \"Apache-2.0\"\n",
    );
    // What Markdown reads as its own is text here.
    project.edit(
        "title = \"MNIST digits\"",
        "title = \"MNIST: digits # \\\"|`\"",
    );
    let named = format!("oci://{}/acme/m", fake.address());
    project.run("gate", &["--baseline", &named], 0);
    publish(&project, &fake, "v1.1.0", &["--baseline", &named]);
    project
}

fn file(project: &Project, name: &str) -> String {
    fs::read_to_string(project.path("trainyard-out/image").join(name)).unwrap()
}

/// What the files of a release say, changed in memory and rendered again.
pub(crate) struct Parts {
    pub(crate) manifest: ModelManifest,
    pub(crate) verdict: Verdict,
    pub(crate) evaluation: Evaluation,
    pub(crate) publication: Publication,
    pub(crate) config: Config,
}

impl Parts {
    pub(crate) fn of(project: &Project) -> Self {
        let read = |path: &str| project.json(path);
        Self {
            manifest: serde_json::from_value(read("model/model.json")).unwrap(),
            verdict: serde_json::from_value(read("verdict/verdict.json")).unwrap(),
            evaluation: serde_json::from_value(read("evaluation/evaluation.json")).unwrap(),
            publication: serde_json::from_value(read("image/publication.json")).unwrap(),
            config: Config::read(&project.path("trainyard.toml")).unwrap(),
        }
    }

    fn release<'a>(&'a self, run_url: Option<&'a str>) -> Release<'a> {
        Release {
            version: "1.1.0",
            manifest: &self.manifest,
            verdict: &self.verdict,
            baseline_source: None,
            evaluation: &self.evaluation,
            publication: &self.publication,
            config: &self.config,
            run_url,
        }
    }

    pub(crate) fn model_card(&self, run_url: &str) -> String {
        model_card(&self.release(Some(run_url)))
    }
}

#[test]
fn a_release_has_notes_with_its_metrics_beside_those_of_the_baseline() {
    let project = released();
    let notes = file(&project, "release-notes.md");
    let publication = project.json("image/publication.json");
    let image = publication["destinations"][0]["image"].as_str().unwrap();
    for expected in [
        "### ✅ Pass · mnist 1.1.0 — accuracy **0.",
        "| Metric | Baseline | This release | 95 % interval | Change | Rule | Verdict |",
        "no more than 0.9 below the baseline",
        "\nCompared with image ",
        "/acme/m\\:1.0.0",
        &format!("| Image | `{image}` |"),
        "| Tags | `1.1.0`, `1.1`, `1`, `latest` |",
        &format!("docker run --rm --publish 8080:8080 {image}"),
    ] {
        assert!(notes.contains(expected), "`{expected}` is not in\n{notes}");
    }
    // Nothing is signed, so there is nothing to verify.
    assert!(!notes.contains("trainyard-verify"), "{notes}");

    let parts = Parts::of(&project);
    let whole = release_notes(&parts.release(None), usize::MAX);
    let n_chars = whole.chars().count();
    let short = release_notes(&parts.release(None), n_chars - 1);
    assert!(short.chars().count() < n_chars, "{short}");
    assert!(
        short.contains("size limit: metrics. `release-notes.md`, beside the image, has them.")
            && short.contains(image)
            && !short.contains("| Metric |"),
        "{short}"
    );

    // An image of no release has neither file, and not those of the release before.
    project.run("publish-image", &[], 0);
    for name in ["release-notes.md", "model-card.md"] {
        assert!(!project.path("trainyard-out/image").join(name).exists());
    }
}

#[test]
fn a_signed_release_says_how_to_verify_it() {
    let project = Project::passed();
    let fake = Fake::start(Behaviour::default());
    let key = repository().join("crates/attest/fixtures/p256.pem");
    publish(&project, &fake, "v1.0.0", &["--key", key.to_str().unwrap()]);
    let notes = file(&project, "release-notes.md");
    let publication = project.json("image/publication.json");
    let fingerprint = publication["signing_key"].as_str().unwrap();
    for expected in [
        &format!("the public key whose fingerprint is `{fingerprint}`"),
        "\ntrainyard-verify --key signing.pub 127.0.0.1:",
    ] {
        assert!(notes.contains(expected), "{notes}");
    }
    // Without a baseline, no column of one.
    assert!(
        notes.contains("| Metric | This release | 95 % interval | Rule | Verdict |"),
        "{notes}"
    );
}

#[test]
fn a_model_card_begins_with_the_hubs_metadata() {
    let project = released();
    let card = file(&project, "model-card.md");
    for expected in [
        "---\nlicense: apache-2.0\nlibrary_name: trainyard\npipeline_tag: image-classification\n",
        "model-index:\n- name: \"mnist\"\n  results:\n  - task:\n      type: image-classification\n",
        "    - type: \"accuracy\"\n      value: 0.",
        "    - type: \"f1\"\n",
        "        average: macro\n",
        "\n# MNIST: digits \\# \"\\|\\`\n",
        "| Classes | 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 |",
    ] {
        assert!(card.contains(expected), "`{expected}` is not in\n{card}");
    }
}
