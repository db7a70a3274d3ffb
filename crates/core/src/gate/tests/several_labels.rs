//! Rules on multilabel rows and on several outputs.

use super::*;
use crate::metrics::{PairedChange, Scoring, paired_change};
use crate::scored_rows::{LabelTexts, Labels, ScoredRows};
use crate::table::Table;

/// A card of rows with several labels each.
pub(super) fn several(rows: &ScoredRows) -> Scorecard {
    let measured = rows.measure(&SCORING).unwrap();
    let texts = LabelTexts::of(rows);
    let set = RowSet::of_positions(rows.n_rows(), |row| texts.of_row(row), BTreeMap::new());
    let missed = measured.misses.iter().map(|&row| row as u64).collect();
    let is_multilabel = matches!(rows.labels, Labels::Sets(_));
    Scorecard {
        rows: Some(set),
        missed_rows: RowMask::new(rows.n_rows() as u64, missed).filter(|_| is_multilabel),
        undefined: measured.undefined,
        classes: measured.classes,
        scoring: Some(SCORING),
        ..Scorecard::bare(Sha256Digest::of(b"evaluation"), measured.measurements)
    }
}

/// 300 rows of two classes, of whose cells each `modulus`-th is predicted wrong.
fn sets(modulus: usize) -> ScoredRows {
    let cells = || (0..300).flat_map(|row| [(row, 0), (row, 1)]);
    let is_there = |(row, class): (usize, usize)| (row + class) % 3 != 0;
    let is_wrong = |(row, class): (usize, usize)| (row * 7 + class * 3) % modulus == 0;
    let table = |cells: Vec<bool>| Labels::Sets(Table::new(cells, 2).unwrap());
    ScoredRows::new(
        table(cells().map(is_there).collect()),
        table(
            cells()
                .map(|cell| is_there(cell) != is_wrong(cell))
                .collect(),
        ),
        vec!["cat".to_owned(), "dog".to_owned()],
    )
}

/// 200 rows of two outputs, the second in larger units; errors are multiplied by `scale`.
fn outputs(scale: f64) -> ScoredRows {
    let labels = |row: usize| [row as f64 / 10.0, row as f64];
    let errors = |row: usize| [(row % 7) as f64 / 10.0 - 0.3, (row % 11) as f64 - 5.0];
    let predicted = |row: usize| [0, 1].map(|idx| labels(row)[idx] + scale * errors(row)[idx]);
    let table = |cells: Vec<f64>| Labels::Values(Table::new(cells, 2).unwrap());
    ScoredRows::new(
        table((0..200).flat_map(labels).collect()),
        table((0..200).flat_map(predicted).collect()),
        vec!["height".to_owned(), "width".to_owned()],
    )
}

/// The verdict on `rules`, with the changes that those with `confidence` ask for.
fn compared(rules: &[&str], new: &ScoredRows, old: &ScoredRows) -> Verdict {
    let gate = GateConfig {
        rules: rules.iter().map(|text| rule(text)).collect(),
        ..GateConfig::default()
    };
    let (mut new_card, mut old_card) = (several(new), several(old));
    new_card.predictions_digest = Some(Sha256Digest::of(b"new"));
    old_card.predictions_digest = Some(Sha256Digest::of(b"old"));
    let keys = paired_keys(&gate, &new_card, &old_card);
    let changes: Vec<PairedChange> = keys
        .iter()
        .map(|key| paired_change(new, old, key, &Scoring { ..SCORING }).unwrap())
        .collect();
    let side = |card: &Scorecard| PartialScores {
        measurements: card.measurements.clone(),
        undefined: card.undefined.clone(),
        missed_rows: card.missed_rows.clone(),
    };
    let found = SharedRows {
        candidate: Sha256Digest::of(b"new"),
        baseline: Sha256Digest::of(b"old"),
        n_rows: new.n_rows() as u64,
        n_gone: 0,
        n_relabelled: 0,
        n_new: 0,
        of_candidate: side(&new_card),
        of_baseline: side(&old_card),
        has_other_weights: false,
        has_baselines_groups: false,
        changes,
        no_changes: Vec::new(),
    };
    let baseline = ready(&old_card).on_shared_rows(&new_card, Ok(Box::new(found)));
    case(&gate, Ok(&new_card), &baseline).judge()
}

