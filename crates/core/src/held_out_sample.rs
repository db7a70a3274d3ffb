//! `sample.json`: held-out rows and the scores that the evaluation recorded for them, by which a server shows that it is the evaluated model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest::Sha256Digest;
use crate::metrics::argmax;
use crate::model::Task;

/// The version of `sample.json` that this build writes.
pub const SCHEMA_VERSION: u32 = 1;

/// The file's name in an image folder.
pub const SAMPLE_FILE: &str = "sample.json";

/// Values in a file at most: of larger rows it holds fewer.
pub const MAX_SAMPLE_VALUES: usize = 1 << 20;

/// How far scores may differ: the evaluation may have run on other instructions, which round differently.
const TOLERANCE: f32 = 1e-4;

/// Rows with the scores that a server must answer for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HeldOutSample {
    /// Version of this file's layout.
    pub schema_version: u32,
    /// Name of the model.
    pub model_name: String,
    /// The model that was evaluated.
    pub model_digest: Sha256Digest,
    /// What its output means.
    pub task: Task,
    /// Name of the input tensor.
    pub input_name: String,
    /// Shape of a row.
    pub input_shape: Vec<usize>,
    /// Number of rows.
    pub n_rows: usize,
    /// `[n_rows, row]`, raw: as they were before preprocessing.
    pub rows: Vec<f32>,
    /// `[n_rows, n_outputs]`.
    pub scores: Vec<f32>,
}

/// How a server's answer differs from what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is not a prediction.
    #[error("the server answered {0}")]
    NoScores(String),
    /// For another number of rows or outputs.
    #[error("the server answered {found} scores instead of {wanted}")]
    Number {
        /// Answered.
        found: usize,
        /// Recorded.
        wanted: usize,
    },
    /// Another score.
    #[error(
        "row {row} of the sample: the server answered {found}, but the evaluation recorded {recorded}"
    )]
    Scores {
        /// Which, from 0.
        row: usize,
        /// Answered.
        found: String,
        /// Recorded.
        recorded: String,
    },
}

impl HeldOutSample {
    /// The request of the Open Inference Protocol whose answer [`Self::compare`] takes.
    pub fn request(&self) -> Value {
        let shape = [&[self.n_rows], self.input_shape.as_slice()].concat();
        json!({"inputs": [{
            "name": self.input_name, "datatype": "FP32", "shape": shape, "data": self.rows,
        }]})
    }

    /// The first rows, as many as hold at most `max_values`, but at least one.
    #[must_use]
    pub fn shortened(&self, max_values: usize) -> Self {
        let row = self.rows.len() / self.n_rows.max(1);
        let n_rows = (max_values / row.max(1)).clamp(1, self.n_rows.max(1));
        let n_outputs = self.scores.len() / self.n_rows.max(1);
        Self {
            n_rows,
            rows: self.rows[..n_rows * row].to_vec(),
            scores: self.scores[..n_rows * n_outputs].to_vec(),
            ..self.clone()
        }
    }

    /// Whether the answer is that of the evaluated model.
    pub fn compare(&self, answer: &Value) -> Result<(), Mismatch> {
        let found = answer.pointer("/outputs/0/data").and_then(Value::as_array);
        let found = found.ok_or_else(|| Mismatch::NoScores(answer.to_string()))?;
        let found: Vec<f32> = (found.iter())
            .map(|value| value.as_f64().unwrap_or(f64::NAN) as f32)
            .collect();
        // One score a row is the probability of the second class.
        let is_one_of_two = self.task == Task::Classification
            && found.len() == self.n_rows
            && self.scores.len() == 2 * self.n_rows;
        let found: Vec<f32> = match is_one_of_two {
            true => found
                .iter()
                .flat_map(|&score| [1.0 - score, score])
                .collect(),
            false => found,
        };
        if found.len() != self.scores.len() {
            return Err(Mismatch::Number {
                found: found.len(),
                wanted: self.scores.len(),
            });
        }
        let n_outputs = self.scores.len() / self.n_rows;
        let rows = (found.chunks_exact(n_outputs)).zip(self.scores.chunks_exact(n_outputs));
        for (row, (found, recorded)) in rows.enumerate() {
            // Written so that a NaN fails.
            let is_close = found.iter().zip(recorded).all(|(found, recorded)| {
                (found - recorded).abs() <= TOLERANCE * recorded.abs().max(1.0)
            });
            let (found_best, recorded_best) = (argmax(found), argmax(recorded));
            let is_same_class = self.task == Task::Regression
                || found_best == recorded_best
                || (recorded[found_best] - recorded[recorded_best]).abs() <= 2.0 * TOLERANCE;
            if !(is_close && is_same_class) {
                return Err(Mismatch::Scores {
                    row,
                    found: format!("{found:?}"),
                    recorded: format!("{recorded:?}"),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> HeldOutSample {
        HeldOutSample {
            schema_version: SCHEMA_VERSION,
            model_name: "digits".to_owned(),
            model_digest: Sha256Digest::of(b"model"),
            task: Task::Classification,
            input_name: "input".to_owned(),
            input_shape: vec![2],
            n_rows: 2,
            rows: vec![0.0; 4],
            scores: vec![0.9, 0.1, 0.5, 0.5],
        }
    }

    fn compared(scores: &[f32]) -> Result<(), String> {
        let answer = json!({"outputs": [{"data": scores}]});
        let compared = sample().compare(&answer);
        compared.map_err(|error| error.to_string())
    }

    #[test]
    fn answers_must_be_those_of_the_evaluation() {
        compared(&[0.9, 0.1, 0.5, 0.5]).unwrap();
        // A tie may fall either way.
        compared(&[0.900_01, 0.099_99, 0.499_99, 0.500_01]).unwrap();
        // The probability of the second class alone.
        compared(&[0.1, 0.5]).unwrap();
        assert!(
            compared(&[0.8, 0.2, 0.5, 0.5])
                .unwrap_err()
                .starts_with("row 0")
        );
        assert!(
            compared(&[0.9, 0.1, 0.5])
                .unwrap_err()
                .contains("3 scores instead of 4")
        );
        let error = sample().compare(&json!({"error": "no"})).unwrap_err();
        assert!(error.to_string().contains("no"));
        let null = json!({"outputs": [{"data": [null, 0.1, 0.5, 0.5]}]});
        assert!(sample().compare(&null).is_err());
    }

    #[test]
    fn a_shortened_sample_keeps_its_first_rows() {
        let short = sample().shortened(3);
        assert_eq!((short.n_rows, short.rows.len()), (1, 2));
        assert_eq!(short.scores, [0.9, 0.1]);
        assert_eq!(sample().shortened(1000), sample());
        // Never none.
        assert_eq!(sample().shortened(1).n_rows, 1);
    }
}
