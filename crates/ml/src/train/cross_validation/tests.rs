use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::data::Features;
use crate::data::npz::read_npz;
use crate::kernels::noise;
use crate::train::FoldStore;

/// A network whose inputs are normalised, with early stopping on rows held out of each fold.
fn config(is_classifier: bool, folds: &str) -> Config {
    let (model, classes, output) = if is_classifier {
        (
            "",
            "classes = ['in', 'out']",
            "units = 2\nactivation = 'softmax'",
        )
    } else {
        ("task = 'regression'", "", "units = 1")
    };
    let text = format!(
        "[model]\nname = 'm'\n{model}\ninput_shape = [3]\n[[model.layers]]\ntype = 'Normalization'\n\
         [[model.layers]]\ntype = 'Dense'\nunits = 8\nactivation = 'tanh'\n[[model.layers]]\ntype = 'Dense'\n{output}\n\
         [data]\nformat = 'csv'\nvalidation_fraction = 0.2\n{classes}\ntrain = {{ path = 'a' }}\ntest = {{ path = 'b' }}\n\
         [data.csv]\nlabel = 'y'\nmissing = 'mean'\n[train]\nepochs = 8\nbatch_size = 8\n\
         early_stopping = {{ patience = 2 }}\noptimizer = {{ learning_rate = 0.02 }}\n\
         [evaluate.cross_validation]\n{folds}\n"
    );
    Config::parse(&text, Path::new("test.toml")).unwrap()
}

const N_ROWS: usize = 47;

/// Every seventh value of the second column is missing.
fn dataset(is_classifier: bool) -> Dataset {
    let mut features = noise(3 * N_ROWS, 5);
    let answer = |x: &[f32]| f64::from(x[0] + x[1] * x[2]);
    let answers: Vec<f64> = features.chunks(3).map(answer).collect();
    for row in (0..N_ROWS).step_by(7) {
        features[3 * row + 1] = f32::NAN;
    }
    Dataset {
        row_shape: vec![3],
        features: Arc::new(Features::F32(features)),
        selection: None,
        labels: if is_classifier {
            Labels::Class(answers.iter().map(|&y| u32::from(y > 0.1)).collect())
        } else {
            Labels::Value(answers)
        },
        weights: None,
        row_ids: Some((0..N_ROWS).map(|row| format!("r{row}")).collect()),
        fill: Some(Arc::new(vec![0.0; 3])),
        keys: std::collections::BTreeMap::new(),
        columns: Some(["a", "b", "c"].map(str::to_owned).to_vec()),
        description: Vec::new(),
        warnings: Vec::new(),
        files: Vec::new(),
    }
}

fn subject(config: &Config, dataset: &Dataset) -> Subject {
    Subject {
        config: config.training_value().unwrap(),
        data_digest: dataset.digest(),
        trainyard_version: "1".to_owned(),
        instruction_set: crate::instruction_set(),
    }
}

fn fold_scores(config: &Config, dataset: &Dataset, fold: &Fold, threads: &Threads) -> FoldScores {
    let job = FoldJob {
        config,
        dataset,
        fold,
        threads,
    };
    train_fold(job, |_| Flow::Continue).unwrap().unwrap()
}

/// The folds, what each gave, and the predictions' file.
fn all(config: &Config, dataset: &Dataset, threads: &Threads) -> (Folds, Vec<FoldScores>, Vec<u8>) {
    let folds = folds_of(config, dataset).unwrap().unwrap();
    let scores: Vec<FoldScores> = folds
        .iter()
        .map(|fold| fold_scores(config, dataset, &fold, threads))
        .collect();
    let bytes = out_of_fold_npz(dataset, &folds, &scores).unwrap();
    (folds, scores, bytes)
}

fn with_feature(dataset: &Dataset, row: usize, column: usize, value: f32) -> Dataset {
    let Features::F32(features) = dataset.features.as_ref() else {
        unreachable!("made in memory")
    };
    let mut features = features.clone();
    features[3 * row + column] = value;
    Dataset {
        features: Arc::new(Features::F32(features)),
        ..dataset.clone()
    }
}

