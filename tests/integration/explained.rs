//! `--explain`: every computation behind a decision on a change, done again here by other means from the rows themselves.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::folder::Folder;

const N: u32 = 600;

/// One row: whether it is a cat, and the probability of a cat.
fn row(row: u32, n_wrong: u32) -> (bool, f64) {
    let is_right = row * 7 % N >= n_wrong;
    let is_cat = row.is_multiple_of(3);
    // Never the same score twice, so that the order of the rows says something.
    let own = if is_right { 0.9 } else { 0.2 } + f64::from(row) / 20_000.0;
    (is_cat, if is_cat { own } else { 1.0 - own })
}

fn text(n_wrong: u32, fold: bool) -> String {
    let mut text = String::from("row_id,label,score_cat,score_dog");
    text += if fold { ",fold\n" } else { "\n" };
    for idx in 0..N {
        let (is_cat, cat) = row(idx, n_wrong);
        let label = if is_cat { "cat" } else { "dog" };
        let _ = write!(text, "r{idx:03},{label},{cat},{}", 1.0 - cat);
        if fold {
            let _ = write!(text, ",{}", idx / (N / 5));
        }
        text.push('\n');
    }
    text
}

/// The explanation of a model that predicts 90 rows wrong against one that predicts 60 wrong.
fn explained(rules: &[&str], fold: bool) -> (Folder, Value) {
    let folder = Folder::with(&[]);
    let mut config = String::new();
    for rule in rules {
        let _ = writeln!(
            config,
            "[[gate.rules]]\n{rule}\nmax_drop = 0.01\nconfidence = 0.95\nlevel = \"info\""
        );
    }
    folder.write("trainyard.toml", &config);
    folder.write("old.csv", &text(60, fold));
    folder.write("new.csv", &text(90, fold));
    folder.run("evaluate", &["--predictions", "old.csv", "--out", "old"], 0);
    folder.run("evaluate", &["--predictions", "new.csv"], 0);
    let baseline = ["--baseline", "old/evaluation/evaluation.json"];
    folder.run("gate", &[&baseline[..], &["--explain", "text"]].concat(), 0);
    let explained = folder.json("trainyard-out/verdict/explanation.json");
    (folder, explained)
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is not a number"))
}

#[track_caller]
fn close(found: &Value, expected: f64) {
    let found = number(found);
    assert!(
        (found - expected).abs() < 1e-9 * expected.abs().max(1.0),
        "{found} is not {expected}"
    );
}

/// Tango's statistic with the constrained likelihood maximised by bisection of its slope, in place of the closed form.
fn tango([n_gained, n_lost, n]: [f64; 3], difference: f64, continuity: f64) -> f64 {
    let n_same = n - n_gained - n_lost;
    let slope = |lost: f64| {
        n_gained / (lost + difference) + n_lost / lost
            - 2.0 * n_same / (1.0 - difference - 2.0 * lost)
    };
    let (mut low, mut high) = ((-difference).max(0.0), (1.0 - difference) / 2.0);
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if slope(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let variance = n * (2.0 * low + difference - difference * difference);
    (n_gained - n_lost - n * difference + continuity) / variance.sqrt()
}

fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (n - 1.0))
}

fn is_right((is_cat, cat): (bool, f64)) -> bool {
    is_cat == (cat > 0.5)
}

