//! The example's workflows report each event on GitHub: act runs them, and the stand-in behind Prism takes what they write.

use serde_json::{Value, json};

use super::project::Project;
use super::{GATE, Run};
use crate::github::{Api, Repository};
use crate::support::repository;

const REPOSITORY: &str = "acme/digits";
const HEAD: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// Conclusions and names of all checks, the oldest first.
fn checks(state: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("open").to_owned();
    let checks = state["checks"].as_array().unwrap().iter();
    checks
        .map(|check| format!("{} {}", text(&check["conclusion"]), text(&check["name"])))
        .collect()
}

fn own(name: &str) -> Value {
    json!({ "full_name": name, "default_branch": "main" })
}

fn pull_request(head_repository: &str, base_sha: &str) -> Value {
    json!({
        "action": "synchronize",
        "number": 7,
        "pull_request": {
            "number": 7,
            "head": { "ref": "change", "sha": HEAD, "repo": own(head_repository) },
            "base": { "ref": "main", "sha": base_sha, "repo": own(REPOSITORY) },
        },
        "repository": own(REPOSITORY),
    })
}

#[track_caller]
fn assert_green(run: &Run) {
    assert!(run.is_green, "{}", run.messages());
}

/// Figures, digests and commits vary with machines and versions; what stands around them does not.
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.add_filter(r"\b[0-9a-f]{40}\b", "COMMIT");
    settings.add_filter(r"`[0-9a-f]{12}`", "`DIGEST`");
    settings.add_filter(r"(commit|tested as) [0-9a-f]{7}\b", "$1 SHORT");
    settings.add_filter("\"[0-9a-f]{7}\"", "\"SHORT\"");
    settings.add_filter(r"\b\d+\.\d+\.\d+\b", "VERSION");
    settings.add_filter(r"\b\d+(\.\d+)?(e-?\d+)?\b", "N");
    settings.add_filter(r"[+−±]N( better| worse)?", "CHANGE");
    // Rows of metrics without a rule come and go with the catalog.
    settings.add_filter(r"(?m)^\|.*\|  \|  \|\n", "");
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[test]
fn every_event_is_reported_where_reviewers_look() {
    let github = Repository { name: "digits" };
    let project = Project::new("0.5", "registry.invalid");
    project.report_to(&Api::Checked.address(), github.name);

    // A push to main leaves what it measured.
    let base = project.commit("on main");
    github.prepare(&json!({ "commits": [[base]] }));
    let push = json!({ "ref": "refs/heads/main", "after": base, "repository": own(REPOSITORY) });
    assert_green(&project.act_on("trainyard.yml", "push", &push));
    let state = github.state();
    assert_eq!(checks(&state), ["success trainyard / mnist (baseline)"]);
    assert_eq!(state["checks"][0]["head_sha"], base);
    assert!(state["checks"][0]["output"]["text"].is_string());
    assert_eq!(state["comments"], json!([]));

    // A pull request is compared with it, and has a comment.
    let merge = project.commit("the merge commit of a pull request");
    github.prepare(&json!({ "commits": [[HEAD, base], [merge, base, HEAD]] }));
    let run = project.act_on(
        "trainyard.yml",
        "pull_request",
        &pull_request(REPOSITORY, &base),
    );
    assert_green(&run);
    let state = github.state();
    assert_eq!(checks(&state)[1..], ["success trainyard / mnist"]);
    assert_eq!(state["checks"][1]["head_sha"], HEAD);
    assert_eq!(state["comments"].as_array().unwrap().len(), 1);
    let body = state["comments"][0]["body"].as_str().unwrap();
    snapshot("comment", body);
    let outputs = ["verdict", "title", "comment-url", "check-url", "overridden"]
        .map(|name| format!("{name}: {}", run.output(GATE, name)));
    snapshot("outputs", &outputs.join("\n"));

    // A merge queue's group, under the name that a branch protection requires.
    let group = json!({
        "action": "checks_requested",
        "merge_group": {
            "head_sha": merge, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-x",
            "base_sha": base, "base_ref": "refs/heads/main",
        },
        "repository": own(REPOSITORY),
    });
    assert_green(&project.act_on("trainyard.yml", "merge_group", &group));
    let state = github.state();
    // Its commit is about to be main's, so it leaves a record too.
    assert_eq!(
        checks(&state)[2..],
        [
            "success trainyard / mnist",
            "success trainyard / mnist (baseline)"
        ]
    );
    assert_eq!(state["checks"][2]["head_sha"], merge);

    // A fork's run writes nothing; the second workflow reports it, and is never green.
    let fork = pull_request("mallory/digits", &base);
    assert_green(&project.act_on("trainyard.yml", "pull_request", &fork));
    assert_eq!(checks(&github.state()).len(), 4);
    github.prepare(&json!({
        "merge_base": base,
        "pulls": [{
            "number": 8, "head_repository": "mallory/digits", "head_branch": "change", "head_sha": HEAD,
            "base_branch": "main", "base_sha": base,
        }],
    }));
    let ended = json!({
        "action": "completed",
        "workflow_run": {
            "id": 1, "event": "pull_request", "head_sha": HEAD, "head_branch": "change",
            "head_repository": own("mallory/digits"), "pull_requests": [], "actor": { "login": "mallory" },
        },
        "repository": own(REPOSITORY),
    });
    let run = project.act_on("trainyard-forks.yml", "workflow_run", &ended);
    assert_green(&run);
    let state = github.state();
    assert_eq!(
        checks(&state)[4..],
        ["neutral trainyard / mnist (fork, unverified)"],
        "{}",
        run.messages()
    );
    assert_eq!(state["comments"].as_array().unwrap().len(), 1);
    let summary = state["checks"][4]["output"]["summary"].as_str().unwrap();
    snapshot("fork", summary);
}

