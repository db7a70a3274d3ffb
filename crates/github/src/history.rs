//! Commits along first parents with their checks of one name, a hundred a call.
//!
//! REST would need a call for each commit, so this asks GraphQL.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::author::Viewer;
use crate::check::App;
use crate::check::WORKFLOWS_APP;
use crate::client::GitHub;
use crate::error::{GitHubError, Permission};

/// Pages of history that are read at most: the commits of some three thousand changes.
const MAX_PAGES: usize = 30;

/// Commits of the first page, which holds the checks' texts: most searches end on it.
const N_FIRST: usize = 20;

/// Commits of any other page.
const N_FURTHER: usize = 100;

/// A commit's history with the checks of one name, and the checks of another on the tested commit. Commits of merged
/// branches are among the history.
pub(crate) const QUERY: &str = r"
query History($owner: String!, $name: String!, $start: GitObjectID!, $check: String!, $first: Int!, $withText: Boolean!, $tested: GitObjectID!, $withTested: Boolean!, $own: String!, $withOwn: Boolean!) {
  viewer { login }
  repository(owner: $owner, name: $name) {
    tested: object(oid: $tested) @include(if: $withTested) {
      ... on Commit {
        tree { oid }
        checkSuites(first: 10, filterBy: { checkName: $own }) @include(if: $withOwn) {
          nodes {
            app { slug }
            checkRuns(first: 10, filterBy: { checkName: $own, checkType: LATEST }) {
              nodes { databaseId status conclusion text }
            }
          }
        }
      }
    }
    object(oid: $start) {
      ... on Commit {
        history(first: $first) {
          nodes {
            oid
            tree { oid }
            parents(first: 1) { nodes { oid } }
            checkSuites(first: 10, filterBy: { checkName: $check }) {
              nodes {
                app { slug }
                checkRuns(first: 10, filterBy: { checkName: $check, checkType: ALL }) {
                  nodes { databaseId status conclusion text @include(if: $withText) }
                }
              }
            }
          }
        }
      }
    }
  }
}
";

/// A commit on the way back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoricCommit {
    pub(crate) sha: String,
    pub(crate) tree_sha: String,
    first_parent: Option<String>,
    /// Completed checks of the name by the app, the newest first.
    pub(crate) checks: Vec<HistoricCheck>,
    /// Whether one of the name by the app is not completed.
    pub(crate) is_running: bool,
}

/// A completed check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HistoricCheck {
    pub(crate) id: u64,
    pub(crate) is_green: bool,
    /// `None` where it has not been asked for.
    pub(crate) text: Option<String>,
}

/// The way back along first parents, read page by page.
#[derive(Debug)]
pub(crate) struct History<'a> {
    github: &'a GitHub,
    check_name: &'a str,
    app: Option<&'a str>,
    /// The next commit; `None` behind the first commit of the repository.
    next: Option<String>,
    page: BTreeMap<String, HistoricCommit>,
    n_pages: usize,
    tested: Option<Tested<'a>>,
    about_tested: AboutTested,
}

/// The commit that was tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tested<'a> {
    /// The commit.
    pub sha: &'a str,
    /// Name of a check on it that is to be read.
    pub check_name: Option<&'a str>,
}

