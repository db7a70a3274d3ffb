//! `[gate] sequential`: each model that is judged on the same rows makes the next one's proof harder.

use serde_json::{Value, json};

use super::gate::Run;

const CONFIG: &str = "[gate]\nsequential = true\n\n[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.5\nconfidence = 0.95\n";

/// The look that the verdict says after a run with these predictions.
fn look(run: &mut Run, run_id: u64, sha: char, n_wrong: u32) -> Value {
    run.push_commit(sha);
    run.project.write("trainyard.toml", CONFIG);
    run.evaluate("id", 300, n_wrong, "trainyard-out");
    run.gate(run_id, &["--start"], 0);
    run.gate(run_id, &[], 0);
    run.project.json("verdict/verdict.json")["rules"][0]["look"]["number"].clone()
}

#[test]
fn each_other_model_on_the_same_rows_is_one_more_look() {
    let mut run = Run::of_pull_request("looks");
    assert_eq!(look(&mut run, 1, 'b', 30), 1);
    assert_eq!(look(&mut run, 2, 'c', 31), 2);
    // The same model again, of the same commit and of another one.
    assert_eq!(look(&mut run, 3, 'c', 31), 2);
    assert_eq!(look(&mut run, 4, 'd', 31), 2);
    assert_eq!(look(&mut run, 5, 'e', 32), 3);
    let reason = &run.project.json("verdict/verdict.json")["rules"][0]["reason"];
    let reason = reason.as_str().unwrap();
    assert!(
        reason.ends_with("; look 3 at these rows, so one end is judged at 0.20833 %"),
        "{reason}"
    );
    // A force-push to an earlier state: the comment carries the count on.
    run.payload["pull_request"]["head"]["sha"] = json!("f".repeat(40));
    assert_eq!(look(&mut run, 6, '1', 33), 4);
    // In the comment nothing is to be seen of it.
    let body = run.repository.bodies().remove(0);
    assert!(
        body.lines()
            .last()
            .unwrap()
            .starts_with("[trainyard-looks]: #")
    );
}

#[test]
fn looks_that_cannot_be_read_leave_the_rule_unjudged() {
    let mut run = Run::of_pull_request("looks-unread");
    run.api = super::Api::Direct;
    assert_eq!(look(&mut run, 1, 'b', 30), 1);
    run.repository.prepare(&json!({ "fault": {
        "method": "GET", "path": "issues", "status": 403, "times": 9,
    } }));
    run.evaluate("id", 300, 31, "trainyard-out");
    run.gate(2, &[], 3)
        .has_output("how many models were judged on these rows before is not known");
}