#[test]
fn a_missed_rule_is_annotated_beside_the_job_and_in_the_check() {
    let github = Repository { name: "missed" };
    let project = Project::new("0.9999", "registry.invalid");
    project.report_to(&Api::Checked.address(), github.name);
    let tested = project.commit("a tag");
    github.prepare(&json!({ "commits": [[tested]] }));
    let run = project.tag("v1.2.3");
    assert!(!run.is_green);
    let state = github.state();
    let ours: Vec<&Value> = state["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["head_sha"] == tested)
        .collect();
    assert_eq!(ours.len(), 1, "{state}");
    assert_eq!(ours[0]["conclusion"], "failure");
    let remarks: Vec<String> = state["annotations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|remark| {
            let text = |key: &str| remark[key].as_str().unwrap_or_default().to_owned();
            format!(
                "{}: {} {}: {}",
                text("path"),
                text("annotation_level"),
                text("title"),
                text("message")
            )
        })
        .collect();
    snapshot("remarks", &remarks.join("\n"));
    let beside_job: Vec<&str> = run
        .commands(GATE, "error")
        .into_iter()
        .filter_map(|event| event["arg"].as_str())
        .collect();
    assert!(!beside_job.is_empty(), "{}", run.messages());
}

/// The guide's first workflow, as it stands there.
#[test]
fn two_models_of_a_repository_are_joined_into_one_report() {
    let guide = repository().join("docs/guides/monorepo.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let (_, rest) = guide.split_once("```yaml\n").unwrap();
    let (workflow, _) = rest.split_once("```\n").unwrap();
    let github = Repository { name: "joined-act" };
    let project = Project::new("0.5", "registry.invalid");
    project.split_in_two();
    project.add_workflow("models.yml", workflow);
    project.report_to(&Api::Checked.address(), github.name);
    let base = project.commit("on main");
    github.prepare(&json!({ "commits": [[base]] }));
    let push =
        json!({ "ref": "refs/heads/main", "after": base, "repository": own("acme/joined-act") });
    assert_green(&project.act_on("models.yml", "push", &push));
    let names = checks(&github.state());
    for name in [
        "success trainyard / digits (baseline)",
        "success trainyard / prices (baseline)",
        "success trainyard (baseline)",
    ] {
        assert!(
            names.contains(&name.to_owned()),
            "{name} is not in {names:?}"
        );
    }

    let merge = project.commit("the merge commit of a pull request");
    github.prepare(&json!({ "commits": [[HEAD, base], [merge, base, HEAD]] }));
    let mut event = pull_request("acme/joined-act", &base);
    event["repository"] = own("acme/joined-act");
    event["pull_request"]["base"]["repo"] = own("acme/joined-act");
    assert_green(&project.act_on("models.yml", "pull_request", &event));
    let state = github.state();
    assert_eq!(state["comments"].as_array().unwrap().len(), 1, "{state}");
    snapshot("joined", state["comments"][0]["body"].as_str().unwrap());
    assert!(checks(&state).contains(&"success trainyard".to_owned()));
}

/// One step for everything: a red pull request that a person lets through, its merge group, the merge and the release.
#[test]
fn the_one_step_action_goes_from_an_override_to_the_image() {
    const WORKFLOW: &str = "name: One step
on: [pull_request, merge_group, push]
permissions: {}
jobs:
  model:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - uses: trainyard/trainyard@v1
        id: model
        with:
          allow-override: \"true\"
";
    const IMAGE: &str = "trainyard-mnist/image/oci-layout";
    let github = Repository { name: "one-step" };
    let project = Project::new("0.9999", "registry.invalid");
    project.add_workflow("one-step.yml", WORKFLOW);
    project.report_to(&Api::Checked.address(), github.name);
    let of_repository = |mut event: Value| {
        event["repository"] = own("acme/one-step");
        event
    };
    let base = project.commit("on main");
    let merge = project.commit("the merge commit of a pull request");
    github.prepare(&json!({ "commits": [[base], [HEAD, base], [merge, base, HEAD]] }));
    let mut event = of_repository(pull_request("acme/one-step", &base));
    event["pull_request"]["base"]["repo"] = own("acme/one-step");
    let run = project.act_on("one-step.yml", "pull_request", &event);
    assert!(!run.is_green, "{}", run.messages());
    assert!(!project.has_kept(IMAGE), "{}", run.messages());
    assert_eq!(checks(&github.state()), ["failure trainyard / mnist"]);

    // A person lets it through, and the job runs again.
    let head = &HEAD[..12];
    github.prepare(&json!({
        "permissions": { "maria": "write" },
        "comments": [{
            "issue": 7, "login": "maria", "type": "User",
            "body": format!("/trainyard override {head} The labels of batch 7 were wrong."),
        }],
    }));
    let run = project.act_on("one-step.yml", "pull_request", &event);
    assert_green(&run);
    assert!(project.has_kept(IMAGE), "{}", run.messages());
    let state = github.state();
    assert_eq!(checks(&state), ["success trainyard / mnist"]);
    let comments = state["comments"].as_array().unwrap();
    let ours = comments
        .iter()
        .filter(|comment| comment["user"]["login"] != "maria");
    let bodies: Vec<&str> = ours
        .map(|comment| comment["body"].as_str().unwrap())
        .collect();
    assert_eq!(bodies.len(), 1);
    snapshot("overridden", bodies[0]);

    // The queue tests the same tree.
    github.prepare(&json!({ "pulls": [{
        "number": 7, "head_repository": "acme/one-step", "head_branch": "change", "head_sha": HEAD,
        "base_branch": "main", "base_sha": base,
    }] }));
    let group = of_repository(json!({
        "action": "checks_requested",
        "merge_group": {
            "head_sha": merge, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-x",
            "base_sha": base, "base_ref": "refs/heads/main",
        },
    }));
    assert_green(&project.act_on("one-step.yml", "merge_group", &group));
    // The merge, and a release of it.
    github.prepare(&json!({ "brought_in": { &merge: [7] } }));
    let push = of_repository(json!({ "ref": "refs/heads/main", "before": base, "after": merge }));
    assert_green(&project.act_on("one-step.yml", "push", &push));
    github.prepare(&json!({ "tags": { "v1.2.3": merge } }));
    let tag = of_repository(json!({ "ref": "refs/tags/v1.2.3", "after": merge }));
    let release = project.act_on("one-step.yml", "push", &tag);
    assert_green(&release);
    let names = checks(&github.state());
    assert!(
        names.contains(&"success trainyard / mnist (release)".to_owned()),
        "{names:?}"
    );
    let kept = project.kept(IMAGE);
    assert!(kept.contains("imageLayoutVersion"), "{kept}");
}
