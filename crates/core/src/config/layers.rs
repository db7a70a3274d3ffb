//! `[[model.layers]]`: a table with Keras's arguments in, a [`NamedLayer`] out.
//!
//! One flat table rather than an enum, because serde loses the line of an error inside tagged enums.

mod input;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Problem;
use crate::model::architecture::{
    Activation, Conv, Dense, DepthwiseConv2D, Layer, NamedLayer, Padding, Pooling, Regularizer,
};
pub use input::{PaddingInput, Pair, ScaleInput};

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
    /// Conv1D, Conv2D: number of output channels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<usize>,
    /// Convolutions: height and width of the window, or one number for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_size: Option<Pair>,
    /// Pooling: height and width of the window, or one number for both; 2 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool_size: Option<Pair>,
    /// Steps down and across, or one number for both; 1 for convolutions and `pool_size` for pooling when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strides: Option<Pair>,
    /// Convolutions and pooling: `"valid"` (the default) or `"same"`. ZeroPadding2D: rows and columns of zeros, as `1`, `[1, 2]` or `[[1, 1], [2, 2]]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding: Option<PaddingInput>,
    /// Convolutions: distance of the values under a window; 1 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dilation_rate: Option<Pair>,
    /// DepthwiseConv2D: output channels for each input channel; 1 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth_multiplier: Option<usize>,
    /// Dense: number of outputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<usize>,
    /// Convolutions, Dense, Activation: the activation function; `linear` when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// Convolutions, Dense: whether a bias is added; true when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub use_bias: Option<bool>,
    /// Convolutions, Dense: penalty on the kernel, as `{ l2 = 0.0001 }`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel_regularizer: Option<Regularizer>,
    /// Convolutions, Dense: penalty on the bias.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias_regularizer: Option<Regularizer>,
    /// Embedding: number of indices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_dim: Option<usize>,
    /// Embedding: length of a vector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_dim: Option<usize>,
    /// BatchNormalization: share of the moving averages that a step keeps; 0.99 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// BatchNormalization, LayerNormalization: added to the variance; 0.001 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// BatchNormalization, LayerNormalization: whether a learnt offset is added; true when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub center: Option<bool>,
    /// BatchNormalization, LayerNormalization: whether a learnt factor is applied; true when not given. Rescaling: the factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScaleInput>,
    /// Rescaling: the offset; 0 when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<f64>,
    /// Dropout: share of values set to zero, in [0, 1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Reshape: the new axes; one may be -1, for what is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_shape: Option<Vec<i64>>,
}

/// A type of layer, by Keras's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LayerKind {
    /// Convolution over steps.
    Conv1D,
    /// Convolution over images.
    Conv2D,
    /// Convolution of each channel on its own.
    DepthwiseConv2D,
    /// The largest value of each window of steps.
    MaxPooling1D,
    /// The largest value of each window.
    MaxPooling2D,
    /// The mean of each window of steps.
    AveragePooling1D,
    /// The mean of each window.
    AveragePooling2D,
    /// The largest value of each channel.
    GlobalMaxPooling1D,
    /// The largest value of each channel.
    GlobalMaxPooling2D,
    /// The mean of each channel.
    GlobalAveragePooling1D,
    /// The mean of each channel.
    GlobalAveragePooling2D,
    /// Fully connected.
    Dense,
    /// A vector for each index.
    Embedding,
    /// Normalisation over the batch.
    BatchNormalization,
    /// Normalisation over the last axis.
    LayerNormalization,
    /// Normalisation by figures of the training data.
    Normalization,
    /// A factor and an offset.
    Rescaling,
    /// Random zeroes in training.
    Dropout,
    /// An activation function on its own.
    Activation,
    /// All axes joined into one.
    Flatten,
    /// Another shape for the same values.
    Reshape,
    /// A frame of zeros.
    ZeroPadding2D,
}

