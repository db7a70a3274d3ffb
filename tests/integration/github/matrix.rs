//! What each kind of run writes: every event, by whom it is trusted, under strict and lenient rules of the base branch, with
//! a record near, far, absent or red.

use serde_json::{Value, json};
use trainyard_core::gate::{BaselineRecord, Decision};

use super::Repository;
use super::gate::{Run, card, check_with, record, record_of};
use crate::support::repository;

/// A kind of run, and what it writes.
struct Row {
    /// As the guide calls it.
    run: &'static str,
    event: &'static str,
    reference: &'static str,
    /// The part of the payload that is not the same for all.
    payload: fn(name: &str) -> Value,
    /// What the check's name ends with, and whether it holds a record.
    checks: &'static [(&'static str, bool)],
    /// Conclusion of a pass.
    green: &'static str,
    has_comment: bool,
    /// Whether rules of the base branch judge, or what is checked out is that branch.
    is_judged_by_base: bool,
}

const MAIN: &str = "refs/heads/main";

const ROWS: &[Row] = &[
    Row {
        run: "pull request",
        event: "pull_request",
        reference: MAIN,
        payload: |name| request(&format!("acme/{name}"), "main", "maria"),
        checks: &[("", false)],
        green: "success",
        has_comment: true,
        is_judged_by_base: true,
    },
    Row {
        run: "pull request of Dependabot, where its token may write",
        event: "pull_request",
        reference: MAIN,
        payload: |name| request(&format!("acme/{name}"), "main", "dependabot[bot]"),
        checks: &[("", false)],
        green: "success",
        has_comment: true,
        is_judged_by_base: true,
    },
    Row {
        run: "pull request of a fork",
        event: "pull_request",
        reference: MAIN,
        payload: |_| request("mallory/fork", "main", "mallory"),
        checks: &[],
        green: "",
        has_comment: false,
        is_judged_by_base: true,
    },
    Row {
        run: "a fork's run, reported by `workflow_run`",
        event: "workflow_run",
        reference: MAIN,
        payload: |_| finished_run("mallory/fork", "mallory"),
        checks: &[(" (fork, unverified)", false)],
        green: "neutral",
        has_comment: false,
        is_judged_by_base: true,
    },
    Row {
        run: "Dependabot's run, reported by `workflow_run`",
        event: "workflow_run",
        reference: MAIN,
        payload: |name| finished_run(&format!("acme/{name}"), "dependabot[bot]"),
        checks: &[(" (fork, unverified)", false)],
        green: "neutral",
        has_comment: false,
        is_judged_by_base: true,
    },
    Row {
        run: "pull request into another branch",
        event: "pull_request",
        reference: MAIN,
        payload: |name| request(&format!("acme/{name}"), "other", "maria"),
        checks: &[(" (into other)", false)],
        green: "success",
        has_comment: true,
        is_judged_by_base: true,
    },
    Row {
        run: "merge group",
        event: "merge_group",
        reference: "refs/heads/gh-readonly-queue/main/pr-7-a",
        payload: |_| {
            json!({ "merge_group": {
                "head_sha": sha('c'), "head_ref": "refs/heads/gh-readonly-queue/main/pr-7-a",
                "base_sha": sha('a'), "base_ref": MAIN,
            } })
        },
        checks: &[("", false), (" (baseline)", true)],
        green: "success",
        has_comment: false,
        is_judged_by_base: true,
    },
    Row {
        run: "push to the default branch",
        event: "push",
        reference: MAIN,
        payload: |_| json!({ "ref": MAIN, "before": sha('a') }),
        checks: &[(" (baseline)", true)],
        green: "success",
        has_comment: false,
        is_judged_by_base: true,
    },
    Row {
        run: "push to a feature branch",
        event: "push",
        reference: "refs/heads/change",
        payload: |_| json!({ "ref": "refs/heads/change", "before": sha('a') }),
        checks: &[(" (branch)", false)],
        green: "success",
        has_comment: false,
        is_judged_by_base: false,
    },
    Row {
        run: "tag",
        event: "push",
        reference: "refs/tags/v1.0.0",
        payload: |_| json!({ "ref": "refs/tags/v1.0.0" }),
        checks: &[(" (release)", false)],
        green: "success",
        has_comment: false,
        is_judged_by_base: true,
    },
    Row {
        run: "by hand, on a commit of the default branch without a record",
        event: "workflow_dispatch",
        reference: MAIN,
        payload: |_| json!({}),
        checks: &[(" (scheduled)", false), (" (baseline)", true)],
        green: "success",
        has_comment: false,
        is_judged_by_base: true,
    },
    Row {
        run: "by time, on a commit of the default branch without a record",
        event: "schedule",
        reference: MAIN,
        payload: |_| json!({}),
        checks: &[(" (scheduled)", false), (" (baseline)", true)],
        green: "success",
        has_comment: false,
        is_judged_by_base: true,
    },
];

