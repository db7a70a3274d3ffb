//! `gate --issue-on-failure`: one issue for each key, which follows the verdict of runs by time.

use serde_json::{Value, json};
use trainyard_github::{GitHub, IssueOutcome, IssueText};

use super::gate::Run;
use super::{Repository, block_on};

const CONFIG: &str = "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.9\n";

/// A run by time on main, with so many of 300 rows predicted wrong.
fn judge(run: &mut Run, run_id: u64, n_wrong: u32, arguments: &[&str], code: i32) {
    run.event = "schedule";
    run.project.write("trainyard.toml", CONFIG);
    run.evaluate("id", 300, n_wrong, "trainyard-out");
    let arguments = [&["--issue-on-failure"][..], arguments].concat();
    run.gate(run_id, &arguments, code);
}

fn issues(run: &Run) -> Vec<Value> {
    run.repository.state()["issues"].as_array().unwrap().clone()
}

#[test]
fn a_red_run_by_time_opens_one_issue_which_is_updated_and_closed() {
    let mut run = Run::of_push("issue", "refs/heads/main");
    judge(&mut run, 1, 3, &[], 0);
    assert_eq!(issues(&run), Vec::<Value>::new());
    judge(&mut run, 2, 60, &[], 1);
    let [issue] = &issues(&run)[..] else {
        panic!("one issue: {:?}", issues(&run))
    };
    assert_eq!(
        (&issue["state"], &issue["labels"][0]["name"]),
        (&json!("open"), &json!("trainyard"))
    );
    let title = issue["title"].as_str().unwrap();
    assert!(title.contains("pets") && title.contains("0.8"), "{title}");
    let body = issue["body"].as_str().unwrap();
    assert!(
        body.starts_with("<!-- trainyard-issue key=pets -->\n"),
        "{body}"
    );
    assert!(body.contains("### ❌ Fail · pets"), "{body}");
    assert!(run.output().contains("issue-url"), "{}", run.output());
    // Worse, then the same again, then by another key.
    judge(&mut run, 3, 90, &[], 1);
    let worse = issues(&run);
    assert_eq!(worse.len(), 1);
    assert!(
        worse[0]["title"].as_str().unwrap().contains("0.7"),
        "{worse:?}"
    );
    judge(&mut run, 4, 90, &["--comment-key", "other"], 1);
    assert_eq!(issues(&run).len(), 2);
    judge(&mut run, 5, 3, &[], 0);
    let closed = issues(&run);
    assert_eq!(
        (&closed[0]["state"], &closed[0]["state_reason"]),
        (&json!("closed"), &json!("completed"))
    );
    assert!(
        closed[0]["body"].as_str().unwrap().contains("Pass"),
        "{closed:?}"
    );
    assert_eq!(closed[1]["state"], "open");
    // Red again: the same one.
    judge(&mut run, 6, 60, &[], 1);
    let again = issues(&run);
    assert_eq!((again.len(), &again[0]["state"]), (2, &json!("open")));
    // What could not be judged is not good.
    run.project
        .write("trainyard-out/evaluation/evaluation.json", "{}");
    run.gate(7, &["--issue-on-failure", "--name", "pets"], 3);
    let unjudged = issues(&run);
    assert_eq!((unjudged.len(), &unjudged[0]["state"]), (2, &json!("open")));
    assert!(
        unjudged[0]["title"]
            .as_str()
            .unwrap()
            .contains("Inconclusive"),
        "{unjudged:?}"
    );
}

#[test]
fn a_pull_request_and_a_push_touch_no_issue() {
    let mut run = Run::of_pull_request("no-issue").with_history();
    run.project.write("trainyard.toml", CONFIG);
    run.evaluate("id", 300, 60, "trainyard-out");
    run.gate(1, &["--issue-on-failure"], 1);
    let mut pushed = Run::of_push("no-issue", "refs/heads/main");
    std::mem::swap(&mut run.project, &mut pushed.project);
    pushed.gate(2, &["--issue-on-failure"], 1);
    assert_eq!(issues(&pushed), Vec::<Value>::new());
}

const SAID: IssueText<'_> = IssueText {
    key: "digits",
    title: "digits is worse",
    body: "text",
};

fn open(github: &GitHub) -> IssueOutcome {
    block_on(github.open_issue(&SAID)).unwrap()
}

#[test]
fn only_our_own_issue_is_taken_for_ours() {
    let repository = Repository {
        name: "issue-spoof",
    };
    let marked = "<!-- trainyard-issue key=digits -->\nowned";
    let by = |login: &str, body: &str| json!({"login": login, "title": "t", "body": body, "labels": ["trainyard"]});
    repository.prepare(&json!({ "issues": [
        by("mallory", marked),
        by("other[bot]", marked),
        by("github-actions[bot]", "<!-- trainyard-issue key=letters -->\ntext"),
    ] }));
    let made = open(&repository.checked());
    assert!(matches!(made, IssueOutcome::Opened(_)), "{made:?}");
    assert_eq!(made.into_issue().unwrap().number, 4);
    let same = open(&repository.checked());
    assert!(matches!(same, IssueOutcome::Unchanged(_)), "{same:?}");
    let closed = block_on(repository.checked().close_issue(&SAID)).unwrap();
    assert!(matches!(closed, IssueOutcome::Closed(_)), "{closed:?}");
    let none = block_on(repository.checked().close_issue(&SAID)).unwrap();
    assert_eq!(none, IssueOutcome::Absent);
}

#[test]
fn a_post_without_an_answer_makes_no_second_issue() {
    let repository = Repository { name: "issue-lost" };
    repository.fault(json!({
        "method": "POST", "path": "issues", "times": 1, "status": 502, "is_carried_out": true,
    }));
    let made = open(&repository.direct());
    assert!(matches!(made, IssueOutcome::Opened(_)), "{made:?}");
    assert_eq!(repository.state()["issues"].as_array().unwrap().len(), 1);
    // One that is lost for good is said.
    let repository = Repository { name: "issue-gone" };
    repository.fault(json!({"method": "POST", "path": "issues", "times": 1, "status": 502}));
    let error = block_on(repository.direct().open_issue(&SAID)).unwrap_err();
    assert!(
        error.to_string().contains("cannot open an issue"),
        "{error}"
    );
}

#[test]
fn a_token_without_the_permission_is_told_the_line() {
    let repository = Repository {
        name: "issue-refused",
    };
    repository.fault(json!({
        "method": "POST", "path": "issues", "times": 1, "status": 403,
        "message": "Resource not accessible by integration",
    }));
    let error = block_on(repository.direct().open_issue(&SAID)).unwrap_err();
    assert!(error.to_string().contains("issues: write"), "{error}");
}
