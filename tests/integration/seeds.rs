//! Evaluations of one configuration under several seeds, as a result of one of them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::chain::assert_valid;
use crate::project::{Said, read_json};
use crate::support::stage;

/// Rows of which the first `n_wrong` are predicted wrong.
fn write(path: &Path, n_wrong: usize, n_rows: usize) {
    let mut text = "row_id,label,predicted\n".to_owned();
    for row in 0..n_rows {
        let label = row % 2;
        let predicted = if row < n_wrong { 1 - label } else { label };
        writeln!(text, "{row},c{label},c{predicted}").unwrap();
    }
    fs::write(path, text).unwrap();
}

#[test]
fn the_mean_over_seeds_is_in_the_evaluation_and_other_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let evaluate = |arguments: &[&str], code| {
        let mut command = stage("evaluate");
        command.args(arguments).current_dir(folder.path());
        Said::of(&mut command, code)
    };
    let of_seed = |name: &str, n_wrong: usize, n_rows: usize| {
        write(&folder.path().join(name), n_wrong, n_rows);
        let out = format!("seeds/{name}");
        evaluate(&["--predictions", name, "--out", &out], 0);
    };
    of_seed("one", 18, 100);
    of_seed("two", 13, 100);
    write(&folder.path().join("own"), 20, 100);
    let own = ["--predictions", "own", "--seeds", "seeds"];
    evaluate(&own, 0).has_output("Mean of 3 seeds:");
    let out = folder.path().join("trainyard-out/evaluation");
    let evaluation = read_json(&out.join("evaluation.json"));
    assert_valid("evaluation", &evaluation);
    let seeds = &evaluation["seeds"];
    assert_eq!(seeds["models"].as_array().map(Vec::len), Some(3));
    let accuracy = &seeds["spreads"][0];
    // By hand, as in `core::seed_scores`: the mean of 0.80, 0.82 and 0.87 is 0.83.
    assert_eq!(accuracy["metric"], "accuracy");
    assert_eq!(accuracy["values"], json!([0.8, 0.82, 0.87]));
    assert!((accuracy["mean"].as_f64().unwrap() - 0.83).abs() < 1e-12);
    assert_eq!(accuracy["interval"]["method"], "student_t");
    let page = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains("<h2>Seeds</h2>"));

    // The evaluation's own folder does not count where it lies below.
    evaluate(&[&own[..], &["--out", "seeds/own"]].concat(), 0).has_output("Mean of 3 seeds:");
    fs::remove_dir_all(folder.path().join("seeds/own")).unwrap();

    of_seed("own", 20, 100);
    evaluate(&own, 4).has_error("a model that is there already");
    fs::remove_dir_all(folder.path().join("seeds/own")).unwrap();
    of_seed("fewer", 10, 90);
    evaluate(&own, 4).has_error("is of other rows");
    fs::create_dir(folder.path().join("none")).unwrap();
    evaluate(&["--predictions", "own", "--seeds", "none"], 4)
        .has_error("no evaluation of another seed");
}
