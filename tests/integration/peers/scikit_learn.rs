//! Another tool's model: a scikit-learn classifier's predictions through `evaluate` and `gate`.

use serde_json::Value;

use super::python_with;
use crate::project::{Said, read_json};
use crate::support::{repository, run, stage};

const RULES: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.8\nconfidence = 0.95\n\n[[gate.rules]]\nmetric = \"recall\"\nclass = \"8\"\nmin = 0.5\n";

#[test]
fn the_figures_of_a_scikit_learn_classifier_are_scikit_learns() {
    let folder = tempfile::tempdir().unwrap();
    let script = repository().join("tests/fixtures/scikit_learn/digits.py");
    run(python_with("sklearn", "scikit-learn")
        .arg(script)
        .arg(folder.path()));
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
    let close = |name: &str, found: f64, expected: &Value| {
        let expected = expected.as_f64().unwrap();
        assert!(
            (found - expected).abs() < 1e-12,
            "{name}: {found} is not {expected}"
        );
    };
    let measurements = evaluation["measurements"].as_array().unwrap();
    let find = |metric: &str, class: &Value| {
        let is_it =
            |found: &&Value| found["key"]["metric"] == metric && found["key"]["class"] == *class;
        let found = measurements.iter().find(is_it);
        found.unwrap_or_else(|| panic!("no `{metric}` of {class}"))
    };
    let value = |metric: &str, class: &Value| find(metric, class)["value"].as_f64().unwrap();
    for name in [
        "accuracy",
        "loss",
        "precision_macro",
        "recall_macro",
        "f1_macro",
    ] {
        close(name, value(name, &Value::Null), &figures[name]);
    }
    let classes = evaluation["confusion"]["classes"].as_array().unwrap();
    for (idx, class) in classes.iter().enumerate() {
        assert_eq!(find("recall", class)["n_rows"], figures["support"][idx]);
        for name in ["precision", "recall", "f1"] {
            close(name, value(name, class), &figures[name][idx]);
        }
    }
    for cell in evaluation["confusion"]["cells"].as_array().unwrap() {
        let index = |place: usize| cell[place].as_u64().unwrap() as usize;
        assert_eq!(cell[2], figures["confusion"][index(0)][index(1)]);
    }
}
