//! A published image as the baseline beside the records on GitHub: which of the two is asked.

use serde_json::{Value, json};

use super::gate::{Run, check_with, record};
use crate::registry::{Behaviour, Fake};

/// A run whose configuration names the image that its model was published as, and its registry.
fn run(name: &'static str) -> (Run, Fake) {
    let run = Run::of_pull_request(name).with_history();
    let fake = Fake::start(Behaviour::default());
    run.project.run("gate", &[], 0);
    let to = format!("{}/acme/m", fake.address());
    let publish = ["--push", &*to, "--tag", "1.0.0"];
    run.project.run("publish-image", &publish, 0);
    run.project.edit(
        "# Judged by",
        &format!("[gate]\nbaseline = \"oci://{to}\"\n\n# Judged by"),
    );
    run.project.edit(
        "[image]\n",
        "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.9\n\n[image]\n",
    );
    fake.state().requests.clear();
    (run, fake)
}

fn verdict(run: &Run) -> Value {
    run.project.json("verdict/verdict.json")
}

fn source(run: &Run) -> String {
    verdict(run)["baseline"]["source"].to_string()
}

#[test]
fn a_record_on_github_is_nearer_than_a_published_image_unless_an_option_names_that() {
    let (run, fake) = run("published-record");
    let text = record(&run, 0.5);
    let check = check_with(&text, "github-actions", &"a".repeat(40));
    run.repository.prepare(&json!({ "checks": [check] }));
    run.gate(1, &["--no-check"], 0);
    assert!(source(&run).contains("commit aaaaaaa"), "{}", source(&run));
    assert_eq!(fake.state().requests.len(), 0);
    let kept = run.project.json("verdict/baseline.json");
    assert_eq!(kept["commit"], "a".repeat(40));

    let named = format!("oci://{}/acme/m:1.0.0", fake.address());
    run.gate(2, &["--no-check", "--baseline", &named], 0);
    assert!(
        source(&run).contains("acme/m:1.0.0@sha256:"),
        "{}",
        source(&run)
    );
    let kept = run.project.json("verdict/baseline.json");
    assert!(kept["model"].is_object(), "the evaluation, not the record");
}

#[test]
fn the_published_image_is_asked_where_no_commit_has_a_record() {
    let (run, _fake) = run("published-first");
    run.gate(1, &["--no-check"], 0);
    assert!(
        source(&run).contains("acme/m:1.0.0@sha256:"),
        "{}",
        source(&run)
    );
    let body = run.repository.bodies().remove(0);
    assert!(
        body.contains(
            "No earlier commit has a record that counts, so the baseline is a published image."
        ),
        "{body}"
    );
}

/// A nearer baseline may exist: an older one does not take its place.
#[test]
fn a_search_that_failed_is_not_gone_on_with_in_the_registry() {
    let (mut run, fake) = run("published-failed");
    run.api = super::Api::Direct;
    run.repository.fault(json!({
        "path": "graphql", "status": 403, "message": "Resource not accessible", "times": 100,
    }));
    run.repository.fault(json!({
        "path": "/commits", "status": 403, "message": "Resource not accessible", "times": 100,
    }));
    run.gate(1, &["--no-check"], 3);
    assert_eq!(verdict(&run)["verdict"], "inconclusive");
    assert_eq!(fake.state().requests.len(), 0);
}

/// A release is not compared with itself, when its tag is judged again, nor with a later one.
#[test]
fn a_release_is_compared_with_the_highest_version_below_it() {
    let (mut run, fake) = run("published-release");
    let digest = fake.tag("acme/m", "1.0.0").unwrap();
    for tag in ["0.9.0", "2.0.0"] {
        let key = ("acme/m".to_owned(), tag.to_owned());
        fake.state().tags.insert(key, digest.clone());
    }
    run.event = "push";
    run.reference = "refs/tags/v1.0.0";
    run.payload = json!({
        "ref": run.reference, "before": "0".repeat(40), "after": "c".repeat(40),
        "repository": run.payload["repository"],
    });
    run.gate(1, &["--no-check"], 0);
    assert!(
        source(&run).contains("acme/m:0.9.0@sha256:"),
        "{}",
        source(&run)
    );
}
