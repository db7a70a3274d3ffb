//! One document: which index it is in, what it is called, and what it says.

use serde_json::{Map, Value, json};
use trainyard_core::digest::Sha256Digest;

/// What a document is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A training.
    Run,
    /// An epoch of a training.
    Epoch,
    /// An evaluation, with its metrics of all rows.
    Evaluation,
    /// One measurement of an evaluation: of all rows, a class, an output, a slice or a fold.
    Measurement,
    /// A verdict of the gate.
    Verdict,
    /// How one bound of one rule came out.
    Rule,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Run,
        Self::Epoch,
        Self::Evaluation,
        Self::Measurement,
        Self::Verdict,
        Self::Rule,
    ];

    /// What several of them are called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Run => "runs",
            Self::Epoch => "epochs",
            Self::Evaluation => "evaluations",
            Self::Measurement => "measurements",
            Self::Verdict => "verdicts",
            Self::Rule => "rules",
        }
    }

    /// The name under which all of them are searched: `trainyard-runs`.
    pub fn alias(self) -> String {
        format!("trainyard-{}", self.name())
    }

    /// Elastic's `event.kind`: what is counted and charted, or what happened.
    pub(crate) const fn event_kind(self) -> &'static str {
        match self {
            Self::Run | Self::Verdict | Self::Rule => "event",
            Self::Epoch | Self::Evaluation | Self::Measurement => "metric",
        }
    }
}

/// A document.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it is about.
    pub kind: Kind,
    /// The index that it belongs in: one a year, so that old ones can go and the same document is always sought in the same one.
    pub index: String,
    /// SHA-256 of what it says, but for when and how fast that was found out.
    pub id: String,
    /// What it says.
    pub source: Value,
}

impl Document {
    /// A document whose name is decided by `known`, which says what it is about; `observed` is what may be another each time that the
    /// same is found out again, such as durations. `at` is the time, in RFC 3339.
    pub(crate) fn new(kind: Kind, at: &str, known: Value, observed: Value) -> Self {
        let known = without_nulls(known);
        // What comes out of a map's own order is the same each time.
        let id = Sha256Digest::of(known.to_string().as_bytes());
        let mut source = json!({ "@timestamp": at });
        merge(&mut source, known);
        merge(&mut source, without_nulls(observed));
        let year = at.get(..4).unwrap_or("0000");
        Self {
            kind,
            index: format!("{}-{year}", kind.alias()),
            id: id.hex().to_owned(),
            source,
        }
    }

    /// The two lines of `_bulk`: `create` makes it only where it is not there yet.
    pub(crate) fn lines(&self) -> String {
        let action = json!({ "create": { "_index": self.index, "_id": self.id } });
        format!("{action}\n{}\n", self.source)
    }
}

/// The value without the fields that have none, and without objects that are empty then.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(name, value)| (name, without_nulls(value)));
            let is_empty =
                |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
            Value::Object(fields.filter(|(_, value)| !is_empty(value)).collect())
        }
        other => other,
    }
}

/// Adds the fields of `more` to those of `value`, object by object.
fn merge(value: &mut Value, more: Value) {
    match (value, more) {
        (Value::Object(fields), Value::Object(more)) => {
            for (name, value) in more {
                merge(fields.entry(name).or_insert(Value::Null), value);
            }
        }
        (value, more) => *value = more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_named_by_what_it_says_and_not_by_when_that_was_found_out() {
        let of = |at: &str, loss: f64, duration_s: f64| {
            let known = json!({ "trainyard": { "epoch": { "loss": loss, "accuracy": null } } });
            let observed = json!({ "trainyard": { "epoch": { "duration_s": duration_s } } });
            Document::new(Kind::Epoch, at, known, observed)
        };
        let first = of("2026-11-24T09:30:00.123Z", 0.5, 3.0);
        let second = of("2026-11-24T10:00:00.000Z", 0.5, 4.0);
        assert_eq!((&first.id, &first.index), (&second.id, &second.index));
        assert_ne!(first.source, second.source);
        assert_ne!(first.id, of("2026-11-24T09:30:00.123Z", 0.25, 3.0).id);
        assert_eq!(first.index, "trainyard-epochs-2026");
        // By `printf '{"trainyard":{"epoch":{"loss":0.5}}}' | sha256sum`.
        assert_eq!(
            first.id,
            "c5aad5c93b2a0f363e57776e944ef5af7345abd7923f5ec0d65bef81c5ad2f6b"
        );
        let lines = first.lines();
        let expected = format!(
            "{{\"create\":{{\"_index\":\"trainyard-epochs-2026\",\"_id\":\"{}\"}}}}\n\
             {{\"@timestamp\":\"2026-11-24T09:30:00.123Z\",\"trainyard\":{{\"epoch\":{{\"loss\":0.5,\"duration_s\":3.0}}}}}}\n",
            first.id
        );
        assert_eq!(lines, expected);
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        let value = json!({ "a": null, "b": { "c": null }, "d": [null], "e": f64::NAN, "f": "" });
        assert_eq!(without_nulls(value), json!({ "d": [null], "f": "" }));
    }
}