fn sha(digit: char) -> String {
    digit.to_string().repeat(40)
}

fn request(head_repository: &str, base: &str, login: &str) -> Value {
    json!({ "number": 7, "pull_request": {
        "number": 7, "user": { "login": login },
        "head": { "ref": "change", "sha": sha('b'), "repo": { "full_name": head_repository } },
        "base": { "ref": base, "sha": sha('a') },
    } })
}

fn finished_run(head_repository: &str, login: &str) -> Value {
    json!({ "workflow_run": {
        "event": "pull_request", "head_sha": sha('b'), "head_branch": "change", "pull_requests": [],
        "head_repository": { "full_name": head_repository }, "actor": { "login": login },
    } })
}

/// Where the history has a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recorded {
    Near,
    Far,
    Never,
    /// Near, of a red run.
    Red,
}

/// Name, conclusion, and whether there is a record, of each check on the judged commits.
fn written(state: &Value) -> Vec<(String, String, bool)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let checks = state["checks"].as_array().unwrap().iter();
    let checks = checks.filter(|check| [sha('b'), sha('c')].contains(&text(&check["head_sha"])));
    let seen = checks.map(|check| {
        let has_record = BaselineRecord::decode(&text(&check["output"]["text"])).is_some();
        (text(&check["name"]), text(&check["conclusion"]), has_record)
    });
    seen.collect()
}

