use trainyard_core::digest::Sha256Digest;

use super::*;

fn on_github() -> Build {
    Build {
        system: BuildSystem::GitHub(GitHubRun {
            workflow_ref: "owner/repo/.github/workflows/main.yml@main".to_owned(),
            event: Some("push".to_owned()),
            repository_id: Some("repo-id".to_owned()),
            repository_owner_id: Some("owner-id".to_owned()),
            runner_environment: Some("github-hosted".to_owned()),
        }),
        repository: Some("https://github.com/owner/repo".to_owned()),
        reference: Some("refs/heads/main".to_owned()),
        commit: Some("babca52ab0c93ae16539e5923cb0d7403b9a093b".to_owned()),
        has_changes: false,
        builder_id: "https://github.com/owner/workflows/.github/workflows/publish.yml@main"
            .to_owned(),
        run_url: Some(
            "https://github.com/owner/repo/actions/runs/run-id/attempts/run-attempt".to_owned(),
        ),
        dependencies: Vec::new(),
        byproducts: Vec::new(),
        started_on: None,
        finished_on: None,
    }
}

fn predicate(build: &Build) -> Value {
    let subject = ResourceDescriptor::new("image", &Sha256Digest::of(b"image"));
    Provenance::of(build).unwrap().statement(subject).predicate
}

/// Independent source: the snapshot `provenance.test.ts.snap` of GitHub's `actions/toolkit`, for the same facts.
#[test]
fn a_github_run_is_written_as_githubs_own_action_writes_it() {
    assert_eq!(
        predicate(&on_github()),
        json!({
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {
                    "workflow": {
                        "path": ".github/workflows/main.yml",
                        "ref": "main",
                        "repository": "https://github.com/owner/repo",
                    },
                },
                "internalParameters": {
                    "github": {
                        "event_name": "push",
                        "repository_id": "repo-id",
                        "repository_owner_id": "owner-id",
                        "runner_environment": "github-hosted",
                    },
                },
                "resolvedDependencies": [{
                    "digest": { "gitCommit": "babca52ab0c93ae16539e5923cb0d7403b9a093b" },
                    "uri": "git+https://github.com/owner/repo@refs/heads/main",
                }],
            },
            "runDetails": {
                "builder": {
                    "id": "https://github.com/owner/workflows/.github/workflows/publish.yml@main",
                },
                "metadata": {
                    "invocationId":
                        "https://github.com/owner/repo/actions/runs/run-id/attempts/run-attempt",
                },
            },
        })
    );
}

#[test]
fn data_and_byproducts_are_named_by_digest_and_times_are_kept() {
    let data = ResourceDescriptor::new("training data", &Sha256Digest::of(b"data"));
    let model = ResourceDescriptor::new("model", &Sha256Digest::of(b"model"));
    let build = Build {
        dependencies: vec![data.clone()],
        byproducts: vec![model.clone()],
        started_on: Some("2026-03-04T05:06:07Z".to_owned()),
        finished_on: Some("2026-03-04T05:16:07Z".to_owned()),
        ..on_github()
    };
    let provenance = Provenance::from_predicate(&predicate(&build)).unwrap();
    assert_eq!(provenance.build_definition.resolved_dependencies[1], data);
    assert_eq!(provenance.run_details.byproducts, [model]);
    let metadata = &provenance.run_details.metadata;
    assert_eq!(metadata.started_on.as_deref(), Some("2026-03-04T05:06:07Z"));
    assert_eq!(
        metadata.finished_on.as_deref(),
        Some("2026-03-04T05:16:07Z")
    );
}

#[test]
fn elsewhere_the_build_type_is_our_own() {
    let build = Build {
        system: BuildSystem::Other("jenkins".to_owned()),
        ..on_github()
    };
    let provenance = Provenance::of(&build).unwrap();
    assert_eq!(provenance.build_definition.build_type, BUILD_TYPE);
    assert_eq!(
        provenance.build_definition.external_parameters,
        json!({
            "source": { "repository": "https://github.com/owner/repo", "ref": "refs/heads/main" },
            "system": "jenkins",
        })
    );
    assert_eq!(provenance.workflow(), None);
    let predicate = predicate(&build);
    assert!(
        predicate
            .pointer("/buildDefinition/internalParameters")
            .is_none()
    );
}

