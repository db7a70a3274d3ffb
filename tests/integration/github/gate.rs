//! The gate on GitHub Actions: what it writes for its own branches and pull requests.

use std::fmt::Write as _;

use serde_json::{Value, json};
use trainyard_core::config::GateConfig;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::gate::{
    Baseline, BaselineRecord, Case, Decision, RulesInForce, RulesOrigin, Scorecard, Trust,
};
use trainyard_core::measurement::MetricKey;

use super::{Api, Repository};
use crate::project::{Project, Said};
use crate::support::stage;

/// A run of the gate on GitHub Actions.
pub(super) struct Run {
    pub(super) repository: Repository,
    pub(super) project: Project,
    pub(super) event: &'static str,
    pub(super) payload: Value,
    /// What was pushed.
    pub(super) reference: &'static str,
    pub(super) api: Api,
    /// What `GITHUB_SHA` says.
    pub(super) sha: String,
}

impl Run {
    /// Of a pull request of the repository's own.
    pub(super) fn of_pull_request(name: &'static str) -> Self {
        let repository = json!({ "full_name": format!("acme/{name}"), "default_branch": "main" });
        let head = json!({ "ref": "change", "sha": "b".repeat(40), "repo": repository });
        let base = json!({ "ref": "main", "sha": "a".repeat(40), "repo": repository });
        Self {
            repository: Repository { name },
            project: Project::scored(),
            event: "pull_request",
            reference: "refs/heads/main",
            payload: json!({
                "action": "synchronize",
                "number": 7,
                "pull_request": { "number": 7, "head": head, "base": base },
                "repository": repository,
            }),
            api: Api::Checked,
            sha: "c".repeat(40),
        }
    }

    /// Of a push to `branch` of the commit `c…`, which was at `a…` before.
    pub(super) fn of_push(name: &'static str, branch: &'static str) -> Self {
        let mut run = Self::of_pull_request(name).with_history();
        run.event = "push";
        run.reference = branch;
        run.payload = json!({
            "ref": branch,
            "before": "a".repeat(40),
            "after": "c".repeat(40),
            "repository": run.payload["repository"],
        });
        run
    }

    /// The commits that the event speaks of.
    pub(super) fn with_history(self) -> Self {
        let [base, head, merge] = ["a", "b", "c"].map(|digit| digit.repeat(40));
        let commits = json!([[base], [head, base], [merge, base, head]]);
        self.repository.prepare(&json!({ "commits": commits }));
        self
    }

    /// The commit `sha`, forty times that digit, is pushed to the pull request.
    pub(super) fn push_commit(&mut self, sha: char) {
        let head = json!(sha.to_string().repeat(40));
        self.payload["before"] = self.payload["pull_request"]["head"]["sha"].clone();
        self.payload["after"] = head.clone();
        self.payload["pull_request"]["head"]["sha"] = head;
    }

    /// Scores `n_rows` rows of three classes, whose ids begin with `prefix` and of which the `n_wrong` that come first are wrong.
    pub(super) fn evaluate(&self, prefix: &str, n_rows: u32, n_wrong: u32, out: &str) {
        let mut text = "row_id,label,predicted\n".to_owned();
        for row in 0..n_rows {
            let label = row % 3;
            let predicted = (label + u32::from(row < n_wrong)) % 3;
            writeln!(text, "{prefix}-{row:03},class-{label},class-{predicted}").unwrap();
        }
        self.project.write("predictions.csv", text);
        let named = ["--predictions", "predictions.csv", "--name", "pets"];
        let arguments = [&named[..], &["--out", out]].concat();
        self.project.run("evaluate", &arguments, 0);
    }

    pub(super) fn gate(&self, run_id: u64, arguments: &[&str], code: i32) -> Said {
        self.project.write("event.json", self.payload.to_string());
        self.project.write("output", "");
        let is_pull_request = self.event == "pull_request";
        let mut gate = self.project.stage("gate", arguments);
        gate.env("GITHUB_ACTIONS", "true")
            .env("GITHUB_API_URL", self.api.address())
            .env(
                "GITHUB_GRAPHQL_URL",
                format!("{}/graphql", Api::Direct.address()),
            )
            .env("GITHUB_EVENT_NAME", self.event)
            .env("GITHUB_EVENT_PATH", self.project.path("event.json"))
            .env("GITHUB_OUTPUT", self.project.path("output"))
            .env(
                "GITHUB_REF",
                if is_pull_request {
                    "refs/pull/7/merge"
                } else {
                    self.reference
                },
            )
            .env(
                "GITHUB_REPOSITORY",
                format!("acme/{}", self.repository.name),
            )
            .env("GITHUB_RUN_ATTEMPT", "1")
            .env("GITHUB_RUN_ID", run_id.to_string())
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_SHA", &self.sha)
            .env(
                "GITHUB_WORKFLOW_REF",
                format!(
                    "acme/{}/.github/workflows/model.yml@refs/heads/main",
                    self.repository.name
                ),
            )
            .env("GITHUB_TOKEN", "ghs_1234567890")
            .env("GITHUB_WORKSPACE", self.project.path(""));
        Said::of(&mut gate, code)
    }

