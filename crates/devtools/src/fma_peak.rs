//! Prints the fused multiply-adds that one core can do, in GFLOP/s: the yardstick of `cargo xtask bench training`.

#![expect(clippy::print_stdout, reason = "prints one number")]

fn main() {
    println!("{:.2}", trainyard_ml::kernels::fma_peak_gflops());
}
