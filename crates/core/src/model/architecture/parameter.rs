//! The tensors of a layer: names, shapes in Keras layout, how they begin and whether they are trained.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argument::ArgumentError;
use super::shape::{Misfit, n_values};

/// One tensor of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterSpec {
    /// `<layer>/kernel`, `<layer>/bias`, ….
    pub name: String,
    /// Keras layout: convolution kernels HWIO, dense kernels in x out.
    pub shape: Vec<usize>,
    /// What it holds before training.
    pub initializer: Initializer,
    /// Whether an optimiser changes it.
    pub is_trainable: bool,
    /// Penalty on its size.
    pub regularizer: Option<Regularizer>,
}

/// What a tensor holds before training: Keras's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initializer {
    /// Uniform within `± sqrt(6 / (fan_in + fan_out))`.
    GlorotUniform {
        /// Number of inputs that feed one output.
        fan_in: usize,
        /// Number of outputs that one input feeds.
        fan_out: usize,
    },
    /// Uniform within `± 0.05`.
    Uniform,
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
}

/// A regulariser: the penalty `l1 * sum(|w|) + l2 * sum(w^2)` is added to the loss.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Regularizer {
    /// L1 regularisation factor.
    pub l1: f64,
    /// L2 regularisation factor.
    pub l2: f64,
}

/// Checks the penalties on a kernel and a bias.
pub(super) fn check_regularizers(
    [kernel, bias]: [Option<Regularizer>; 2],
) -> Result<(), ArgumentError> {
    for (argument, regularizer) in [("kernel_regularizer", kernel), ("bias_regularizer", bias)] {
        let Regularizer { l1, l2 } = regularizer.unwrap_or_default();
        if !(l1 >= 0.0 && l2 >= 0.0 && (l1 + l2).is_finite()) {
            let problem = "penalties are finite and not negative";
            return Err(ArgumentError::new(argument, problem));
        }
    }
    Ok(())
}

/// A tensor before it belongs to a named layer.
#[derive(Debug)]
pub(super) struct Parameter {
    name: &'static str,
    shape: Vec<usize>,
    initializer: Initializer,
    is_trainable: bool,
    regularizer: Option<Regularizer>,
}

impl Parameter {
    pub(super) fn new(name: &'static str, shape: Vec<usize>, initializer: Initializer) -> Self {
        Self {
            name,
            shape,
            initializer,
            is_trainable: true,
            regularizer: None,
        }
    }

    fn with(mut self, regularizer: Option<Regularizer>) -> Self {
        self.regularizer = regularizer;
        self
    }

    /// Not changed by an optimiser.
    pub(super) fn fixed(mut self) -> Self {
        self.is_trainable = false;
        self
    }

    pub(super) fn named(self, layer: &str) -> ParameterSpec {
        ParameterSpec {
            name: format!("{layer}/{}", self.name),
            shape: self.shape,
            initializer: self.initializer,
            is_trainable: self.is_trainable,
            regularizer: self.regularizer,
        }
    }
}

/// A kernel of the shape `window` x `fan`, drawn after Glorot, and a bias for `n_outputs`.
pub(super) fn kernel_and_bias(
    window: &[usize],
    fan: [usize; 2],
    n_outputs: usize,
    use_bias: bool,
    regularizers: [Option<Regularizer>; 2],
) -> Result<Vec<Parameter>, Misfit> {
    let shape = [window, &fan].concat();
    n_values(&shape)?;
    let n_cells: usize = window.iter().product();
    let [fan_in, fan_out] = fan.map(|fan| fan * n_cells);
    let glorot = Initializer::GlorotUniform { fan_in, fan_out };
    let kernel = Parameter::new("kernel", shape, glorot).with(regularizers[0]);
    let bias = use_bias
        .then(|| Parameter::new("bias", vec![n_outputs], Initializer::Zeros).with(regularizers[1]));
    Ok([kernel].into_iter().chain(bias).collect())
}
