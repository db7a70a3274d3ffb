//! `sequential = "fresh-rows"`: on GitHub the evidence goes from run to run in the check and the comment.

use serde_json::json;

use super::gate::Run;

const CONFIG: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.02\nconfidence = 0.95\nsequential = \"fresh-rows\"\n";

/// A hundred rows of `night`, of which the `n_wrong` that come first are wrong; scored with the model whose digest ends so.
fn scored(run: &Run, night: &str, n_wrong: u32, model: char, out: &str) {
    run.evaluate(night, 100, n_wrong, out);
    // As `evaluate --model` writes it; predictions alone do not say which model they are of.
    let path = run.project.path(out).join("evaluation/evaluation.json");
    let mut evaluation = crate::project::read_json(&path);
    evaluation["model"]["digest"] = json!(format!("sha256:{}", model.to_string().repeat(64)));
    std::fs::write(path, evaluation.to_string()).unwrap();
}

/// What the rule says of a night on which the new model misses five rows more.
fn reason(run: &mut Run, run_id: u64, sha: char, night: &str, model: char) -> String {
    run.push_commit(sha);
    run.project.write("trainyard.toml", CONFIG);
    scored(run, night, 5, model, "trainyard-out");
    scored(run, night, 0, '0', "old");
    run.gate(run_id, &["--start"], 0);
    let baseline = ["--baseline", "old/evaluation/evaluation.json"];
    run.gate(run_id, &baseline, 0);
    let verdict = run.project.json("verdict/verdict.json");
    verdict["rules"][0]["reason"].as_str().unwrap().to_owned()
}

#[test]
fn the_evidence_goes_from_push_to_push() {
    let mut run = Run::of_pull_request("fresh-rows");
    // The model that the project trained is none of these.
    std::fs::remove_dir_all(run.project.path("trainyard-out/model")).unwrap();
    let first = reason(&mut run, 1, 'b', "monday", '1');
    assert!(first.contains("of 100 fresh rows in 1 set"), "{first}");
    let second = reason(&mut run, 2, 'd', "tuesday", '1');
    assert!(second.contains("of 200 fresh rows in 2 sets"), "{second}");
    // The same rows again, on the same commit.
    let again = reason(&mut run, 3, 'd', "tuesday", '1');
    assert!(
        again.contains("200 fresh rows in 2 sets") && again.contains("add nothing"),
        "{again}"
    );
    // A force-push: the comment carries the evidence on.
    run.payload["pull_request"]["head"]["sha"] = json!("f".repeat(40));
    let other = reason(&mut run, 4, 'e', "wednesday", '2');
    assert!(
        other.contains("in 1 set")
            && other.contains(
                "begun anew: this is another model than in the evidence of 2 sets before"
            ),
        "{other}"
    );
    // In the comment nothing is to be seen of it.
    let body = run.repository.bodies().remove(0);
    assert!(
        body.lines()
            .last()
            .unwrap()
            .starts_with("[trainyard-fresh-rows]: #")
    );
}
