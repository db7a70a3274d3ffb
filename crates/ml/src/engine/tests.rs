//! The two engines against each other, on the same weights and rows.

use trainyard_core::config::{Optimizer as Settings, UpdateRule};
use trainyard_core::model::Loss;
use trainyard_core::model::architecture::{
    Activation, Conv, Dense, Dropout, Flatten, GlobalPooling, Layer, Padding, Pooling, Regularizer,
};

use super::*;
use crate::data::Labels;
use crate::kernels::{Buffer, noise};

const N_ROWS: usize = 9;
const CAPACITY: usize = 11;

/// What f32 sums in another order differ by, relative to the largest value of a gradient.
const TOLERANCE: f32 = 2e-5;

fn conv(filters: usize, padding: Padding, stride: usize, dilation: usize) -> Conv<2> {
    Conv {
        filters,
        kernel_size: [3, 2],
        strides: [stride; 2],
        padding,
        dilation_rate: [dilation; 2],
        activation: Activation::Relu,
        use_bias: true,
        kernel_regularizer: None,
        bias_regularizer: None,
    }
}

fn pool(size: usize, stride: usize, padding: Padding) -> Layer {
    Layer::MaxPooling2D(Pooling {
        pool_size: [size; 2],
        strides: [stride; 2],
        padding,
    })
}

fn dense(units: usize, activation: Activation) -> Layer {
    Layer::Dense(Dense {
        units,
        activation,
        use_bias: true,
        kernel_regularizer: Some(Regularizer { l1: 0.01, l2: 0.02 }),
        // Biases begin at exactly 0, where the slope of a magnitude is a matter of definition.
        bias_regularizer: Some(Regularizer { l1: 0.03, l2: 0.0 }),
    })
}

fn named(layers: Vec<Layer>) -> Vec<NamedLayer> {
    layers
        .into_iter()
        .enumerate()
        .map(|(idx, layer)| NamedLayer {
            name: format!("{}_{idx}", layer.default_name()),
            layer,
        })
        .collect()
}

struct Case {
    input_shape: Vec<usize>,
    layers: Vec<NamedLayer>,
    objective: Objective,
    targets: Targets,
}

fn case(input_shape: &[usize], layers: Vec<Layer>, loss: Loss, is_weighted: bool) -> Case {
    let weights = || (0..N_ROWS).map(|row| 0.5 + row as f32 / 4.0).collect();
    Case {
        input_shape: input_shape.to_vec(),
        layers: named(layers),
        objective: Objective {
            loss,
            label_smoothing: 0.1,
            huber_delta: 0.4,
        },
        targets: Targets {
            labels: match loss {
                Loss::SparseCategoricalCrossentropy | Loss::CategoricalCrossentropy => {
                    Labels::Class((0..N_ROWS as u32).map(|row| row * row % 3).collect())
                }
                _ => Labels::Value((0..N_ROWS).map(|row| (row as f64).sin()).collect()),
            },
            weights: is_weighted.then(weights),
        },
    }
}

/// The article's network, small; windows that hang over the border, leave a remainder or overlap; both tasks.
fn cases() -> Vec<Case> {
    let classes = || dense(3, Activation::Softmax);
    vec![
        case(
            &[10, 9, 1],
            vec![
                Layer::Conv2D(conv(4, Padding::Valid, 1, 1)),
                pool(2, 2, Padding::Valid),
                Layer::Flatten(Flatten {}),
                dense(8, Activation::Relu),
                classes(),
            ],
            Loss::SparseCategoricalCrossentropy,
            false,
        ),
        case(
            &[8, 7, 2],
            vec![
                Layer::Conv2D(conv(3, Padding::Same, 2, 1)),
                Layer::Conv2D(Conv {
                    activation: Activation::Softmax,
                    use_bias: false,
                    ..conv(5, Padding::Same, 1, 2)
                }),
                pool(3, 2, Padding::Same),
                Layer::Flatten(Flatten {}),
                classes(),
            ],
            Loss::CategoricalCrossentropy,
            true,
        ),
        // The windows of the second convolution leave a row over, but no column.
        case(
            &[9, 8, 2],
            vec![
                Layer::Conv2D(conv(3, Padding::Valid, 1, 1)),
                Layer::Conv2D(conv(4, Padding::Valid, 3, 1)),
                Layer::Flatten(Flatten {}),
                classes(),
            ],
            Loss::SparseCategoricalCrossentropy,
            true,
        ),
        case(
            &[3, 4],
            vec![
                dense(6, Activation::Relu),
                Layer::Flatten(Flatten {}),
                dense(1, Activation::Linear),
            ],
            Loss::Huber,
            true,
        ),
        case(
            &[5],
            vec![dense(4, Activation::Softmax), dense(1, Activation::Linear)],
            Loss::MeanAbsoluteError,
            false,
        ),
        case(
            &[5],
            vec![dense(1, Activation::Relu)],
            Loss::MeanSquaredError,
            false,
        ),
    ]
}

/// Rows without pattern; the first is blank, so that its values before a rectification are exactly its biases.
fn rows(network: &Network) -> Vec<f32> {
    let mut rows = noise(N_ROWS * network.n_inputs(), 3);
    rows[..network.n_inputs()].fill(0.0);
    rows
}

