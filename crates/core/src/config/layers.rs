//! `[[model.layers]]`: a table with Keras's arguments in, a [`NamedLayer`] out.
//!
//! A table is kept as it is written until its type is known, because serde loses the line of an error inside tagged
//! enums. After this file there are only layers in which every argument has its value.

mod arguments;
mod schema;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::{Problem, nearest, nearest_name};
use super::name::{PLAIN_NAME, is_plain_name};
use crate::model::architecture::{ArgumentError, Layer, NamedLayer};
use arguments::Arguments;

/// One layer: its `type`, maybe a `name`, and those arguments that the type takes, with Keras's names and defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct LayerTable(toml::Table);

impl From<toml::Table> for LayerTable {
    fn from(table: toml::Table) -> Self {
        Self(table)
    }
}

/// Why a table is not a layer.
#[derive(Debug, thiserror::Error)]
pub(super) enum LayerError {
    #[error("a layer needs a `type`")]
    NoType,
    #[error("there is no layer of the type `{kind}`")]
    UnknownType { kind: String },
    #[error("{kind} takes no `{argument}`")]
    UnknownArgument {
        kind: String,
        argument: String,
        /// What it takes.
        known: Vec<String>,
    },
    #[error("{kind} needs `{argument}`")]
    Missing { kind: String, argument: String },
    #[error("{problem}")]
    Value {
        argument: Option<String>,
        problem: String,
    },
    #[error("{kind} must be the first layer")]
    NotFirst { kind: &'static str },
    #[error("two layers are called `{name}`")]
    SameName { name: String },
    #[error("`{name}` is not a plain name")]
    Name { name: String },
}

impl From<ArgumentError> for LayerError {
    fn from(ArgumentError { argument, problem }: ArgumentError) -> Self {
        Self::Value {
            argument: Some(argument.to_owned()),
            problem,
        }
    }
}

impl LayerError {
    /// The argument that it is about, where the table has it.
    pub(super) fn argument(&self) -> Option<&str> {
        match self {
            Self::UnknownType { .. } => Some("type"),
            Self::SameName { .. } | Self::Name { .. } => Some("name"),
            Self::UnknownArgument { argument, .. } => Some(argument),
            Self::Value { argument, .. } => argument.as_deref(),
            Self::NoType | Self::Missing { .. } | Self::NotFirst { .. } => None,
        }
    }

    /// What to write instead.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NoType => Some("add `type = \"Dense\"` or another type of layer".to_owned()),
            Self::UnknownType { kind } => Some(match nearest(kind, Layer::TYPES.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("the types are {}", listed(Layer::TYPES)),
            }),
            Self::UnknownArgument {
                argument, known, ..
            } => match nearest(argument, known.iter().map(String::as_str)) {
                Some(name) => Some(format!("did you mean `{name}`?")),
                None if known.is_empty() => None,
                None => Some(format!("it takes {}", listed(known))),
            },
            Self::Missing { kind, argument } => {
                let is_wanted = |line: &&&str| {
                    line.strip_prefix(argument.as_str())
                        .is_some_and(|rest| rest.starts_with(" ="))
                };
                let line = Layer::example(kind).iter().find(is_wanted);
                Some(match line {
                    Some(line) => format!("add `{line}`"),
                    None => format!("add `{argument} = …`"),
                })
            }
            Self::Name { .. } => Some(PLAIN_NAME.to_owned()),
            Self::Value { problem, .. } => {
                nearest_name(problem).map(|name| format!("did you mean `{name}`?"))
            }
            Self::NotFirst { .. } | Self::SameName { .. } => None,
        }
    }

    /// The problem at its place in `trainyard.toml`.
    pub(super) fn at(&self, layer_idx: usize) -> Problem {
        let layer_idx = layer_idx.to_string();
        let mut place = vec!["model", "layers", &layer_idx];
        place.extend(self.argument());
        let problem = Problem::at(&place, self.to_string());
        match self.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    names.join(", ")
}

impl LayerTable {
    /// The layer, and its name where it is given one.
    pub(super) fn read(&self) -> Result<(Option<String>, Layer), LayerError> {
        let mut arguments = self.0.clone();
        let mut text = |key: &str| match arguments.remove(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(LayerError::Value {
                argument: Some(key.to_owned()),
                problem: format!("must be a text, not {}", other.type_str()),
            }),
        };
        let kind = text("type")?.ok_or(LayerError::NoType)?;
        let name = text("name")?;
        let layer = Arguments::read(&kind, arguments)?;
        layer.check()?;
        Ok((name, layer))
    }
}

/// Names those layers that have no name as Keras does: `dense`, `dense_1`, …. On failure the index of the layer comes
/// with the reason.
pub(super) fn named(
    layers: Vec<(Option<String>, Layer)>,
) -> Result<Vec<NamedLayer>, (usize, LayerError)> {
    let mut n_of_kind: BTreeMap<&str, usize> = BTreeMap::new();
    let mut named: Vec<NamedLayer> = Vec::new();
    for (layer_idx, (name, layer)) in layers.into_iter().enumerate() {
        let error = |error| Err((layer_idx, error));
        if layer.is_first() && layer_idx > 0 {
            let kind = layer.type_name();
            return error(LayerError::NotFirst { kind });
        }
        let n_before = n_of_kind.entry(layer.default_name()).or_default();
        let default = match *n_before {
            0 => layer.default_name().to_owned(),
            n_before => format!("{}_{n_before}", layer.default_name()),
        };
        *n_before += 1;
        let name = name.unwrap_or(default);
        if named.iter().any(|other| other.name == name) {
            return error(LayerError::SameName { name });
        }
        if !is_plain_name(&name) {
            return error(LayerError::Name { name });
        }
        named.push(NamedLayer { name, layer });
    }
    Ok(named)
}

/// The layers that `[[model.layers]]` describes.
pub(super) fn resolve(tables: &[LayerTable]) -> Result<Vec<NamedLayer>, Problem> {
    let layers = tables
        .iter()
        .enumerate()
        .map(|(idx, table)| table.read().map_err(|error| error.at(idx)))
        .collect::<Result<_, _>>()?;
    named(layers).map_err(|(idx, error)| error.at(idx))
}
