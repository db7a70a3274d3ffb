//! What a check that is no baseline keeps of its verdict, so that a person's word can follow to the same content.

use serde::{Deserialize, Serialize};

use super::decision::Decision;
use super::definition;
use super::record::BaselineRecord;
use super::verdict::{Override, Verdict};
use crate::digest::Sha256Digest;

const MARK_VERSION: u32 = 1;

const LABEL: &str = "[trainyard-mark]: #";

/// What a check keeps of its verdict.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Version of this layout.
    pub mark_version: u32,
    /// The pull request, where one was judged: others may have the same head commit.
    pub pull_request: Option<u64>,
    /// The git tree that was tested, where known.
    pub tree_sha: Option<String>,
    /// What the gate decided.
    pub decision: Decision,
    /// The model, where known.
    pub model_digest: Option<Sha256Digest>,
    /// Which rows were judged, where known.
    pub rows_digest: Option<Sha256Digest>,
    /// The bounds that were not met, or not judged.
    pub missed_rules: Vec<String>,
    /// Who let it through.
    #[serde(rename = "override")]
    pub overridden: Option<Override>,
}

impl Mark {
    /// The mark of a verdict on content with this tree and these rows.
    pub fn of(
        verdict: &Verdict,
        tree_sha: Option<String>,
        rows_digest: Option<Sha256Digest>,
    ) -> Self {
        Self {
            mark_version: MARK_VERSION,
            pull_request: None,
            tree_sha,
            decision: verdict.verdict,
            model_digest: verdict.model_digest.clone(),
            rows_digest,
            missed_rules: verdict.missed_rules(),
            overridden: verdict.overridden.clone(),
        }
    }

    /// What a record says of the same.
    pub fn of_record(record: &BaselineRecord) -> Self {
        Self {
            mark_version: MARK_VERSION,
            pull_request: None,
            tree_sha: record.tree_sha.clone(),
            decision: record.decision,
            model_digest: record.model_digest.clone(),
            rows_digest: record.rows.as_ref().map(|rows| rows.digest.clone()),
            missed_rules: record.missed_rules.clone(),
            overridden: record.overridden.clone(),
        }
    }

    /// The person's word on this mark, where it also holds for `other`: the same git tree; or the same model on the same
    /// rows that misses no other rule, as after a queue that moved on or a commit that bumps a version.
    pub fn override_for(&self, other: &Self) -> Option<&Override> {
        let is_same = |one: &Option<_>, other: &Option<_>| one.is_some() && one == other;
        let is_same_tree = self.tree_sha.is_some() && self.tree_sha == other.tree_sha;
        let misses_no_more = other
            .missed_rules
            .iter()
            .all(|rule| self.missed_rules.contains(rule));
        let is_same_model = is_same(&self.model_digest, &other.model_digest)
            && is_same(&self.rows_digest, &other.rows_digest)
            && !other.missed_rules.is_empty()
            && misses_no_more;
        self.overridden
            .as_ref()
            .filter(|_| is_same_tree || is_same_model)
    }

    /// The mark as a line of Markdown that renders as nothing.
    pub fn encode(&self) -> Result<String, serde_json::Error> {
        definition::encode(LABEL, self)
    }

    /// The marks in a check's text that can be read: one of each pull request that the check is of.
    pub fn decode_all(text: &str) -> Vec<Self> {
        let marks = definition::decode_all(LABEL, text);
        marks
            .filter_map(|value| serde_json::from_value(value.ok()?).ok())
            .filter(|mark: &Self| mark.mark_version == MARK_VERSION)
            .collect()
    }

    /// Whether the commit may go on: by the rules, or by a person's word.
    pub const fn is_let_through(&self) -> bool {
        self.decision.is_green() || self.overridden.is_some()
    }

    /// Those of `marks` that another pull request's run must not drop: the verdicts that a person let through or that are
    /// red, of pull requests other than `pull_request`.
    pub fn of_others(marks: Vec<Self>, pull_request: u64) -> Vec<Self> {
        let is_kept = |mark: &Self| {
            mark.pull_request
                .is_some_and(|number| number != pull_request)
                && !mark.decision.is_green()
        };
        marks.into_iter().filter(is_kept).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark() -> Mark {
        Mark {
            mark_version: MARK_VERSION,
            pull_request: Some(7),
            tree_sha: Some("tree".to_owned()),
            decision: Decision::Fail,
            model_digest: Some(Sha256Digest::of(b"model")),
            rows_digest: Some(Sha256Digest::of(b"rows")),
            missed_rules: vec![
                "accuracy at least 0.99".to_owned(),
                "loss at most 1".to_owned(),
            ],
            overridden: Some(Override {
                commit: "abc".to_owned(),
                by: "maria".to_owned(),
                reason: "]: # <b>".to_owned(),
                url: "https://example.com".to_owned(),
            }),
        }
    }

    #[test]
    fn a_mark_is_read_back_from_a_text() {
        let other = Mark {
            pull_request: Some(8),
            ..mark()
        };
        let [first, second] = [mark(), other.clone()].map(|mark| mark.encode().unwrap());
        let text = format!("### Report\n\n{first}\n[trainyard-mark]: #damaged\n{second}\n");
        assert_eq!(Mark::decode_all(&text), [mark(), other.clone()]);
        assert_eq!(Mark::decode_all("### Report"), []);
        assert_eq!(Mark::of_others(vec![mark(), other.clone()], 7), [other]);
    }

    /// The same content, or the same model that misses no other rule; anything else needs a new word.
    #[test]
    fn a_persons_word_follows_the_content_and_nothing_else() {
        let other = |change: &dyn Fn(&mut Mark)| {
            let mut other = Mark {
                overridden: None,
                ..mark()
            };
            change(&mut other);
            mark().override_for(&other).is_some()
        };
        assert!(other(&|_| {}));
        assert!(other(&|other| other.tree_sha = Some("another".to_owned())));
        assert!(other(&|other| {
            other.tree_sha = None;
            other.missed_rules.truncate(1);
        }));
        // The same tree, trained again to another model.
        assert!(other(
            &|other| other.model_digest = Some(Sha256Digest::of(b"again"))
        ));
        let moved: &dyn Fn(&mut Mark) = &|other| other.tree_sha = Some("another".to_owned());
        let refused: [&dyn Fn(&mut Mark); 4] = [
            &|other| other.missed_rules = vec!["recall at least 0.9".to_owned()],
            &|other| other.model_digest = Some(Sha256Digest::of(b"again")),
            &|other| other.rows_digest = None,
            &|other| other.missed_rules.clear(),
        ];
        for change in refused {
            assert!(!other(&|other| {
                moved(other);
                change(other);
            }));
        }
        let unknown = Mark {
            tree_sha: None,
            model_digest: None,
            ..mark()
        };
        assert!(unknown.override_for(&unknown).is_none());
    }
}
