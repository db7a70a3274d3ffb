//! Evidence on one new model against one old one that accumulates over sets of fresh rows: nightly or mirrored ones that no run
//! judged before.
//!
//! An e-process may be looked at after every set (see [`PairedRows`]), as long as each row counts once. So a set that was
//! judged before adds nothing, and rows whose ids were seen before are left out: whether they are is decided by their ids
//! alone, never by how they came out. Another model on either side begins anew.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::definition;
use super::rule::PAIRED_METRIC;
use super::scorecard::Scorecard;
use crate::digest::Sha256Digest;
use crate::figure::count;
use crate::measurement::MetricKey;
use crate::row_set::RowMatch;
use crate::statistics::PairedRows;

/// The gate's copy in the folder of the verdict, to be given to the next run.
pub const FRESH_ROWS_FILE: &str = "fresh-rows.json";

/// Digits of a row set's digest that are kept.
const N_DIGITS: usize = 16;

/// Sets that one process holds.
const MAX_SETS: usize = 400;

/// Ids of rows that a file keeps; beyond, rows that come again are no longer known.
const MAX_ROW_IDS: usize = 1_000_000;

/// The same of a check's text, which has room for no more.
const MAX_ROW_IDS_IN_TEXT: usize = 2_000;

const LABEL: &str = "[trainyard-fresh-rows]: #";

/// The evidence on one pair of models, set by set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreshRows {
    /// The new model.
    pub new_model: Sha256Digest,
    /// The model that it is compared with.
    pub old_model: Sha256Digest,
    /// The sets in the order in which they were judged.
    pub sets: Vec<FreshSet>,
    /// The ids of all rows in these sets; absent where they are not known, or too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_ids: Option<RowIds>,
}

/// What one set of fresh rows came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreshSet {
    /// The first digits of the row set's digest.
    pub rows_digest: String,
    /// Its rows, by which of the two models predicts them right.
    pub rows: PairedRows,
    /// Rows that earlier sets held, which do not count again.
    #[serde(default)]
    pub n_left_out: u64,
}

/// Ids of rows, as four bytes of the SHA-256 digest of each.
///
/// One in four thousand million new rows is mistaken for each old one, and left out: that costs a row and proves nothing
/// wrong, since it does not depend on how the row came out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct RowIds(BTreeSet<u32>);

