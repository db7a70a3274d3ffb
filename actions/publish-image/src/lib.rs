//! The `publish-image` stage: a model that passed in; an OCI image, on disk and in a registry, out.

mod destination;
mod image;
mod inputs;
mod permit;
mod server;
mod smoke;

use std::path::Path;

use anyhow::Context as _;
use tokio::runtime::Runtime;
use trainyard_core::config::Config;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::model::ModelFolder;
use trainyard_core::publication::{PUBLICATION_FILE, Publication, SCHEMA_VERSION};
use trainyard_core::report::escape;
use trainyard_core::results::ResultFolder;
use trainyard_ml::data::Split;
use trainyard_oci::spec::Descriptor;
use trainyard_oci::{ImageReference, Layout};
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

use destination::Naming;
use image::Parts;
pub use inputs::{Inputs, OUTPUTS};
use permit::Permit;
use server::Server;
use smoke::Sample;

/// Runs the stage.
pub fn publish_image(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let stage = Stage::start("publish-image", &inputs.stage.log)?;
    let folder = inputs.stage.out.join("image");
    let results = ResultFolder::begin(&folder, PUBLICATION_FILE)?;
    // Without its index an earlier layout is not an image that a later step could push.
    Layout::withdraw(&folder).exit_code(ExitCode::Data)?;
    let config = Config::read(&inputs.stage.config).exit_code(ExitCode::Usage)?;
    let to = inputs.push.as_ref().or(config.image.repository.as_ref());
    let to: Option<ImageReference> = to
        .map(|reference| lowercased(reference).parse().exit_code(ExitCode::Usage))
        .transpose()?;
    let model = ModelFolder::open(&inputs.stage.out.join("model"))
        .exit_code(ExitCode::Data)
        .hint("run `trainyard-train` first")?;
    let is_trusted = !stage.context.is_unverified();
    let permit = permit::check(
        &config,
        inputs.stage.base(),
        &inputs.stage.out,
        inputs.baseline.as_deref(),
        &model,
        stage.context.head_sha.as_deref().filter(|_| is_trusted),
        inputs.allow_override,
    )?;
    let verdict = match permit {
        Permit::Granted(verdict) => *verdict,
        Permit::Withheld(verdict) => {
            let by = verdict
                .overridden
                .as_ref()
                .map_or("a person", |found| &found.by);
            return withhold(&stage, to.as_ref(), by);
        }
    };
    let server = Server::find(inputs.server.as_deref())?;

    let layout = Layout::create(&folder).exit_code(ExitCode::Data)?;
    let parts = Parts {
        config: &config,
        model: &model,
        verdict: &verdict,
        server: &server,
        context: &stage.context,
        created_s: image::created_s(inputs.stage.base())?,
    };
    let image = parts.build(&layout)?;
    let manifest = layout.add_image(&image).exit_code(ExitCode::Data)?;
    // One thread is enough: what takes time is hashing and sending, one after the other.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .exit_code(ExitCode::Bug)?;
    let n_smoke_test_rows = smoke_test(
        &config, &inputs, &model, &server, &layout, &manifest, &runtime,
    )?;

    let naming = Naming {
        inputs: &inputs,
        context: &stage.context,
        model: &model.manifest.name,
    };
    naming.warn_of_no_version(to.as_ref());
    let names: Vec<String> = naming
        .tags(to.as_ref(), &[])?
        .into_iter()
        .map(|tag| tag.name)
        .collect();
    layout.finish(&manifest, &names).exit_code(ExitCode::Data)?;
    tracing::info!(
        "wrote the OCI layout `{}`, {}",
        folder.display(),
        manifest.digest
    );
    let destinations = match &to {
        Some(to) => vec![runtime.block_on(destination::push(to, &naming, &layout, &manifest))?],
        None => Vec::new(),
    };

    let document = layout.manifest(&manifest).exit_code(ExitCode::Data)?;
    let blobs = document.layers.iter().chain([&document.config, &manifest]);
    let publication = Publication {
        schema_version: SCHEMA_VERSION,
        model_name: model.manifest.name.clone(),
        model_digest: model.digest.clone(),
        verdict: verdict.verdict,
        evaluation_digest: verdict
            .evaluation_digest
            .clone()
            .context("a verdict that passes names its evaluation")
            .exit_code(ExitCode::Bug)?,
        image_digest: manifest.digest.clone(),
        size_bytes: blobs.map(|blob| blob.size).sum(),
        platform: format!("{}/{}", image.platform.os, image.platform.architecture),
        n_smoke_test_rows,
        run_command: run_command(
            &config,
            &folder,
            &names,
            destinations.first().map(|to| &*to.image),
        ),
        layout_names: names,
        destinations,
        trainyard_version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: stage.context.head_sha.clone(),
    };
    results.finish(&publication)?;
    report(&stage, &publication, &folder)?;
    Ok(ExitCode::Success)
}

/// The reference with its repository in small letters, which registries insist on and `${{ github.repository }}` does not
/// have; a tag keeps its letters.
fn lowercased(reference: &str) -> String {
    let name_end = reference.rfind('/').map_or(0, |slash| {
        let rest = &reference[slash..];
        slash + rest.find([':', '@']).unwrap_or(rest.len())
    });
    let (name, rest) = reference.split_at(name_end);
    let small = name.to_lowercase();
    if small != name {
        tracing::info!("image repositories are in small letters: `{small}`");
    }
    small + rest
}

