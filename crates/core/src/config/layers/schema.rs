//! The schema of a table: the arguments of all types in one object, each with the types that take it.
//!
//! One object rather than one a type, so that the generated reference has one row an argument and editors complete
//! arguments before the type is written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::LayerTable;
use crate::model::architecture::Layer;

impl JsonSchema for LayerTable {
    fn schema_name() -> Cow<'static, str> {
        "LayerTable".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut merged: Vec<Argument> = Vec::new();
        for (kind, schema) in Layer::argument_schemas(generator) {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (key, schema) in properties.into_iter().flatten() {
                let known = merged.iter().position(|argument| argument.key == *key);
                let idx = known.unwrap_or_else(|| {
                    merged.push(Argument {
                        key: key.clone(),
                        meanings: Vec::new(),
                        forms: Vec::new(),
                    });
                    merged.len() - 1
                });
                merged[idx].add(kind, schema);
            }
        }
        let mut properties = Map::new();
        properties.insert(
            "type".to_owned(),
            json!({ "description": "Type of the layer.", "enum": Layer::TYPES }),
        );
        properties.insert(
            "name".to_owned(),
            json!({
                "description": "Unique name; by default Keras's (`conv2d`, `dense_1`).",
                "type": "string"
            }),
        );
        for argument in merged {
            let (key, schema) = argument.schema();
            properties.insert(key, schema);
        }
        json_schema!({
            "description": "One layer: its `type` and those arguments that the type takes, with Keras's names and defaults.",
            "type": "object",
            "properties": properties,
            "required": ["type"],
            "additionalProperties": false
        })
    }
}

/// An argument of one or more types.
struct Argument {
    key: String,
    /// What it means, and for which types.
    meanings: Vec<(String, Vec<&'static str>)>,
    /// The forms of its value.
    forms: Vec<Value>,
}

impl Argument {
    fn add(&mut self, kind: &'static str, schema: &Value) {
        let meaning = schema["description"].as_str().unwrap_or_default();
        match self.meanings.iter_mut().find(|(known, _)| known == meaning) {
            Some((_, kinds)) => kinds.push(kind),
            None => self.meanings.push((meaning.to_owned(), vec![kind])),
        }
        let mut form = schema.clone();
        if let Some(form) = form.as_object_mut() {
            form.remove("description");
            form.remove("default");
        }
        if !self.forms.contains(&form) {
            self.forms.push(form);
        }
    }

    fn schema(self) -> (String, Value) {
        let meanings = self.meanings.iter();
        let meanings: Vec<String> = meanings
            .map(|(meaning, kinds)| format!("{}: {meaning}", kinds.join(", ")))
            .collect();
        let mut schema = match self.forms.as_slice() {
            [only] => only.clone(),
            forms => json!({ "anyOf": forms }),
        };
        schema["description"] = meanings.join(" ").into();
        (self.key, schema)
    }
}
