//! The legs of a matrix joined into one comment and one check: never green while one leg is red or missing.

use serde_json::{Value, json};

use super::gate::Run;
use crate::project::Said;

/// A leg's run in the same job: its verdict lies as its artifact would hold it.
fn leg(run: &Run, name: &str, accuracy: f64, code: i32) {
    leg_in(run, &format!("out-{name}"), name, accuracy, &[], code);
}

/// The same, in this artifact's folder.
fn leg_in(run: &Run, folder: &str, name: &str, accuracy: f64, others: &[&str], code: i32) {
    let config = format!("{name}.toml");
    run.project.write(
        &config,
        "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.9\n",
    );
    run.project
        .write("metrics.json", json!({ "accuracy": accuracy }).to_string());
    let out = format!("legs/{folder}/trainyard-out");
    let mut arguments = vec![
        "--config",
        &config,
        "--name",
        name,
        "--metrics",
        "metrics.json",
        "--out",
        &out,
        "--comment",
        "never",
    ];
    arguments.extend(others);
    run.gate(200, &arguments, code);
}

fn join(run: &Run, legs: &str, code: i32) -> Said {
    run.gate(200, &["--join", "legs", "--legs", legs], code)
}

fn joined_check(run: &Run) -> Option<Value> {
    let state = run.repository.state();
    let checks = state["checks"].as_array().unwrap().clone();
    checks
        .into_iter()
        .find(|check| check["name"] == "trainyard")
}

#[test]
fn two_models_have_one_comment_and_one_check() {
    let run = Run::of_pull_request("joined").with_history();
    leg(&run, "digits", 0.97, 0);
    leg(&run, "pets", 0.95, 0);
    let said = join(&run, "digits, pets", 0);
    said.has_output("digits: pass");
    let check = joined_check(&run).unwrap();
    assert_eq!(check["conclusion"], "success");
    assert_eq!(check["head_sha"], "b".repeat(40));
    let bodies = run.repository.bodies();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    for text in [
        "### ✅ Pass · all 2 models",
        "| digits | ✅ Pass | accuracy |  | 0.97 |",
        "| pets | ✅ Pass | accuracy |",
    ] {
        assert!(bodies[0].contains(text), "{text} is not in {}", bodies[0]);
    }
    // Each leg keeps a check of its own.
    let state = run.repository.state();
    let names: Vec<&Value> = state["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| &check["name"])
        .collect();
    assert_eq!(
        names,
        ["trainyard / digits", "trainyard / pets", "trainyard"]
    );
}

#[test]
fn one_red_leg_makes_the_whole_red() {
    let run = Run::of_pull_request("joined-red").with_history();
    leg(&run, "digits", 0.97, 0);
    leg(&run, "pets", 0.5, 1);
    join(&run, "digits,pets", 1);
    assert_eq!(joined_check(&run).unwrap()["conclusion"], "failure");
    let body = &run.repository.bodies()[0];
    assert!(body.contains("### ❌ Fail · 1 of 2 models"), "{body}");
    // The worst comes first.
    assert!(body.find("| pets |") < body.find("| digits |"), "{body}");
}

/// A leg that never ran would not be missed by a list of what is there.
#[test]
fn a_leg_that_is_missing_or_of_another_commit_is_inconclusive() {
    let mut run = Run::of_pull_request("joined-missing").with_history();
    leg(&run, "digits", 0.97, 0);
    let said = join(&run, "digits, pets", 3);
    said.has_output("pets: no verdict: there is none in `legs`");
    assert_eq!(joined_check(&run).unwrap()["conclusion"], "failure");
    // One that nobody asked for is a mistake in the list.
    leg(&run, "pets", 0.95, 0);
    leg(&run, "letters", 0.95, 0);
    join(&run, "digits, pets", 3).has_output("letters: no verdict: `--legs` does not name it");
    // An artifact of an earlier run.
    run.payload["pull_request"]["head"]["sha"] = json!("d".repeat(40));
    join(&run, "digits, pets, letters", 3).has_output("the one there is of commit bbbb");
    run.gate(200, &["--join", "legs", "--legs", " , "], 2)
        .has_error("needs `--legs`");
    run.gate(200, &["--join", "legs", "--legs", "a,a"], 2)
        .has_error("a name occurs twice");
}

#[test]
fn a_push_joins_under_a_name_that_no_protection_requires() {
    let run = Run::of_push("joined-push", "refs/heads/main");
    leg(&run, "digits", 0.97, 0);
    join(&run, "digits", 0);
    let state = run.repository.state();
    let names = state["checks"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["trainyard / digits (baseline)", "trainyard (baseline)"]
    );
}

/// One per operating system, say: the model's name does not tell them apart, their artifacts do.
#[test]
fn legs_of_one_model_are_named_by_their_artifacts() {
    let run = Run::of_pull_request("joined-alike").with_history();
    for (folder, accuracy, code) in [("linux", 0.97, 0), ("macos", 0.5, 1)] {
        let others = ["--comment-key", folder, "--artifact", "auto"];
        leg_in(&run, folder, "digits", accuracy, &others, code);
        let expected = format!("trainyard-digits+{folder}");
        assert!(run.output().contains(&expected), "{}", run.output());
    }
    join(&run, "linux, macos", 1).has_output("macos: fail");
    join(&run, "digits", 3).has_output("there are several of that name");
}

/// The check of a leg may stay red by another pull request's verdict, and the joined one must not be greener.
#[test]
fn a_leg_whose_check_is_red_all_the_same_keeps_the_joined_check_red() {
    let run = Run::of_pull_request("joined-outweighed").with_history();
    leg(&run, "digits", 0.97, 0);
    run.repository.prepare(&json!({ "checks": [{
        "name": "trainyard / digits", "head_sha": "b".repeat(40),
        "status": "completed", "conclusion": "failure",
    }] }));
    join(&run, "digits", 0);
    let check = joined_check(&run).unwrap();
    assert_eq!(check["conclusion"], "failure");
    assert_eq!(
        check["output"]["title"],
        "Fail · the check `trainyard / digits` of this commit is red"
    );
}

#[test]
fn a_forks_own_run_joins_for_its_summary_alone() {
    let mut run = Run::of_pull_request("joined-fork").with_history();
    run.payload["pull_request"]["head"]["repo"]["full_name"] = json!("mallory/joined-fork");
    leg(&run, "digits", 0.97, 0);
    join(&run, "digits", 0).has_output("digits: pass");
    let state = run.repository.state();
    assert_eq!(
        (&state["checks"], &state["comments"]),
        (&json!([]), &json!([]))
    );
}