    pub(super) fn output(&self) -> String {
        std::fs::read_to_string(self.project.path("output")).unwrap()
    }
}

#[test]
fn a_pull_request_shows_a_check_and_a_comment_that_follow_the_verdict() {
    let run = Run::of_pull_request("gate").with_history();
    run.gate(1, &["--start"], 0);
    let state = run.repository.state();
    assert_eq!(state["checks"][0]["name"], "trainyard / mnist");
    assert_eq!(state["checks"][0]["status"], "in_progress");
    assert_eq!(
        state["checks"][0]["head_sha"],
        "b".repeat(40),
        "the head, never the merge commit"
    );
    run.gate(1, &[], 0);
    let state = run.repository.state();
    assert_eq!(state["checks"].as_array().unwrap().len(), 1);
    assert_eq!(state["checks"][0]["conclusion"], "success");
    let text = state["checks"][0]["output"]["text"].as_str().unwrap();
    assert!(
        BaselineRecord::decode(text).is_none(),
        "a pull request leaves no baseline"
    );
    let body = state["comments"][0]["body"].as_str().unwrap();
    assert!(
        body.contains("\n### ✅ Pass · mnist — accuracy **0."),
        "{body}"
    );
    assert!(
        run.output()
            .contains("https://github.com/acme/gate/pull/7#issuecomment-"),
        "{}",
        run.output()
    );

    // A newer run of the same commit, now red: the same comment and check, open while it is at work.
    run.project.edit("min = 0.5", "min = 0.9999");
    run.gate(2, &["--start"], 0);
    let state = run.repository.state();
    assert_eq!(state["checks"][0]["status"], "in_progress");
    assert_eq!(state["checks"][0]["conclusion"], Value::Null);
    let said = run.gate(2, &[], 1);
    let state = run.repository.state();
    assert_eq!(state["comments"].as_array().unwrap().len(), 1);
    let body = state["comments"][0]["body"].as_str().unwrap();
    assert!(body.contains("\n### ❌ Fail · mnist"), "{body}");
    assert_eq!(state["checks"].as_array().unwrap().len(), 1);
    assert_eq!(state["checks"][0]["conclusion"], "failure");
    // Without a baseline the base branch's configuration is asked whose rules judge, and for a red verdict whether
    // a person lets it through.
    assert!(n_calls(&said) <= 8, "{} calls", n_calls(&said));

    let text = record(&run, 0.5);
    run.repository
        .prepare(&json!({ "checks": [check_with(&text, "github-actions", &"a".repeat(40))] }));
    run.project.edit("min = 0.9999", "min = 0.5");
    run.gate(3, &["--start"], 0);
    // The base branch's configuration is one of them: it is asked on every change.
    let said = run.gate(3, &[], 0);
    assert!(n_calls(&said) <= 6, "{} calls", n_calls(&said));
}

/// How many calls of GitHub's API a run says it made.
fn n_calls(said: &Said) -> u64 {
    let count = said.stderr.lines().find_map(|line| {
        let (before, _) = line.split_once(" calls of GitHub's API")?;
        before.rsplit(' ').next()?.parse().ok()
    });
    count.unwrap()
}

#[test]
fn a_stage_that_broke_off_leaves_a_red_check() {
    let run = Run::of_pull_request("crash").with_history();
    run.gate(1, &["--start"], 0);
    std::fs::remove_dir_all(run.project.path("trainyard-out/evaluation")).unwrap();
    run.gate(1, &[], 3);
    let state = run.repository.state();
    assert_eq!(state["checks"][0]["conclusion"], "failure");
    assert_eq!(state["checks"].as_array().unwrap().len(), 1, "{state}");
}

#[test]
fn what_cannot_be_written_changes_no_verdict_and_is_annotated() {
    let mut run = Run::of_pull_request("read-only");
    run.api = Api::Direct;
    for path in ["check-runs", "issues/"] {
        run.repository.fault(json!({
            "path": path, "status": 403, "message": "Resource not accessible by integration", "times": 100,
        }));
    }
    let said = run.gate(1, &[], 0);
    for line in ["checks: write", "pull-requests: write"] {
        said.has_output(&format!("add `{line}` to the job's `permissions:`"));
    }
    assert!(run.output().contains("\npass\n"), "{}", run.output());
    run.project.edit("min = 0.5", "min = 0.9999");
    run.gate(2, &[], 1);
}

