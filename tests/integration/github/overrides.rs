//! A person's word: whose counts, on what, and where it follows.

use serde_json::{Value, json};

use super::gate::{Run, override_comment};

const HEAD: char = 'b';

fn sha(digit: char) -> String {
    digit.to_string().repeat(40)
}

/// A pull request into `base` that misses a rule, and was let through by maria.
fn let_through_into(name: &'static str, base: &str) -> Run {
    let mut run = Run::of_pull_request(name).with_history();
    run.payload["pull_request"]["base"]["ref"] = json!(base);
    run.project.edit("min = 0.5", "min = 0.9999");
    let text = format!("/trainyard override {} known drift", sha(HEAD));
    run.repository.prepare(&json!({
        "permissions": { "maria": "write" },
        "comments": [override_comment("maria", "User", &text)],
        "pulls": [{
            "number": 7, "head_repository": format!("acme/{name}"), "head_branch": "change",
            "head_sha": sha(HEAD), "base_branch": base, "base_sha": sha('a'),
        }],
        "files": { "main:trainyard.toml": "[gate]\nbaseline_branches = [\"release/*\"]\n" },
    }));
    run.gate(1, &[], 0);
    run
}

fn let_through(name: &'static str) -> Run {
    let_through_into(name, "main")
}

/// A later run of `event` on another commit.
fn later(mut run: Run, event: &'static str, reference: &'static str, commit: char) -> Run {
    run.event = event;
    run.reference = reference;
    run.sha = sha(commit);
    run.payload = match event {
        "merge_group" => json!({
            "merge_group": {
                "head_sha": sha(commit), "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-aaaa",
                "base_sha": sha('a'), "base_ref": "refs/heads/main",
            },
            "repository": run.payload["repository"],
        }),
        _ => {
            json!({ "ref": reference, "before": sha('a'), "repository": run.payload["repository"] })
        }
    };
    run
}

/// The word once held for the head commit alone: after the merge main was red, and no release could be published.
#[test]
fn a_word_follows_the_content_into_the_queue_main_and_a_release() {
    for (name, event, reference) in [
        (
            "follows-queue",
            "merge_group",
            "refs/heads/gh-readonly-queue/main/pr-7-aaaa",
        ),
        ("follows-main", "push", "refs/heads/main"),
        ("follows-tag", "push", "refs/tags/v1.0.0"),
    ] {
        let run = later(let_through(name), event, reference, 'e');
        run.repository.prepare(&json!({
            "commits": [[sha('e'), sha('a')]],
            "brought_in": { sha('e'): [7] },
        }));
        let said = run.gate(2, &[], 0);
        said.has_output("fail");
        let verdict = run.project.json("verdict/verdict.json");
        assert_eq!(verdict["override"]["by"], "maria", "{name}");
        assert_eq!(verdict["override"]["commit"], sha(HEAD), "{name}");
        let comment = run.project.path("trainyard-out/verdict/comment.md");
        let comment = std::fs::read_to_string(comment).unwrap();
        assert!(
            comment.contains("for commit bbbbbbb, which had the same content"),
            "{comment}"
        );
    }
}

/// The check of the change was looked for under the branch's own name, and its tree was known after a push alone.
#[test]
fn a_word_follows_the_tree_to_another_model_wherever_the_change_goes() {
    for (name, base, event, reference) in [
        (
            "tree-queue",
            "main",
            "merge_group",
            "refs/heads/gh-readonly-queue/main/pr-7-aaaa",
        ),
        ("tree-tag", "main", "push", "refs/tags/v1.0.0"),
        ("tree-branch", "release/2", "push", "refs/heads/release/2"),
    ] {
        let run = later(let_through_into(name, base), event, reference, 'e');
        run.repository.prepare(&json!({
            "commits": [[sha('e'), sha('a')]],
            "brought_in": { sha('e'): [7] },
            "tags": { "v0.9.0": sha('a'), "v1.0.0": sha('e') },
        }));
        run.project.run("train", &["--seed", "5"], 0);
        run.project.run("evaluate", &[], 0);
        run.gate(2, &[], 1);
        run.repository
            .prepare(&json!({ "trees": { sha('e'): sha('c') } }));
        run.gate(3, &[], 0);
        let verdict = run.project.json("verdict/verdict.json");
        assert_eq!(verdict["override"]["commit"], sha(HEAD), "{name}");
    }
}

/// Another model that misses the rule needs a new word.
#[test]
fn a_word_does_not_follow_to_other_content() {
    let run = later(let_through("new-content"), "push", "refs/heads/main", 'e');
    run.repository.prepare(&json!({
        "commits": [[sha('e'), sha('a')]],
        "brought_in": { sha('e'): [7] },
        "trees": { sha('c'): "the tree that was let through", sha('e'): "another tree" },
    }));
    run.project.run("train", &["--seed", "5"], 0);
    run.project.run("evaluate", &[], 0);
    run.gate(2, &[], 1);
}

