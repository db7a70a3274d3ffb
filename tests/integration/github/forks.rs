//! What a fork's run computed, reported by a `workflow_run` job that trusts nothing of it.

use serde_json::{Value, json};

use super::gate::{Run, check_with};
use crate::project::Said;

const NAME: &str = "trainyard / mnist (fork, unverified)";

/// The job that reports on the run of `mallory`'s fork, whose artifact lies in `fork`.
fn of_fork(name: &'static str) -> Run {
    let mut run = Run::of_pull_request(name).with_history();
    run.event = "workflow_run";
    run.payload = json!({
        "workflow_run": {
            "head_sha": "b".repeat(40),
            "head_branch": "main",
            "head_repository": { "full_name": format!("mallory/{name}") },
            "pull_requests": [],
            "actor": { "login": "mallory" },
        },
        "repository": run.payload["repository"],
    });
    run.repository
        .prepare(&json!({ "merge_base": "a".repeat(40), "pulls": [request(name, "b")] }));
    std::fs::rename(run.project.path("trainyard-out"), run.project.path("fork")).unwrap();
    run
}

/// Judges the artifact.
#[track_caller]
fn report(run: &Run, run_id: u64, code: i32) -> Said {
    run.gate(run_id, &["--evaluation", "fork/evaluation"], code)
}

/// The pull request of `mallory`'s branch `main`, whose newest commit is all `digit`.
fn request(name: &str, digit: &str) -> Value {
    json!({
        "number": 7, "head_repository": format!("mallory/{name}"), "head_branch": "main",
        "head_sha": digit.repeat(40), "base_branch": "main", "base_sha": "a".repeat(40),
    })
}

/// Name, conclusion, and whether it can be a baseline, of each check.
fn checks(run: &Run) -> Vec<(String, String, bool)> {
    let state = run.repository.state();
    assert_eq!(
        state["comments"],
        json!([]),
        "a fork's numbers get no comment"
    );
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    state["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| {
            let has_record = !check["output"]["text"].is_null();
            (text(&check["name"]), text(&check["conclusion"]), has_record)
        })
        .collect()
}

fn seen(conclusion: &str) -> (String, String, bool) {
    (NAME.to_owned(), conclusion.to_owned(), false)
}

/// Changes the evaluation as its author likes.
fn forge(run: &Run, change: impl FnOnce(&mut Value)) {
    let path = run.project.path("fork/evaluation/evaluation.json");
    let mut evaluation: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut evaluation);
    std::fs::write(path, evaluation.to_string()).unwrap();
}

#[test]
fn a_pass_is_never_green_a_fail_is_red_and_neither_is_a_baseline() {
    let run = of_fork("forged");
    report(&run, 1, 0);
    assert_eq!(checks(&run), [seen("neutral")]);
    run.project.edit("min = 0.5", "min = 0.9999");
    report(&run, 2, 1);
    // The later verdict stands in the same check.
    assert_eq!(checks(&run), [seen("failure")]);
}

#[test]
fn a_forged_verdict_is_worked_out_anew() {
    let run = of_fork("verdict");
    report(&run, 1, 0);
    // The artifact's verdict says pass, and brings a baseline of its own; the base branch's rules are stricter.
    let forged = std::fs::read(run.project.path("trainyard-out/verdict/verdict.json")).unwrap();
    run.project.edit("min = 0.5", "min = 0.9999");
    for folder in ["fork", "trainyard-out"] {
        run.project
            .write(&format!("{folder}/verdict/verdict.json"), &forged);
        run.project
            .write(&format!("{folder}/verdict/baseline.json"), "{}");
    }
    report(&run, 2, 1);
    assert_eq!(checks(&run).pop(), Some(seen("failure")));
    assert!(
        !run.project
            .path("trainyard-out/verdict/baseline.json")
            .exists()
    );
}

#[test]
fn forged_numbers_stay_unverified_under_the_configured_name() {
    let run = of_fork("numbers");
    forge(&run, |evaluation| {
        evaluation["model"]["name"] = json!("letters");
        for metric in evaluation["measurements"].as_array_mut().unwrap() {
            metric["value"] = json!(1.0);
            if let Some(interval) = metric.get_mut("interval") {
                interval["upper"] = json!(1.0);
            }
        }
    });
    report(&run, 1, 0);
    assert_eq!(checks(&run), [seen("neutral")]);
    let state = run.repository.state();
    let summary = state["checks"][0]["output"]["summary"].as_str().unwrap();
    assert!(
        summary.contains("nothing here has verified them"),
        "{summary}"
    );
    assert!(!summary.contains("letters"), "{summary}");
}

