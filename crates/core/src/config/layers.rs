//! `[[model.layers]]`: a table with Keras's arguments in, a [`NamedLayer`] out.
//!
//! One flat table rather than an enum, because serde loses the line of an error inside tagged enums.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::error::Problem;
use crate::model::architecture::{Activation, Layer, NamedLayer, Padding};

/// One layer: its `type` and those arguments that the type takes, with Keras's names and defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerTable {
    /// Which layer.
    #[serde(rename = "type")]
    pub kind: LayerKind,
    /// Unique name; Keras's default (`conv2d`, `dense_1`) when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Conv2D: number of output channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<usize>,
    /// Conv2D: height and width of the window, or one number for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_size: Option<Pair>,
    /// MaxPooling2D, AveragePooling2D: height and width of the window, or one number for both; 2 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_size: Option<Pair>,
    /// Steps down and across, or one number for both; 1 for Conv2D and `pool_size` for pooling when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strides: Option<Pair>,
    /// Conv2D and pooling: `valid` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<Padding>,
    /// Dense: number of outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<usize>,
    /// Conv2D, Dense, Activation: the activation function; `linear` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// Conv2D, Dense: whether a bias is added; true when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_bias: Option<bool>,
    /// Dropout: share of values set to zero, in [0, 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
}

/// A type of layer, by Keras's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LayerKind {
    /// Two-dimensional convolution.
    Conv2D,
    /// The largest value of each window.
    MaxPooling2D,
    /// The mean of each window.
    AveragePooling2D,
    /// All axes joined into one.
    Flatten,
    /// Fully connected.
    Dense,
    /// Random zeroes in training.
    Dropout,
    /// An activation function on its own.
    Activation,
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

impl LayerTable {
    /// Checks that exactly the arguments of this type are there, and fills in Keras's defaults.
    fn layer(&self, layer_idx: &str) -> Result<Layer, Problem> {
        self.refuse_foreign_arguments(layer_idx)?;
        let missing = |argument: &str, example: &str| {
            Problem::at(
                &["model", "layers", layer_idx],
                format!("{:?} needs `{argument}`", self.kind),
            )
            .hint(format!("add `{argument} = {example}`"))
        };
        let activation = self.activation.unwrap_or_default();
        let use_bias = self.use_bias.unwrap_or(true);
        let padding = self.padding.unwrap_or_default();
        let pool_size = self.pool_size.unwrap_or(Pair([2, 2])).0;
        let pool_strides = self.strides.map_or(pool_size, |pair| pair.0);
        Ok(match self.kind {
            LayerKind::Conv2D => Layer::Conv2D {
                filters: self.filters.ok_or_else(|| missing("filters", "32"))?,
                kernel_size: self
                    .kernel_size
                    .ok_or_else(|| missing("kernel_size", "3"))?
                    .0,
                strides: self.strides.map_or([1, 1], |pair| pair.0),
                padding,
                activation,
                use_bias,
            },
            LayerKind::MaxPooling2D => Layer::MaxPooling2D {
                pool_size,
                strides: pool_strides,
                padding,
            },
            LayerKind::AveragePooling2D => Layer::AveragePooling2D {
                pool_size,
                strides: pool_strides,
                padding,
            },
            LayerKind::Flatten => Layer::Flatten,
            LayerKind::Dense => Layer::Dense {
                units: self.units.ok_or_else(|| missing("units", "128"))?,
                activation,
                use_bias,
            },
            LayerKind::Dropout => {
                let rate = self.rate.ok_or_else(|| missing("rate", "0.5"))?;
                if !(0.0..1.0).contains(&rate) {
                    let place = ["model", "layers", layer_idx, "rate"];
                    return Err(Problem::at(&place, format!("{rate} is not in [0, 1)")));
                }
                Layer::Dropout { rate }
            }
            LayerKind::Activation => Layer::Activation {
                activation: self
                    .activation
                    .ok_or_else(|| missing("activation", "\"relu\""))?,
            },
        })
    }

    fn refuse_foreign_arguments(&self, layer_idx: &str) -> Result<(), Problem> {
        let Self {
            kind,
            name: _,
            filters,
            kernel_size,
            pool_size,
            strides,
            padding,
            units,
            activation,
            use_bias,
            rate,
        } = self;
        let given = [
            ("filters", filters.is_some()),
            ("kernel_size", kernel_size.is_some()),
            ("pool_size", pool_size.is_some()),
            ("strides", strides.is_some()),
            ("padding", padding.is_some()),
            ("units", units.is_some()),
            ("activation", activation.is_some()),
            ("use_bias", use_bias.is_some()),
            ("rate", rate.is_some()),
        ];
        let taken: &[&str] = match kind {
            LayerKind::Conv2D => &[
                "filters",
                "kernel_size",
                "strides",
                "padding",
                "activation",
                "use_bias",
            ],
            LayerKind::MaxPooling2D | LayerKind::AveragePooling2D => {
                &["pool_size", "strides", "padding"]
            }
            LayerKind::Flatten => &[],
            LayerKind::Dense => &["units", "activation", "use_bias"],
            LayerKind::Dropout => &["rate"],
            LayerKind::Activation => &["activation"],
        };
        for (argument, is_given) in given {
            if is_given && !taken.contains(&argument) {
                let problem = Problem::at(
                    &["model", "layers", layer_idx, argument],
                    format!("{kind:?} takes no `{argument}`"),
                );
                let takes = taken
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(", ");
                return Err(if taken.is_empty() {
                    problem
                } else {
                    problem.hint(format!("it takes {takes}"))
                });
            }
        }
        Ok(())
    }
}

/// Checks all layers and names those without a name as Keras does: `dense`, `dense_1`, ….
pub(super) fn named(tables: &[LayerTable]) -> Result<Vec<NamedLayer>, Problem> {
    let mut n_of_kind: BTreeMap<&str, usize> = BTreeMap::new();
    let mut layers: Vec<NamedLayer> = Vec::new();
    for (layer_idx, table) in tables.iter().enumerate() {
        let layer = table.layer(&layer_idx.to_string())?;
        let n_before = n_of_kind.entry(layer.default_name()).or_default();
        let default = match *n_before {
            0 => layer.default_name().to_owned(),
            n_before => format!("{}_{n_before}", layer.default_name()),
        };
        *n_before += 1;
        let name = table.name.clone().unwrap_or(default);
        let place = ["model", "layers", &layer_idx.to_string(), "name"];
        if layers.iter().any(|other| other.name == name) {
            return Err(Problem::at(
                &place,
                format!("two layers are called `{name}`"),
            ));
        }
        if !super::validate::is_plain_name(&name) {
            return Err(Problem::at(&place, format!("`{name}` is not a plain name"))
                .hint(super::validate::PLAIN_NAME));
        }
        layers.push(NamedLayer { name, layer });
    }
    Ok(layers)
}