fn bits(parameters: &[Buffer]) -> Vec<u32> {
    let values = parameters.iter().flatten();
    values.map(|value| value.to_bits()).collect()
}

#[test]
fn both_engines_give_the_same_loss_and_gradients() {
    for case in cases() {
        let network = Network::new(&case.layers, &case.input_shape, &[], 17).unwrap();
        let rows = rows(&network);
        let mut workspace = Workspace::for_training(&network, CAPACITY);
        workspace.input_mut(N_ROWS).copy_from_slice(&rows);
        let expected_loss = network.gradients(
            &mut workspace,
            &case.targets,
            &case.objective,
            Mode::Train { seed: 1, step: 0 },
            &Threads::single(),
        );
        let mut candle =
            candle::Candle::new(&network, &case.layers, &case.input_shape, CAPACITY).unwrap();
        candle.input_mut(N_ROWS).copy_from_slice(&rows);
        let loss = candle
            .gradients(&network, &case.targets, &case.objective)
            .unwrap();
        assert_eq!(loss.n_right, expected_loss.n_right);
        let scale = expected_loss.loss_sum.abs().max(1.0);
        assert!(
            (loss.loss_sum - expected_loss.loss_sum).abs() < 2e-6 * scale,
            "{loss:?} {expected_loss:?} {:?}",
            case.layers
        );
        let expected = workspace.parameter_gradients();
        for ((found, expected), spec) in candle
            .parameter_gradients_mut()
            .iter()
            .zip(expected)
            .zip(network.specs())
        {
            let largest = expected
                .iter()
                .fold(0.0_f32, |most, value| most.max(value.abs()));
            assert!(largest > 0.0, "{} has no gradient to compare", spec.name);
            for (idx, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert!(
                    (found - expected).abs() <= TOLERANCE * largest,
                    "{}[{idx}]: {found} is not {expected}: {:?}",
                    spec.name,
                    case.layers
                );
            }
        }
    }
}

/// Rounding differs from step to step, so the weights drift apart, but no faster than rounding does.
#[test]
fn both_engines_take_the_same_steps_from_the_same_weights() {
    for case in cases() {
        let run = |kind: Kind| {
            let mut network = Network::new(&case.layers, &case.input_shape, &[], 17).unwrap();
            let first = bits(network.parameters());
            let shape = &case.input_shape;
            let mut engine = Engine::new(kind, &network, &case.layers, shape, CAPACITY).unwrap();
            let settings = Settings {
                rule: UpdateRule::Sgd {
                    momentum: 0.9,
                    nesterov: false,
                },
                learning_rate: 0.02,
                weight_decay: 0.0,
                clip: None,
            };
            let mut optimizer = Optimizer::new(&settings, network.specs());
            let batch = Batch {
                targets: &case.targets,
                objective: &case.objective,
                threads: &Threads::single(),
            };
            let rows = rows(&network);
            let losses: Vec<f64> = (0..12)
                .map(|step| {
                    engine.input_mut(N_ROWS).copy_from_slice(&rows);
                    let mode = Mode::Train { seed: 1, step };
                    let step = engine.train_step(&mut network, batch, mode, &mut optimizer, 0.02);
                    step.unwrap().loss_sum
                })
                .collect();
            engine.input_mut(N_ROWS).copy_from_slice(&rows);
            let last = engine.loss(&network, batch).unwrap().loss_sum;
            (first, losses, last)
        };
        let (kernels, candle) = (run(Kind::Kernels), run(Kind::Candle));
        assert_eq!(kernels.0, candle.0, "initial weights");
        assert!(kernels.2 < kernels.1[0], "something is learnt");
        let losses = |(_, losses, last): (_, Vec<f64>, f64)| [losses, vec![last]].concat();
        let pairs = losses(kernels).into_iter().zip(losses(candle));
        for (step, (expected, found)) in pairs.enumerate() {
            let tolerance = 1e-5 * (1.0 + step as f64) * expected.max(1.0);
            assert!(
                (found - expected).abs() < tolerance,
                "step {step}: {found} is not {expected}: {:?}",
                case.layers
            );
        }
    }
}

#[test]
fn what_candle_does_not_have_is_refused_by_name() {
    let unequal = Conv {
        strides: [1, 2],
        ..conv(2, Padding::Valid, 1, 1)
    };
    let spread = Conv {
        dilation_rate: [2, 1],
        ..conv(2, Padding::Valid, 1, 1)
    };
    for (layer, said) in [
        (
            Layer::Dropout(Dropout { rate: 0.5 }),
            "the layer `dropout_0`: it does not have Dropout",
        ),
        (
            Layer::GlobalMaxPooling2D(GlobalPooling {}),
            "the layer `global_max_pooling2d_0`: it does not have GlobalMaxPooling2D",
        ),
        (
            dense(2, Activation::Tanh),
            "the layer `dense_0`: it does not have the activation `tanh`",
        ),
        (
            Layer::Conv2D(unequal),
            "only equal `strides` down and across, not 1 and 2",
        ),
        (
            Layer::Conv2D(spread),
            "only equal `dilation_rate` down and across, not 2 and 1",
        ),
    ] {
        let error = candle::check(&named(vec![layer])).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        assert!(
            error.contains("write `engine = \"kernels\"` in `[train]`"),
            "{error}"
        );
    }
    for case in cases() {
        candle::check(&case.layers).unwrap();
    }
}
