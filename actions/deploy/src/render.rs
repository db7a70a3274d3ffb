//! Files instead of a cluster: manifests and charts, or a digest in files of a GitOps repository.

use std::path::Path;

use trainyard_core::files;
use trainyard_kubernetes::{App, chart, inference_service, kustomization, plain};
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

use crate::subject::Subject;

/// Writes every form of the app to `folder`.
pub(crate) fn render(stage: &Stage, folder: &Path, app: &App) -> anyhow::Result<ExitCode> {
    let mut all = vec![
        ("kustomize/manifests.yaml".to_owned(), plain(app)),
        (
            "kustomize/kustomization.yaml".to_owned(),
            kustomization(app),
        ),
        ("inference-service.yaml".to_owned(), inference_service(app)),
    ];
    let of_chart = chart(app, env!("CARGO_PKG_VERSION")).into_iter();
    all.extend(of_chart.map(|(path, text)| (format!("chart/{path}"), text)));
    for (path, text) in &all {
        files::write(&folder.join(path), text.as_bytes()).exit_code(ExitCode::Data)?;
    }
    tracing::info!("wrote {} files to `{}`", all.len(), folder.display());
    stage.set_output("outcome", "planned")?;
    Ok(ExitCode::Success)
}

/// Sets the digest of the image in the files that name it.
pub(crate) fn write_digest(
    stage: &Stage,
    path: &Path,
    subject: &Subject,
) -> anyhow::Result<ExitCode> {
    let repository = subject.image.name();
    let digest = subject.image.digest().expect("it was resolved");
    let changed = trainyard_kubernetes::write_digest(path, &repository, &digest.to_string())
        .exit_code(ExitCode::Usage)
        .hint(format!(
            "write `{repository}` once, with any digest, where it is to be set"
        ))?;
    match changed.as_slice() {
        [] => tracing::info!("`{}` names this digest already", path.display()),
        changed => {
            for file in changed {
                tracing::info!("`{}` names {digest}", file.display());
            }
        }
    }
    stage.set_output(
        "outcome",
        if changed.is_empty() {
            "unchanged"
        } else {
            "planned"
        },
    )?;
    Ok(ExitCode::Success)
}