impl LayerTable {
    /// Every argument of any type.
    pub(super) const KEYS: [&str; 21] = [
        "filters",
        "kernel_size",
        "pool_size",
        "strides",
        "padding",
        "dilation_rate",
        "depth_multiplier",
        "units",
        "activation",
        "use_bias",
        "kernel_regularizer",
        "bias_regularizer",
        "input_dim",
        "output_dim",
        "momentum",
        "epsilon",
        "center",
        "scale",
        "offset",
        "rate",
        "target_shape",
    ];

    /// Checks that exactly the arguments of this type are there, and fills in Keras's defaults.
    pub(super) fn layer(&self, layer_idx: &str) -> Result<Layer, Problem> {
        self.refuse_foreign_arguments(layer_idx)?;
        let place = ["model", "layers", layer_idx];
        let missing = |argument: &str, example: &str| {
            Problem::at(&place, format!("{:?} needs `{argument}`", self.kind))
                .hint(format!("add `{argument} = {example}`"))
        };
        let wrong = |argument: &str, problem: &str| {
            Problem::at(&["model", "layers", layer_idx, argument], problem)
        };
        let filters = || self.filters.ok_or_else(|| missing("filters", "32"));
        let kernel_size = || self.kernel_size.ok_or_else(|| missing("kernel_size", "3"));
        let one = |pair: Option<Pair>, argument: &str| match pair.map_or([1, 1], |pair| pair.0) {
            [first, second] if first == second => Ok([first]),
            _ => Err(wrong(argument, "a layer over steps takes one number here")),
        };
        let activation = self.activation.unwrap_or_default();
        let use_bias = self.use_bias.unwrap_or(true);
        let pair = |pair: Option<Pair>| pair.map_or([1, 1], |pair| pair.0);
        let pool_size = self.pool_size.unwrap_or(Pair([2, 2]));
        let pool_strides = self.strides.unwrap_or(pool_size);
        let padding = match self.padding {
            None => Padding::Valid,
            Some(PaddingInput::Windows(padding)) => padding,
            Some(PaddingInput::Frame(_)) if self.kind == LayerKind::ZeroPadding2D => Padding::Valid,
            Some(PaddingInput::Frame(_)) => {
                return Err(wrong("padding", "must be `\"valid\"` or `\"same\"`"));
            }
        };
        let (kernel_regularizer, bias_regularizer) =
            (self.kernel_regularizer, self.bias_regularizer);
        for (argument, regularizer) in [
            ("kernel_regularizer", kernel_regularizer),
            ("bias_regularizer", bias_regularizer),
        ] {
            let Regularizer { l1, l2 } = regularizer.unwrap_or_default();
            if !(l1 >= 0.0 && l2 >= 0.0 && (l1 + l2).is_finite()) {
                return Err(wrong(argument, "penalties are finite and not negative"));
            }
        }
        let learnt_scale = || match self.scale {
            None => Ok(true),
            Some(ScaleInput::Learnt(is_learnt)) => Ok(is_learnt),
            Some(ScaleInput::Factor(_)) => Err(wrong("scale", "must be `true` or `false`")),
        };
        let epsilon = self.epsilon.unwrap_or(1e-3);
        if !(epsilon > 0.0 && epsilon.is_finite()) {
            return Err(wrong("epsilon", "must be above 0"));
        }
        let center = self.center.unwrap_or(true);
        Ok(match self.kind {
            LayerKind::Conv1D => Layer::Conv1D(Conv {
                filters: filters()?,
                kernel_size: one(Some(kernel_size()?), "kernel_size")?,
                strides: one(self.strides, "strides")?,
                padding,
                dilation_rate: one(self.dilation_rate, "dilation_rate")?,
                activation,
                use_bias,
                kernel_regularizer,
                bias_regularizer,
            }),
            LayerKind::Conv2D => Layer::Conv2D(Conv {
                filters: filters()?,
                kernel_size: kernel_size()?.0,
                strides: pair(self.strides),
                padding,
                dilation_rate: pair(self.dilation_rate),
                activation,
                use_bias,
                kernel_regularizer,
                bias_regularizer,
            }),
            LayerKind::DepthwiseConv2D => Layer::DepthwiseConv2D(DepthwiseConv2D {
                kernel_size: kernel_size()?.0,
                strides: pair(self.strides),
                padding,
                dilation_rate: pair(self.dilation_rate),
                depth_multiplier: self.depth_multiplier.unwrap_or(1),
                activation,
                use_bias,
                kernel_regularizer,
                bias_regularizer,
            }),
            LayerKind::MaxPooling1D | LayerKind::AveragePooling1D => {
                let pooling = Pooling {
                    pool_size: one(Some(pool_size), "pool_size")?,
                    strides: one(Some(pool_strides), "strides")?,
                    padding,
                };
                match self.kind {
                    LayerKind::MaxPooling1D => Layer::MaxPooling1D(pooling),
                    _ => Layer::AveragePooling1D(pooling),
                }
            }
            LayerKind::MaxPooling2D | LayerKind::AveragePooling2D => {
                let pooling = Pooling {
                    pool_size: pool_size.0,
                    strides: pool_strides.0,
                    padding,
                };
                match self.kind {
                    LayerKind::MaxPooling2D => Layer::MaxPooling2D(pooling),
                    _ => Layer::AveragePooling2D(pooling),
                }
            }
            LayerKind::GlobalMaxPooling1D => Layer::GlobalMaxPooling1D,
            LayerKind::GlobalMaxPooling2D => Layer::GlobalMaxPooling2D,
            LayerKind::GlobalAveragePooling1D => Layer::GlobalAveragePooling1D,
            LayerKind::GlobalAveragePooling2D => Layer::GlobalAveragePooling2D,
            LayerKind::Dense => Layer::Dense(Dense {
                units: self.units.ok_or_else(|| missing("units", "128"))?,
                activation,
                use_bias,
                kernel_regularizer,
                bias_regularizer,
            }),
            LayerKind::Embedding => {
                if layer_idx != "0" {
                    return Err(Problem::at(&place, "Embedding must be the first layer"));
                }
                Layer::Embedding {
                    input_dim: self
                        .input_dim
                        .ok_or_else(|| missing("input_dim", "10000"))?,
                    output_dim: self.output_dim.ok_or_else(|| missing("output_dim", "64"))?,
                }
            }
            LayerKind::BatchNormalization => {
                let momentum = self.momentum.unwrap_or(0.99);
                if !(0.0..1.0).contains(&momentum) {
                    return Err(wrong("momentum", "must be in [0, 1)"));
                }
                Layer::BatchNormalization {
                    momentum,
                    epsilon,
                    center,
                    scale: learnt_scale()?,
                }
            }
            LayerKind::LayerNormalization => Layer::LayerNormalization {
                epsilon,
                center,
                scale: learnt_scale()?,
            },
            LayerKind::Normalization => Layer::Normalization,
            LayerKind::Rescaling => {
                let offset = self.offset.unwrap_or(0.0);
                match self.scale {
                    Some(ScaleInput::Factor(scale)) if scale.is_finite() && offset.is_finite() => {
                        Layer::Rescaling { scale, offset }
                    }
                    None => return Err(missing("scale", "0.00392156862745098")),
                    Some(_) => return Err(wrong("scale", "must be a finite number")),
                }
            }
            LayerKind::Dropout => {
                let rate = self.rate.ok_or_else(|| missing("rate", "0.5"))?;
                if !(0.0..1.0).contains(&rate) {
                    return Err(wrong("rate", &format!("{rate} is not in [0, 1)")));
                }
                Layer::Dropout { rate }
            }
            LayerKind::Activation => Layer::Activation {
                activation: self
                    .activation
                    .ok_or_else(|| missing("activation", "\"relu\""))?,
            },
            LayerKind::Flatten => Layer::Flatten,
            LayerKind::Reshape => Layer::Reshape {
                target_shape: self
                    .target_shape
                    .clone()
                    .ok_or_else(|| missing("target_shape", "[-1]"))?,
            },
            LayerKind::ZeroPadding2D => match self.padding {
                None => Layer::ZeroPadding2D {
                    padding: [[1, 1], [1, 1]],
                },
                Some(PaddingInput::Frame(padding)) => Layer::ZeroPadding2D { padding },
                Some(PaddingInput::Windows(_)) => {
                    return Err(wrong(
                        "padding",
                        "must be a number of rows and columns of zeros",
                    ));
                }
            },
        })
    }

