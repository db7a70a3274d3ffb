//! SLSA provenance v1: who built a thing, from which sources and data, in which run.
//!
//! <https://slsa.dev/spec/v1.2/provenance>. In GitHub Actions the build type and the names of its fields are those that
//! GitHub's `actions/attest` writes (<https://github.com/slsa-framework/github-actions-buildtypes>), so that one policy
//! covers both; elsewhere the build type is our own.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::statement::{ResourceDescriptor, Statement};

/// The type of the predicate.
pub const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// The build type of a GitHub workflow.
pub const GITHUB_BUILD_TYPE: &str = "https://actions.github.io/buildtypes/workflow/v1";

/// The build type of every other run. The page says what its parameters mean.
pub const BUILD_TYPE: &str =
    "https://github.com/trainyard/trainyard/blob/main/docs/concepts/build-type.md";

/// What the name of a dependency begins with that is a file of the packed model: `models/model.json`.
pub const MODEL_FILES: &str = "models/";

/// The digest algorithm under which a commit stands.
const GIT_COMMIT: &str = "gitCommit";

/// The facts of a run. What is not known is absent.
#[derive(Debug, Clone, PartialEq)]
pub struct Build {
    /// The CI system.
    pub system: BuildSystem,
    /// URL of the repository, without a final slash and without `.git`: `https://github.com/owner/name`.
    pub repository: Option<String>,
    /// The git reference that was built: `refs/heads/main`, `refs/tags/v1.0.0`.
    pub reference: Option<String>,
    /// The commit that was built.
    pub commit: Option<String>,
    /// Whether it was built from a checkout that no commit holds: then repository and reference say no more than where that began.
    pub has_changes: bool,
    /// URI of what built it and is trusted to say so: a workflow at its reference, a Jenkins server.
    pub builder_id: String,
    /// Where people see the run; at GitHub with its attempt.
    pub run_url: Option<String>,
    /// What else went into it, by digest: data, training configuration.
    pub dependencies: Vec<ResourceDescriptor>,
    /// What else came out of it, by digest.
    pub byproducts: Vec<ResourceDescriptor>,
    /// When the run began, as RFC 3339.
    pub started_on: Option<String>,
    /// When the thing was built, as RFC 3339.
    pub finished_on: Option<String>,
}

/// What ran a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildSystem {
    /// GitHub Actions.
    GitHub(GitHubRun),
    /// Another one, or a person's machine: `jenkins`, `travis`, `local`.
    Other(String),
}

/// What GitHub Actions says of a run beside what every CI system does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitHubRun {
    /// `GITHUB_WORKFLOW_REF`: `owner/name/.github/workflows/ci.yml@refs/heads/main`.
    pub workflow_ref: String,
    /// What started the run, as GitHub calls it.
    pub event: Option<String>,
    /// `GITHUB_REPOSITORY_ID`.
    pub repository_id: Option<String>,
    /// `GITHUB_REPOSITORY_OWNER_ID`.
    pub repository_owner_id: Option<String>,
    /// `RUNNER_ENVIRONMENT`: `github-hosted` or `self-hosted`.
    pub runner_environment: Option<String>,
}

/// Why facts do not make a provenance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProvenanceError {
    /// The workflow's reference is of another form.
    #[error(
        "`GITHUB_WORKFLOW_REF` is `{0}`, which is not of the form `owner/name/.github/workflows/FILE@REF`"
    )]
    WorkflowRef(String),
    /// A GitHub run without a repository.
    #[error(
        "a run in GitHub Actions has no repository: `GITHUB_REPOSITORY` and `GITHUB_SERVER_URL` are not set"
    )]
    NoRepository,
}

/// Who built a thing, and from what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// How it was built.
    pub build_definition: BuildDefinition,
    /// By which run.
    pub run_details: RunDetails,
}

/// How a thing was built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// URI that says what the parameters mean.
    pub build_type: String,
    /// What the person or event that started the build decided.
    pub external_parameters: Value,
    /// What the CI system decided.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub internal_parameters: Value,
    /// What went in: the commit first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// The run that built a thing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunDetails {
    /// Who is trusted to say so.
    pub builder: Builder,
    /// Which run, and when.
    #[serde(default)]
    pub metadata: RunMetadata,
    /// What else came out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<ResourceDescriptor>,
}

/// Who is trusted to say how a thing was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// A URI.
    pub id: String,
}

/// Which run, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunMetadata {
    /// The run's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invocation_id: Option<String>,
    /// As RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_on: Option<String>,
    /// As RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_on: Option<String>,
}

/// A git repository at a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// The repository's URL, where it is known.
    pub repository: Option<&'a str>,
    /// The reference that was built, where it is known.
    pub reference: Option<&'a str>,
    /// The commit that was built, where it is known.
    pub commit: Option<&'a str>,
}

