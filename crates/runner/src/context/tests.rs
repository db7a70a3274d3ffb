use std::fs;
use std::path::Path;

use super::*;

const MERGE_COMMIT: &str = "a1c8a2d6f5a0bb4f7ba25cd3dc9a1d4b54bd0a67";
const PUSHED_COMMIT: &str = "6113728f27ae82c7b1a177c8d03f9e96e0adf246";

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().copied().collect()
}

/// The context of the pair `<name>.env`, `<name>.json`.
fn fixture(name: &str) -> Context {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/events");
    let text = fs::read_to_string(folder.join(format!("{name}.env"))).unwrap();
    let payload = folder.join(format!("{name}.json"));
    let environment: Environment = text
        .lines()
        .map(|line| line.split_once('=').unwrap())
        .chain([("GITHUB_EVENT_PATH", payload.to_str().unwrap())])
        .collect();
    let context = Context::from_environment(&environment).unwrap();
    assert_eq!(context.provider, Provider::GitHubActions);
    assert_eq!(context.repository, environment.text("GITHUB_REPOSITORY"));
    assert_eq!(context.tested_sha, environment.text("GITHUB_SHA"));
    context
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the fields it is compared with are options"
)]
fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_pull_request_is_its_head_and_not_the_merge_commit() {
    let context = fixture("pull_request");
    assert_eq!(
        context,
        Context {
            provider: Provider::GitHubActions,
            event: Event::PullRequest,
            head_sha: some("ec26c3e57ca3a959ca5aad62de7213c562f8c821"),
            tested_sha: some(MERGE_COMMIT),
            base_sha: some("f95f852bd8fca8fcc58a9a2d6c842781e32a215e"),
            branch: some("changes"),
            base_branch: some("master"),
            tag: None,
            pull_request: Some(2),
            is_fork: false,
            head_repository: some("Codertocat/Hello-World"),
            is_dependabot: false,
            repository: some("Codertocat/Hello-World"),
            server_url: "https://github.com".to_owned(),
            api_url: "https://api.github.com".to_owned(),
            run: Some(CiRun {
                id: "9876543210".to_owned(),
                attempt: 2,
                url: some(
                    "https://github.com/Codertocat/Hello-World/actions/runs/9876543210/attempts/2"
                ),
            }),
            before: None,
            comment: None,
            graphql_url: "https://api.github.com/graphql".to_owned(),
            workflow_file: None,
            workspace: Some(PathBuf::from("/home/runner/work/Hello-World/Hello-World")),
            default_branch: some("master"),
            ci_url: None,
            workflow: Some(Workflow {
                reference: some("refs/pull/2/merge"),
                trigger: some("pull_request"),
                ..Workflow::default()
            }),
        }
    );
}

#[test]
fn a_forks_branch_is_never_taken_for_our_default_branch() {
    for name in ["pull_request_fork", "workflow_run"] {
        let context = fixture(name);
        assert_eq!(context.branch, context.default_branch, "{name}");
        assert!(context.is_fork && !context.is_default_branch(), "{name}");
    }
    assert_eq!(fixture("pull_request_fork").trust(), Trust::Fork);
    assert_eq!(fixture("workflow_run").trust(), Trust::UnverifiedArtifact);
    let of_fork = fixture("workflow_run");
    assert_eq!(
        of_fork.head_sha,
        some("5779607b49aab1200488439f02372c57b4f75444")
    );
    assert_eq!(of_fork.tested_sha, some(PUSHED_COMMIT));
    assert_eq!(of_fork.pull_request, None);
    assert_eq!(fixture("pull_request_fork").pull_request, Some(2));
}

#[test]
fn pushes_and_dispatches_are_the_tested_commit() {
    for name in ["push_main", "workflow_dispatch"] {
        let context = fixture(name);
        assert!(context.is_default_branch(), "{name}");
        assert_eq!(context.head_sha, some(PUSHED_COMMIT), "{name}");
        assert_eq!((context.tag, context.pull_request), (None, None), "{name}");
    }
    assert_eq!(fixture("push_main").event, Event::Push);
    assert_eq!(fixture("workflow_dispatch").event, Event::WorkflowDispatch);
    let tag = fixture("push_tag");
    assert_eq!(tag.event, Event::Tag);
    assert_eq!(tag.tag, some("v1.2.3"));
    assert_eq!(tag.branch, None);
    // The commit, not the tag object that the payload's `after` names.
    assert_eq!(tag.head_sha, some(PUSHED_COMMIT));
    assert!(!tag.is_default_branch());
}

