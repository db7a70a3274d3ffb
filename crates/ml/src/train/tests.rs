use std::path::Path;

use super::*;
use crate::data::Features;
use crate::kernels::noise;
use crate::network::Workspace;

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

/// Trains to the end without stopping.
fn finish(
    config: &Config,
    rows: &Dataset,
    validation: Option<&Dataset>,
    threads: &Threads,
) -> Result<Trained, TrainError> {
    let job = Job {
        config,
        rows,
        validation,
        threads,
    };
    match train(job, None, |_| Flow::Continue)? {
        Outcome::Finished(trained) => Ok(trained),
        Outcome::Stopped(_) => panic!("nothing stopped it"),
    }
}

fn bits(parameters: &[Buffer]) -> Vec<u32> {
    parameters
        .iter()
        .flatten()
        .map(|value| value.to_bits())
        .collect()
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
        features: std::sync::Arc::new(Features::F32(features)),
        selection: None,
        labels,
        weights: None,
        row_ids: None,
        fill: None,
        keys: std::collections::BTreeMap::new(),
        columns: None,
        description: Vec::new(),
        warnings: Vec::new(),
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
    let trained = finish(&config_circle, &kept, Some(&held_out), &Threads::single()).unwrap();
    let last = trained.history.last().unwrap();
    assert!(last.val_accuracy.unwrap() > 0.93, "{last:?}");
    assert!(last.loss < 0.5 * trained.history[0].loss);

    let sum = dataset(400, |x| f64::from(x[0] + 2.0 * x[1]), false);
    let train_config =
        "epochs = 40\noptimizer = { type = 'sgd', learning_rate = 0.05, momentum = 0.9 }";
    let trained = finish(
        &config("units = 1", train_config),
        &sum,
        None,
        &Threads::single(),
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
        let mut trained = finish(&config, &rows, None, &Threads::new(Some(n_threads))).unwrap();
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
    let error = finish(&config, &rows, None, &Threads::single())
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
    let config = config("units = 1", "epochs = 2");
    let job = Job {
        config: &config,
        rows: &rows,
        validation: None,
        threads: &Threads::single(),
    };
    train(job, None, |event| {
        told.push(format!("{event:?}").chars().take(60).collect::<String>());
        Flow::Continue
    })
    .unwrap();
    let batches = told
        .iter()
        .filter(|event| event.contains("n_batches: 3"))
        .count();
    assert_eq!((batches, told.len()), (6, 8));
    assert!(
        told[7].starts_with("Epoch { record: EpochRecord { epoch: 2"),
        "{}",
        told[7]
    );
}

/// Everything that has a state: moments, moving averages, dropout, schedules, the best weights.
const STATEFUL: &str = "epochs = 6\nearly_stopping = { patience = 5 }\n\
    schedule = { type = 'reduce_on_plateau', patience = 0, factor = 0.5, min_delta = 0.05 }";

#[test]
fn however_often_it_is_stopped_and_resumed_the_end_is_bitwise_the_same() {
    let rows = dataset(150, |x| f64::from(u8::from(x[0] * x[1] > 0.1)), true);
    let (kept, held_out) = rows.split_validation(0.3, 3).unwrap();
    // Between the two dense layers, which is where `config` puts the text.
    let config = config(
        "units = 8\n[[model.layers]]\ntype = 'BatchNormalization'\n[[model.layers]]\ntype = 'Dropout'\nrate = 0.2\n\
         [[model.layers]]\ntype = 'Dense'\nunits = 2\nactivation = 'softmax'",
        STATEFUL,
    );
    let threads = Threads::new(Some(2));
    let job = Job {
        config: &config,
        rows: &kept,
        validation: Some(&held_out),
        threads: &threads,
    };
    let whole = finish(&config, &kept, Some(&held_out), &threads).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let subject = Subject {
        config: config.training_value().unwrap(),
        data_digest: kept.digest(),
        trainyard_version: "1".to_owned(),
        instruction_set: crate::instruction_set(),
    };
    let mut stream = Stream::new(77, Purpose::Shuffle, 1);
    for _ in 0..10 {
        // Cut off after a few batches each time, until the end is reached.
        let mut n_runs = 0;
        let resumed = loop {
            let checkpoint = Checkpoint::open(folder.path(), &subject)
                .unwrap()
                .map(|(checkpoint, _)| checkpoint);
            let mut n_left = 1 + stream.below(14);
            n_runs += 1;
            let outcome = train(job, checkpoint, |event| {
                if matches!(event, Event::Batch { .. }) {
                    n_left -= 1;
                }
                if n_left == 0 {
                    Flow::Stop
                } else {
                    Flow::Continue
                }
            });
            match outcome.unwrap() {
                Outcome::Finished(trained) => break trained,
                Outcome::Stopped(checkpoint) => checkpoint.save(folder.path(), &subject).unwrap(),
            }
        };
        assert!(n_runs > 2);
        assert_eq!(resumed.history, whole.history);
        assert_eq!(
            bits(resumed.network.parameters()),
            bits(whole.network.parameters())
        );
        Checkpoint::remove(folder.path()).unwrap();
        std::fs::create_dir_all(folder.path()).unwrap();
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused_with_what_differs() {
    let rows = dataset(50, |x| f64::from(x[0]), false);
    let config = config("units = 1", "epochs = 1");
    let folder = tempfile::tempdir().unwrap();
    let subject = |config: &Config| Subject {
        config: config.training_value().unwrap(),
        data_digest: rows.digest(),
        trainyard_version: "1".to_owned(),
        instruction_set: "any".to_owned(),
    };
    let threads = Threads::single();
    let job = Job {
        config: &config,
        rows: &rows,
        validation: None,
        threads: &threads,
    };
    let Outcome::Stopped(checkpoint) = train(job, None, |_| Flow::Stop).unwrap() else {
        panic!("it was stopped")
    };
    checkpoint.save(folder.path(), &subject(&config)).unwrap();
    let mut other = config.clone();
    other.train.batch_size = 8;
    other.train.optimizer.learning_rate = 0.5;
    let error = Checkpoint::open(folder.path(), &subject(&other))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`train.batch_size` was 16 and is 8"),
        "{error}"
    );
    assert!(
        error.contains("`train.optimizer.learning_rate` was 0.001 and is 0.5"),
        "{error}"
    );

    let state = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut state = state;
    let state = state
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "safetensors")
        })
        .unwrap();
    let mut bytes = std::fs::read(&state).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&state, bytes).unwrap();
    let error = Checkpoint::open(folder.path(), &subject(&config)).unwrap_err();
    assert!(matches!(error, CheckpointError::State(_)), "{error}");
}