#[test]
fn a_pushed_commit_is_let_through_by_a_comment_on_itself() {
    let run = Run::of_push("commit-comment", "refs/heads/main");
    run.project.edit("min = 0.5", "min = 0.9999");
    run.gate(1, &[], 1);
    let text = format!("/trainyard override {} as agreed", sha('c'));
    run.repository.prepare(&json!({
        "permissions": { "maria": "write" },
        "comments": [{ "commit": sha('c'), "login": "maria", "body": text }],
    }));
    run.gate(2, &[], 0);
    let state = run.repository.state();
    assert_eq!(state["checks"][0]["conclusion"], "success");
}

#[test]
fn edited_comments_and_those_through_an_app_do_not_count() {
    let run = Run::of_pull_request("edited").with_history();
    run.project.edit("min = 0.5", "min = 0.9999");
    let text = format!("/trainyard override {} please", sha(HEAD));
    let with = |key: &str, value: Value| {
        let mut comment = override_comment("maria", "User", &text);
        comment[key] = value;
        comment
    };
    run.repository.prepare(&json!({
        "permissions": { "maria": "write" },
        "comments": [
            with("updated_at", json!("2026-01-02T00:00:00Z")),
            with("performed_via_github_app", json!({ "id": 1, "slug": "some-app" })),
        ],
    }));
    // Through an App, the field holds more than our stand-in writes.
    let mut run = run;
    run.api = super::Api::Direct;
    run.gate(1, &[], 1);
}

/// Three hundred comments by readers once cost 317 calls.
#[test]
fn comments_by_many_readers_cost_few_calls() {
    let mut run = Run::of_pull_request("readers").with_history();
    run.project.edit("min = 0.5", "min = 0.9999");
    let text = format!("/trainyard override {} please", sha(HEAD));
    let mut comments = vec![override_comment("rita", "User", &text); 150];
    comments.extend((0..150).map(|n| override_comment(&format!("reader-{n}"), "User", &text)));
    comments.extend(vec![override_comment("ann", "User", "nice"); 50]);
    run.repository.prepare(&json!({ "comments": comments }));
    run.api = super::Api::Direct;
    run.gate(1, &[], 1);
    let requests = run.repository.state()["requests"].to_string();
    assert_eq!(requests.matches("/permission").count(), 10, "{requests}");
}

/// The job with `if: always()` reports also when the configuration has a typo.
#[test]
fn a_broken_configuration_turns_check_and_comment_red() {
    let run = Run::of_pull_request("broken").with_history();
    run.gate(1, &[], 0);
    run.gate(2, &["--start"], 0);
    run.project.edit("[[gate.rules]]", "[[gate.rulez]]");
    run.gate(2, &[], 2).has_error("did you mean `rules`?");
    let state = run.repository.state();
    assert_eq!(state["checks"].as_array().unwrap().len(), 1, "{state}");
    assert_eq!(state["checks"][0]["name"], "trainyard / mnist");
    assert_eq!(state["checks"][0]["conclusion"], "failure");
    let bodies = run.repository.bodies();
    assert_eq!(bodies.len(), 1);
    assert!(
        bodies[0].contains("The configuration cannot be read"),
        "{bodies:?}"
    );
    // Not even the name can be read: whatever is open is completed.
    run.gate(3, &["--start"], 2);
    run.project.write("trainyard.toml", "[model\nname = 7");
    run.repository.prepare(&json!({ "checks": [{
        "name": "trainyard / mnist (into other)", "head_sha": sha(HEAD), "status": "in_progress", "external_id": "mnist:3.1",
    }] }));
    run.gate(3, &[], 2);
    let state = run.repository.state();
    for check in state["checks"].as_array().unwrap() {
        assert_eq!(check["conclusion"], "failure", "{check}");
    }
}

/// `publish-image` once judged by other rules than the gate did, and every such pull request ended red.
#[test]
fn an_image_is_built_by_the_rules_that_the_gate_judged_by() {
    let run = Run::of_pull_request("one-case").with_history();
    let own = std::fs::read_to_string(run.project.path("trainyard.toml")).unwrap();
    let base = own.replace(
        "# Judged by",
        "[gate]\nrules_from = \"base\"\n\n# Judged by",
    );
    run.repository
        .prepare(&json!({ "files": { "main:trainyard.toml": base } }));
    run.project.edit("min = 0.5", "min = 0.4");
    run.gate(1, &[], 0);
    assert!(
        run.project
            .path("trainyard-out/verdict/rules.json")
            .exists()
    );
    run.project.run("publish-image", &[], 0);
    // A later verdict by the own rules leaves none of the base's behind.
    run.project.run("gate", &[], 0);
    assert!(
        !run.project
            .path("trainyard-out/verdict/rules.json")
            .exists()
    );
}

