use proptest::prelude::*;

use super::*;
use crate::kernels::isa::Isa;
use crate::kernels::noise;

/// Noise of which about `zeros` in a hundred are zero.
fn sparse_noise(n: usize, seed: u64, zeros: usize) -> Vec<f32> {
    let limit = zeros as f32 / 50.0 - 1.0;
    let values = noise(n, seed).into_iter().zip(noise(n, seed + 100));
    values
        .map(|(value, chance)| if chance < limit { 0.0 } else { value })
        .collect()
}

/// `[rows, inner] · [inner, columns]` in f64, by the plain triple loop; `at` reads an element.
fn reference(
    [m, k, n]: [usize; 3],
    left: impl Fn(usize, usize) -> f32,
    right: impl Fn(usize, usize) -> f32,
) -> Vec<f64> {
    let element = |row, column| {
        (0..k)
            .map(|i| f64::from(left(row, i)) * f64::from(right(i, column)))
            .sum()
    };
    (0..m * n).map(|idx| element(idx / n, idx % n)).collect()
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (idx, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error < 1e-3,
            "{what}, element {idx}: {found} is not {expected}"
        );
    }
}

/// The three products of a layer, by some instructions.
fn products(
    isa: Isa,
    [n_rows, len, n_units]: [usize; 3],
    input: &[f32],
    kernel: &[f32],
    gradient: &[f32],
) -> [Vec<f32>; 3] {
    let rows = Rows::new(input, n_rows, len, len);
    let mut out = vec![7.0; n_rows * n_units];
    product_with(isa, rows, kernel, n_units, &mut out);
    let mut by_kernel = vec![7.0; len * n_units];
    by_kernel_with(isa, rows, gradient, n_units, &mut by_kernel);
    let mut by_input = vec![7.0; n_rows * len];
    let blocks = Out::new(&mut by_input, n_rows, len, len);
    by_input_with(isa, rows, kernel, gradient, n_units, blocks);
    [out, by_kernel, by_input]
}

fn check(sizes: [usize; 3], zeros: usize) {
    let [n_rows, len, n_units] = sizes;
    let input = sparse_noise(n_rows * len, 1, zeros);
    let (kernel, gradient) = (noise(len * n_units, 2), noise(n_rows * n_units, 3));
    let out = reference(
        [n_rows, len, n_units],
        |row, i| input[row * len + i],
        |i, unit| kernel[i * n_units + unit],
    );
    let by_kernel = reference(
        [len, n_rows, n_units],
        |i, row| input[row * len + i],
        |row, unit| gradient[row * n_units + unit],
    );
    let mut by_input = reference(
        [n_rows, n_units, len],
        |row, unit| gradient[row * n_units + unit],
        |unit, i| kernel[i * n_units + unit],
    );
    for (expected, value) in by_input.iter_mut().zip(&input) {
        if *value == 0.0 {
            *expected = 0.0;
        }
    }
    for isa in Isa::available() {
        let what = format!("{sizes:?}, {zeros} % zeros, {isa:?}");
        let [a, b, c] = products(isa, sizes, &input, &kernel, &gradient);
        assert_close(&a, &out, &what);
        assert_close(&b, &by_kernel, &what);
        assert_close(&c, &by_input, &what);
    }
}

