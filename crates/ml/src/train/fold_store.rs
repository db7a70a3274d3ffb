//! Folds that are done, kept until the cross-validation is whole, so that one that was cut off does not train them again.
//!
//! A fold is found by the digest of all that decides it: configuration, data, version, instructions and its rows. So
//! nothing else can be taken for it, and more repeats find the folds of fewer.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::files::{self, FileError};
use trainyard_core::folds::Fold;
use trainyard_core::model::FileEntry;

use super::Subject;
use super::cross_validation::FoldScores;
use crate::data::npz::numbers;

const SCHEMA_VERSION: u32 = 1;

/// A folder of folds, of one subject or of several.
#[derive(Debug)]
pub struct FoldStore {
    folder: PathBuf,
    subject: Sha256Digest,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema_version: u32,
    key: Sha256Digest,
    n_outputs: usize,
    epochs: usize,
    n_validation: usize,
    /// Little-endian 32-bit floats.
    scores: FileEntry,
}

impl FoldStore {
    /// The folds of `subject` in `folder`, which need not be there.
    pub fn new(folder: &Path, subject: &Subject) -> Result<Self, serde_json::Error> {
        Ok(Self {
            folder: folder.to_owned(),
            subject: Sha256Digest::of_json(subject)?,
        })
    }

    /// What an earlier run kept of `fold`. What is damaged counts as absent: it can be had again.
    pub fn find(&self, fold: &Fold) -> Option<FoldScores> {
        let key = self.key(fold);
        let document: Document = files::read_json(&self.place(&key, "json"), "fold").ok()?;
        let bytes = files::read(&self.place(&key, "f32")).ok()?;
        let scores = numbers(&bytes, f32::from_le_bytes);
        let is_whole = document.schema_version == SCHEMA_VERSION
            && document.key == key
            && document.scores.sha256 == Sha256Digest::of(&bytes)
            && scores.len() == fold.test.len() * document.n_outputs;
        is_whole.then_some(FoldScores {
            scores,
            n_outputs: document.n_outputs,
            epochs: document.epochs,
            n_validation: document.n_validation,
        })
    }

    /// Keeps what `fold` came to.
    pub fn keep(&self, fold: &Fold, scores: &FoldScores) -> Result<(), FileError> {
        let key = self.key(fold);
        let bytes: Vec<u8> = scores
            .scores
            .iter()
            .flat_map(|score| score.to_le_bytes())
            .collect();
        let place = self.place(&key, "f32");
        files::write(&place, &bytes)?;
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        let document = Document {
            schema_version: SCHEMA_VERSION,
            n_outputs: scores.n_outputs,
            epochs: scores.epochs,
            n_validation: scores.n_validation,
            scores: FileEntry::of_bytes(&name, &bytes),
            key,
        };
        files::write_json(&self.place(&document.key, "json"), &document).map(|_| ())
    }

    /// Removes `folds`, and the folder where nothing else is in it.
    pub fn remove(&self, folds: impl Iterator<Item = Fold>) -> Result<(), FileError> {
        for fold in folds {
            let key = self.key(&fold);
            files::remove(&self.place(&key, "json"))?;
            files::remove(&self.place(&key, "f32"))?;
        }
        // Only where nothing else is in them.
        let _ = std::fs::remove_dir(&self.folder);
        let _ = self.folder.parent().map(std::fs::remove_dir);
        Ok(())
    }

    fn place(&self, key: &Sha256Digest, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", key.hex()))
    }

    fn key(&self, fold: &Fold) -> Sha256Digest {
        let mut bytes = format!("{}\n", self.subject).into_bytes();
        for rows in [&fold.train, &fold.test] {
            bytes.extend((rows.len() as u64).to_le_bytes());
            bytes.extend(rows.iter().flat_map(|&row| (row as u64).to_le_bytes()));
        }
        Sha256Digest::of(&bytes)
    }
}
