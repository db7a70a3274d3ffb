//! Files of metrics, from any tool: bytes in, a [`Scorecard`] out.
//!
//! A flat JSON as DVC writes it: nested objects become dotted names. Nothing in it is dropped in silence: a name that is
//! there twice is an error, and what is not a finite number has no value, for a reason that a rule naming it gives.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::record::BaselineRecord;
use super::scorecard::Scorecard;
use crate::digest::Sha256Digest;
use crate::evaluation::{Evaluation, EvaluationError};
use crate::figure::{figure, told_apart};
use crate::files;
use crate::measurement::{Direction, Measurement, MetricKey, Undefined, Unit};
use crate::metrics::{Metric, catalog};

/// Why a file cannot be read as metrics.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// Not JSON.
    #[error("`{path}` is not valid JSON")]
    Json {
        /// The file.
        path: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// One name has two values.
    #[error("`{path}` holds two metrics called `{name}`: rename or remove one")]
    Twice {
        /// The file.
        path: String,
        /// The name, dotted.
        name: String,
    },
    /// An evaluation that cannot be used.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// A baseline's record that does not fit its schema.
    #[error("`{path}` looks like a baseline's record, but does not fit its schema")]
    Record {
        /// The file.
        path: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// JSON of which nothing can be used.
    #[error("`{path}` holds no usable metric. {}", why.trim_end_matches('.'))]
    NoValue {
        /// The file.
        path: String,
        /// What is there, and why it cannot be used, as a sentence.
        why: String,
    },
    /// JSON without a single metric in it.
    #[error("`{path}` holds no metric: write an object such as {{\"accuracy\": 0.98}}")]
    Empty {
        /// The file.
        path: String,
    },
}

impl Scorecard {
    /// Reads `bytes`, which came from `path`: an `evaluation.json`, a baseline's record or a flat JSON of metrics.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, ReadingError> {
        let source_digest = Sha256Digest::of(bytes);
        let text = files::without_byte_order_mark(bytes);
        if let Ok(Value::Object(object)) = serde_json::from_slice::<Value>(text)
            && object.get("measurements").is_some_and(Value::is_array)
        {
            if object.contains_key("schema_version") {
                let evaluation = Evaluation::parse(text, path)?;
                return Ok(Self::of_evaluation(&evaluation, source_digest));
            }
            // A key `record_version` alone may be a user's own.
            if object.contains_key("record_version") && object.contains_key("rules_digest") {
                return serde_json::from_value(Value::Object(object))
                    .map(|record: BaselineRecord| record.scorecard())
                    .map_err(|source| ReadingError::Record {
                        path: path.display().to_string(),
                        source,
                    });
            }
        }
        flat(text, path, source_digest)
    }
}

fn flat(text: &[u8], path: &Path, source_digest: Sha256Digest) -> Result<Scorecard, ReadingError> {
    let path = || path.display().to_string();
    let text = with_quoted_non_finite(text);
    let mut leaves = Vec::new();
    let mut json = serde_json::Deserializer::from_slice(&text);
    let read = Level {
        prefix: String::new(),
        leaves: &mut leaves,
    }
    .deserialize(&mut json)
    .and_then(|()| json.end());
    read.map_err(|source| ReadingError::Json {
        path: path(),
        source,
    })?;
    let mut seen = BTreeSet::new();
    if let Some((name, _)) = leaves.iter().find(|(name, _)| !seen.insert(name.clone())) {
        return Err(ReadingError::Twice {
            path: path(),
            name: name.clone(),
        });
    }
    let mut card = Scorecard::bare(source_digest, Vec::new());
    for (name, leaf) in leaves {
        let key = MetricKey::overall(name);
        match leaf.read(key.clone()) {
            Ok(measurement) => card.measurements.push(measurement),
            Err(reason) => card.undefined.push(Undefined { key, reason }),
        }
    }
    card.notes.extend(not_read(&card.undefined));
    let is_number = |undefined: &Undefined| undefined.reason.contains("not a finite");
    if card.measurements.is_empty() && !card.undefined.iter().any(is_number) {
        return Err(match not_read(&card.undefined) {
            Some(why) => ReadingError::NoValue { path: path(), why },
            None => ReadingError::Empty { path: path() },
        });
    }
    Ok(card)
}