/// What a case knows of fresh rows, as the gate keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreshEvidence {
    /// The evidence so far, these rows included unless there is a `problem`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<FreshRows>,
    /// Whether these rows had been judged before, so that they add nothing.
    #[serde(default)]
    pub is_repeated: bool,
    /// Why earlier evidence does not count, as a clause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_anew: Option<String>,
    /// Why these rows cannot be added, as a clause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl FreshEvidence {
    /// The evidence on `new` against `old` after their rows, from what `earlier` runs left.
    ///
    /// `row_ids` are those of the rows in their canonical order, where they are known.
    pub fn of(
        new: &Scorecard,
        old: &Scorecard,
        earlier: &[FreshRows],
        row_ids: Option<&[String]>,
    ) -> Self {
        let mut evidence = match (&new.model_digest, &old.model_digest) {
            (Some(new_model), Some(old_model)) => Self::before(new_model, old_model, earlier),
            _ => Self {
                // What is there is handed on to a run that knows its models.
                process: earlier.last().cloned(),
                problem: Some(
                    "it is not known which models these are: score both by `trainyard-evaluate --model`, which names them"
                        .to_owned(),
                ),
                ..Self::default()
            },
        };
        if evidence.problem.is_none() {
            evidence.problem = evidence.add(new, old, row_ids).err();
            let has_sets = |process: &FreshRows| !process.sets.is_empty();
            if evidence.problem.is_some() && !evidence.process.as_ref().is_some_and(has_sets) {
                // A run that had other models by mistake must not end what others began.
                evidence.process = earlier.last().cloned();
            }
        }
        evidence
    }

    /// Where it is not known what was judged before.
    pub fn unknown(reason: &str) -> Self {
        Self {
            problem: Some(format!(
                "the evidence of earlier runs is not known: {reason}"
            )),
            ..Self::default()
        }
    }

    /// What `earlier` runs found about this pair of models.
    fn before(new_model: &Sha256Digest, old_model: &Sha256Digest, earlier: &[FreshRows]) -> Self {
        let is_of_pair =
            |found: &&FreshRows| found.new_model == *new_model && found.old_model == *old_model;
        let of_pair = earlier.iter().filter(is_of_pair).cloned();
        let process = of_pair.reduce(FreshRows::joined);
        let begun_anew = match (&process, earlier.last()) {
            (None, Some(other)) => {
                let what = match (other.new_model == *new_model, other.old_model == *old_model) {
                    (true, _) => "the baseline is another model",
                    (_, true) => "this is another model",
                    _ => "both are other models",
                };
                Some(format!(
                    "{what} than in the evidence of {} before, which does not count",
                    count(other.sets.len() as u64, "set")
                ))
            }
            _ => None,
        };
        let begun = FreshRows {
            new_model: new_model.clone(),
            old_model: old_model.clone(),
            sets: Vec::new(),
            row_ids: Some(RowIds::default()),
        };
        Self {
            process: Some(process.unwrap_or(begun)),
            begun_anew,
            ..Self::default()
        }
    }

    fn add(
        &mut self,
        new: &Scorecard,
        old: &Scorecard,
        row_ids: Option<&[String]>,
    ) -> Result<(), String> {
        let Some(process) = &mut self.process else {
            return Err("there is no evidence to add to".to_owned());
        };
        if process.new_model == process.old_model {
            return Err("both are the same model".to_owned());
        }
        if !matches!(new.rows_match(old), RowMatch::Same { .. }) {
            return Err(
                "the baseline's model was not scored on these rows: score it on them by `trainyard-evaluate --model`, and give that evaluation as `--rescored` or `--baseline`"
                    .to_owned(),
            );
        }
        if new.is_pooled || old.is_pooled {
            return Err("these rows were predicted by the models of several folds".to_owned());
        }
        let accuracy = MetricKey::overall(PAIRED_METRIC);
        if !(new.is_plain_accuracy(&accuracy) && old.is_plain_accuracy(&accuracy)) {
            return Err(
                "the rows have weights or come in groups, so they are not one wager each: write this rule without `sequential`"
                    .to_owned(),
            );
        }
        let digest = digits_of(new)?;
        if process.sets.iter().any(|set| set.rows_digest == digest) {
            self.is_repeated = true;
            return Ok(());
        }
        if process.sets.len() >= MAX_SETS {
            return Err(format!(
                "the evidence already has {}, which is the most: judge more rows at a time",
                count(MAX_SETS as u64, "set")
            ));
        }
        let (new, old) = (new.missed_rows.as_ref())
            .zip(old.missed_rows.as_ref())
            .filter(|(new, old)| new.n_rows() == old.n_rows())
            .ok_or("it is not known for both which rows are wrong")?;
        let hashes = row_ids.map(RowIds::hashes);
        if hashes
            .as_ref()
            .is_some_and(|hashes| hashes.len() as u64 != new.n_rows())
        {
            return Err("there are not as many row ids as rows".to_owned());
        }
        let seen = process.row_ids.take();
        let mut set = FreshSet {
            rows_digest: digest,
            rows: PairedRows::default(),
            n_left_out: 0,
        };
        let mut is_missed = [new.rows(), old.rows()].map(|rows| rows.iter().copied().peekable());
        for row in 0..new.n_rows() {
            let [is_new_wrong, is_old_wrong] = is_missed
                .each_mut()
                .map(|rows| rows.next_if_eq(&row).is_some());
            let hash = hashes.as_ref().map(|hashes| hashes[row as usize]);
            let is_seen = seen
                .as_ref()
                .zip(hash)
                .is_some_and(|(seen, hash)| seen.0.contains(&hash));
            if is_seen {
                set.n_left_out += 1;
            } else {
                set.rows.record(!is_new_wrong, !is_old_wrong);
            }
        }
        process.sets.push(set);
        process.row_ids = seen.zip(hashes).and_then(|(mut seen, hashes)| {
            seen.0.extend(hashes);
            (seen.0.len() <= MAX_ROW_IDS).then_some(seen)
        });
        Ok(())
    }
}

