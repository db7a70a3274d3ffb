//! Which rows a change is computed on: what the baseline's run uploaded tells, where its record has no room or the rows
//! are not the same.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use trainyard_core::gate::BaselineRecord;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::Api;
use super::gate::Run;
use crate::project::Said;

const RULES: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.01\n";

/// Predictions of `rows`, of which `wrong` are wrong.
fn predictions(rows: impl IntoIterator<Item = u32>, wrong: &BTreeSet<u32>) -> String {
    let mut text = "row_id,label,predicted\n".to_owned();
    for row in rows {
        let label = row % 3;
        let predicted = (label + u32::from(wrong.contains(&row))) % 3;
        writeln!(text, "id-{row},class-{label},class-{predicted}").unwrap();
    }
    text
}

/// Scores predictions in the run's folder, under a configuration with these settings of `[gate]`.
fn score(run: &Run, settings: &str, predictions: &str) {
    let config = format!("[gate]\n{settings}\n{RULES}");
    run.project.write("trainyard.toml", &config);
    run.project.write("predictions.csv", predictions);
    let arguments = ["--predictions", "predictions.csv", "--name", "pets"];
    run.project.run("evaluate", &arguments, 0);
}

/// Judges and uploads what a run of main does: the artifact of run 100 has `trainyard-out/`.
fn leave_baseline(name: &'static str, predictions: &str, is_uploaded: bool, is_expired: bool) {
    let mut run = Run::of_push(name, "refs/heads/main");
    run.sha = "a".repeat(40);
    run.payload["after"] = json!(run.sha);
    run.payload["before"] = json!("0".repeat(40));
    score(&run, "", predictions);
    let arguments: &[&str] = if is_uploaded {
        &["--artifact", "out"]
    } else {
        &[]
    };
    run.gate(100, arguments, 0);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for file in ["evaluation.json", "predictions.npz"] {
        let bytes = std::fs::read(
            run.project
                .path(&format!("trainyard-out/evaluation/{file}")),
        );
        archive
            .start_file(format!("evaluation/{file}"), SimpleFileOptions::default())
            .unwrap();
        archive.write_all(&bytes.unwrap()).unwrap();
    }
    let archive = STANDARD.encode(archive.finish().unwrap().into_inner());
    run.repository.prepare(&json!({ "artifacts": [
        { "run_id": 100, "name": "out", "expired": is_expired, "archive": archive },
        { "run_id": 101, "name": "out", "archive": "" },
    ] }));
}

/// A pull request with these predictions.
fn change(name: &'static str, settings: &str, predictions: &str, code: i32) -> (Run, Said) {
    let mut run = Run::of_pull_request(name);
    // Prism follows the redirection to the archive itself, and takes that for the answer.
    run.api = Api::Direct;
    score(&run, settings, predictions);
    let said = run.gate(200, &[], code);
    (run, said)
}

/// The everyday case: two more test rows. Every comparing rule was red for ever.
#[test]
fn two_more_test_rows_are_compared_on_those_that_both_have() {
    let wrong: BTreeSet<u32> = (0..300).step_by(10).collect();
    leave_baseline("more-rows", &predictions(0..300, &wrong), true, false);
    // Both new rows are wrong, and no old one more.
    let mut more = wrong.clone();
    more.extend([300, 301]);
    let today = predictions((0..302).rev(), &more);
    let (_, said) = change("more-rows", "", &today, 3);
    said.has_output("scored on other rows (302 rows against 300)");
    let (run, said) = change("more-rows", "compare_rows = \"common\"", &today, 0);
    let verdict = run.project.json("verdict/verdict.json");
    let reason = &verdict["rules"][0]["reason"];
    assert_eq!(
        *reason,
        "0.9 against 0.9 on the 300 rows of both: unchanged"
    );
    said.has_output("0.90000   ±0");
    said.has_output("Changes are those on the 300 rows that both were scored on; 2 are new.");
    let kept = run.project.json("verdict/shared-rows.json");
    assert_eq!((&kept["n_rows"], &kept["n_new"]), (&json!(300), &json!(2)));

    // A drop on the old rows is one, whatever the new rows are like.
    let worse: BTreeSet<u32> = wrong.iter().copied().chain([1, 2, 3, 4]).collect();
    let settings = "compare_rows = \"common\"";
    let (_, said) = change("more-rows", settings, &predictions(0..600, &worse), 1);
    said.has_output("0.88667 against 0.9 on the 300 rows of both");

    // Without the hard rows nothing is better.
    let easy = predictions((0..300).filter(|row| row % 10 != 0), &BTreeSet::new());
    let (_, said) = change("more-rows", settings, &easy, 3);
    said.has_output(
        "30 rows of the baseline are gone or relabelled, more than `max_rows_lost = 0` allows",
    );
    let settings = "compare_rows = \"common\"\nmax_rows_lost = 30";
    let (_, said) = change("more-rows", settings, &easy, 0);
    said.has_output("30 of the baseline are gone or relabelled.");
}

#[test]
fn predictions_that_cannot_be_had_leave_the_change_unjudged() {
    let old = predictions(0..300, &BTreeSet::from([7]));
    let today = predictions(0..302, &BTreeSet::from([7]));
    for (name, is_uploaded, is_expired, reason) in [
        (
            "rows-expired",
            true,
            true,
            "the artifact `out` of run 100 has expired",
        ),
        (
            "rows-not-kept",
            false,
            false,
            "the run of aaaaaaa kept none",
        ),
    ] {
        leave_baseline(name, &old, is_uploaded, is_expired);
        let (_, said) = change(name, "compare_rows = \"common\"", &today, 3);
        said.has_output(reason);
    }
}

