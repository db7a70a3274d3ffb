//! Arguments that Keras writes in more than one way.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::architecture::Padding;

/// `"valid"`, `"same"`, or the size of a frame of zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaddingInput {
    /// How windows meet the border.
    Windows(Padding),
    /// `[[top, bottom], [left, right]]`.
    Frame([[usize; 2]; 2]),
}

/// Whether a factor is learnt, or the factor itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScaleInput {
    /// For normalisations.
    Learnt(bool),
    /// For Rescaling.
    Factor(f64),
}

/// Two sizes, written as `3` or `[3, 3]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Pair(pub [usize; 2]);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrTwo;
        impl<'de> Visitor<'de> for OneOrTwo {
            type Value = Pair;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a whole number such as 3, or two such as [3, 3]")
            }

            fn visit_i64<E: de::Error>(self, size: i64) -> Result<Pair, E> {
                let size =
                    usize::try_from(size).map_err(|_| E::custom("a size must not be negative"))?;
                Ok(Pair([size, size]))
            }

            fn visit_u64<E: de::Error>(self, size: u64) -> Result<Pair, E> {
                let size = usize::try_from(size).map_err(|_| E::custom("a size is too large"))?;
                Ok(Pair([size, size]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Pair, A::Error> {
                let first = sequence
                    .next_element()?
                    .ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let second = sequence
                    .next_element()?
                    .ok_or_else(|| de::Error::invalid_length(1, &self))?;
                if sequence.next_element::<usize>()?.is_some() {
                    return Err(de::Error::invalid_length(3, &self));
                }
                Ok(Pair([first, second]))
            }
        }
        deserializer.deserialize_any(OneOrTwo)
    }
}

impl JsonSchema for Pair {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pair".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "array", "items": { "type": "integer", "minimum": 1 }, "minItems": 2, "maxItems": 2 }
            ]
        })
    }
}

impl<'de> Deserialize<'de> for PaddingInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrSizes;
        impl<'de> Visitor<'de> for WordOrSizes {
            type Value = PaddingInput;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "`\"valid\"`, `\"same\"`, or sizes such as 1, [1, 2] or [[1, 1], [2, 2]]",
                )
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<PaddingInput, E> {
                match word {
                    "valid" => Ok(PaddingInput::Windows(Padding::Valid)),
                    "same" => Ok(PaddingInput::Windows(Padding::Same)),
                    _ => Err(E::unknown_variant(word, &["valid", "same"])),
                }
            }

            fn visit_i64<E: de::Error>(self, size: i64) -> Result<PaddingInput, E> {
                let size =
                    usize::try_from(size).map_err(|_| E::custom("a size must not be negative"))?;
                Ok(PaddingInput::Frame([[size; 2]; 2]))
            }

            fn visit_u64<E: de::Error>(self, size: u64) -> Result<PaddingInput, E> {
                let size = usize::try_from(size).map_err(|_| E::custom("a size is too large"))?;
                Ok(PaddingInput::Frame([[size; 2]; 2]))
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut sequence: A,
            ) -> Result<PaddingInput, A::Error> {
                let mut next = |idx: usize| {
                    sequence
                        .next_element::<Pair>()?
                        .ok_or_else(|| de::Error::invalid_length(idx, &self))
                };
                let axes = [next(0)?.0, next(1)?.0];
                Ok(PaddingInput::Frame(axes))
            }
        }
        deserializer.deserialize_any(WordOrSizes)
    }
}

impl Serialize for PaddingInput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Windows(padding) => padding.serialize(serializer),
            Self::Frame(axes) => axes.serialize(serializer),
        }
    }
}

impl JsonSchema for PaddingInput {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PaddingInput".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "enum": ["valid", "same"] },
                { "type": "integer", "minimum": 0 },
                { "type": "array", "minItems": 2, "maxItems": 2 }
            ]
        })
    }
}

impl<'de> Deserialize<'de> for ScaleInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BooleanOrNumber;
        impl Visitor<'_> for BooleanOrNumber {
            type Value = ScaleInput;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`true`, `false` or a number")
            }

            fn visit_bool<E: de::Error>(self, is_learnt: bool) -> Result<ScaleInput, E> {
                Ok(ScaleInput::Learnt(is_learnt))
            }

            fn visit_f64<E: de::Error>(self, factor: f64) -> Result<ScaleInput, E> {
                Ok(ScaleInput::Factor(factor))
            }

            fn visit_i64<E: de::Error>(self, factor: i64) -> Result<ScaleInput, E> {
                Ok(ScaleInput::Factor(factor as f64))
            }

            fn visit_u64<E: de::Error>(self, factor: u64) -> Result<ScaleInput, E> {
                Ok(ScaleInput::Factor(factor as f64))
            }
        }
        deserializer.deserialize_any(BooleanOrNumber)
    }
}

impl Serialize for ScaleInput {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Learnt(is_learnt) => is_learnt.serialize(serializer),
            Self::Factor(factor) => factor.serialize(serializer),
        }
    }
}

impl JsonSchema for ScaleInput {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ScaleInput".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "number"] })
    }
}
