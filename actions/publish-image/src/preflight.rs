//! What can be known before a model is trained: whether the image could be pushed, and what would be.

use std::fmt::Write as _;
use std::fs;

use anyhow::anyhow;
use trainyard_core::config::{Config, ImageFile, ReleaseMode};
use trainyard_core::publication::Referrer;
use trainyard_oci::spec::Descriptor;
use trainyard_oci::tags::{TagKind, TagPlan};
use trainyard_oci::{Access, ImageReference, Layout, Registry, RegistryError, RetryPolicy};
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

use crate::base::Base;
use crate::destinations;
use crate::naming::{Naming, Released};
use crate::server::Server;
use crate::signing::Signer;
use crate::{Inputs, OUTPUTS};

/// Checks names, tags and what is to be packed, then that the base image is there, and for each registry that it is reached, knows the
/// user, lets them write, and has no other image under the version. The images of a release are compared later: there is none yet.
pub(crate) fn run(stage: &Stage, inputs: &Inputs) -> anyhow::Result<ExitCode> {
    let config = Config::read(&inputs.stage.config).exit_code(ExitCode::Usage)?;
    let targets = destinations::targets(inputs, &config)?;
    let naming = Naming::new(inputs, &stage.context, &config.model.name);
    for (name, _) in OUTPUTS {
        stage.set_output(name, "")?;
    }
    for file in &config.image.files {
        check_file(file, inputs)?;
    }
    if stage.context.is_unverified() {
        tracing::info!("this run cannot be trusted with an image, so no registry is asked");
        return Ok(ExitCode::Success);
    }
    naming.warn_of_no_version(&targets);
    // Without a destination the layout is what is asked for.
    naming.tags(targets.first())?;
    let servers = Server::find_all(&inputs.server, &config.image.platforms)?;
    Signer::find(inputs, &config)?;
    // A host that is down now may be up when the model is trained, but rarely.
    let retry = RetryPolicy {
        n_attempts: 3,
        ..RetryPolicy::default()
    };
    let reach = destinations::reach(inputs, &config, retry);
    let runtime = crate::runtime::one_thread()?;
    if let Some(base) = &config.image.base {
        for server in &servers {
            runtime.block_on(Base::find(base, &server.platform, &reach))?;
        }
    }
    for to in &targets {
        let tags = naming.tags(Some(to))?;
        let registry = reach.connect(to, Access::Push)?;
        let checked = runtime.block_on(check(&registry, &tags));
        checked.exit_code(ExitCode::Service)?;
        let names: Vec<&str> = tags.iter().map(|tag| tag.name.as_str()).collect();
        tracing::info!("`{}` may be pushed to: {}", to.name(), names.join(", "));
    }
    if targets.is_empty() {
        tracing::info!("no repository is named, so the image stays in the output folder");
    }
    Ok(ExitCode::Success)
}

/// Whether a further file is there. Its place in the image was checked with the configuration.
fn check_file(file: &ImageFile, inputs: &Inputs) -> anyhow::Result<()> {
    let source = inputs.stage.base().join(&file.source);
    if fs::metadata(&source).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(());
    }
    Err(anyhow!(
        "`[[image.files]]` names `{}`, which is not a file that can be read",
        source.display()
    ))
    .exit_code(ExitCode::Data)
}

async fn check(registry: &Registry, tags: &[TagPlan]) -> Result<(), RegistryError> {
    registry.check_write().await?;
    for tag in tags.iter().filter(|tag| tag.kind == TagKind::Version) {
        // The same image again is fine, and what it will be is not known yet.
        if let Some(existing) = registry.digest_of(&tag.name).await? {
            tracing::warn!(
                "the version `{}` is in `{}` already, {existing}: only the very same image can be published under it",
                tag.name,
                registry.repository().name()
            );
        }
    }
    Ok(())
}

/// Prints the manifest and what would be written where.
pub(crate) fn show(
    stage: &Stage,
    layout: &Layout,
    manifest: &Descriptor,
    referrers: &[Referrer],
    naming: &Naming<'_>,
    targets: &[ImageReference],
    mode: ReleaseMode,
) -> anyhow::Result<ExitCode> {
    let document = layout.manifest(manifest).exit_code(ExitCode::Data)?;
    let json = serde_json::to_string_pretty(&document).exit_code(ExitCode::Bug)?;
    let mut text = format!("manifest  {}\n{json}\n", manifest.digest);
    for blob in document.layers.iter().chain([&document.config]) {
        let _ = writeln!(text, "blob      {}  {} bytes", blob.digest, blob.size);
    }
    for Referrer { kind, digest, .. } in referrers {
        let _ = writeln!(text, "attached  {digest}  {kind}");
    }
    for to in targets {
        for tag in naming.tags(Some(to))? {
            let when = match tag.kind {
                TagKind::Version => "unless it is another image",
                TagKind::Once => "unless it exists",
                TagKind::Floating => "moved to this image",
                TagKind::Unversioned => "moved to this image, unless a version is there",
                TagKind::Leading(_) => "where no higher version is there",
            };
            let _ = writeln!(text, "tag       {}:{}  {when}", to.name(), tag.name);
        }
    }
    if targets.is_empty() {
        text.push_str("no repository is named, so nothing would be pushed\n");
    }
    if let Some(Released { tag, .. }) = naming.released() {
        let when = match mode {
            ReleaseMode::Update => "its notes and files, where it is there",
            ReleaseMode::Create => "its notes and files, made where it is not there",
            ReleaseMode::Never => "left as it is",
        };
        let _ = writeln!(text, "release   {tag} on GitHub  {when}");
    }
    for (name, _) in OUTPUTS {
        stage.set_output(name, "")?;
    }
    stage.set_output("digest", &manifest.digest)?;
    stage.set_path_output("image-folder", layout.root())?;
    stage.print(&text)?;
    Ok(ExitCode::Success)
}