/// A pull request may write what it likes into its own artifacts and caches.
#[test]
fn an_artifact_with_other_predictions_is_not_believed() {
    let old = predictions(0..300, &BTreeSet::from([7]));
    leave_baseline("rows-swapped", &old, true, false);
    let run = Run::of_push("rows-swapped", "refs/heads/main");
    // The newest of that name.
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    archive.start_file("evaluation.json", options).unwrap();
    archive.write_all(b"{}").unwrap();
    let archive = STANDARD.encode(archive.finish().unwrap().into_inner());
    run.repository.prepare(&json!({ "artifacts": [
        { "run_id": 100, "name": "out", "archive": archive },
    ] }));
    let today = predictions(0..302, &BTreeSet::from([7]));
    let (_, said) = change("rows-swapped", "compare_rows = \"common\"", &today, 3);
    said.has_output("`evaluation.json` in the artifact is another one than the record names");
}

/// Thousands of wrong rows do not fit the record, and identical predictions were inconclusive.
#[test]
fn rows_that_do_not_fit_the_record_are_fetched() {
    // Without a pattern, so that nothing can be compressed.
    let wrong: BTreeSet<u32> = (0..600_000_u32)
        .filter(|row| row.wrapping_mul(2_654_435_761).count_ones() % 2 == 1)
        .filter(|row| row.wrapping_mul(40_503) >> 7 & 3 != 0)
        .collect();
    let all = predictions(0..600_000, &wrong);
    leave_baseline("many-rows", &all, true, false);
    let mut run = Run::of_pull_request("many-rows");
    run.api = Api::Direct;
    let state = run.repository.state();
    let text = state["checks"][0]["output"]["text"].as_str().unwrap();
    let record = BaselineRecord::decode(text).unwrap().unwrap();
    assert_eq!(record.missed_rows, None, "the record had room");
    let config = "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.01\nconfidence = 0.95\n";
    score(&run, "", &all);
    run.project.write("trainyard.toml", config);
    let said = run.gate(200, &[], 0);
    said.has_output("verdict: pass");
}

/// A model that is scored again on today's rows needs no common rows; another model's figures prove nothing.
#[test]
fn a_rescored_baseline_counts_only_if_it_is_the_records_model() {
    let mut before = Run::of_push("rescored", "refs/heads/main");
    before.sha = "a".repeat(40);
    before.payload["after"] = json!(before.sha);
    before.payload["before"] = json!("0".repeat(40));
    before.gate(100, &[], 0);

    let run = Run::of_pull_request("rescored");
    let rules = "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.5\n\n[image]";
    run.project.remove_rules();
    run.project.edit("[image]", rules);
    run.project
        .edit("max_test_rows = 1000", "max_test_rows = 1100");
    run.project.run("evaluate", &[], 0);
    let said = run.gate(200, &[], 3);
    said.has_output("scored on other rows (1100 rows against 1000)");

    // The baseline's model on today's rows, under a folder of its own.
    let model = before.project.path("trainyard-out/model");
    let arguments = ["--model", model.to_str().unwrap(), "--out", "again"];
    run.project.run("evaluate", &arguments, 0);
    let rescored = ["--rescored", "again/evaluation/evaluation.json"];
    let said = run.gate(201, &rescored, 0);
    let verdict = run.project.json("verdict/verdict.json");
    let source = verdict["baseline"]["source"].as_str().unwrap();
    assert!(
        source.ends_with("its model scored again on these rows"),
        "{source}"
    );
    said.has_output("verdict: pass");
    // What is published is judged by the same.
    assert_eq!(
        run.project.json("verdict/baseline.json")["data"]["rows"]["n_rows"],
        1100
    );

    let other = ["--rescored", "other.json"];
    let evaluation = std::fs::read_to_string(run.project.path("again/evaluation/evaluation.json"));
    let evaluation: serde_json::Value = serde_json::from_str(&evaluation.unwrap()).unwrap();
    let mut forged = evaluation;
    forged["model"]["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    run.project.write("other.json", forged.to_string());
    let said = run.gate(202, &other, 3);
    said.has_output("`other.json` was not used: it is of another model than the baseline's.");
}

/// A record stays as long as its check, an artifact for 90 days: a run by time measures the tip of main anew.
#[test]
fn a_run_by_time_renews_a_record_whose_artifact_has_expired() {
    let old = predictions(0..300, &BTreeSet::from([7]));
    for (name, is_expired, expected) in [("renewed", true, 300), ("not-renewed", false, 100)] {
        leave_baseline(name, &old, true, is_expired);
        let mut run = Run::of_push(name, "refs/heads/main");
        run.sha = "a".repeat(40);
        run.event = "schedule";
        score(&run, "", &old);
        run.gate(300, &["--artifact", "out"], 0);
        let state = run.repository.state();
        let checks = state["checks"].as_array().unwrap().iter();
        let texts = checks.filter_map(|check| check["output"]["text"].as_str());
        let runs: Vec<u64> = texts
            .filter_map(BaselineRecord::decode)
            .map(|record| record.unwrap().predictions.unwrap().run_id)
            .collect();
        assert_eq!(runs, [expected], "{name}");
    }
}
