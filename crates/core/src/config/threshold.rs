//! `[evaluate] threshold`: a number, or the aim by which it is chosen on validation rows.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::Problem;
use crate::threshold::ThresholdAim;

/// From which score on the positive class is predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// From this one.
    Fixed(f64),
    /// From the one that reaches an aim on validation rows.
    Chosen(ThresholdAim),
}

impl Threshold {
    /// Checks the threshold. A number without a positive class is one of every class, which only predictions files can have.
    pub(super) fn validate(&self, has_positive_class: bool) -> Result<(), Problem> {
        let place = ["evaluate", "threshold"];
        match self {
            Self::Fixed(threshold) if !(*threshold > 0.0 && *threshold < 1.0) => {
                return Err(Problem::at(
                    &place,
                    "must lie between 0 and 1: it is compared with a probability, also where the file holds logits",
                ));
            }
            Self::Chosen(aim) => {
                if let Some(problem) = aim.problem() {
                    return Err(Problem::at(&place, problem));
                }
            }
            Self::Fixed(_) => return Ok(()),
        }
        if has_positive_class {
            return Ok(());
        }
        Err(Self::without_class())
    }

    /// What is wrong with a threshold of one class that is not named.
    pub(super) fn without_class() -> Problem {
        Problem::at(
            &["evaluate", "threshold"],
            "needs to know whose score it is compared with",
        )
        .hint("add `positive_class = \"…\"`, the class to be found")
    }
}

impl<'de> Deserialize<'de> for Threshold {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FixedOrChosen;
        impl<'de> Visitor<'de> for FixedOrChosen {
            type Value = Threshold;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number such as 0.3, or an aim such as { aim = \"max_f1\" }")
            }

            fn visit_f64<E>(self, threshold: f64) -> Result<Threshold, E> {
                Ok(Threshold::Fixed(threshold))
            }

            fn visit_i64<E>(self, threshold: i64) -> Result<Threshold, E> {
                Ok(Threshold::Fixed(threshold as f64))
            }

            fn visit_u64<E>(self, threshold: u64) -> Result<Threshold, E> {
                Ok(Threshold::Fixed(threshold as f64))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Threshold, A::Error> {
                ThresholdAim::deserialize(MapAccessDeserializer::new(map)).map(Threshold::Chosen)
            }
        }
        deserializer.deserialize_any(FixedOrChosen)
    }
}

impl Serialize for Threshold {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(threshold) => threshold.serialize(serializer),
            Self::Chosen(aim) => aim.serialize(serializer),
        }
    }
}

impl JsonSchema for Threshold {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Threshold".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let aim = generator.subschema_for::<ThresholdAim>();
        json_schema!({
            "oneOf": [
                { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
                { "type": "object", "allOf": [aim] }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::JudgingConfig;
    use crate::threshold::Aim;

    fn parsed(value: &str) -> Result<Option<Threshold>, String> {
        let text = format!("[evaluate]\npositive_class = \"ill\"\nthreshold = {value}\n");
        JudgingConfig::parse(&text, Path::new("trainyard.toml"))
            .map(|config| config.evaluate.threshold)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn it_is_a_number_or_an_aim() {
        assert_eq!(parsed("0.3"), Ok(Some(Threshold::Fixed(0.3))));
        let aim = ThresholdAim {
            aim: Aim::MinRecall,
            at: Some(0.95),
        };
        assert_eq!(
            parsed("{ aim = \"min_recall\", at = 0.95 }"),
            Ok(Some(Threshold::Chosen(aim)))
        );
        assert_eq!(aim.written(), "{ aim = \"min_recall\", at = 0.95 }");
        // As it is printed and digested, it is read back.
        let json = serde_json::to_string(&Threshold::Chosen(aim)).unwrap();
        let read: Threshold = serde_json::from_str(&json).unwrap();
        assert_eq!(read, Threshold::Chosen(aim));
    }

    #[test]
    fn a_mistake_is_named_with_what_to_write() {
        for (value, part) in [
            ("{ aim = \"min_recall\" }", "such as `at = 0.95`"),
            ("{ aim = \"max_f1\", at = 0.5 }", "remove `at`"),
            ("{ aim = \"min_precision\", at = 95 }", "at most 1"),
            ("{ aim = \"max_f2\" }", "max_f1"),
            ("{ aim = \"max_f1\", on = 1 }", "on"),
            ("\"0.5\"", "a number such as 0.3"),
            ("1.5", "between 0 and 1"),
        ] {
            let error = parsed(value).unwrap_err();
            assert!(error.contains(part), "{value}\n{error}");
            assert!(error.contains("toml:3:"), "{value}\n{error}");
        }
    }
}
