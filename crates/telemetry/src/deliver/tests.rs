//! Delivery to stand-ins that answer as Elasticsearch does on its bad days. The good ones are tested against `osmem-server`.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use trainyard_core::config::ReportConfig;
use trainyard_runner::Context;

use super::*;
use crate::arguments::ElasticsearchArgs;
use crate::document::Kind;

/// A request as it came.
#[derive(Debug, Clone)]
struct Request {
    /// Method and path, without the query.
    line: String,
    authorization: Option<String>,
    body: String,
}

/// What a stand-in does.
enum Reply {
    Answer(u16, &'static str, Value),
    /// Ends the connection without a word.
    Cut,
    /// Says nothing at all.
    Silence,
}

/// An index, and the requests that came.
#[derive(Default)]
struct Index {
    ids: BTreeSet<String>,
    requests: Vec<Request>,
}

impl Index {
    /// As Elasticsearch answers, but for the documents whose status `refuse` says.
    fn bulk(&mut self, body: &str, mut refuse: impl FnMut(&str) -> Option<u16>) -> Value {
        let lines: Vec<&str> = body.lines().collect();
        let items: Vec<Value> = lines
            .chunks(2)
            .map(|pair| {
                let action: Value = serde_json::from_str(pair[0]).unwrap();
                let action = &action["create"];
                let id = action["_id"].as_str().unwrap();
                let (status, error) = if let Some(status) = refuse(id) {
                    (status, json!({ "type": "es_rejected_execution_exception", "reason": "rejected execution" }))
                } else if self.ids.insert(id.to_owned()) {
                    (201, Value::Null)
                } else {
                    (409, json!({ "type": "version_conflict_engine_exception", "reason": "version conflict" }))
                };
                let mut item = json!({ "_index": action["_index"], "status": status });
                if !error.is_null() {
                    item["error"] = error;
                }
                json!({ "create": item })
            })
            .collect();
        json!({ "items": items })
    }

    fn n_requests(&self, line: &str) -> usize {
        self.requests
            .iter()
            .filter(|request| request.line == line)
            .count()
    }
}

/// A server whose index everyone sees.
struct Standin {
    port: u16,
    index: Arc<Mutex<Index>>,
}

const BULK: &str = "POST /_bulk";
const TEMPLATES: &str = "GET /_index_template/trainyard-*";

impl Standin {
    /// Answers each request by `answer`.
    fn start(mut answer: impl FnMut(&mut Index, &Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let index = Arc::new(Mutex::new(Index::default()));
        let shared = index.clone();
        std::thread::spawn(move || {
            // Those that hear nothing are held until the end.
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let request = read(&mut stream);
                let mut index = shared.lock().unwrap_or_else(PoisonError::into_inner);
                index.requests.push(request.clone());
                match answer(&mut index, &request) {
                    Reply::Answer(status, headers, body) => {
                        write(&mut stream, status, headers, &body);
                    }
                    Reply::Cut => {}
                    Reply::Silence => silent.push(stream),
                }
            }
        });
        Self { port, index }
    }

    /// One whose templates are there, and which answers `_bulk` by `bulk`.
    fn of_bulk(mut bulk: impl FnMut(&mut Index, &Request) -> Reply + Send + 'static) -> Self {
        Self::start(move |index, request| match &*request.line {
            TEMPLATES => all_templates(),
            BULK => bulk(index, request),
            line => panic!("{line}"),
        })
    }

    fn delivery(&self, spool: Option<Spool>) -> Delivery<'static> {
        let url = format!("http://key:s3cret@127.0.0.1:{}", self.port);
        Delivery::new(target(&url), None, spool)
    }

    fn seen<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&self.index.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn n_documents(&self) -> usize {
        self.seen(|index| index.ids.len())
    }
}

fn target(url: &str) -> Target {
    let args = ElasticsearchArgs {
        elasticsearch: Some(url.to_owned()),
        ..ElasticsearchArgs::default()
    };
    let found = Target::find(&args, &ReportConfig::default(), &Context::default());
    found.unwrap().unwrap()
}

fn all_templates() -> Reply {
    let templates =
        Kind::ALL.map(|kind| json!({ "name": kind.alias(), "index_template": { "version": 1 } }));
    ok(json!({ "index_templates": templates }))
}

