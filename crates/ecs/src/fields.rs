//! An event's fields as JSON: numbers as numbers, texts masked.

use std::fmt::Debug;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};

use crate::mask::Mask;

/// The fields of one event.
pub(crate) struct Fields<'a, M> {
    mask: &'a M,
    pub(crate) message: Value,
    /// Those with a dot in their name.
    pub(crate) of_schema: Map<String, Value>,
    pub(crate) own: Map<String, Value>,
}

impl<'a, M: Mask> Fields<'a, M> {
    pub(crate) fn new(mask: &'a M) -> Self {
        Self {
            mask,
            message: Value::String(String::new()),
            of_schema: Map::new(),
            own: Map::new(),
        }
    }

    fn set(&mut self, field: &Field, value: Value) {
        let value = match value {
            Value::String(text) => Value::String(self.mask.mask(&text).into_owned()),
            other => other,
        };
        let name = field.name();
        if name == "message" {
            self.message = value;
        } else if name.contains('.') {
            self.of_schema.insert(name.to_owned(), value);
        } else {
            self.own.insert(name.to_owned(), value);
        }
    }
}

impl<M: Mask> Visit for Fields<'_, M> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    /// JSON knows no NaN and no infinity: those are words.
    fn record_f64(&mut self, field: &Field, value: f64) {
        let number = serde_json::Number::from_f64(value).map(Value::Number);
        self.set(field, number.unwrap_or_else(|| value.to_string().into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(Some(value), |error| error.source());
        let texts: Vec<String> = causes.map(ToString::to_string).collect();
        self.set(field, texts.join(": ").into());
    }
}
