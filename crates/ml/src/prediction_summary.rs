//! What a trained network predicts for rows of its training data: a network and rows in, the summary of `model.json` out.

use trainyard_core::model::{PredictedDistribution, PredictedRows, PredictionSummary};
use trainyard_core::threshold::ChosenThreshold;

use crate::data::{DataError, Dataset};
use crate::input_summary::summary_of;
use crate::network::Network;
use crate::predictor::predicted_classes;
use crate::threads::Threads;
use crate::train::cross_validation::scores;

/// Rows predicted. More would delay training for shares that hardly change.
const MAX_ROWS: usize = 1 << 12;

/// Fewer validation rows than this say too little of each class or range of numbers.
const MIN_VALIDATION_ROWS: usize = 1000;

/// Summarises what `network` predicts for the validation rows, or for rows that it was trained on where too few were held out.
///
/// `class_names` and `threshold` are those of `model.json`: classes are predicted as a server does.
pub fn summarise(
    network: &Network,
    training: &Dataset,
    validation: Option<&Dataset>,
    class_names: Option<&[String]>,
    threshold: Option<&ChosenThreshold>,
    threads: &Threads,
) -> Result<PredictionSummary, DataError> {
    let (rows, dataset) = match validation {
        Some(validation) if validation.n_rows() >= MIN_VALIDATION_ROWS => {
            (PredictedRows::Validation, validation)
        }
        _ => (PredictedRows::Training, training),
    };
    let n_rows = dataset.n_rows().min(MAX_ROWS);
    let chosen: Vec<usize> = (0..n_rows)
        .map(|idx| (idx as u64 * dataset.n_rows() as u64 / n_rows as u64) as usize)
        .collect();
    let scores = threads.within(|| scores(network, &dataset.subset(&chosen), threads))?;
    let predicted = match class_names {
        Some(names) => {
            let mut counts = vec![0; names.len()];
            for class in predicted_classes(&scores, network.n_outputs(), names, threshold) {
                counts[class] += 1;
            }
            PredictedDistribution::Classes(counts)
        }
        None => PredictedDistribution::Values(summary_of(scores.iter().copied())),
    };
    Ok(PredictionSummary {
        rows,
        n_rows: n_rows as u64,
        predicted,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use trainyard_core::config::Config;

    use super::*;
    use crate::data::Features;
    use crate::input_summary::tests::dataset;

    fn network(model: &str, rest: &str) -> Network {
        let text = format!(
            "[model]\nname = 'm'\ninput_shape = [2]\n{model}\n[data]\n\
             train = {{ features = 'a', labels = 'b' }}\ntest = {{ features = 'a', labels = 'b' }}\n{rest}\n"
        );
        let config = Config::parse(&text, Path::new("test.toml")).unwrap();
        Network::new(&config.model.layers, &[2], &[], 5).unwrap()
    }

    fn rows(n_rows: usize, value: f32) -> Dataset {
        let values = (0..2 * n_rows).map(|idx| value + (idx % 7) as f32);
        dataset(&[2], Features::F32(values.collect()), n_rows)
    }

    #[test]
    fn classes_are_those_of_the_rows_that_were_held_out() {
        let layers = "[[model.layers]]\ntype = 'Dense'\nunits = 2\nactivation = 'softmax'";
        let network = network(layers, "classes = ['no', 'yes']");
        let names = ["no", "yes"].map(str::to_owned);
        let summary = |training: &Dataset, validation: Option<&Dataset>| {
            let threads = Threads::single();
            summarise(&network, training, validation, Some(&names), None, &threads).unwrap()
        };
        let (training, validation) = (rows(9000, -3.0), rows(1000, 2.0));
        let found = summary(&training, Some(&validation));
        assert_eq!(
            (found.rows, found.n_rows),
            (PredictedRows::Validation, 1000)
        );
        let scores = scores(&network, &validation, &Threads::single()).unwrap();
        let n_yes = scores.chunks(2).filter(|row| row[1] > row[0]).count() as u64;
        let expected = PredictedDistribution::Classes(vec![1000 - n_yes, n_yes]);
        assert_eq!(found.predicted, expected);
        // Too few, and far more than are looked at.
        let found = summary(&training, Some(&rows(999, 2.0)));
        assert_eq!((found.rows, found.n_rows), (PredictedRows::Training, 4096));
    }

    #[test]
    fn numbers_are_summarised_as_inputs_are() {
        let layers = "task = 'regression'\n[[model.layers]]\ntype = 'Dense'\nunits = 1";
        let network = network(layers, "[train]\nloss = 'mean_squared_error'");
        let threads = Threads::single();
        let training = rows(300, 0.5);
        let found = summarise(&network, &training, None, None, None, &threads).unwrap();
        let PredictedDistribution::Values(values) = found.predicted else {
            panic!("a regression")
        };
        let scores = scores(&network, &training, &threads).unwrap();
        let mean = scores.iter().map(|value| f64::from(*value)).sum::<f64>() / 300.0;
        assert_eq!(values.n, 300);
        assert!((values.mean - mean).abs() < 1e-9 * mean.abs().max(1.0));
    }
}
