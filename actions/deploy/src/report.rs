//! `deployment.json`, outputs and summary, and the exit code that they stand for.

use std::fmt::Write as _;

use anyhow::anyhow;
use trainyard_core::deployment::{Deployment, DeploymentOutcome, ObjectChange};
use trainyard_core::figure::percent;
use trainyard_core::report::escape;
use trainyard_core::results::ResultFolder;
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

/// Writes everything down.
pub(crate) fn finish(
    stage: &Stage,
    results: &ResultFolder,
    deployment: &Deployment,
) -> anyhow::Result<ExitCode> {
    results.finish(deployment)?;
    stage.set_output("outcome", deployment.outcome.word())?;
    stage.summarise(&summary(deployment));
    let Deployment {
        outcome,
        reason,
        image,
        ..
    } = deployment;
    let code = match outcome {
        DeploymentOutcome::Unchanged
        | DeploymentOutcome::RolledOut
        | DeploymentOutcome::Planned => {
            tracing::info!("{}: {reason}", outcome.word());
            return Ok(ExitCode::Success);
        }
        DeploymentOutcome::Held => {
            return Err(anyhow!("the canary of `{image}` is held: {reason}"))
                .exit_code(ExitCode::Inconclusive)
                .hint("it stays beside the stable pods: run again to observe it further, with `--promote` to let it through, or with `--abort` to remove it");
        }
        DeploymentOutcome::RolledBack => ExitCode::RolledBack,
        DeploymentOutcome::RollbackFailed | DeploymentOutcome::NotReady => ExitCode::RollbackFailed,
        DeploymentOutcome::Superseded => ExitCode::Service,
    };
    Err(anyhow!(
        "`{image}` is not deployed ({}): {reason}",
        outcome.word()
    ))
    .exit_code(code)
}

/// The job summary.
fn summary(deployment: &Deployment) -> String {
    let Deployment {
        image,
        previous_image,
        model_digest,
        namespace,
        name,
        outcome,
        reason,
        objects,
        canary,
        evidence,
        ..
    } = deployment;
    let title = match outcome {
        DeploymentOutcome::Unchanged => "✅ Nothing to deploy",
        DeploymentOutcome::RolledOut => "✅ Deployed",
        DeploymentOutcome::Planned => "Planned deployment",
        DeploymentOutcome::Held => "⚠ Canary held",
        DeploymentOutcome::RolledBack => "❌ Rolled back",
        DeploymentOutcome::RollbackFailed => "❌ Rollback failed",
        DeploymentOutcome::NotReady => "❌ Not ready",
        DeploymentOutcome::Superseded => "❌ Superseded",
    };
    let mut text = format!(
        "### {title} · {}\n\n{}\n\n| | |\n| :-- | :-- |\n| Image | `{image}` |\n",
        escape(name),
        escape(reason)
    );
    // Writing to memory does not fail.
    let mut row = |key: &str, value: &str| {
        let _ = writeln!(text, "| {key} | {value} |");
    };
    if let Some(previous) = previous_image {
        row("Before", &format!("`{previous}`"));
    }
    if let Some(digest) = model_digest {
        row("Model", &format!("`{digest}`"));
    }
    row("Namespace", &format!("`{namespace}`"));
    row(
        "Evidence",
        if evidence.is_some() {
            "verified"
        } else {
            "not verified"
        },
    );
    let changes = objects.iter().filter_map(|object| {
        let done = match object.change {
            ObjectChange::Create => "created",
            ObjectChange::Update => "changed",
            ObjectChange::None => return None,
        };
        Some(format!("{} `{}` {done}", object.kind, object.name))
    });
    let changes: Vec<String> = changes.collect();
    row(
        "Objects",
        &if changes.is_empty() {
            "unchanged".to_owned()
        } else {
            changes.join("<br>")
        },
    );
    if !canary.is_empty() {
        text.push_str(
            "\n| Traffic | Requests: canary / stable | What they prove |\n| --: | --: | :-- |\n",
        );
        for step in canary {
            let findings: Vec<String> = step.findings.iter().map(|it| escape(&it.reason)).collect();
            let _ = writeln!(
                text,
                "| {} % | {} / {} | {} |",
                percent(step.share_pct / 100.0),
                step.canary.n,
                step.stable.n,
                findings.join("<br>")
            );
        }
    }
    text
}