#[test]
fn nothing_is_written_with_a_forks_token_or_where_nothing_is_wanted() {
    let mut run = Run::of_pull_request("fork");
    run.gate(1, &["--comment", "never", "--no-check"], 0);
    let requests = run.repository.state()["requests"].clone();
    let is_reading = |request: &Value| {
        request
            .as_str()
            .is_some_and(|text| text.starts_with("GET ") || text == "POST /graphql")
    };
    assert!(
        requests.as_array().unwrap().iter().all(is_reading),
        "{requests}"
    );
    run.payload["pull_request"]["head"]["repo"]["full_name"] = json!("mallory/fork");
    let said = run.gate(2, &[], 0);
    assert!(
        said.stderr
            .contains("a pull request of a fork has a read-only token"),
        "{}",
        said.stderr
    );
    let state = run.repository.state();
    let requests = state["requests"].as_array().unwrap();
    assert!(requests.iter().all(is_reading), "{requests:?}");
    assert_eq!(
        (&state["checks"], &state["comments"]),
        (&json!([]), &json!([]))
    );
}

#[test]
fn a_comment_only_for_failures_is_not_made_for_a_pass_but_turns_green_again() {
    let run = Run::of_pull_request("failures").with_history();
    let quiet = ["--comment", "failures", "--no-check"];
    run.gate(1, &quiet, 0);
    assert_eq!(run.repository.bodies().len(), 0);
    run.project.edit("min = 0.5", "min = 0.9999");
    run.gate(2, &quiet, 1);
    assert!(run.repository.bodies()[0].contains("### ❌ Fail"));
    run.project.edit("min = 0.9999", "min = 0.5");
    run.gate(3, &quiet, 0);
    let bodies = run.repository.bodies();
    assert!(
        bodies.len() == 1 && bodies[0].contains("### ✅ Pass"),
        "{bodies:?}"
    );
}

#[test]
fn a_branchs_run_keeps_what_it_measured_for_later() {
    let mut run = Run::of_pull_request("branch").with_history();
    run.event = "push";
    run.payload = json!({
        "ref": "refs/heads/main",
        "after": "c".repeat(40),
        "repository": run.payload["repository"],
    });
    run.gate(1, &[], 0);
    let state = run.repository.state();
    let text = state["checks"][0]["output"]["text"].as_str().unwrap();
    let record = BaselineRecord::decode(text).unwrap().unwrap();
    let metrics = run.project.json("evaluation/metrics.json");
    let key = MetricKey::overall("accuracy");
    let accuracy = record.measurements.iter().find(|found| found.key == key);
    assert_eq!(json!(accuracy.unwrap().value), metrics["accuracy"]);
    assert_eq!(record.commit, "c".repeat(40));
    assert_eq!(state["comments"], json!([]));
}

/// What the run's model scored.
pub(super) fn card(run: &Run) -> Scorecard {
    let evaluation = run.project.path("trainyard-out/evaluation/evaluation.json");
    Scorecard::parse(&std::fs::read(&evaluation).unwrap(), &evaluation).unwrap()
}

/// The record of a pass that a run without rules leaves for `commit`, after the one `before`.
pub(super) fn record_of(
    card: &Scorecard,
    commit: &str,
    before: Option<&BaselineRecord>,
) -> BaselineRecord {
    let gate = GateConfig::default();
    let verdict = Case {
        rules: RulesInForce {
            gate: &gate,
            digest: Sha256Digest::of(b"other rules"),
            origin: RulesOrigin::Own,
        },
        candidate: Ok(card),
        baseline: &Baseline::NotConfigured("none".to_owned()),
        trust: Trust::Verified,
        overridden: None,
        model_name: None,
        commit: Some(commit),
        trainyard_version: "0.0.0",
        rule_changes: &[],
        must_pass: None,
        looks: Ok(None),
        evaluate: None,
        fresh_rows: None,
        flips: None,
        notes: &[],
    }
    .judge();
    BaselineRecord {
        decision: Decision::Pass,
        ..BaselineRecord::of(card, &verdict, commit, before)
    }
}

/// A record as a run of `main` left it, with this accuracy.
pub(super) fn record(run: &Run, accuracy: f64) -> String {
    let mut record = record_of(&card(run), &"a".repeat(40), None);
    let key = MetricKey::overall("accuracy");
    let found = record
        .measurements
        .iter_mut()
        .find(|found| found.key == key);
    found.unwrap().value = accuracy;
    record.encode().unwrap()
}

pub(super) fn check_with(text: &str, app: &str, sha: &str) -> Value {
    json!({ "name": "trainyard / mnist (baseline)", "head_sha": sha, "status": "completed", "conclusion": "success", "app": app, "text": text })
}

