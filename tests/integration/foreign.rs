//! Another tool's model: a scikit-learn classifier's predictions through `evaluate` and `gate`.

use std::process::Command;

use serde_json::Value;

use crate::project::{Said, read_json};
use crate::support::{has_peers, repository, run, stage};

const RULES: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.8\nconfidence = 0.95\n\n[[gate.rules]]\nmetric = \"recall\"\nclass = \"8\"\nmin = 0.5\n";

#[test]
fn the_figures_of_a_scikit_learn_classifier_are_scikit_learns() {
    if !has_peers() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = repository().join("tests/fixtures/scikit_learn/digits.py");
    run(Command::new("python").arg(script).arg(folder.path()));
    let figures = read_json(&folder.path().join("figures.json"));
    std::fs::write(folder.path().join("trainyard.toml"), RULES).unwrap();
    for file in ["predictions.csv", "predictions.npz"] {
        let in_folder = |name: &str, arguments: &[&str]| {
            let mut command = stage(name);
            command.args(arguments).current_dir(folder.path());
            Said::of(&mut command, 0)
        };
        in_folder("evaluate", &["--predictions", file, "--name", "digits"]);
        let evaluation = read_json(
            &folder
                .path()
                .join("trainyard-out/evaluation/evaluation.json"),
        );
        assert_figures(&evaluation, &figures);
        in_folder("gate", &[]).has_output("verdict: pass");
        let metrics = "trainyard-out/evaluation/metrics.json";
        let verdict = folder.path().join("trainyard-out/verdict/verdict.json");
        assert_eq!(read_json(&verdict)["model_name"], "digits");

        // The flat metrics alone are enough for a rule without an interval.
        std::fs::write(
            folder.path().join("flat.toml"),
            "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.8\n",
        )
        .unwrap();
        in_folder("gate", &["--config", "flat.toml", "--metrics", metrics]);
    }
}

fn assert_figures(evaluation: &Value, figures: &Value) {
    let close = |name: &str, found: &Value, expected: &Value| {
        let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
        // Scores travel as 32-bit numbers.
        assert!(
            (found - expected).abs() < 1e-6,
            "{name}: {found} is not {expected}"
        );
    };
    let metrics = evaluation["metrics"].as_array().unwrap();
    for name in [
        "accuracy",
        "loss",
        "precision_macro",
        "recall_macro",
        "f1_macro",
    ] {
        let metric = metrics
            .iter()
            .find(|metric| metric["name"] == name)
            .unwrap();
        close(name, &metric["value"], &figures[name]);
    }
    for (idx, class) in evaluation["per_class"]
        .as_array()
        .unwrap()
        .iter()
        .enumerate()
    {
        assert_eq!(class["support"], figures["support"][idx]);
        for name in ["precision", "recall", "f1"] {
            close(name, &class[name]["value"], &figures[name][idx]);
        }
    }
    assert_eq!(evaluation["confusion"]["counts"], figures["confusion"]);
}

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
    evaluate(&["--predictions", "p.csv"], 0).has_output("accuracy         0.75");
    write("r.csv", "label,predicted\n1.5,1\n2.5,3\n");
    // By hand: errors of 0.5 each, so the mean of squares is 0.25.
    evaluate(&["--predictions", "r.csv", "--task", "regression"], 0).has_output("mse   0.25");
    evaluate(&["--predictions", "r.csv"], 0);
    write("bad.csv", "label,score_a,score_b\na,0.5,0.5\nb,0.5,inf\n");
    evaluate(&["--predictions", "bad.csv"], 4).has_error("line 3: `inf` in the column `score_b`");
    write("sum.csv", "label,score_a,score_b\na,0.5,0.5\nb,0.9,0.9\n");
    evaluate(&["--predictions", "sum.csv"], 4).has_error("row 1: the scores are not probabilities");
    evaluate(&["--predictions", "absent.csv"], 4).has_error("absent.csv");
}
