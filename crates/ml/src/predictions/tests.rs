mod settings;
mod several;

use super::problem::Problem;
use super::*;
use crate::data::npz::{self, Array, Values};
use trainyard_core::prediction_task::PredictionTask;

fn resolve(columns: Result<Columns, Problem>, given: &Given<'_>) -> Result<Predictions, Problem> {
    assembled(columns?, given, Sha256Digest::of(b"file"))
}

fn csv(
    text: &str,
    task: Option<PredictionTask>,
    classes: Option<&[String]>,
) -> Result<Predictions, Problem> {
    let given = Given {
        task,
        classes,
        evaluate: None,
    };
    resolve(table::columns(text.as_bytes()), &given)
}

fn classified(text: &str) -> Result<Predictions, Problem> {
    csv(text, None, None)
}

fn problem(text: &str) -> String {
    classified(text).unwrap_err().to_string()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn array(shape: &[usize], values: Values) -> Array {
    Array {
        shape: shape.to_vec(),
        values,
    }
}

fn npz(arrays: &[(&str, &Array)], classes: Option<&[String]>) -> Result<Predictions, Problem> {
    let bytes = npz::write_npz(arrays).unwrap();
    let given = Given {
        classes,
        ..Given::default()
    };
    resolve(archive::columns(Cursor::new(bytes)), &given)
}

fn archived(read: &Predictions) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    read.rows.write_archive(&mut bytes).unwrap();
    bytes.into_inner()
}

fn accuracy(read: &Predictions) -> f64 {
    let (Labels::Class(labels), Labels::Class(predicted)) =
        (&read.rows.labels, &read.rows.predicted)
    else {
        panic!("classes")
    };
    let right = labels
        .iter()
        .zip(predicted)
        .filter(|(label, found)| label == found);
    right.count() as f64 / labels.len() as f64
}

#[test]
fn classes_are_the_words_in_the_file_numbers_by_value() {
    let read = classified("label,predicted\n10,9\n9,9\n2,10\n").unwrap();
    assert_eq!(read.rows.classes, ["2", "9", "10"]);
    assert_eq!(read.rows.labels, Labels::Class(vec![2, 1, 0]));
    assert_eq!(read.rows.predicted, Labels::Class(vec![1, 1, 2]));
    assert_eq!(read.rows.row_ids, None);
    let read = classified("label,predicted\ncat,dog\ndog,dog\n").unwrap();
    assert_eq!(read.rows.classes, ["cat", "dog"]);
}

#[test]
fn score_columns_of_a_table_are_matched_by_name() {
    let text = "row_id, label, score_b, score_a\n7, a, 0.25, 0.75\nx5, b, 1, 0\n";
    let read = csv(text, None, Some(&names(&["a", "b"]))).unwrap();
    assert_eq!(
        read.rows.scores,
        Some(ScoreTable::F64(vec![0.75, 0.25, 0.0, 1.0]))
    );
    assert_eq!(read.rows.labels, Labels::Class(vec![0, 1]));
    assert_eq!(read.rows.row_ids, Some(names(&["7", "x5"])));
}

/// By hand: the model is certain and wrong on every row, and the classes are called by numbers in another order than
/// their indices.
#[test]
fn columns_of_an_array_are_in_the_order_of_the_classes_whatever_these_are_called() {
    let label = Array::integers(vec![1, 0]);
    let score = Array::table(vec![0.0, 1.0, 1.0, 0.0], 2);
    let read = npz(
        &[("label", &label), ("score", &score)],
        Some(&names(&["1", "0"])),
    )
    .unwrap();
    assert_eq!(read.rows.labels, Labels::Class(vec![0, 1]));
    assert_eq!(accuracy(&read), 0.0);
    // The order of scikit-learn and of folders of images.
    let classes = names(&["0", "1", "10", "2"]);
    let label = Array::integers(vec![0, 1, 10, 2]);
    let one_hot = (0..16).map(|idx| if idx % 5 == 0 { 1.0 } else { 0.0 });
    let score = Array::table(one_hot.collect(), 4);
    let read = npz(&[("label", &label), ("score", &score)], Some(&classes)).unwrap();
    assert_eq!(accuracy(&read), 1.0);
    // Without a list, a label must say by its number which column is its own.
    let read = npz(
        &[
            ("label", &Array::integers(vec![1, 0])),
            ("score", &Array::table(vec![0.5; 4], 2)),
        ],
        None,
    );
    assert_eq!(read.unwrap().rows.classes, ["0", "1"]);
    let error = npz(&[("label", &label), ("score", &score)], None).unwrap_err();
    assert!(
        error.to_string().contains("in the order of the columns"),
        "{error}"
    );
    let error = npz(
        &[("label", &label), ("score", &score)],
        Some(&names(&["0", "1", "10", "2", "3"])),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("4 columns for 5 classes")
    );
}

