//! What `[evaluate]` changes in how a file is read, and the columns beside labels, predictions and scores.

use trainyard_core::config::{EvaluateConfig, JudgingConfig};
use trainyard_core::scored_rows::Column;

use super::*;

fn evaluate(text: &str) -> EvaluateConfig {
    let path = Path::new("trainyard.toml");
    JudgingConfig::parse(text, path).unwrap().evaluate
}

/// Reads a table by an `[evaluate]` section.
fn read(text: &str, settings: &str) -> Result<Predictions, Problem> {
    let evaluate = evaluate(settings);
    let given = Given {
        evaluate: Some(&evaluate),
        ..Given::default()
    };
    resolve(table::columns(text.as_bytes()), &given)
}

fn error(text: &str, settings: &str) -> String {
    read(text, settings).unwrap_err().to_string()
}

/// Reads an archive by an `[evaluate]` section.
fn read_npz(arrays: &[(&str, &Array)], settings: &str) -> Result<Predictions, Problem> {
    let evaluate = evaluate(settings);
    let given = Given {
        evaluate: Some(&evaluate),
        ..Given::default()
    };
    let bytes = npz::write_npz(arrays).unwrap();
    resolve(archive::columns(Cursor::new(bytes)), &given)
}

fn assert_scores(read: &Predictions, expected: &[f64]) {
    let Some(ScoreTable::F64(scores)) = &read.rows.scores else {
        panic!("scores in double precision")
    };
    assert_eq!(scores.len(), expected.len());
    for (score, expected) in scores.iter().zip(expected) {
        assert!((score - expected).abs() < 1e-15, "{scores:?}");
    }
}

const TABLE: &str = "label,predicted,weight,group,fold,country,zip,latency_ms,note\n\
                     a,a,1,p1,0,DE,01067,12.5,x\n\
                     b,a,0.5,p1,1,,10115,7,x\n\
                     a,a,2,p2,1.0,FR,75001,30,x\n";
const SETTINGS: &str = "[[evaluate.columns]]\nname = \"latency_ms\"\n\
                        [[evaluate.slices]]\ncolumns = [\"country\", \"zip\"]\n";

#[test]
fn weights_groups_folds_and_further_columns_are_read_and_written_back() {
    let first = read(TABLE, SETTINGS).unwrap();
    let rows = &first.rows;
    assert_eq!(rows.weights, Some(vec![1.0, 0.5, 2.0]));
    assert_eq!(rows.groups, Some(names(&["p1", "p1", "p2"])));
    assert_eq!(rows.folds, Some(vec![0, 1, 1]));
    let column = |name: &str| rows.columns.get(name).cloned();
    assert_eq!(
        column("latency_ms"),
        Some(Column::Numbers(vec![12.5, 7.0, 30.0]))
    );
    assert_eq!(
        column("country"),
        Some(Column::Texts(names(&["DE", "", "FR"])))
    );
    // A code keeps its zero.
    let zips = Column::Texts(names(&["01067", "10115", "75001"]));
    assert_eq!(column("zip"), Some(zips));
    assert_eq!(
        first.notes,
        ["Columns that no slice or metric names: `note`."]
    );
    // The archive holds the same rows.
    let bytes = archived(&first);
    let evaluate = evaluate(SETTINGS);
    let classes = names(&["a", "b"]);
    let given = Given {
        classes: Some(&classes),
        evaluate: Some(&evaluate),
        ..Given::default()
    };
    let again = resolve(archive::columns(Cursor::new(bytes)), &given).unwrap();
    assert_eq!(again.rows, first.rows);
    let arrays = npz::read_npz(&archived(&first)).unwrap();
    let expected = [
        "column/country",
        "column/latency_ms",
        "column/note",
        "column/zip",
    ];
    let found: Vec<&str> = arrays.keys().map(String::as_str).take(4).collect();
    assert_eq!(found, expected);
    assert_eq!(arrays["fold"], Array::integers(vec![0, 1, 1]));
}

