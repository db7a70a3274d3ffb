//! How many models were judged on the same rows: each look at a test set makes a lucky one more likely.
//!
//! With `[gate] sequential` the k-th model judged on a row set is tested at the level α / (k (k + 1)), where one end of a rule's
//! interval is at α: over all looks the levels sum to α. A guard, not a guarantee, since models adapt to the test set.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition;
use super::rule::Rule;
use super::scorecard::Scorecard;
use crate::digest::Sha256Digest;
use crate::statistics;

/// Digits of a model's digest that are kept: two models in a million million millions share them.
const N_DIGITS: usize = 16;

/// Models that are kept by name; of more, the oldest are only counted.
const MAX_MODELS: usize = 400;

const LABEL: &str = "[trainyard-looks]: #";

/// The models judged on one row set so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Looks {
    /// Digest of the row set.
    pub rows_digest: Sha256Digest,
    /// The first digits of the digest of each model, in the order in which they were judged; of predictions where no model is known.
    pub models: Vec<String>,
    /// How many were judged before these.
    #[serde(default)]
    pub n_older: u64,
}

/// The gate's copy in the folder of the verdict, where it counts looks.
pub const LOOKS_FILE: &str = "looks.json";

/// What the gate knew of the looks, as it keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptLooks {
    /// The models judged, the last included.
    Known(Looks),
    /// Why they are not known, as a clause.
    Unknown(String),
}

/// The look at which a rule was judged, and what that makes of its level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// Counted from 1.
    pub number: u64,
    /// The two-sided level that decided.
    pub confidence: f64,
}

impl Looks {
    /// The look of `card` alone; `None` where its rows or its model are not known.
    pub fn of(card: &Scorecard) -> Option<Self> {
        let model = card
            .model_digest
            .as_ref()
            .or(card.predictions_digest.as_ref())?;
        Some(Self {
            rows_digest: card.rows.as_ref()?.digest.clone(),
            models: vec![digits(model)],
            n_older: 0,
        })
    }

    /// Both together, where they are of the same rows: `earlier` first. A model that is in both counts once.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        if earlier.rows_digest != self.rows_digest {
            return self;
        }
        let mut models = earlier.models.clone();
        for model in self.models {
            if !models.contains(&model) {
                models.push(model);
            }
        }
        let n_dropped = models.len().saturating_sub(MAX_MODELS);
        models.drain(..n_dropped);
        self.models = models;
        self.n_older = self.n_older.max(earlier.n_older) + n_dropped as u64;
        self
    }

    /// How many models were judged, the last included.
    pub const fn n(&self) -> u64 {
        self.models.len() as u64 + self.n_older
    }

    /// The look of a rule with `confidence`.
    pub(super) fn look(&self, confidence: f64) -> Look {
        let alpha = (1.0 - confidence) / 2.0;
        Look {
            number: self.n(),
            confidence: 1.0 - 2.0 * statistics::look_level(alpha, self.n()),
        }
    }

    /// As a line of Markdown that renders as nothing.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        definition::encode(LABEL, self)
    }

    /// Those in a text that can be read.
    pub fn decode_all(text: &str) -> Vec<Self> {
        definition::decode_all(LABEL, text)
            .filter_map(|value| serde_json::from_value(value.ok()?).ok())
            .collect()
    }
}

impl Look {
    /// What the reason of a rule adds: `; look 3 at these rows, so one end is judged at 0.20833 %`.
    pub(super) fn words(&self) -> String {
        format!(
            "; look {} at these rows, so one end is judged at {} %",
            self.number,
            crate::figure::percent((1.0 - self.confidence) / 2.0)
        )
    }

    /// `rule` at the level of this look.
    pub(super) fn applied(self, rule: &Rule) -> Rule {
        Rule {
            confidence: Some(self.confidence),
            ..rule.clone()
        }
    }
}

fn digits(digest: &Sha256Digest) -> String {
    digest.hex().chars().take(N_DIGITS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks(models: &[&str]) -> Looks {
        Looks {
            rows_digest: Sha256Digest::of(b"rows"),
            models: models.iter().map(|&model| model.to_owned()).collect(),
            n_older: 0,
        }
    }

    #[test]
    fn each_model_counts_once_and_other_rows_not_at_all() {
        let both = looks(&["c"]).after(&looks(&["a", "b"]));
        assert_eq!(both.models, ["a", "b", "c"]);
        assert_eq!(looks(&["b"]).after(&looks(&["a", "b"])).n(), 2);
        let other = Looks {
            rows_digest: Sha256Digest::of(b"other"),
            ..looks(&["a", "b"])
        };
        assert_eq!(looks(&["c"]).after(&other).n(), 1);
        let many: Vec<String> = (0..MAX_MODELS + 5).map(|idx| idx.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let all = looks(&["last"]).after(&looks(&many));
        assert_eq!(
            (all.models.len(), all.n()),
            (MAX_MODELS, MAX_MODELS as u64 + 6)
        );
        assert_eq!(all.clone().after(&all).n(), all.n());
    }

    /// By hand: 0.025 / (3 * 4).
    #[test]
    fn the_level_shrinks_with_each_look() {
        let look = looks(&["a", "b", "c"]).look(0.95);
        assert_eq!(look.number, 3);
        assert!((look.confidence - (1.0 - 2.0 * 0.025 / 12.0)).abs() < 1e-15);
        assert_eq!(
            look.words(),
            "; look 3 at these rows, so one end is judged at 0.20833 %"
        );
    }

    #[test]
    fn looks_are_read_back_from_a_text() {
        let looks = looks(&["a", "b"]);
        let text = format!("### Report\n\n{}\n", looks.encode().unwrap());
        assert_eq!(Looks::decode_all(&text), [looks]);
    }
}