/// By hand: at 1e9, single precision rounds to multiples of 64.
#[test]
fn numbers_are_kept_as_precise_as_they_were_written() {
    let text = "label,predicted\n1000000000,1000000025\n-2,0.5\n";
    let read = csv(text, Some(PredictionTask::Regression), None).unwrap();
    assert_eq!(
        read.rows.predicted,
        Labels::Value(vec![1_000_000_025.0, 0.5])
    );
    let label = Array::numbers(vec![1e9, 2.0]);
    let read = npz::write_npz(&[
        ("label", &label),
        ("predicted", &Array::numbers(vec![1e9 + 25.0, 2.5])),
    ]);
    let given = Given {
        task: Some(PredictionTask::Regression),
        ..Given::default()
    };
    let read = resolve(archive::columns(Cursor::new(read.unwrap())), &given).unwrap();
    assert_eq!(
        read.rows.predicted,
        Labels::Value(vec![1_000_000_025.0, 2.5])
    );
    // Probabilities that differ beyond single precision are not ties.
    let text = "label,score_a,score_b\na,0.5000000001,0.4999999999\nb,0.4999999999,0.5000000001\n";
    assert_eq!(
        classified(text).unwrap().rows.predicted,
        Labels::Class(vec![0, 1])
    );
}

#[test]
fn what_is_predicted_decides_the_class_and_scores_the_rest() {
    // A threshold other than a half, say.
    let text = "label,predicted,score_a,score_b\nb,b,0.6,0.4\na,a,0.9,0.1\n";
    let read = classified(text).unwrap();
    assert_eq!(accuracy(&read), 1.0);
    assert!(read.rows.scores.is_some());
}

#[test]
fn two_spellings_of_one_number_are_one_class_where_nothing_else_can_be_meant() {
    for text in [
        "label,predicted\n1,1.0\n0,0.0\n2,2.0\n",
        "label,predicted\n1.0,1\n0.0,0\n2.0,2\n",
    ] {
        let read = classified(text).unwrap();
        assert_eq!(
            (accuracy(&read), read.rows.classes.len()),
            (1.0, 3),
            "{text}"
        );
    }
    let declared = names(&["0", "1"]);
    let read = csv("label,predicted\n1.0,1\n0.0,0\n", None, Some(&declared)).unwrap();
    assert_eq!((accuracy(&read), read.rows.classes), (1.0, declared));
    let label = Array::integers(vec![1, 0]);
    let read = npz(
        &[
            ("label", &label),
            ("predicted", &Array::numbers(vec![1.0, 0.0])),
        ],
        None,
    );
    assert_eq!(accuracy(&read.unwrap()), 1.0);
    // Within one column they are an error, unless both are classes.
    assert!(problem("label,predicted\n1,1\n1.0,1\n").contains("`1` and as `1.0`"));
    let both = names(&["1", "1.0"]);
    let read = csv("label,predicted\n1,1.0\n1.0,1.0\n", None, Some(&both)).unwrap();
    assert_eq!(accuracy(&read), 0.5);
    // Leading zeros and exponents are text.
    assert_eq!(
        classified("label,predicted\n01,01\n1e0,1e0\n1,1\n")
            .unwrap()
            .rows
            .classes
            .len(),
        3
    );
}