/// Without ids, rows are told apart by the content of columns: what a model took or cost is not content.
#[test]
fn a_column_that_is_a_metric_is_not_part_of_what_a_row_is() {
    let slower = TABLE.replace("12.5", "99");
    let set = |text: &str, settings: &str| read(text, settings).unwrap().row_set().0;
    let is_same = |settings: &str| {
        set(TABLE, settings)
            .matches(&set(&slower, settings))
            .is_same()
    };
    assert_eq!(is_same(SETTINGS), Some(true));
    assert_eq!(is_same(""), Some(false));
    let other_fold = TABLE.replace("p1,0,", "p1,1,");
    assert_eq!(
        set(TABLE, "").matches(&set(&other_fold, "")).is_same(),
        Some(true)
    );
}

#[test]
fn arrays_are_columns_by_their_prefix_or_where_the_configuration_names_them() {
    let label = Array::integers(vec![0, 1]);
    let latency = Array::integers(vec![3, 4]);
    let gap = Array::numbers(vec![1.5, f64::NAN]);
    let odd = Array::numbers(vec![1.0; 3]);
    let arrays = [
        ("label", &label),
        ("predicted", &label),
        ("latency_ms", &latency),
        ("column/age", &gap),
        ("embedding", &odd),
        ("step", &label),
        ("weight", &label),
    ];
    let read = read_npz(&arrays, "[[evaluate.columns]]\nname = \"latency_ms\"\n").unwrap();
    let kept: Vec<(&str, Column)> = read
        .rows
        .columns
        .iter()
        .map(|(name, column)| (name.as_str(), column.clone()))
        .collect();
    assert_eq!(
        kept,
        [
            ("age", Column::Texts(names(&["1.5", ""]))),
            ("latency_ms", Column::Numbers(vec![3.0, 4.0])),
        ]
    );
    assert_eq!(read.rows.weights, Some(vec![0.0, 1.0]));
    assert_eq!(
        read.notes[0],
        "Columns that no slice or metric names: `age`, `embedding`, `step`."
    );
    assert!(read.notes[1].starts_with("The column `age` is read as texts"));
    let error = read_npz(&arrays, "[[evaluate.columns]]\nname = \"age\"\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "row 1: `NaN` in the column `age` is not a finite number"
    );
    let short = [("label", &label), ("predicted", &label), ("column/x", &odd)];
    let error = read_npz(&short, "").unwrap_err().to_string();
    assert!(error.contains("`x` has the shape [3]"), "{error}");
}

#[test]
fn wrong_values_are_named_with_their_line() {
    let metric = "[[evaluate.columns]]\nname = \"x\"\n";
    for (text, settings, expected) in [
        (
            "label,predicted,weight\na,a,1\na,a,-1\n",
            "",
            "line 3: the weight `-1` is not a finite number that is not negative",
        ),
        (
            "label,predicted,weight\na,a,NaN\n",
            "",
            "line 2: the weight `NaN`",
        ),
        (
            "label,predicted,weight\na,a,\n",
            "",
            "line 2: the column `weight` is empty",
        ),
        ("label,predicted,weight\na,a,0\n", "", "every `weight` is 0"),
        (
            "label,predicted,fold\na,a,0.5\n",
            "",
            "line 2: the fold `0.5` is not a whole number from 0",
        ),
        (
            "label,predicted,fold\na,a,-1\n",
            "",
            "line 2: the fold `-1`",
        ),
        (
            "label,predicted,group\na,a,\n",
            "",
            "line 2: the column `group` is empty",
        ),
        (
            "label,predicted,x\na,a,1\na,a,fast\n",
            metric,
            "line 3: `fast` in the column `x` is not a finite number",
        ),
        (
            "label,predicted,x\na,a,\n",
            metric,
            "line 2: the column `x` is empty",
        ),
        (
            "label,predicted,x\na,a,inf\n",
            metric,
            "line 2: `inf` in the column `x`",
        ),
    ] {
        let problem = error(text, settings);
        assert!(problem.starts_with(expected), "{text:?}: {problem}");
    }
}

