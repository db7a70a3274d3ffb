//! Several labels a row: which file means what, and what is refused.

use trainyard_core::config::{EvaluateConfig, JudgingConfig};
use trainyard_core::prediction_task::PredictionTask;
use trainyard_core::scored_rows::Column;
use trainyard_core::table::Table;

use super::*;

fn read_as(
    text: &str,
    task: Option<PredictionTask>,
    classes: Option<&[String]>,
    settings: &str,
) -> Result<Predictions, Problem> {
    let path = Path::new("trainyard.toml");
    let evaluate: EvaluateConfig = JudgingConfig::parse(settings, path).unwrap().evaluate;
    let given = Given {
        task,
        classes,
        evaluate: Some(&evaluate),
    };
    resolve(table::columns(text.as_bytes()), &given)
}

fn read(text: &str) -> Predictions {
    read_as(text, None, None, "").unwrap()
}

fn error(text: &str, settings: &str) -> String {
    read_as(text, None, None, settings).unwrap_err().to_string()
}

fn sets(cells: &[u8], n_classes: usize) -> Labels {
    let cells = cells.iter().map(|&cell| cell == 1).collect();
    Labels::Sets(Table::new(cells, n_classes).unwrap())
}

fn values(cells: &[f64], n_outputs: usize) -> Labels {
    Labels::Values(Table::new(cells.to_vec(), n_outputs).unwrap())
}

const SETS: &str = "row_id,label_cat,predicted_cat,label_dog,predicted_dog,score_dog,score_cat,weight,country\n\
                    a,1,1,0,0,0.25,0.75,1,DE\n\
                    b,0,1,true,TRUE,1,0.5,2,FR\n";

#[test]
fn classes_that_are_there_or_not_are_read_by_name() {
    let found = read(SETS);
    let rows = &found.rows;
    assert_eq!(rows.classes, ["cat", "dog"]);
    assert_eq!(rows.labels, sets(&[1, 0, 0, 1], 2));
    assert_eq!(rows.predicted, sets(&[1, 0, 1, 1], 2));
    assert_eq!(
        rows.scores,
        Some(ScoreTable::F64(vec![0.75, 0.25, 0.5, 1.0]))
    );
    assert_eq!(rows.weights, Some(vec![1.0, 2.0]));
    assert_eq!(rows.columns["country"], Column::Texts(names(&["DE", "FR"])));
    assert_eq!(rows.task(), PredictionTask::Multilabel);
    assert_eq!(found.threshold, None);
    // Listed classes give the order, and their columns must be there.
    let listed = names(&["dog", "cat"]);
    let found = read_as(SETS, None, Some(&listed), "").unwrap();
    assert_eq!(found.rows.labels, sets(&[0, 1, 1, 0], 2));
    let listed = names(&["dog", "cat", "wolf"]);
    let problem = read_as(SETS, None, Some(&listed), "")
        .unwrap_err()
        .to_string();
    assert_eq!(problem, "there is no column `label_wolf`");
}

/// By hand: the sigmoid of 0 is 0.5, that of -1 is 0.2689, and of 2 it is 0.8808.
#[test]
fn without_predictions_a_class_is_predicted_from_the_threshold_on() {
    let text = "label_a,label_b,score_a,score_b\n1,0,0.5,0.49\n0,1,0.1,0.9\n";
    let found = read(text);
    assert_eq!(found.rows.predicted, sets(&[1, 0, 0, 1], 2));
    assert_eq!(found.threshold, Some(0.5));
    assert!(found.notes[0].contains("at least 0.5"), "{:?}", found.notes);
    let found = read_as(text, None, None, "[evaluate]\nthreshold = 0.3\n").unwrap();
    assert_eq!(found.rows.predicted, sets(&[1, 1, 0, 1], 2));
    assert_eq!((found.threshold, found.notes.len()), (Some(0.3), 0));
    let logits = "label_a,label_b,score_a,score_b\n1,0,0,-1\n0,1,-1,2\n";
    let found = read_as(logits, None, None, "[evaluate]\nscores = \"logits\"\n").unwrap();
    assert_eq!(found.rows.predicted, sets(&[1, 0, 0, 1], 2));
    let scores = found.rows.scores.unwrap();
    assert!((scores.as_scores().at(3) - 0.880_797_077_977_882_3).abs() < 1e-15);
}

#[test]
fn numbers_of_several_outputs_are_read_by_name() {
    let text = "predicted_width,label_height,label_width,predicted_height\n3,1.5,2,1\n4,2,5,-2\n";
    let found = read(text);
    assert_eq!(found.rows.classes, ["height", "width"]);
    assert_eq!(found.rows.outputs(), ["height", "width"]);
    assert_eq!(found.rows.labels, values(&[1.5, 2.0, 2.0, 5.0], 2));
    assert_eq!(found.rows.predicted, values(&[1.0, 3.0, -2.0, 4.0], 2));
    assert_eq!(found.rows.task(), PredictionTask::Regression);
    // Whole numbers, and 0 and 1, are numbers where the task says so.
    let whole = "label_a,label_b,predicted_a,predicted_b\n1,0,1,0\n0,1,1,0.5\n";
    let found = read_as(whole, Some(PredictionTask::Regression), None, "").unwrap();
    assert_eq!(found.rows.predicted, values(&[1.0, 0.0, 1.0, 0.5], 2));
}

