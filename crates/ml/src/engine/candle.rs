//! The second engine: forward pass, loss and gradients by candle's operations and autograd.
//!
//! Images are NHWC between layers, as in the kernels, and NCHW only within a convolution. Where candle's own gradient
//! is wrong or differs from Keras's, it is not asked: maximum pooling is an operation of ours, rectification a product
//! with a mask (candle 0.11.1 passes the gradient on where the value is exactly 0, as over blank patches), and
//! convolutions see only the cells that their windows cover (its gradient of the rest has the wrong shape where
//! height and width leave different remainders).

use candle_core::{CpuStorage, CustomOp1, D, Device, Layout, Shape, Tensor, Var};
use candle_nn::ops::{log_softmax, softmax};
use trainyard_core::metrics::argmax;
use trainyard_core::model::Loss;
use trainyard_core::model::architecture::{
    self, Activation, Conv, Layer, NamedLayer, Padding, Pooling, effective_window, same_padding,
};

use super::EngineError;
use crate::data::Labels;
use crate::kernels::Buffer;
use crate::kernels::loss::{BatchLoss, Objective};
use crate::kernels::pool::{self, Windows};
use crate::network::{Network, NetworkError, Targets};

type Result<T, E = candle_core::Error> = std::result::Result<T, E>;

/// A network's layers as candle runs them, and the buffers at the border.
#[derive(Debug)]
pub(crate) struct Candle {
    steps: Vec<Step>,
    row_shape: Vec<usize>,
    input: Buffer,
    gradients: Vec<Buffer>,
}

/// One layer, with its parameters' places among the network's.
#[derive(Debug)]
struct Step {
    op: Op,
    /// The activation, but for a softmax at the network's end, which the loss includes.
    activation: Function,
    kernel: Option<usize>,
    bias: Option<usize>,
}

#[derive(Debug)]
enum Op {
    Conv(Cover),
    MaxPool(Windows),
    Flatten,
    Dense,
}

/// The activations that this engine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Function {
    Linear,
    Relu,
    Softmax,
}

/// How the windows of a convolution lie on its input.
#[derive(Debug)]
struct Cover {
    stride: usize,
    dilation: usize,
    /// Zero rows above and below, zero columns left and right.
    padding: [(usize, usize); 2],
    /// Rows and columns, of the padded image, that lie under some window.
    covered: [usize; 2],
}

/// Whether candle runs these layers, with these arguments.
pub(super) fn check(layers: &[NamedLayer]) -> Result<(), EngineError> {
    layers.iter().try_for_each(|named| {
        let refuse = |what: String| {
            Err(EngineError::Unsupported {
                layer: named.name.clone(),
                what,
            })
        };
        if let Layer::Conv2D(conv) = &named.layer {
            let settings = [
                ("strides", conv.strides),
                ("dilation_rate", conv.dilation_rate),
            ];
            if let Some((key, [down, across])) = settings.into_iter().find(|(_, [a, b])| a != b) {
                return refuse(format!(
                    "it has only equal `{key}` down and across, not {down} and {across}"
                ));
            }
        }
        match (&named.layer, function(named.layer.activation())) {
            (
                Layer::Conv2D(_) | Layer::MaxPooling2D(_) | Layer::Flatten(_) | Layer::Dense(_),
                Some(_),
            ) => Ok(()),
            (Layer::Conv2D(_) | Layer::Dense(_), None) => {
                let name = format!("{:?}", named.layer.activation()).to_lowercase();
                refuse(format!("it does not have the activation `{name}`"))
            }
            _ => refuse(format!("it does not have {}", named.layer.type_name())),
        }
    })
}

const fn function(activation: Activation) -> Option<Function> {
    match activation {
        Activation::Linear => Some(Function::Linear),
        Activation::Relu => Some(Function::Relu),
        Activation::Softmax => Some(Function::Softmax),
        _ => None,
    }
}