#[test]
fn early_stopping_keeps_the_best_weights() {
    let rows = dataset(60, |x| f64::from(x[0]), false);
    let (kept, held_out) = rows.split_validation(0.5, 3).unwrap();
    // Steps far too large, so that a later epoch is worse than an earlier one.
    let config = config(
        "units = 1",
        "epochs = 60\nearly_stopping = { patience = 3 }\noptimizer = { type = 'adam', learning_rate = 0.3 }",
    );
    let trained = finish(&config, &kept, Some(&held_out), &Threads::single()).unwrap();
    let losses: Vec<f64> = trained
        .history
        .iter()
        .map(|record| record.val_loss.unwrap())
        .collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(
        losses.len() < 60 && losses[losses.len() - 4] == best,
        "{losses:?}"
    );
    let mut workspace = Workspace::for_scoring(&trained.network, 32);
    let all: Vec<u32> = (0..held_out.n_rows() as u32).collect();
    load(
        &trained.network,
        workspace.input_mut(all.len()),
        &held_out,
        &all,
        &Threads::single(),
    )
    .unwrap();
    let targets = Targets {
        labels: held_out.labels.clone(),
        weights: None,
    };
    let loss = trained.network.loss(
        &mut workspace,
        &targets,
        &objective(&config),
        &Threads::single(),
    );
    assert!((loss.loss_sum / all.len() as f64 - best).abs() < 1e-9);
}

#[test]
fn validation_rows_are_stratified_disjoint_and_decided_by_the_seed() {
    let rows = dataset(200, |x| f64::from(u8::from(x[0] > 0.6)), true);
    let (kept, held_out) = rows.split_validation(0.25, 9).unwrap();
    let places = |rows: &Dataset| rows.selection.as_deref().unwrap().clone();
    let mut all = [places(&kept), places(&held_out)].concat();
    all.sort_unstable();
    assert_eq!(all, (0..200).collect::<Vec<u32>>());
    let share = |rows: &Dataset| match &rows.labels {
        Labels::Class(labels) => f64::from(labels.iter().sum::<u32>()) / labels.len() as f64,
        Labels::Value(_) => f64::NAN,
    };
    assert!((share(&kept) - share(&held_out)).abs() < 0.02);
    let again = |seed| places(&rows.split_validation(0.25, seed).unwrap().1);
    assert_eq!(places(&held_out), again(9));
    assert_ne!(places(&held_out), again(10));
    assert!(rows.split_validation(0.0, 9).is_none());
}
