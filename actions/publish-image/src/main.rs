//! `trainyard-publish-image`: see the library of this package.

fn main() -> std::process::ExitCode {
    trainyard_runner::run("publish-image", || {
        trainyard_publish_image::publish_image(trainyard_runner::inputs::parse())
    })
}
