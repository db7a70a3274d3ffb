//! `trainyard-evaluate`: see the library of this package.

fn main() -> std::process::ExitCode {
    trainyard_runner::run("evaluate", || {
        trainyard_evaluate::evaluate(trainyard_runner::inputs::parse())
    })
}
