use candle_core::{Device, Tensor, Var};
use trainyard_core::model::Loss;
use trainyard_core::model::architecture::{
    Activation, ActivationLayer, BatchNormalization, Conv, Dense, DepthwiseConv2D, Dropout,
    Embedding, Flatten, GlobalPooling, Interpolation, Layer, LayerNormalization, LeakyReLU,
    NamedLayer, Padding, Pooling, Regularizer, Rescaling, Reshape, UpSampling2D, ZeroPadding2D,
};

use super::*;
use crate::data::Labels;
use crate::kernels::loss::Objective;
use crate::kernels::{finite_differences, noise};
use crate::threads::Threads;

fn layers(layers: Vec<Layer>) -> Vec<NamedLayer> {
    layers
        .into_iter()
        .enumerate()
        .map(|(idx, layer)| NamedLayer {
            name: format!("{}_{idx}", layer.default_name()),
            layer,
        })
        .collect()
}

const L2: Option<Regularizer> = Some(Regularizer { l1: 0.01, l2: 0.02 });

fn convolution(
    filters: usize,
    padding: Padding,
    strides: usize,
    activation: Activation,
) -> Conv<2> {
    Conv {
        filters,
        kernel_size: [3, 3],
        strides: [strides, strides],
        padding,
        dilation_rate: [1, 1],
        activation,
        use_bias: true,
        kernel_regularizer: None,
        bias_regularizer: None,
    }
}

fn conv(filters: usize, padding: Padding, strides: usize) -> Layer {
    Layer::Conv2D(convolution(filters, padding, strides, Activation::Tanh))
}

fn dense(units: usize, activation: Activation) -> Layer {
    Layer::Dense(Dense {
        units,
        activation,
        use_bias: true,
        kernel_regularizer: None,
        bias_regularizer: None,
    })
}

fn pooling(size: usize, padding: Padding) -> Pooling<2> {
    Pooling {
        pool_size: [size, size],
        strides: [2, 2],
        padding,
    }
}

fn objective(labels: &Labels) -> Objective {
    Objective {
        loss: match labels {
            Labels::Class(_) => Loss::SparseCategoricalCrossentropy,
            Labels::Value(_) => Loss::MeanSquaredError,
        },
        label_smoothing: 0.0,
        huber_delta: 1.0,
    }
}

fn loss(
    network: &Network,
    rows: &[f32],
    labels: &Labels,
    mode: Mode,
    threads: &Threads,
) -> (f64, Vec<Buffer>) {
    let n_rows = labels.len();
    let mut workspace = Workspace::for_training(network, n_rows + 3);
    workspace.input_mut(n_rows).copy_from_slice(rows);
    let targets = Targets {
        labels: labels.clone(),
        weights: None,
    };
    let loss = network.gradients(&mut workspace, &targets, &objective(labels), mode, threads);
    (
        loss.loss_sum / n_rows as f64,
        workspace.parameter_gradients().to_vec(),
    )
}