#[test]
fn labels_and_predictions_that_differ_by_spelling_alone_are_an_error() {
    for (text, part) in [
        (
            "label,predicted\nTrue,true\nFalse,false\n",
            "by case or blanks",
        ),
        (
            "label,predicted\ncat,dog\ncat,bird\n",
            "no prediction is among the labels",
        ),
        ("label,predicted\n1,2\n0,1\n2,3\n0,1\n", "off by +1"),
        ("label,predicted\n1,0\n2,1\n3,2\n2,1\n", "off by −1"),
        ("label,predicted\n1.5,1\n2.5,3\n", "set `--task regression`"),
        (
            "label,predicted\n1,1.25\n2,2.5\n",
            "set `--task regression`",
        ),
        (
            "label,predicted\n3,17.0\n17,3.5\n",
            "set `--task regression`",
        ),
    ] {
        let problem = problem(text);
        assert!(problem.contains(part), "{text}: {problem}");
    }
    let classes = names(&["True", "False"]);
    let error = csv("label,predicted\nTrue,true\n", None, Some(&classes)).unwrap_err();
    assert!(
        error.to_string().contains("`true` is not the class `True`"),
        "{error}"
    );
    let padded = array(&[2], Values::Text(names(&["cat", "dog"])));
    let found = array(&[2], Values::Text(names(&[" cat", "dog "])));
    let error = npz(
        &[("label", &padded), ("predicted", &found)],
        Some(&names(&["cat", "dog"])),
    );
    assert!(
        matches!(error, Err(Problem::AlmostClass { .. })),
        "{error:?}"
    );
    // A model that is plainly wrong is not an error: the classes are declared.
    let read = csv(
        "label,predicted\ncat,dog\ncat,dog\n",
        None,
        Some(&names(&["cat", "dog"])),
    );
    assert_eq!(accuracy(&read.unwrap()), 0.0);
}

#[test]
fn a_gap_is_a_label_only_where_the_classes_list_it() {
    for gap in ["NA", "None", "null", "nan", "NaN", "none", "?"] {
        let text = format!("label,predicted\na,a\n{gap},{gap}\n");
        let error = problem(&text);
        assert!(
            error.starts_with(&format!("line 3: the label `{gap}`")),
            "{error}"
        );
        let classes = names(&["a", gap]);
        assert_eq!(accuracy(&csv(&text, None, Some(&classes)).unwrap()), 1.0);
    }
    let label = Array::numbers(vec![1.0, f64::NAN]);
    let error = npz(&[("label", &label), ("predicted", &label)], None).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("row 1: `NaN` in the column `label`"),
        "{error}"
    );
}

#[test]
fn text_arrays_are_read_and_written() {
    let label = array(&[2], Values::Text(names(&["Zürich", "b"])));
    let row_id = array(&[2], Values::Text(names(&["x-1", "x-2"])));
    let read = npz(
        &[
            ("row_id", &row_id),
            ("label", &label),
            ("predicted", &label),
        ],
        None,
    )
    .unwrap();
    assert_eq!(read.rows.classes, ["Zürich", "b"]);
    let written = npz::read_npz(&archived(&read)).unwrap();
    assert_eq!(written["row_id"], row_id);
    assert_eq!(written["label"], Array::integers(vec![0, 1]));
    let mut whole = read;
    whole.rows.row_ids = Some(names(&["7", "5"]));
    let written = npz::read_npz(&archived(&whole)).unwrap();
    assert_eq!(written["row_id"], Array::integers(vec![7, 5]));
}

