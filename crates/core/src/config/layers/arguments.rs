//! Arguments of a layer as serde reads them, which remembers the key that it failed at.

use std::cell::RefCell;

use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::layer_error::LayerError;
use crate::model::architecture::Layer;

/// A table on its way through serde.
pub(super) struct Arguments<'a> {
    entries: toml::map::IntoIter<String, toml::Value>,
    value: Option<toml::Value>,
    current: &'a RefCell<Option<String>>,
}

impl Arguments<'_> {
    /// The layer of the type `kind` with these arguments.
    pub(super) fn read(kind: &str, arguments: toml::Table) -> Result<Layer, LayerError> {
        let current = RefCell::new(None);
        let arguments = Arguments {
            entries: arguments.into_iter(),
            value: None,
            current: &current,
        };
        let error = match Layer::read(kind, arguments) {
            None => {
                let kind = kind.to_owned();
                return Err(LayerError::UnknownType { kind });
            }
            Some(Ok(layer)) => return Ok(layer),
            Some(Err(error)) => error,
        };
        let (kind, problem) = (kind.to_owned(), error.message().trim_end());
        // serde's own words for the two cases that are told apart here: what is unknown or missing stands first.
        let mut names = problem.split('`').skip(1).step_by(2).map(str::to_owned);
        let first = names.next();
        Err(match (first, current.into_inner()) {
            // Of a table inside an argument, serde names that table's key, not the argument.
            (Some(argument), Some(key))
                if problem.starts_with("unknown field") && argument == key =>
            {
                let known = names.collect();
                LayerError::UnknownArgument {
                    kind,
                    argument,
                    known,
                }
            }
            (Some(argument), _) if problem.starts_with("missing field") => {
                LayerError::Missing { kind, argument }
            }
            (_, argument) => LayerError::Value {
                argument,
                problem: problem.replace('\n', "; "),
            },
        })
    }
}

impl<'de> Deserializer<'de> for Arguments<'_> {
    type Error = toml::de::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Arguments<'_> {
    type Error = toml::de::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Self::Error> {
        let Some((key, value)) = self.entries.next() else {
            return Ok(None);
        };
        self.value = Some(value);
        *self.current.borrow_mut() = Some(key.clone());
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, Self::Error> {
        let value = self
            .value
            .take()
            .expect("serde asks for a value after its key");
        seed.deserialize(value)
    }
}