/// By hand: exp(ln 3) is 3 of 1 + 3, and the sigmoid of ln 3 is 3 / 4; a logit of 1000 is certain, not infinite.
#[test]
fn logits_become_probabilities() {
    let logits = "[evaluate]\nscores = \"logits\"\n";
    let text = "label,score_a,score_b\na,0,1.0986122886681098\nb,-5,1000\n";
    let found = read(text, logits).unwrap();
    assert_scores(&found, &[0.25, 0.75, 0.0, 1.0]);
    assert_eq!(found.rows.predicted, Labels::Class(vec![1, 1]));
    // One column of a table is of the class that it names.
    let one = "label,score_b\na,1.0986122886681098\nb,-1000\n";
    let found = read(one, logits).unwrap();
    assert_eq!(found.rows.classes, ["a", "b"]);
    assert_scores(&found, &[0.25, 0.75, 1.0, 0.0]);
    // One column of an array is of the positive class.
    let label = Array::integers(vec![0, 1]);
    let score = Array::numbers(vec![1.098_612_288_668_109_8, -1000.0]);
    let arrays = [("label", &label), ("score", &score)];
    let of = |positive: &str| {
        let settings = format!("{logits}positive_class = \"{positive}\"\n");
        read_npz(&arrays, &settings).unwrap()
    };
    assert_scores(&of("1"), &[0.25, 0.75, 1.0, 0.0]);
    assert_scores(&of("0"), &[0.75, 0.25, 0.0, 1.0]);
    let error = read_npz(&arrays, logits).unwrap_err().to_string();
    assert!(error.contains("`[evaluate] positive_class`"), "{error}");
    // One column of probabilities is as good, and logits are not mistaken for them.
    let found = read("label,score_b\na,0.25\nb,1\n", "").unwrap();
    assert_scores(&found, &[0.75, 0.25, 0.0, 1.0]);
    let problem = self::error(one, "");
    assert!(problem.contains("scores = \"logits\""), "{problem}");
    let infinite = Array::table(vec![0.0, f32::INFINITY, 0.0, 0.0], 2);
    let error = read_npz(&[("label", &label), ("score", &infinite)], logits);
    assert!(error.unwrap_err().to_string().starts_with("row 0: `inf`"));
}