#[test]
fn products_equal_the_plain_triple_loop() {
    for sizes in [
        [1, 1, 16],
        [3, 40, 64],
        [128, 130, 128],
        [33, 97, 80],
        [40, 64, 208],
        [0, 32, 64],
        [5, 0, 64],
    ] {
        for zeros in [0, 60, 100] {
            check(sizes, zeros);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_size_is_right(rows in 1..70_usize, len in 1..140_usize, vectors in 1..14_usize, zeros in 0..101_usize) {
        check([rows, len, 16 * vectors], zeros);
    }
}

/// What makes a model trained on one machine the same on another.
#[test]
fn avx2_and_avx512_give_the_same_bits() {
    let bits = |isa: Isa, sizes: [usize; 3]| {
        let [n_rows, len, n_units] = sizes;
        let input = sparse_noise(n_rows * len, 4, 50);
        let (kernel, gradient) = (noise(len * n_units, 5), noise(n_rows * n_units, 6));
        products(isa, sizes, &input, &kernel, &gradient)
            .concat()
            .iter()
            .map(|value| value.to_bits())
            .collect::<Vec<_>>()
    };
    for pair in Isa::fused().windows(2) {
        for sizes in [[45, 77, 128], [130, 200, 192], [20, 50, 64]] {
            assert_eq!(bits(pair[0], sizes), bits(pair[1], sizes));
        }
    }
}

/// Passing over zeros changes nothing: the sums are those of the scalar loop in the same order, to the bit.
#[test]
fn sums_are_those_of_the_scalar_loop() {
    let [n_rows, len, n_units] = [37, 150, 64];
    let input = sparse_noise(n_rows * len, 7, 40);
    let kernel = noise(len * n_units, 8);
    let mut out = vec![0.0; n_rows * n_units];
    product_with(
        Isa::Portable,
        Rows::new(&input, n_rows, len, len),
        &kernel,
        n_units,
        &mut out,
    );
    for row in 0..n_rows {
        for unit in 0..n_units {
            let expected = (0..len).fold(0.0_f32, |sum, i| {
                sum + kernel[i * n_units + unit] * input[row * len + i]
            });
            assert_eq!(out[row * n_units + unit].to_bits(), expected.to_bits());
        }
    }
}

/// A NaN is not a zero, so it reaches the loss and is noticed.
#[test]
fn a_nan_among_the_inputs_is_carried_on() {
    let mut input = vec![0.0; 64];
    input[33] = f32::NAN;
    let (kernel, gradient) = (noise(64 * 64, 9), noise(64, 10));
    for isa in Isa::available() {
        let [out, by_kernel, by_input] = products(isa, [1, 64, 64], &input, &kernel, &gradient);
        assert!(out.iter().all(|value| value.is_nan()), "{isa:?}");
        assert!(by_kernel[33 * 64..34 * 64].iter().all(|v| v.is_nan()));
        assert!(by_input[33].is_finite() && by_input[33] != 0.0);
    }
}

#[test]
#[should_panic(expected = "rows lie outside")]
fn rows_outside_of_their_slice_are_refused() {
    Rows::new(&[0.0; 3], 2, 2, 2);
}

#[test]
#[should_panic(expected = "sizes of a product do not agree")]
fn units_that_fill_no_vector_are_refused() {
    product(
        Rows::new(&[0.0; 4], 2, 2, 2),
        &[0.0; 20],
        10,
        &mut [0.0; 20],
    );
}

/// `cargo test --release -p trainyard-ml -- --ignored --nocapture sparse_speed` prints what products of the article's
/// layer reach, counting only what is not zero.
#[test]
#[ignore = "a measurement"]
fn sparse_speed() {
    let [n_rows, len, n_units] = [128, 512, 128];
    // As the layer lends them.
    let kernel = &*Buffer::from(&*noise(len * n_units, 2));
    let gradient = &*Buffer::from(&*noise(n_rows * n_units, 3));
    for zeros in [0, 30, 50, 65, 80] {
        let stride = 5408;
        let input = sparse_noise(n_rows * stride, 1, zeros);
        let n_used = input
            .chunks(stride)
            .flat_map(|row| &row[..len])
            .filter(|value| **value != 0.0)
            .count();
        for isa in Isa::available() {
            let rows = Rows::new(&input, n_rows, len, stride);
            let (mut out, mut by_kernel, mut by_input) = (
                vec![0.0; n_rows * n_units],
                vec![0.0; len * n_units],
                vec![0.0; n_rows * len],
            );
            let mut best = [f64::INFINITY; 3];
            for _ in 0..200 {
                let mut lap = std::time::Instant::now();
                let mut next = |best: &mut f64| {
                    *best = best.min(lap.elapsed().as_secs_f64());
                    lap = std::time::Instant::now();
                };
                product_with(isa, rows, kernel, n_units, &mut out);
                next(&mut best[0]);
                by_kernel_with(isa, rows, gradient, n_units, &mut by_kernel);
                next(&mut best[1]);
                let blocks = Out::new(&mut by_input, n_rows, len, len);
                by_input_with(isa, rows, kernel, gradient, n_units, blocks);
                next(&mut best[2]);
            }
            let n_flops = 2e-9 * (n_used * n_units) as f64;
            let gflops = best.map(|seconds| format!("{:6.1}", n_flops / seconds));
            println!(
                "{zeros:3} % zeros {isa:8?} product, by kernel, by input: {} GFLOP/s",
                gflops.join(" ")
            );
        }
    }
}