#[test]
fn a_pull_request_is_compared_with_the_nearest_record_behind_the_merge_commits_first_parent() {
    let run = Run::of_pull_request("baseline");
    let [merge, base, older, head] = ["c", "d", "e", "b"].map(|digit| digit.repeat(40));
    run.repository.prepare(&json!({
        "commits": [[older], [base, older], [head, older], [merge, base, head]],
        "checks": [
            // A record by another app is not trusted, and the head's own check is not a baseline.
            check_with(&record(&run, 0.001), "somebody", &base),
            check_with(&record(&run, 0.002), "github-actions", &head),
            check_with(&record(&run, 0.5), "github-actions", &older),
        ],
    }));
    run.gate(1, &["--no-check"], 0);
    let body = run.repository.bodies().remove(0);
    assert!(
        body.contains("against the baseline") && body.contains("0.5"),
        "{body}"
    );
    assert!(
        body.contains("commit eeeeeee, 1 commit further back"),
        "{body}"
    );
    assert!(
        body.contains("The rules differ from those that judged the baseline."),
        "{body}"
    );
    assert!(
        run.project
            .path("trainyard-out/verdict/baseline.json")
            .exists()
    );
    // The commits and their checks in one call.
    let requests = run.repository.state()["requests"].to_string();
    assert_eq!(requests.matches("graphql").count(), 1, "{requests}");
    assert_eq!(requests.matches("/check-runs").count(), 0, "{requests}");
}

#[test]
fn a_baseline_that_cannot_be_looked_for_judges_nothing_green() {
    let mut run = Run::of_pull_request("baseline-refused");
    run.project.edit("min = 0.5", "min = 0.5\nmax_drop = 0.1");
    run.api = Api::Direct;
    // GraphQL answers a refusal with 200 and `errors`.
    let refused = json!({ "path": "graphql", "message": "Resource not accessible by integration", "times": 9 });
    run.repository.fault(refused);
    run.gate(1, &["--no-check"], 3);
    let body = run.repository.bodies().remove(0);
    assert!(body.contains("contents: read"), "{body}");
}

#[test]
fn a_first_run_has_no_baseline_and_says_so() {
    let run = Run::of_pull_request("baseline-first");
    run.project.edit("min = 0.5", "min = 0.5\nmax_drop = 0.1");
    let [merge, base, head] = ["c", "d", "b"].map(|digit| digit.repeat(40));
    run.repository
        .prepare(&json!({ "commits": [[base], [head, base], [merge, base, head]] }));
    run.gate(1, &["--no-check"], 0);
    let body = run.repository.bodies().remove(0);
    assert!(
        body.contains("no commit before this one has a record"),
        "{body}"
    );
}

/// An evaluation from a fork may hold any number, so a pass of it is grey and has a name that no protection requires.

#[test]
fn the_missed_rule_is_marked_on_its_line_in_the_check() {
    let run = Run::of_pull_request("remarks").with_history();
    run.project.edit("min = 0.5", "min = 0.9999");
    run.gate(1, &[], 1);
    let state = run.repository.state();
    let config = std::fs::read_to_string(run.project.path("trainyard.toml")).unwrap();
    let line = 1 + config
        .lines()
        .position(|line| line == "[[gate.rules]]")
        .unwrap();
    let remark = &state["annotations"][0];
    assert_eq!(remark["path"], "trainyard.toml");
    assert_eq!(remark["start_line"], line);
    assert_eq!(remark["annotation_level"], "failure");
    assert!(
        remark["message"]
            .as_str()
            .unwrap()
            .starts_with("accuracy at least 0.9999"),
        "{remark}"
    );
}

#[test]
fn the_last_values_are_charted_from_the_record_without_another_call() {
    let run = Run::of_pull_request("history").with_history();
    let card = card(&run);
    let first = record_of(&card, &"e".repeat(40), None);
    let second = record_of(&card, &"a".repeat(40), Some(&first));
    let text = second.encode().unwrap();
    run.repository
        .prepare(&json!({ "checks": [check_with(&text, "github-actions", &"a".repeat(40))] }));
    run.gate(1, &[], 0);
    let body = run.repository.bodies().remove(0);
    assert!(body.contains("The last 3 commits"), "{body}");
    assert!(
        body.contains("x-axis \"commit\" [\"eeeeeee\", \"aaaaaaa\", \"bbbbbbb\"]"),
        "{body}"
    );
}

#[test]
fn a_record_of_the_app_that_opened_the_check_is_believed() {
    let run = Run::of_pull_request("app").with_history();
    let base = "a".repeat(40);
    let text = record(&run, 0.5);
    run.repository
        .prepare(&json!({ "checks": [check_with(&text, "acme-ci", &base)] }));
    run.gate(1, &["--start"], 0);
    run.gate(1, &[], 0);
    let body = run.repository.bodies().remove(0);
    assert!(!body.contains("against the baseline"), "{body}");
    // What `--start` keeps where an App's token opened the check.
    let path = run.project.path("trainyard-out/check.json");
    let mut started: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(started["app"], "github-actions");
    started["app"] = json!("acme-ci");
    std::fs::write(&path, started.to_string()).unwrap();
    run.gate(1, &[], 0);
    let body = run.repository.bodies().remove(0);
    assert!(body.contains("against the baseline"), "{body}");
}

