//! What a repository holds, and the rules that GitHub has for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{Method, Uri};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Parameters;
use super::deployments::Deployments;
use super::faults::Fault;
use super::releases::Releases;
use super::shapes;

/// GitHub's undocumented limit of a comment, in characters.
const MAX_COMMENT: usize = 65_536;
/// GitHub's documented limit of a check's texts, in characters.
const MAX_CHECK_TEXT: usize = 65_535;

pub(super) type Answer = Result<(u16, Value), (u16, String)>;

/// All repositories by name.
#[derive(Default)]
pub(super) struct Repositories(Mutex<BTreeMap<String, Repository>>);

#[derive(Default)]
pub(super) struct Repository {
    full_name: String,
    next_id: u64,
    comments: BTreeMap<u64, Value>,
    /// When each comment was made, and when it was removed: lists show both late.
    made: BTreeMap<u64, Instant>,
    removed: BTreeMap<u64, (Instant, Value)>,
    list_lag: Duration,
    issues: BTreeMap<u64, Value>,
    checks: BTreeMap<u64, Value>,
    /// Remarks of each check, which answers only count.
    annotations: BTreeMap<u64, Vec<Value>>,
    /// Parents of each commit, the newest commit last.
    commits: Vec<(String, Vec<String>)>,
    merge_base: Option<String>,
    commit_comments: Vec<Value>,
    /// Comment and content.
    reactions: Vec<String>,
    /// Workflow runs whose failed jobs were run again.
    reruns: Vec<String>,
    /// Numbers of the pull requests that brought in each commit.
    brought_in: BTreeMap<String, Vec<u64>>,
    /// Git trees of commits that have another than their own name.
    trees: BTreeMap<String, String>,
    /// Completed runs of the workflow on each branch.
    workflow_runs: BTreeMap<String, u64>,
    pulls: Vec<Value>,
    /// Tag and commit.
    tags: Vec<(String, String)>,
    /// What each person may do; others may read.
    permissions: BTreeMap<String, String>,
    /// Text of each file, by branch and path.
    files: BTreeMap<String, String>,
    /// Files that differ, by `base...head`.
    changed: BTreeMap<String, Vec<String>>,
    /// Artifacts and their archives, by id.
    artifacts: BTreeMap<u64, (Value, Vec<u8>)>,
    releases: Releases,
    deployments: Deployments,
    /// Bundles, the first of which has the number 1.
    attestations: Vec<Value>,
    /// Where files of a release are uploaded to, where that is not here.
    uploads: Option<String>,
    faults: Vec<Fault>,
    requests: Vec<String>,
}

impl Repositories {
    pub(super) fn with<T>(
        &self,
        owner: &str,
        name: &str,
        work: impl FnOnce(&mut Repository) -> T,
    ) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full_name = format!("{owner}/{name}");
        let repository = all.entry(full_name.clone()).or_default();
        repository.full_name = full_name;
        work(repository)
    }
}

impl Repository {
    pub(super) fn note(&mut self, method: &Method, uri: &Uri) {
        self.requests.push(format!("{method} {uri}"));
    }

    pub(super) fn next_fault(&mut self, method: &Method, path: &str) -> Option<Fault> {
        let fault = self
            .faults
            .iter_mut()
            .find(|fault| fault.fits(method.as_str(), path))?;
        fault.times -= 1;
        Some(fault.clone())
    }

    pub(super) fn describe(&self) -> Value {
        json!({
            "comments": self.comments.values().collect::<Vec<_>>(),
            "issues": self.issues.values().collect::<Vec<_>>(),
            "checks": self.checks.values().collect::<Vec<_>>(),
            "annotations": self.annotations.values().flatten().collect::<Vec<_>>(),
            "reactions": self.reactions,
            "reruns": self.reruns,
            "releases": self.releases.describe(),
            "deployments": self.deployments.describe(),
            "attestations": self.attestations,
            "requests": self.requests,
        })
    }