/// A sentence about what is in the file and has no value, where there is something.
fn not_read(undefined: &[Undefined]) -> Option<String> {
    const N_NAMED: usize = 5;
    const MAX_CHARS: usize = 80;
    if undefined.is_empty() {
        return None;
    }
    let named: Vec<String> = undefined
        .iter()
        .take(N_NAMED)
        .map(|found| {
            let name: String = found.key.metric.chars().take(MAX_CHARS).collect();
            format!("`{name}` ({})", found.reason)
        })
        .collect();
    let more = match undefined.len().saturating_sub(N_NAMED) {
        0 => String::new(),
        n_more => format!(" and {n_more} more"),
    };
    Some(format!("Without a value: {}{more}.", named.join(", ")))
}

/// What stands at a name.
enum Leaf {
    Number(f64),
    /// NaN or an infinity, as Python writes them.
    NonFinite(String),
    Text(String),
    /// `null`, a truth value or a list.
    Other(&'static str),
}

impl Leaf {
    /// The measurement called `key`, or why it has no value, as a clause.
    fn read(self, key: MetricKey) -> Result<Measurement, String> {
        const MAX_CHARS: usize = 40;
        let metric = catalog::find(&key.metric);
        let unit = metric.map(|metric| metric.unit);
        Err(match self {
            Self::Number(value)
                if unit == Some(Unit::Proportion) && !(0.0..=1.0).contains(&value) =>
            {
                let nearest = if value < 0.0 { 0.0 } else { 1.0 };
                format!(
                    "it is {}, but a proportion lies between 0 and 1: write 98.5 % as 0.985",
                    told_apart(value, nearest)
                )
            }
            Self::Number(value) => {
                let Some(reason) = impossible(&key.metric, value) else {
                    let direction = catalog::direction(&key.metric);
                    return Ok(Measurement::bare(key, value, unit, direction));
                };
                reason
            }
            Self::NonFinite(text) => format!("it is {text}, which is not a finite number"),
            Self::Text(text) => {
                let shown: String = text.chars().take(MAX_CHARS).collect();
                format!("it is the text \"{shown}\", not a number: write it without quotes")
            }
            Self::Other(what) => format!("it is {what}, not a number"),
        })
    }
}

/// Why the metric that another tool calls `name` cannot be `value`, as a clause. What a tool calls `loss` may be of any formula, so
/// that takes any value.
fn impossible(name: &str, value: f64) -> Option<String> {
    let of_range = |known: &Metric, (least, most): (f64, f64), what: &str| {
        let end = if value < least {
            least
        } else if value > most {
            most
        } else {
            return None;
        };
        let side = if value < least { "below" } else { "above" };
        let shown = told_apart(value, end);
        Some(format!(
            "it is {shown}, but {what}`{}` is never {side} {}",
            known.name,
            figure(end)
        ))
    };
    if let Some(known) = catalog::find(name).filter(|known| known.name != "loss") {
        let reason = of_range(known, known.range, "")?;
        let is_negative_of_loss = known.direction == Direction::LowerIsBetter && value < 0.0;
        return Some(if is_negative_of_loss {
            format!(
                "{reason}: a score such as scikit-learn's `neg_{0}` is its negative, so write the value without the sign, or call it `neg_{0}`",
                known.name
            )
        } else {
            format!("{reason}: correct it, or give a metric of your own another name")
        });
    }
    let known = catalog::find_negated(name).filter(|known| known.name != "loss")?;
    let (least, most) = known.range;
    let reason = of_range(known, (0.0 - most, 0.0 - least), "the negative of ")?;
    Some(format!(
        "{reason}: write it with its sign, or call it `{}`",
        known.name
    ))
}

/// Marks a text that stood in the file without quotes.
const NON_FINITE_MARK: &str = "\u{0}";

/// JSON has no word for NaN and infinity; Python writes them bare. Put in quotes behind a mark, they can be told from
/// texts, and the rest of the file can be read.
fn with_quoted_non_finite(text: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(text.len());
    let mut rest = text;
    let mut is_in_string = false;
    while let Some((&byte, after)) = rest.split_first() {
        if is_in_string {
            quoted.push(byte);
            rest = after;
            if let (b'\\', Some((&escaped, after))) = (byte, after.split_first()) {
                quoted.push(escaped);
                rest = after;
            } else if byte == b'"' {
                is_in_string = false;
            }
            continue;
        }
        let words: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
        if let Some(word) = words.iter().find(|word| rest.starts_with(word)) {
            quoted.extend_from_slice(b"\"\\u0000");
            quoted.extend_from_slice(word);
            quoted.push(b'"');
            rest = &rest[word.len()..];
        } else {
            is_in_string = byte == b'"';
            quoted.push(byte);
            rest = after;
        }
    }
    quoted
}

/// One level of nesting.
struct Level<'a> {
    prefix: String,
    leaves: &'a mut Vec<(String, Leaf)>,
}