#[test]
fn the_number_of_a_check_in_the_artifact_is_not_believed() {
    let run = of_fork("number");
    let base = "a".repeat(40);
    run.repository
        .prepare(&json!({ "checks": [check_with("the branch's own", "github-actions", &base)] }));
    let target = run.repository.state()["checks"][0]["id"].clone();
    run.project.write(
        "trainyard-out/check.json",
        json!({ "id": target, "head_sha": "b".repeat(40), "external_id": "mnist:1.1", "app": "mallory" })
            .to_string(),
    );
    report(&run, 1, 0);
    let state = run.repository.state();
    assert_eq!(state["checks"][0]["output"]["text"], "the branch's own");
    assert_eq!(state["checks"][0]["name"], "trainyard / mnist (baseline)");
    assert_eq!(state["checks"][1]["name"], NAME);
}

#[cfg(unix)]
#[test]
fn an_artifact_with_a_link_is_not_read() {
    let run = of_fork("link");
    let path = run.project.path("fork/evaluation/evaluation.json");
    let elsewhere = run.project.path("elsewhere.json");
    std::fs::rename(&path, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    report(&run, 1, 3);
    assert_eq!(checks(&run), [seen("failure")]);
    let state = run.repository.state();
    let summary = state["checks"][0]["output"]["summary"].as_str().unwrap();
    assert!(summary.contains("is not a plain file"), "{summary}");

    // Nor is anything written where the artifact could lead it elsewhere.
    std::os::unix::fs::symlink(run.project.path(""), run.project.path("trainyard-out/x")).unwrap();
    report(&run, 2, 3).has_error("nothing is written to `trainyard-out`");
}

#[test]
fn a_run_that_left_nothing_is_reported_as_red() {
    let run = of_fork("crashed");
    std::fs::remove_dir_all(run.project.path("fork")).unwrap();
    report(&run, 1, 3);
    assert_eq!(checks(&run), [seen("failure")]);
}

#[test]
fn hostile_names_neither_ping_nor_break_out() {
    let run = of_fork("names");
    let hostile = "@everyone </details> | ![x](https://evil.example/x.png) ::set-output name=x::y";
    forge(&run, |evaluation| {
        let measurements = evaluation["measurements"].as_array_mut().unwrap();
        let n = measurements.len();
        measurements[n - 1]["key"]["class"] = json!(hostile);
        measurements[n - 2]["key"]["class"] = json!("x".repeat(1 << 20));
        measurements[0]["key"]["metric"] = json!(format!("{hostile}\n# heading"));
    });
    let said = report(&run, 1, 3);
    assert!(
        !said
            .stdout
            .lines()
            .any(|line| line.starts_with("::set-output")),
        "{}",
        said.stdout
    );
    let state = run.repository.state();
    let check = &state["checks"][0];
    let summary = check["output"]["summary"].as_str().unwrap();
    for forbidden in ["@everyone", "![x](", "\n# heading", "| ![", "</details> |"] {
        assert!(!summary.contains(forbidden), "{forbidden}\n{summary}");
    }
    assert!(summary.len() < 65_536);
    assert!(check["output"]["title"].as_str().unwrap().len() < 300);
}

#[test]
fn nothing_is_written_for_a_commit_that_is_not_the_newest_or_has_no_request() {
    let run = of_fork("outdated");
    run.repository
        .prepare(&json!({ "pulls": [request("outdated", "d")] }));
    report(&run, 1, 0).has_error("has a newer commit");
    assert_eq!(checks(&run), []);

    let run = of_fork("elsewhere");
    // The same owner and branch, in another repository: GitHub's filter does not tell them apart.
    let mut other = request("elsewhere", "b");
    other["head_repository"] = json!("mallory/another");
    run.repository.prepare(&json!({ "pulls": [other] }));
    report(&run, 1, 0).has_error("no open pull request has this commit");
    assert_eq!(checks(&run), []);
}

#[test]
fn dependabots_run_takes_the_same_path() {
    let mut run = of_fork("dependabot");
    run.payload["workflow_run"]["head_repository"]["full_name"] = json!("acme/dependabot");
    run.payload["workflow_run"]["actor"]["login"] = json!("dependabot[bot]");
    run.payload["workflow_run"]["pull_requests"] = json!([{ "number": 7 }]);
    let mut own = request("dependabot", "b");
    own["head_repository"] = json!("acme/dependabot");
    run.repository.prepare(&json!({ "pulls": [own] }));
    report(&run, 1, 0);
    assert_eq!(checks(&run), [seen("neutral")]);
}

#[test]
fn an_override_does_not_turn_a_fork_green() {
    let run = of_fork("overridden");
    run.project.edit("min = 0.5", "min = 0.9999");
    run.repository.prepare(&json!({
        "permissions": { "maria": "admin" },
        "comments": [{
            "issue": 7, "login": "maria", "type": "User",
            "body": format!("/trainyard override {} fine", "b".repeat(40)),
        }],
    }));
    report(&run, 1, 1);
    let state = run.repository.state();
    assert_eq!(state["checks"][0]["conclusion"], "failure");
    assert_eq!(state["comments"].as_array().unwrap().len(), 1);
}
