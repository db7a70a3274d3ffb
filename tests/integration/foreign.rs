//! Another tool's predictions through `evaluate`; those of a scikit-learn classifier are in `peers::scikit_learn`.

use std::fmt::Write as _;

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
    evaluate(&["--predictions", "sum.csv"], 4).has_error("line 3: the scores sum to 1.8");
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

/// By hand: in `q1` the relevant row is second, in `q2` first, and `q3` has none. The reciprocal ranks are 1/2 and 1, the gains
/// 1/log2(3) and 1.
#[test]
fn ranked_rows_are_measured_over_their_groups() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let evaluate = |arguments: &[&str], code| {
        let mut command = stage("evaluate");
        command.args(arguments).current_dir(folder.path());
        Said::of(&mut command, code)
    };
    write(
        "trainyard.toml",
        "[evaluate.ranking]\ngroup = \"query_id\"\nk = 1\n",
    );
    write(
        "p.csv",
        "query_id,label,predicted\nq1,0,0.9\nq1,1,0.8\nq2,1,0.7\nq2,0,0.1\nq3,0,0.5\nq3,0,0.4\n",
    );
    evaluate(&["--predictions", "p.csv"], 0)
        .has_error("1 group without a relevant row, of 3, is left out");
    let out = folder
        .path()
        .join("trainyard-out/evaluation/evaluation.json");
    let evaluation = crate::project::read_json(&out);
    crate::chain::assert_valid("evaluation", &evaluation);
    let measurements = evaluation["measurements"].as_array().unwrap();
    let found = |name: &str| {
        let mut all = measurements.iter();
        let found = all.find(|found| found["key"] == json!({ "metric": name }));
        let found = found.unwrap_or_else(|| panic!("{name}"));
        (found["value"].as_f64().unwrap(), found["n_rows"].as_u64())
    };
    assert_eq!(measurements.len(), 3, "errors of numbers say nothing here");
    assert_eq!(found("mrr"), (0.75, Some(2)));
    assert_eq!(found("ndcg"), (0.5, Some(2)));
    assert_eq!(found("hit_rate"), (0.5, Some(2)));
    // What a value is counted over are groups.
    let reasons: Vec<&str> = measurements
        .iter()
        .filter_map(|found| found["no_interval"].as_str())
        .collect();
    assert_ne!(reasons.len(), 0);
    assert!(
        reasons
            .iter()
            .all(|reason| reason.contains("group") && !reason.contains("row")),
        "{reasons:?}"
    );
    let arguments = ["--predictions", "p.csv", "--task", "classification"];
    evaluate(&arguments, 2).has_error("leave out `--task`");
    write("no.csv", "label,predicted\n1,0.5\n0,0.4\n");
    evaluate(&["--predictions", "no.csv"], 4).has_error("there is no column `query_id`");
    write("below.csv", "query_id,label,predicted\nq,-1,0.5\nq,1,0.4\n");
    evaluate(&["--predictions", "below.csv"], 4).has_error("a relevance of -1");
}