#[test]
fn a_threshold_predicts_the_positive_class_at_or_above_it() {
    let text = "label,score_ill,score_well\nill,0.3,0.7\nwell,0.29,0.71\nill,0.9,0.1\n";
    let settings = "[evaluate]\npositive_class = \"ill\"\nthreshold = 0.3\n";
    let found = read(text, settings).unwrap();
    assert_eq!(found.rows.predicted, Labels::Class(vec![0, 1, 0]));
    assert_eq!(
        read(text, "").unwrap().rows.predicted,
        Labels::Class(vec![1, 1, 0])
    );
    // A column of predictions must be what the threshold gives, and nothing is then noted about the scores.
    let with = "label,predicted,score_ill,score_well\nill,ill,0.3,0.7\nill,ill,0.4,0.6\n";
    assert_eq!(
        read(with, settings).unwrap().notes,
        [] as [std::string::String; 0]
    );
    let problem = error(&with.replace("ill,ill,0.4", "ill,well,0.4"), settings);
    assert!(
        problem.starts_with("line 3: `predicted` is not what"),
        "{problem}"
    );
    assert!(problem.contains("in 1 of 2 rows"), "{problem}");
    let predicted = "label,predicted\nill,ill\nwell,well\n";
    assert!(error(predicted, settings).contains("needs a score of each class"));
    let other = "[evaluate]\npositive_class = \"sick\"\n";
    assert!(error(predicted, other).contains("the classes are `ill`, `well`"));
    let three = "label,predicted\nill,ill\nwell,well\ndead,dead\n";
    for (text, advice) in [
        (
            three,
            "a threshold needs two classes, and there are 3: dead, ill, well; remove `[evaluate] threshold` and `positive_class`",
        ),
        (
            "label,predicted\nill,ill\n",
            "a threshold needs two classes, and there is 1: ill; take rows of both classes",
        ),
    ] {
        // The same for an aim, which no row is predicted by yet.
        let aim = settings.replace("0.3", "{ aim = \"max_f1\" }");
        for settings in [settings, &aim] {
            let problem = error(text, settings);
            assert!(problem.contains(advice), "{problem}");
        }
    }
    let positive = "[evaluate]\npositive_class = \"ill\"\n";
    assert!(error(three, positive).contains("`[evaluate] positive_class` is for two classes, and there are 3: dead, ill, well: remove it"));
    let evaluate = evaluate(settings);
    let given = Given {
        task: Some(PredictionTask::Regression),
        evaluate: Some(&evaluate),
        ..Given::default()
    };
    let numbers = resolve(table::columns(b"label,predicted\n1,2\n"), &given);
    assert!(
        numbers
            .unwrap_err()
            .to_string()
            .contains("numbers are predicted")
    );
}

#[test]
fn of_a_wide_table_only_what_is_used_is_kept() {
    let features: Vec<String> = (0..40).map(|idx| format!("x{idx}")).collect();
    let header = format!("label,predicted,age,{}\n", features.join(","));
    let text = format!("{header}a,a,7,{}\n", vec!["1"; 40].join(","));
    let by_age = "[[evaluate.slices]]\ncolumns = [\"age\"]\nbins = 2\n";
    assert_eq!(read(&text, by_age).unwrap().rows.columns.len(), 1);
    let prompt = "word ".repeat(30);
    let text = format!("label,predicted,prompt,x\na,a,{prompt},1\n");
    let kept = read(&text, "").unwrap().rows.columns;
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["x"]);
}

/// A gap makes texts of a column of numbers, which is then cut by value; codes and names are texts anyway.
#[test]
fn a_column_of_numbers_with_a_gap_is_noted() {
    let of_cells = |cells: [&str; 3]| {
        let mut text = "label,predicted,age\n".to_owned();
        text.extend(cells.map(|cell| format!("a,a,{cell}\n")));
        let read = read(&text, "[[evaluate.slices]]\ncolumns = [\"age\"]\n").unwrap();
        assert_eq!(
            matches!(read.rows.columns["age"], Column::Texts(_)),
            cells != ["1", "2", "3.5"]
        );
        read.notes
    };
    for (cells, part) in [
        (
            ["1", "", "3"],
            "`age` is read as texts, each value a category for slices and weak segments: its cell at line 3 is empty, while",
        ),
        (["1", "2", "NaN"], "its cell at line 4 is `NaN`, while"),
        (
            ["NA", "2", "inf"],
            "its cell at line 2 is `NA`, and 1 more are not numbers, while",
        ),
    ] {
        let notes = of_cells(cells);
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(notes[0].contains(part), "{notes:?}");
    }
    for cells in [
        ["1", "2", "3.5"],
        ["01", "2", ""],
        ["red", "2", "blue"],
        ["", "red", ""],
    ] {
        assert_eq!(of_cells(cells), [""; 0], "{cells:?}");
    }
    let label = Array::integers(vec![0, 1]);
    let age = Array::numbers(vec![1.5, f64::NAN]);
    let arrays = [
        ("label", &label),
        ("predicted", &label),
        ("column/age", &age),
    ];
    let notes = read_npz(&arrays, "[[evaluate.slices]]\ncolumns = [\"age\"]\n")
        .unwrap()
        .notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("its cell at row 1 is empty or `NaN`")),
        "{notes:?}"
    );
}

