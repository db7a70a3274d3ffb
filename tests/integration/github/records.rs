//! Which runs leave a record, under which name, and which record a run is compared with.

use serde_json::{Value, json};
use trainyard_core::gate::{BaselineRecord, Decision};

use super::gate::{Run, card, check_with, record, record_of};

/// Name, conclusion, and whether there is a record, of each check on `c…`.
fn checks(run: &Run) -> Vec<(String, String, bool)> {
    let state = run.repository.state();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    state["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["head_sha"] == "c".repeat(40))
        .map(|check| {
            let has_record = BaselineRecord::decode(&text(&check["output"]["text"])).is_some();
            (text(&check["name"]), text(&check["conclusion"]), has_record)
        })
        .collect()
}

fn seen(name: &str, has_record: bool) -> (String, String, bool) {
    (name.to_owned(), "success".to_owned(), has_record)
}

/// A push of a feature branch once wrote the required name, and compared with the branch's own last commit.
#[test]
fn only_runs_of_a_branch_that_leaves_records_leave_one_and_none_writes_anothers_name() {
    for (name, reference, event, expected) in [
        (
            "push-main",
            "refs/heads/main",
            "push",
            vec![seen("trainyard / mnist (baseline)", true)],
        ),
        (
            "push-release",
            "refs/heads/release/2",
            "push",
            vec![seen("trainyard / mnist (baseline)", true)],
        ),
        (
            "push-change",
            "refs/heads/change",
            "push",
            vec![seen("trainyard / mnist (branch)", false)],
        ),
        (
            "push-tag",
            "refs/tags/v1.0.0",
            "push",
            vec![seen("trainyard / mnist (release)", false)],
        ),
        (
            "by-hand",
            "refs/heads/change",
            "workflow_dispatch",
            vec![seen("trainyard / mnist (scheduled)", false)],
        ),
        // The tip of main has no record yet, so the run takes the place of the push.
        (
            "by-time",
            "refs/heads/main",
            "schedule",
            vec![
                seen("trainyard / mnist (scheduled)", false),
                seen("trainyard / mnist (baseline)", true),
            ],
        ),
    ] {
        let mut run = Run::of_push(name, reference);
        run.event = event;
        let config = "[gate]\nbaseline_branches = [\"release/*\"]\n";
        run.repository.prepare(&json!({
            "files": { "main:trainyard.toml": config }, "merge_base": "a".repeat(40),
        }));
        run.gate(1, &[], 0);
        assert_eq!(checks(&run), expected, "{name}");
    }
}

/// A merge group's commit is about to be the branch's, and the next entry of the queue is based on it.
#[test]
fn a_merge_group_writes_the_required_name_and_a_record() {
    let mut run = Run::of_push("group", "refs/heads/gh-readonly-queue/main/pr-7-a");
    run.event = "merge_group";
    run.payload = json!({
        "merge_group": {
            "head_sha": "c".repeat(40), "head_ref": run.reference,
            "base_sha": "a".repeat(40), "base_ref": "refs/heads/main",
        },
        "repository": run.payload["repository"],
    });
    run.gate(1, &[], 0);
    let expected = [
        seen("trainyard / mnist", false),
        seen("trainyard / mnist (baseline)", true),
    ];
    assert_eq!(checks(&run), expected);
}

#[test]
fn a_pull_request_into_another_branch_never_writes_the_required_name() {
    let mut run = Run::of_pull_request("into").with_history();
    run.payload["pull_request"]["base"]["ref"] = json!("lenient");
    run.gate(1, &[], 0);
    let state = run.repository.state();
    assert_eq!(
        state["checks"][0]["name"],
        "trainyard / mnist (into lenient)"
    );
}

/// `epochs: 1` by hand on main once became the baseline, and so did red runs.
#[test]
fn red_and_overridden_runs_are_passed_over_by_name() {
    let run = Run::of_pull_request("unusable").with_history();
    run.project
        .edit("min = 0.5", "max_drop = 0.01\nwhen_uncertain = \"pass\"");
    let [base, quick, red] = ["a", "d", "e"].map(|digit| digit.repeat(40));
    let left = |commit: &str, change: &dyn Fn(&mut BaselineRecord)| {
        let mut left = record_of(&card(&run), commit, None);
        change(&mut left);
        check_with(&left.encode().unwrap(), "github-actions", commit)
    };
    let merge = "f".repeat(40);
    let good = record(&run, 0.5);
    run.repository.prepare(&json!({
        "commits": [[red, base], [quick, red], [merge, quick, "b".repeat(40)]],
        "checks": [
            check_with(&good, "github-actions", &base),
            left(&red, &|left| left.decision = Decision::Fail),
            left(&quick, &|left| left.overriding_inputs = vec!["epochs = 1".to_owned()]),
        ],
    }));
    run.project.write(".git/HEAD", format!("{merge}\n"));
    run.gate(1, &["--no-check"], 0);
    let body = run.repository.bodies().remove(0);
    for expected in [
        "commit aaaaaaa, 2 commits further back",
        "Not compared with ddddddd",
        "epochs = 1",
        "eeeeeee \\(its verdict is fail\\)",
    ] {
        assert!(body.contains(expected), "{expected}: {body}");
    }
}

/// A run at work once counted as having left nothing, without a word.
#[test]
fn a_nearer_run_that_has_not_ended_is_passed_over_by_name() {
    let run = Run::of_pull_request("running");
    run.project
        .edit("min = 0.5", "max_drop = 0.01\nwhen_uncertain = \"pass\"");
    let [older, base, head, merge] = ["d", "a", "b", "c"].map(|digit| digit.repeat(40));
    let text = record(&run, 0.9999);
    run.repository.prepare(&json!({
        "commits": [[older], [base, older], [head, base], [merge, base, head]],
        "checks": [
            check_with(&text, "github-actions", &older),
            { "name": "trainyard / mnist (baseline)", "head_sha": base, "status": "in_progress" },
        ],
    }));
    run.gate(1, &["--no-check"], 0);
    let body = run.repository.bodies().remove(0);
    for expected in [
        "commit ddddddd, 1 commit further back",
        "Not compared with aaaaaaa \\(its check is still running\\)",
    ] {
        assert!(body.contains(expected), "{expected}: {body}");
    }
}

/// A chain of `n` commits, the oldest first, and the merge commit of a pull request at its end.
fn long_history(run: &Run, n: usize) -> Vec<String> {
    let sha = |idx: usize| format!("{idx:040x}");
    let mut commits: Vec<Vec<String>> = vec![vec![sha(1)]];
    commits.extend((2..=n).map(|idx| vec![sha(idx), sha(idx - 1)]));
    let [head, merge] = ["b", "c"].map(|digit| digit.repeat(40));
    commits.push(vec![head.clone(), sha(n)]);
    commits.push(vec![merge, sha(n), head]);
    run.repository.prepare(&json!({ "commits": commits }));
    (1..=n).map(sha).collect()
}

/// The search once ended after twenty commits, and the check was green.
#[test]
fn a_record_is_found_however_far_back_in_few_calls() {
    let run = Run::of_pull_request("far");
    run.project
        .edit("min = 0.5", "max_drop = 0.01\nwhen_uncertain = \"pass\"");
    let commits = long_history(&run, 700);
    let text = record(&run, 0.9999);
    run.repository.prepare(&json!({
        "checks": [check_with(&text, "github-actions", &commits[0])],
        "workflow_runs": { "main": 1 },
    }));
    run.gate(1, &["--no-check"], 0);
    let body = run.repository.bodies().remove(0);
    assert!(body.contains("699 commits further back"), "{body}");
    let requests = run.repository.state()["requests"].to_string();
    assert_eq!(requests.matches("graphql").count(), 8, "{requests}");
}

#[test]
fn a_history_that_is_not_read_to_its_end_is_never_taken_for_one_without_records() {
    let run = Run::of_pull_request("long");
    run.project.edit("min = 0.5", "min = 0.5\nmax_drop = 0.01");
    long_history(&run, 3_200);
    run.gate(1, &["--no-check"], 3);
    let body = run.repository.bodies().remove(0);
    assert!(body.contains("the search ended there"), "{body}");
}

/// The record of `(baseline)` on the pushed commit, and the run that wrote it.
fn kept(run: &Run) -> (Value, Value) {
    let checks = run.repository.state()["checks"].clone();
    let found = checks.as_array().unwrap().iter();
    let mut found = found.filter(|check| check["name"] == "trainyard / mnist (baseline)");
    let check = found.next().unwrap();
    assert_eq!(check["status"], "completed", "{check}");
    (
        check["output"]["text"].clone(),
        check["external_id"].clone(),
    )
}

/// Pull requests of the meantime would find nothing.
#[test]
fn a_record_stays_while_its_commit_is_judged_again() {
    let run = Run::of_push("start-again", "refs/heads/main");
    run.gate(1, &[], 0);
    let before = kept(&run);
    run.gate(2, &["--start"], 0);
    assert_eq!(kept(&run), before);
    run.gate(2, &[], 0);
    assert_eq!(kept(&run).1, "mnist:2.1");
}

#[test]
fn a_run_by_hand_or_by_time_takes_no_records_place() {
    for (name, event) in [
        ("again-by-hand", "workflow_dispatch"),
        ("again-by-time", "schedule"),
    ] {
        let mut run = Run::of_push(name, "refs/heads/main");
        run.gate(1, &[], 0);
        let before = kept(&run);
        run.event = event;
        run.gate(2, &["--start"], 0);
        run.gate(2, &[], 0);
        assert_eq!(kept(&run), before);
        assert_eq!(checks(&run).len(), 2);
    }
}

/// With an App's token every check is the App's, and so is every record.
#[test]
fn records_of_an_app_are_found_with_its_token() {
    let token = ["--token", "ghs_of_acme-ci"];
    let pushed = Run::of_push("own-app", "refs/heads/main");
    pushed.gate(1, &token, 0);
    assert_eq!(
        pushed.repository.state()["checks"][0]["app"]["slug"],
        "acme-ci"
    );
    let change = Run::of_pull_request("own-app");
    let [pushed, head, merge] = ["c", "b", "d"].map(|digit| digit.repeat(40));
    change
        .repository
        .prepare(&json!({ "commits": [[merge, pushed, head]] }));
    change.project.write(".git/HEAD", format!("{merge}\n"));
    for (arguments, is_compared) in [(&token[..], true), (&[], false)] {
        change.gate(2, arguments, 0);
        let body = change.repository.bodies().pop().unwrap();
        assert_eq!(body.contains("commit ccccccc"), is_compared, "{body}");
    }
}

/// Five commits pushed at once, or a merge whose second parent is what the branch was.
#[test]
fn a_push_is_compared_with_where_the_branch_was() {
    let run = Run::of_push("before", "refs/heads/main");
    run.project
        .edit("min = 0.5", "max_drop = 0.01\nwhen_uncertain = \"pass\"");
    let [merged, before, local] = ["c", "a", "d"].map(|digit| digit.repeat(40));
    let text = record(&run, 0.9999);
    run.repository.prepare(&json!({
        "checks": [check_with(&text, "github-actions", &before)],
    }));
    // `git pull` on a laptop, then `git push`: the branch's own commit is the second parent.
    run.repository
        .prepare(&json!({ "commits": [[local], [merged, local, before]] }));
    run.gate(1, &[], 0);
    let state = run.repository.state();
    let summary = state["checks"][1]["output"]["summary"].as_str().unwrap();
    assert!(summary.contains("commit aaaaaaa"), "{summary}");
}

/// A fork's own job may read what everybody may read.
#[test]
fn a_forks_own_job_is_compared_with_the_base() {
    let mut run = Run::of_pull_request("fork-reads").with_history();
    run.payload["pull_request"]["head"]["repo"]["full_name"] = json!("mallory/fork");
    run.project
        .edit("min = 0.5", "max_drop = 0.01\nwhen_uncertain = \"pass\"");
    let text = record(&run, 0.9999);
    run.repository
        .prepare(&json!({ "checks": [check_with(&text, "github-actions", &"a".repeat(40))] }));
    run.gate(1, &[], 0).has_output("0.9999");
}

/// Its token may only read unless `permissions:` says otherwise; then it writes like any other.
#[test]
fn a_run_of_dependabot_writes_where_it_may() {
    let mut run = Run::of_pull_request("dependabot-writes").with_history();
    run.payload["pull_request"]["user"] = json!({ "login": "dependabot[bot]" });
    run.gate(1, &[], 0);
    let state = run.repository.state();
    assert_eq!(state["checks"][0]["name"], "trainyard / mnist");
}

/// A branch's own run knows whether its workflow has ever completed there.
#[test]
fn a_long_history_is_a_first_use_where_the_branch_has_no_runs() {
    for (name, n_runs, code) in [("first-use", 0, 0), ("lost-records", 9, 3)] {
        let mut run = Run::of_pull_request(name);
        run.event = "push";
        run.reference = "refs/heads/main";
        run.payload = json!({ "ref": run.reference, "repository": run.payload["repository"] });
        run.project.edit("min = 0.5", "min = 0.5\nmax_drop = 0.01");
        long_history(&run, 3_200);
        run.repository
            .prepare(&json!({ "workflow_runs": { "main": n_runs } }));
        run.gate(1, &[], code);
    }
}