impl Candle {
    pub(super) fn new(
        network: &Network,
        layers: &[NamedLayer],
        input_shape: &[usize],
        capacity: usize,
    ) -> Result<Self, EngineError> {
        check(layers)?;
        let shapes = architecture::shapes(layers, input_shape)
            .map_err(|(layer_idx, source)| NetworkError::Shape { layer_idx, source })?;
        let specs = network.specs().iter();
        let names: Vec<&str> = specs.map(|spec| spec.name.as_str()).collect();
        let steps = layers.iter().zip(shapes.windows(2)).enumerate();
        let steps = steps.filter_map(|(idx, (named, pair))| {
            let [input, output] = pair else { return None };
            let place = |part: &str| {
                let name = format!("{}/{part}", named.name);
                names.iter().position(|found| *found == name)
            };
            let joins_loss = idx + 1 == layers.len();
            Some(Step {
                op: op(&named.layer, input, output)?,
                activation: function(named.layer.activation())
                    .filter(|function| !(joins_loss && *function == Function::Softmax))
                    .unwrap_or(Function::Linear),
                kernel: place("kernel"),
                bias: place("bias"),
            })
        });
        Ok(Self {
            steps: steps.collect(),
            row_shape: input_shape.to_vec(),
            input: Buffer::zeros(capacity * network.n_inputs()),
            gradients: network.parameters().to_vec(),
        })
    }

    pub(super) fn input_mut(&mut self, n_rows: usize) -> &mut [f32] {
        let row_len: usize = self.row_shape.iter().product();
        &mut self.input[..n_rows * row_len]
    }

    /// The gradients that the last call of [`Candle::gradients`] left, in the order of the parameters.
    pub(super) fn parameter_gradients_mut(&mut self) -> &mut [Buffer] {
        &mut self.gradients
    }

    /// The loss of the rows in the input, and the gradient of its mean by every parameter.
    pub(super) fn gradients(
        &mut self,
        network: &Network,
        targets: &Targets,
        objective: &Objective,
    ) -> Result<BatchLoss, EngineError> {
        let variables = variables(network)?;
        let (mean, loss) = self.mean_loss(network, &variables, targets, objective)?;
        if !loss.loss_sum.is_finite() {
            return Ok(loss);
        }
        let found = mean.backward()?;
        for (variable, gradient) in variables.iter().zip(&mut self.gradients) {
            match found.get(variable) {
                Some(tensor) => {
                    let values: Vec<f32> = tensor.flatten_all()?.to_vec1()?;
                    gradient.copy_from_slice(&values);
                }
                None => gradient.fill(0.0),
            }
        }
        Ok(loss)
    }

    /// The loss of the rows in the input, without a gradient.
    pub(super) fn loss(
        &self,
        network: &Network,
        targets: &Targets,
        objective: &Objective,
    ) -> Result<BatchLoss, EngineError> {
        let variables = variables(network)?;
        Ok(self.mean_loss(network, &variables, targets, objective)?.1)
    }

    /// Index of the first layer whose weights (true), or else whose values for the rows in the input, are not finite.
    pub(super) fn first_not_finite(
        &self,
        network: &Network,
        n_rows: usize,
    ) -> Result<Option<(usize, bool)>, EngineError> {
        let is_bad = |values: &[f32]| values.iter().any(|value| !value.is_finite());
        let parameters = network.parameters();
        let is_spoilt = |step: &Step| {
            let own = step.kernel.into_iter().chain(step.bias);
            own.into_iter().any(|idx| is_bad(&parameters[idx]))
        };
        if let Some(layer_idx) = self.steps.iter().position(is_spoilt) {
            return Ok(Some((layer_idx, true)));
        }
        let variables = variables(network)?;
        let mut rows = self.rows(n_rows)?;
        for (layer_idx, step) in self.steps.iter().enumerate() {
            rows = step.forward(&rows, &variables)?;
            if is_bad(&rows.flatten_all()?.to_vec1::<f32>()?) {
                return Ok(Some((layer_idx, false)));
            }
        }
        Ok(None)
    }

    /// The mean loss as a tensor to go back from, and what the batch came to.
    fn mean_loss(
        &self,
        network: &Network,
        variables: &[Var],
        targets: &Targets,
        objective: &Objective,
    ) -> Result<(Tensor, BatchLoss)> {
        let n_rows = targets.labels.len();
        let mut values = self.rows(n_rows)?;
        for step in &self.steps {
            values = step.forward(&values, variables)?;
        }
        let (losses, n_right) = match &targets.labels {
            Labels::Class(labels) => of_classes(&values, labels, objective)?,
            Labels::Value(labels) => (of_values(&values, labels, objective)?, 0),
        };
        let losses = match &targets.weights {
            Some(weights) => losses.mul(&Tensor::from_slice(weights, n_rows, &Device::Cpu)?)?,
            None => losses,
        };
        let mut mean = (losses.sum_all()? / n_rows as f64)?;
        for (variable, spec) in variables.iter().zip(network.specs()) {
            let Some(regularizer) = spec.regularizer else {
                continue;
            };
            let variable = variable.as_tensor();
            let penalty = ((magnitude(variable)?.sum_all()? * regularizer.l1)?
                + (variable.sqr()?.sum_all()? * regularizer.l2)?)?;
            mean = (mean + penalty)?;
        }
        let loss_sum = f64::from(mean.to_scalar::<f32>()?) * n_rows as f64;
        Ok((mean, BatchLoss { loss_sum, n_right }))
    }