fn ok(body: Value) -> Reply {
    Reply::Answer(200, "", body)
}

fn read(stream: &mut TcpStream) -> Request {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut request = Request {
        line: line.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" "),
        authorization: None,
        body: String::new(),
    };
    let mut n_bytes = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        match &*name.to_ascii_lowercase() {
            "content-length" => n_bytes = value.parse().unwrap(),
            "authorization" => request.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; n_bytes];
    reader.read_exact(&mut body).unwrap();
    request.body = String::from_utf8(body).unwrap();
    request
}

fn write(stream: &mut TcpStream, status: u16, headers: &str, body: &Value) {
    let body = body.to_string();
    let answer = format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}",
        body.len()
    );
    // A client that waits no longer has gone.
    let _ = stream.write_all(answer.as_bytes());
}

fn documents(n: usize) -> Vec<Document> {
    let of = |number: usize| {
        let known = json!({ "trainyard": { "epoch": { "number": number } } });
        Document::new(Kind::Epoch, "2026-11-24T09:30:00.123Z", known, json!({}))
    };
    (0..n).map(of).collect()
}

/// A spool of its own.
fn spool() -> (tempfile::TempDir, Spool) {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::in_folder(folder.path().join("documents"), 1 << 20);
    (folder, spool)
}

fn n_kept(spool: &Spool) -> usize {
    spool
        .batches()
        .0
        .iter()
        .map(|batch| batch.entries.len())
        .sum()
}

#[test]
fn documents_for_which_the_server_is_too_busy_are_sent_again_and_no_others() {
    let mut n_answered = 0;
    let server = Standin::of_bulk(move |index, request| {
        n_answered += 1;
        let mut idx = 0;
        let answer = index.bulk(&request.body, |_| {
            idx += 1;
            (n_answered < 3 && idx % 2 == 0).then_some(429)
        });
        ok(answer)
    });
    let (_folder, spool) = spool();
    assert_eq!(
        server.delivery(Some(spool.clone())).run(&documents(8)),
        [""; 0]
    );
    assert_eq!((server.n_documents(), n_kept(&spool)), (8, 0));
    let sizes: Vec<usize> = server.seen(|index| {
        let bulks = index.requests.iter().filter(|request| request.line == BULK);
        bulks
            .map(|request| request.body.lines().count() / 2)
            .collect()
    });
    assert_eq!(sizes, [8, 4, 2]);
}

#[test]
fn a_server_that_asks_for_time_gets_it() {
    let mut n_answered = 0;
    let server = Standin::of_bulk(move |index, request| {
        n_answered += 1;
        match n_answered {
            1 => Reply::Answer(
                429,
                "Retry-After: 0\r\n",
                json!({ "error": { "type": "circuit_breaking_exception", "reason": "Data too large" } }),
            ),
            _ => ok(index.bulk(&request.body, |_| None)),
        }
    });
    assert_eq!(server.delivery(None).run(&documents(2)), [""; 0]);
    assert_eq!(server.n_documents(), 2);

    // Longer than a stage may wait: the next one sends.
    let server = Standin::of_bulk(|_, _| Reply::Answer(503, "Retry-After: 60\r\n", json!({})));
    let (_folder, spool) = spool();
    let started = Instant::now();
    let warnings = server.delivery(Some(spool.clone())).run(&documents(2));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(n_kept(&spool), 2);
    assert!(
        warnings.len() == 1
            && warnings[0].contains("; 2 are kept in `")
            && warnings[0].contains("503"),
        "{warnings:?}"
    );
    assert_eq!(server.seen(|index| index.n_requests(BULK)), 1);
}

/// The server took the documents and its answer was lost, so the client cannot know.
#[test]
fn an_answer_that_is_lost_doubles_nothing() {
    let mut n_answered = 0;
    let server = Standin::of_bulk(move |index, request| {
        n_answered += 1;
        let answer = index.bulk(&request.body, |_| None);
        if n_answered == 1 {
            Reply::Cut
        } else {
            ok(answer)
        }
    });
    let (_folder, spool) = spool();
    assert_eq!(
        server.delivery(Some(spool.clone())).run(&documents(5)),
        [""; 0]
    );
    assert_eq!((server.n_documents(), n_kept(&spool)), (5, 0));
    assert_eq!(server.seen(|index| index.n_requests(BULK)), 2);
}