#[test]
fn a_merge_group_knows_its_base() {
    let context = fixture("merge_group");
    assert_eq!(
        context.head_sha,
        some("2ffea6db159f6b6c47a24e778fb9ef40cf6b1c7d")
    );
    assert_eq!(
        context.base_sha,
        some("380387fbc80638b734a49e1be1c4dfec1c01b33c")
    );
    assert_eq!(context.base_branch, some("main"));
    assert!(
        context
            .branch
            .unwrap()
            .starts_with("gh-readonly-queue/main/")
    );
    assert!(!context.is_fork);
}

fn from_event(name: &str, payload: &str) -> Result<Context, ContextError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("event.json");
    fs::write(&path, payload).unwrap();
    Context::from_environment(&environment(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_NAME", name),
        ("GITHUB_EVENT_PATH", path.to_str().unwrap()),
        ("GITHUB_SHA", MERGE_COMMIT),
        ("GITHUB_REF", "refs/pull/7/merge"),
        ("GITHUB_HEAD_REF", "feature"),
        ("GITHUB_REPOSITORY", "acme/digits"),
    ]))
}

#[test]
fn the_less_an_event_says_the_less_it_is_trusted() {
    let nothing = from_event("pull_request", "{}").unwrap();
    assert_eq!(nothing.branch, some("feature"));
    assert!(nothing.is_fork);

    let side = r#"{"ref": "feature", "sha": "1", "repo": null}"#;
    let deleted = format!(
        r#"{{"pull_request": {{"number": 7, "head": {side}, "base": {{"ref": "main", "sha": "2", "repo": {{"full_name": "acme/digits"}}}}}}}}"#
    );
    assert!(from_event("pull_request", &deleted).unwrap().is_fork);
    let own = deleted.replacen("null", r#"{"full_name": "Acme/Digits"}"#, 1);
    assert!(!from_event("pull_request", &own).unwrap().is_fork);
    assert!(!from_event("push", "{}").unwrap().is_fork);
}

#[test]
fn a_broken_event_file_is_said_with_its_place() {
    let chain = |error: ContextError| format!("{:#}", anyhow::Error::new(error));
    let error =
        chain(from_event("pull_request", r#"{"pull_request": {"number": "7"}}"#).unwrap_err());
    assert!(
        error.contains("event.json` is not a valid event of GitHub Actions"),
        "{error}"
    );
    assert!(error.contains("expected u64 at line 1"), "{error}");

    let missing = environment(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_EVENT_PATH", "/nowhere/event.json"),
    ]);
    let error = chain(Context::from_environment(&missing).unwrap_err());
    assert!(
        error.contains("cannot read `/nowhere/event.json`"),
        "{error}"
    );

    let unset = environment(&[("GITHUB_ACTIONS", "true")]);
    assert!(matches!(
        Context::from_environment(&unset),
        Err(ContextError::NoEventFile)
    ));
}

#[test]
fn jenkins_tells_branch_tag_and_pull_request() {
    let common = [
        ("JENKINS_URL", "https://ci.acme.dev/"),
        ("BUILD_TAG", "jenkins-digits-12"),
        ("BUILD_URL", "https://ci.acme.dev/job/digits/12/"),
        ("GIT_COMMIT", PUSHED_COMMIT),
        ("GIT_URL", "git@github.acme.dev:ml/digits.git"),
        ("WORKSPACE", "/var/jenkins/digits"),
    ];
    let context = |extra: &[(&str, &str)]| {
        Context::from_environment(&environment(&[&common, extra].concat())).unwrap()
    };
    let branch = context(&[("BRANCH_NAME", "main"), ("BRANCH_IS_PRIMARY", "true")]);
    assert!(branch.is_default_branch());
    assert_eq!(branch.provider, Provider::Jenkins);
    assert_eq!(branch.event, Event::Push);
    assert_eq!(branch.repository, some("ml/digits"));
    assert_eq!(branch.api_url, "https://github.acme.dev/api/v3");
    assert_eq!(
        branch.run.unwrap().url,
        some("https://ci.acme.dev/job/digits/12/")
    );
    assert_eq!(
        context(&[("GIT_BRANCH", "origin/feature/x")]).branch,
        some("feature/x")
    );

    assert_eq!(context(&[("GIT_BRANCH", "detached")]).branch, None);

    let tag = context(&[("BRANCH_NAME", "v1.2.3"), ("TAG_NAME", "v1.2.3")]);
    assert_eq!(tag.event, Event::Tag);
    assert_eq!((tag.branch, tag.tag), (None, some("v1.2.3")));

    let change = [
        ("BRANCH_NAME", "PR-7"),
        ("CHANGE_ID", "7"),
        ("CHANGE_BRANCH", "feature"),
        ("CHANGE_TARGET", "main"),
        ("CHANGE_URL", "https://github.com/acme/digits/pull/7"),
    ];
    let own = context(&change);
    assert_eq!((own.pull_request, own.trust()), (Some(7), Trust::Own));
    assert_eq!(own.branch, some("feature"));
    // A change without a number is a change all the same, of which nothing says whose it is.
    let mut unnumbered = change;
    unnumbered[1].1 = "I8473b95934b5732ac55d26311a706c9c2bde9940";
    let unnumbered = context(&unnumbered);
    assert_eq!(
        (&unnumbered.event, unnumbered.trust()),
        (&Event::PullRequest, Trust::Fork)
    );

    let fork = context(&[
        ("BRANCH_NAME", "PR-7"),
        ("CHANGE_ID", "7"),
        ("CHANGE_BRANCH", "main"),
        ("CHANGE_TARGET", "main"),
        ("CHANGE_FORK", "stranger"),
        ("CHANGE_URL", "https://github.com/acme/digits/pull/7"),
    ]);
    assert_eq!(fork.pull_request, Some(7));
    assert_eq!(
        (&fork.event, fork.trust()),
        (&Event::PullRequest, Trust::Fork)
    );
    assert_eq!(fork.repository, some("acme/digits"));
    assert_eq!(fork.api_url, "https://api.github.com");
    assert_eq!(
        (fork.branch, fork.base_branch),
        (some("main"), some("main"))
    );
    assert!(fork.is_fork);
}

#[test]
fn travis_tells_branch_tag_and_pull_request() {
    let common = [
        ("TRAVIS", "true"),
        ("TRAVIS_REPO_SLUG", "acme/digits"),
        ("TRAVIS_COMMIT", MERGE_COMMIT),
        ("TRAVIS_BUILD_ID", "42"),
        (
            "TRAVIS_BUILD_WEB_URL",
            "https://app.travis-ci.com/acme/digits/builds/42",
        ),
    ];
    let context = |extra: &[(&str, &str)]| {
        Context::from_environment(&environment(&[&common, extra].concat())).unwrap()
    };
    let push = context(&[
        ("TRAVIS_EVENT_TYPE", "push"),
        ("TRAVIS_PULL_REQUEST", "false"),
        ("TRAVIS_BRANCH", "main"),
    ]);
    assert_eq!(push.provider, Provider::Travis);
    assert_eq!(push.event, Event::Push);
    assert_eq!(push.branch, some("main"));
    assert_eq!(push.head_sha, some(MERGE_COMMIT));
    assert!(!push.is_fork);

    let pull_request = [
        ("TRAVIS_EVENT_TYPE", "pull_request"),
        ("TRAVIS_PULL_REQUEST", "7"),
        ("TRAVIS_PULL_REQUEST_SHA", PUSHED_COMMIT),
        ("TRAVIS_PULL_REQUEST_BRANCH", "feature"),
        ("TRAVIS_PULL_REQUEST_SLUG", "acme/digits"),
        ("TRAVIS_BRANCH", "main"),
    ];
    let own = context(&pull_request);
    assert_eq!(own.head_sha, some(PUSHED_COMMIT));
    assert_eq!(own.tested_sha, some(MERGE_COMMIT));
    assert_eq!(
        (own.branch, own.base_branch),
        (some("feature"), some("main"))
    );
    assert!(!own.is_fork);
    let mut of_fork = pull_request;
    of_fork[4].1 = "stranger/digits";
    assert!(context(&of_fork).is_fork);
    assert_eq!(context(&of_fork).head_repository, some("stranger/digits"));
    // Whatever the number is, an event of a pull request is one.
    for number in ["false", "", "seven"] {
        of_fork[1].1 = number;
        let found = context(&of_fork);
        assert_eq!(
            (&found.event, found.pull_request),
            (&Event::PullRequest, None)
        );
        assert!(found.is_fork && !found.is_default_branch(), "{number}");
    }

    let tag = context(&[
        ("TRAVIS_PULL_REQUEST", "false"),
        ("TRAVIS_BRANCH", "v1.2.3"),
        ("TRAVIS_TAG", "v1.2.3"),
    ]);
    assert_eq!((tag.branch, tag.tag), (None, some("v1.2.3")));
}

/// What GitLab's documentation lists for each kind of pipeline.
fn gitlab(extra: &[(&str, &str)]) -> Context {
    let common = [
        ("GITLAB_CI", "true"),
        ("CI_SERVER_URL", "https://gitlab.acme.dev"),
        ("CI_PROJECT_PATH", "ml/vision/digits"),
        ("CI_PROJECT_URL", "https://gitlab.acme.dev/ml/vision/digits"),
        ("CI_PROJECT_DIR", "/builds/ml/vision/digits"),
        ("CI_DEFAULT_BRANCH", "main"),
        ("CI_COMMIT_SHA", PUSHED_COMMIT),
        ("CI_JOB_ID", "50"),
        (
            "CI_JOB_URL",
            "https://gitlab.acme.dev/ml/vision/digits/-/jobs/50",
        ),
    ];
    Context::from_environment(&environment(&[&common, extra].concat())).unwrap()
}

#[test]
fn gitlab_tells_branch_and_tag() {
    const BEFORE: &str = "a1c8a2d6f5a0bb4f7ba25cd3dc9a1d4b54bd0a67";
    const ZEROS: &str = "0000000000000000000000000000000000000000";
    let push = |before| {
        gitlab(&[
            ("CI_PIPELINE_SOURCE", "push"),
            ("CI_COMMIT_BRANCH", "main"),
            ("CI_COMMIT_BEFORE_SHA", before),
        ])
    };
    let branch = push(BEFORE);
    assert!(branch.is_default_branch());
    assert_eq!(
        (branch.provider, &branch.event, branch.trust()),
        (Provider::GitLab, &Event::Push, Trust::Own)
    );
    assert_eq!(branch.repository, some("ml/vision/digits"));
    assert_eq!(branch.server_url, "https://gitlab.acme.dev");
    assert_eq!(branch.before, some(BEFORE));
    assert_eq!(push(ZEROS).before, None);
    assert_eq!(
        branch.run.unwrap().url,
        some("https://gitlab.acme.dev/ml/vision/digits/-/jobs/50")
    );

    let tag = gitlab(&[("CI_PIPELINE_SOURCE", "push"), ("CI_COMMIT_TAG", "v1.2.3")]);
    assert_eq!(tag.event, Event::Tag);
    assert_eq!((tag.branch, tag.tag), (None, some("v1.2.3")));
    let schedule = gitlab(&[
        ("CI_PIPELINE_SOURCE", "schedule"),
        ("CI_COMMIT_BRANCH", "main"),
        ("CI_COMMIT_BEFORE_SHA", ZEROS),
    ]);
    assert_eq!(schedule.event, Event::Schedule);
    assert_eq!(schedule.head_sha, some(PUSHED_COMMIT));
}

#[test]
fn gitlab_tells_merge_requests_and_whose_they_are() {
    let request = [
        ("CI_PIPELINE_SOURCE", "merge_request_event"),
        ("CI_MERGE_REQUEST_IID", "7"),
        ("CI_MERGE_REQUEST_PROJECT_PATH", "ml/vision/digits"),
        ("CI_MERGE_REQUEST_SOURCE_PROJECT_PATH", "ml/vision/digits"),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "feature"),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
        ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "2"),
    ];
    let detached = gitlab(&request);
    assert_eq!(detached.event, Event::PullRequest);
    assert_eq!(
        (detached.head_sha, detached.base_sha),
        (some(PUSHED_COMMIT), some("2"))
    );
    assert_eq!(
        (detached.branch, detached.base_branch),
        (some("feature"), some("main"))
    );
    assert_eq!((detached.pull_request, detached.is_fork), (Some(7), false));

    // A pipeline for merged results tests a commit that only GitLab has.
    let merged = [
        ("CI_COMMIT_SHA", MERGE_COMMIT),
        ("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", PUSHED_COMMIT),
        ("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "3"),
    ];
    let merged = gitlab(&[&request[..], &merged].concat());
    assert_eq!(
        (merged.head_sha, merged.tested_sha, merged.base_sha),
        (some(PUSHED_COMMIT), some(MERGE_COMMIT), some("3"))
    );

    // A fork's pipeline, in its own project or started by a member in this one; and one that does not say whose it is.
    for (project, source) in [
        ("stranger/digits", "stranger/digits"),
        ("ml/vision/digits", "stranger/digits"),
        ("ml/vision/digits", ""),
    ] {
        let mut variables = request;
        variables[3].1 = source;
        let variables = [&variables[..], &[("CI_PROJECT_PATH", project)]].concat();
        let fork = gitlab(&variables);
        assert_eq!(fork.trust(), Trust::Fork, "{variables:?}");
        assert_eq!(fork.repository, some("ml/vision/digits"));
    }
    // A child pipeline keeps the variables of the merge request, and another source.
    let mut child = request;
    child[0].1 = "parent_pipeline";
    child[3].1 = "stranger/digits";
    assert_eq!(gitlab(&child).trust(), Trust::Fork);
}

#[test]
fn gitlab_tells_pull_requests_of_a_mirrored_repository() {
    let request = [
        ("CI_PIPELINE_SOURCE", "external_pull_request_event"),
        ("CI_COMMIT_BRANCH", "feature"),
        ("CI_EXTERNAL_PULL_REQUEST_IID", "7"),
        ("CI_EXTERNAL_PULL_REQUEST_SOURCE_REPOSITORY", "acme/digits"),
        ("CI_EXTERNAL_PULL_REQUEST_TARGET_REPOSITORY", "acme/digits"),
        ("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_NAME", "feature"),
        ("CI_EXTERNAL_PULL_REQUEST_SOURCE_BRANCH_SHA", PUSHED_COMMIT),
        ("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_NAME", "main"),
        ("CI_EXTERNAL_PULL_REQUEST_TARGET_BRANCH_SHA", "2"),
    ];
    let own = gitlab(&request);
    assert_eq!((own.pull_request, own.trust()), (Some(7), Trust::Own));
    assert_eq!((own.base_branch, own.base_sha), (some("main"), some("2")));
    assert_eq!(own.repository, some("acme/digits"));
    assert_eq!(own.server_url, "https://github.com");
    let mut of_fork = request;
    of_fork[3].1 = "stranger/digits";
    assert_eq!(gitlab(&of_fork).trust(), Trust::Fork);
}

#[test]
fn without_a_ci_system_nothing_is_made_up() {
    let context = Context::from_environment(&environment(&[("GITHUB_SHA", "1")])).unwrap();
    assert_eq!(context.provider, Provider::None);
    assert_eq!(context.event, Event::Local);
    assert_eq!(context.head_sha, None);
    assert_eq!(context.api_url, "https://api.github.com");
}

#[test]
fn addresses_of_repositories() {
    let of = |url| split_repository_url(url);
    let expected = Some(("https://h.dev".to_owned(), "o/n".to_owned()));
    for url in [
        "https://h.dev/o/n",
        "https://h.dev/o/n.git",
        "https://user:pw@h.dev/o/n/pull/7",
        "git@h.dev:o/n.git",
        "ssh://git@h.dev:22/o/n.git",
    ] {
        assert_eq!(of(url), expected, "{url}");
    }
    for url in ["", "o/n", "https://h.dev", "https://h.dev/o", "git@h.dev:o"] {
        assert_eq!(of(url), None, "{url}");
    }
}