impl FreshRows {
    /// Both together, where they are of the same models: a set that is in both counts once.
    fn joined(mut self, other: Self) -> Self {
        for set in other.sets {
            if self
                .sets
                .iter()
                .all(|own| own.rows_digest != set.rows_digest)
            {
                self.sets.push(set);
            }
        }
        self.row_ids = self.row_ids.zip(other.row_ids).map(|(mut own, other)| {
            own.0.extend(other.0);
            own
        });
        self
    }

    /// The set that the rows of `card` are, where they were judged.
    pub(super) fn set_of(&self, card: &Scorecard) -> Option<&FreshSet> {
        let digest = digits_of(card).ok()?;
        self.sets.iter().find(|set| set.rows_digest == digest)
    }

    /// As a line of Markdown that renders as nothing. More ids than there is room for are left out.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        let fits = |ids: &RowIds| ids.0.len() <= MAX_ROW_IDS_IN_TEXT;
        let row_ids = self.row_ids.clone().filter(fits);
        definition::encode(
            LABEL,
            &Self {
                row_ids,
                ..self.clone()
            },
        )
    }

    /// The same where there must be room for more beside it.
    #[must_use]
    pub fn without_many_ids(mut self) -> Self {
        self.row_ids = self
            .row_ids
            .filter(|ids| ids.0.len() <= MAX_ROW_IDS_IN_TEXT);
        self
    }

    /// Those in a text that can be read.
    pub fn decode_all(text: &str) -> Vec<Self> {
        definition::decode_all(LABEL, text)
            .filter_map(|value| serde_json::from_value(value.ok()?).ok())
            .collect()
    }
}

impl RowIds {
    fn hashes(ids: &[String]) -> Vec<u32> {
        let hash = |id: &String| {
            let digest = Sha256Digest::of(id.as_bytes());
            // Eight hexadecimal digits are four bytes.
            u32::from_str_radix(&digest.hex()[..8], 16).expect("a digest is hexadecimal")
        };
        ids.iter().map(hash).collect()
    }
}

impl From<RowIds> for String {
    fn from(ids: RowIds) -> Self {
        let bytes: Vec<u8> = ids.0.into_iter().flat_map(u32::to_be_bytes).collect();
        STANDARD_NO_PAD.encode(bytes)
    }
}

/// Ids of rows that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`row_ids` is not base64 of four bytes a row")]
pub struct RowIdsError;

impl TryFrom<String> for RowIds {
    type Error = RowIdsError;

    fn try_from(text: String) -> Result<Self, RowIdsError> {
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| RowIdsError)?;
        let (hashes, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(RowIdsError);
        }
        Ok(Self(
            hashes
                .iter()
                .map(|hash| u32::from_be_bytes(*hash))
                .collect(),
        ))
    }
}

/// The identity of the rows of `card`, or why it is not known, as a clause.
fn digits_of(card: &Scorecard) -> Result<String, String> {
    if !card.has_row_ids() {
        return Err(
            "rows without a `row_id` cannot be told from earlier ones: add a `row_id` column to the test data"
                .to_owned(),
        );
    }
    let rows = card
        .rows
        .as_ref()
        .ok_or("it is not known which rows these are")?;
    Ok(rows.digest.hex().chars().take(N_DIGITS).collect())
}
