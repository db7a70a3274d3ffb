//! The `deploy` stage: a published image and a cluster in; the image running there, or what ran before restored, out.
//!
//! The image is verified before the cluster is asked for anything; `deployment.json` says last what became of it.

mod done;
mod github;
mod inputs;
mod render;
mod report;
mod runtime;
mod subject;

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use trainyard_core::canary::{CanaryDecision, detectable};
use trainyard_core::config::{CanaryConfig, JudgingConfig};
use trainyard_core::deployment::{
    CanaryStep, DEPLOYMENT_FILE, Deployment, DeploymentOutcome, SCHEMA_VERSION,
};
use trainyard_core::results::ResultFolder;
use trainyard_kubernetes::{
    App, Canary, CanaryOutcome, Cluster, ClusterError, ClusterOptions, Observer, Plan,
    ReleaseOutcome, analyse,
};
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

use done::Done;
use github::OnGitHub;
pub use inputs::{DryRun, EvidenceArgs, GitHubArgs, Inputs, OUTPUTS};
use runtime::runtime;
use subject::Subject;

/// Runs the stage.
pub fn deploy(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let stage = Stage::start("deploy", &inputs.stage.log)?;
    for (name, _) in OUTPUTS {
        stage.set_output(name, "")?;
    }
    let config = JudgingConfig::read(&inputs.stage.config).exit_code(ExitCode::Usage)?;
    if let (true, Some(stable), Some(canary)) = (inputs.analyse, &inputs.stable, &inputs.canary) {
        return run_analysis(&stage, &inputs, &config, stable, canary);
    }
    let namespace = inputs
        .namespace
        .as_ref()
        .or(config.deploy.namespace.as_ref());
    if inputs.abort {
        return abort(&stage, &inputs, &config, namespace.cloned());
    }
    let folder = inputs.stage.out.join("deployment");
    let results = ResultFolder::begin(&folder, DEPLOYMENT_FILE)?;
    stage.set_path_output("deployment-folder", &folder)?;
    let subject = Subject::find(&inputs, &config)?;
    stage.set_output("image", &subject.image)?;
    if let Some(path) = &inputs.write {
        return render::write_digest(&stage, path, &subject);
    }
    if let Some(folder) = &inputs.render {
        let namespace = namespace.map_or("default", String::as_str);
        return render::render(&stage, folder, &subject.app(&config, namespace));
    }
    let canary = config.deploy.canary.as_ref().filter(|_| !inputs.no_canary);
    if !inputs.promote {
        check_parity(canary, &subject)?;
    }

    let runtime = runtime()?;
    runtime.block_on(async {
        let cluster = connect(&inputs, namespace.cloned()).await?;
        let app = subject.app(&config, cluster.namespace());
        let plan = Plan::of(&cluster, &app, inputs.force_conflicts)
            .await
            .map_err(explained)?;
        stage.set_output("previous-image", plan.previous_image().unwrap_or_default())?;
        let deployment = |done: Done| Deployment {
            schema_version: SCHEMA_VERSION,
            image: app.image.clone(),
            previous_image: plan.previous_image().map(str::to_owned),
            model_name: Some(subject.model_name.clone()),
            model_digest: subject.model_digest.clone(),
            namespace: app.namespace.clone(),
            name: app.name.clone(),
            outcome: done.outcome,
            reason: done.reason,
            objects: plan.objects(),
            canary: done.steps,
            evidence: subject.evidence.as_ref().map(|it| it.text.clone()),
            trainyard_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        if inputs.changes_nothing() {
            if inputs.diff {
                stage.print(&plan.diff())?;
            }
            let changes = plan.objects();
            let n = changes
                .iter()
                .filter(|it| it.change != trainyard_core::deployment::ObjectChange::None)
                .count();
            let reason = format!("{n} of {} objects would change", changes.len());
            let done = Done {
                outcome: DeploymentOutcome::Planned,
                reason,
                steps: Vec::new(),
            };
            return report::finish(&stage, &results, &deployment(done));
        }
        let on_github = OnGitHub::begin(&stage, &inputs, &config, &subject, &app).await;
        let usual = CanaryConfig::default();
        let canary = Canary {
            cluster: &cluster,
            app: &app,
            config: config.deploy.canary.as_ref().unwrap_or(&usual),
            sample: subject.sample.as_ref(),
        };
        if inputs.promote {
            let held = canary.image().await.map_err(explained)?;
            if held.as_ref() != Some(&app.image) {
                return Err(anyhow!("`{}` is not a canary that is held", app.image))
                    .exit_code(ExitCode::Usage)
                    .hint(held.map_or_else(
                        || "no canary is there: leave out `--promote`".to_owned(),
                        |held| format!("the canary is `{held}`: name that one"),
                    ));
            }
        }
        let has_canary = config.deploy.canary.is_some() && !inputs.no_canary;
        let done = bring(&canary, &plan, has_canary, &inputs).await;
        on_github.finish(&done).await;
        report::finish(&stage, &results, &deployment(done.map_err(explained)?))
    })
}

/// A canary is to show that it is the evaluated model, and can do so by the sample alone.
fn check_parity(canary: Option<&CanaryConfig>, subject: &Subject) -> anyhow::Result<()> {
    if subject.sample.is_none() && canary.is_some_and(|it| it.parity) {
        return Err(anyhow!("a canary answers the held-out sample first, and there is none"))
            .exit_code(ExitCode::Usage)
            .hint("give `--sample` the `sample.json` that `publish-image` wrote (`[image] smoke_test_rows` must not be 0), or set `[deploy.canary] parity = false`");
    }
    Ok(())
}

/// Applies what the plan says, through a canary where one is configured and something runs that it can be compared with.
async fn bring(
    canary: &Canary<'_>,
    plan: &Plan<'_>,
    has_canary: bool,
    inputs: &Inputs,
) -> Result<Done, ClusterError> {
    let of = |outcome, reason: &str| Done {
        outcome,
        reason: reason.to_owned(),
        steps: Vec::new(),
    };
    if inputs.promote {
        let promoted = canary.promote(plan).await?;
        let reason = "promoted without further proof: `--promote`";
        return Ok(released(promoted, Vec::new(), reason));
    }
    if plan.is_unchanged() {
        // What is as it should be may still be on its way, or have failed in an earlier run.
        let settled = plan.settle(canary.sample).await?;
        // One of an earlier run would keep its share of the traffic.
        canary.remove().await?;
        return Ok(match settled {
            Ok(()) => of(
                DeploymentOutcome::Unchanged,
                "the cluster is as it should be: nothing was applied",
            ),
            Err(reason) => of(
                DeploymentOutcome::NotReady,
                &format!("nothing was to be applied, but the pods are not ready: {reason}"),
            ),
        });
    }
    let is_by_canary = has_canary && plan.replaces_pods();
    if !is_by_canary || !plan.has_ready_pods() {
        if is_by_canary {
            tracing::warn!(
                "no pod is ready that a canary could be compared with: rolling out at once"
            );
        }
        let outcome = canary.promote(plan).await?;
        return Ok(released(outcome, Vec::new(), "the image runs"));
    }
    tracing::info!("{}", detectable(canary.config));
    let CanaryOutcome {
        decision,
        reason,
        steps,
        release,
    } = canary.run(plan).await?;
    Ok(match (decision, release) {
        (_, None) => Done {
            outcome: DeploymentOutcome::Held,
            reason,
            steps,
        },
        (_, Some(outcome)) => released(outcome, steps, &reason),
    })
}

fn released(outcome: ReleaseOutcome, steps: Vec<CanaryStep>, reason: &str) -> Done {
    let (outcome, reason) = match outcome {
        ReleaseOutcome::RolledOut => (DeploymentOutcome::RolledOut, reason.to_owned()),
        ReleaseOutcome::RolledBack(reason) => (DeploymentOutcome::RolledBack, reason),
        ReleaseOutcome::RollbackFailed(reason) => (DeploymentOutcome::RollbackFailed, reason),
        ReleaseOutcome::Superseded(by) => (
            DeploymentOutcome::Superseded,
            format!("another deployment took over: the cluster now runs {by}"),
        ),
    };
    Done {
        outcome,
        reason,
        steps,
    }
}

/// Takes away a canary that is held. It needs no image: the canary is known by its name.
fn abort(
    stage: &Stage,
    inputs: &Inputs,
    config: &JudgingConfig,
    namespace: Option<String>,
) -> anyhow::Result<ExitCode> {
    let model = config.model_name.as_ref().or(config.deploy.name.as_ref());
    let model = model
        .context("the deployment has no name")
        .exit_code(ExitCode::Usage)
        .hint("write `[deploy]` with `name = \"…\"`, or `[model]` with its name")?;
    runtime()?.block_on(async {
        let cluster = connect(inputs, namespace).await?;
        let app = App {
            name: config.deploy.name_for(model),
            namespace: cluster.namespace().to_owned(),
            image: String::new(),
            port: config.image.port,
            config: config.deploy.clone(),
            provenance: BTreeMap::new(),
        };
        let usual = CanaryConfig::default();
        let canary = Canary {
            cluster: &cluster,
            app: &app,
            config: config.deploy.canary.as_ref().unwrap_or(&usual),
            sample: None,
        };
        if !canary.remove().await.map_err(explained)? {
            let name = app.deployment_name(trainyard_kubernetes::Track::Canary);
            let error = anyhow!(
                "there is no Deployment `{name}` in namespace `{}`",
                app.namespace
            );
            return Err(error).exit_code(ExitCode::Usage).hint(
                "name the canary's app by `[deploy] name`, and its namespace by `--namespace`",
            );
        }
        stage.set_output("outcome", DeploymentOutcome::RolledBack.word())?;
        Ok(ExitCode::Success)
    })
}

async fn connect(inputs: &Inputs, namespace: Option<String>) -> anyhow::Result<Cluster> {
    let options = ClusterOptions {
        context: inputs.context.clone(),
        namespace,
    };
    Cluster::connect(&options)
        .await
        .exit_code(ExitCode::Usage)
        .hint("set `KUBECONFIG` to a kubeconfig, or run in a pod with a service account")
}

/// Compares what another tool has brought up.
fn run_analysis(
    stage: &Stage,
    inputs: &Inputs,
    config: &JudgingConfig,
    stable: &str,
    canary: &str,
) -> anyhow::Result<ExitCode> {
    let limits = config.deploy.canary.clone().unwrap_or_default();
    tracing::info!("{}", detectable(&limits));
    let namespace = inputs
        .namespace
        .clone()
        .or_else(|| config.deploy.namespace.clone());
    runtime()?.block_on(async {
        let cluster = connect(inputs, namespace).await?;
        let port = config.image.port;
        let observer = |selector: &str| Observer::new(&cluster, selector.to_owned(), None, port);
        let analysed = analyse(&limits, observer(stable), observer(canary)).await;
        let (decision, reason, findings) = analysed.map_err(explained)?;
        for finding in &findings {
            stage.print(&format!("{}\n", finding.reason))?;
        }
        match decision {
            CanaryDecision::Promote => Ok(ExitCode::Success),
            CanaryDecision::RollBack => {
                Err(anyhow!("the canary is worse: {reason}")).exit_code(ExitCode::GateFailed)
            }
            CanaryDecision::Hold => Err(anyhow!(
                "the canary is proven neither better nor worse: {reason}"
            ))
            .exit_code(ExitCode::Inconclusive),
        }
    })
}

/// A cluster's error with its exit code and what to do about it.
fn explained(error: ClusterError) -> anyhow::Error {
    let hint = match &error {
        ClusterError::Overlap => {
            Some("give `--stable` and `--canary` selectors that have no pod in common")
        }
        ClusterError::Foreign { .. } => {
            Some("choose another `[deploy] name`, or remove that object")
        }
        ClusterError::Conflict { .. } => {
            Some("`--force-conflicts` takes these fields over; else leave them to their manager")
        }
        ClusterError::Refused { status: 401, .. } => {
            Some("the login of the kubeconfig has expired or is not known to this cluster")
        }
        ClusterError::Refused { status: 403, .. } => {
            Some("the guide `docs/guides/deploy.md` has the Role that this user needs")
        }
        _ => None,
    };
    let code = match error {
        ClusterError::Overlap | ClusterError::Foreign { .. } => ExitCode::Usage,
        _ => ExitCode::Service,
    };
    let error = Err::<(), _>(error).exit_code(code);
    let error = match hint {
        Some(hint) => error.hint(hint),
        None => error,
    };
    error.expect_err("it is an error")
}
