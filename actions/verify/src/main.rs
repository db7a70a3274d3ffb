//! `trainyard-verify`: see the library of this package.

fn main() -> std::process::ExitCode {
    trainyard_runner::run("verify", || {
        trainyard_verify::verify_image(trainyard_runner::inputs::parse())
    })
}