#[test]
fn what_a_server_that_is_away_missed_is_sent_by_the_next_stage() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (_folder, spool) = spool();
    let away = Delivery::new(
        target(&format!("http://127.0.0.1:{port}")),
        None,
        Some(spool.clone()),
    );
    let warnings = away.run(&documents(3));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with(&format!(
            "Elasticsearch at 127.0.0.1:{port} is missing documents; 3 are kept in `"
        )),
        "{warnings:?}"
    );
    // The same found out again is kept once.
    away.run(&documents(3));
    assert_eq!(n_kept(&spool), 3);

    let server = Standin::of_bulk(|index, request| ok(index.bulk(&request.body, |_| None)));
    assert_eq!(
        server.delivery(Some(spool.clone())).run(&documents(1)),
        [""; 0]
    );
    assert_eq!((server.n_documents(), n_kept(&spool)), (3, 0));
}

#[test]
fn documents_that_are_refused_are_told_and_put_aside() {
    let server = Standin::of_bulk(|index, request| {
        let mut idx = 0;
        let answer = index.bulk(&request.body, |_| {
            idx += 1;
            (idx == 2).then_some(400)
        });
        ok(answer)
    });
    let (_folder, spool) = spool();
    let warnings = server.delivery(Some(spool.clone())).run(&documents(3));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("refused 1 document; they are kept in `")
            && warnings[0].contains("/refused`: trainyard-epochs: es_rejected_execution_exception: rejected execution (400)"),
        "{warnings:?}"
    );
    assert_eq!((server.n_documents(), n_kept(&spool)), (2, 0));
    let aside = std::fs::read_dir(spool.folder().join("refused"))
        .unwrap()
        .next();
    let text = std::fs::read_to_string(aside.unwrap().unwrap().path()).unwrap();
    assert_eq!(text, documents(3)[1].lines());
    // They are not sent again, and hold nothing up.
    assert_eq!(server.delivery(Some(spool)).run(&documents(1)), [""; 0]);
}

/// A missing privilege says nothing about the documents.
#[test]
fn documents_that_we_may_not_write_are_kept() {
    let server = Standin::of_bulk(|index, request| ok(index.bulk(&request.body, |_| Some(403))));
    let (_folder, spool) = spool();
    let warnings = server.delivery(Some(spool.clone())).run(&documents(2));
    assert!(
        warnings.len() == 1 && warnings[0].contains("`create_doc` and `auto_configure`"),
        "{warnings:?}"
    );
    assert_eq!(n_kept(&spool), 2);
    assert_eq!(server.seen(|index| index.n_requests(BULK)), 1);
}

#[test]
fn a_redirection_gets_neither_documents_nor_credentials() {
    let elsewhere = Standin::start(|_, request| panic!("{request:?}"));
    let headers: &'static str =
        format!("Location: http://127.0.0.1:{}/\r\n", elsewhere.port).leak();
    for status in [301, 302, 307, 308] {
        let server = Standin::start(move |_, _| Reply::Answer(status, headers, Value::Null));
        let (_folder, spool) = spool();
        let warnings = server.delivery(Some(spool.clone())).run(&documents(1));
        assert!(
            warnings.len() == 1 && warnings[0].contains("redirections are not followed"),
            "{warnings:?}"
        );
        assert_eq!(n_kept(&spool), 1);
        server.seen(|index| {
            // By `printf key:s3cret | base64`.
            let shown = index.requests[0].authorization.as_deref();
            assert_eq!(shown, Some("Basic a2V5OnMzY3JldA=="));
        });
    }
    assert_eq!(elsewhere.seen(|index| index.requests.len()), 0);
}

#[test]
fn a_body_that_is_too_large_for_a_proxy_is_sent_in_smaller_ones() {
    let server = Standin::of_bulk(|index, request| {
        if request.body.lines().count() > 6 {
            return Reply::Answer(413, "", Value::Null);
        }
        ok(index.bulk(&request.body, |_| None))
    });
    assert_eq!(server.delivery(None).run(&documents(10)), [""; 0]);
    assert_eq!(server.n_documents(), 10);
}

