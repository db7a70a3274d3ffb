//! The server as its operators have it: several models, others while it runs, keys, logs, and a check before it is let at traffic.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{Server, exchange};
use crate::project::{Project, Said};
use crate::serve::images;
use crate::support::stage;

/// A project whose folder `models` has the trained model as `digits/1`.
fn with_models() -> Project {
    let project = Project::new();
    project.run("train", &[], 0);
    copy_model(
        &project.path("trainyard-out/model"),
        &project.path("models/digits/1"),
    );
    project
}

/// The manifest comes last, as in every folder that is copied with care.
fn copy_model(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in ["weights.safetensors", "model.json"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

/// Another model of the same configuration, trained from another seed.
fn another_model(project: &Project, to: &str) {
    let text = fs::read_to_string(project.path("trainyard.toml")).unwrap();
    let seeded = text.replace("seed = 42", "seed = 4711");
    assert_ne!(seeded, text);
    fs::write(project.path("trainyard.toml"), seeded).unwrap();
    project.run("train", &[], 0);
    copy_model(&project.path("trainyard-out/model"), &project.path(to));
}

fn digest(server: &Server, path: &str) -> Value {
    let (status, metadata) = server.get(path);
    assert_eq!(status, 200, "{metadata}");
    metadata["parameters"]["digest"].clone()
}

/// What clients look at, also where the test has failed.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Waits until `is_so`, for 30 s.
fn until(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn versions_are_replaced_while_requests_are_answered() {
    let project = with_models();
    let models = project.path("models");
    let server = Server::start_with(&models, &["--reload-interval", "1"]);
    let first = digest(&server, "/v2/models/digits");
    let body = json!({"instances": images(2)});
    let is_over = AtomicBool::new(false);
    let statuses = thread::scope(|scope| {
        let client = || {
            let mut statuses = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                statuses.push(server.post("/v1/models/digits:predict", &body).0);
            }
            statuses
        };
        let clients = [(); 4].map(|()| scope.spawn(client));
        let over = Over(&is_over);
        another_model(&project, "models/digits/2");
        until(|| server.get("/v2/models/digits/versions/2").0 == 200);
        assert_ne!(digest(&server, "/v2/models/digits"), first);
        assert_eq!(digest(&server, "/v2/models/digits/versions/1"), first);
        let versions = &server.get("/v2/models/digits").1["versions"];
        assert_eq!(*versions, json!(["1", "2"]));
        // One of two is taken away, and a broken one changes nothing.
        fs::remove_dir_all(models.join("digits/1")).unwrap();
        copy_model(
            &project.path("trainyard-out/model"),
            &models.join("digits/3"),
        );
        fs::write(models.join("digits/3/weights.safetensors"), "broken").unwrap();
        until(|| server.get("/v2/models/digits/versions/1").0 == 404);
        until(|| {
            let index = server.post("/v2/repository/index", &json!({})).1;
            index[1]["state"] == "UNAVAILABLE"
        });
        assert_eq!(server.get("/v2/models/digits/versions/3").0, 404);
        assert_eq!(server.get("/v2/models/digits").1["versions"], json!(["2"]));
        drop(over);
        clients.map(|client| client.join().unwrap()).concat()
    });
    assert!(statuses.len() > 8, "{}", statuses.len());
    assert_eq!(BTreeSet::from_iter(statuses), BTreeSet::from([200]));
}

#[test]
fn models_versions_and_labels_are_apart() {
    let project = with_models();
    let models = project.path("models");
    another_model(&project, "models/digits/2");
    copy_model(
        &project.path("trainyard-out/model"),
        &models.join("letters/7"),
    );
    fs::write(
        models.join("digits/labels.json"),
        r#"{"stable": 1, "canary": 2}"#,
    )
    .unwrap();
    let server = Server::start(&models);
    assert_eq!(
        server.get("/v1/models").1,
        json!({"models": ["digits", "letters"]})
    );
    let body = json!({"instances": images(1)});
    let scores = |path: &str| {
        let (status, answer) = server.post(path, &body);
        assert_eq!(status, 200, "{path}: {answer}");
        answer["predictions"].clone()
    };
    let first = scores("/v1/models/digits/versions/1:predict");
    let second = scores("/v1/models/digits/versions/2:predict");
    assert_ne!(first, second);
    assert_eq!(scores("/v1/models/digits:predict"), second);
    assert_eq!(scores("/v1/models/digits/labels/stable:predict"), first);
    assert_eq!(scores("/v1/models/digits/labels/canary:predict"), second);
    assert_eq!(scores("/v1/models/letters:predict"), second);
    let answer = server.get("/v2/models/digits/versions/9").1;
    assert_eq!(
        answer["error"],
        "there is no version `9` of `digits`; there is `1`, `2`"
    );
    let answer = server.get("/v2/models/numbers").1;
    assert_eq!(
        answer["error"],
        "there is no model `numbers` here; there is `digits`, `letters`"
    );
    let stats = server.get("/v2/models/stats").1["model_stats"].clone();
    let counts = stats.as_array().unwrap().iter().map(|it| {
        let count = it["inference_count"].as_u64().unwrap();
        (
            it["name"].as_str().unwrap(),
            it["version"].as_str().unwrap(),
            count,
        )
    });
    let expected = [("digits", "1", 2), ("digits", "2", 3), ("letters", "7", 1)];
    assert_eq!(counts.collect::<Vec<_>>(), expected);
}

#[test]
fn a_check_lets_every_model_answer() {
    let project = with_models();
    copy_model(
        &project.path("trainyard-out/model"),
        &project.path("models/ä b/2"),
    );
    let check = |code| {
        let mut serve = stage("serve");
        serve
            .arg("--check")
            .arg("--model")
            .arg(project.path("models"));
        Said::of(&mut serve, code)
    };
    let said = check(0);
    let lines: Vec<&str> = said.stdout.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with("`digits` version 1 (") && lines[0].contains("): 10 scores in "));
    assert!(lines[1].starts_with("`ä b` version 2 ("), "{}", lines[1]);
    fs::write(
        project.path("models/digits/1/weights.safetensors"),
        "broken",
    )
    .unwrap();
    check(4).has_error("cannot serve the model in");
}

#[test]
fn who_has_no_key_is_told_only_of_health() {
    let project = with_models();
    let keys = project.path("keys");
    fs::write(&keys, "# of the shop\n0123456789abcdef\n").unwrap();
    let options = ["--api-key-file", keys.to_str().unwrap()];
    let server = Server::start_with(&project.path("models"), &options);
    let body = json!({"instances": images(1)}).to_string();
    let status = |path: &str, headers: &[(&str, &str)]| {
        let method = if path.ends_with("predict") {
            "POST"
        } else {
            "GET"
        };
        let answer = exchange(&server.address, method, path, headers, body.as_bytes()).unwrap();
        assert_eq!(
            answer.header("www-authenticate").is_some(),
            answer.status == 401
        );
        answer.status
    };
    let key = [("Authorization", "Bearer 0123456789abcdef")];
    for path in [
        "/v1/models/digits:predict",
        "/metrics",
        "/v2/models/digits",
        "/v1/models",
    ] {
        assert_eq!(
            (status(path, &[]), status(path, &key)),
            (401, 200),
            "{path}"
        );
        assert_eq!(status(path, &[("X-API-Key", "0123456789abcdef")]), 200);
        assert_eq!(status(path, &[("X-API-Key", "0123456789abcdeF")]), 401);
    }
    assert_eq!(status("/v2/health/ready", &[]), 200);
    assert_eq!(status("/v2/health/live", &[]), 200);
    fs::write(&keys, "short\n").unwrap();
    let mut serve = stage("serve");
    serve
        .args(options)
        .arg("--model")
        .arg(project.path("models"));
    Said::of(&mut serve, 2).has_error("keys:1: a key has at least 16 characters");
}

/// The fields are those of `spec/spec.json` of elastic/ecs-logging: the first three in their order, and their types.
#[test]
fn requests_are_lines_of_the_elastic_common_schema() {
    let project = with_models();
    let log = project.path("log");
    let options = ["--log-format", "json", "--access-log", "all"];
    let server = Server::start_logging(&project.path("models"), &options, &log);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [
        ("X-Request-Id", "from-the-proxy"),
        ("traceparent", trace),
        ("User-Agent", "test"),
    ];
    let body = json!({"instances": images(3)}).to_string();
    let ask = |path: &str, headers: &[(&str, &str)], body: &str| {
        exchange(&server.address, "POST", path, headers, body.as_bytes()).unwrap()
    };
    let answer = ask("/v1/models/digits:predict", &headers, &body);
    assert_eq!(answer.header("x-request-id"), Some("from-the-proxy"));
    let refused = ask("/v1/models/digits:predict", &[], "{}");
    assert_eq!(refused.header("x-request-id").unwrap().len(), 32);
    assert_eq!(server.get("/v2/health/ready").0, 200);
    assert_eq!(server.get("/metrics").0, 200);
    let lines = || {
        let text = fs::read_to_string(&log).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    until(|| lines().len() >= 3);
    let text = fs::read_to_string(&log).unwrap();
    for line in text.lines() {
        assert!(line.starts_with("{\"@timestamp\":\"20"), "{line}");
        let rest = line.split_once(',').unwrap().1;
        assert!(rest.starts_with("\"log.level\":\""), "{line}");
        assert!(line.contains("\"ecs.version\":\"1.6.0\""), "{line}");
    }
    let lines = lines();
    assert_eq!(lines.len(), 3, "{text}");
    let [start, answered, refusal] = &lines[..] else {
        unreachable!()
    };
    assert_eq!(start["log.level"], "info");
    assert!(
        start["message"]
            .as_str()
            .unwrap()
            .starts_with("serving `digits` version 1")
    );
    let expected = json!({
        "log.level": "info",
        "service.name": "trainyard-serve",
        "event.dataset": "trainyard.access",
        "http.request.id": "from-the-proxy",
        "http.request.method": "POST",
        "http.request.body.bytes": body.len(),
        "http.response.status_code": 200,
        "http.response.body.bytes": answer.body.len(),
        "url.path": "/v1/models/digits:predict",
        "client.ip": "127.0.0.1",
        "user_agent.original": "test",
        "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span.id": "00f067aa0ba902b7",
        "trainyard": {"model": "digits", "version": "1", "rows": 3},
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(answered[key], *value, "{key}: {answered}");
    }
    assert!(answered["event.duration"].as_u64().unwrap() > 0);
    assert_eq!(refusal["log.level"], "warn");
    assert_eq!(refusal["http.response.status_code"], 400);
    let reason = "give exactly one of `instances` and `inputs`";
    assert_eq!(refusal["error.message"], reason);
    assert!(refusal["message"].as_str().unwrap().ends_with(reason));
    assert_eq!(refusal["trace.id"], Value::Null);
}

/// The rows of a request are told by figures alone.
#[test]
fn a_sampled_request_is_logged_without_its_values() {
    let project = with_models();
    let log = project.path("log");
    let options = ["--log-format", "json", "--sample-requests", "1"];
    let server = Server::start_logging(&project.path("models"), &options, &log);
    let rows = images(2);
    let headers = [("X-Request-Id", "a-1")];
    let body = json!({"instances": rows}).to_string();
    let path = "/v1/models/digits:predict";
    let answer = exchange(&server.address, "POST", path, &headers, body.as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
    let lines = || -> Vec<Value> {
        let text = fs::read_to_string(&log).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|line: &Value| line["event.dataset"] == "trainyard.sample")
            .collect()
    };
    until(|| lines().len() >= 2);
    let line = &lines()[0];
    assert_eq!(line["http.request.id"], "a-1");
    let ours = &line["trainyard"];
    // The first test image of MNIST is a 7.
    assert_eq!((&ours["class"], &ours["row"]), (&json!("7"), &json!(0)));
    let scores = answer.json()["predictions"][0].clone();
    let scores = scores
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_f64().unwrap());
    let best = scores.fold(0.0, f64::max);
    assert!((ours["score"].as_f64().unwrap() - best).abs() < 1e-6);
    let values = rows[0].as_array().unwrap().iter().flat_map(|line| {
        let pixels = line.as_array().unwrap().iter();
        pixels.map(|pixel| pixel[0].as_f64().unwrap())
    });
    let mean = values.sum::<f64>() / 784.0;
    assert!((ours["input_mean"].as_f64().unwrap() - mean).abs() < 1e-9 * mean);
    assert_eq!(
        (&ours["input_min"], &ours["input_max"]),
        (&json!(0.0), &json!(255.0))
    );
}

#[test]
fn people_read_refusals_and_nothing_of_what_goes_well() {
    let project = with_models();
    let log = project.path("log");
    let server = Server::start_logging(&project.path("models"), &[], &log);
    assert_eq!(
        server
            .post(
                "/v1/models/digits:predict",
                &json!({"instances": images(1)})
            )
            .0,
        200
    );
    assert_eq!(server.get("/v2/models/other").0, 404);
    let text = || fs::read_to_string(&log).unwrap();
    until(|| text().lines().count() >= 2);
    let text = text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    let (line, end) = (
        lines[1],
        ": there is no model `other` here; there is `digits`",
    );
    assert!(
        line[24..].starts_with("  WARN GET /v2/models/other: 404 in "),
        "{line}"
    );
    assert!(line.ends_with(end), "{line}");
    let page = exchange(&server.address, "GET", "/metrics", &[], b"").unwrap();
    let page = String::from_utf8(page.body).unwrap();
    assert!(
        page.contains("trainyard_http_responses_total{code=\"404\"} 1\n"),
        "{page}"
    );
}

/// Many clients at once: what waits is computed together, and each client gets the scores of its own rows.
#[test]
fn requests_that_wait_are_computed_together() {
    let project = with_models();
    let server = Server::start(&project.path("models"));
    let rows = images(8);
    let alone: Vec<Value> = (0..8)
        .map(|idx| {
            let body = json!({"instances": [rows[idx]]});
            server.post("/v1/models/digits:predict", &body).1["predictions"][0].clone()
        })
        .collect();
    thread::scope(|scope| {
        for client in 0..16 {
            let (server, rows, alone) = (&server, &rows, &alone);
            scope.spawn(move || {
                for n in 0..40 {
                    let idx = (client + n) % 8;
                    let body = json!({"instances": [rows[idx]]});
                    let (status, answer) = server.post("/v1/models/digits:predict", &body);
                    assert_eq!(status, 200, "{answer}");
                    let scores = answer["predictions"][0].as_array().unwrap();
                    // Sums are rounded otherwise in a batch of another size.
                    for (score, expected) in scores.iter().zip(alone[idx].as_array().unwrap()) {
                        let difference = score.as_f64().unwrap() - expected.as_f64().unwrap();
                        assert!(difference.abs() < 1e-6, "{score} {expected}");
                    }
                }
            });
        }
    });
    let stats = server.get("/v2/models/digits/stats").1["model_stats"][0].clone();
    let (rows, batches) = (&stats["inference_count"], &stats["execution_count"]);
    assert_eq!(*rows, 8 + 16 * 40);
    assert!(batches.as_u64() < rows.as_u64(), "{stats}");
}