#[test]
fn paired_methods_are_computed_again_from_the_rows() {
    let rules = [
        "metric = \"accuracy\"",
        "metric = \"log_loss\"",
        "metric = \"roc_auc\"",
        "metric = \"f1_macro\"",
        "metric = \"recall\"\nclass = \"*\"",
    ];
    let (_folder, explained) = explained(&rules, false);
    let of = |idx: usize| {
        let rules = explained["rules"].as_array().unwrap();
        rules
            .iter()
            .filter(|rule| rule["rule_idx"] == idx)
            .cloned()
            .collect::<Vec<Value>>()
    };
    let rows: Vec<[(bool, f64); 2]> = (0..N).map(|idx| [row(idx, 90), row(idx, 60)]).collect();

    let found = &of(0)[0]["computation"];
    assert_eq!(found["kind"], "tango");
    let only = |new: bool, old: bool| {
        let of_rows = rows
            .iter()
            .filter(|rows| is_right(rows[0]) == new && is_right(rows[1]) == old);
        of_rows.count() as f64
    };
    let counts = [only(true, false), only(false, true), f64::from(N)];
    for (key, expected) in ["n_gained", "n_lost", "n"].iter().zip(counts) {
        close(&found[key], expected);
    }
    close(&found["least"], -0.01);
    close(&found["statistic_lower"], tango(counts, -0.01, -0.5));
    close(&found["statistic_upper"], tango(counts, -0.01, 0.5));
    // SciPy 1.17, `norm.ppf(0.975)`.
    close(&found["quantile"], 1.959_963_984_540_054);

    let found = &of(1)[0]["computation"];
    assert_eq!(found["kind"], "mean");
    let loss = |(is_cat, cat): (bool, f64)| -(if is_cat { cat } else { 1.0 - cat }).ln();
    let differences: Vec<f64> = rows
        .iter()
        .map(|rows| loss(rows[1]) - loss(rows[0]))
        .collect();
    let (mean, variance) = moments(&differences);
    close(&found["moments"]["mean"], mean);
    close(&found["moments"]["variance"], variance);
    close(&found["degrees_of_freedom"], f64::from(N - 1));

    let found = &of(2)[0]["computation"];
    assert_eq!(found["kind"], "delong");
    let area = |which: usize| {
        let of = |is_cat: bool| {
            rows.iter()
                .map(move |rows| rows[which])
                .filter(move |row| row.0 == is_cat)
        };
        let pairs = of(false).flat_map(|dog| of(true).map(move |cat| f64::from(dog.1 < cat.1)));
        let (sum, n) = pairs.fold((0.0, 0.0), |(sum, n), won| (sum + won, n + 1.0));
        sum / n
    };
    close(&found["areas"]["new_area"], area(0));
    close(&found["areas"]["old_area"], area(1));
    // Each class's variance times 1 + 3 / n, and Satterthwaite's degrees of freedom.
    let classes = ["positives", "negatives"].map(|class| {
        let class = &found["areas"][class];
        ["variance", "n_effective"].map(|name| class[name].as_f64().unwrap())
    });
    let widened = classes
        .iter()
        .map(|[variance, n]| variance * (1.0 + 3.0 / n));
    close(&found["widened"]["variance"], widened.sum());
    let variance: f64 = classes.iter().map(|[variance, _]| variance).sum();
    let scatter: f64 = classes
        .iter()
        .map(|[variance, n]| variance.powi(2) / n)
        .sum();
    let degrees_of_freedom = &found["widened"]["degrees_of_freedom"];
    close(degrees_of_freedom, variance.powi(2) / scatter);

    let found = &of(3)[0]["computation"];
    assert_eq!(found["kind"], "cells");
    let cells: BTreeSet<[bool; 3]> = rows
        .iter()
        .map(|[new, old]| [new.0, old.1 > 0.5, new.1 > 0.5])
        .collect();
    close(&found["n_cells"], cells.len() as f64);
    close(&found["n"], f64::from(N));
    close(&found["n_replicates"], 2000.0);

    // Two classes: the smaller p-value is asked at 0.025 / 2, the other at 0.025 if that was proven.
    let mut steps: Vec<Value> = of(4).iter().map(|rule| rule["holm"].clone()).collect();
    assert_eq!(steps.len(), 2);
    steps.sort_by(|one, other| number(&one["p_value"]).total_cmp(&number(&other["p_value"])));
    let mut n_left = 2.0;
    let mut is_open = true;
    for step in &steps {
        close(&step["n_tests"], 2.0);
        close(&step["level"], 0.025 / number(&step["n_left"]));
        is_open &= number(&step["p_value"]) <= 0.025 / n_left;
        assert_eq!(step["is_proven"], is_open, "{step}");
        n_left -= 1.0;
    }
    // The p-value is the level at which the upper end meets the bound: the normal distribution beyond the statistic, by the series of
    // its density (Abramowitz and Stegun 26.2.17 is good to 7.5e-8).
    for rule in of(4) {
        let found = &rule["computation"];
        let counts = ["n_gained", "n_lost", "n"].map(|key| number(&found[key]));
        let statistic = tango(counts, -0.01, 0.5);
        close(&found["statistic_upper"], statistic);
        let z = -statistic;
        let t = 1.0 / (1.0 + 0.231_641_9 * z);
        let series = t
            * (0.319_381_530
                + t * (-0.356_563_782
                    + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
        let p = series * (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt();
        assert!(
            (number(&rule["holm"]["p_value"]) - p).abs() < 1e-6,
            "{p}: {rule}"
        );
    }
}

#[test]
fn the_folds_are_computed_again() {
    let (_folder, explained) = explained(&["metric = \"accuracy\""], true);
    let rule = &explained["rules"][0];
    let found = &rule["computation"];
    assert_eq!(found["kind"], "folds");
    let accuracy = |fold: u32, n_wrong: u32| {
        let rows = (0..N).filter(|idx| idx / (N / 5) == fold);
        rows.filter(|idx| is_right(row(*idx, n_wrong))).count() as f64 / f64::from(N / 5)
    };
    let differences: Vec<f64> = (0..5)
        .map(|fold| accuracy(fold, 90) - accuracy(fold, 60))
        .collect();
    for (idx, difference) in differences.iter().enumerate() {
        close(&found["differences"][idx], *difference);
    }
    let (mean, variance) = moments(&differences);
    close(&found["mean"], mean);
    close(&found["variance"], variance);
    // 1 / 5 + 120 / 480, and no more than 480 / 120 degrees of freedom.
    close(&found["factor"], 0.45);
    close(&found["degrees_of_freedom"], 4.0);
    // SciPy 1.17, `t.ppf(0.975, 4)`.
    let reach = 2.776_445_105_197_793 * (variance * 0.45).sqrt();
    let steps = rule["steps"].as_array().unwrap();
    let interval = steps
        .iter()
        .find(|step| step["what"] == "interval of the improvement")
        .unwrap();
    let ends = interval["computation"].as_str().unwrap();
    let lower: f64 = ends.split(' ').next().unwrap().parse().unwrap();
    assert!((lower - (mean - reach)).abs() < 1e-8, "{ends}");
}
