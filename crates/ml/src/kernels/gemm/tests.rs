use proptest::prelude::*;

use super::*;
use crate::kernels::noise;

/// The plain triple loop, in f64.
fn reference([m, k, n]: [usize; 3], left: &[f32], right: &[f32]) -> Vec<f64> {
    let mut out = vec![0.0; m * n];
    for (row, column) in (0..m).flat_map(|row| (0..n).map(move |column| (row, column))) {
        out[row * n + column] = (0..k)
            .map(|i| f64::from(left[row * k + i]) * f64::from(right[i * n + column]))
            .sum();
    }
    out
}

fn mirrored(values: &[f32], n_rows: usize, n_columns: usize) -> Vec<f32> {
    (0..n_rows * n_columns)
        .map(|idx| values[(idx % n_rows) * n_columns + idx / n_rows])
        .collect()
}

fn assert_close(found: &[f32], expected: impl Iterator<Item = f64>, what: &str) {
    for (idx, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error < 1e-3,
            "{what}, element {idx}: {found} is not {expected}"
        );
    }
}

/// Every form of the product against the plain loop, by every instruction set of this machine.
fn check([m, k, n]: [usize; 3]) {
    let (left, right) = (noise(m * k, 1), noise(k * n, 2));
    let expected = reference([m, k, n], &left, &right);
    let (left_mirrored, right_mirrored) = (mirrored(&left, m, k), mirrored(&right, k, n));
    let bias = noise(n, 3);
    let table: Vec<u32> = (0..m).map(|row| (row * k) as u32).collect();
    for isa in Isa::available() {
        let lefts = [
            Left::rows(&left, m, k, k),
            Left::columns(&left_mirrored, m, k, m),
            Left::new(
                &left,
                Axis::Table(&table),
                Axis::Strided { len: k, stride: 1 },
            ),
        ];
        let rights = [
            Right::rows(&right, k, n, n),
            Right::transposed(&right_mirrored, k, n, k),
        ];
        for (left, right) in lefts
            .iter()
            .flat_map(|left| rights.iter().map(move |right| (*left, *right)))
        {
            let what = format!("{m} {k} {n} {isa:?}");
            let mut out = vec![7.0; m * n];
            matmul_with(isa, left, right, Out::new(&mut out, m, n, n), Then::Set);
            assert_close(&out, expected.iter().copied(), &what);
            matmul_with(isa, left, right, Out::new(&mut out, m, n, n), Then::Add);
            assert_close(&out, expected.iter().map(|value| 2.0 * value), &what);
            matmul_with(
                isa,
                left,
                right,
                Out::new(&mut out, m, n, n),
                Then::SetWithBias(&bias),
            );
            let with_bias = expected
                .iter()
                .enumerate()
                .map(|(idx, value)| value + f64::from(bias[idx % n]));
            assert_close(&out, with_bias, &what);
        }
    }
}

#[test]
fn products_equal_the_plain_triple_loop() {
    for sizes in [
        [1, 1, 1],
        [3, 5, 7],
        [9, 676, 32],
        [676, 9, 32],
        [13, 193, 33],
        [12, 384, 64],
        [128, 401, 10],
        [25, 0, 3],
    ] {
        check(sizes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_size_is_right(m in 1..40_usize, k in 1..420_usize, n in 1..70_usize) {
        check([m, k, n]);
    }
}

/// What makes a model trained on one machine the same on another.
#[test]
fn avx2_and_avx512_give_the_same_bits_and_blocks_of_any_size_too() {
    let [m, k, n] = [45, 500, 77];
    let (left, right) = (noise(m * k, 4), noise(k * n, 5));
    let product = |isa: Isa, height: usize, width: usize| {
        let mut out = vec![0.0; m * n];
        for Block { row, column, out } in Out::new(&mut out, m, n, n).into_blocks(height, width) {
            let (n_rows, n_columns) = (out.n_rows, out.n_columns);
            let left = Left::rows(&left[row * k..], n_rows, k, k);
            let right = Right::rows(&right[column..], k, n_columns, n);
            matmul_with(isa, left, right, out, Then::Set);
        }
        out.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    for pair in Isa::fused().windows(2) {
        assert_eq!(product(pair[0], m, n), product(pair[1], m, n));
    }
    for isa in Isa::available() {
        assert_eq!(product(isa, m, n), product(isa, 7, 20), "{isa:?}");
    }
}

#[test]
#[should_panic(expected = "right lies outside")]
fn a_matrix_outside_of_its_slice_is_refused() {
    Right::rows(&[0.0; 3], 2, 2, 2);
}

#[test]
#[should_panic(expected = "rows of out overlap")]
fn overlapping_rows_are_refused() {
    Out::new(&mut [0.0; 4], 2, 3, 1);
}

/// `cargo test --release -p trainyard-ml -- --ignored --nocapture speed` prints what the article's shapes reach.
#[test]
#[ignore = "a measurement"]
fn speed() {
    for [m, k, n] in [
        [128, 5408, 128],
        [512, 128, 128],
        [676, 9, 32],
        [9, 676, 32],
        [128, 128, 512],
        [512, 512, 512],
    ] {
        for isa in Isa::available() {
            let (left, right) = (noise(m * k, 1), noise(k * n, 2));
            let mut out = vec![0.0; m * n];
            let mut best = [f64::INFINITY; 3];
            for _ in 0..20 {
                let forms = [
                    (Left::rows(&left, m, k, k), Right::rows(&right, k, n, n)),
                    (Left::columns(&left, m, k, m), Right::rows(&right, k, n, n)),
                    (
                        Left::rows(&left, m, k, k),
                        Right::transposed(&right, k, n, k),
                    ),
                ];
                for (best, (left, right)) in best.iter_mut().zip(forms) {
                    let start = std::time::Instant::now();
                    matmul_with(isa, left, right, Out::new(&mut out, m, n, n), Then::Set);
                    *best = best.min(start.elapsed().as_secs_f64());
                }
            }
            let gflops = best.map(|seconds| format!("{:6.1}", 2e-9 * (m * k * n) as f64 / seconds));
            println!(
                "{m:4} x {k:4} x {n:4} {isa:8?} NN, TN, NT: {} GFLOP/s",
                gflops.join(" ")
            );
        }
    }
}
