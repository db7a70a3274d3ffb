//! `gate --if-unchanged`: a change that touches no file of the model needs no training, and is never green by accident.

use serde_json::{Value, json};
use trainyard_core::gate::BaselineRecord;

use super::gate::Run;
use crate::support::repository;

/// A commit of main that was judged, at `a…`.
fn judged(name: &'static str, code: i32) -> Run {
    let mut run = Run::of_push(name, "refs/heads/main");
    run.sha = "a".repeat(40);
    run.payload["after"] = json!(run.sha);
    run.payload["before"] = json!("0".repeat(40));
    with_sources(&run);
    if code != 0 {
        run.project.edit("min = 0.5", "min = 0.999");
    }
    run.gate(100, &[], code);
    run
}

fn with_sources(run: &Run) {
    run.project.write("src/model.py", "");
    run.project
        .edit("[model]\n", "[model]\nsources = [\"src/**\"]\n");
}

/// A pull request that changes these files against `a…`.
fn change(name: &'static str, files: &[&str]) -> Run {
    let run = Run::of_pull_request(name);
    with_sources(&run);
    let range = format!("{}...{}", "a".repeat(40), "c".repeat(40));
    run.repository
        .prepare(&json!({ "changed": { range: files } }));
    run
}

/// What the mode answers.
#[track_caller]
fn answer(run: &Run, run_id: u64) -> bool {
    // The project's data lie outside of its repository, where their changes would not be known.
    let data = repository().join("examples/mnist/data");
    let config = std::fs::read_to_string(run.project.path("trainyard.toml")).unwrap();
    let data = format!("{}/", data.display());
    run.project
        .write("trainyard.toml", config.replace(&data, "data/"));
    run.gate(run_id, &["--if-unchanged"], 0);
    let output = run.output();
    let answers = ["true", "false"].map(|answer| output.contains(&format!("\n{answer}\n")));
    match answers {
        [true, false] => true,
        [false, true] => false,
        _ => panic!("{output}"),
    }
}

/// Name and conclusion of each check on the commit.
fn checks_on(run: &Run, commit: &str) -> Vec<(String, Value)> {
    let state = run.repository.state();
    let checks = state["checks"].as_array().unwrap().clone();
    let of_commit = checks
        .into_iter()
        .filter(|check| check["head_sha"] == commit);
    of_commit
        .map(|check| {
            let name = check["name"].as_str().unwrap().to_owned();
            (name, check["conclusion"].clone())
        })
        .collect()
}

#[test]
fn a_change_of_no_file_of_the_model_keeps_the_verdict() {
    judged("untouched", 0);
    let run = change("untouched", &["README.md", "docs/a.md"]);
    assert!(answer(&run, 200));
    assert_eq!(
        checks_on(&run, &"b".repeat(40)),
        [("trainyard / mnist".to_owned(), json!("success"))]
    );
    let state = run.repository.state();
    let check = &state["checks"][1];
    assert_eq!(
        check["output"]["title"],
        "Pass · mnist: unchanged since aaaaaaa"
    );
    let summary = check["output"]["summary"].as_str().unwrap();
    assert!(summary.contains("| accuracy |"), "{summary}");
    // Nothing to say beside the check, unless a comment said something else.
    assert_eq!(state["comments"], json!([]));
}

#[test]
fn whatever_touches_the_model_is_judged_anew() {
    judged("touched", 0);
    for (run_id, files) in [
        (201, vec!["README.md", "src/model.py"]),
        (202, vec!["trainyard.toml"]),
        (203, vec![".github/workflows/model.yml"]),
    ] {
        let run = change("touched", &files);
        assert!(!answer(&run, run_id), "{files:?}");
        assert_eq!(checks_on(&run, &"b".repeat(40)), []);
    }
    // GitHub lists 300 files at most.
    let many: Vec<String> = (0..300).map(|idx| format!("docs/{idx}.md")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(!answer(&change("touched", &many), 204));
}

#[test]
fn what_is_not_known_or_not_green_is_judged_anew() {
    // No configuration says which files make the model.
    judged("no-sources", 0);
    let run = change("no-sources", &["README.md"]);
    run.project.edit("sources = [\"src/**\"]\n", "");
    assert!(!answer(&run, 201));
    // The last verdict is red.
    judged("red-before", 1);
    assert!(!answer(&change("red-before", &["README.md"]), 201));
    // There is no record.
    let run = change("none-before", &["README.md"]).with_history();
    assert!(!answer(&run, 201));
    // The comparison is refused.
    judged("not-compared", 0);
    let run = change("not-compared", &["README.md"]);
    run.repository.prepare(&json!({ "fault": {
        "method": "GET", "path": "compare", "status": 403, "times": 9,
    } }));
    assert!(!answer(&run, 201));
    // A run at this very commit was red.
    judged("red-here", 0);
    let run = change("red-here", &["README.md"]);
    run.project.edit("min = 0.5", "min = 0.999");
    run.gate(200, &[], 1);
    run.project.edit("min = 0.999", "min = 0.5");
    assert!(!answer(&run, 201));
    assert_eq!(checks_on(&run, &"b".repeat(40))[0].1, json!("failure"));
}

/// Else a later search would have to go back ever farther.
#[test]
fn a_push_copies_the_record_on_and_names_the_commit_measured() {
    judged("copied", 0);
    let run = Run::of_push("copied", "refs/heads/main");
    with_sources(&run);
    let [before, pushed] = ["a", "c"].map(|digit| digit.repeat(40));
    run.repository
        .prepare(&json!({ "changed": { format!("{before}...{pushed}"): ["README.md"] } }));
    assert!(answer(&run, 201));
    let state = run.repository.state();
    let text = state["checks"][1]["output"]["text"].as_str().unwrap();
    let record = BaselineRecord::decode(text).unwrap().unwrap();
    assert_eq!(record.commit, pushed);
    assert_eq!(record.measured_commit, Some(before));
    assert_eq!(
        checks_on(&run, &pushed),
        [("trainyard / mnist (baseline)".to_owned(), json!("success"))]
    );
}

/// A pattern with a spelling mistake would watch nothing, so that every change would be green.
#[test]
fn patterns_that_match_no_file_are_named_and_answer_false() {
    judged("misspelt", 0);
    for pattern in [
        "scr/**",
        "digits/src/**",
        "src/*.{py,txt}",
        "!src/**",
        "SRC/**",
    ] {
        let run = change("misspelt", &["README.md"]);
        run.project.edit("src/**", pattern);
        assert!(!answer(&run, 201), "{pattern}");
        let said = run.gate(201, &["--if-unchanged"], 0);
        said.has_output(&format!("`{pattern}` of `[model] sources`"));
    }
}
