use candle_core::{Device, Tensor, Var};
use trainyard_core::model::architecture::{Activation, Layer, NamedLayer, Padding};

use super::*;
use crate::data::Labels;
use crate::kernels::{assert_gradient, finite_differences, noise};
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

fn conv(filters: usize, padding: Padding, strides: usize) -> Layer {
    Layer::Conv2D {
        filters,
        kernel_size: [3, 3],
        strides: [strides, strides],
        padding,
        activation: Activation::Tanh,
        use_bias: true,
    }
}

fn dense(units: usize, activation: Activation) -> Layer {
    Layer::Dense {
        units,
        activation,
        use_bias: true,
    }
}

fn loss(
    network: &Network,
    rows: &[f32],
    labels: &Labels,
    mode: Mode,
    threads: &Threads,
) -> (f64, Vec<Vec<f32>>) {
    let n_rows = labels.len();
    let mut workspace = Workspace::for_training(network, n_rows + 3);
    workspace.input_mut(n_rows).copy_from_slice(rows);
    let loss = network.gradients(&mut workspace, labels, mode, threads);
    (
        loss.loss_sum / n_rows as f64,
        workspace.parameter_gradients().to_vec(),
    )
}

#[test]
fn gradients_of_whole_networks_match_finite_differences() {
    let average = Layer::AveragePooling2D {
        pool_size: [2, 2],
        strides: [2, 2],
        padding: Padding::Same,
    };
    let networks = [
        (
            vec![
                conv(3, Padding::Same, 1),
                average,
                Layer::Flatten,
                dense(4, Activation::Softmax),
            ],
            vec![5, 5, 2],
        ),
        (
            vec![
                conv(2, Padding::Valid, 2),
                conv(3, Padding::Same, 1),
                Layer::Flatten,
                Layer::Dropout { rate: 0.3 },
                dense(6, Activation::Sigmoid),
                Layer::Activation {
                    activation: Activation::Tanh,
                },
                dense(3, Activation::Linear),
                Layer::Activation {
                    activation: Activation::Softmax,
                },
            ],
            vec![7, 6, 1],
        ),
        (
            vec![
                dense(5, Activation::Tanh),
                Layer::Flatten,
                dense(1, Activation::Linear),
            ],
            vec![3, 4],
        ),
    ];
    for (network_layers, input_shape) in networks {
        let network = Network::new(&layers(network_layers), &input_shape, &[], 3).unwrap();
        let n_rows = 19;
        let rows = noise(n_rows * network.n_inputs(), 21);
        let labels = match network.n_outputs() {
            1 => Labels::Value(noise(n_rows, 22).into_iter().map(f64::from).collect()),
            n => Labels::Class((0..n_rows as u32).map(|row| row % n as u32).collect()),
        };
        let mode = Mode::Train { seed: 5, step: 2 };
        let (_, gradients) = loss(&network, &rows, &labels, mode, &Threads::new(Some(2)));
        for (idx, gradient) in gradients.iter().enumerate() {
            let expected = finite_differences(&network.parameters[idx], |at| {
                let mut moved = network.clone();
                moved.parameters[idx].copy_from_slice(at);
                loss(&moved, &rows, &labels, mode, &Threads::single()).0
            });
            assert_gradient(gradient, &expected);
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let max = Layer::MaxPooling2D {
        pool_size: [2, 2],
        strides: [2, 2],
        padding: Padding::Valid,
    };
    let relu = Layer::Conv2D {
        filters: 32,
        kernel_size: [3, 3],
        strides: [1, 1],
        padding: Padding::Valid,
        activation: Activation::Relu,
        use_bias: true,
    };
    let network_layers = layers(vec![
        relu,
        max,
        Layer::Flatten,
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

/// Independent source: candle's own convolution, matrix product and autograd, in its NCHW and OIHW layouts.
#[test]
fn convolution_dense_and_softmax_match_candles_autograd() {
    let network_layers = layers(vec![
        conv(4, Padding::Valid, 1),
        Layer::Flatten,
        dense(3, Activation::Softmax),
    ]);
    let network = Network::new(&network_layers, &[6, 6, 2], &[], 8).unwrap();
    let (rows, labels) = (noise(5 * 72, 4), Labels::Class(vec![0, 1, 2, 1, 0]));
    let (found_loss, found) = loss(&network, &rows, &labels, Mode::Score, &Threads::single());

    let variables: Vec<Var> = network
        .tensors()
        .unwrap()
        .iter()
        .map(|(_, tensor)| Var::from_tensor(tensor).unwrap())
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
        Layer::Dropout { rate: 0.25 },
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
