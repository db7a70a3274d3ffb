use super::*;

fn csv(text: &str, task: Task, classes: Option<&[String]>) -> Result<Predictions, String> {
    let digest = Sha256Digest::of(text.as_bytes());
    table::columns(text.as_bytes())?.resolve(task, classes, digest)
}

fn classified(text: &str) -> Result<Predictions, String> {
    csv(text, Task::Classification, None)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn classes_are_the_words_in_the_file_numbers_by_value() {
    let read = classified("label,predicted\n10,9\n9,9\n2,10\n").unwrap();
    assert_eq!(read.classes, ["2", "9", "10"]);
    assert_eq!(read.labels, Labels::Class(vec![2, 1, 0]));
    assert_eq!(read.predicted_classes().unwrap(), [1, 1, 2]);
    assert_eq!(read.row_ids, [0, 1, 2]);
    assert_eq!(
        classified("label,predicted\ncat,dog\n").unwrap().classes,
        ["cat", "dog"]
    );
}

#[test]
fn score_columns_are_put_into_the_order_of_the_classes() {
    let text = "row_id, label, score_b, score_a\n7, a, 0.25, 0.75\n5, b, 1, 0\n";
    let read = csv(text, Task::Classification, Some(&names(&["a", "b"]))).unwrap();
    assert_eq!(read.answers, Answers::Scores(vec![0.75, 0.25, 0.0, 1.0]));
    assert_eq!(read.labels, Labels::Class(vec![0, 1]));
    assert_eq!(read.row_ids, [7, 5]);
    // Named classes may be given by index, since no class is called by a number.
    let text = "label,predicted\n0,a\n1,1\n";
    let read = csv(text, Task::Classification, Some(&names(&["a", "b"]))).unwrap();
    assert_eq!(read.predicted_classes().unwrap(), [0, 1]);
}

#[test]
fn arrays_are_read_with_their_columns_in_the_order_of_the_classes() {
    let label = Array::integers(vec![1, 0]);
    let score = Array::table(vec![0.25, 0.75, 0.5, 0.5], 2);
    let bytes = npz::write_npz(&[("label", &label), ("score", &score)]).unwrap();
    let read = |classes: Option<&[String]>| {
        columns_of_npz(&bytes)?.resolve(Task::Classification, classes, Sha256Digest::of(&bytes))
    };
    let found = read(Some(&names(&["x", "y"]))).unwrap();
    assert_eq!(found.labels, Labels::Class(vec![1, 0]));
    assert_eq!(found.answers, Answers::Scores(vec![0.25, 0.75, 0.5, 0.5]));
    assert_eq!(read(None).unwrap().classes, ["0", "1"]);
    let short = Array::integers(vec![1]);
    let bytes = npz::write_npz(&[("label", &short), ("score", &score)]).unwrap();
    assert!(columns_of_npz(&bytes).err().unwrap().contains("[2, 2]"));
}

#[test]
fn regression_takes_numbers() {
    let read = csv("label,predicted\n1.5,1\n-2,0.5\n", Task::Regression, None).unwrap();
    assert_eq!(read.labels, Labels::Value(vec![1.5, -2.0]));
    assert_eq!(read.answers, Answers::Values(vec![1.0, 0.5]));
}

#[test]
fn errors_name_the_line_and_what_to_change() {
    for (text, expected) in [
        ("", "there is no column `label`"),
        ("label\n", "neither a `predicted` column"),
        ("label,predicted\n", "there are no rows"),
        (
            "y,predicted\n1,2\n",
            "there is no column `label`; there are y, predicted",
        ),
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
            "line 2: the label `b` is none of the classes a",
        ),
        (
            "row_id,label,predicted\n1,a,a\n1,a,a\n",
            "line 3: the row_id 1 is there twice",
        ),
        (
            "row_id,label,predicted\nx,a,a\n",
            "line 2: the row_id `x` is not a whole number",
        ),
    ] {
        let problem = classified(text).unwrap_err();
        assert!(problem.contains(expected), "{text:?}: {problem}");
    }
    let classes = names(&["0", "1"]);
    let problem = csv(
        "label,predicted\n1.5,1\n",
        Task::Classification,
        Some(&classes),
    )
    .unwrap_err();
    assert!(
        problem.ends_with("set the task to `regression`"),
        "{problem}"
    );
}
