//! The `publish-image` stage: a model that passed in; an OCI image, on disk and in a registry, out.

mod base;
mod checkout;
mod destinations;
mod evidence;
mod github_attestations;
mod github_release;
mod image;
mod inputs;
mod keyless;
mod naming;
mod permit;
mod preflight;
mod provenance;
mod pushing;
mod release;
mod runtime;
mod server;
mod signing;
mod smoke;

use std::panic;
use std::path::Path;
use std::thread;

use anyhow::Context as _;
use tempfile::TempDir;
use trainyard_core::config::{Config, ReleaseMode};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::files;
use trainyard_core::held_out_sample::{MAX_SAMPLE_VALUES, SAMPLE_FILE};
use trainyard_core::model::{FileEntry, ModelFolder};
use trainyard_core::publication::{
    PUBLICATION_FILE, Publication, Referrer, SCHEMA_VERSION, SigningIdentity,
};
use trainyard_core::report::escape;
use trainyard_core::results::ResultFolder;
use trainyard_oci::{ImageReference, Layer, Layout, RetryPolicy};
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

use base::Base;
use checkout::Checkout;
use evidence::{Attached, Evidence, Subject};
use github_attestations::GitHubAttestations;
use github_release::{GitHubRelease, Page};
use image::Parts;
pub use inputs::{Inputs, KeylessArgs, OUTPUTS};
use naming::Naming;
use permit::{Granted, Permit};
use pushing::Pushing;
use release::Published;
use server::Server;
use signing::Signer;
use smoke::{Packed, SmokeTest};