#[test]
fn the_order_of_rows_columns_and_classes_does_not_change_which_rows_they_are() {
    let one = classified("row_id,label,predicted\n1,a,a\n2,b,a\n3,a,b\n").unwrap();
    let other = classified("predicted,label,row_id\nb,a,3\nc,b,2\na,a,1\n").unwrap();
    assert_eq!(other.rows.row_ids, Some(names(&["1", "2", "3"])));
    let ((set, order), (other_set, other_order)) = (one.row_set(), other.row_set());
    let (mask, other_mask) = (order.mask(&[1, 2]), other_order.mask(&[1, 2]));
    assert_eq!(set.matches(&other_set).is_same(), Some(true));
    assert_eq!(mask, other_mask);
    let renamed = classified("row_id,label,predicted\n1,x,x\n2,b,x\n3,x,b\n").unwrap();
    assert_eq!(set.matches(&renamed.row_set().0).is_same(), Some(false));
    // Without ids, another column of the file tells other rows with the same labels.
    let with =
        |column: &str| classified(&format!("label,predicted,x\na,a,1\nb,b,{column}\n")).unwrap();
    let (same, changed) = (with("2").row_set().0, with("3").row_set().0);
    assert_eq!(same.matches(&with("2").row_set().0).is_same(), Some(true));
    assert_eq!(same.matches(&changed).is_same(), Some(false));
    assert!(with("2").notes[0].contains("no slice or metric names: `x`"));
}

/// What evaluations are told apart by is the digest of these bytes.
#[test]
fn rows_and_columns_in_another_order_are_the_same_predictions() {
    let bytes = |text: &str| archived(&classified(text).unwrap());
    let one = bytes(
        "row_id,label,predicted,score_a,score_b\n1,a,a,0.75,0.25\n2,b,a,0.5,0.5\n10,a,b,0.25,0.75\n",
    );
    let other = bytes(
        "score_b,label,score_a,row_id,predicted\n0.75,a,0.25,10,b\n0.25,a,0.75,1,a\n0.5,b,0.5,2,a\n",
    );
    assert_eq!(one, other);
    let of_outputs = |text: &str| {
        let read = csv(text, Some(PredictionTask::Regression), None).unwrap();
        (archived(&read), read.rows.classes)
    };
    let one = of_outputs("label_h,predicted_h,label_w,predicted_w\n1,2,3,4\n5,6,7,8\n");
    let other = of_outputs("label_w,label_h,predicted_w,predicted_h\n3,1,4,2\n7,5,8,6\n");
    assert_eq!(one, other);
    // Without ids a row is its position.
    let unnamed = |text: &str| archived(&classified(text).unwrap());
    assert_ne!(
        unnamed("label,predicted\na,a\nb,a\n"),
        unnamed("label,predicted\nb,a\na,a\n")
    );
}

/// `a\u{308}` is a letter and its marks (NFD), `ä` is both in one (NFC).
#[test]
fn classes_that_differ_by_writing_alone_are_named() {
    let text = "label,predicted\nyes,yes\nYes,yes\nno,no\n";
    let read = classified(text).unwrap();
    assert!(
        read.notes[0].contains("`Yes` and `yes`") && read.notes[0].contains("list both"),
        "{:?}",
        read.notes
    );
    let listed = csv(text, None, Some(&names(&["yes", "Yes", "no"]))).unwrap();
    assert_eq!(listed.notes, Vec::<String>::new());
    let both = classified("label,predicted\n\u{e4}pfel,b\na\u{308}pfel,b\nb,b\n").unwrap();
    assert!(both.notes[0].contains("Unicode form"), "{:?}", both.notes);
    let other = problem("label,predicted\n\u{e4}pfel,a\u{308}pfel\nb,b\nc,c\n");
    assert!(other.contains("Unicode form (NFC, NFD)"), "{other}");
    // Other letters are other classes.
    let distinct = classified("label,predicted\n\u{e4}pfel,b\napfel,b\nb,b\n").unwrap();
    assert_eq!(distinct.notes, Vec::<String>::new());
}