    /// `{"issues": [{"login", "title", "body", "labels", "state"}]}`, `{"fault": …}`, `{"comments": [{"login", "type", "body", "issue"}]}`, `{"commits": [[sha, parent, …]]}`,
    /// `{"merge_base": sha}`, `{"list_lag_ms": n}`, `{"brought_in": {commit: [number]}}`, `{"trees": {commit: tree}}`, `{"workflow_runs": {branch: count}}`, `{"pulls": [{"number", "head_repository", "head_branch", "head_sha", "base_branch",
    /// "base_sha", "state"}]}`, `{"tags": {tag: commit}}`, `{"permissions": {login: permission}}`, `{"files": {"branch:path": text}}` or `{"checks": [{"name", "head_sha", "app", "text"}]}`, `{"changed": {"base...head": [file]}}`, `{"artifacts": [{"run_id", "name", "expired", "archive" (base64)}]}`, `{"uploads": address}` or what [`Releases::prepare`] and [`Deployments::prepare`] take.
    pub(super) fn prepare(&mut self, instruction: &Value) -> Result<Value, String> {
        if let Some(fault) = instruction.get("fault") {
            let fault = serde_json::from_value(fault.clone()).map_err(|error| error.to_string())?;
            self.faults.push(fault);
        }
        self.releases.prepare(&self.full_name, instruction);
        self.deployments.prepare(&self.full_name, instruction);
        if let Some(address) = instruction["uploads"].as_str() {
            self.uploads = Some(address.to_owned());
        }
        if let Some(lag_ms) = instruction["list_lag_ms"].as_u64() {
            self.list_lag = Duration::from_millis(lag_ms);
        }
        for commit in instruction["commits"].as_array().into_iter().flatten() {
            let mut shas: Vec<String> =
                serde_json::from_value(commit.clone()).map_err(|error| error.to_string())?;
            self.commits.push((shas.remove(0), shas));
        }
        for (sha, numbers) in instruction["brought_in"].as_object().into_iter().flatten() {
            let numbers = numbers.as_array().into_iter().flatten();
            self.brought_in
                .insert(sha.clone(), numbers.filter_map(Value::as_u64).collect());
        }
        if let Some(sha) = instruction["merge_base"].as_str() {
            self.merge_base = Some(sha.to_owned());
        }
        for pull in instruction["pulls"].as_array().into_iter().flatten() {
            let made = shapes::pull(&self.full_name, pull);
            self.pulls.retain(|pull| pull["number"] != made["number"]);
            self.pulls.push(made);
        }
        let texts = |key: &str| {
            let entries = instruction[key].as_object().cloned().unwrap_or_default();
            entries
                .into_iter()
                .filter_map(|(name, value)| Some((name, value.as_str()?.to_owned())))
        };
        self.trees.extend(texts("trees"));
        for (range, names) in instruction["changed"].as_object().into_iter().flatten() {
            let names = names.as_array().into_iter().flatten();
            let names = names.filter_map(|name| Some(name.as_str()?.to_owned()));
            self.changed.insert(range.clone(), names.collect());
        }
        let counts = instruction["workflow_runs"]
            .as_object()
            .into_iter()
            .flatten();
        self.workflow_runs
            .extend(counts.filter_map(|(branch, n)| Some((branch.clone(), n.as_u64()?))));
        self.tags.extend(texts("tags"));
        self.permissions.extend(texts("permissions"));
        self.files.extend(texts("files"));
        for check in instruction["checks"].as_array().into_iter().flatten() {
            let id = self.new_id();
            let mut made = shapes::check(&self.full_name, id, check);
            made["output"]["text"] = check["text"].clone();
            if let Some(app) = check["app"].as_str() {
                made["app"]["slug"] = json!(app);
            }
            self.checks.insert(id, made);
        }
        for artifact in instruction["artifacts"].as_array().into_iter().flatten() {
            let id = self.new_id();
            let archive = artifact["archive"].as_str().unwrap_or_default();
            let archive = STANDARD
                .decode(archive)
                .map_err(|error| error.to_string())?;
            let made = shapes::artifact(&self.full_name, id, artifact, archive.len());
            self.artifacts.insert(id, (made, archive));
        }
        for issue in instruction["issues"].as_array().into_iter().flatten() {
            let number = self.new_id();
            let author = issue["login"].as_str().unwrap_or_default();
            let mut made = shapes::issue(&self.full_name, number, author, issue);
            shapes::change_issue(&mut made, issue);
            self.issues.insert(number, made);
        }
        for comment in instruction["comments"].as_array().into_iter().flatten() {
            let text = |key: &str| comment[key].as_str().unwrap_or_default();
            let issue = comment["issue"].as_u64().unwrap_or(1);
            if let Some(commit) = comment["commit"].as_str() {
                let id = self.new_id();
                let made = shapes::commit_comment(
                    &self.full_name,
                    commit,
                    id,
                    text("login"),
                    text("body"),
                );
                self.commit_comments.push(made);
                continue;
            }
            let mut made = self.add_comment(issue, text("login"), text("type"), text("body"));
            for key in ["updated_at", "performed_via_github_app"] {
                if let Some(value) = comment.get(key) {
                    made[key] = value.clone();
                }
            }
            if let Some(id) = made["id"].as_u64() {
                self.comments.insert(id, made);
            }
        }
        Ok(json!({}))
    }

