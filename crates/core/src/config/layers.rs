//! `[[model.layers]]`: a table with Keras's arguments in, a [`NamedLayer`] out.
//!
//! A table is kept as it is written until its type is known, because serde loses the line of an error inside tagged
//! enums. After this file there are only layers in which every argument has its value.

mod arguments;
mod layer_error;
mod schema;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::error::Problem;
use super::name::is_plain_name;
use crate::model::architecture::{Layer, NamedLayer};
use arguments::Arguments;
pub(super) use layer_error::LayerError;

/// One layer: its `type`, maybe a `name`, and those arguments that the type takes, with Keras's names and defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(transparent)]
pub struct LayerTable(toml::Table);

impl From<toml::Table> for LayerTable {
    fn from(table: toml::Table) -> Self {
        Self(table)
    }
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