/// Publishes nothing though a person let the model through. Where no push is asked for, that is no failure of this run.
fn withhold(stage: &Stage, to: Option<&ImageReference>, by: &str) -> anyhow::Result<ExitCode> {
    if to.is_some() {
        return Err(anyhow::anyhow!(
            "the model failed the gate and was let through by {by}, so it is not published"
        ))
        .exit_code(ExitCode::GateFailed)
        .hint("set `allow-override: \"true\"` (`--allow-override`) to publish such models too");
    }
    tracing::warn!(
        "the model failed the gate and was let through by {by}: no image is built without `--allow-override`"
    );
    for (name, _) in OUTPUTS {
        stage.set_output(name, "")?;
    }
    Ok(ExitCode::Success)
}

/// How many rows the packed server answered as it should.
fn smoke_test(
    config: &Config,
    inputs: &Inputs,
    model: &ModelFolder,
    server: &Server,
    layout: &Layout,
    manifest: &Descriptor,
    runtime: &Runtime,
) -> anyhow::Result<usize> {
    const LEAVE_OUT: &str = "`[image] smoke_test_rows = 0` leaves the smoke test out";
    let n_rows = config.image.smoke_test_rows;
    if n_rows == 0 {
        tracing::warn!("the packed server was not tried, since `[image] smoke_test_rows` is 0");
        return Ok(0);
    }
    if !server.runs_here() {
        let error = anyhow::anyhow!(
            "the server in the image is for {}, so it cannot be tried on this machine",
            server.platform.architecture
        );
        return Err(error).exit_code(ExitCode::Usage).hint(LEAVE_OUT);
    }
    let dataset = inputs
        .data
        .load(
            &inputs.stage,
            config,
            Split::Test,
            model.manifest.columns.as_deref(),
        )
        .hint(LEAVE_OUT)?;
    let folder = inputs.stage.out.join("evaluation");
    let (evaluation, _) = Evaluation::open(&folder).exit_code(ExitCode::Inconclusive)?;
    let sample = Sample::take(&evaluation, &folder, &dataset, n_rows)
        .exit_code(ExitCode::Inconclusive)
        .hint("run `trainyard-evaluate` again on this data")?;
    let root = tempfile::tempdir()
        .context("making a temporary folder")
        .exit_code(ExitCode::Data)?;
    layout
        .unpack(manifest, root.path())
        .exit_code(ExitCode::Data)?;
    runtime
        .block_on(smoke::test(root.path(), &model.manifest, &sample))
        .context("the image does not answer as the evaluated model did, so it is not published")
        .exit_code(ExitCode::Inconclusive)?;
    tracing::info!(
        "the packed server answered {} rows as the evaluation did",
        sample.n_rows()
    );
    Ok(sample.n_rows())
}

/// The one command that runs the image: from the registry, else from the layout.
fn run_command(config: &Config, folder: &Path, names: &[String], image: Option<&str>) -> String {
    let port = config.image.port;
    match (image, names.first()) {
        (Some(image), _) => format!("docker run --rm --publish {port}:{port} {image}"),
        (None, Some(name)) => {
            let source = format!("oci:{}:{name}", folder.display());
            format!("podman run --rm --publish {port}:{port} {source}")
        }
        (None, None) => String::new(),
    }
}

/// Outputs, log and summary.
fn report(stage: &Stage, publication: &Publication, folder: &Path) -> anyhow::Result<()> {
    let Publication {
        model_name,
        model_digest,
        image_digest,
        size_bytes,
        platform,
        destinations,
        layout_names,
        run_command,
        ..
    } = publication;
    let pushed = destinations.first();
    let tags = pushed.map_or(layout_names, |destination| &destination.tags);
    stage.set_output("digest", image_digest)?;
    stage.set_output("image", pushed.map_or("", |destination| &destination.image))?;
    stage.set_output("tags", tags.join("\n"))?;
    stage.set_path_output("image-folder", folder)?;
    stage.set_output("model-digest", model_digest)?;
    let place = pushed.map_or_else(
        || format!("OCI layout `{}`", folder.display()),
        |destination| format!("`{}`", destination.image),
    );
    let tags: Vec<String> = tags.iter().map(|tag| format!("`{tag}`")).collect();
    let title = if pushed.is_some() {
        "Published"
    } else {
        "Image built"
    };
    let size = *size_bytes as f64 / 1e6;
    stage.summarise(&format!(
        "### {title} · {}\n\n| | |\n| :-- | :-- |\n| Image | {place} |\n| Digest | `{image_digest}` |\n| Tags | {} |\n\
         | Model | `{model_digest}` |\n| Size | {size:.1} MB, {platform} |\n\nRun it:\n\n```sh\n{run_command}\n```\n",
        escape(model_name),
        tags.join(", "),
    ));
    stage.print(&format!(
        "image  {image_digest}\ntags   {}\nsize   {size:.1} MB, {platform}\nrun    {run_command}\n",
        tags.join(", ").replace('`', "")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_in_small_letters_and_a_tag_as_it_is() {
        for (given, expected) in [
            ("ghcr.io/Acme/Digits", "ghcr.io/acme/digits"),
            ("ghcr.io/Acme/Digits:V1-RC", "ghcr.io/acme/digits:V1-RC"),
            (
                "localhost:5000/A/b@sha256:AB",
                "localhost:5000/a/b@sha256:AB",
            ),
            ("ghcr.io/acme/digits", "ghcr.io/acme/digits"),
        ] {
            assert_eq!(lowercased(given), expected);
        }
    }
}
