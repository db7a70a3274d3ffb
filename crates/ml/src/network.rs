//! A Sequential network over the kernels: layers and parameters in, outputs and gradients out.
//!
//! The step is planned here rather than by candle's autograd; `docs/adr/001-training-step-over-kernels.md` says why.
//! Layers that work image by image run in shards of rows; dense layers in blocks of inputs. Shards and blocks have
//! fixed sizes and are summed in a fixed order, so that results do not depend on the number of threads.

mod batch;
mod buffers;
mod fit;
mod mode;
mod ops;
mod plan;
mod rows;
mod step;
mod workspace;

use safetensors::SafeTensorError;
use trainyard_core::model::Preprocessing;
use trainyard_core::model::architecture::{
    self, Initializer, NamedLayer, ParameterSpec, ShapeError,
};

use crate::kernels::Buffer;
use crate::kernels::isa::with_avx2;
use crate::random::{Purpose, Stream};
pub use crate::weights::ReadTensorsError;
use crate::weights::{self, Floats, Tensors};
pub(crate) use batch::load;
pub use buffers::Workspace;
pub use mode::Mode;
pub use step::Targets;

/// A network and its parameters.
#[derive(Debug, Clone)]
pub struct Network {
    plan: plan::Plan,
    specs: Vec<ParameterSpec>,
    /// One buffer per parameter, in the order of `specs`.
    parameters: Vec<Buffer>,
    preprocessing: Vec<Preprocessing>,
}

/// Why a network cannot be made or filled.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// Layers do not fit together.
    #[error("layer {}: {source}", layer_idx + 1)]
    Shape {
        /// Index of the layer, from 0.
        layer_idx: usize,
        /// What does not fit.
        source: ShapeError,
    },
    /// A parameter is missing among the tensors, or has another shape.
    #[error("the tensor `{name}` is missing or is not of the shape {shape:?} in f32")]
    Parameter {
        /// Its name.
        name: String,
        /// The shape that it must have.
        shape: Vec<usize>,
    },
    /// A tensor belongs to no layer.
    #[error("there is a tensor `{name}`, but no layer has one of that name")]
    Stray {
        /// Its name.
        name: String,
    },
    /// The weights cannot be read.
    #[error("the weights are not a file of safetensors")]
    Format(#[from] ReadTensorsError),
    /// The weights cannot be written.
    #[error("the weights cannot be written as safetensors")]
    Write(#[from] SafeTensorError),
}

impl Network {
    /// A network with initial weights drawn by `seed`, as Keras's default initialisers draw them.
    ///
    /// X. Glorot, Y. Bengio (2010), AISTATS: uniform within `± sqrt(6 / (fan_in + fan_out))`.
    pub fn new(
        layers: &[NamedLayer],
        input_shape: &[usize],
        preprocessing: &[Preprocessing],
        seed: u64,
    ) -> Result<Self, NetworkError> {
        let mut network = Self::empty(layers, input_shape, preprocessing)?;
        for (idx, (spec, values)) in network
            .specs
            .iter()
            .zip(&mut network.parameters)
            .enumerate()
        {
            let limit = match spec.initializer {
                Initializer::GlorotUniform { fan_in, fan_out } => {
                    (6.0 / (fan_in + fan_out) as f64).sqrt() as f32
                }
                Initializer::Uniform => 0.05,
                Initializer::Zeros => continue,
                Initializer::Ones => {
                    values.fill(1.0);
                    continue;
                }
            };
            let mut stream = Stream::new(seed, Purpose::Weights, idx as u32);
            values
                .iter_mut()
                .for_each(|value| *value = (2.0 * stream.uniform() - 1.0) * limit);
        }
        Ok(network)
    }

    /// A network whose parameters are taken from `tensors`, by name.
    pub(crate) fn with_weights(
        layers: &[NamedLayer],
        input_shape: &[usize],
        preprocessing: &[Preprocessing],
        mut tensors: Tensors,
    ) -> Result<Self, NetworkError> {
        let mut network = Self::empty(layers, input_shape, preprocessing)?;
        let is_stray = |name: &&str| network.specs.iter().all(|spec| spec.name != **name);
        if let Some(name) = tensors.names().find(is_stray) {
            return Err(NetworkError::Stray {
                name: name.to_owned(),
            });
        }
        for (spec, own) in network.specs.iter().zip(&mut network.parameters) {
            let tensor = tensors.take(&spec.name);
            let tensor = tensor.filter(|tensor| tensor.shape == spec.shape);
            let values = tensor.and_then(|tensor| tensor.values);
            *own = values.ok_or_else(|| NetworkError::Parameter {
                name: spec.name.clone(),
                shape: spec.shape.clone(),
            })?;
        }
        Ok(network)
    }

    fn empty(
        layers: &[NamedLayer],
        input_shape: &[usize],
        preprocessing: &[Preprocessing],
    ) -> Result<Self, NetworkError> {
        let error = |(layer_idx, source)| NetworkError::Shape { layer_idx, source };
        let shapes = architecture::shapes(layers, input_shape).map_err(error)?;
        let (mut specs, mut n_parameters) = (Vec::new(), Vec::new());
        for (layer_idx, (layer, input)) in layers.iter().zip(&shapes).enumerate() {
            let own = layer
                .parameters(input)
                .map_err(|source| error((layer_idx, source)))?;
            n_parameters.push(own.len());
            specs.extend(own);
        }
        let parameters = specs
            .iter()
            .map(|spec| Buffer::zeros(spec.shape.iter().product()))
            .collect();
        let plan = plan::Plan::new(layers, &shapes, &n_parameters);
        Ok(Self {
            plan,
            specs,
            parameters,
            preprocessing: preprocessing.to_vec(),
        })
    }

    /// The parameters as the bytes of a file of safetensors, in Keras layout.
    pub fn weights(&self) -> Result<Vec<u8>, NetworkError> {
        let tensors = self.specs.iter().zip(&self.parameters);
        let tensors = tensors.map(|(spec, values)| {
            let tensor = Floats::new(spec.shape.clone(), values);
            (spec.name.clone(), tensor)
        });
        Ok(weights::serialise(tensors)?)
    }

    /// Number of trained values.
    pub fn n_parameters(&self) -> usize {
        let trained = self.specs.iter().zip(&self.parameters);
        trained
            .filter(|(spec, _)| spec.is_trainable)
            .map(|(_, values)| values.len())
            .sum()
    }

    /// The tensors, in the order of the parameters.
    pub fn specs(&self) -> &[ParameterSpec] {
        &self.specs
    }

    /// Values of one output row.
    pub const fn n_outputs(&self) -> usize {
        self.plan.n_outputs
    }

    /// Values of one input row.
    pub const fn n_inputs(&self) -> usize {
        self.plan.n_inputs
    }

    /// The parameter buffers, in the order of [`Network::specs`].
    pub fn parameters(&self) -> &[Buffer] {
        &self.parameters
    }

    /// The parameter buffers, for an optimiser.
    pub fn parameters_mut(&mut self) -> &mut [Buffer] {
        &mut self.parameters
    }

    /// Turns raw rows into what the first layer receives, in place.
    pub fn preprocess(&self, rows: &mut [f32]) {
        for step in &self.preprocessing {
            preprocess(step, rows);
        }
    }
}

with_avx2! {
    fn preprocess(step: &Preprocessing, rows: &mut [f32]) {
        step.apply(rows);
    }
}

#[cfg(test)]
mod tests;
