//! The arithmetic of layers: pure functions over f32 slices, the only place with `unsafe` code.
//!
//! Images are NHWC, kernels HWIO and dense kernels in x out, all row-major, as Keras lays them out. Every kernel has a
//! plain reference beside it in its tests, and its gradient is checked against finite differences.

pub mod activation;
mod buffer;
pub mod conv;
pub mod depthwise;
pub mod gemm;
pub mod grey_conv;
pub(crate) mod isa;
mod lanes;
pub mod loss;
pub mod norm;
mod peak;
pub mod pool;
pub mod sparse;

pub use buffer::Buffer;
pub(crate) use buffer::with_scratch;
pub use peak::fma_peak_gflops;

/// Central finite differences of `value` at `at`: the independent source for gradients in tests.
#[cfg(test)]
pub(crate) fn finite_differences(at: &[f32], mut value: impl FnMut(&[f32]) -> f64) -> Vec<f64> {
    const STEP: f32 = 1e-2;
    let mut point = at.to_vec();
    (0..at.len())
        .map(|idx| {
            point[idx] = at[idx] + STEP;
            let above = value(&point);
            point[idx] = at[idx] - STEP;
            let below = value(&point);
            point[idx] = at[idx];
            (above - below) / (2.0 * f64::from(STEP))
        })
        .collect()
}

/// Asserts that a gradient agrees with finite differences within what f32 sums allow.
#[cfg(test)]
#[track_caller]
pub(crate) fn assert_gradient(gradient: &[f32], expected: &[f64]) {
    assert_eq!(gradient.len(), expected.len());
    for (idx, (&found, &expected)) in gradient.iter().zip(expected).enumerate() {
        let difference = (f64::from(found) - expected).abs();
        assert!(
            difference <= 2e-2 * expected.abs().max(1.0),
            "element {idx}: {found} is not {expected}"
        );
    }
}

/// Small numbers without pattern, for tests.
#[cfg(test)]
pub(crate) fn noise(n: usize, seed: u64) -> Vec<f32> {
    let mut stream = crate::random::Stream::new(seed, crate::random::Purpose::Weights, 99);
    (0..n).map(|_| stream.uniform() * 2.0 - 1.0).collect()
}