/// What the first page says of the tested commit.
#[derive(Debug, Default)]
pub(crate) struct AboutTested {
    pub(crate) tree_sha: Option<String>,
    /// Texts of its checks of the name; `None` where they were not asked for.
    pub(crate) texts: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Data {
    viewer: Viewer,
    repository: Option<Repository>,
}

#[derive(Deserialize)]
struct Repository {
    tested: Option<TestedCommit>,
    object: Option<Object>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TestedCommit {
    tree: Oid,
    check_suites: Option<Nodes<Suite>>,
}

#[derive(Deserialize)]
struct Object {
    history: Option<Nodes<Commit>>,
}

#[derive(Deserialize)]
struct Nodes<T> {
    nodes: Vec<T>,
}

#[derive(Deserialize)]
struct Oid {
    oid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Commit {
    oid: String,
    tree: Oid,
    parents: Nodes<Oid>,
    check_suites: Option<Nodes<Suite>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suite {
    app: Option<App>,
    check_runs: Option<Nodes<Run>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Run {
    database_id: Option<u64>,
    status: String,
    conclusion: Option<String>,
    text: Option<String>,
}

impl<'a> History<'a> {
    /// The way back from `start`, which is its first commit.
    pub(crate) fn from(
        github: &'a GitHub,
        start: String,
        check_name: &'a str,
        app: Option<&'a str>,
        tested: Option<Tested<'a>>,
    ) -> Self {
        Self {
            github,
            check_name,
            app,
            next: Some(start),
            page: BTreeMap::new(),
            n_pages: 0,
            tested,
            about_tested: AboutTested::default(),
        }
    }

    /// Whether the commit is known to be an ancestor: on the page that was read last.
    pub(crate) fn holds(&self, sha: &str) -> bool {
        self.page.contains_key(sha)
    }

    /// Goes on from another commit.
    pub(crate) fn jump(&mut self, sha: String) {
        self.next = Some(sha);
    }

    /// Whether everything back to the first commit was read.
    pub(crate) const fn is_whole(&self) -> bool {
        self.next.is_none()
    }

    /// What the first page said of the tested commit.
    pub(crate) fn into_about_tested(self) -> AboutTested {
        self.about_tested
    }

    /// The next commit; `None` at the end of the history, or where enough was read.
    pub(crate) async fn next(&mut self) -> Result<Option<HistoricCommit>, GitHubError> {
        let Some(sha) = self.next.clone() else {
            return Ok(None);
        };
        if !self.page.contains_key(&sha) {
            if self.n_pages == MAX_PAGES {
                return Ok(None);
            }
            self.read_page(&sha).await?;
        }
        let commit = self
            .page
            .get(&sha)
            .ok_or_else(|| GitHubError::Malformed {
                doing: DOING,
                problem: format!("the history of {sha} does not begin with it"),
            })?
            .clone();
        self.next.clone_from(&commit.first_parent);
        Ok(Some(commit))
    }

    async fn read_page(&mut self, start: &str) -> Result<(), GitHubError> {
        let is_first = self.n_pages == 0;
        let (owner, name) = self.github.owner_and_name();
        let tested = self.tested.filter(|_| is_first);
        let own = tested.and_then(|tested| tested.check_name);
        let variables = json!({
            "owner": owner, "name": name, "start": start, "check": self.check_name,
            "first": if is_first { N_FIRST } else { N_FURTHER }, "withText": is_first,
            "tested": tested.map_or(start, |tested| tested.sha), "withTested": tested.is_some(),
            "own": own.unwrap_or(self.check_name), "withOwn": own.is_some(),
        });
        let data: Data = self
            .github
            .query(QUERY, variables, DOING, Permission::ContentsAndChecksRead)
            .await?;
        let author = self.github.learn_author(data.viewer);
        let app = self
            .app
            .or(author.app())
            .unwrap_or(WORKFLOWS_APP)
            .to_owned();
        let (tested, object) = data
            .repository
            .map_or((None, None), |found| (found.tested, found.object));
        if let Some(tested) = tested {
            let texts = own.map(|_| {
                let runs = runs_of(tested.check_suites, &app);
                runs.filter_map(|run| run.text).collect()
            });
            self.about_tested = AboutTested {
                tree_sha: Some(tested.tree.oid),
                texts,
            };
        }
        let commits =
            object
                .and_then(|found| found.history)
                .ok_or_else(|| GitHubError::Malformed {
                    doing: DOING,
                    problem: format!("the commit {start} is not there"),
                })?;
        self.n_pages += 1;
        let commits = commits.nodes.into_iter();
        self.page = commits
            .map(|commit| (commit.oid.clone(), commit.into_historic(&app)))
            .collect();
        Ok(())
    }
}

const DOING: &str = "read the history and its checks";

impl Commit {
    fn into_historic(self, app: &str) -> HistoricCommit {
        let (completed, running): (Vec<_>, Vec<_>) =
            runs_of(self.check_suites, app).partition(|run| run.status == "COMPLETED");
        let mut checks: Vec<HistoricCheck> = completed
            .into_iter()
            .filter_map(|run| {
                Some(HistoricCheck {
                    id: run.database_id?,
                    is_green: run.conclusion.as_deref() == Some("SUCCESS"),
                    text: run.text,
                })
            })
            .collect();
        checks.sort_by_key(|check| std::cmp::Reverse(check.id));
        HistoricCommit {
            sha: self.oid,
            tree_sha: self.tree.oid,
            first_parent: self
                .parents
                .nodes
                .into_iter()
                .next()
                .map(|parent| parent.oid),
            checks,
            is_running: !running.is_empty(),
        }
    }
}

/// The check runs that the app wrote.
fn runs_of(suites: Option<Nodes<Suite>>, app: &str) -> impl Iterator<Item = Run> {
    let is_ours =
        |suite: &Suite| suite.app.as_ref().and_then(|app| app.slug.as_deref()) == Some(app);
    let suites = suites.map_or_else(Vec::new, |found| found.nodes);
    suites
        .into_iter()
        .filter(is_ours)
        .flat_map(|suite| suite.check_runs.map_or_else(Vec::new, |found| found.nodes))
}
