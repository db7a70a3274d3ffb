//! `trainyard-train`: see the library of this package.

fn main() -> std::process::ExitCode {
    trainyard_runner::run("train", || {
        trainyard_train::train(trainyard_runner::inputs::parse())
    })
}