impl Level<'_> {
    fn leaf(self, leaf: Leaf) {
        self.leaves.push((self.prefix, leaf));
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.prefix.is_empty() {
            deserializer.deserialize_map(self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Level<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object of metrics")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key.is_empty() {
                return Err(A::Error::custom("a metric without a name"));
            }
            let prefix = if self.prefix.is_empty() {
                key
            } else {
                format!("{}.{key}", self.prefix)
            };
            map.next_value_seed(Level {
                prefix,
                leaves: self.leaves,
            })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        self.leaf(Leaf::Other("a list"));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.leaf(Leaf::Number(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.leaf(Leaf::Number(value as f64));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.leaf(Leaf::Number(value as f64));
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.leaf(Leaf::Other("a truth value"));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.leaf(Leaf::Other("null"));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.leaf(match text.strip_prefix(NON_FINITE_MARK) {
            Some(word) => Leaf::NonFinite(word.to_owned()),
            None => Leaf::Text(text.to_owned()),
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Scorecard, ReadingError> {
        Scorecard::parse(text.as_bytes(), Path::new("m.json"))
    }

    fn error(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    fn reason(text: &str, name: &str) -> String {
        let card = parse(text).unwrap();
        card.why_undefined(&MetricKey::overall(name))
            .unwrap()
            .to_owned()
    }

    #[test]
    fn nested_objects_become_dotted_names_in_the_order_of_the_file() {
        let card = parse(r#"{"z": 1, "test": {"f1": 0.5, "deep": {"loss": -2e-3}}}"#).unwrap();
        let read: Vec<(&str, f64)> = card
            .measurements
            .iter()
            .map(|found| (found.key.metric.as_str(), found.value))
            .collect();
        assert_eq!(
            read,
            [("z", 1.0), ("test.f1", 0.5), ("test.deep.loss", -0.002)]
        );
    }

    #[test]
    fn one_name_twice_is_an_error_however_it_came_about() {
        for text in [
            r#"{"test.f1": 0.1, "test": {"f1": 0.9}}"#,
            r#"{"test.f1": 0.1, "test.f1": 0.9}"#,
            r#"{"test": {"f1": 0.1}, "test": {"f1": 0.9}}"#,
        ] {
            assert!(
                error(text).contains("two metrics called `test.f1`"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_a_number_says_what_it_is() {
        let text = r#"{"a": NaN, "b": -Infinity, "c": "0.9", "d": [1, {"x": 2}], "e": null, "f": true, "note": "NaN", "g": 1}"#;
        assert_eq!(reason(text, "a"), "it is NaN, which is not a finite number");
        assert_eq!(
            reason(text, "b"),
            "it is -Infinity, which is not a finite number"
        );
        assert!(reason(text, "c").starts_with("it is the text \"0.9\""));
        assert_eq!(reason(text, "d"), "it is a list, not a number");
        assert_eq!(reason(text, "e"), "it is null, not a number");
        assert_eq!(reason(text, "f"), "it is a truth value, not a number");
        assert!(reason(text, "note").starts_with("it is the text \"NaN\""));
        assert_eq!(parse(text).unwrap().measurements.len(), 1);
    }

    #[test]
    fn a_known_proportion_outside_of_0_to_1_has_no_value() {
        assert!(reason(r#"{"accuracy": 98.5, "x": 1}"#, "accuracy").contains("98.5"));
        assert!(
            reason(r#"{"test/recall": 1.0000001, "x": 1}"#, "test/recall").contains("1.0000001")
        );
        // Not known to be a proportion.
        assert_eq!(
            parse(r#"{"mcc": -0.5, "latency_ms": 98.5}"#)
                .unwrap()
                .measurements
                .len(),
            2
        );
    }

    /// scikit-learn's `cross_val_score(scoring="neg_mean_squared_error")` under the plain name would hold any `max`.
    #[test]
    fn a_value_that_the_metric_cannot_take_has_no_value() {
        for name in ["mse", "rmse", "test/mae", "log_loss", "mean_squared_error"] {
            let text = format!("{{\"{name}\": -3, \"x\": 1}}");
            let found = reason(&text, name);
            assert!(
                found.contains("is never below 0") && found.contains("scikit-learn's `neg_"),
                "{name}: {found}"
            );
        }
        assert!(reason(r#"{"r2": 1.5, "x": 1}"#, "r2").contains("is never above 1"));
        assert!(reason(r#"{"mcc": -1.5, "x": 1}"#, "mcc").contains("is never below -1"));
        let negated = reason(r#"{"neg": {"log_loss": 0.4}, "x": 1}"#, "neg.log_loss");
        assert!(
            negated.contains("the negative of `log_loss` is never above 0"),
            "{negated}"
        );
        let read =
            parse(r#"{"neg_mse": -3, "neg": {"log_loss": -0.4}, "r2": -7, "loss": -1, "mse": 0}"#);
        let read = read.unwrap();
        assert_eq!(read.undefined, []);
        let directions: Vec<_> = read
            .measurements
            .iter()
            .map(|found| found.direction)
            .collect();
        let (higher, lower) = (Direction::HigherIsBetter, Direction::LowerIsBetter);
        assert_eq!(directions, [higher, higher, higher, lower, lower].map(Some));
    }

    #[test]
    fn a_byte_order_mark_is_read_over_and_a_users_own_version_is_a_metric() {
        assert_eq!(
            parse("\u{FEFF}{\"accuracy\": 0.9}")
                .unwrap()
                .measurements
                .len(),
            1
        );
        let card = parse(r#"{"record_version": 3, "accuracy": 0.9}"#).unwrap();
        assert_eq!(card.measurements.len(), 2);
    }

    #[test]
    fn files_without_a_metric_say_why() {
        assert!(error(r#"{"note": "NaN", "a": }"#).contains("not valid JSON"));
        assert!(error(r#"{"a": 1} x"#).contains("not valid JSON"));
        assert!(error("[1]").contains("not valid JSON"));
        let found = error(r#"{"note": "text", "list": [1]}"#);
        assert!(found.contains("`list` (it is a list"), "{found}");
        let found = error(r#"{"accuracy": 91.0}"#);
        assert!(
            found.contains("holds no usable metric") && found.contains("write 98.5 % as 0.985"),
            "{found}"
        );
        assert!(error("{}").contains("holds no metric"));
        assert!(
            error(r#"{"schema_version": 99, "measurements": []}"#)
                .contains("not a valid evaluation")
        );
    }
}