    /// The rows in the input as a tensor.
    fn rows(&self, n_rows: usize) -> Result<Tensor> {
        let row_len: usize = self.row_shape.iter().product();
        let shape = [&[n_rows], self.row_shape.as_slice()].concat();
        Tensor::from_slice(&self.input[..n_rows * row_len], shape, &Device::Cpu)
    }
}

fn variables(network: &Network) -> Result<Vec<Var>> {
    let parameters = network.specs().iter().zip(network.parameters());
    parameters
        .map(|(spec, values)| Var::from_slice(values, spec.shape.as_slice(), &Device::Cpu))
        .collect()
}

fn op(layer: &Layer, input: &[usize], output: &[usize]) -> Option<Op> {
    Some(match layer {
        Layer::Conv2D(conv) => Op::Conv(cover(conv, input, output)),
        Layer::MaxPooling2D(pooling) => Op::MaxPool(windows(pooling, input, output)),
        Layer::Flatten(_) => Op::Flatten,
        Layer::Dense(_) => Op::Dense,
        _ => return None,
    })
}

fn cover(conv: &Conv<2>, input: &[usize], output: &[usize]) -> Cover {
    let reach = effective_window(conv.kernel_size, conv.dilation_rate);
    let covered = [0, 1].map(|axis| (output[axis] - 1) * conv.strides[axis] + reach[axis]);
    let padding = [0, 1].map(|axis| match conv.padding {
        Padding::Valid => (0, 0),
        Padding::Same => same_padding(input[axis], reach[axis], conv.strides[axis]),
    });
    Cover {
        stride: conv.strides[0],
        dilation: conv.dilation_rate[0],
        padding,
        covered,
    }
}

fn windows(pooling: &Pooling<2>, input: &[usize], output: &[usize]) -> Windows {
    let before = |axis: usize| match pooling.padding {
        Padding::Valid => 0,
        Padding::Same => {
            same_padding(input[axis], pooling.pool_size[axis], pooling.strides[axis]).0
        }
    };
    Windows {
        input: [input[0], input[1]],
        channels: input[2],
        window: pooling.pool_size,
        strides: pooling.strides,
        dilation: [1, 1],
        padding: [before(0), before(1)],
        output: [output[0], output[1]],
    }
}

impl Step {
    fn forward(&self, rows: &Tensor, variables: &[Var]) -> Result<Tensor> {
        let parameter = |idx: Option<usize>| idx.map(|idx| variables[idx].as_tensor());
        let values = match (&self.op, parameter(self.kernel)) {
            (Op::Conv(cover), Some(kernel)) => cover.convolve(rows, kernel)?,
            (Op::Dense, Some(kernel)) => {
                // Over the last axis, whatever comes before it.
                let (n_inputs, n_units) = kernel.dims2()?;
                let mut shape = rows.dims().to_vec();
                shape.pop();
                shape.push(n_units);
                let flat = rows.contiguous()?.reshape(((), n_inputs))?;
                flat.matmul(kernel)?.reshape(shape)?
            }
            (Op::MaxPool(windows), _) => rows.contiguous()?.apply_op1(MaxPool(*windows))?,
            (Op::Flatten, _) => rows.flatten_from(1)?,
            (Op::Conv(_) | Op::Dense, None) => {
                unreachable!("a convolution and a dense layer have a kernel")
            }
        };
        let values = match parameter(self.bias) {
            Some(bias) => values.broadcast_add(bias)?,
            None => values,
        };
        match self.activation {
            Function::Linear => Ok(values),
            Function::Relu => {
                let is_positive = values.gt(0.0)?.to_dtype(values.dtype())?.detach();
                values.mul(&is_positive)
            }
            Function::Softmax => softmax(&values, D::Minus1),
        }
    }
}

