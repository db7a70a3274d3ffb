//! How many fused multiply-adds one core can do, measured: what kernels are held against.

#![expect(unsafe_code, reason = "uses instructions that were detected")]

use std::time::Instant;

use super::isa::Isa;

/// Independent sums, enough to hide the instructions' latency.
const N_SUMS: usize = 16;

const N_STEPS: usize = 2_000_000;

/// GFLOP/s of one core, the best of several tries; 0 where the machine has no fused multiply-add.
pub fn fma_peak_gflops() -> f64 {
    let tries = (0..10).map(|_| {
        let start = Instant::now();
        let n_lanes = spin();
        2e-9 * (n_lanes * N_SUMS * N_STEPS) as f64 / start.elapsed().as_secs_f64()
    });
    tries.fold(0.0, f64::max)
}

/// Computes without touching memory; returns how many lanes an instruction has.
fn spin() -> usize {
    #[cfg(target_arch = "x86_64")]
    if Isa::detect() >= Isa::Avx2 {
        // SAFETY: AVX2 and FMA were detected.
        unsafe { spin_avx2() };
        return 8;
    }
    let _ = Isa::detect();
    0
}

/// # Safety
/// The machine must have AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn spin_avx2() {
    use std::arch::x86_64::{_mm256_fmadd_ps, _mm256_set1_ps};
    let (factor, term) = (
        _mm256_set1_ps(std::hint::black_box(0.999)),
        _mm256_set1_ps(std::hint::black_box(0.001)),
    );
    // Two rounds of eight, which registers hold.
    for _ in 0..2 {
        let mut sums = [_mm256_set1_ps(std::hint::black_box(1.0)); N_SUMS / 2];
        for _ in 0..N_STEPS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, term);
            }
        }
        std::hint::black_box(sums);
    }
}