    fn refuse_foreign_arguments(&self, layer_idx: &str) -> Result<(), Problem> {
        const CONV: &[&str] = &[
            "filters",
            "kernel_size",
            "strides",
            "padding",
            "dilation_rate",
            "activation",
            "use_bias",
            "kernel_regularizer",
            "bias_regularizer",
        ];
        const DEPTHWISE: &[&str] = &[
            "kernel_size",
            "strides",
            "padding",
            "dilation_rate",
            "depth_multiplier",
            "activation",
            "use_bias",
            "kernel_regularizer",
            "bias_regularizer",
        ];
        const POOL: &[&str] = &["pool_size", "strides", "padding"];
        const DENSE: &[&str] = &[
            "units",
            "activation",
            "use_bias",
            "kernel_regularizer",
            "bias_regularizer",
        ];
        let Self {
            kind,
            name: _,
            filters,
            kernel_size,
            pool_size,
            strides,
            padding,
            dilation_rate,
            depth_multiplier,
            units,
            activation,
            use_bias,
            kernel_regularizer,
            bias_regularizer,
            input_dim,
            output_dim,
            momentum,
            epsilon,
            center,
            scale,
            offset,
            rate,
            target_shape,
        } = self;
        let given = [
            ("filters", filters.is_some()),
            ("kernel_size", kernel_size.is_some()),
            ("pool_size", pool_size.is_some()),
            ("strides", strides.is_some()),
            ("padding", padding.is_some()),
            ("dilation_rate", dilation_rate.is_some()),
            ("depth_multiplier", depth_multiplier.is_some()),
            ("units", units.is_some()),
            ("activation", activation.is_some()),
            ("use_bias", use_bias.is_some()),
            ("kernel_regularizer", kernel_regularizer.is_some()),
            ("bias_regularizer", bias_regularizer.is_some()),
            ("input_dim", input_dim.is_some()),
            ("output_dim", output_dim.is_some()),
            ("momentum", momentum.is_some()),
            ("epsilon", epsilon.is_some()),
            ("center", center.is_some()),
            ("scale", scale.is_some()),
            ("offset", offset.is_some()),
            ("rate", rate.is_some()),
            ("target_shape", target_shape.is_some()),
        ];
        let taken: &[&str] = match kind {
            LayerKind::Conv1D | LayerKind::Conv2D => CONV,
            LayerKind::DepthwiseConv2D => DEPTHWISE,
            LayerKind::MaxPooling1D
            | LayerKind::MaxPooling2D
            | LayerKind::AveragePooling1D
            | LayerKind::AveragePooling2D => POOL,
            LayerKind::GlobalMaxPooling1D
            | LayerKind::GlobalMaxPooling2D
            | LayerKind::GlobalAveragePooling1D
            | LayerKind::GlobalAveragePooling2D
            | LayerKind::Normalization
            | LayerKind::Flatten => &[],
            LayerKind::Dense => DENSE,
            LayerKind::Embedding => &["input_dim", "output_dim"],
            LayerKind::BatchNormalization => &["momentum", "epsilon", "center", "scale"],
            LayerKind::LayerNormalization => &["epsilon", "center", "scale"],
            LayerKind::Rescaling => &["scale", "offset"],
            LayerKind::Dropout => &["rate"],
            LayerKind::Activation => &["activation"],
            LayerKind::Reshape => &["target_shape"],
            LayerKind::ZeroPadding2D => &["padding"],
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