impl Cover {
    /// NHWC images and an HWIO kernel in, NHWC images out.
    fn convolve(&self, images: &Tensor, kernel: &Tensor) -> Result<Tensor> {
        let mut images = images.clone();
        for (axis, &(before, after)) in self.padding.iter().enumerate() {
            images = images.pad_with_zeros(axis + 1, before, after)?;
            images = images.narrow(axis + 1, 0, self.covered[axis])?;
        }
        let images = images.permute((0, 3, 1, 2))?.contiguous()?;
        let kernel = kernel.permute((3, 2, 0, 1))?.contiguous()?;
        images
            .conv2d(&kernel, 0, self.stride, self.dilation, 1)?
            .permute((0, 2, 3, 1))?
            .contiguous()
    }
}

/// Maximum pooling of NHWC images by the kernels, forward and backward.
struct MaxPool(Windows);

impl MaxPool {
    /// The maxima and their places.
    fn maxima(&self, images: &[f32]) -> (Vec<f32>, Vec<u32>) {
        let Windows { channels, .. } = self.0;
        let n_images = images.len() / self.0.input_len().max(1);
        let len = n_images * self.0.n_windows() * channels;
        let (mut maxima, mut places) = (vec![0.0; len], vec![0; len]);
        pool::max_forward(&self.0, images, &mut maxima, &mut places);
        (maxima, places)
    }
}

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "trainyard-max-pooling"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            candle_core::bail!("maximum pooling takes contiguous 32-bit floats");
        };
        let (maxima, _) = self.maxima(&values[start..end]);
        let n_images = layout.dims().first().copied().unwrap_or(0);
        let [height, width] = self.0.output;
        let shape = Shape::from((n_images, height, width, self.0.channels));
        Ok((CpuStorage::F32(maxima), shape))
    }

    fn bwd(&self, images: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let values: Vec<f32> = images.flatten_all()?.to_vec1()?;
        let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
        // Found again rather than kept: an operation has no room of its own.
        let (_, places) = self.maxima(&values);
        let mut input_gradient = vec![0.0; values.len()];
        pool::max_backward(&self.0, &places, &gradient, &mut input_gradient);
        Tensor::from_vec(input_gradient, images.shape(), images.device()).map(Some)
    }
}

/// `|x|`, whose gradient at 0 is 0; candle's own is 1 there.
fn magnitude(values: &Tensor) -> Result<Tensor> {
    values.mul(&sign(values)?)
}

/// 1, 0 or -1, as a constant.
fn sign(values: &Tensor) -> Result<Tensor> {
    let is_positive = values.gt(0.0)?.to_dtype(values.dtype())?;
    let is_negative = values.lt(0.0)?.to_dtype(values.dtype())?;
    Ok((is_positive - is_negative)?.detach())
}

/// The loss of each row by its logits `[n, n_classes]`, and how many rows are right.
fn of_classes(logits: &Tensor, labels: &[u32], objective: &Objective) -> Result<(Tensor, usize)> {
    let (n_rows, n_classes) = logits.dims2()?;
    let smoothing = match objective.loss {
        Loss::CategoricalCrossentropy => objective.label_smoothing as f32,
        _ => 0.0,
    };
    let spread = smoothing / n_classes as f32;
    let mut wanted = vec![spread; n_rows * n_classes];
    for (row, &label) in wanted.chunks_exact_mut(n_classes).zip(labels) {
        row[label as usize] += 1.0 - smoothing;
    }
    let wanted = Tensor::from_vec(wanted, (n_rows, n_classes), logits.device())?;
    let losses = log_softmax(logits, D::Minus1)?
        .mul(&wanted)?
        .sum(1)?
        .neg()?;
    let values: Vec<f32> = logits.flatten_all()?.to_vec1()?;
    let rows = values.chunks_exact(n_classes).zip(labels);
    let n_right = rows.filter(|(row, label)| argmax(row) == **label as usize);
    Ok((losses, n_right.count()))
}

/// The loss of each row by its prediction `[n, 1]`.
fn of_values(predictions: &Tensor, labels: &[f64], objective: &Objective) -> Result<Tensor> {
    let labels: Vec<f32> = labels.iter().map(|label| *label as f32).collect();
    let labels = Tensor::from_vec(labels, predictions.elem_count(), predictions.device())?;
    let errors = predictions.flatten_all()?.sub(&labels)?;
    match objective.loss {
        Loss::MeanAbsoluteError => magnitude(&errors),
        Loss::Huber => {
            let delta = objective.huber_delta;
            let size = magnitude(&errors)?;
            let squared = (errors.sqr()? * 0.5)?;
            let linear = ((&size - 0.5 * delta)? * delta)?;
            size.gt(delta)?.where_cond(&linear, &squared)
        }
        _ => errors.sqr(),
    }
}