#[test]
fn a_server_that_says_nothing_holds_a_stage_up_no_longer_than_the_limit() {
    let server = Standin::start(|_, _| Reply::Silence);
    let (_folder, spool) = spool();
    let delivery = Delivery {
        time_limit: Duration::from_millis(200),
        ..server.delivery(Some(spool.clone()))
    };
    let started = Instant::now();
    let warnings = delivery.run(&documents(1));
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    assert!(
        warnings.len() == 1
            && warnings[0].contains("; 1 is kept in `")
            && warnings[0].contains("did not take them within"),
        "{warnings:?}"
    );
    assert_eq!(n_kept(&spool), 1);
}

#[test]
fn templates_that_are_missing_or_old_are_stored_before_the_first_document() {
    let server = Standin::start(|index, request| match &*request.line {
        TEMPLATES => ok(json!({ "index_templates": [
            { "name": "trainyard-runs", "index_template": { "version": 1 } },
            { "name": "trainyard-epochs", "index_template": { "version": 0 } },
            // Another's.
            { "name": "trainyard-logs", "index_template": {} },
        ] })),
        "GET /_ilm/policy/trainyard" => Reply::Answer(404, "", json!({})),
        BULK => ok(index.bulk(&request.body, |_| None)),
        _ => ok(json!({ "acknowledged": true })),
    });
    assert_eq!(server.delivery(None).run(&documents(1)), [""; 0]);
    server.seen(|index| {
        let lines: Vec<&str> = index
            .requests
            .iter()
            .map(|request| &*request.line)
            .collect();
        assert_eq!(
            lines,
            [
                TEMPLATES,
                "GET /_ilm/policy/trainyard",
                "PUT /_ilm/policy/trainyard",
                "PUT /_index_template/trainyard-epochs",
                "PUT /_index_template/trainyard-evaluations",
                "PUT /_index_template/trainyard-measurements",
                "PUT /_index_template/trainyard-verdicts",
                "PUT /_index_template/trainyard-rules",
                BULK,
            ]
        );
        let template: Value = serde_json::from_str(&index.requests[3].body).unwrap();
        assert_eq!(template, crate::templates::template(Kind::Epoch, true));
    });
}

#[test]
fn a_key_that_may_not_store_templates_still_indexes_and_says_what_to_do() {
    let denied = || {
        Reply::Answer(
            403,
            "",
            json!({ "error": { "type": "security_exception", "reason": "not allowed" } }),
        )
    };
    let server = Standin::start(move |index, request| match &*request.line {
        TEMPLATES => ok(json!({ "index_templates": [] })),
        BULK => ok(index.bulk(&request.body, |_| None)),
        _ => denied(),
    });
    let warnings = server.delivery(None).run(&documents(2));
    assert!(
        warnings.len() == 1
            && warnings[0]
                .contains("could not be stored (403 Forbidden: security_exception: not allowed)"),
        "{warnings:?}"
    );
    assert_eq!(server.n_documents(), 2);
    // One that may not even look is taken to be an administrator's matter.
    let server = Standin::start(move |index, request| match &*request.line {
        BULK => ok(index.bulk(&request.body, |_| None)),
        _ => denied(),
    });
    assert_eq!(server.delivery(None).run(&documents(2)), [""; 0]);
    assert_eq!(server.n_documents(), 2);
}

#[test]
fn a_page_is_not_taken_for_an_answer() {
    let server = Standin::start(|_, _| Reply::Answer(200, "", "sign in".into()));
    let (_folder, spool) = spool();
    let warnings = server.delivery(Some(spool.clone())).run(&documents(1));
    assert!(
        warnings[0].contains("is not Elasticsearch's"),
        "{warnings:?}"
    );
    assert_eq!(n_kept(&spool), 1);
    let server = Standin::start(|_, _| Reply::Answer(401, "", json!({ "error": "unauthorized" })));
    let warnings = server.delivery(Some(spool)).run(&documents(1));
    assert!(
        warnings[0].contains("401 Unauthorized: unauthorized")
            && warnings[0].contains("hint: the key or password is wrong"),
        "{warnings:?}"
    );
    assert!(!warnings[0].contains("s3cret"));
}
