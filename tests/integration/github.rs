//! What is written on GitHub, against a stand-in for its API: through Prism where it runs, so that every request and
//! answer fits GitHub's own description; directly where a fault would not get through Prism.

mod api;
mod attestations;
mod deployments;
mod events;
mod forks;
mod fresh_rows;
mod gate;
mod issues;
mod joined;
mod looks;
mod matrix;
mod one_head;
mod overrides;
mod published;
mod records;
mod releases;
mod rows;
mod unchanged;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;
use trainyard_github::{
    Check, CheckAnnotation, CheckLevel, CheckReport, Conclusion, GitHub, GitHubError, Options,
    Outcome, Place, RetryPolicy, Stamp,
};

pub(crate) use api::Api;

/// A repository of this test alone.
pub(crate) struct Repository {
    pub(crate) name: &'static str,
}

/// The body of an answer from the stand-in's own controls.
fn control(method: &str, path: &str, body: &str) -> Value {
    let fake = Api::Direct.address();
    let host = fake.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap()
}

impl Repository {
    fn path(&self) -> String {
        format!("/_control/acme/{}", self.name)
    }

    pub(crate) fn prepare(&self, instruction: &Value) {
        control("POST", &self.path(), &instruction.to_string());
    }

    pub(crate) fn state(&self) -> Value {
        control("GET", &self.path(), "")
    }

    fn fault(&self, fault: Value) {
        self.prepare(&json!({ "fault": fault }));
    }

    fn connect(&self, api: Api) -> GitHub {
        let options = Options {
            graphql_url: Some(Api::Direct.address()),
            retry: RetryPolicy {
                n_attempts: 4,
                first_delay: Duration::from_millis(20),
                max_delay: Duration::from_secs(2),
                deadline: Duration::from_secs(10),
            },
            ..Options::default()
        };
        let repository = format!("acme/{}", self.name);
        let _guard = runtime().enter();
        GitHub::connect(&api.address(), &repository, "ghs_token", &options).unwrap()
    }

    /// Through Prism, where it runs.
    fn checked(&self) -> GitHub {
        self.connect(Api::Checked)
    }