    pub(super) fn artifacts(&self, run_id: &str, parameters: &Parameters) -> Value {
        let name = parameters.get("name");
        let found: Vec<&Value> = self
            .artifacts
            .values()
            .map(|(artifact, _)| artifact)
            .filter(|artifact| artifact["workflow_run"]["id"].as_u64() == run_id.parse().ok())
            .filter(|artifact| name.is_none_or(|name| artifact["name"] == *name))
            .collect();
        json!({ "total_count": found.len(), "artifacts": found })
    }

    /// Takes a bundle that a certificate signed; what GitHub answers to another is not documented.
    pub(super) fn attest(&mut self, body: &Value) -> Answer {
        let bundle = &body["bundle"];
        let is_whole = bundle["mediaType"].is_string()
            && bundle["verificationMaterial"]["certificate"].is_object()
            && bundle["dsseEnvelope"].is_object();
        if !is_whole {
            return Err((422, "Validation Failed".to_owned()));
        }
        self.attestations.push(bundle.clone());
        Ok((201, json!({ "id": self.attestations.len() })))
    }

    /// What is asked below `releases`; `host` is the address that this was asked at.
    pub(super) fn of_releases(
        &mut self,
        host: &str,
        method: &str,
        rest: &[&str],
        parameters: &Parameters,
        body: &[u8],
    ) -> Answer {
        let uploads = self.uploads.as_deref().unwrap_or(host);
        let place = (&*self.full_name, uploads);
        self.releases.answer(place, method, rest, parameters, body)
    }

