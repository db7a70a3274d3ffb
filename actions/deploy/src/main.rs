//! `trainyard-deploy`: see the library of this package.

fn main() -> std::process::ExitCode {
    trainyard_runner::run("deploy", || {
        trainyard_deploy::deploy(trainyard_runner::inputs::parse())
    })
}