/// `publish-image` took a baseline that could not be had for one that was never configured, and refused the verdict.
#[test]
fn a_verdict_without_its_baseline_is_published_on_a_persons_word() {
    let mut run = Run::of_pull_request("no-baseline").with_history();
    run.project.edit("min = 0.5", "min = 0.5\nmax_drop = 0.1");
    let text = format!("/trainyard override {} GitHub is down", sha(HEAD));
    run.repository.prepare(&json!({
        "permissions": { "maria": "write" },
        "comments": [override_comment("maria", "User", &text)],
        "fault": { "path": "graphql", "message": "Resource not accessible by integration", "times": 1 },
    }));
    run.api = super::Api::Direct;
    run.gate(1, &["--no-check", "--comment", "never"], 0)
        .has_output("inconclusive");
    let publish = |arguments: &[&str], code: i32| {
        let mut command = run.project.stage("publish-image", arguments);
        command
            .env("JENKINS_URL", "https://ci.example/")
            .env("GIT_COMMIT", sha(HEAD));
        crate::project::Said::of(&mut command, code)
    };
    // It is known for what it is, and withheld for want of the permission alone.
    publish(&[], 0).has_error("no image is built without `--allow-override`");
    // What the gate does not say is not made up.
    run.project
        .write("trainyard-out/verdict/no-baseline.json", "{}");
    publish(&[], 0);
    std::fs::remove_file(run.project.path("trainyard-out/verdict/no-baseline.json")).unwrap();
    publish(&[], 3).has_error("the verdict is not about this model");
}

/// A run that the comment started, of the default branch.
fn answered(run: &mut Run, comment: &Value, login: &str, body: &str, code: i32) {
    run.event = "issue_comment";
    run.reference = "refs/heads/main";
    let issue = json!({ "number": 7, "pull_request": { "url": "x" } });
    run.payload = json!({
        "action": "created", "issue": issue, "repository": run.payload["repository"],
        "comment": { "id": comment["id"], "body": body, "user": { "login": login } },
    });
    run.gate(90, &["--answer"], code);
}

/// The comment that was made last.
fn last_comment(run: &Run) -> Value {
    let state = run.repository.state();
    state["comments"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone()
}

#[test]
fn a_comment_is_answered_and_the_commits_job_runs_again() {
    let mut run = Run::of_pull_request("answer").with_history();
    run.project.edit("min = 0.5", "min = 0.9999");
    let pull = |repository: &str| {
        json!({ "pulls": [{
            "number": 7, "head_repository": repository, "head_branch": "change",
            "head_sha": sha(HEAD), "base_branch": "main", "base_sha": sha('a'),
        }], "permissions": { "maria": "write" } })
    };
    run.repository.prepare(&pull("acme/answer"));
    run.gate(41, &[], 1);
    let say = |run: &mut Run, login: &str, body: &str| {
        run.repository
            .prepare(&json!({ "comments": [override_comment(login, "User", body)] }));
        let comment = last_comment(run);
        answered(run, &comment, login, body, 0);
        let state = run.repository.state();
        let reaction = state["reactions"].as_array().unwrap().last();
        (
            reaction.map_or(Value::Null, |found| {
                json!(found.as_str().unwrap().split(": ").last())
            }),
            state["reruns"].clone(),
        )
    };
    let none = json!([]);
    assert_eq!(
        say(&mut run, "maria", "nice work"),
        (Value::Null, none.clone())
    );
    let command = format!("/trainyard override {} ", sha(HEAD));
    assert_eq!(
        say(&mut run, "rita", &format!("{command}please")),
        (json!("-1"), none.clone())
    );
    assert_eq!(
        say(&mut run, "maria", &command),
        (json!("confused"), none.clone())
    );
    assert_eq!(
        say(&mut run, "maria", "/trainyard override 0123456 another"),
        (json!("confused"), none.clone())
    );
    let reply = last_comment(&run)["body"].as_str().unwrap().to_owned();
    assert!(
        reply.contains("does not name the newest commit, `bbbbbbbbbbbb`"),
        "{reply}"
    );
    assert_eq!(
        say(&mut run, "maria", &format!("{command}known drift")),
        (json!("+1"), json!(["41"]))
    );

    // A fork's check has another name, which nobody requires.
    run.repository.prepare(&pull("mallory/fork"));
    let (reaction, reruns) = say(&mut run, "maria", &format!("{command}known drift"));
    assert_eq!((reaction, reruns), (json!("-1"), json!(["41"])));
    let reply = last_comment(&run)["body"].as_str().unwrap().to_owned();
    assert!(
        reply.contains("The check of a fork cannot be overridden"),
        "{reply}"
    );
}