impl Provenance {
    /// The predicate of a build.
    pub fn of(build: &Build) -> Result<Self, ProvenanceError> {
        let (build_type, external_parameters, internal_parameters) = match &build.system {
            BuildSystem::GitHub(run) => {
                let (external, internal) = github_parameters(run, build)?;
                (GITHUB_BUILD_TYPE, external, internal)
            }
            BuildSystem::Other(system) => {
                let mut source = json!({ "repository": build.repository, "ref": build.reference });
                if build.has_changes {
                    source["changed"] = true.into();
                }
                let external = json!({ "source": source, "system": system });
                (BUILD_TYPE, external, Value::Null)
            }
        };
        // A dependency is what was built, and a checkout with changes is in no repository.
        let source = (!build.has_changes).then(|| source_of(build)).flatten();
        Ok(Self {
            build_definition: BuildDefinition {
                build_type: build_type.to_owned(),
                external_parameters,
                internal_parameters,
                resolved_dependencies: source
                    .into_iter()
                    .chain(build.dependencies.iter().cloned())
                    .collect(),
            },
            run_details: RunDetails {
                builder: Builder {
                    id: build.builder_id.clone(),
                },
                metadata: RunMetadata {
                    invocation_id: build.run_url.clone(),
                    started_on: build.started_on.clone(),
                    finished_on: build.finished_on.clone(),
                },
                byproducts: build.byproducts.clone(),
            },
        })
    }

    /// Reads a predicate of this type, of any build type.
    pub fn from_predicate(predicate: &Value) -> Result<Self, serde_json::Error> {
        Self::deserialize(predicate)
    }

    /// The statement that `subject` was built so.
    pub fn statement(&self, subject: ResourceDescriptor) -> Statement {
        let predicate = serde_json::to_value(self).expect("texts and JSON always serialise");
        Statement::new(subject, PROVENANCE, predicate)
    }

    /// What was built: the first dependency that is a git repository or a commit.
    pub fn source(&self) -> Option<Source<'_>> {
        let dependencies = &self.build_definition.resolved_dependencies;
        dependencies.iter().find_map(|dependency| {
            let commit = dependency.digest.get(GIT_COMMIT).map(String::as_str);
            let url = dependency.uri.strip_prefix("git+");
            if url.is_none() && commit.is_none() {
                return None;
            }
            // The reference may hold an `@` of its own (`refs/tags/model@v1`), and so may the host's user name.
            let (repository, reference) = match url.and_then(|url| Some((url, url.find("@refs/")?)))
            {
                Some((url, at)) => (Some(&url[..at]), Some(&url[at + 1..])),
                None => (url, None),
            };
            Some(Source {
                repository,
                reference,
                commit,
            })
        })
    }

    /// Whether it says that it was built from a checkout that no commit holds.
    pub fn has_changes(&self) -> bool {
        let parameters = &self.build_definition.external_parameters;
        self.build_definition.build_type == BUILD_TYPE
            && parameters.pointer("/source/changed") == Some(&Value::Bool(true))
    }

    /// The files of the model that was packed: name in its folder, and hexadecimal SHA-256 digest.
    pub fn model_files(&self) -> impl Iterator<Item = (&str, &str)> {
        let dependencies = self.build_definition.resolved_dependencies.iter();
        dependencies.filter_map(|dependency| {
            let name = dependency.name.strip_prefix(MODEL_FILES)?;
            Some((name, dependency.digest.get("sha256")?.as_str()))
        })
    }

    /// The path of the workflow file, where a GitHub workflow built it.
    pub fn workflow(&self) -> Option<&str> {
        if self.build_definition.build_type != GITHUB_BUILD_TYPE {
            return None;
        }
        let parameters = &self.build_definition.external_parameters;
        parameters.pointer("/workflow/path")?.as_str()
    }
}

/// The commit, in its repository where that is known.
fn source_of(build: &Build) -> Option<ResourceDescriptor> {
    let mut source = ResourceDescriptor::default();
    match (&build.repository, &build.reference) {
        (Some(repository), Some(reference)) => source.uri = format!("git+{repository}@{reference}"),
        (Some(repository), None) => source.uri = format!("git+{repository}"),
        (None, _) => "source".clone_into(&mut source.name),
    }
    let commit = build.commit.iter();
    source
        .digest
        .extend(commit.map(|commit| (GIT_COMMIT.to_owned(), commit.clone())));
    let is_known = build.repository.is_some() || build.commit.is_some();
    is_known.then_some(source)
}

/// External and internal parameters of a workflow's run.
fn github_parameters(run: &GitHubRun, build: &Build) -> Result<(Value, Value), ProvenanceError> {
    let repository = build
        .repository
        .as_deref()
        .ok_or(ProvenanceError::NoRepository)?;
    let not_of_the_form = || ProvenanceError::WorkflowRef(run.workflow_ref.clone());
    // `owner/name/PATH@REF`; a reference may hold an `@`, a path of a workflow does not.
    let mut parts = run.workflow_ref.splitn(3, '/');
    let (_owner, _name, path_at_ref) = (parts.next(), parts.next(), parts.next());
    let (path, reference) = path_at_ref
        .and_then(|text| text.split_once('@'))
        .filter(|(path, reference)| !path.is_empty() && !reference.is_empty())
        .ok_or_else(not_of_the_form)?;
    let external = json!({
        "workflow": { "ref": reference, "repository": repository, "path": path },
    });
    let GitHubRun {
        workflow_ref: _,
        event,
        repository_id,
        repository_owner_id,
        runner_environment,
    } = run;
    let known = [
        ("event_name", event),
        ("repository_id", repository_id),
        ("repository_owner_id", repository_owner_id),
        ("runner_environment", runner_environment),
    ];
    let known = known
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value.clone()?))));
    let internal = json!({ "github": known.collect::<serde_json::Map<_, _>>() });
    Ok((external, internal))
}

#[cfg(test)]
mod tests;