#[test]
fn the_base_branchs_rules_judge_where_its_configuration_says_so() {
    let run = Run::of_pull_request("base-rules").with_history();
    let own = std::fs::read_to_string(run.project.path("trainyard.toml")).unwrap();
    let strict = own.replace("min = 0.5", "min = 0.9999");
    assert_ne!(own, strict);
    run.repository
        .prepare(&json!({ "files": { "main:trainyard.toml": strict } }));
    // Neither branch asks for it; that the change lowers its own bar is seen over the pass.
    run.gate(1, &[], 0);
    let body = run.repository.bodies().remove(0);
    for line in [
        "> This change edits what judges it:",
        "> - accuracy min 0.9999",
        "> + accuracy min 0.5",
    ] {
        assert!(body.contains(line), "{line}: {body}");
    }

    // The base branch does, whatever the pull request says.
    let strict = strict.replace(
        "# Judged by",
        "[gate]\nrules_from = \"base\"\n\n# Judged by",
    );
    let text = record(&run, 0.5);
    run.repository.prepare(&json!({
        "files": { "main:trainyard.toml": strict },
        "checks": [check_with(&text, "github-actions", &"a".repeat(40))],
    }));
    run.gate(2, &[], 1);
    let body = run.repository.bodies().remove(0);
    assert!(body.contains("Judged by the rules of main."), "{body}");
    assert!(
        body.contains("The rules differ from those that judged the baseline."),
        "{body}"
    );

    // Rules that cannot be read let nothing through.
    let mut lost = run;
    lost.api = Api::Direct;
    lost.repository
        .fault(json!({ "path": "contents/", "status": 403, "message": "Resource not accessible by integration", "times": 9 }));
    lost.gate(3, &[], 3);
    let body = lost.repository.bodies().remove(0);
    assert!(body.contains("could not be read"), "{body}");
}

/// Each way to take the base branch's word back from a pull request's own configuration.
#[test]
fn a_change_cannot_take_the_base_branchs_rules_back() {
    let run = Run::of_pull_request("evasion").with_history();
    let own = std::fs::read_to_string(run.project.path("trainyard.toml")).unwrap();
    let strict = own.replace("min = 0.5", "min = 0.9999").replace(
        "# Judged by",
        "[gate]\nrules_from = \"base\"\n\n# Judged by",
    );
    assert!(
        strict.contains("rules_from") && strict.contains("0.9999"),
        "{strict}"
    );
    // There is no record yet, and the configuration says so.
    run.repository
        .prepare(&json!({ "files": { "main:trainyard.toml": strict } }));
    run.gate(1, &[], 1);
    // A baseline of its own, which would keep the record from being looked for.
    run.project.edit(
        "# Judged by",
        "[gate]\nbaseline = \"mine.json\"\n\n# Judged by",
    );
    run.project.write("mine.json", "{\"accuracy\": 0.1}");
    run.gate(2, &[], 1);
    run.gate(3, &["--baseline", "mine.json"], 1);
    let body = run.repository.bodies().remove(0);
    assert!(body.contains("Judged by the rules of main."), "{body}");
    // The rules are not those of the file at hand, so no line of it is marked.
    assert_eq!(run.repository.state()["annotations"], json!([]));

    // A merge group is judged by the rules of what it is merged into.
    let mut run = run;
    let base = "a".repeat(40);
    run.event = "merge_group";
    run.payload = json!({
        "merge_group": {
            "head_sha": "c".repeat(40), "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-a",
            "base_sha": base, "base_ref": "refs/heads/main",
        },
        "repository": run.payload["repository"],
    });
    run.repository
        .prepare(&json!({ "files": { format!("{base}:trainyard.toml"): strict } }));
    run.gate(4, &[], 1);
}

#[test]
fn the_base_branchs_baseline_file_goes_with_its_rules() {
    let run = Run::of_pull_request("base-file").with_history();
    let own = std::fs::read_to_string(run.project.path("trainyard.toml")).unwrap();
    let base = own.replace("min = 0.5", "max_drop = 0.01").replace(
        "# Judged by",
        "[gate]\nrules_from = \"base\"\nbaseline = \"kept/metrics.json\"\n\n# Judged by",
    );
    // The change lowers the file that it is compared with.
    run.project
        .write("kept/metrics.json", "{\"accuracy\": 0.1}");
    run.repository.prepare(&json!({ "files": {
        "main:trainyard.toml": base,
        "main:kept/metrics.json": "{\"accuracy\": 0.9999}",
    } }));
    // Numbers alone cannot prove a drop with confidence, so this is not judged; compared it is, with the base's.
    run.gate(1, &[], 3).has_output("0.9999");
}

