use proptest::prelude::*;

use super::*;
use crate::kernels::conv::{Conv2d, add_rows};
use crate::kernels::isa::Isa;
use crate::kernels::{activation, noise, pool};
use trainyard_core::model::architecture::Activation;

/// The layers over an image of this size, and their sizes.
fn layers(height: usize, width: usize, filters: usize) -> (Conv2d, Windows, GreyConv) {
    let windows = |input: [usize; 2], channels, window, strides, output| Windows {
        input,
        channels,
        window: [window; 2],
        strides: [strides; 2],
        dilation: [1; 2],
        padding: [0; 2],
        output,
    };
    let image = [height - 2, width - 2];
    let conv = windows([height, width], 1, 3, 1, image);
    let pool = windows(image, filters, 2, 2, image.map(|len| len / 2));
    let fused = GreyConv::new(&conv, filters, &pool).unwrap();
    (Conv2d::new(conv, filters), pool, fused)
}

/// An image with a plain background, so that many values under a pooling window are equal, and a blank upper half.
fn image(len: usize, seed: u64) -> Vec<f32> {
    let mut image = noise(len, seed);
    for (idx, value) in image.iter_mut().enumerate() {
        *value = if idx < len / 2 {
            0.0
        } else {
            value.clamp(0.0, 0.8)
        };
    }
    image
}

/// Output, gradient by the kernel and gradient by the bias, by separate kernels that have tests of their own.
fn separately(
    (conv, pool, _): &(Conv2d, Windows, GreyConv),
    image: &[f32],
    kernel: &[f32],
    bias: &[f32],
    gradient: &[f32],
) -> [Vec<f32>; 3] {
    let mut between = vec![0.0; conv.output_len()];
    let mut scratch = vec![0.0; conv.scratch_len()];
    conv.forward(image, kernel, Some(bias), &mut between, &mut scratch);
    let mut output = vec![0.0; gradient.len()];
    let mut places = vec![0; gradient.len()];
    pool::max_forward(pool, &between, &mut output, &mut places);
    activation::forward(Activation::Relu, &mut output, 1);
    let mut gradient = gradient.to_vec();
    activation::backward(Activation::Relu, &[], &output, &mut gradient, 1);
    let mut by_bias = vec![0.25; bias.len()];
    add_rows(&gradient, &mut by_bias);
    pool::max_backward(pool, &places, &gradient, &mut between);
    let mut by_kernel = vec![0.5; kernel.len()];
    conv.backward(image, kernel, &between, &mut by_kernel, None, &mut scratch);
    [output, by_kernel, by_bias]
}

/// The same by the fused kernels.
fn fused(
    isa: Isa,
    sizes: GreyConv,
    image: &[f32],
    kernel: &[f32],
    bias: &[f32],
    gradient: &[f32],
) -> [Vec<f32>; 3] {
    let mut output = vec![7.0; gradient.len()];
    let mut cells = vec![77; gradient.len()];
    let bias_of = Some(bias);
    let parameters = Parameters {
        kernel,
        bias: bias_of,
    };
    forward_with(isa, sizes, image, parameters, &mut output, &mut cells);
    let mut by_kernel = vec![0.5; kernel.len()];
    let mut by_bias = vec![0.25; bias.len()];
    let sums = Some(by_bias.as_mut_slice());
    backward_with(isa, sizes, image, &cells, gradient, &mut by_kernel, sums);
    [output, by_kernel, by_bias]
}

fn check(height: usize, width: usize, filters: usize, seed: u64) {
    let layers = layers(height, width, filters);
    let sizes = layers.2;
    let image = image(height * width, seed);
    let kernel = noise(9 * filters, seed + 1);
    let bias = noise(filters, seed + 2);
    let gradient = noise(sizes.output_len(), seed + 3);
    let expected = separately(&layers, &image, &kernel, &bias, &gradient);
    for isa in Isa::available() {
        let found = fused(isa, sizes, &image, &kernel, &bias, &gradient);
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.len(), expected.len());
            for (idx, (found, expected)) in found.iter().zip(expected).enumerate() {
                assert!(
                    (found - expected).abs() < 1e-3,
                    "{height} by {width}, {filters} filters, {isa:?}, element {idx}: {found} is not {expected}"
                );
            }
        }
    }
}

#[test]
fn the_articles_layers_are_right() {
    check(28, 28, 32, 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_image_is_right(height in 4..14_usize, width in 4..14_usize, vectors in 1..4_usize, seed in 0..1000_u64) {
        check(height, width, 16 * vectors, seed);
    }
}

/// What makes a model trained on one machine the same on another.
#[test]
fn avx2_and_avx512_give_the_same_bits() {
    let (_, _, sizes) = layers(11, 13, 48);
    let image = image(11 * 13, 5);
    let kernel = noise(9 * 48, 6);
    let gradient = noise(sizes.output_len(), 8);
    let bits = |isa| {
        fused(isa, sizes, &image, &kernel, &noise(48, 7), &gradient)
            .concat()
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    for pair in Isa::fused().windows(2) {
        assert_eq!(bits(pair[0]), bits(pair[1]));
    }
}

/// A NaN must reach the loss, where it is noticed, whichever cell it is in.
#[test]
fn a_nan_is_carried_on() {
    let (_, _, sizes) = layers(4, 4, 16);
    for place in 0..16 {
        let mut image = vec![0.5; 16];
        image[place] = f32::NAN;
        for isa in Isa::available() {
            let kernel = vec![1.0; 9 * 16];
            let [output, ..] = fused(isa, sizes, &image, &kernel, &[0.0; 16], &[1.0; 16]);
            assert!(output.iter().all(|value| value.is_nan()), "{place} {isa:?}");
        }
    }
}

#[test]
fn other_layers_are_not_served() {
    let (conv, pool, _) = layers(8, 8, 32);
    let conv = conv.windows;
    let serves = |conv: Windows, filters, pool: Windows| GreyConv::new(&conv, filters, &pool);
    assert!(serves(conv, 32, pool).is_some());
    assert_eq!(serves(conv, 20, pool), None);
    for other in [
        Windows {
            channels: 3,
            ..conv
        },
        Windows {
            window: [3, 2],
            ..conv
        },
        Windows {
            strides: [2, 1],
            ..conv
        },
        Windows {
            padding: [1, 1],
            ..conv
        },
        Windows {
            dilation: [1, 2],
            ..conv
        },
    ] {
        assert_eq!(serves(other, 32, pool), None, "{other:?}");
    }
    for other in [
        Windows {
            window: [3, 3],
            ..pool
        },
        Windows {
            strides: [1, 1],
            ..pool
        },
        // What "same" padding gives for an odd size: a window that hangs over the edge.
        Windows {
            output: [4, 4],
            ..pool
        },
    ] {
        assert_eq!(serves(conv, 32, other), None, "{other:?}");
    }
}
