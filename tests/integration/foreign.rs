//! Another tool's predictions through `evaluate`; those of a scikit-learn classifier are in `peers::scikit_learn`.

use crate::project::Said;
use crate::support::stage;
use serde_json::json;

#[test]
fn predictions_need_no_configuration_and_errors_name_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let evaluate = |arguments: &[&str], code| {
        let mut command = stage("evaluate");
        command.args(arguments).current_dir(folder.path());
        Said::of(&mut command, code)
    };
    write(
        "p.csv",
        "label,predicted\ncat,cat\ncat,dog\ndog,dog\ndog,dog\n",
    );
    let is_line = |said: &Said, begin: [&str; 2]| {
        let mut lines = said.stdout.lines();
        lines.any(|line| line.split_whitespace().take(2).eq(begin))
    };
    let said = evaluate(&["--predictions", "p.csv"], 0);
    assert!(is_line(&said, ["accuracy", "0.75"]), "{}", said.stdout);
    write("r.csv", "label,predicted\n1.5,1\n2.5,3\n");
    // By hand: errors of 0.5 each, so the mean of squares is 0.25.
    let said = evaluate(&["--predictions", "r.csv", "--task", "regression"], 0);
    assert!(is_line(&said, ["mse", "0.25"]), "{}", said.stdout);
    evaluate(&["--predictions", "r.csv"], 4).has_error("--task regression");
    write("bad.csv", "label,score_a,score_b\na,0.5,0.5\nb,0.5,inf\n");
    evaluate(&["--predictions", "bad.csv"], 4).has_error("line 3: `inf` in the column `score_b`");
    write("sum.csv", "label,score_a,score_b\na,0.5,0.5\nb,0.9,0.9\n");
    evaluate(&["--predictions", "sum.csv"], 4).has_error("row 1: the scores are not probabilities");
    evaluate(&["--predictions", "absent.csv"], 4).has_error("absent.csv");
}

/// By hand: of the rows from DE 40 of 60 are right, of those from FR 57 of 60; latencies are 1 to 120 ms, whose mean is 60.5.
#[test]
fn slices_columns_and_folds_are_in_the_evaluation_and_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let rows: String = (0..120)
        .map(|row| {
            let (country, n_wrong) = if row % 2 == 0 { ("DE", 40) } else { ("FR", 6) };
            let label = ["cat", "dog"][row / 2 % 2];
            let other = ["dog", "cat"][row / 2 % 2];
            let predicted = if row < n_wrong { other } else { label };
            format!(
                "{row},{label},{predicted},{country},{},{}\n",
                row + 1,
                row % 5
            )
        })
        .collect();
    let header = "row_id,label,predicted,country,latency_ms,fold\n";
    write("p.csv", &(header.to_owned() + &rows));
    write(
        "trainyard.toml",
        "[[evaluate.columns]]\nname = \"latency_ms\"\nunit = \"ms\"\ndirection = \"lower_is_better\"\n\
         [[evaluate.slices]]\ncolumns = [\"country\"]\n\
         [[gate.rules]]\nmetric = \"latency_ms.mean\"\nmax = 60\n",
    );
    let mut command = stage("evaluate");
    command
        .args(["--predictions", "p.csv"])
        .current_dir(folder.path());
    let said = Said::of(&mut command, 0);
    assert!(said.stdout.contains("Mean of 5 folds:"), "{}", said.stdout);
    assert!(
        said.stdout.contains("country=DE  0.66667  60"),
        "{}",
        said.stdout
    );
    let out = folder.path().join("trainyard-out/evaluation");
    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let evaluation: serde_json::Value = serde_json::from_str(&read("evaluation.json")).unwrap();
    let value = |key: serde_json::Value| {
        let measurements = evaluation["measurements"].as_array().unwrap();
        let found = measurements.iter().find(|found| found["key"] == key);
        found.unwrap_or_else(|| panic!("{key}")).clone()
    };
    let of_slice = value(json!({ "metric": "accuracy", "slice": "country=FR" }));
    assert_eq!(
        (of_slice["value"].as_f64(), of_slice["n_rows"].as_u64()),
        (Some(0.95), Some(60))
    );
    let mean = value(json!({ "metric": "latency_ms.mean" }));
    assert_eq!(
        (mean["value"].as_f64(), mean["unit_name"].as_str()),
        (Some(60.5), Some("ms"))
    );
    let mean = value(json!({ "metric": "accuracy", "fold": "mean" }));
    assert_eq!(mean["interval"]["method"], "corrected_resampled_t");
    assert_eq!(
        evaluation["folds"]["folds"].as_array().map(Vec::len),
        Some(5)
    );
    assert!(read("report.html").contains("<td>country=DE</td>"));
    assert!(read("charts/folds.svg").starts_with("<svg"));
    let flat: serde_json::Value = serde_json::from_str(&read("metrics.json")).unwrap();
    assert_eq!(flat["latency_ms.mean"], 60.5);
    // The gate reads it, and the rule on the column fails.
    let mut gate = stage("gate");
    gate.current_dir(folder.path());
    let said = Said::of(&mut gate, 1);
    assert!(said.stdout.contains("latency_ms.mean"), "{}", said.stdout);
}
