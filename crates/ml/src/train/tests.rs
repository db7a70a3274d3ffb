use std::path::Path;

use super::*;
use crate::data::Features;
use crate::kernels::noise;

fn config(output: &str, train: &str) -> Config {
    let text = format!(
        "[model]\nname = 'm'\n{}\ninput_shape = [2]\n[[model.layers]]\ntype = 'Dense'\nunits = 16\nactivation = 'tanh'\n\
         [[model.layers]]\ntype = 'Dense'\n{output}\n[data]\n{}\ntrain = {{ features = 'a', labels = 'b' }}\n\
         test = {{ features = 'a', labels = 'b' }}\n[train]\nbatch_size = 16\n{train}\n",
        if output.contains("softmax") {
            ""
        } else {
            "task = 'regression'"
        },
        if output.contains("softmax") {
            "classes = ['in', 'out']"
        } else {
            ""
        },
    );
    Config::parse(&text, Path::new("test.toml")).unwrap()
}

fn dataset(n_rows: usize, label: impl Fn(&[f32]) -> f64, is_class: bool) -> Dataset {
    let features = noise(2 * n_rows, 30);
    let labels = features.chunks(2).map(label);
    let labels = if is_class {
        Labels::Class(labels.map(|label| label as u32).collect())
    } else {
        Labels::Value(labels.collect())
    };
    Dataset {
        row_shape: vec![2],
        features: Features::F32(features),
        labels,
        row_ids: (0..n_rows as i64).collect(),
        files: Vec::new(),
    }
}

#[test]
fn a_classifier_learns_a_circle_and_a_regression_a_sum() {
    let circle = dataset(
        1500,
        |x| f64::from(u8::from(x[0] * x[0] + x[1] * x[1] > 0.5)),
        true,
    );
    let config_circle = config(
        "units = 2\nactivation = 'softmax'",
        "epochs = 60\noptimizer = { learning_rate = 0.01 }",
    );
    let (kept, held_out) = circle.split_validation(0.2, 1).unwrap();
    let trained = train(
        &config_circle,
        &kept,
        Some(&held_out),
        &Threads::single(),
        |_| (),
    )
    .unwrap();
    let last = trained.history.last().unwrap();
    assert!(last.val_accuracy.unwrap() > 0.93, "{last:?}");
    assert!(last.loss < 0.5 * trained.history[0].loss);

    let sum = dataset(400, |x| f64::from(x[0] + 2.0 * x[1]), false);
    let train_config =
        "epochs = 40\noptimizer = { type = 'sgd', learning_rate = 0.05, momentum = 0.9 }";
    let trained = train(
        &config("units = 1", train_config),
        &sum,
        None,
        &Threads::single(),
        |_| (),
    )
    .unwrap();
    let last = trained.history.last().unwrap();
    assert!(
        last.loss < 0.01 && last.accuracy.is_none() && last.val_loss.is_none(),
        "{last:?}"
    );
}

#[test]
fn the_same_seed_gives_the_same_bits_on_any_number_of_threads() {
    let rows = dataset(100, |x| f64::from(u8::from(x[0] > 0.0)), true);
    let weights = |seed: u64, n_threads| {
        let config = config(
            "units = 2\nactivation = 'softmax'",
            &format!("epochs = 3\nseed = {seed}"),
        );
        let mut trained =
            train(&config, &rows, None, &Threads::new(Some(n_threads)), |_| ()).unwrap();
        let bits: Vec<u32> = trained
            .network
            .parameters_mut()
            .iter()
            .flatten()
            .map(|w| w.to_bits())
            .collect();
        bits
    };
    assert_eq!(weights(1, 1), weights(1, 2));
    assert_eq!(weights(1, 1), weights(1, 4));
    assert_ne!(weights(1, 1), weights(2, 1));
}

#[test]
fn a_loss_that_diverges_stops_with_place_and_advice() {
    let rows = dataset(100, |x| f64::from(x[0]), false);
    let config = config(
        "units = 1",
        "epochs = 50\noptimizer = { type = 'sgd', learning_rate = 1e9 }",
    );
    let error = train(&config, &rows, None, &Threads::single(), |_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("in epoch 1, batch ")
            && error.contains("lower `[train.optimizer] learning_rate`"),
        "{error}"
    );
}

#[test]
fn progress_is_told_batch_by_batch_and_epoch_by_epoch() {
    let rows = dataset(40, |x| f64::from(x[0]), false);
    let mut told = Vec::new();
    train(
        &config("units = 1", "epochs = 2"),
        &rows,
        None,
        &Threads::single(),
        |event| told.push(event),
    )
    .unwrap();
    let batches = told
        .iter()
        .filter(|event| matches!(event, Event::Batch { n_batches: 3, .. }))
        .count();
    assert_eq!((batches, told.len()), (6, 8));
    assert!(matches!(
        told[7],
        Event::Epoch {
            record: EpochRecord { epoch: 2, .. },
            ..
        }
    ));
}

#[test]
fn validation_rows_are_stratified_disjoint_and_decided_by_the_seed() {
    let rows = dataset(200, |x| f64::from(u8::from(x[0] > 0.6)), true);
    let (kept, held_out) = rows.split_validation(0.25, 9).unwrap();
    let mut ids: Vec<i64> = kept
        .row_ids
        .iter()
        .chain(&held_out.row_ids)
        .copied()
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, rows.row_ids);
    let share = |rows: &Dataset| match &rows.labels {
        Labels::Class(labels) => f64::from(labels.iter().sum::<u32>()) / labels.len() as f64,
        Labels::Value(_) => f64::NAN,
    };
    assert!((share(&kept) - share(&held_out)).abs() < 0.02);
    assert_eq!(
        held_out.row_ids,
        rows.split_validation(0.25, 9).unwrap().1.row_ids
    );
    assert_ne!(
        held_out.row_ids,
        rows.split_validation(0.25, 10).unwrap().1.row_ids
    );
    assert!(rows.split_validation(0.0, 9).is_none());
}
