//! Whole trainings by the two engines: the same rows in the same order from the same weights, to the same accuracy.

use std::path::Path;

use super::*;
use crate::data::Features;
use crate::kernels::noise;

const SIDE: usize = 8;

/// Images of noise with a bright bar, upright or level: the class.
fn bars(n_rows: usize, seed: u64) -> Dataset {
    let mut pixels: Vec<f32> = noise(n_rows * SIDE * SIDE, seed)
        .into_iter()
        .map(|value| 60.0 * value.abs())
        .collect();
    let labels: Vec<u32> = (0..n_rows as u32).map(|row| row * 7 / 3 % 2).collect();
    for (row, (image, label)) in pixels.chunks_mut(SIDE * SIDE).zip(&labels).enumerate() {
        for along in 1..SIDE - 1 {
            let across = 1 + row % (SIDE - 2);
            let (y, x) = if *label == 0 {
                (along, across)
            } else {
                (across, along)
            };
            image[y * SIDE + x] = 255.0;
        }
    }
    Dataset {
        row_shape: vec![SIDE, SIDE, 1],
        features: std::sync::Arc::new(Features::F32(pixels)),
        selection: None,
        labels: Labels::Class(labels),
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

/// The article's network, small.
fn config(engine: &str, more: &str) -> Config {
    let text = format!(
        "[model]\nname = 'm'\ninput_shape = [8, 8, 1]\n\
         [[model.layers]]\ntype = 'Conv2D'\nfilters = 4\nkernel_size = 3\nactivation = 'relu'\n\
         [[model.layers]]\ntype = 'MaxPooling2D'\npool_size = 2\n[[model.layers]]\ntype = 'Flatten'\n\
         [[model.layers]]\ntype = 'Dense'\nunits = 16\nactivation = 'relu'\n\
         [[model.layers]]\ntype = 'Dense'\nunits = 2\nactivation = 'softmax'\n\
         [data]\nclasses = ['upright', 'level']\npreprocessing = [{{ divide_by = 255 }}]\n\
         train = {{ features = 'a', labels = 'b' }}\ntest = {{ features = 'a', labels = 'b' }}\n\
         [train]\nengine = '{engine}'\nbatch_size = 16\n{more}\n"
    );
    Config::parse(&text, Path::new("test.toml")).unwrap()
}

fn job<'a>(config: &'a Config, rows: &'a Dataset, threads: &'a Threads) -> Job<'a> {
    Job {
        config,
        rows,
        validation: None,
        threads,
    }
}

/// Trains to the end; also the mean loss after every batch.
fn run(config: &Config, rows: &Dataset, validation: &Dataset) -> (Trained, Vec<f64>) {
    let threads = Threads::single();
    let job = Job {
        validation: Some(validation),
        ..job(config, rows, &threads)
    };
    let mut losses = Vec::new();
    let outcome = train(job, None, |event| {
        if let Event::Batch { loss, .. } = event {
            losses.push(loss);
        }
        Flow::Continue
    });
    match outcome.unwrap() {
        Outcome::Finished(trained) => (trained, losses),
        Outcome::Stopped(_) => panic!("nothing stopped it"),
    }
}

fn bits(network: &Network) -> Vec<u32> {
    let values = network.parameters().iter().flatten();
    values.map(|value| value.to_bits()).collect()
}

#[test]
fn both_engines_begin_with_the_same_bits() {
    let (rows, threads) = (bars(40, 1), Threads::single());
    let first = |engine| {
        let config = config(engine, "");
        bits(&Trainer::new(job(&config, &rows, &threads)).unwrap().network)
    };
    assert_eq!(first("kernels"), first("candle"));
}

/// A batch of other rows, or the same rows in another order, would show in the loss of the first steps.
#[test]
fn both_engines_see_the_same_rows_and_learn_the_same() {
    let (rows, held_out) = (bars(200, 1), bars(100, 2));
    let settings = "epochs = 6\noptimizer = { learning_rate = 0.01 }";
    let (expected, expected_losses) = run(&config("kernels", settings), &rows, &held_out);
    let (found, losses) = run(&config("candle", settings), &rows, &held_out);
    for (step, (found, expected)) in losses.iter().zip(&expected_losses).enumerate().take(26) {
        assert!(
            (found - expected).abs() < 1e-4,
            "step {step}: {found} is not {expected}"
        );
    }
    let last = |trained: &Trained| trained.history.last().unwrap().val_accuracy.unwrap();
    assert!(last(&expected) > 0.97, "{:?}", expected.history);
    assert!(
        (last(&found) - last(&expected)).abs() < 0.02,
        "{:?}",
        found.history
    );
}

/// What is promised for candle: the same bits on one machine and for one number of threads, also when resumed.
#[test]
fn candle_gives_the_same_bits_again_and_when_resumed() {
    let (rows, held_out) = (bars(60, 3), bars(30, 4));
    let config = config("candle", "epochs = 3");
    let (whole, _) = run(&config, &rows, &held_out);
    let (again, _) = run(&config, &rows, &held_out);
    assert_eq!(bits(&whole.network), bits(&again.network));

    let threads = Threads::single();
    let job = Job {
        validation: Some(&held_out),
        ..job(&config, &rows, &threads)
    };
    let mut n_batches = 0;
    let stopped = train(job, None, |event| {
        n_batches += usize::from(matches!(event, Event::Batch { .. }));
        if n_batches == 6 {
            Flow::Stop
        } else {
            Flow::Continue
        }
    });
    let Outcome::Stopped(checkpoint) = stopped.unwrap() else {
        panic!("it was stopped")
    };
    let resumed = train(job, Some(*checkpoint), |_| Flow::Continue).unwrap();
    let Outcome::Finished(resumed) = resumed else {
        panic!("nothing stopped it")
    };
    assert_eq!(resumed.history, whole.history);
    assert_eq!(bits(&resumed.network), bits(&whole.network));
}

#[test]
fn a_loss_that_diverges_under_candle_names_the_layer() {
    let (rows, threads) = (bars(60, 1), Threads::single());
    let config = config(
        "candle",
        "epochs = 40\noptimizer = { type = 'sgd', learning_rate = 1e18 }",
    );
    let error = train(job(&config, &rows, &threads), None, |_| Flow::Continue).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("in epoch 1, batch "), "{error}");
    assert!(
        error.contains("the layer `") && error.contains("` are not finite"),
        "{error}"
    );
}
