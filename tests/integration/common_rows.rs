//! `compare_rows = "common"`: slices and numeric columns are compared on the rows that both were scored on.

use std::fmt::Write as _;

use crate::folder::Folder;

const CONFIG: &str = r#"
[[evaluate.slices]]
columns = ["country"]
min_rows = 5

[[evaluate.columns]]
name = "latency_ms"
direction = "lower_is_better"

[gate]
compare_rows = "common"

[[gate.rules]]
metric = "accuracy"
slice = "country=DE"
max_drop = 0.0

[[gate.rules]]
metric = "latency_ms.mean"
max_drop = 0.5

[[gate.rules]]
metric = "accuracy"
slice = "country=FR"
max_drop = 0.0
level = "info"
"#;

/// Rows `from` to 40, of which those in `wrong` are predicted wrong; `latency` is that of a row.
fn predictions(
    rows: std::ops::Range<u32>,
    wrong: &[u32],
    latency: impl Fn(u32) -> f64,
    weight: f64,
) -> String {
    let mut text = String::from("row_id,label,predicted,country,latency_ms,weight\n");
    for row in rows {
        let (label, other) = [("cat", "dog"), ("dog", "cat")][(row % 2) as usize];
        let predicted = if wrong.contains(&row) { other } else { label };
        let country = if row % 4 < 2 { "DE" } else { "FR" };
        let _ = writeln!(
            text,
            "r{row:02},{label},{predicted},{country},{},{weight}",
            latency(row)
        );
    }
    text
}

#[test]
fn slices_and_columns_are_measured_on_the_shared_rows() {
    let folder = Folder::with(&[]);
    let baseline = ["--baseline", "old/evaluation/evaluation.json"];
    folder.write("trainyard.toml", CONFIG);
    // The baseline misses r00; the candidate is scored on 20 rows more, all of which it misses, and takes as long as before on
    // the old ones.
    folder.write("old.csv", &predictions(0..40, &[0], |_| 10.0, 1.0));
    let new_rows: Vec<u32> = (40..60).chain([1]).collect();
    let latency = |row: u32| if row < 40 { 10.0 } else { 90.0 };
    folder.write("new.csv", &predictions(0..60, &new_rows, latency, 1.0));
    folder.run("evaluate", &["--predictions", "old.csv", "--out", "old"], 0);
    folder.run("evaluate", &["--predictions", "new.csv"], 0);
    folder.run("gate", &baseline, 0);
    let verdict = folder.json("trainyard-out/verdict/verdict.json");
    // One of 20 rows of each is wrong, though it is 11 of 30 in the candidate's file.
    for (idx, expected) in [
        (0, "0.95 against 0.95 on the 40 rows of both: unchanged"),
        (1, "10 against 10 on the 40 rows of both: unchanged"),
    ] {
        assert_eq!(verdict["rules"][idx]["reason"], expected);
    }
    let rule = &verdict["rules"][0]["comparison"];
    assert!(rule["measured"]["value"].as_f64().unwrap() < 0.7, "{rule}");
    assert_eq!(rule["change"]["n_rows"], 20);
    // Three figures of a line are of three sets of rows, and each says so.
    let page = folder.text("trainyard-out/verdict/verdict.html");
    for rows in [
        "<small>30 rows</small>",
        "<small>20 rows</small>",
        "<small>20 rows of both</small>",
    ] {
        assert!(page.contains(rows), "{rows}");
    }

    // Too few shared rows of a slice are inconclusive, and say so.
    folder.write("old.csv", &predictions(0..18, &[0], |_| 10.0, 1.0));
    folder.write(
        "new.csv",
        &predictions(0..18, &[1], |_| 10.0, 1.0).replace("FR", "ES"),
    );
    folder.run("evaluate", &["--predictions", "old.csv", "--out", "old"], 0);
    folder.run("evaluate", &["--predictions", "new.csv"], 0);
    let said = folder.run("gate", &baseline, 0);
    said.has_output("the baseline has `accuracy, country=FR`");
    said.has_output("no row is in the slice `country=FR` any more");

    // Other weights on the same rows are not compared, with an interval or without.
    folder.write("old.csv", &predictions(0..40, &[0], |_| 10.0, 1.0));
    let weighted = predictions(0..40, &[1], |_| 10.0, 2.0).replacen(",2\n", ",3\n", 4);
    folder.write("new.csv", &weighted);
    folder.run("evaluate", &["--predictions", "old.csv", "--out", "old"], 0);
    folder.run("evaluate", &["--predictions", "new.csv"], 0);
    for more in ["", "confidence = 0.95\n"] {
        let rule = format!("[[gate.rules]]\nmetric = \"accuracy\"\nmax_drop = 0.9\n{more}");
        folder.write("trainyard.toml", &rule);
        let said = folder.run("gate", &baseline, 3);
        said.has_output("the rows have other weights than in the baseline's predictions");
    }
}