/// A model that is confident by 0.8 and right in 3 of 4 rows but for those from DE at 50 and above, where it is right in 1 of 4.
#[test]
fn curves_and_weak_segments_are_in_the_evaluation_and_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "row_id,label,score_no,score_yes,country,age\n".to_owned();
    for row in 0..1600_u32 {
        let (country, age) = (["DE", "FR", "US"][row as usize % 3], row * 7 % 80);
        let is_weak = country == "DE" && age >= 50;
        let is_right = (row / 3 * 5 % 4 == 0) == is_weak;
        let label = row / 2 % 2;
        let predicted = if is_right { label } else { 1 - label };
        let score = if predicted == 1 { 0.8 } else { 0.2 } + f64::from(row % 10) / 100.0;
        let label = ["no", "yes"][label as usize];
        let other = 1.0 - score;
        writeln!(text, "{row},{label},{other},{score},{country},{age}").unwrap();
    }
    std::fs::write(folder.path().join("p.csv"), text).unwrap();
    let mut command = stage("evaluate");
    command
        .args(["--predictions", "p.csv"])
        .current_dir(folder.path());
    let said = Said::of(&mut command, 0);
    said.has_output("Weak segments by accuracy");
    let out = folder.path().join("trainyard-out/evaluation");
    let evaluation = crate::project::read_json(&out.join("evaluation.json"));
    crate::chain::assert_valid("evaluation", &evaluation);
    let bins = evaluation["reliability"]["bins"].as_array().unwrap();
    let n_rows: u64 = bins.iter().map(|bin| bin["n_rows"].as_u64().unwrap()).sum();
    assert_eq!(n_rows, 1600);
    let curves = &evaluation["curves"][0];
    assert_eq!(curves["class"], "yes");
    // The area below the points by the trapezoidal rule is the metric's, since 20 scores are fewer than 200 points.
    let rate = |point: &serde_json::Value, name: &str| point[name].as_f64().unwrap();
    let points = curves["roc"].as_array().unwrap();
    assert_eq!(points.len(), 21);
    let area: f64 = points
        .windows(2)
        .map(|pair| {
            let [left, right] = [&pair[0], &pair[1]].map(|point| {
                (
                    rate(point, "false_positive_rate"),
                    rate(point, "true_positive_rate"),
                )
            });
            (right.0 - left.0) * f64::midpoint(left.1, right.1)
        })
        .sum();
    let steps = curves["precision_recall"].as_array().unwrap();
    let (mut reached, mut average_precision) = (0.0, 0.0);
    for step in steps {
        average_precision += (rate(step, "recall") - reached) * rate(step, "precision");
        reached = rate(step, "recall");
    }
    let value = |name: &str| {
        let mut all = evaluation["measurements"].as_array().unwrap().iter();
        let found = all.find(|found| found["key"] == json!({ "metric": name }));
        found.unwrap()["value"].as_f64().unwrap()
    };
    assert!((area - value("roc_auc")).abs() < 1e-12, "{area}");
    assert!((average_precision - value("average_precision")).abs() < 1e-12);
    assert_eq!(reached, 1.0);
    let weak = &evaluation["weak_segments"]["segments"][0];
    let name = weak["name"].as_str().unwrap();
    assert!(
        name.contains("country=DE") && name.contains("age=["),
        "{name}"
    );
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for part in [
        "<h2>Weak segments</h2>",
        "aria-label=\"Reliability\"",
        "aria-label=\"ROC curve\"",
        "aria-label=\"Precision-recall curve\"",
    ] {
        assert!(page.contains(part), "{part}");
    }
    for chart in ["reliability", "roc", "precision-recall"] {
        let chart = out.join(format!("charts/{chart}.svg"));
        assert!(
            std::fs::read_to_string(chart)
                .unwrap()
                .ends_with("</svg>\n")
        );
    }
}

/// By hand: the interval from 0.1 to 0.9 holds the labels 1, 2 and 3 of 4. The errors of `quantile_0.1` are −1, −1, −1 and 1, so its
/// pinball loss is (3 · 0.1 + 0.9) / 4; the widths are 2, 2, 2 and −1.
#[test]
fn predicted_quantiles_have_their_loss_and_the_coverage_of_their_interval() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let evaluate = |file: &str, code| {
        let mut command = stage("evaluate");
        command
            .args(["--task", "regression", "--predictions", file])
            .current_dir(folder.path());
        Said::of(&mut command, code)
    };
    write(
        "p.csv",
        "label,predicted,quantile_0.9,quantile_0.1\n1,1,2,0\n2,2,3,1\n3,3,4,2\n4,4,4,5\n",
    );
    evaluate("p.csv", 0).has_error("In 1 row a higher predicted quantile lies below a lower one");
    let out = folder
        .path()
        .join("trainyard-out/evaluation/evaluation.json");
    let evaluation = crate::project::read_json(&out);
    crate::chain::assert_valid("evaluation", &evaluation);
    for (name, expected) in [
        ("interval_coverage", 0.75),
        ("interval_width", 1.25),
        ("pinball_loss@0.1", 0.3),
        ("pinball_loss@0.9", 0.075),
    ] {
        let mut all = evaluation["measurements"].as_array().unwrap().iter();
        let found = all.find(|found| found["key"] == json!({ "metric": name }));
        let value = found.unwrap_or_else(|| panic!("{name}"))["value"].as_f64();
        assert!(
            (value.unwrap() - expected).abs() < 1e-12,
            "{name}: {value:?}"
        );
    }
    write("q.csv", "label,predicted,quantile_95\n1,1,2\n2,2,3\n");
    evaluate("q.csv", 4).has_error("such as `quantile_0.95` for 95 %");
    write("t.csv", "label,predicted,quantile_0.5\n1,1,x\n2,2,3\n");
    evaluate("t.csv", 4)
        .has_error("line 2: `x` in the column `quantile_0.5` is not a finite number");
}