/// All rows where the base branch asks for `min` of the accuracy.
fn judge_all(kind: &str, base_min: &str, is_green: bool) {
    const N_OLDER: usize = 30;
    let mut run = Run::of_pull_request("matrix");
    run.project.edit(
        "min = 0.5",
        "min = 0.5\nmax_drop = 0.01\nwhen_uncertain = \"pass\"",
    );
    run.project.edit(
        "# Judged by",
        "[gate]\nrules_from = \"base\"\n\n# Judged by",
    );
    let own = std::fs::read_to_string(run.project.path("trainyard.toml")).unwrap();
    let base = own.replace("min = 0.5", &format!("min = {base_min}"));
    let older: Vec<String> = (1..=N_OLDER).map(|idx| format!("{idx:040x}")).collect();
    let mut commits = vec![vec![older[0].clone()]];
    commits.extend(
        older
            .windows(2)
            .map(|pair| vec![pair[1].clone(), pair[0].clone()]),
    );
    commits.push(vec![sha('a'), older[N_OLDER - 1].clone()]);
    commits.push(vec![sha('b'), sha('a')]);
    commits.push(vec![sha('c'), sha('a'), sha('b')]);
    let good = record(&run, 0.5);
    let red = BaselineRecord {
        decision: Decision::Fail,
        ..record_of(&card(&run), &sha('a'), None)
    };
    let mut red = check_with(&red.encode().unwrap(), "github-actions", &sha('a'));
    red["conclusion"] = json!("failure");

    for (idx, row) in ROWS.iter().enumerate() {
        for recorded in [
            Recorded::Near,
            Recorded::Far,
            Recorded::Never,
            Recorded::Red,
        ] {
            let name = format!("matrix-{kind}-{idx}-{recorded:?}").leak();
            run.repository = Repository { name };
            run.event = row.event;
            run.reference = row.reference;
            run.payload = (row.payload)(name);
            run.payload["repository"] =
                json!({ "full_name": format!("acme/{name}"), "default_branch": "main" });
            let config = if row.is_judged_by_base { &base } else { &own };
            run.project.write("trainyard.toml", config);
            let head_repository =
                run.payload["workflow_run"]["head_repository"]["full_name"].clone();
            let checks = match recorded {
                Recorded::Near => json!([check_with(&good, "github-actions", &sha('a'))]),
                Recorded::Far => json!([check_with(&good, "github-actions", &older[0])]),
                Recorded::Never => json!([]),
                Recorded::Red => json!([red]),
            };
            run.repository.prepare(&json!({
                "commits": commits, "merge_base": sha('a'), "checks": checks,
                "tags": { "v0.9.0": sha('a'), "v1.0.0": sha('c') },
                "files": {
                    "main:trainyard.toml": base, "other:trainyard.toml": base,
                    format!("{}:trainyard.toml", sha('a')): base,
                },
                "pulls": [{
                    "number": 7, "head_repository": head_repository, "head_branch": "change",
                    "head_sha": sha('b'), "base_branch": "main", "base_sha": sha('a'),
                }],
            }));
            let passes = is_green || !row.is_judged_by_base;
            let said = run.gate(1, &[], i32::from(!passes));

            let case = format!("{}, {kind}, {recorded:?}", row.run);
            let state = run.repository.state();
            let conclusion = if passes { row.green } else { "failure" };
            let expected: Vec<_> = row
                .checks
                .iter()
                .map(|(suffix, has_record)| {
                    (
                        format!("trainyard / mnist{suffix}"),
                        conclusion.to_owned(),
                        *has_record,
                    )
                })
                .collect();
            assert_eq!(written(&state), expected, "{case}");
            let n_comments = state["comments"].as_array().unwrap().len();
            assert_eq!(n_comments, usize::from(row.has_comment), "{case}");

            let word = match recorded {
                _ if !passes => "### ❌ Fail",
                Recorded::Near | Recorded::Far => "### ✅ Pass",
                Recorded::Never | Recorded::Red => "### ⚠️ Warn",
            };
            let comment = run.project.path("trainyard-out/verdict/comment.md");
            let report = std::fs::read_to_string(comment).unwrap();
            assert!(report.contains(word), "{case}: {report}\n{}", said.stderr);
            let source = match recorded {
                Recorded::Near => Some("commit aaaaaaa"),
                Recorded::Far => Some("commit 0000000"),
                Recorded::Red => Some("aaaaaaa"),
                Recorded::Never => None,
            };
            assert!(
                source.is_none_or(|source| report.contains(source)),
                "{case}: {report}"
            );
        }
    }
}

#[test]
fn each_run_writes_what_the_table_says_under_lenient_rules() {
    judge_all("lenient", "0.4", true);
}

#[test]
fn each_run_writes_what_the_table_says_under_strict_rules() {
    judge_all("strict", "0.9999", false);
}

/// The rows as the guide shows them.
fn table() -> String {
    let line = |row: &Row| {
        let checks = row.checks.iter().map(|(suffix, has_record)| {
            let suffix = suffix.replace("into other", "into <branch>");
            let record = if *has_record { " with a record" } else { "" };
            format!("`trainyard / <model>{suffix}`{record}")
        });
        let checks: Vec<_> = checks.collect();
        let (checks, green, red) = match checks.is_empty() {
            true => ("none".to_owned(), "–", "–"),
            false => (checks.join(", "), row.green, "failure"),
        };
        let comment = if row.has_comment { "yes" } else { "no" };
        format!("| {} | {checks} | {green} | {red} | {comment} |\n", row.run)
    };
    let head = "| Run | Checks | Passed | Failed | Comment |\n| :-- | :-- | :-- | :-- | :-- |\n";
    head.to_owned() + &ROWS.iter().map(line).collect::<String>()
}

#[test]
fn the_guide_shows_this_table() {
    let guide = std::fs::read_to_string(repository().join("docs/guides/github.md")).unwrap();
    let table = table();
    assert!(
        guide.contains(&table),
        "docs/guides/github.md should hold:\n{table}"
    );
}