/// Runs the stage.
pub fn publish_image(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::start("publish-image", &inputs.stage.log)?;
    if inputs.preflight {
        return preflight::run(&stage, &inputs);
    }
    let folder = inputs.stage.out.join("image");
    let results = ResultFolder::begin(&folder, PUBLICATION_FILE)?;
    // Without its index an earlier layout is not an image that a later step could push.
    Layout::withdraw(&folder).exit_code(ExitCode::Data)?;
    release::remove_files(&folder)?;
    let config = Config::read(&inputs.stage.config).exit_code(ExitCode::Usage)?;
    let targets = destinations::targets(&inputs, &config)?;
    let naming = Naming::new(&inputs, &stage.context, &config.model.name);
    // A wrong tag is said before anything is built.
    let names: Vec<String> = (naming.tags(targets.first())?.into_iter())
        .map(|tag| tag.name)
        .collect();
    let servers = Server::find_all(&inputs.server, &config.image.platforms)?;
    let signer = Signer::find(&inputs, &config)?.filter(|signer| may_sign(signer, &inputs));
    let layout = Layout::create(&folder).exit_code(ExitCode::Data)?;
    // Packed first: each byte of the weights is read once, for the layer and for the digests that all that follows goes by.
    let model_folder = inputs.stage.out.join("model");
    let manifest = ModelFolder::read_manifest(&model_folder)
        .exit_code(ExitCode::Data)
        .hint("run `trainyard-train` first")?;
    let runnable_idx = servers.iter().position(Server::runs_here);
    let is_tried = config.image.smoke_test_rows > 0;
    let pack_servers = || -> anyhow::Result<(Vec<Layer>, Option<TempDir>)> {
        let cache = inputs.data.layers();
        let pack = |server| image::pack_server(server, &config.image, &layout, cache.as_deref());
        let layers: Vec<Layer> = servers.iter().map(pack).collect::<Result<_, _>>()?;
        // For the smoke test, while there is time.
        let unpacked = match runnable_idx.filter(|_| is_tried) {
            Some(idx) => Some(Packed::early(&layers[idx]).exit_code(ExitCode::Data)?),
            None => None,
        };
        Ok((layers, unpacked))
    };
    let (model_layer, packed_servers) = thread::scope(|scope| {
        let packing = scope.spawn(pack_servers);
        let model_layer = image::pack_model(&model_folder, &manifest, &layout);
        let packed_servers = packing.join();
        (
            model_layer,
            packed_servers.unwrap_or_else(|payload| panic::resume_unwind(payload)),
        )
    });
    let (model_layer, (server_layers, unpacked)) = (model_layer?, packed_servers?);
    let model = image::packed_model(&model_folder, &model_layer).exit_code(ExitCode::Data)?;
    let is_trusted = !stage.context.is_unverified();
    let permit = permit::check(
        &config,
        inputs.stage.base(),
        &inputs.stage.out,
        inputs.baseline.as_ref(),
        &model,
        stage.context.head_sha.as_deref().filter(|_| is_trusted),
        inputs.allow_override,
    );
    if !matches!(permit, Ok(Permit::Granted(_))) {
        // Nothing of a model that may not be published stays in a folder for images.
        for layer in [&model_layer].into_iter().chain(&server_layers) {
            files::remove(&layer.path).exit_code(ExitCode::Data)?;
        }
    }
    let Granted {
        verdict,
        evaluation,
        rows,
        baseline_source,
        verdict_files,
    } = match permit? {
        Permit::Granted(granted) => *granted,
        Permit::Withheld(verdict) => {
            let by = verdict
                .overridden
                .as_ref()
                .map_or("a person", |found| &found.by);
            return withhold(&stage, !targets.is_empty(), by);
        }
    };
    let reach = destinations::reach(&inputs, &config, RetryPolicy::default());
    let runtime = runtime::one_thread()?;
    let checkout = Checkout::find(&stage.context, inputs.stage.base(), &inputs.stage.out);
    let parts = Parts {
        config: &config,
        folder: inputs.stage.base(),
        model: &model,
        model_layer: &model_layer,
        verdict: &verdict,
        evaluation: &evaluation,
        context: &stage.context,
        version: naming.version(),
        checkout: checkout.as_ref(),
        created_s: image::created_s(inputs.stage.base())?,
    };
    let mut images = Vec::new();
    for packed in servers.iter().zip(&server_layers) {
        let (server, _) = packed;
        let base = match &config.image.base {
            Some(base) => {
                let copied = Base::copy(base, &server.platform, &reach, &layout);
                let base = runtime.block_on(copied)?;
                base.check_room_for(&model_layer)?;
                Some(base)
            }
            None => None,
        };
        let image = parts.build(packed, base.as_ref(), &layout)?;
        images.push(layout.add_image(&image).exit_code(ExitCode::Data)?);
    }
    let manifest = match images.as_slice() {
        [image] => image.clone(),
        _ => layout.add_index(images.clone()).exit_code(ExitCode::Data)?,
    };
    let image_name = targets.first().map(ImageReference::name);
    let evidence = Evidence {
        model: &model,
        files: &image::packed_files(&model, &model_layer),
        model_pack: &parts.model_pack(),
        model_layer: &model_layer,
        verdict: &verdict,
        evaluation: &evaluation,
        out: &inputs.stage.out,
        context: &stage.context,
        checkout: checkout.as_ref(),
        image_name: image_name.as_deref().unwrap_or(&model.manifest.name),
        version: naming.version(),
        created_s: parts.created_s,
        finished_s: evidence::finished_s()?,
        signer: signer.as_ref(),
    };
    let mut subjects: Vec<Subject<'_>> = (images.iter().zip(&servers))
        .map(|(manifest, server)| Subject {
            manifest,
            server: Some(server),
        })
        .collect();
    if images.len() > 1 {
        subjects.push(Subject {
            manifest: &manifest,
            server: None,
        });
    }
    let Attached {
        attachments,
        referrers,
        bundles,
    } = evidence.attach(&subjects, &layout)?;

    naming.warn_of_no_version(&targets);
    let pushing = Pushing {
        reach: &reach,
        naming: &naming,
        layout: &layout,
        manifest: &manifest,
        attachments: &attachments,
        targets: if inputs.dry_run { &[] } else { &targets },
    };
    let (sample, sent) = pushing.upload_during(&runtime, || {
        let test = SmokeTest {
            config: &config,
            inputs: &inputs,
            model: &model,
            evaluation: &evaluation,
            servers: &servers,
            runnable_idx,
        };
        test.run(rows, |idx| {
            Packed::of(
                &layout,
                &images[idx],
                Some(&server_layers[idx]).zip(unpacked),
            )
        })
    })?;
    layout
        .finish(&manifest, &names, &attachments)
        .exit_code(ExitCode::Data)?;
    tracing::info!(
        "wrote the OCI layout `{}`, {}",
        folder.display(),
        manifest.digest
    );
    if inputs.dry_run {
        let mode = release_mode(&inputs, &config);
        return preflight::show(
            &stage, &layout, &manifest, &referrers, &naming, &targets, mode,
        );
    }
    let destinations = runtime.block_on(pushing.name(sent))?;
    for destination in &destinations {
        stage.declare_image(&destination.image);
    }
    // A tag that the registry left at another image is not this one's name here either.
    let names = match destinations.first() {
        Some(first) if first.tags == names => names,
        Some(first) => {
            layout
                .rename(&manifest, &first.tags, &attachments)
                .exit_code(ExitCode::Data)?;
            first.tags.clone()
        }
        None => names,
    };

    if let Some(sample) = &sample {
        // For a deployment, whose pods must answer it too.
        let sample = sample.shortened(MAX_SAMPLE_VALUES);
        files::write_json(&folder.join(SAMPLE_FILE), &sample)?;
    }
    let blobs = layout.blobs_of(&manifest).exit_code(ExitCode::Data)?;
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
        size_bytes: blobs.iter().map(|blob| blob.size).sum(),
        platforms: servers
            .iter()
            .map(|server| server.platform.to_string())
            .collect(),
        n_smoke_test_rows: sample.map_or(0, |sample| sample.n_rows),
        run_command: run_command(
            &config,
            &folder,
            &names,
            destinations.first().map(|to| &*to.image),
        ),
        layout_names: names,
        destinations,
        referrers,
        signing_key: match &signer {
            Some(Signer::Key(key)) => Some(key.public_key().fingerprint()),
            _ => None,
        },
        signing_identity: match &signer {
            Some(Signer::Keyless(keyless)) => keyless.identity(),
            _ => None,
        },
        trainyard_version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: (stage.context.head_sha.clone())
            .or_else(|| checkout.and_then(|checkout| checkout.commit)),
    };
    let published = Published {
        naming: &naming,
        config: &config,
        manifest: &model.manifest,
        verdict: &verdict,
        evaluation: &evaluation,
        baseline_source: baseline_source.as_deref(),
        publication: &publication,
    };
    let released = published.release();
    let written = released.as_ref().map(|it| it.write(&folder));
    let written = written.transpose()?;
    results.finish(&publication)?;
    release::set_outputs(&stage, written.as_ref())?;
    let on_github = released.as_ref().zip(written.as_ref());
    let on_github = on_github.map(|(released, written)| {
        let release = GitHubRelease {
            released,
            model_card: &written.model_card,
            pages: pages(&inputs.stage.out, &evaluation.files, &verdict_files),
            mode: release_mode(&inputs, &config),
            args: &inputs.github,
            ca: reach.ca.clone(),
        };
        release.write(&stage.context, &runtime)
    });
    let on_github = on_github.unwrap_or_default();
    stage.set_output("release-url", on_github.url.unwrap_or_default())?;
    let attestations = GitHubAttestations {
        bundles: &bundles,
        args: &inputs.github,
        ca: reach.ca.clone(),
    };
    let is_pushed = !publication.destinations.is_empty();
    let not_stored = is_pushed.then(|| attestations.post(&stage.context, &runtime));
    let warnings = on_github.warning.into_iter().chain(not_stored.flatten());
    stage.annotate(warnings.collect());
    report(&stage, &publication, &folder)?;
    Ok(ExitCode::Success)
}

