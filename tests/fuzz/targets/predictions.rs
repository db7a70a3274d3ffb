//! Predictions of other tools, as CSV and npz.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_core::model::Task;
use trainyard_ml::predictions::Predictions;

fuzz_target!(|bytes: &[u8]| {
    trainyard_fuzz::with_file("predictions", bytes, |base| {
        for task in [Task::Classification, Task::Regression] {
            if let Ok(predictions) = Predictions::read(&base.join("predictions"), task, None) {
                assert_eq!(predictions.row_ids.len(), predictions.labels.len());
            }
        }
    });
});