#[test]
fn scores_that_are_not_probabilities_are_refused_with_what_they_may_be() {
    for (second, remedy) in [
        ("2.5,-1.5", "the score of `b` is -1.5, but"),
        ("2.5,1.5", "sum to 4, but"),
        (
            "2.5,1.5",
            "for logits, set `[evaluate] scores = \"logits\"`",
        ),
        ("75,25", "write 98.5 % as 0.985"),
        ("0.33,0.66", "sum to 0.99, but"),
        ("0.33,0.66", "divide each row by its sum"),
        ("1,-1e-17", "round it up to 0"),
    ] {
        let found = problem(&format!("label,score_a,score_b\na,1,0\n\nb,{second}\n"));
        assert!(
            found.starts_with("line 4: ") && found.contains(remedy),
            "{second}: {found}"
        );
    }
    let found = csv(
        "label,predicted\n1.5,\"2,5\"\n",
        Some(PredictionTask::Regression),
        None,
    );
    let found = found.unwrap_err().to_string();
    assert!(found.contains("write `2.5`"), "{found}");
}

#[test]
fn an_empty_text_of_an_array_is_no_class() {
    let texts = |values: [&str; 2]| array(&[2], Values::Text(values.map(str::to_owned).to_vec()));
    let (labels, predicted) = (texts(["a", ""]), texts(["a", "a"]));
    let error = npz(&[("label", &labels), ("predicted", &predicted)], None).unwrap_err();
    assert_eq!(error.to_string(), "row 1: the column `label` is empty");
}

#[test]
fn errors_name_the_line_and_what_to_change() {
    for (text, expected) in [
        ("", "the file is empty"),
        // Either swallows rows without a word, in whichever column.
        (
            "label,predicted,url\na,a,x\na,b,\"http://y\na,b,z\na,b,z\n",
            "line 3: a quote is opened here and never closed",
        ),
        (
            "label,predicted,url\na,a,\"x\na,b,y\na,b,\"z\na,b,z\n",
            "text follows the closing quote of the cell that is opened on line 2",
        ),
        (
            "label,predicted\na,a\nb,b\0\n",
            "line 3: there is a NUL byte",
        ),
        ("label\n", "neither a `predicted` column"),
        ("label,predicted\n", "there are no rows"),
        (
            "y,predicted\n1,2\n",
            "there is no column `label`; there are y, predicted",
        ),
        ("label,label,predicted\na,a,a\n", "names `label` twice"),
        (
            "label,predicted\n1,1\n1\n",
            "line 3: 1 cells, but the header has 2",
        ),
        (
            "label,predicted\n1,\n",
            "line 2: the column `predicted` is empty",
        ),
        (
            "label,score_a\na,NaN\n",
            "line 2: `NaN` in the column `score_a` is not a finite",
        ),
        (
            "label,score_a\nb,1\n",
            "there is no column `score_b`; there are score columns of a",
        ),
        (
            "row_id,label,predicted\n1,a,a\n1,a,a\n",
            "line 3: the row_id `1` is there twice",
        ),
        (
            "row_id,label,predicted\r\nx,a,a\r\n,a,a\r\n",
            "line 3: the column `row_id` is empty",
        ),
    ] {
        let problem = problem(text);
        assert!(problem.contains(expected), "{text:?}: {problem}");
    }
    let error = csv(
        "label,score_a,score_b\na,1,0\n",
        None,
        Some(&names(&["a", "c"])),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("there is no column `score_c`; there are score columns of a, b"),
        "{error}"
    );
    let error = csv(
        "label,predicted\n1,x\n",
        Some(PredictionTask::Regression),
        None,
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("line 2: `x` in the column `predicted`"),
        "{error}"
    );
}

/// Rows were once counted in the place of lines.
#[test]
fn lines_are_counted_behind_cells_with_line_breaks_and_empty_lines() {
    let text = "note,label,predicted\r\n\"two\r\nlines\",a,a\r\n\r\nx,b,b\r\nx,a,c \r\n";
    let classes = names(&["a", "b"]);
    let given = Given {
        classes: Some(&classes),
        ..Given::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.csv");
    std::fs::write(&path, text).unwrap();
    let error = Predictions::read(&path, &given).unwrap_err().to_string();
    assert!(error.contains("line 6: the predicted `c`"), "{error}");
}
