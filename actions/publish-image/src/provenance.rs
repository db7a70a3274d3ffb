//! The facts of this run, as the provenance of an image states them.

use trainyard_attest::{
    BUILD_TYPE, Build, BuildSystem, GitHubRun, MODEL_FILES, ResourceDescriptor,
};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::EVALUATION_FILE;
use trainyard_core::gate::{VERDICT_FILE, Verdict};
use trainyard_core::model::{FileEntry, ModelFolder, Origin};
use trainyard_runner::{Context, Provider};

use crate::checkout::Checkout;

/// The builder of a run outside of the CI systems that are known here. A policy cannot trust it, as the page of the build type says.
const LOCAL: &str = "local";

/// The build of an image of `model` in the run that `context` is about, which ended at `finished_on`. The `checkout` speaks where the
/// context names no commit.
pub(crate) fn build(
    (context, checkout): (&Context, Option<&Checkout>),
    (model, files): (&ModelFolder, &[FileEntry]),
    verdict: &Verdict,
    verdict_digest: &Sha256Digest,
    finished_on: String,
) -> Build {
    let workflow = context.workflow.as_ref();
    let system = match (context.provider, workflow) {
        (Provider::GitHubActions, Some(workflow)) => BuildSystem::GitHub(GitHubRun {
            workflow_ref: workflow.workflow_ref.clone().unwrap_or_default(),
            event: workflow.trigger.clone(),
            repository_id: workflow.repository_id.clone(),
            repository_owner_id: workflow.repository_owner_id.clone(),
            runner_environment: workflow.runner_environment.clone(),
        }),
        (Provider::Jenkins, _) => BuildSystem::Other("jenkins".to_owned()),
        (Provider::Travis, _) => BuildSystem::Other("travis".to_owned()),
        (Provider::GitLab, _) => BuildSystem::Other("gitlab".to_owned()),
        (Provider::GitHubActions | Provider::None, _) => BuildSystem::Other(LOCAL.to_owned()),
    };
    let builder_id = match &system {
        BuildSystem::GitHub(run) => format!("{}/{}", context.server_url, run.workflow_ref),
        BuildSystem::Other(system) => {
            (context.ci_url.clone()).unwrap_or_else(|| format!("{BUILD_TYPE}#{system}"))
        }
    };
    let of_git = || {
        let tag = context.tag.as_ref().map(|tag| format!("refs/tags/{tag}"));
        tag.or_else(|| Some(format!("refs/heads/{}", context.branch.as_ref()?)))
    };
    let repository = context.repository.as_ref();
    Build {
        system,
        repository: repository
            .map(|name| format!("{}/{name}", context.server_url))
            .or_else(|| checkout?.repository.clone()),
        reference: workflow
            .and_then(|workflow| workflow.reference.clone())
            .or_else(of_git)
            .or_else(|| checkout?.reference.clone()),
        // What GitHub checks out for this reference, as `actions/attest` has it; the image's own label is the commit that people wrote.
        commit: (context.tested_sha.clone())
            .or_else(|| context.head_sha.clone())
            .or_else(|| checkout?.commit.clone()),
        has_changes: checkout.is_some_and(Checkout::is_changed),
        builder_id,
        run_url: context.run.as_ref().and_then(|run| run.url.clone()),
        dependencies: dependencies(model, files, verdict),
        byproducts: byproducts(verdict, verdict_digest),
        started_on: None,
        finished_on: Some(finished_on),
    }
}

fn dependencies(
    model: &ModelFolder,
    files: &[FileEntry],
    verdict: &Verdict,
) -> Vec<ResourceDescriptor> {
    let trained = match &model.manifest.origin {
        Origin::Trained(origin) => Some(origin),
        Origin::Imported(_) => None,
    };
    let known = [
        ("model", Some(&model.digest)),
        ("training data", trained.map(|origin| &origin.data_digest)),
        (
            "training configuration",
            trained.map(|origin| &origin.config_digest),
        ),
        ("test data", verdict.data_digest.as_ref()),
        ("rules", Some(&verdict.rules_digest)),
    ];
    // One by one, so that a signature of the model's files can be told to be of the model in this image.
    let files = files
        .iter()
        .map(|file| ResourceDescriptor::new(format!("{MODEL_FILES}{}", file.path), &file.sha256));
    named(&known).into_iter().chain(files).collect()
}

fn byproducts(verdict: &Verdict, verdict_digest: &Sha256Digest) -> Vec<ResourceDescriptor> {
    named(&[
        (EVALUATION_FILE, verdict.evaluation_digest.as_ref()),
        (VERDICT_FILE, Some(verdict_digest)),
    ])
}

fn named(known: &[(&str, Option<&Sha256Digest>)]) -> Vec<ResourceDescriptor> {
    let known = known.iter();
    known
        .filter_map(|(name, digest)| Some(ResourceDescriptor::new(*name, (*digest)?)))
        .collect()
}