/// Whether to sign in this run: entries of a transparency log are permanent, so a dry run does not sign keyless.
fn may_sign(signer: &Signer, inputs: &Inputs) -> bool {
    let is_rehearsal = inputs.dry_run && matches!(signer, Signer::Keyless(_));
    if is_rehearsal {
        tracing::info!("`--dry-run` does not sign keyless, since log entries are permanent");
    }
    !is_rehearsal
}

/// When the release on GitHub is written.
fn release_mode(inputs: &Inputs, config: &Config) -> ReleaseMode {
    let input = inputs.github.release;
    input.map_or(config.image.release, Into::into)
}

/// The pages that people read: of the evaluation and of the verdict, as these name them.
fn pages<'a>(out: &Path, evaluation: &'a [FileEntry], verdict: &'a [FileEntry]) -> Vec<Page<'a>> {
    let is_page = |file: &&FileEntry| {
        let extension = Path::new(&file.path).extension();
        extension.is_some_and(|extension| extension == "html")
    };
    let of = |stage: &str, files: &'a [FileEntry]| {
        let folder = out.join(stage);
        let pages = files.iter().filter(is_page);
        pages.map(move |file| Page {
            folder: folder.clone(),
            file,
        })
    };
    of("evaluation", evaluation)
        .chain(of("verdict", verdict))
        .collect()
}