#[test]
fn each_row_is_predicted_once_a_repeat_by_a_network_that_does_not_know_it() {
    let config = config(true, "n_splits = 3\nn_repeats = 2\nshuffle = true");
    let rows = dataset(true);
    let (folds, scores, bytes) = all(&config, &rows, &Threads::single());
    let arrays = read_npz(&bytes).unwrap();
    let integers = |name: &str| match &arrays[name].values {
        Values::I64(values) => values.clone(),
        other => panic!("{name}: {other:?}"),
    };
    let (fold, row) = (integers("fold"), integers("row"));
    let mut seen: Vec<(i64, i64)> = fold.iter().map(|f| f / 3).zip(row.clone()).collect();
    seen.sort_unstable();
    let expected = (0..2).flat_map(|repeat| (0..N_ROWS as i64).map(move |row| (repeat, row)));
    assert!(seen.into_iter().eq(expected));
    assert!(fold.is_sorted() && fold.last() == Some(&5));
    assert_eq!(arrays["score"].shape, [2 * N_ROWS, 2]);

    let Labels::Class(labels) = &rows.labels else {
        unreachable!("a classifier's")
    };
    let (label, predicted) = (integers("label"), integers("predicted"));
    let Values::Text(row_ids) = &arrays["row_id"].values else {
        panic!("ids are texts")
    };
    for (place, &row) in row.iter().enumerate() {
        assert_eq!(label[place], i64::from(labels[row as usize]));
        assert_eq!(row_ids[place], format!("r{row}"));
    }
    let n_right = label.iter().zip(&predicted).filter(|(l, p)| l == p).count();
    assert!(n_right > 2 * N_ROWS * 6 / 10, "{n_right}");

    let predictions = FileEntry::of_bytes(OUT_OF_FOLD_FILE, &bytes);
    let records = folds
        .iter()
        .zip(&scores)
        .map(|(fold, scores)| scores.record(&fold));
    let record = record(
        &config,
        &subject(&config, &rows),
        N_ROWS,
        predictions,
        records.collect(),
    );
    let record = record.unwrap().unwrap();
    assert_eq!(
        (record.n_repeats, record.seed, record.folds.len()),
        (2, Some(0), 6)
    );
    let last = record.folds[5];
    assert_eq!(
        (last.repeat, last.fold, last.n_train, last.n_test),
        (1, 2, 32, 15)
    );
    // A fifth of each class.
    assert!(
        (5..=7).contains(&last.n_validation) && (1..=8).contains(&last.epochs),
        "{last:?}"
    );
}

#[test]
fn a_tested_rows_label_does_not_reach_its_network() {
    let config = config(false, "n_splits = 4");
    let rows = dataset(false);
    let (folds, before, _) = all(&config, &rows, &Threads::single());
    let changed = folds.get(1).test[2];
    let Labels::Value(mut labels) = rows.labels.clone() else {
        unreachable!("numbers to predict")
    };
    labels[changed] += 5.0;
    let labels = Labels::Value(labels);
    let (_, after, _) = all(&config, &Dataset { labels, ..rows }, &Threads::single());
    let is_same: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a == b).collect();
    assert_eq!(is_same, [false, true, false, false]);
}

