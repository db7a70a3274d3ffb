//! `trainyard-gate`: see the library of this package.

fn main() -> std::process::ExitCode {
    trainyard_runner::run("gate", || {
        trainyard_gate::gate(trainyard_runner::inputs::parse())
    })
}
