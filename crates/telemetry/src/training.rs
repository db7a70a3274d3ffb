//! A training: one document for it, and one for each epoch.

use std::time::Duration;

use serde_json::json;
use trainyard_core::evaluation::EpochRecord;
use trainyard_core::model::{ModelFolder, Origin, RunRecord};

use crate::circumstances::{Circumstances, Content};
use crate::document::{Document, Kind};

/// A training that has ended.
#[derive(Debug, Clone, Copy)]
pub struct Trained<'a> {
    /// What it made.
    pub model: &'a ModelFolder,
    /// Its circumstances, where they are known.
    pub run: Option<&'a RunRecord>,
    /// Its epochs.
    pub history: &'a [EpochRecord],
    /// The learning rate that each epoch began with.
    pub learning_rates: &'a [f64],
    /// Whether the model was there already, from an earlier run.
    pub is_restored: bool,
}

impl Trained<'_> {
    /// The documents.
    pub fn documents(&self, circumstances: &Circumstances<'_>) -> Vec<Document> {
        let mut documents = vec![self.run(circumstances)];
        let epochs = self.history.iter().enumerate();
        documents.extend(epochs.map(|(idx, record)| self.epoch(circumstances, idx, record)));
        documents
    }

    fn run(&self, circumstances: &Circumstances<'_>) -> Document {
        let ModelFolder {
            manifest,
            digest,
            size_bytes,
            ..
        } = self.model;
        let last = self.history.last();
        let mut run = json!({
            "final_accuracy": last.and_then(|last| last.accuracy),
            "final_val_loss": last.and_then(|last| last.val_loss),
            "final_val_accuracy": last.and_then(|last| last.val_accuracy),
            "overriding_inputs": self.run.map(|run| &run.overriding_inputs),
        });
        if let Origin::Trained(origin) = &manifest.origin {
            let training = &origin.training;
            run["config_digest"] = json!(origin.config_digest);
            run["data_digest"] = json!(origin.data_digest);
            run["seed"] = json!(origin.seed);
            run["engine"] = json!(origin.engine);
            run["instruction_set"] = json!(origin.instruction_set);
            run["loss_function"] = json!(origin.loss);
            run["optimizer"] = json!(training.optimizer);
            run["n_rows"] = json!(training.n_rows);
            run["n_validation_rows"] = json!(training.n_validation_rows);
            run["n_epochs"] = json!(training.epochs);
            run["batch_size"] = json!(training.batch_size);
            run["n_parameters"] = json!(training.n_parameters);
            run["final_loss"] = json!(training.final_loss);
        }
        let observed = json!({
            "run": {
                "is_restored": self.is_restored,
                "duration_s": self.run.map(|run| run.total_s),
                "epoch_duration_s": self.run.and_then(|run| mean(&run.epoch_s)),
                "n_threads": self.run.map(|run| run.n_threads),
                "platform": self.run.map(|run| &run.platform),
            },
        });
        let duration = self
            .run
            .and_then(|run| Duration::try_from_secs_f64(run.total_s).ok());
        let content = Content {
            known: json!({
                "model": {
                    "name": manifest.name,
                    "digest": digest,
                    "task": manifest.task,
                    "size_bytes": size_bytes,
                },
                "run": run,
            }),
            observed,
            outcome: Some("success"),
            duration,
        };
        circumstances.document(Kind::Run, content)
    }

    fn epoch(
        &self,
        circumstances: &Circumstances<'_>,
        idx: usize,
        record: &EpochRecord,
    ) -> Document {
        let EpochRecord {
            epoch,
            loss,
            accuracy,
            val_loss,
            val_accuracy,
        } = record;
        let seconds = self.run.and_then(|run| run.epoch_s.get(idx));
        let content = Content {
            known: json!({
                "model": { "name": self.model.manifest.name, "digest": self.model.digest },
                "epoch": {
                    "number": epoch,
                    "loss": loss,
                    "accuracy": accuracy,
                    "val_loss": val_loss,
                    "val_accuracy": val_accuracy,
                    "learning_rate": self.learning_rates.get(idx),
                },
            }),
            observed: json!({ "epoch": { "duration_s": seconds } }),
            ..Content::default()
        };
        circumstances.document(Kind::Epoch, content)
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