pub(super) fn override_comment(login: &str, kind: &str, text: &str) -> Value {
    json!({ "issue": 7, "login": login, "type": kind, "body": text })
}

#[test]
fn a_person_who_may_write_lets_one_commit_through() {
    let mut run = Run::of_pull_request("override").with_history();
    run.project.edit("min = 0.5", "min = 0.9999");
    let head = "b".repeat(40);
    run.repository.prepare(&json!({
        "permissions": { "maria": "write", "rita": "read" },
        "comments": [
            override_comment("rita", "User", &format!("/trainyard override {head} please")),
            override_comment("some[bot]", "Bot", &format!("/trainyard override {head} beep")),
            override_comment("maria", "User", "/trainyard override aaaaaaaaaa another commit"),
            override_comment("maria", "User", &format!("> /trainyard override {head} quoted")),
        ],
    }));
    run.gate(1, &[], 1);
    let state = run.repository.state();
    assert_eq!(state["checks"][0]["conclusion"], "failure");

    let text = format!(
        "/trainyard override {} the labels were wrong, see <b>#12</b>",
        &head[..9]
    );
    run.repository
        .prepare(&json!({ "comments": [override_comment("maria", "User", &text)] }));
    run.gate(2, &[], 0);
    let state = run.repository.state();
    assert_eq!(state["checks"][0]["conclusion"], "success");
    let title = state["checks"][0]["output"]["title"].as_str().unwrap();
    assert!(title.starts_with("Fail, overridden · mnist"), "{title}");
    let ours = run.repository.bodies().pop().unwrap_or_default();
    let bodies = run.repository.bodies();
    let body = bodies
        .iter()
        .find(|body| body.starts_with("<!-- trainyard-report"))
        .unwrap_or(&ours);
    assert!(
        body.contains("**Overridden by maria** for this commit: the labels were wrong"),
        "{body}"
    );
    assert!(!body.contains("<b>"), "{body}");
    let verdict = run.project.json("verdict/verdict.json");
    assert_eq!(verdict["verdict"], "fail");
    assert_eq!(verdict["override"]["by"], "maria");
    assert!(run.output().contains("\ntrue\n"), "{}", run.output());

    // Where nothing was measured, there is nothing to let through.
    let evaluation = run.project.path("trainyard-out/evaluation");
    let aside = run.project.path("aside");
    std::fs::rename(&evaluation, &aside).unwrap();
    run.gate(4, &[], 3);
    std::fs::rename(&aside, &evaluation).unwrap();

    // The next commit is judged by the rules again.
    run.payload["pull_request"]["head"]["sha"] = json!("d".repeat(40));
    run.repository
        .prepare(&json!({ "commits": [["d".repeat(40), "a".repeat(40)]] }));
    run.gate(5, &[], 1);
}

