//! Where training stands: saved so that a run that was cut off ends as if it never had been.
//!
//! On disk: a safetensors file with weights and optimiser state, and `checkpoint.json`, written last, which names it by
//! digest. Random draws depend on seed, epoch and step alone, so no generator has a state to be saved.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::EpochRecord;
use trainyard_core::files::{self, FileError};
use trainyard_core::model::FileEntry;

use super::{BatchLoss, Position, TrainError, Trainer};
use crate::kernels::Buffer;
use crate::schedule::{Plateau, Watch};
use crate::weights::{self, Floats};

/// The file's name in a checkpoint folder.
const CHECKPOINT_FILE: &str = "checkpoint.json";

const SCHEMA_VERSION: u32 = 1;

/// Where training stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    progress: Progress,
    parameters: Vec<Buffer>,
    first: Vec<Buffer>,
    second: Vec<Buffer>,
    best: Option<Vec<Buffer>>,
}

/// What is small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Progress {
    /// Finished epochs.
    n_epochs: usize,
    /// Finished batches of the epoch in progress.
    n_batches: usize,
    /// Optimiser steps taken.
    n_steps: u32,
    /// Of the epoch in progress, as bits: a decimal might be rounded.
    loss_sum_bits: u64,
    n_right: usize,
    n_seen: usize,
    history: Vec<EpochRecord>,
    epoch_s: Vec<f64>,
    plateau: Plateau,
    stopping: Watch,
    has_stopped: bool,
    best_epoch: Option<usize>,
}

/// What a run was about: a checkpoint is for exactly this.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Subject {
    /// What decides the weights, as the configuration says it.
    pub config: Value,
    /// The training data.
    pub data_digest: Sha256Digest,
    /// Version of Trainyard.
    pub trainyard_version: String,
    /// The instructions that the arithmetic ran on.
    pub instruction_set: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema_version: u32,
    subject: Subject,
    progress: Progress,
    state: FileEntry,
}

/// Why a checkpoint cannot be saved or resumed from.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file is missing, unreadable or cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Written by another version of the layout.
    #[error("the checkpoint has schema version {0}, but this build reads version {SCHEMA_VERSION}")]
    SchemaVersion(u32),
    /// It is about something else.
    #[error("the checkpoint in `{folder}` is of another run: {}", differences.join("; "))]
    Other {
        /// The folder.
        folder: String,
        /// What differs, in words.
        differences: Vec<String>,
    },
    /// The state is not the one that was saved.
    #[error(
        "`{0}` does not match the digest in {CHECKPOINT_FILE}: the folder was changed or only partly written"
    )]
    State(String),
    /// A tensor is not of the type that is saved.
    #[error("the tensor `{0}` of the checkpoint does not hold 32-bit floats")]
    Type(String),
    /// The tensors cannot be written or read.
    #[error("cannot convert the checkpoint's tensors")]
    Tensors(#[from] safetensors::SafeTensorError),
}

impl Subject {
    /// What differs from `other`, in words; differences that only change the last bits are not counted.
    fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        compare("", &self.config, &other.config, &mut differences);
        if self.data_digest != other.data_digest {
            differences.push("the training data have changed".to_owned());
        }
        if self.trainyard_version != other.trainyard_version {
            differences.push(format!(
                "Trainyard was {} and is {}",
                self.trainyard_version, other.trainyard_version
            ));
        }
        differences
    }
}

/// Every leaf that differs, by its path.
fn compare(path: &str, old: &Value, new: &Value, differences: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let keys = old
                .keys()
                .chain(new.keys().filter(|key| !old.contains_key(*key)));
            for key in keys {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let side = |side: &serde_json::Map<String, Value>| {
                    side.get(key).cloned().unwrap_or(Value::Null)
                };
                compare(&path, &side(old), &side(new), differences);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (idx, (old, new)) in old.iter().zip(new).enumerate() {
                compare(&format!("{path}[{idx}]"), old, new, differences);
            }
        }
        _ if old != new => differences.push(format!("`{path}` was {old} and is {new}")),
        _ => {}
    }
}

impl Checkpoint {
    /// Finished epochs, and finished batches of the one in progress.
    pub const fn position(&self) -> (usize, usize) {
        (self.progress.n_epochs, self.progress.n_batches)
    }

    /// Saves the checkpoint of `subject` in `folder`, in place of an earlier one.
    pub fn save(&self, folder: &Path, subject: &Subject) -> Result<(), CheckpointError> {
        let earlier: Option<Document> =
            files::read_json(&folder.join(CHECKPOINT_FILE), "checkpoint").ok();
        let name = format!(
            "state-{}-{}.safetensors",
            self.progress.n_epochs, self.progress.n_batches
        );
        let bytes = weights::serialise(self.tensors())?;
        files::write(&folder.join(&name), &bytes)?;
        let document = Document {
            schema_version: SCHEMA_VERSION,
            subject: subject.clone(),
            progress: self.progress.clone(),
            state: FileEntry {
                sha256: Sha256Digest::of(&bytes),
                size_bytes: bytes.len() as u64,
                path: name,
            },
        };
        files::write_json(&folder.join(CHECKPOINT_FILE), &document)?;
        if let Some(earlier) = earlier.filter(|earlier| earlier.state.path != document.state.path) {
            files::remove(&folder.join(earlier.state.path))?;
        }
        Ok(())
    }

