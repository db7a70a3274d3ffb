//! What all documents of a stage have in common: the program, the commit, the CI system's run.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use trainyard_ecs::{ECS_VERSION, rfc3339};
use trainyard_runner::{Context, Event, Provider};

use crate::document::{Document, Kind};

/// Digits of a commit that fit under a chart.
const SHORT_COMMIT: usize = 12;

/// Under which circumstances something was found out.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// When.
    pub at: SystemTime,
    /// By which run, about which commit.
    pub context: &'a Context,
    /// By which program: `trainyard-train`.
    pub service: &'a str,
    /// In which version.
    pub version: &'a str,
    /// `[report] labels`.
    pub labels: &'a BTreeMap<String, String>,
}

/// What a document says beside the circumstances. Fields are ours, below `trainyard`.
#[derive(Debug, Default)]
pub(crate) struct Content {
    /// What it is about.
    pub(crate) known: Value,
    /// What may be another each time that the same is found out.
    pub(crate) observed: Value,
    /// Elastic's `event.outcome`: `success`, `failure` or `unknown`.
    pub(crate) outcome: Option<&'static str>,
    /// How long it took.
    pub(crate) duration: Option<Duration>,
}

impl Circumstances<'_> {
    /// A document of them.
    pub(crate) fn document(&self, kind: Kind, content: Content) -> Document {
        let Content {
            known,
            observed,
            outcome,
            duration,
        } = content;
        let mut about = self.about();
        if let (Some(about), Value::Object(known)) = (about.as_object_mut(), known) {
            about.extend(known);
        }
        let mut of_time = json!({ "ci": self.of_attempt() });
        if let (Some(of_time), Value::Object(observed)) = (of_time.as_object_mut(), observed) {
            of_time.extend(observed);
        }
        let known = json!({
            "ecs": { "version": ECS_VERSION },
            "event": {
                "kind": kind.event_kind(),
                "module": "trainyard",
                "dataset": format!("trainyard.{}", kind.name()),
                "outcome": outcome,
            },
            "service": { "name": self.service, "version": self.version },
            "labels": self.labels,
            "trainyard": about,
        });
        let duration = duration.map(|duration| duration.as_nanos() as u64);
        let observed = json!({ "event": { "duration": duration }, "trainyard": of_time });
        Document::new(kind, &rfc3339(self.at), known, observed)
    }

    /// Commit and run.
    fn about(&self) -> Value {
        let Context {
            provider,
            event,
            head_sha,
            branch,
            base_branch,
            tag,
            pull_request,
            is_fork,
            repository,
            head_repository,
            run,
            ..
        } = self.context;
        let short = head_sha
            .as_ref()
            .map(|sha| sha.get(..SHORT_COMMIT).unwrap_or(sha));
        json!({
            "commit": head_sha,
            "commit_short": short,
            "branch": branch,
            "base_branch": base_branch,
            "is_default_branch": self.context.is_default_branch(),
            "tag": tag,
            "pull_request_number": pull_request,
            "repository": repository,
            "head_repository": head_repository,
            "is_fork": is_fork,
            "event": name_of(event),
            "ci": {
                "provider": provider_name(*provider),
                "run_id": run.as_ref().map(|run| &run.id),
            },
        })
    }

    /// What is another when the same run is repeated.
    fn of_attempt(&self) -> Value {
        let run = self.context.run.as_ref();
        json!({
            "attempt": run.map(|run| run.attempt),
            "url": run.and_then(|run| run.url.as_ref()),
        })
    }
}

const fn provider_name(provider: Provider) -> &'static str {
    match provider {
        Provider::GitHubActions => "github-actions",
        Provider::Jenkins => "jenkins",
        Provider::Travis => "travis",
        Provider::GitLab => "gitlab",
        Provider::None => "local",
    }
}

fn name_of(event: &Event) -> String {
    match event {
        // Its words for people are several.
        Event::Tag => "tag".to_owned(),
        event => event.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::UNIX_EPOCH;

    use trainyard_runner::context::CiRun;

    use super::*;

    static NO_LABELS: BTreeMap<String, String> = BTreeMap::new();

    /// 2026-11-24T09:30:00.123Z.
    pub(crate) fn morning() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_795_512_600_123)
    }

    /// Those of a run on this machine.
    pub(crate) fn local(context: &Context) -> Circumstances<'_> {
        Circumstances {
            at: morning(),
            context,
            service: "trainyard-test",
            version: "1.2.3",
            labels: &NO_LABELS,
        }
    }

    /// A pull request's run, whose address is `url`.
    fn of_pull_request(url: &str) -> Context {
        Context {
            provider: Provider::Travis,
            event: Event::PullRequest,
            head_sha: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
            branch: Some("topic".to_owned()),
            base_branch: Some("main".to_owned()),
            pull_request: Some(7),
            repository: Some("acme/m".to_owned()),
            head_repository: Some("acme/m".to_owned()),
            run: Some(CiRun {
                id: "42".to_owned(),
                attempt: 1,
                url: Some(url.to_owned()),
            }),
            ..Context::default()
        }
    }

    #[test]
    fn a_repeated_run_finds_its_documents_and_another_run_has_its_own() {
        let labels = [("team".to_owned(), "vision".to_owned())].into();
        let of = |context: &Context| {
            let circumstances = Circumstances {
                labels: &labels,
                ..local(context)
            };
            let content = Content {
                known: json!({ "epoch": { "number": 1 } }),
                ..Content::default()
            };
            circumstances.document(Kind::Epoch, content)
        };
        let first = of(&of_pull_request("https://travis.example/1"));
        let repeated = of(&of_pull_request("https://travis.example/2"));
        assert_eq!(first.id, repeated.id);
        let mut other = of_pull_request("https://travis.example/1");
        if let Some(run) = &mut other.run {
            run.id = "43".to_owned();
        }
        assert_ne!(first.id, of(&other).id);
        let mut source = first.source;
        assert_eq!(source["trainyard"]["event"], Event::PullRequest.to_string());
        source["trainyard"]["event"] = "…".into();
        assert_eq!(
            source,
            json!({
                "@timestamp": "2026-11-24T09:30:00.123Z",
                "ecs": { "version": "1.6.0" },
                "event": { "kind": "metric", "module": "trainyard", "dataset": "trainyard.epochs" },
                "service": { "name": "trainyard-test", "version": "1.2.3" },
                "labels": { "team": "vision" },
                "trainyard": {
                    "commit": "0123456789abcdef0123456789abcdef01234567",
                    "commit_short": "0123456789ab",
                    "branch": "topic",
                    "base_branch": "main",
                    "is_default_branch": false,
                    "pull_request_number": 7,
                    "repository": "acme/m",
                    "head_repository": "acme/m",
                    "is_fork": false,
                    "event": "…",
                    "ci": {
                        "provider": "travis",
                        "run_id": "42",
                        "attempt": 1,
                        "url": "https://travis.example/1",
                    },
                    "epoch": { "number": 1 },
                },
            })
        );
    }
}