#[test]
fn arrays_are_named_by_the_classes_or_by_number() {
    let label = array(&[2, 3], Values::I64(vec![1, 0, 1, 0, 0, 1]));
    let predicted = array(&[2, 3], Values::F64(vec![1.0, 0.0, 0.0, 0.0, 0.0, 1.0]));
    let score = Array::table(vec![0.5; 6], 3);
    let classes = names(&["x", "y", "z"]);
    let arrays: [(&str, &Array); 3] = [
        ("label", &label),
        ("predicted", &predicted),
        ("score", &score),
    ];
    let found = npz(&arrays, Some(&classes)).unwrap();
    assert_eq!(found.rows.classes, classes);
    assert_eq!(found.rows.labels, sets(&[1, 0, 1, 0, 0, 1], 3));
    assert_eq!(found.rows.scores, Some(ScoreTable::F32(vec![0.5; 6])));
    assert_eq!(npz(&arrays, None).unwrap().rows.classes, ["0", "1", "2"]);
    let problem = npz(&arrays, Some(&names(&["x", "y"]))).unwrap_err();
    assert!(
        problem.to_string().contains("3 columns for 2 classes"),
        "{problem}"
    );
    let wrong = array(&[2, 3], Values::F64(vec![1.0, 0.0, 0.25, 0.0, 0.0, 1.0]));
    let problem = npz(&[("label", &label), ("predicted", &wrong)], None).unwrap_err();
    assert!(
        problem
            .to_string()
            .starts_with("row 0: `0.25` in the column `predicted[:, 2]`"),
        "{problem}"
    );
    // What was written is read again.
    let numbers = array(&[2, 2], Values::F64(vec![1.5, 2.0, 3.0, 4.0]));
    let found = npz(&[("label", &numbers), ("predicted", &numbers)], None).unwrap();
    let again = archived(&found);
    let given = Given::default();
    assert_eq!(
        resolve(archive::columns(Cursor::new(again)), &given)
            .unwrap()
            .rows,
        found.rows
    );
}

#[test]
fn neither_rows_nor_columns_nor_classes_in_another_order_are_other_rows() {
    let other = "score_cat,predicted_dog,label_dog,country,weight,row_id,score_dog,predicted_cat,label_cat\n\
                 0.5,1,1,FR,2,b,1,1,0\n0.75,0,0,DE,1,a,0.25,1,1\n";
    let (one, other) = (read(SETS), read(other));
    assert_eq!(other.rows, one.rows);
    let ((set, order), (other_set, other_order)) = (one.row_set(), other.row_set());
    assert_eq!(set, other_set);
    assert_eq!(order.mask(&[1]), other_order.mask(&[1]));
    // Classes that the configuration lists are in its order.
    let listed = read_as(SETS, None, Some(&names(&["dog", "cat"])), "").unwrap();
    assert_eq!(listed.rows.classes, ["dog", "cat"]);
    let in_order = listed.rows.in_classes_of(&one.rows.classes).unwrap();
    assert_eq!(in_order, one.rows);
    assert_eq!(listed.row_set().0, set);
    let relabelled = read(&SETS.replace("a,1,1,0", "a,1,1,1"));
    assert_eq!(set.matches(&relabelled.row_set().0).is_same(), Some(false));
    let renamed = read(&SETS.replace("_dog", "_wolf"));
    assert_eq!(set.matches(&renamed.row_set().0).is_same(), Some(false));
    assert!(renamed.rows.in_classes_of(&one.rows.classes).is_err());
}