    /// Reads the checkpoint in `folder`, which must be of `subject`; `None` where there is none. The instructions that
    /// it was computed with come with it.
    pub fn open(
        folder: &Path,
        subject: &Subject,
    ) -> Result<Option<(Self, String)>, CheckpointError> {
        let path = folder.join(CHECKPOINT_FILE);
        let document: Document = match files::read_json(&path, "checkpoint") {
            Err(error) if error.is_not_found() => return Ok(None),
            document => document?,
        };
        if document.schema_version != SCHEMA_VERSION {
            return Err(CheckpointError::SchemaVersion(document.schema_version));
        }
        let differences = document.subject.differences(subject);
        if !differences.is_empty() {
            return Err(CheckpointError::Other {
                folder: folder.display().to_string(),
                differences,
            });
        }
        let state = folder.join(&document.state.path);
        let bytes = files::read(&state)?;
        if Sha256Digest::of(&bytes) != document.state.sha256 {
            return Err(CheckpointError::State(state.display().to_string()));
        }
        let checkpoint = Self::of_tensors(document.progress, &bytes)?;
        Ok(Some((checkpoint, document.subject.instruction_set)))
    }

    /// Removes the checkpoint in `folder`, where there is one.
    pub fn remove(folder: &Path) -> Result<(), CheckpointError> {
        let path = folder.join(CHECKPOINT_FILE);
        let document: Option<Document> = files::read_json(&path, "checkpoint").ok();
        files::remove(&path)?;
        if let Some(document) = document {
            files::remove(&folder.join(document.state.path))?;
        }
        // Only where nothing else is in it.
        let _ = std::fs::remove_dir(folder);
        Ok(())
    }

    fn tensors(&self) -> Vec<(String, Floats<'_>)> {
        let groups = [
            ("parameter", self.parameters.as_slice()),
            ("first", &self.first),
            ("second", &self.second),
            ("best", self.best.as_deref().unwrap_or_default()),
        ];
        let mut named = Vec::new();
        for (group, tensors) in groups {
            for (idx, values) in tensors.iter().enumerate() {
                named.push((format!("{group}.{idx}"), Floats::flat(values)));
            }
        }
        named
    }

    fn of_tensors(progress: Progress, bytes: &[u8]) -> Result<Self, CheckpointError> {
        let archive = safetensors::SafeTensors::deserialize(bytes)?;
        let mut groups: HashMap<&str, HashMap<usize, Buffer>> = HashMap::new();
        let names: Vec<String> = archive
            .names()
            .into_iter()
            .map(ToString::to_string)
            .collect();
        for name in &names {
            let Some((group, idx)) = name.split_once('.') else {
                continue;
            };
            let Ok(idx) = idx.parse() else { continue };
            let values = weights::values(&archive.tensor(name)?)
                .ok_or_else(|| CheckpointError::Type(name.clone()))?;
            groups.entry(group).or_default().insert(idx, values);
        }
        let mut group = |name: &str| {
            let mut tensors = groups.remove(name).unwrap_or_default();
            (0..tensors.len())
                .map(|idx| tensors.remove(&idx).unwrap_or_default())
                .collect::<Vec<_>>()
        };
        let best = group("best");
        Ok(Self {
            parameters: group("parameter"),
            first: group("first"),
            second: group("second"),
            best: (!best.is_empty()).then_some(best),
            progress,
        })
    }
}

impl Trainer<'_> {
    pub(super) fn checkpoint(&self) -> Checkpoint {
        let Position {
            n_epochs,
            n_batches,
            total,
            n_seen,
        } = self.position;
        Checkpoint {
            progress: Progress {
                n_epochs,
                n_batches,
                n_steps: self.optimizer.n_steps,
                loss_sum_bits: total.loss_sum.to_bits(),
                n_right: total.n_right,
                n_seen,
                history: self.history.clone(),
                epoch_s: self.epoch_s.clone(),
                plateau: self.schedule.plateau.clone(),
                stopping: self.stopping.clone(),
                has_stopped: self.has_stopped,
                best_epoch: self.best.as_ref().map(|(epoch, _)| *epoch),
            },
            parameters: self.network.parameters().to_vec(),
            first: self.optimizer.first.clone(),
            second: self.optimizer.second.clone(),
            best: self.best.as_ref().map(|(_, parameters)| parameters.clone()),
        }
    }

    pub(super) fn restore(&mut self, checkpoint: Checkpoint) -> Result<(), TrainError> {
        let Checkpoint {
            progress,
            parameters,
            first,
            second,
            best,
        } = checkpoint;
        let sizes = |tensors: &[Buffer]| -> Vec<usize> {
            tensors.iter().map(|values| values.len()).collect()
        };
        let own = sizes(self.network.parameters());
        if sizes(&parameters) != own || best.as_ref().is_some_and(|best| sizes(best) != own) {
            return Err(TrainError::Checkpoint("other weights"));
        }
        if sizes(&first) != sizes(&self.optimizer.first)
            || sizes(&second) != sizes(&self.optimizer.second)
        {
            return Err(TrainError::Checkpoint("another optimiser"));
        }
        self.network.parameters_mut().clone_from_slice(&parameters);
        (self.optimizer.first, self.optimizer.second) = (first, second);
        self.optimizer.n_steps = progress.n_steps;
        self.position = Position {
            n_epochs: progress.n_epochs,
            n_batches: progress.n_batches,
            total: BatchLoss {
                loss_sum: f64::from_bits(progress.loss_sum_bits),
                n_right: progress.n_right,
            },
            n_seen: progress.n_seen,
        };
        self.history = progress.history;
        self.epoch_s = progress.epoch_s;
        self.schedule.plateau = progress.plateau;
        self.stopping = progress.stopping;
        self.has_stopped = progress.has_stopped;
        self.best = progress.best_epoch.zip(best);
        Ok(())
    }
}