/// Reads a table of numbers to predict by an `[evaluate]` section.
fn regression(text: &str, settings: &str) -> Result<Predictions, String> {
    let evaluate = evaluate(settings);
    let given = Given {
        task: Some(PredictionTask::Regression),
        evaluate: Some(&evaluate),
        ..Given::default()
    };
    resolve(table::columns(text.as_bytes()), &given).map_err(|problem| problem.to_string())
}

#[test]
fn probabilities_are_not_taken_for_logits() {
    let logits = "[evaluate]\nscores = \"logits\"\n";
    let probabilities = "label,score_a,score_b\na,0.9,0.1\nb,0.25,0.75\n";
    let problem = error(probabilities, logits);
    assert!(problem.contains("a sum of 1 already"), "{problem}");
    // One row beyond them, and whole numbers, may be logits.
    for rows in ["a,0.9,0.1\nb,0.25,1.75\n", "a,1,0\nb,0,1\n"] {
        assert!(read(&format!("label,score_a,score_b\n{rows}"), logits).is_ok());
    }
}

#[test]
fn scores_of_classes_in_another_order_are_refused() {
    let rows = ["a,a,0.1,0.9", "b,b,0.8,0.2", "a,a,0.3,0.7", "b,b,0.6,0.4"].join("\n");
    let problem = error(&format!("label,predicted,score_a,score_b\n{rows}\n"), "");
    assert!(problem.contains("in 4 of 4 rows"), "{problem}");
    assert!(read(&format!("label,predicted,score_b,score_a\n{rows}\n"), "").is_ok());
}

#[test]
fn a_quantile_that_is_not_a_number_is_named_with_its_line() {
    let text = "label,predicted,quantile_0.1,quantile_0.9\n1.5,1,1,2\n2.5,2,NaN,3\n";
    assert_eq!(
        regression(text, "").unwrap_err(),
        "line 3: `NaN` in the column `quantile_0.1` is not a finite number"
    );
    // Of classes it is a column like any other, and as any other it is named where nothing is made of it.
    let found = read("label,predicted,quantile_0.1\na,a,NaN\n", "").unwrap();
    assert_eq!(
        found.notes,
        ["Columns that no slice or metric names: `quantile_0.1`."]
    );
}

#[test]
fn what_cannot_be_ranked_is_named_with_its_line() {
    let by_query = "[evaluate.ranking]\ngroup = \"query_id\"\n";
    for (text, settings, expected) in [
        (
            "query_id,label,predicted\nq,1,0.5\nq,-1,0.4\n",
            by_query,
            "line 3 has a relevance of -1: write 0",
        ),
        (
            "query_id,label,predicted\nq,1,0.5\n,0,0.4\n",
            by_query,
            "line 3: the column `query_id` is empty",
        ),
        // The misspelt name is what is wrong, not the column `group`.
        (
            "group,label,predicted\nq,1,0.5\n",
            by_query,
            "there is no column `query_id`; there are group: name",
        ),
        (
            "query_id,group,label,predicted\nq,g,1,0.5\n",
            by_query,
            "a column `group` beside `query_id`",
        ),
        (
            "query,label,predicted\nq,1,0.5\n",
            "[evaluate.ranking]\nk = 3\n",
            "there is no column `group`; there are query: add it",
        ),
        (
            "query_id,weight,label,predicted\nq,1,1,0.5\n",
            by_query,
            "remove the column `weight`",
        ),
    ] {
        let problem = regression(text, settings).unwrap_err();
        assert!(problem.contains(expected), "{text}\n{problem}");
    }
    let ranked = regression("query_id,label,predicted\n7,1,0.5\n8,0,0.4\n", by_query).unwrap();
    assert_eq!(ranked.rows.groups.unwrap(), ["7", "8"]);
}