#[test]
fn columns_that_do_not_belong_together_are_named() {
    for (text, part) in [
        (
            "label_a,predicted_a\n1,1\n",
            "`label_a` is the only column of labels: call it `label`",
        ),
        (
            "label_a,predicted\n1,1\n",
            "`label_a` is the only column of labels: call it `label`",
        ),
        (
            "label_a,label_b\n1,0\n",
            "neither `predicted_<name>` nor `score_<name>` columns",
        ),
        (
            "label_a,label_b,predicted\n1,0,1\n",
            "`predicted` and `label_<name>` columns (`label_a`, `label_b`)",
        ),
        (
            "label_cat,label_dog,predicted_cat,predicted_dgo\n1,0,1,0\n",
            "neither a column `predicted_dog` nor `score_dog` for `label_dog`",
        ),
        (
            "label_cat,label_dog,predicted_cat,predicted_dog,predicted_dgo\n1,0,1,0,1\n",
            "no column `label_dgo` for `predicted_dgo`: add it, or remove `predicted_dgo`; is it `predicted_dog`?",
        ),
        (
            "label_cat,label_dog,score_cat,predicted_dog,predicted_cat\n1,0,1,0,1\n",
            "there is no column `score_dog`",
        ),
        (
            "label_cat,label_dog,score_cat,score_dog,predicted_cat\n1,0,1,0,1\n",
            "there is no column `predicted_dog`",
        ),
        (
            "label_cat,label_dog,score_cat,score_dog,score_wolf\n1,0,1,0,1\n",
            "no column `label_wolf` for `score_wolf`",
        ),
        (
            "label,predicted,label_a\n1,1,x\n",
            "there are `label` and `label_a`: remove one of the two",
        ),
    ] {
        let problem = error(text, "");
        assert!(problem.contains(part), "{text}: {problem}");
    }
    // A column that slices are cut by is a further column, whatever it is called.
    let settings = "[[evaluate.slices]]\ncolumns = [\"label_source\"]\n";
    let one = "label,predicted,label_source\na,a,x\nb,a,y\n";
    let found = read_as(one, None, None, settings).unwrap();
    assert!(found.rows.columns.contains_key("label_source"));
    let several = "label_a,label_b,label_source,predicted_a,predicted_b\n1,0,x,1,0\n";
    let found = read_as(several, None, None, settings).unwrap();
    assert_eq!(found.rows.classes, ["a", "b"]);
    assert!(found.rows.columns.contains_key("label_source"));
    assert!(error(several, "").contains("for `label_source`"));
}

#[test]
fn cells_that_are_neither_sets_nor_numbers_are_named_by_line_and_column() {
    let predicted = "label_a,label_b,predicted_a,predicted_b";
    let scored = "label_a,label_b,score_a,score_b";
    for (header, row, part) in [
        (predicted, "1,,1,0", "line 2: the column `label_b` is empty"),
        (
            predicted,
            "1,2,1,0",
            "`2` in the column `label_b` is neither 0 nor 1; for numbers to predict",
        ),
        (
            predicted,
            "1,yes,1,0",
            "`yes` in the column `label_b` is neither 0 nor 1",
        ),
        (
            predicted,
            "1,NaN,1,0",
            "`NaN` in the column `label_b` is neither 0 nor 1",
        ),
        (
            predicted,
            "1,1,0.7,0",
            "line 2: `0.7` in the column `predicted_a`, while all labels are 0 or 1: write probabilities of classes as `score_<name>`",
        ),
        (
            scored,
            "1,2,0.7,0",
            "`2` in the column `label_b` is neither 0 nor 1",
        ),
        (
            scored,
            "1,1,1.5,0",
            "line 2: `1.5` in the column `score_a` is not a probability between 0 and 1; of logits",
        ),
        (
            scored,
            "1,1,inf,0",
            "`inf` in the column `score_a` is not a finite",
        ),
        (
            predicted,
            "0.5,1,x,0",
            "`x` in the column `predicted_a` is not a finite",
        ),
        (
            predicted,
            "0.5,inf,1,0",
            "`inf` in the column `label_b` is not a finite",
        ),
    ] {
        let text = format!("{header}\n{row}\n");
        let problem = error(&text, "");
        assert!(problem.contains(part), "{text}: {problem}");
    }
}

#[test]
fn settings_of_one_label_are_refused_with_what_to_write() {
    let scored = "label_a,label_b,score_a,score_b\n1,0,0.7,0\n0,1,0.7,0\n";
    let numbers = "label_a,label_b,predicted_a,predicted_b\n1.5,0,0.7,0\n";
    for (text, settings, part) in [
        (
            scored,
            "positive_class = \"a\"\nthreshold = { aim = \"max_f1\" }",
            "write a number, such as `threshold = 0.5`",
        ),
        (scored, "positive_class = \"a\"", "names it with `class`"),
        (numbers, "threshold = 0.5", "numbers are predicted"),
        (numbers, "positive_class = \"a\"", "numbers are predicted"),
        (
            "label_a,label_b,predicted_a,predicted_b\n1,0,1,0\n",
            "threshold = 0.5",
            "needs a score of each class",
        ),
        (
            "label_a,label_b,score_a,score_b,predicted_a,predicted_b\n1,0,0.7,0,0,0\n",
            "threshold = 0.5",
            "line 2: `predicted` is not what",
        ),
        (
            "label,score_a,score_b\na,0.7,0.3\n",
            "threshold = 0.5",
            "add `positive_class",
        ),
    ] {
        let problem = error(text, &format!("[evaluate]\n{settings}\n"));
        assert!(problem.contains(part), "{settings}: {problem}");
    }
    let problem = read_as(numbers, Some(PredictionTask::Multilabel), None, "").unwrap_err();
    assert!(
        problem
            .to_string()
            .contains("`1.5` in the column `label_a` is neither")
    );
    let one = "label,predicted\n1,1\n";
    let problem = read_as(one, Some(PredictionTask::Multilabel), None, "").unwrap_err();
    assert!(
        problem
            .to_string()
            .contains("write a column `label_<class>`")
    );
    let problem = read_as(scored, Some(PredictionTask::Regression), None, "").unwrap_err();
    assert!(
        problem.to_string().contains("`predicted_<name>`"),
        "{problem}"
    );
}