fn outcomes(verdict: &Verdict) -> Vec<Outcome> {
    verdict.rules.iter().map(|rule| rule.outcome).collect()
}

#[test]
fn sets_and_single_classes_are_judged_with_confidence_and_against_a_baseline() {
    let (good, bad) = (sets(97), sets(5));
    let rules = [
        "metric = 'subset_accuracy'\nmin = 0.9\nconfidence = 0.95",
        "metric = 'recall'\nclass = 'cat'\nmin = 0.9\nconfidence = 0.95",
        "metric = 'subset_accuracy'\nmax_drop = 0.05\nconfidence = 0.95",
        "metric = 'recall'\nclass = 'cat'\nmax_drop = 0.05\nconfidence = 0.95",
        "metric = 'f1_macro'\nmax_drop = 0.05\nconfidence = 0.95",
        "metric = 'hamming_loss'\nmax_drop = 0.05",
        "max_new_errors = 20",
    ];
    let verdict = compared(&rules, &good, &bad);
    assert_eq!(
        outcomes(&verdict),
        [Outcome::Holds; 7],
        "{:#?}",
        verdict.rules
    );
    let verdict = compared(&rules, &bad, &good);
    assert_eq!(
        outcomes(&verdict),
        [Outcome::Missed; 7],
        "{:#?}",
        verdict.rules
    );
    assert!(
        verdict.rules[2].reason.contains("Tango"),
        "{}",
        verdict.rules[2].reason
    );
    assert_eq!(verdict.rules[1].key().to_string(), "recall of class cat");
}

#[test]
fn outputs_are_judged_by_their_mean_and_one_by_one() {
    let (good, bad) = (outputs(0.5), outputs(1.0));
    let rules = [
        "metric = 'rmse'\nmax = 1\nconfidence = 0.95",
        "metric = 'rmse'\noutput = 'height'\nmax = 0.15\nconfidence = 0.95",
        "metric = 'rmse'\nmax_drop = 0.2\nconfidence = 0.95",
        "metric = 'rmse'\noutput = 'width'\nmax_drop = 0.2\nconfidence = 0.95",
        "metric = 'mae'\noutput = '*'\nmax_drop_pct = 5",
    ];
    let verdict = compared(&rules, &good, &bad);
    // The wildcard stands for both outputs.
    assert_eq!(
        outcomes(&verdict),
        [Outcome::Holds; 6],
        "{:#?}",
        verdict.rules
    );
    let verdict = compared(&rules, &bad, &good);
    assert_eq!(
        outcomes(&verdict),
        [Outcome::Missed; 6],
        "{:#?}",
        verdict.rules
    );
    assert_eq!(verdict.rules[1].key().to_string(), "rmse of output height");
    let names: Vec<String> = verdict.rules[4..]
        .iter()
        .map(|rule| rule.key().to_string())
        .collect();
    assert_eq!(names, ["mae of output height", "mae of output width"]);
    let absent = alone(
        "metric = 'rmse'\noutput = 'hight'\nmax = 1",
        &several(&good),
    );
    assert_eq!(absent.verdict, Decision::Inconclusive);
    assert!(
        absent.rules[0].reason.contains("rmse of output height"),
        "{}",
        absent.rules[0].reason
    );
    // A metric without an interval is not judged by one.
    let largest = alone(
        "metric = 'max_error'\nmax = 100\nconfidence = 0.95",
        &several(&good),
    );
    assert_eq!(largest.verdict, Decision::Inconclusive);
}

#[test]
fn what_an_output_cannot_go_with_is_refused() {
    for (text, part) in [
        (
            "metric = 'rmse'\noutput = 'x'\nclass = 'a'\nmax = 1",
            "remove one of the two",
        ),
        (
            "metric = 'rmse'\noutput = 'x'\nslice = 'a=b'\nmax = 1",
            "remove `output` or `slice`",
        ),
        (
            "metric = 'rmse'\noutput = 'x'\nfold = 'mean'\nmax = 1",
            "remove `class`, `output` or `slice`",
        ),
        ("output = 'x'\nmax_new_errors = 1", "is about all rows"),
    ] {
        let problem = problem(text);
        assert!(problem.contains(part), "{text}: {problem}");
    }
}