    pub(super) fn archive(&self, id: u64) -> Option<Vec<u8>> {
        self.artifacts.get(&id).map(|(_, archive)| archive.clone())
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn add_comment(&mut self, issue: u64, login: &str, kind: &str, body: &str) -> Value {
        let id = self.new_id();
        let comment = shapes::comment(&self.full_name, issue, id, login, kind, body);
        self.comments.insert(id, comment.clone());
        comment
    }

    fn made_now(&mut self, comment: &Value) {
        if let Some(id) = comment["id"].as_u64() {
            self.made.insert(id, Instant::now());
        }
    }

    pub(super) fn comments(&self, issue: &str, parameters: &Parameters) -> Value {
        let suffix = format!("/issues/{issue}");
        let is_late = |at: &Instant| at.elapsed() < self.list_lag;
        let there = self.comments.iter();
        let mut seen: BTreeMap<u64, &Value> = there
            .filter(|(id, _)| !self.made.get(id).is_some_and(is_late))
            .map(|(id, comment)| (*id, comment))
            .collect();
        let gone = self.removed.iter();
        seen.extend(
            gone.filter(|(_, (at, _))| is_late(at))
                .map(|(id, (_, comment))| (*id, comment)),
        );
        let of_issue = seen.into_values().filter(|comment| {
            comment["issue_url"]
                .as_str()
                .is_some_and(|url| url.ends_with(&suffix))
        });
        page(of_issue.cloned().collect(), parameters)
    }

    pub(super) fn create_comment(&mut self, issue: &str, body: &Value, author: &str) -> Answer {
        let text = comment_text(body)?;
        let issue = issue.parse().map_err(|_| not_found())?;
        let kind = if author.ends_with("[bot]") {
            "Bot"
        } else {
            "User"
        };
        let comment = self.add_comment(issue, author, kind, &text);
        self.made_now(&comment);
        Ok((201, comment))
    }

    pub(super) fn comment(&self, id: &str) -> Answer {
        let comment = id.parse().ok().and_then(|id: u64| self.comments.get(&id));
        comment
            .cloned()
            .map(|comment| (200, comment))
            .ok_or_else(not_found)
    }

    pub(super) fn update_comment(&mut self, id: &str, body: &Value) -> Answer {
        let text = comment_text(body)?;
        let comment = id
            .parse()
            .ok()
            .and_then(|id: u64| self.comments.get_mut(&id))
            .ok_or_else(not_found)?;
        comment["body"] = json!(text);
        Ok((200, comment.clone()))
    }

    pub(super) fn delete_comment(&mut self, id: &str) -> Answer {
        let id: u64 = id.parse().map_err(|_| not_found())?;
        let comment = self.comments.remove(&id).ok_or_else(not_found)?;
        self.removed.insert(id, (Instant::now(), comment));
        Ok((204, Value::Null))
    }

    pub(super) const fn deployments(&self) -> &Deployments {
        &self.deployments
    }

    pub(super) fn create_deployment(&mut self, body: &Value, author: &str) -> Answer {
        self.deployments.create(&self.full_name, body, author)
    }

    pub(super) fn add_deployment_status(&mut self, id: &str, body: &Value, author: &str) -> Answer {
        self.deployments
            .add_status(&self.full_name, id, body, author)
    }

    /// The newest first, by state and label.
    pub(super) fn issues(&self, parameters: &Parameters) -> Value {
        let state = parameters.get("state").map_or("open", String::as_str);
        let label = parameters.get("labels");
        let has_label = |issue: &Value| {
            let labels = issue["labels"].as_array().into_iter().flatten();
            label.is_none_or(|label| labels.clone().any(|found| found["name"] == **label))
        };
        let fits = |issue: &&Value| (state == "all" || issue["state"] == state) && has_label(issue);
        let found = self.issues.values().rev().filter(fits);
        page(found.cloned().collect(), parameters)
    }

    pub(super) fn create_issue(&mut self, body: &Value, author: &str) -> Answer {
        comment_text(body)?;
        if body["title"].as_str().is_none_or(str::is_empty) {
            return Err((422, "Validation Failed: title can't be blank".to_owned()));
        }
        let number = self.new_id();
        let issue = shapes::issue(&self.full_name, number, author, body);
        self.issues.insert(number, issue.clone());
        Ok((201, issue))
    }

    pub(super) fn update_issue(&mut self, number: &str, body: &Value) -> Answer {
        let number = number.parse().ok();
        let issue = number.and_then(|number: u64| self.issues.get_mut(&number));
        let issue = issue.ok_or_else(not_found)?;
        shapes::change_issue(issue, body);
        Ok((200, issue.clone()))
    }

    /// The commit and all before it, the newest first.
    pub(super) fn history(&self, parameters: &Parameters) -> Answer {
        let sha = parameters.get("sha").map_or("main", String::as_str);
        let newest = self
            .commits
            .iter()
            .rposition(|(commit, _)| commit == sha)
            .ok_or_else(not_found)?;
        let commits: Vec<Value> = self.commits[..=newest]
            .iter()
            .rev()
            .take(100)
            .map(|(sha, parents)| shapes::commit(&self.full_name, sha, parents))
            .collect();
        Ok((200, json!(commits)))
    }

    /// `base...head`: ahead where the base is an ancestor, else diverged at the merge base that was prepared.
    pub(super) fn compare(&self, range: &str) -> Answer {
        let (base, head) = range.split_once("...").ok_or_else(not_found)?;
        let is_ahead = self.ancestors(head).contains(base);
        let merge_base = if is_ahead {
            base
        } else {
            self.merge_base.as_deref().ok_or_else(not_found)?
        };
        let status = match is_ahead {
            true if base == head => "identical",
            true => "ahead",
            false => "diverged",
        };
        let merge_base = shapes::commit(&self.full_name, merge_base, &[]);
        let mut found = shapes::comparison(&self.full_name, &merge_base, status);
        let changed = self.changed.get(range).into_iter().flatten();
        found["files"] = changed.map(|file| shapes::changed_file(file)).collect();
        Ok((200, found))
    }

    fn ancestors(&self, sha: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open = vec![sha.to_owned()];
        while let Some(sha) = open.pop() {
            let commit = self.commits.iter().find(|(commit, _)| *commit == sha);
            if let Some((_, parents)) = commit
                && found.insert(sha)
            {
                open.extend(parents.iter().cloned());
            }
        }
        found
    }

    /// What the query for a history with checks is answered: the newest commits that lead to `start`.
    pub(super) fn checked_history(&self, variables: &Value) -> Value {
        let text = |key: &str| variables[key].as_str().unwrap_or_default();
        let first = variables["first"].as_u64().unwrap_or(1) as usize;
        let with_text = variables["withText"].as_bool().unwrap_or_default();
        let ancestors = self.ancestors(text("start"));
        let nodes: Vec<Value> = self
            .commits
            .iter()
            .rev()
            .filter(|(sha, _)| ancestors.contains(sha))
            .take(first)
            .map(|(sha, parents)| {
                let tree = self.trees.get(sha).unwrap_or(sha);
                json!({
                    "oid": sha, "tree": { "oid": tree },
                    "parents": { "nodes": parents.iter().take(1).map(|sha| json!({ "oid": sha })).collect::<Vec<_>>() },
                    "checkSuites": self.suites(sha, text("check"), with_text),
                })
            })
            .collect();
        let object = if nodes.is_empty() {
            Value::Null
        } else {
            json!({ "history": { "nodes": nodes } })
        };
        let mut found = json!({ "object": object });
        if variables["withTested"] == true {
            let sha = text("tested");
            let tree = self.trees.get(sha).map_or(sha, String::as_str);
            found["tested"] = json!({ "tree": { "oid": tree } });
            if variables["withOwn"] == true {
                found["tested"]["checkSuites"] = self.suites(sha, text("own"), true);
            }
        }
        json!({ "data": { "repository": found } })
    }

    /// The checks of a name on a commit, each in a suite of its own.
    fn suites(&self, sha: &str, name: &str, with_text: bool) -> Value {
        let checks = self
            .checks
            .values()
            .filter(|check| check["head_sha"] == *sha && check["name"] == *name);
        let suites = checks.map(|check| {
            let upper = |key: &str| Some(check[key].as_str()?.to_ascii_uppercase());
            let mut run = json!({
                "databaseId": check["id"], "status": upper("status"), "conclusion": upper("conclusion"),
            });
            if with_text {
                run["text"] = check["output"]["text"].clone();
            }
            json!({ "app": { "slug": check["app"]["slug"] }, "checkRuns": { "nodes": [run] } })
        });
        json!({ "nodes": suites.collect::<Vec<_>>() })
    }

    pub(super) fn react(&mut self, id: &str, body: &Value, author: &str) -> Value {
        let content = &body["content"];
        self.reactions
            .push(format!("{id}: {}", content.as_str().unwrap_or_default()));
        shapes::reaction(author, content)
    }

    pub(super) fn rerun(&mut self, id: &str) -> Value {
        self.reruns.push(id.to_owned());
        json!({})
    }

    /// Comments on a commit: those that were prepared with `commit`.
    pub(super) fn commit_comments(&self, sha: &str, parameters: &Parameters) -> Value {
        let found = self.commit_comments.iter();
        let found = found.filter(|comment| comment["commit_id"] == sha);
        page(found.cloned().collect(), parameters)
    }

    /// The pull requests that were prepared as having brought in a commit.
    pub(super) fn pulls_of(&self, sha: &str) -> Value {
        let numbers = self.brought_in.get(sha).cloned().unwrap_or_default();
        let found = self.pulls.iter();
        found
            .filter(|pull| {
                pull["number"]
                    .as_u64()
                    .is_some_and(|number| numbers.contains(&number))
            })
            .cloned()
            .collect()
    }

    pub(super) fn check(&self, id: &str) -> Answer {
        let check = id.parse().ok().and_then(|id: u64| self.checks.get(&id));
        check
            .cloned()
            .map(|check| (200, check))
            .ok_or_else(not_found)
    }

    /// As many completed runs as were prepared for the branch.
    pub(super) fn workflow_runs(&self, parameters: &Parameters) -> Value {
        let branch = parameters.get("branch").map_or("main", String::as_str);
        let n_runs = self.workflow_runs.get(branch).copied().unwrap_or_default();
        json!({ "total_count": n_runs, "workflow_runs": [] })
    }

    pub(super) fn tags(&self, parameters: &Parameters) -> Value {
        let tags = self.tags.iter().map(|(name, sha)| {
            let url = "https://api.github.com/";
            json!({
                "name": name, "node_id": "T_1", "zipball_url": url, "tarball_url": url,
                "commit": { "sha": sha, "url": url },
            })
        });
        page(tags.collect(), parameters)
    }

    pub(super) fn pull(&self, number: &str) -> Answer {
        let number: u64 = number.parse().map_err(|_| not_found())?;
        let found = self.pulls.iter().find(|pull| pull["number"] == number);
        found.cloned().map(|pull| (200, pull)).ok_or_else(not_found)
    }

    /// Those with the head `owner:branch` that is asked for; GitHub does not look at the head's repository.
    pub(super) fn pulls(&self, parameters: &Parameters) -> Value {
        let head = parameters.get("head");
        let found = self
            .pulls
            .iter()
            .filter(|pull| head.is_none_or(|head| pull["head"]["label"] == **head));
        json!(found.collect::<Vec<_>>())
    }

    pub(super) fn permission(&self, login: &str) -> Value {
        let found = self.permissions.get(login).map_or("read", String::as_str);
        shapes::permission(login, found)
    }

    pub(super) fn file(&self, path: &str, parameters: &Parameters) -> Answer {
        use base64::Engine as _;
        let branch = parameters.get("ref").map_or("main", String::as_str);
        let text = self.files.get(&format!("{branch}:{path}"));
        let text = text.ok_or_else(not_found)?;
        // In lines, as GitHub writes it.
        let content = base64::engine::general_purpose::STANDARD.encode(text);
        let lines: Vec<&str> = content
            .as_bytes()
            .chunks(60)
            .filter_map(|line| std::str::from_utf8(line).ok())
            .collect();
        Ok((200, shapes::file(&self.full_name, path, &lines.join("\n"))))
    }

    pub(super) fn create_check(&mut self, body: &Value, author: &str) -> Answer {
        check_texts(body)?;
        let id = self.new_id();
        let mut check = shapes::check(&self.full_name, id, body);
        if let Some(app) = author.strip_suffix("[bot]") {
            check["app"]["slug"] = json!(app);
        }
        self.checks.insert(id, check.clone());
        self.annotate(id, body);
        Ok((201, check))
    }

    pub(super) fn update_check(&mut self, id: &str, body: &Value) -> Answer {
        check_texts(body)?;
        let id: u64 = id.parse().map_err(|_| not_found())?;
        let check = self.checks.get_mut(&id).ok_or_else(not_found)?;
        shapes::change_check(check, body);
        let check = check.clone();
        self.annotate(id, body);
        Ok((200, check))
    }

    fn annotate(&mut self, id: u64, body: &Value) {
        let remarks = body["output"]["annotations"].as_array();
        let all = self.annotations.entry(id).or_default();
        all.extend(remarks.into_iter().flatten().cloned());
    }

    pub(super) fn checks_of(&self, sha: &str, parameters: &Parameters) -> Value {
        let name = parameters.get("check_name");
        let mut found: Vec<&Value> = self
            .checks
            .values()
            .filter(|check| {
                check["head_sha"] == *sha && name.is_none_or(|name| check["name"] == **name)
            })
            .collect();
        // `filter=latest`, the default: the newest of each name.
        if parameters
            .get("filter")
            .is_none_or(|filter| filter == "latest")
        {
            let newest: BTreeMap<String, &Value> = found
                .iter()
                .map(|check| (check["name"].to_string(), *check))
                .collect();
            found = newest.into_values().collect();
        }
        json!({ "total_count": found.len(), "check_runs": found })
    }
}

pub(super) fn not_found() -> (u16, String) {
    (404, "Not Found".to_owned())
}

fn comment_text(body: &Value) -> Result<String, (u16, String)> {
    let text = body["body"].as_str().unwrap_or_default();
    match text.chars().count() {
        0 => Err((422, "Validation Failed: body can't be blank".to_owned())),
        1..=MAX_COMMENT => Ok(text.to_owned()),
        _ => Err((
            422,
            "Validation Failed: body is too long (maximum is 65536 characters)".to_owned(),
        )),
    }
}

fn check_texts(body: &Value) -> Result<(), (u16, String)> {
    let is_too_long = |key: &str| {
        body["output"][key]
            .as_str()
            .is_some_and(|text| text.chars().count() > MAX_CHECK_TEXT)
    };
    if is_too_long("summary") || is_too_long("text") {
        return Err((
            422,
            "Invalid request. Only 65535 characters are allowed".to_owned(),
        ));
    }
    if body["status"] == "completed" && body["conclusion"].is_null() {
        return Err((
            422,
            "Invalid request. A completed check needs a conclusion".to_owned(),
        ));
    }
    Ok(())
}

/// The part of a list that is asked for.
pub(super) fn page(all: Vec<Value>, parameters: &Parameters) -> Value {
    let number = |key: &str, default: usize| {
        parameters
            .get(key)
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
    };
    let per_page = number("per_page", 30).min(100);
    let skipped = (number("page", 1).max(1) - 1) * per_page;
    all.into_iter().skip(skipped).take(per_page).collect()
}