/// Networks in which every layer and both losses occur, with the shape of a row.
fn networks() -> Vec<(Vec<usize>, Vec<Layer>)> {
    let classes = dense(3, Activation::Softmax);
    let activations = [
        Activation::LeakyRelu,
        Activation::Elu,
        Activation::Selu,
        Activation::Gelu,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Softplus,
        Activation::Softmax,
    ];
    let dilated = Conv {
        dilation_rate: [2, 1],
        kernel_regularizer: L2,
        ..convolution(3, Padding::Same, 1, Activation::Gelu)
    };
    let depthwise = DepthwiseConv2D {
        kernel_size: [2, 3],
        strides: [1, 1],
        padding: Padding::Same,
        dilation_rate: [1, 1],
        depth_multiplier: 2,
        activation: Activation::Elu,
        use_bias: true,
        kernel_regularizer: None,
        bias_regularizer: None,
    };
    let over_steps = Conv {
        filters: 4,
        kernel_size: [3],
        strides: [1],
        padding: Padding::Same,
        dilation_rate: [2],
        activation: Activation::Tanh,
        use_bias: false,
        kernel_regularizer: None,
        bias_regularizer: None,
    };
    let batch_norm = |scale| {
        Layer::BatchNormalization(BatchNormalization {
            momentum: 0.9,
            epsilon: 1e-3,
            center: true,
            scale,
        })
    };
    let layer_norm = Layer::LayerNormalization(LayerNormalization {
        epsilon: 1e-3,
        center: true,
        scale: true,
    });
    let pool_steps = Pooling {
        pool_size: [2],
        strides: [2],
        padding: Padding::Valid,
    };
    vec![
        (
            vec![6, 5, 2],
            vec![
                conv(3, Padding::Same, 2),
                Layer::UpSampling2D(UpSampling2D {
                    size: [2, 3],
                    interpolation: Interpolation::Nearest,
                }),
                Layer::AveragePooling2D(pooling(2, Padding::Same)),
                Layer::Flatten(Flatten {}),
                dense(5, Activation::Tanh),
                classes.clone(),
            ],
        ),
        (
            vec![4],
            vec![
                dense(6, Activation::Linear),
                Layer::LeakyReLU(LeakyReLU {
                    negative_slope: 0.3,
                }),
                dense(5, Activation::Linear),
                Layer::Dropout(Dropout { rate: 0.3 }),
                dense(1, Activation::Linear),
            ],
        ),
        (
            vec![7, 6, 2],
            vec![
                Layer::ZeroPadding2D(ZeroPadding2D {
                    padding: [[1, 0], [2, 1]],
                }),
                Layer::Conv2D(dilated),
                batch_norm(true),
                Layer::DepthwiseConv2D(depthwise),
                Layer::AveragePooling2D(pooling(3, Padding::Same)),
                batch_norm(false),
                Layer::GlobalAveragePooling2D(GlobalPooling {}),
                classes.clone(),
            ],
        ),
        (
            vec![8, 3],
            vec![
                Layer::Rescaling(Rescaling {
                    scale: 0.7,
                    offset: 0.1,
                }),
                Layer::Conv1D(over_steps),
                layer_norm,
                Layer::AveragePooling1D(pool_steps.clone()),
                Layer::MaxPooling1D(pool_steps),
                Layer::Reshape(Reshape {
                    target_shape: vec![-1],
                }),
                classes.clone(),
            ],
        ),
        (
            vec![4],
            activations
                .into_iter()
                .flat_map(|activation| {
                    [
                        dense(4, Activation::Linear),
                        Layer::Activation(ActivationLayer { activation }),
                    ]
                })
                .chain([Layer::Dense(Dense {
                    units: 1,
                    activation: Activation::Sigmoid,
                    use_bias: true,
                    kernel_regularizer: L2,
                    bias_regularizer: L2,
                })])
                .collect(),
        ),
        (
            vec![5],
            vec![
                Layer::Embedding(Embedding {
                    input_dim: 7,
                    output_dim: 3,
                }),
                Layer::GlobalAveragePooling1D(GlobalPooling {}),
                dense(4, Activation::Silu),
                classes,
            ],
        ),
    ]
}

