//! Another tool's predictions through `evaluate`; those of a scikit-learn classifier are in `peers::scikit_learn`.

use crate::project::Said;
use crate::support::stage;

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
    evaluate(&["--predictions", "sum.csv"], 4).has_error("row 1: the scores are not probabilities");
    evaluate(&["--predictions", "absent.csv"], 4).has_error("absent.csv");
}