#[test]
fn means_and_normalisation_are_of_the_folds_own_training_rows() {
    let config = config(false, "n_splits = 4");
    let rows = dataset(false);
    let fold = folds_of(&config, &rows).unwrap().unwrap().get(0);
    let threads = Threads::single();
    // As loading leaves them: filled with the means over all rows.
    let loaded = |rows: Dataset| rows.clone().fill_with_means_of(&rows).unwrap();
    let scored = |rows: Dataset| fold_scores(&config, &loaded(rows), &fold, &threads).scores;
    let before = scored(rows.clone());
    // Rows 0 and 7 lack the second column; 3 has it. All three are tested.
    assert!([0, 3, 7].iter().all(|row| fold.test.contains(row)));
    let other = with_feature(&rows, 3, 1, 40.0);
    let after = scored(other);
    let differs: Vec<usize> = (0..before.len())
        .filter(|&place| before[place].to_bits() != after[place].to_bits())
        .collect();
    assert_eq!(differs, [3]);

    // A row that is trained on changes the mean, and with it what the rows without a value are taken for.
    let trained = fold.train[4];
    let other = with_feature(&rows, trained, 1, 40.0);
    let of = |rows: &Dataset| {
        let training = rows.subset(&fold.train);
        let test = rows
            .subset(&fold.test)
            .fill_with_means_of(&training)
            .unwrap();
        let mut row = [0.0; 3];
        test.gather(&[0], &mut row).unwrap();
        row[1]
    };
    assert!(of(&other) > of(&rows) + 0.5);
    let mean = of(&rows);
    assert!(mean != 0.0 && mean.abs() < 1.0, "{mean}");
}

#[test]
fn a_column_without_a_value_in_a_folds_training_rows_is_an_error() {
    let config = config(false, "n_splits = 2");
    let mut rows = dataset(false);
    let fold = folds_of(&config, &rows).unwrap().unwrap().get(0);
    for &row in &fold.train {
        rows = with_feature(&rows, row, 2, f32::NAN);
    }
    let job = FoldJob {
        config: &config,
        dataset: &rows,
        fold: &fold,
        threads: &Threads::single(),
    };
    let error = train_fold(job, |_| Flow::Continue).unwrap_err().to_string();
    assert!(
        error.contains("the column `c` has no value to take a mean of"),
        "{error}"
    );
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let config = config(true, "n_splits = 3");
    let rows = dataset(true);
    let bytes = |n_threads| all(&config, &rows, &Threads::new(Some(n_threads))).2;
    let one = bytes(1);
    assert_eq!(one, bytes(2));
    assert_eq!(one, bytes(4));
}

#[test]
fn a_fold_that_was_kept_is_found_by_all_that_decides_it() {
    let config = config(true, "n_splits = 3");
    let rows = dataset(true);
    let threads = Threads::single();
    let (folds, scores, whole) = all(&config, &rows, &threads);
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("checkpoint/folds");
    let store = FoldStore::new(&place, &subject(&config, &rows)).unwrap();
    assert_eq!(store.find(&folds.get(0)), None);
    // Cut off after two folds.
    for (fold, scores) in folds.iter().zip(&scores).take(2) {
        store.keep(&fold, scores).unwrap();
    }
    let resumed: Vec<FoldScores> = folds
        .iter()
        .map(|fold| {
            store
                .find(&fold)
                .unwrap_or_else(|| fold_scores(&config, &rows, &fold, &threads))
        })
        .collect();
    assert_eq!(out_of_fold_npz(&rows, &folds, &resumed).unwrap(), whole);
    assert_eq!(store.find(&folds.get(2)), None);

    let mut other = config.clone();
    other.train.seed = 7;
    let of_other = FoldStore::new(&place, &subject(&other, &rows)).unwrap();
    assert_eq!(of_other.find(&folds.get(0)), None);
    // Damaged: had again, not believed.
    for entry in std::fs::read_dir(&place).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "f32") {
            std::fs::write(path, b"1234").unwrap();
        }
    }
    assert_eq!(store.find(&folds.get(0)), None);
    store.remove(folds.iter()).unwrap();
    assert!(!place.exists());
}

#[test]
fn a_fold_that_is_stopped_gives_nothing() {
    let config = config(true, "n_splits = 3");
    let rows = dataset(true);
    let fold = folds_of(&config, &rows).unwrap().unwrap().get(0);
    let job = FoldJob {
        config: &config,
        dataset: &rows,
        fold: &fold,
        threads: &Threads::single(),
    };
    assert_eq!(train_fold(job, |_| Flow::Stop).unwrap(), None);
}