#[test]
fn gradients_of_whole_networks_match_finite_differences() {
    for (input_shape, list) in networks() {
        let what = format!("{list:?}");
        let is_indices = matches!(list[0], Layer::Embedding(_));
        let is_class = matches!(list.last(), Some(Layer::Dense(dense)) if dense.units == 3);
        let mut network = Network::new(&layers(list), &input_shape, &[], 5).unwrap();
        // Gammas of exactly 1 would hide mistakes.
        for (idx, values) in network.parameters_mut().iter_mut().enumerate() {
            let noise = noise(values.len(), 90 + idx as u64);
            values
                .iter_mut()
                .zip(noise)
                .for_each(|(value, noise)| *value += 0.2 * noise.abs());
        }
        let n_rows = 19;
        let mut rows = noise(n_rows * network.n_inputs(), 21);
        if is_indices {
            rows.iter_mut()
                .for_each(|value| *value = (value.abs() * 6.99).floor());
        }
        let labels = if is_class {
            Labels::Class((0..n_rows as u32).map(|row| row % 3).collect())
        } else {
            Labels::Value((0..n_rows).map(|row| row as f64 * 0.1 - 0.3).collect())
        };
        let mode = Mode::Train { seed: 9, step: 4 };
        let threads = Threads::single();
        let (_, gradients) = loss(&network, &rows, &labels, mode, &threads);
        for (idx, found) in gradients
            .iter()
            .enumerate()
            .filter(|(_, found)| !found.is_empty())
        {
            let at = network.parameters[idx].clone();
            let expected = finite_differences(&at, |values| {
                let mut network = network.clone();
                network.parameters[idx].copy_from_slice(values);
                loss(&network, &rows, &labels, mode, &threads).0
            });
            // As a whole: a finite step may change which value of a window is the largest.
            let norm = |values: &mut dyn Iterator<Item = f64>| {
                values.map(|value| value * value).sum::<f64>().sqrt()
            };
            let mut errors = found
                .iter()
                .zip(&expected)
                .map(|(found, expected)| f64::from(*found) - expected);
            assert!(
                norm(&mut errors) < 3e-3 + 0.04 * norm(&mut expected.iter().copied()),
                "{what}, {}: {:?} is not {expected:?}",
                network.specs[idx].name,
                found
            );
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let max = Layer::MaxPooling2D(pooling(2, Padding::Valid));
    let relu = Layer::Conv2D(convolution(4, Padding::Valid, 1, Activation::Relu));
    let network_layers = layers(vec![
        relu,
        max,
        Layer::Flatten(Flatten {}),
        dense(64, Activation::Relu),
        dense(10, Activation::Softmax),
    ]);
    let network = Network::new(&network_layers, &[28, 28, 1], &[], 1).unwrap();
    let (rows, labels) = (
        noise(100 * 784, 2),
        Labels::Class((0..100).map(|row| row % 10).collect()),
    );
    let run = |n_threads| {
        loss(
            &network,
            &rows,
            &labels,
            Mode::Score,
            &Threads::new(Some(n_threads)),
        )
    };
    let alone = run(1);
    for n_threads in [2, 4] {
        let (loss, gradients) = run(n_threads);
        assert_eq!(loss.to_bits(), alone.0.to_bits());
        assert!(
            gradients.iter().flatten().map(|g| g.to_bits()).eq(alone
                .1
                .iter()
                .flatten()
                .map(|g| g.to_bits()))
        );
    }
}

fn convolutions(network: &Network) -> impl Iterator<Item = &ops::Convolution> {
    let stages = network.plan.stages.iter();
    stages
        .flat_map(|stage| match &stage.segment {
            plan::Segment::Rows(steps) => steps.as_slice(),
            _ => &[],
        })
        .filter_map(|step| match &step.op {
            ops::RowOp::Convolution(convolution) => Some(convolution),
            _ => None,
        })
}

fn dense_layers(network: &Network) -> impl Iterator<Item = &ops::Dense> {
    let stages = network.plan.stages.iter();
    stages.filter_map(|stage| match &stage.segment {
        plan::Segment::Dense(step) => Some(&step.op),
        _ => None,
    })
}

/// The same network twice, once so that kernels for special cases serve it, once through layers that change nothing but
/// keep them out.
#[test]
fn kernels_for_special_cases_give_what_the_general_ones_do() {
    let relu = || {
        Layer::Activation(ActivationLayer {
            activation: Activation::Relu,
        })
    };
    let same = || {
        Layer::Rescaling(Rescaling {
            scale: 1.0,
            offset: 0.0,
        })
    };
    let convolved = |function| Layer::Conv2D(convolution(16, Padding::Valid, 1, function));
    let pool = || Layer::MaxPooling2D(pooling(2, Padding::Valid));
    let end = || {
        [
            Layer::Flatten(Flatten {}),
            dense(64, Activation::Tanh),
            dense(3, Activation::Softmax),
        ]
    };
    let special = [vec![convolved(Activation::Relu), pool()], end().into()].concat();
    let general = [
        vec![convolved(Activation::Linear), relu(), pool(), same()],
        end().into(),
    ]
    .concat();
    let networks =
        [special, general].map(|list| Network::new(&layers(list), &[13, 14, 1], &[], 8).unwrap());
    for (network, is_special) in networks.iter().zip([true, false]) {
        let is_in_one = convolutions(network).map(ops::Convolution::is_in_one);
        let is_sparse = dense_layers(network).take(1).map(ops::Dense::is_sparse);
        let marks = is_in_one.chain(is_sparse);
        assert_eq!(marks.collect::<Vec<_>>(), [is_special; 2]);
    }
    let rows: Vec<f32> = noise(5 * 182, 4)
        .iter()
        .map(|value| value.max(0.0))
        .collect();
    let labels = Labels::Class(vec![0, 1, 2, 1, 0]);
    let [special, general] =
        networks.map(|network| loss(&network, &rows, &labels, Mode::Score, &Threads::single()));
    assert!((special.0 - general.0).abs() < 1e-6);
    for (special, general) in special.1.iter().zip(&general.1) {
        let is_close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(special.len() == general.len() && special.iter().zip(general).all(is_close));
    }
}

/// Zeros are passed over only where they come from a ReLU, whose gradient is zero there too.
#[test]
fn only_inputs_from_a_relu_are_taken_for_sparse() {
    let first = |function| {
        let mut conv = convolution(16, Padding::Valid, 1, function);
        conv.kernel_size = [2, 2];
        Layer::Conv2D(conv)
    };
    let max = || Layer::MaxPooling2D(pooling(2, Padding::Valid));
    let drop = || Layer::Dropout(Dropout { rate: 0.5 });
    let cases = [
        (vec![first(Activation::Relu)], true),
        (vec![first(Activation::Relu), max(), drop()], true),
        (vec![first(Activation::Tanh)], false),
        (vec![first(Activation::Linear), drop()], false),
        (vec![first(Activation::LeakyRelu)], false),
        (
            vec![
                first(Activation::Relu),
                Layer::AveragePooling2D(pooling(2, Padding::Valid)),
            ],
            false,
        ),
        (
            vec![
                first(Activation::Relu),
                Layer::LayerNormalization(LayerNormalization {
                    epsilon: 1e-3,
                    center: true,
                    scale: true,
                }),
            ],
            false,
        ),
    ];
    for (before, expected) in cases {
        let list = [
            before,
            vec![Layer::Flatten(Flatten {}), dense(64, Activation::Tanh)],
        ]
        .concat();
        let network = Network::new(&layers(list.clone()), &[11, 11, 2], &[], 8).unwrap();
        let found = dense_layers(&network).next().map(ops::Dense::is_sparse);
        assert_eq!(found, Some(expected), "{list:?}");
    }
}

/// Independent source: candle's own convolution, matrix product and autograd, in its NCHW and OIHW layouts.
#[test]
fn convolution_dense_and_softmax_match_candles_autograd() {
    let network_layers = layers(vec![
        conv(4, Padding::Valid, 1),
        Layer::Flatten(Flatten {}),
        dense(3, Activation::Softmax),
    ]);
    let network = Network::new(&network_layers, &[6, 6, 2], &[], 8).unwrap();
    let (rows, labels) = (noise(5 * 72, 4), Labels::Class(vec![0, 1, 2, 1, 0]));
    let (found_loss, found) = loss(&network, &rows, &labels, Mode::Score, &Threads::single());

    let variables: Vec<Var> = network
        .specs
        .iter()
        .zip(&network.parameters)
        .map(|(spec, values)| {
            let tensor = Tensor::from_slice(values, spec.shape.as_slice(), &Device::Cpu);
            Var::from_tensor(&tensor.unwrap()).unwrap()
        })
        .collect();
    let [kernel, bias, dense_kernel, dense_bias] = &variables[..] else {
        panic!("four parameters")
    };
    let images = Tensor::from_slice(&rows, (5, 6, 6, 2), &Device::Cpu)
        .unwrap()
        .permute((0, 3, 1, 2))
        .unwrap();
    let kernel_oihw = kernel
        .as_tensor()
        .permute((3, 2, 0, 1))
        .unwrap()
        .contiguous()
        .unwrap();
    let convolved = images
        .contiguous()
        .unwrap()
        .conv2d(&kernel_oihw, 0, 1, 1, 1)
        .unwrap();
    let bias_nchw = bias.as_tensor().reshape((1, 4, 1, 1)).unwrap();
    let hidden = convolved.broadcast_add(&bias_nchw).unwrap().tanh().unwrap();
    let flat = hidden
        .permute((0, 2, 3, 1))
        .unwrap()
        .contiguous()
        .unwrap()
        .reshape((5, 64))
        .unwrap();
    let logits = flat
        .matmul(dense_kernel.as_tensor())
        .unwrap()
        .broadcast_add(dense_bias.as_tensor())
        .unwrap();
    let targets = Tensor::new(&[0_u32, 1, 2, 1, 0], &Device::Cpu).unwrap();
    let expected_loss = candle_nn::loss::cross_entropy(&logits, &targets).unwrap();
    let gradients = expected_loss.backward().unwrap();

    assert!((found_loss - f64::from(expected_loss.to_scalar::<f32>().unwrap())).abs() < 1e-6);
    for (variable, found) in variables.iter().zip(&found) {
        let expected: Vec<f32> = gradients
            .get(variable)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let is_close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(found.len() == expected.len() && found.iter().zip(&expected).all(is_close));
    }
}

#[test]
fn initial_weights_are_glorot_uniform_and_decided_by_the_seed() {
    let network_layers = layers(vec![
        dense(200, Activation::Relu),
        dense(2, Activation::Softmax),
    ]);
    let weights = |seed| {
        Network::new(&network_layers, &[300], &[], seed)
            .unwrap()
            .parameters
    };
    let (first, second) = (weights(1), weights(2));
    assert_eq!(first, weights(1));
    assert_ne!(first[0], second[0]);
    let limit = (6.0_f32 / 500.0).sqrt();
    let largest = first[0]
        .iter()
        .fold(0.0_f32, |largest, w| largest.max(w.abs()));
    assert!(
        largest <= limit && largest > 0.99 * limit,
        "{largest} of {limit}"
    );
    let mean = first[0].iter().map(|&w| f64::from(w)).sum::<f64>() / first[0].len() as f64;
    assert!(mean.abs() < 1e-3, "{mean}");
    assert!(first[1].iter().all(|&bias| bias == 0.0));
}

#[test]
fn dropout_drops_its_share_in_training_only() {
    let network_layers = layers(vec![
        Layer::Dropout(Dropout { rate: 0.25 }),
        dense(1, Activation::Linear),
    ]);
    let network = Network::new(&network_layers, &[1000], &[], 1).unwrap();
    let mut workspace = Workspace::for_training(&network, 2);
    let mut run = |mode| {
        workspace.input_mut(2).fill(1.0);
        network.forward(&mut workspace, 2, mode, &Threads::single());
        workspace.steps[0].out[..2000].to_vec()
    };
    assert!(run(Mode::Score).iter().all(|&value| value == 1.0));
    let dropped = run(Mode::Train { seed: 1, step: 0 });
    let n_dropped = dropped.iter().filter(|&&value| value == 0.0).count();
    assert!((400..600).contains(&n_dropped), "{n_dropped}");
    assert!(
        dropped
            .iter()
            .all(|&value| value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6)
    );
    assert_ne!(dropped[..1000], dropped[1000..]);
    assert_ne!(dropped, run(Mode::Train { seed: 1, step: 1 }));
}

/// `cargo test --release -p trainyard-ml -- --ignored --nocapture phases` prints where a step of the article's network
/// spends its time.
#[test]
#[ignore = "a measurement"]
fn phases() {
    let list = vec![
        Layer::Conv2D(convolution(32, Padding::Valid, 1, Activation::Relu)),
        Layer::MaxPooling2D(pooling(2, Padding::Valid)),
        Layer::Flatten(Flatten {}),
        dense(128, Activation::Relu),
        dense(10, Activation::Softmax),
    ];
    let mut network = Network::new(&layers(list), &[28, 28, 1], &[], 1).unwrap();
    let labels = Labels::Class((0..128).map(|row| row % 10).collect());
    let targets = Targets {
        labels: labels.clone(),
        weights: None,
    };
    let rows = noise(128 * 784, 2);
    let mode = Mode::Train { seed: 1, step: 1 };
    for n_threads in [1, 2] {
        let threads = Threads::new(Some(n_threads));
        let mut workspace = Workspace::for_training(&network, 128);
        workspace.input_mut(128).copy_from_slice(&rows);
        let config = trainyard_core::config::Optimizer::default();
        let mut optimizer = crate::optimizer::Optimizer::new(&config, network.specs());
        let mut best = [f64::INFINITY; 6];
        threads.within(|| {
            for _ in 0..60 {
                let mut lap = std::time::Instant::now();
                let mut next = |best: &mut f64| {
                    *best = best.min(lap.elapsed().as_secs_f64() * 1e3);
                    lap = std::time::Instant::now();
                };
                network.segment_forward(&mut workspace, 0, 128, mode, &threads);
                next(&mut best[0]);
                network.segment_forward(&mut workspace, 1, 128, mode, &threads);
                next(&mut best[1]);
                network.segment_forward(&mut workspace, 2, 128, mode, &threads);
                network.segment_backward(&mut workspace, 2, 128, mode, &threads);
                next(&mut best[2]);
                network.segment_backward(&mut workspace, 1, 128, mode, &threads);
                next(&mut best[3]);
                network.segment_backward(&mut workspace, 0, 128, mode, &threads);
                next(&mut best[4]);
                network.train_step(
                    &mut workspace,
                    &targets,
                    &objective(&labels),
                    mode,
                    &mut optimizer,
                    0.001,
                    &threads,
                );
                next(&mut best[5]);
            }
        });
        let [rows_forward, dense, head, backward, rows_backward, whole] = best;
        println!(
            "{n_threads} threads, ms: conv {rows_forward:.2}, dense {dense:.2}, head {head:.2}, dense backward \
             {backward:.2}, conv backward {rows_backward:.2}; whole step {whole:.2}"
        );
    }
}