#[test]
fn the_page_of_our_build_type_is_there() {
    let (_, page) = BUILD_TYPE.split_once("/blob/main/").unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    assert!(root.join(page).is_file());
}

#[test]
fn source_and_workflow_are_read_back() {
    let build = Build {
        system: BuildSystem::GitHub(GitHubRun {
            workflow_ref: "owner/repo/.github/workflows/main.yml@refs/tags/model@v1".to_owned(),
            ..GitHubRun::default()
        }),
        reference: Some("refs/tags/model@v1".to_owned()),
        ..on_github()
    };
    let provenance = Provenance::of(&build).unwrap();
    assert_eq!(provenance.workflow(), Some(".github/workflows/main.yml"));
    let parameters = &provenance.build_definition.external_parameters;
    assert_eq!(parameters["workflow"]["ref"], "refs/tags/model@v1");
    let source = provenance.source().unwrap();
    assert_eq!(source.repository, Some("https://github.com/owner/repo"));
    assert_eq!(source.reference, Some("refs/tags/model@v1"));
    assert_eq!(source.commit, build.commit.as_deref());

    let unknown = Build {
        system: BuildSystem::Other("local".to_owned()),
        repository: None,
        ..on_github()
    };
    // A checkout without a remote is still a commit.
    let provenance = Provenance::of(&unknown).unwrap();
    let source = provenance.source().unwrap();
    assert_eq!((source.repository, source.reference), (None, None));
    assert_eq!(source.commit, build.commit.as_deref());
    let nothing = Build {
        commit: None,
        ..unknown
    };
    assert_eq!(Provenance::of(&nothing).unwrap().source(), None);
    let without_reference = Build {
        system: BuildSystem::Other("local".to_owned()),
        repository: Some("ssh://git@example.com/repo".to_owned()),
        reference: None,
        ..on_github()
    };
    let provenance = Provenance::of(&without_reference).unwrap();
    let source = provenance.source().unwrap();
    assert_eq!(source.repository, Some("ssh://git@example.com/repo"));
    assert_eq!(source.reference, None);
}

/// A policy that asks for a repository, a branch or a tag must not hold for what is in none.
#[test]
fn a_checkout_with_changes_is_not_a_source() {
    let build = Build {
        system: BuildSystem::Other("local".to_owned()),
        commit: None,
        has_changes: true,
        ..on_github()
    };
    let provenance = Provenance::of(&build).unwrap();
    assert_eq!(provenance.source(), None);
    assert!(provenance.has_changes());
    assert_eq!(
        provenance.build_definition.external_parameters["source"],
        json!({
            "repository": "https://github.com/owner/repo",
            "ref": "refs/heads/main",
            "changed": true,
        })
    );
    let clean = Build {
        has_changes: false,
        ..build
    };
    assert!(!Provenance::of(&clean).unwrap().has_changes());
}

#[test]
fn facts_of_another_form_are_refused() {
    for workflow_ref in [
        "",
        "owner/repo",
        "owner/repo/ci.yml",
        "owner/repo/@main",
        "owner/repo/ci.yml@",
    ] {
        let build = Build {
            system: BuildSystem::GitHub(GitHubRun {
                workflow_ref: workflow_ref.to_owned(),
                ..GitHubRun::default()
            }),
            ..on_github()
        };
        assert!(matches!(
            Provenance::of(&build),
            Err(ProvenanceError::WorkflowRef(_))
        ));
    }
    let build = Build {
        repository: None,
        ..on_github()
    };
    assert_eq!(Provenance::of(&build), Err(ProvenanceError::NoRepository));
}
