//! Sizes along axes, written as Keras takes them: `3` for every axis, or `[3, 5]`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserializer, Serialize, Serializer};

/// The default where a size of 1 changes nothing.
pub(super) const fn ones<const N: usize>() -> [usize; N] {
    [1; N]
}

/// serde knows arrays of a fixed length only one by one; as lists they are the same JSON.
pub(super) fn serialize<S: Serializer, const N: usize>(
    axes: &[usize; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    axes.as_slice().serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
    deserializer: D,
) -> Result<[usize; N], D::Error> {
    struct OneOrAll<const N: usize>;
    impl<'de, const N: usize> Visitor<'de> for OneOrAll<N> {
        type Value = [usize; N];

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            match N {
                1 => formatter.write_str("a whole number such as 3"),
                _ => formatter.write_str("a whole number such as 3, or two such as [3, 3]"),
            }
        }

        fn visit_i64<E: de::Error>(self, size: i64) -> Result<Self::Value, E> {
            match usize::try_from(size) {
                Ok(size) => Ok([size; N]),
                Err(_) => Err(E::custom("a size must not be negative")),
            }
        }

        fn visit_u64<E: de::Error>(self, size: u64) -> Result<Self::Value, E> {
            match usize::try_from(size) {
                Ok(size) => Ok([size; N]),
                Err(_) => Err(E::custom("a size is too large")),
            }
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let mut axes = [0; N];
            for (idx, axis) in axes.iter_mut().enumerate() {
                *axis = sequence
                    .next_element()?
                    .ok_or_else(|| de::Error::invalid_length(idx, &self))?;
            }
            match sequence.next_element::<de::IgnoredAny>()? {
                None => Ok(axes),
                Some(_) => Err(de::Error::invalid_length(N + 1, &self)),
            }
        }
    }
    deserializer.deserialize_any(OneOrAll)
}

/// Stands for such sizes in schemas.
pub(super) struct Sizes<const N: usize>;

impl<const N: usize> JsonSchema for Sizes<N> {
    fn schema_name() -> Cow<'static, str> {
        format!("Sizes{N}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "integer", "minimum": 1 },
                { "type": "array", "items": { "type": "integer", "minimum": 1 }, "minItems": N, "maxItems": N }
            ]
        })
    }
}