/// A run that a comment started is of the default branch. Whatever it has checked out, it judges nothing.
#[test]
fn a_run_of_a_comment_judges_nothing_whatever_is_checked_out() {
    let folder = tempfile::tempdir().unwrap();
    let write = |file: &str, text: &str| {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(
        "trainyard.toml",
        "[[gate.rules]]\nmetric = \"accuracy\"\nmin = 0.5\n",
    );
    write("m.json", "{\"accuracy\": 0.9}");
    let repository = json!({ "default_branch": "main", "full_name": "o/r" });
    let issue = json!({ "number": 7, "pull_request": { "url": "https://api.github.com/repos/o/r/pulls/7" } });
    let payload = json!({ "action": "created", "issue": issue, "repository": repository });
    let stale = "trainyard-out/verdict/verdict.json";
    let [main, head] = ["d", "b"].map(|digit| digit.repeat(40));
    for event in [
        "issue_comment",
        "commit_comment",
        "pull_request_review_comment",
        "discussion_comment",
    ] {
        let payload = match event {
            "issue_comment" => payload.clone(),
            _ => json!({ "repository": repository }),
        };
        write("event.json", &payload.to_string());
        for (checked_out, argument) in [
            (&main, "--dry-run"),
            (&head, "--start"),
            (&head, "--no-check"),
        ] {
            write(".git/HEAD", &format!("{checked_out}\n"));
            // An earlier verdict must not be taken for one of this run.
            write(stale, "{}");
            write("output", "");
            let mut gate = stage("gate");
            gate.current_dir(folder.path())
                .args(["--metrics", "m.json", argument])
                .env("GITHUB_ACTIONS", "true")
                .env("GITHUB_EVENT_NAME", event)
                .env("GITHUB_EVENT_PATH", "event.json")
                .env("GITHUB_REF", "refs/heads/main")
                .env("GITHUB_REPOSITORY", "o/r")
                .env("GITHUB_RUN_ID", "1")
                .env("GITHUB_OUTPUT", "output")
                .env("GITHUB_WORKSPACE", folder.path())
                .env("GITHUB_SHA", &main);
            let said = Said::of(&mut gate, 2);
            said.has_error(&format!("judges nothing on the event `{event}`"));
            said.has_error("gh run rerun");
            if event == "issue_comment" {
                said.has_error("gh pr view 7");
            }
            assert!(!folder.path().join(stale).exists(), "{event}");
            let output = std::fs::read_to_string(folder.path().join("output")).unwrap();
            assert!(!output.contains("verdict"), "{output}");
        }
    }
}

#[test]
fn a_dry_run_says_what_would_be_written_and_asks_nothing() {
    let run = Run::of_pull_request("dry").with_history();
    run.project.edit("min = 0.5", "min = 0.9999");
    let said = run.gate(1, &["--dry-run"], 1);
    for expected in [
        &format!(
            "Would write the check run `trainyard / mnist` on {}: failure",
            "b".repeat(40)
        ),
        "trainyard.toml:",
        "Would write the comment `mnist` on pull request 7:",
        "### ❌ Fail · mnist",
    ] {
        said.has_output(expected);
    }
    assert_eq!(run.repository.state()["requests"], json!([]));

    // On a laptop, where there is no pull request.
    let said = run.project.run("gate", &["--dry-run"], 1);
    said.has_output("Would write no comment");
}

#[test]
fn legs_with_a_key_have_a_comment_and_a_check_of_their_own() {
    let run = Run::of_pull_request("legs").with_history();
    run.gate(1, &["--comment-key", "linux"], 0);
    run.project.edit("min = 0.5", "min = 0.9999");
    run.gate(1, &["--comment-key", "macos"], 1);
    let state = run.repository.state();
    let seen: Vec<_> = state["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| [check["name"].clone(), check["conclusion"].clone()])
        .collect();
    assert_eq!(
        seen,
        [
            [json!("trainyard / mnist / linux"), json!("success")],
            [json!("trainyard / mnist / macos"), json!("failure")]
        ]
    );
    assert_eq!(state["comments"].as_array().unwrap().len(), 2);
}

#[test]
fn a_merge_group_is_compared_with_its_base() {
    let mut run = Run::of_pull_request("queue").with_history();
    let [base, head] = ["a", "c"].map(|digit| digit.repeat(40));
    run.event = "merge_group";
    run.payload = json!({
        "action": "checks_requested",
        "merge_group": {
            "head_sha": head, "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-a",
            "base_sha": base, "base_ref": "refs/heads/main",
        },
        "repository": run.payload["repository"],
    });
    let text = record(&run, 0.5);
    run.repository
        .prepare(&json!({ "checks": [check_with(&text, "github-actions", &base)] }));
    run.gate(1, &[], 0);
    let state = run.repository.state();
    assert_eq!(state["checks"][1]["head_sha"], head);
    assert_eq!(state["checks"][1]["name"], "trainyard / mnist");
    assert_eq!(state["checks"][1]["conclusion"], "success");
    let summary = state["checks"][1]["output"]["summary"].as_str().unwrap();
    assert!(summary.contains("commit aaaaaaa"), "{summary}");
    assert_eq!(state["comments"], json!([]));
}

/// A large change that was merged fills a page of history before the next first parent.
#[test]
fn a_baseline_is_found_behind_a_large_merge() {
    let run = Run::of_pull_request("large-merge");
    let [older, base, head, merge] = ["e", "a", "b", "c"].map(|digit| digit.repeat(40));
    let sha = |idx: usize| format!("{idx:040}");
    let mut commits = vec![vec![older.clone()]];
    // A branch of 150 commits, merged by `base`.
    commits.extend((1..=150).map(|idx| {
        let before = if idx == 1 {
            older.clone()
        } else {
            sha(idx - 1)
        };
        vec![sha(idx), before]
    }));
    commits.push(vec![base.clone(), older.clone(), sha(150)]);
    commits.push(vec![head.clone(), base.clone()]);
    commits.push(vec![merge, base, head]);
    let text = record(&run, 0.5);
    run.repository.prepare(&json!({
        "commits": commits,
        "checks": [check_with(&text, "github-actions", &older)],
    }));
    run.gate(1, &[], 0);
    let body = run.repository.bodies().remove(0);
    assert!(
        body.contains("commit eeeeeee, 1 commit further back"),
        "{body}"
    );
}

/// `actions/checkout` with `ref` of the head: newer commits of the base branch are not part of what was tested.
#[test]
fn a_head_that_was_itself_checked_out_is_compared_at_the_merge_base() {
    let run = Run::of_pull_request("head-checkout").with_history();
    let base = "d".repeat(40);
    let text = record(&run, 0.5);
    run.repository.prepare(&json!({
        "commits": [[base]],
        "merge_base": base,
        "checks": [check_with(&text, "github-actions", &base)],
    }));
    run.project
        .write(".git/HEAD", format!("{}\n", "b".repeat(40)));
    run.gate(1, &[], 0);
    let body = run.repository.bodies().remove(0);
    assert!(body.contains("commit ddddddd"), "{body}");
    assert!(!body.contains("Tested as"), "nothing was merged: {body}");
}

#[test]
fn a_release_is_compared_with_the_release_before_it() {
    let mut run = Run::of_pull_request("release");
    let [first, second, now] = ["d", "e", "c"].map(|digit| digit.repeat(40));
    run.event = "push";
    run.reference = "refs/tags/v1.10.1";
    run.payload = json!({ "ref": run.reference, "repository": run.payload["repository"] });
    let (newest, older) = (record(&run, 0.25), record(&run, 0.5));
    run.repository.prepare(&json!({
        "commits": [[first], [second, first], [now, second]],
        "tags": { "v1.9.0": second, "v1.10.0": first, "v1.10.1": now, "v2.0.0-rc.1": second },
        "checks": [
            check_with(&newest, "github-actions", &second),
            check_with(&older, "github-actions", &first),
        ],
    }));
    run.gate(1, &[], 0);
    let state = run.repository.state();
    let summary = state["checks"][2]["output"]["summary"].as_str().unwrap();
    assert!(
        summary.contains("commit ddddddd of release v1.10.0"),
        "{summary}"
    );
}

/// The version before, of the line of development that goes on, once was the baseline of a patch of an older line.
#[test]
fn a_release_is_never_compared_with_one_of_another_line() {
    for (name, with_ancestor, expected) in [
        ("release-line", true, "commit ddddddd of release v1.8.0"),
        // A first release of its line: the commit before.
        ("release-first", false, "commit 8888888"),
    ] {
        let mut run = Run::of_pull_request(name);
        let [old, before, other, now] = ["d", "8", "e", "c"].map(|digit| digit.repeat(40));
        run.event = "push";
        run.reference = "refs/tags/v1.10.1";
        run.payload = json!({ "ref": run.reference, "repository": run.payload["repository"] });
        let text = record(&run, 0.5);
        let checks = [&old, &before, &other].map(|sha| check_with(&text, "github-actions", sha));
        let mut tags = json!({ "v1.9.0": other, "v1.10.0": other, "v1.10.1": now });
        if with_ancestor {
            tags["v1.8.0"] = json!(old);
        }
        run.repository.prepare(&json!({
            "commits": [[old], [other, old], [before, old], [now, before]],
            "merge_base": old, "tags": tags, "checks": checks,
        }));
        run.gate(1, &[], 0);
        let state = run.repository.state();
        let summary = state["checks"][3]["output"]["summary"].as_str().unwrap();
        assert!(summary.contains(expected), "{name}: {summary}");
    }
}

/// `pull_request_target` checks out the base branch: its result says nothing of the pull request.
#[test]
fn a_target_run_reports_only_on_what_it_checked_out() {
    let mut run = Run::of_pull_request("target").with_history();
    run.event = "pull_request_target";
    run.gate(1, &[], 0).has_error("is not checked out");
    assert_eq!(run.repository.state()["requests"], json!([]));
}

/// A run that follows another one of the repository's own pull request is compared at the pull request's base.
#[test]
fn a_run_after_a_run_of_an_own_branch_knows_its_base() {
    let mut run = Run::of_pull_request("after").with_history();
    let [base, head] = ["a", "b"].map(|digit| digit.repeat(40));
    run.event = "workflow_run";
    run.payload = json!({
        "workflow_run": {
            "head_sha": head, "head_branch": "change", "head_repository": run.payload["repository"],
            "pull_requests": [{ "number": 7 }], "actor": { "login": "maria" },
        },
        "repository": run.payload["repository"],
    });
    let text = record(&run, 0.5);
    run.repository.prepare(&json!({
        "merge_base": base,
        "pulls": [{
            "number": 7, "head_repository": "acme/after", "head_branch": "change", "head_sha": head,
            "base_branch": "main", "base_sha": base,
        }],
        "checks": [check_with(&text, "github-actions", &base)],
    }));
    run.gate(1, &[], 0);
    let state = run.repository.state();
    assert_eq!(state["checks"][1]["head_sha"], head);
    let text = state["checks"][1]["output"]["text"].as_str().unwrap();
    assert!(BaselineRecord::decode(text).is_none(), "no baseline");
    let body = state["comments"][0]["body"].as_str().unwrap();
    assert!(body.contains("commit aaaaaaa"), "{body}");
}
