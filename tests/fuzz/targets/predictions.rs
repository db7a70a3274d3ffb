//! Predictions of other tools, as CSV and npz.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_core::prediction_task::PredictionTask;
use trainyard_ml::predictions::{Given, Predictions};

fuzz_target!(|bytes: &[u8]| {
    trainyard_fuzz::with_file("predictions", bytes, |base| {
        for task in [
            PredictionTask::Classification,
            PredictionTask::Multilabel,
            PredictionTask::Regression,
        ] {
            if let Ok(predictions) = Predictions::read(
                &base.join("predictions"),
                &Given {
                    task: Some(task),
                    ..Given::default()
                },
            ) {
                let rows = predictions.rows;
                assert!(
                    rows.row_ids
                        .is_none_or(|ids| ids.len() == rows.labels.len())
                );
            }
        }
    });
});
