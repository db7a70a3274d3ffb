//! Two open pull requests of one head commit under one name: the worse verdict stands.

use serde_json::{Value, json};

use super::gate::{Run, override_comment};

/// Judges pull request `number` of the head that all of them have.
fn judge(run: &mut Run, number: u64, run_id: u64, min: &str, code: i32) -> Value {
    open(run, number, run_id, min);
    run.gate(run_id, &[], code);
    check(run)
}

/// Opens the check of pull request `number`.
fn open(run: &mut Run, number: u64, run_id: u64, min: &str) {
    run.payload["pull_request"]["number"] = json!(number);
    let config = std::fs::read_to_string(run.project.path("trainyard.toml")).unwrap();
    let now = config.lines().find(|line| line.starts_with("min = "));
    run.project.edit(now.unwrap(), &format!("min = {min}"));
    run.gate(run_id, &["--start"], 0);
}

fn check(run: &Run) -> Value {
    let checks = run.repository.state()["checks"].clone();
    assert_eq!(checks.as_array().unwrap().len(), 1, "{checks}");
    checks[0].clone()
}

fn pull(run: &Run, number: u64, key: &str, value: &str) {
    let mut pull = json!({
        "number": number, "head_repository": format!("acme/{}", run.repository.name),
        "head_branch": "change", "head_sha": "b".repeat(40), "base_branch": "main", "base_sha": "a".repeat(40),
    });
    pull[key] = json!(value);
    run.repository.prepare(&json!({ "pulls": [pull] }));
}

/// The second one's green once hid the first one's red.
#[test]
fn a_green_pull_request_does_not_hide_a_red_one_of_the_same_head() {
    let mut run = Run::of_pull_request("one-head").with_history();
    pull(&run, 7, "state", "open");
    judge(&mut run, 7, 1, "0.9999", 1);
    let seen = judge(&mut run, 8, 2, "0.5", 0);
    assert_eq!(seen["conclusion"], "failure");
    let title = seen["output"]["title"].as_str().unwrap();
    assert!(
        title.starts_with("Pull request #7: fail; this one: Pass · mnist"),
        "{title}"
    );
    let summary = seen["output"]["summary"].as_str().unwrap();
    assert!(
        summary.starts_with("> Pull request #7 has the same head commit"),
        "{summary}"
    );

    // Mended, the first one is green, and so is the name.
    assert_eq!(judge(&mut run, 7, 3, "0.5", 0)["conclusion"], "success");

    // Both run at a time, and the red one ends first.
    open(&mut run, 7, 4, "0.9999");
    let check_of_7 = std::fs::read(run.project.path("trainyard-out/check.json")).unwrap();
    open(&mut run, 8, 5, "0.5");
    let check_of_8 = std::fs::read(run.project.path("trainyard-out/check.json")).unwrap();
    for (number, run_id, min, started, code) in [
        (7, 4, "0.9999", &check_of_7, 1),
        (8, 5, "0.5", &check_of_8, 0),
    ] {
        run.payload["pull_request"]["number"] = json!(number);
        let other = if code == 1 { "0.5" } else { "0.9999" };
        run.project
            .edit(&format!("min = {other}"), &format!("min = {min}"));
        run.project.write("trainyard-out/check.json", started);
        run.gate(run_id, &[], code);
    }
    assert_eq!(check(&run)["conclusion"], "failure");

    // It is of another name, has another head or is closed by now: it has no say any more.
    for (key, value) in [
        ("base_branch", "lenient"),
        ("head_sha", "an older one"),
        ("state", "closed"),
    ] {
        pull(&run, 7, "state", "open");
        judge(&mut run, 7, 6, "0.9999", 1);
        pull(&run, 7, key, value);
        let seen = judge(&mut run, 8, 7, "0.5", 0);
        assert_eq!(seen["conclusion"], "success", "{key}");
    }
}

#[test]
fn a_red_pull_request_that_a_person_let_through_does_not_turn_another_red() {
    let mut run = Run::of_pull_request("one-head-overridden").with_history();
    pull(&run, 7, "state", "open");
    let text = format!("/trainyard override {} known drift", "b".repeat(40));
    run.repository.prepare(&json!({
        "permissions": { "maria": "write" },
        "comments": [override_comment("maria", "User", &text)],
    }));
    judge(&mut run, 7, 1, "0.9999", 0);
    assert_eq!(judge(&mut run, 8, 2, "0.5", 0)["conclusion"], "success");
    // The comment is on the first one alone.
    assert_eq!(judge(&mut run, 8, 3, "0.9999", 1)["conclusion"], "failure");
}
