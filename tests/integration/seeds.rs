//! Evaluations of one configuration under several seeds, as a result of one of them and as an A/A test.

use std::fmt::Write as _;
use std::fs;

use serde_json::json;

use crate::chain::assert_valid;
use crate::folder::Folder;
use crate::support::repository;

const RULE: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.1\n";

/// Rows of which the first `n_wrong` are predicted wrong.
fn rows(n_wrong: usize, n_rows: usize) -> String {
    let mut text = "row_id,label,predicted\n".to_owned();
    for row in 0..n_rows {
        let label = row % 2;
        let predicted = if row < n_wrong { 1 - label } else { label };
        writeln!(text, "{row},c{label},c{predicted}").unwrap();
    }
    text
}

fn of_seed(folder: &Folder, name: &str, n_wrong: usize, n_rows: usize) {
    folder.write(name, &rows(n_wrong, n_rows));
    folder.evaluate(name, &format!("seeds/{name}"));
}

#[test]
fn the_mean_over_seeds_is_in_the_evaluation_and_other_models_are_refused() {
    let folder = Folder::with(&[("own", &rows(20, 100))]);
    of_seed(&folder, "one", 18, 100);
    of_seed(&folder, "two", 13, 100);
    let own = ["--predictions", "own", "--seeds", "seeds"];
    let evaluate = |arguments: &[&str], code| folder.run("evaluate", arguments, code);
    evaluate(&own, 0).has_output("Mean of 3 seeds:");
    let evaluation = folder.json("trainyard-out/evaluation/evaluation.json");
    assert_valid("evaluation", &evaluation);
    let seeds = &evaluation["seeds"];
    assert_eq!(seeds["models"].as_array().map(Vec::len), Some(3));
    let accuracy = &seeds["spreads"][0];
    // By hand, as in `core::seed_scores`: the mean of 0.80, 0.82 and 0.87 is 0.83.
    assert_eq!(accuracy["metric"], "accuracy");
    assert_eq!(accuracy["values"], json!([0.8, 0.82, 0.87]));
    assert!((accuracy["mean"].as_f64().unwrap() - 0.83).abs() < 1e-12);
    assert_eq!(accuracy["interval"]["method"], "student_t");
    let page = folder.text("trainyard-out/evaluation/report.html");
    assert!(page.contains("<h2>Seeds</h2>"));

    // The evaluation's own folder does not count where it lies below.
    evaluate(&[&own[..], &["--out", "seeds/own"]].concat(), 0).has_output("Mean of 3 seeds:");
    fs::remove_dir_all(folder.path("seeds/own")).unwrap();

    of_seed(&folder, "own", 20, 100);
    evaluate(&own, 4)
        .has_error("`seeds/own/evaluation` is of the same model as `trainyard-out/evaluation`");
    fs::remove_dir_all(folder.path("seeds/own")).unwrap();
    fs::create_dir(folder.path("none")).unwrap();
    evaluate(&["--predictions", "own", "--seeds", "none"], 4)
        .has_error("no evaluation of another seed");
}

#[test]
fn seeds_of_other_rows_or_scoring_and_seeds_without_an_evaluation_are_named() {
    let folder = Folder::with(&[("own", &rows(20, 100)), ("trainyard.toml", RULE)]);
    let both_refuse = |expected: &str| {
        folder
            .run("evaluate", &["--predictions", "own", "--seeds", "seeds"], 4)
            .has_error(expected);
        folder
            .run("gate", &["--aa", "seeds"], 4)
            .has_error(expected);
    };
    of_seed(&folder, "one", 18, 100);
    of_seed(&folder, "two", 13, 100);
    folder.run("gate", &["--aa", "seeds"], 0);

    // A run that broke off before its evaluation.
    fs::create_dir_all(folder.path("seeds/three/model")).unwrap();
    both_refuse("there is no evaluation in `seeds/three`");
    fs::remove_dir_all(folder.path("seeds/three")).unwrap();

    of_seed(&folder, "two", 13, 90);
    both_refuse("`seeds/two/evaluation` is of other rows than `");
    both_refuse("90 rows against 100");

    folder.write(
        "trainyard.toml",
        &format!("[evaluate]\npositive_class = \"c1\"\n{RULE}"),
    );
    of_seed(&folder, "two", 13, 100);
    folder.write("trainyard.toml", RULE);
    both_refuse("`seeds/two/evaluation` is scored otherwise than `");
    both_refuse("and `\"c1\"` in `seeds/two/evaluation`");
}

/// What the seed alone does not explain: another number of units.
#[test]
fn seeds_that_another_configuration_trained_are_refused() {
    let example = repository().join("examples/diabetes");
    let config = fs::read_to_string(example.join("trainyard.toml")).unwrap();
    let (before, after) = config.split_once("[evaluate.cross_validation]").unwrap();
    let (_, after) = after.split_once("# scikit-learn").unwrap();
    let config = format!("{before}# scikit-learn{after}")
        .replace("epochs = 400", "epochs = 2")
        .replace("\"data/", &format!("\"{}/", example.join("data").display()));
    let folder = Folder::with(&[("trainyard.toml", &config)]);
    let seed = |seed: &str| {
        let out = format!("seeds/{seed}");
        folder.run("train", &["--seed", seed, "--out", &out], 0);
        folder.run("evaluate", &["--out", &out], 0);
    };
    seed("1");
    seed("2");
    folder.run("gate", &["--aa", "seeds"], 0);
    folder.run("train", &[], 0);
    folder
        .run("evaluate", &["--seeds", "seeds"], 0)
        .has_output("Mean of 3 seeds:");
    // As it was trained and scored, each of the two is its configuration's own model.
    folder.write("trainyard.toml", &config.replace("units = 32", "units = 8"));
    seed("2");
    folder.write("trainyard.toml", &config);
    for said in [
        folder.run("evaluate", &["--seeds", "seeds"], 4),
        folder.run("gate", &["--aa", "seeds"], 4),
    ] {
        said.has_error(
            "`seeds/2/evaluation` is of a model that was trained otherwise than that of `",
        );
        said.has_error("another configuration, not the seed alone");
    }
}
