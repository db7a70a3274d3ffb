//! Runs that another run or check started: whose commit they are about, and who judges it.

use serde_json::{Value, json};

use super::gate::Run;

const HEAD: char = 'b';

fn sha(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// A run of `event` about the head of pull request 7, `trainyard.toml` of the base branch prepared.
fn about_head(name: &'static str, event: &'static str, payload: &Value) -> Run {
    let mut run = Run::of_pull_request(name).with_history();
    run.event = event;
    run.payload = json!({ event: payload, "repository": run.payload["repository"] });
    run.repository.prepare(&json!({
        "merge_base": sha('a'),
        "pulls": [{
            "number": 7, "head_repository": format!("acme/{name}"), "head_branch": "change",
            "head_sha": sha(HEAD), "base_branch": "main", "base_sha": sha('a'),
        }],
    }));
    run
}

fn after_run(name: &'static str, started_by: &str) -> Run {
    let payload = json!({
        "event": started_by, "head_sha": sha(HEAD), "head_branch": "change",
        "head_repository": { "full_name": format!("acme/{name}") },
        "pull_requests": [{ "number": 7 }], "actor": { "login": "maria" },
    });
    about_head(name, "workflow_run", &payload)
}

fn names(run: &Run) -> Vec<Value> {
    let state = run.repository.state();
    let checks = state["checks"].as_array().unwrap();
    checks.iter().map(|check| check["name"].clone()).collect()
}

#[test]
fn a_check_run_event_writes_only_on_the_commit_that_is_checked_out() {
    let payload = json!({
        "head_sha": sha(HEAD), "check_suite": { "head_branch": "change" }, "pull_requests": [{ "number": 7 }],
    });
    let run = about_head("check-run", "check_run", &payload);
    run.project.write(".git/HEAD", sha('c'));
    run.gate(1, &["--start"], 0);
    run.gate(1, &[], 0).has_error("is not checked out");
    assert_eq!(run.repository.state()["requests"], json!([]));
    run.project.write(".git/HEAD", sha(HEAD));
    run.gate(2, &[], 0);
    assert_eq!(names(&run), ["trainyard / mnist"]);
}

/// GitHub lists the branch's pull request there too.
#[test]
fn a_run_after_one_by_hand_never_writes_the_required_name() {
    for (name, started_by) in [
        ("after-hand", "workflow_dispatch"),
        ("after-time", "schedule"),
        ("after-push", "push"),
    ] {
        let run = after_run(name, started_by);
        run.gate(1, &[], 0);
        assert_eq!(names(&run), ["trainyard / mnist (scheduled)"], "{name}");
        assert_eq!(run.repository.state()["comments"], json!([]), "{name}");
    }
    let run = after_run("after-request", "pull_request");
    run.gate(1, &[], 0);
    assert_eq!(names(&run), ["trainyard / mnist"]);
}

/// Such a run has the default branch checked out unless it says otherwise, and reads the rules at hand.
#[test]
fn a_run_that_checked_out_the_head_is_judged_by_the_base_branchs_rules() {
    let run = after_run("after-checkout", "pull_request");
    let own = std::fs::read_to_string(run.project.path("trainyard.toml")).unwrap();
    let strict = own.replace("min = 0.5", "min = 0.9999").replace(
        "# Judged by",
        "[gate]\nrules_from = \"base\"\n\n# Judged by",
    );
    run.repository
        .prepare(&json!({ "files": { "main:trainyard.toml": strict } }));
    run.project.write(".git/HEAD", sha(HEAD));
    run.gate(1, &[], 1);
    // The default branch's own, which is what such a run has.
    run.project.write(".git/HEAD", &run.sha);
    run.gate(2, &[], 0);
}