/// Publishes nothing though a person let the model through. Where no push is asked for, that is not a failure of this run.
fn withhold(stage: &Stage, has_target: bool, by: &str) -> anyhow::Result<ExitCode> {
    if has_target {
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
        platforms,
        destinations,
        layout_names,
        run_command,
        referrers,
        signing_key,
        signing_identity,
        ..
    } = publication;
    let signer = match (signing_key, signing_identity) {
        (Some(key), _) => format!("signed with the key `{key}`"),
        (None, Some(SigningIdentity { identity, issuer })) => {
            format!("signed by `{identity}` (`{issuer}`)")
        }
        (None, None) => "not signed".to_owned(),
    };
    let evidence = evidence_in_words(referrers, image_digest, &signer);
    let pushed = destinations.first();
    let tags = pushed.map_or(layout_names, |destination| &destination.tags);
    stage.set_output("digest", image_digest)?;
    stage.set_output("image", pushed.map_or("", |destination| &destination.image))?;
    let images: Vec<&str> = destinations.iter().map(|it| it.image.as_str()).collect();
    stage.set_output("images", images.join("\n"))?;
    stage.set_output("tags", tags.join("\n"))?;
    stage.set_path_output("image-folder", folder)?;
    stage.set_output("model-digest", model_digest)?;
    let place = if images.is_empty() {
        format!("OCI layout `{}`", folder.display())
    } else {
        format!("`{}`", images.join("`<br>`"))
    };
    let tags: Vec<String> = tags.iter().map(|tag| format!("`{tag}`")).collect();
    let title = if pushed.is_some() {
        "Published"
    } else {
        "Image built"
    };
    let size = *size_bytes as f64 / 1e6;
    let platforms = platforms.join(", ");
    stage.summarise(&format!(
        "### {title} · {}\n\n| | |\n| :-- | :-- |\n| Image | {place} |\n| Digest | `{image_digest}` |\n| Tags | {} |\n\
         | Model | `{model_digest}` |\n| Size | {size:.1} MB, {platforms} |\n| Evidence | {evidence} |\n\nRun it:\n\n```sh\n{run_command}\n```\n",
        escape(model_name),
        tags.join(", "),
    ));
    stage.print(&format!(
        "image     {image_digest}\ntags      {}\nsize      {size:.1} MB, {platforms}\nevidence  {}\nrun       {run_command}\n",
        tags.join(", ").replace('`', ""),
        evidence.replace('`', "")
    ))
}

/// What is attached to the image itself, and who signed it.
fn evidence_in_words(referrers: &[Referrer], image: &Sha256Digest, signer: &str) -> String {
    let kinds = referrers.iter().filter(|it| it.subject == *image);
    let kinds: Vec<&str> = kinds.map(|it| evidence::name_of(&it.kind)).collect();
    format!("{}; {signer}", kinds.join(", "))
}