    /// Without Prism, which would not let faults through.
    fn direct(&self) -> GitHub {
        self.connect(Api::Direct)
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        let comments = self.state()["comments"].as_array().unwrap().clone();
        comments
            .iter()
            .map(|comment| comment["body"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn place() -> Place {
    Place {
        pull_request: 7,
        key: "digits".to_owned(),
    }
}

fn stamp(run_id: u64) -> Stamp {
    Stamp {
        run_id,
        attempt: 1,
        head_sha: format!("{run_id:040x}"),
    }
}

/// One for all clients of this process: a client's work goes on in the runtime that it was made in.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    runtime().block_on(work)
}

/// Writes a comment for a run.
async fn write(github: &GitHub, run_id: u64, text: &str) -> Result<Outcome, GitHubError> {
    github
        .upsert_comment(&place(), &stamp(run_id), text, true)
        .await
}

#[test]
fn a_comment_is_made_once_changed_in_place_and_left_alone_when_it_is_right() {
    let repository = Repository { name: "in-place" };
    let github = repository.checked();
    block_on(async {
        let made = write(&github, 1, "first").await.unwrap();
        assert!(matches!(made, Outcome::Created(_)), "{made:?}");
        let n_calls = github.n_calls();
        let changed = write(&github, 2, "second").await.unwrap();
        assert!(matches!(changed, Outcome::Updated(_)), "{changed:?}");
        assert_eq!(github.n_calls() - n_calls, 3, "list, change, read again");
        assert_eq!(
            made.into_comment().unwrap().id,
            changed.into_comment().unwrap().id
        );
        let same = write(&github, 2, "second").await.unwrap();
        assert!(matches!(same, Outcome::Unchanged(_)), "{same:?}");
        // A run of an older commit that ends late.
        let late = write(&github, 1, "first").await.unwrap();
        assert!(matches!(late, Outcome::Newer(_)), "{late:?}");
        // Another model has a comment of its own.
        let other = Place {
            key: "letters".to_owned(),
            ..place()
        };
        github
            .upsert_comment(&other, &stamp(2), "other", true)
            .await
            .unwrap();
    });
    let bodies = repository.bodies();
    assert_eq!(bodies.len(), 2, "{bodies:?}");
    assert!(
        bodies[0].ends_with("\nsecond") && bodies[1].ends_with("\nother"),
        "{bodies:?}"
    );
}

#[test]
fn only_our_own_comment_is_taken_for_ours() {
    let repository = Repository { name: "spoof" };
    let marker = "<!-- trainyard-report key=digits run=999.1 head=0 -->\nowned";
    repository.prepare(&json!({ "comments": [
        { "issue": 7, "login": "mallory", "type": "User", "body": marker },
        { "issue": 8, "login": "github-actions[bot]", "type": "Bot", "body": marker },
        { "issue": 7, "login": "welcome[bot]", "type": "Bot", "body": format!("You said: {marker}") },
        // Another bot's that begins with the marker was once adopted, or deleted.
        { "issue": 7, "login": "other[bot]", "type": "Bot", "body": marker },
    ] }));
    let made = block_on(write(&repository.checked(), 1, "ours")).unwrap();
    assert!(matches!(made, Outcome::Created(_)), "{made:?}");
    assert_eq!(
        repository
            .bodies()
            .iter()
            .filter(|body| body.ends_with("\nowned"))
            .count(),
        4
    );
}

#[test]
fn with_a_persons_token_the_comment_is_theirs_and_found_again() {
    let repository = Repository { name: "person" };
    let github = {
        let _guard = runtime().enter();
        let api_url = Api::Checked.address();
        let options = Options {
            graphql_url: Some(Api::Direct.address()),
            ..Options::default()
        };
        GitHub::connect(&api_url, "acme/person", "ghp_1", &options).unwrap()
    };
    block_on(async {
        for run_id in [1, 2] {
            let text = format!("run {run_id}");
            github
                .upsert_comment(&place(), &stamp(run_id), &text, true)
                .await
                .unwrap();
        }
    });
    let bodies = repository.bodies();
    assert!(
        bodies.len() == 1 && bodies[0].ends_with("\nrun 2"),
        "{bodies:?}"
    );
}

#[test]
fn our_comment_is_found_behind_a_thousand_others() {
    let repository = Repository { name: "thousand" };
    let other = json!({ "issue": 7, "login": "ann", "type": "User", "body": "hello" });
    let mut comments = vec![other; 1000];
    comments.push(json!({
        "issue": 7, "login": "github-actions[bot]", "type": "Bot",
        "body": "<!-- trainyard-report key=digits run=1.1 head=0 -->\nold",
    }));
    repository.prepare(&json!({ "comments": comments }));
    let changed = block_on(write(&repository.checked(), 2, "new")).unwrap();
    assert!(matches!(changed, Outcome::Updated(_)), "{changed:?}");
    assert_eq!(repository.bodies().len(), 1001);
}

/// Each fault, once or twice; the comment is there once in the end.
#[test]
fn trouble_that_passes_leaves_one_comment() {
    let faults = [
        json!({ "method": "POST", "status": 502, "times": 2 }),
        json!({ "method": "POST", "status": 502, "is_carried_out": true, "times": 1 }),
        json!({ "method": "POST", "is_cut_off": true, "times": 1 }),
        json!({ "method": "POST", "status": 429, "headers": [["retry-after", "1"]], "times": 1 }),
        json!({ "method": "POST", "status": 403, "message": "You have exceeded a secondary rate limit", "times": 1 }),
        json!({ "method": "GET", "status": 500, "times": 3 }),
        json!({ "method": "GET", "is_cut_off": true, "times": 1 }),
        json!({ "method": "PATCH", "status": 503, "is_carried_out": true, "times": 1 }),
        json!({ "method": "PATCH", "status": 404, "times": 1 }),
        json!({ "delay_ms": 200, "times": 4 }),
    ];
    for (idx, fault) in faults.into_iter().enumerate() {
        let name: &'static str = format!("passing-{idx}").leak();
        let repository = Repository { name };
        repository.fault(fault.clone());
        let github = repository.direct();
        block_on(async {
            write(&github, 1, "first")
                .await
                .unwrap_or_else(|error| panic!("{fault}: {error}"));
            write(&github, 2, "second")
                .await
                .unwrap_or_else(|error| panic!("{fault}: {error}"));
        });
        let bodies = repository.bodies();
        assert_eq!(bodies.len(), 1, "{fault}: {bodies:?}");
        assert!(bodies[0].ends_with("\nsecond"), "{fault}: {bodies:?}");
    }
}

#[test]
fn a_refusal_names_what_to_do_and_a_storm_ends() {
    let integration = "Resource not accessible by integration";
    let cases = [
        (
            json!({ "status": 401, "message": "Bad credentials" }),
            "the token is wrong or has expired",
        ),
        (
            json!({ "status": 403, "message": integration }),
            "add `pull-requests: write` to the job's `permissions:`",
        ),
        (
            json!({ "status": 404, "message": "Not Found" }),
            "see whether `acme/",
        ),
        (
            json!({ "status": 410, "message": "Issues are disabled" }),
            "switched off",
        ),
        (
            json!({ "status": 422, "message": "Validation Failed" }),
            "please report it",
        ),
        (
            json!({ "status": 502, "message": "" }),
            "GitHub answers 502 Bad Gateway",
        ),
        (
            json!({ "status": 429, "message": "slow", "headers": [["retry-after", "9000"]] }),
            "429",
        ),
    ];
    for (idx, (fault, expected)) in cases.into_iter().enumerate() {
        let name: &'static str = format!("refused-{idx}").leak();
        let repository = Repository { name };
        let mut fault = fault;
        fault["times"] = json!(100);
        repository.fault(fault);
        let error = block_on(write(&repository.direct(), 1, "text"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(repository.bodies().len(), 0);
    }
}

/// A list that lagged by a second once left twelve comments. A tenth of the time: GitHub's lists lag by 0 to 30 s, and we
/// wait a second at first.
#[test]
fn lists_that_lag_behind_leave_one_comment_of_many_runs() {
    std::thread::scope(|scope| {
        for lag_ms in [0, 30, 100, 500, 3_000] {
            scope.spawn(move || {
                let name: &'static str = format!("lag-{lag_ms}").leak();
                let repository = Repository { name };
                repository.prepare(&json!({ "list_lag_ms": lag_ms }));
                let retry = RetryPolicy {
                    n_attempts: 4,
                    first_delay: Duration::from_millis(100),
                    max_delay: Duration::from_secs(2),
                    deadline: Duration::from_secs(10),
                };
                // Each run has a runtime of its own, so that they are at work at the same time.
                std::thread::scope(|runs| {
                    for run_id in 1..=6 {
                        runs.spawn(move || {
                            let runtime = tokio::runtime::Builder::new_current_thread()
                                .enable_all()
                                .build()
                                .unwrap();
                            runtime.block_on(async {
                                let options = Options {
                                    graphql_url: Some(Api::Direct.address()),
                                    retry,
                                    ..Options::default()
                                };
                                let repository = format!("acme/{name}");
                                let api = Api::Direct.address();
                                let github =
                                    GitHub::connect(&api, &repository, "ghs_token", &options)
                                        .unwrap();
                                write(&github, run_id, &format!("run {run_id}"))
                                    .await
                                    .unwrap();
                            });
                        });
                    }
                });
                let bodies = repository.bodies();
                assert!(
                    bodies.len() == 1 && bodies[0].ends_with("\nrun 6"),
                    "{lag_ms}: {bodies:?}"
                );
            });
        }
    });
}

#[test]
fn twenty_runs_at_once_end_in_one_comment_that_shows_the_newest() {
    let repository = Repository { name: "race" };
    // The slower an answer, the older the view of the one who waits for it.
    for delay_ms in [3, 7, 1, 9, 5, 2, 8, 4] {
        repository.fault(json!({ "method": "GET", "delay_ms": delay_ms, "times": 2 }));
        repository.fault(json!({ "method": "POST", "delay_ms": delay_ms, "times": 2 }));
    }
    std::thread::scope(|scope| {
        for run_id in 1..=20 {
            let repository = &repository;
            scope.spawn(move || {
                let github = repository.direct();
                block_on(write(&github, run_id, &format!("run {run_id}"))).unwrap();
            });
        }
    });
    let bodies = repository.bodies();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(bodies[0].ends_with("\nrun 20"), "{bodies:?}");
}

fn check(name: &str) -> Check {
    Check {
        name: format!("trainyard / {name}"),
        head_sha: "a".repeat(40),
        details_url: Some("https://github.com/acme/x/actions/runs/1".to_owned()),
        external_id: "digits:1.1".to_owned(),
    }
}

fn report(n_annotations: usize) -> CheckReport {
    let annotation = CheckAnnotation {
        path: "trainyard.toml".to_owned(),
        start_line: 3,
        end_line: 3,
        annotation_level: CheckLevel::Failure,
        title: "Gate: fail".to_owned(),
        message: "accuracy is too low".to_owned(),
    };
    CheckReport {
        title: "Fail · digits".to_owned(),
        summary: "| a | b |".to_owned(),
        text: Some("details".to_owned()),
        annotations: vec![annotation; n_annotations],
    }
}

#[test]
fn a_check_is_opened_and_completed_and_a_lost_one_is_made_anew() {
    let repository = Repository { name: "check" };
    let github = repository.checked();
    block_on(async {
        let started = github
            .start_check(&check("digits"), None, &report(0))
            .await
            .unwrap();
        assert_eq!(started.status, "in_progress");
        let n_calls = github.n_calls();
        let ended = github
            .complete_check(
                &check("digits"),
                Some(started.id),
                Conclusion::Failure,
                &report(60),
            )
            .await
            .unwrap();
        assert_eq!((ended.id, github.n_calls() - n_calls), (started.id, 1));
        github
            .complete_check(
                &check("letters"),
                Some(999_999),
                Conclusion::Success,
                &report(0),
            )
            .await
            .unwrap();
    });
    let checks = repository.state()["checks"].clone();
    assert_eq!(checks.as_array().unwrap().len(), 2);
    assert_eq!(checks[0]["conclusion"], "failure");
    assert_eq!(checks[0]["output"]["annotations_count"], 50);
    assert_eq!(checks[1]["conclusion"], "success");
}

#[test]
fn a_check_whose_answer_was_lost_is_not_made_twice() {
    let repository = Repository { name: "check-lost" };
    repository
        .fault(json!({ "method": "POST", "status": 502, "is_carried_out": true, "times": 1 }));
    let github = repository.direct();
    let ended =
        block_on(github.complete_check(&check("digits"), None, Conclusion::Success, &report(1)))
            .unwrap();
    let checks = repository.state()["checks"].clone();
    assert_eq!(checks.as_array().unwrap().len(), 1, "{checks}");
    assert_eq!(checks[0]["id"], ended.id);
    assert_eq!(checks[0]["conclusion"], "success");
}

#[test]
fn a_missing_permission_for_checks_is_named() {
    let repository = Repository {
        name: "check-refused",
    };
    repository.fault(
        json!({ "status": 403, "message": "Resource not accessible by integration", "times": 1 }),
    );
    let error = block_on(
        repository
            .direct()
            .start_check(&check("digits"), None, &report(0)),
    )
    .unwrap_err();
    assert!(error.to_string().contains("add `checks: write`"), "{error}");
}

#[test]
fn the_address_of_an_enterprise_server_keeps_its_path() {
    let api_url = format!("{}/api/v3", Api::Direct.address());
    let _guard = runtime().enter();
    let options = Options::default();
    let github = GitHub::connect(&api_url, "acme/ghes", "t", &options).unwrap();
    let error = block_on(github.start_check(&check("digits"), None, &report(0))).unwrap_err();
    // The stand-in has nothing there: what matters is that it was asked there.
    assert_eq!(error.status(), Some(404), "{error}");
    let wrong = GitHub::connect(&api_url, "acme/a b", "t", &options);
    assert!(
        wrong
            .unwrap_err()
            .to_string()
            .contains("not a repository of the form")
    );
}
