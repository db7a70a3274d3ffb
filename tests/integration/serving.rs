//! The server under what clients send: encodings, wrong values, large and slow requests, and its end. The rows of the cases that once went
//! wrong are named.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Answer, Server, exchange};
use crate::project::Project;
use crate::serve::images;
use crate::support::{run, stage};

const INFER: &str = "/v2/models/mnist/infer";
const PREDICT: &str = "/v1/models/mnist:predict";

fn served(options: &[&str]) -> (Project, Server) {
    let project = Project::new();
    project.run("train", &[], 0);
    let server = Server::start_with(&project.path("trainyard-out/model"), options);
    (project, server)
}

/// The values of three images, as bytes of FP32, and their scores.
fn three(server: &Server) -> (Vec<u8>, Value) {
    let rows = images(3);
    let (status, answer) = server.post(PREDICT, &json!({"instances": rows}));
    assert_eq!(status, 200, "{answer}");
    let mut bytes = Vec::new();
    flat(&rows, &mut |value| {
        bytes.extend((value as f32).to_le_bytes());
    });
    let mut scores = Vec::new();
    flat(&answer["predictions"], &mut |score| scores.push(score));
    (bytes, json!(scores))
}

fn flat(value: &Value, take: &mut impl FnMut(f64)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flat(item, take)),
        other => take(other.as_f64().unwrap()),
    }
}

fn input(datatype: &str, rest: &Value) -> Value {
    let mut input = json!({"name": "input", "shape": [3, 28, 28, 1], "datatype": datatype});
    for (key, value) in rest.as_object().unwrap() {
        input[key] = value.clone();
    }
    input
}

/// Row 5.
#[test]
fn binary_data_are_read_and_written() {
    let (_project, server) = served(&[]);
    let (bytes, scores) = three(&server);
    let size = json!({"parameters": {"binary_data_size": bytes.len()}});
    let ask = |request: &Value, data: &[u8]| {
        let request = request.to_string();
        let body = [request.as_bytes(), data].concat();
        let length = request.len().to_string();
        let headers = [("Inference-Header-Content-Length", length.as_str())];
        exchange(&server.address, "POST", INFER, &headers, &body).unwrap()
    };
    let binary_to_json = ask(&json!({"inputs": [input("FP32", &size)]}), &bytes);
    assert_eq!(binary_to_json.json()["outputs"][0]["data"], scores);
    let request = json!({
        "inputs": [input("FP32", &size)], "parameters": {"binary_data_output": true},
    });
    let answer = ask(&request, &bytes);
    let length: usize = answer
        .header("inference-header-content-length")
        .unwrap()
        .parse()
        .unwrap();
    let (head, data) = answer.body.split_at(length);
    let head: Value = serde_json::from_slice(head).unwrap();
    assert_eq!(head["outputs"][0]["parameters"]["binary_data_size"], 120);
    let values = data.as_chunks::<4>().0.iter();
    let values: Vec<f32> = values.map(|it| f32::from_le_bytes(*it)).collect();
    let scores_32: Vec<f32> = serde_json::from_value(scores.clone()).unwrap();
    assert_eq!(values, scores_32);
    // Of FP64, the other way round, and what does not fit.
    let doubles = bytes.as_chunks::<4>().0.iter();
    let doubles: Vec<u8> = doubles
        .flat_map(|it| f64::from(f32::from_le_bytes(*it)).to_le_bytes())
        .collect();
    let size = |n: usize| json!({"parameters": {"binary_data_size": n}});
    let request = json!({"inputs": [input("FP64", &size(doubles.len()))]});
    assert_eq!(ask(&request, &doubles).json()["outputs"][0]["data"], scores);
    for (request, data, reason) in [
        (
            json!({"inputs": [input("FP32", &size(8))]}),
            &bytes[..8],
            "takes 9408 bytes",
        ),
        (
            json!({"inputs": [input("FP32", &size(9408))]}),
            &bytes[..9000],
            "9000 have come",
        ),
        (
            json!({"inputs": [input("FP32", &size(9408))]}),
            &doubles[..9410],
            "more bytes than the 9408",
        ),
        (
            json!({"inputs": [input("FP32", &json!({"data": images(3)}))]}),
            &bytes[..4],
            "behind the JSON",
        ),
        (
            json!({"inputs": [input("BYTES", &size(4))]}),
            &bytes[..4],
            "send FP32",
        ),
    ] {
        let answer = ask(&request, data);
        let error = answer.json()["error"].to_string();
        assert!(
            answer.status == 400 && error.contains(reason),
            "{request}: {error}"
        );
    }
}

/// Row 5, and bodies that inflate to more than is taken.
#[test]
fn bodies_come_and_go_in_the_encodings_of_http() {
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    let (_project, server) = served(&["--max-body-mib", "1"]);
    let (_, scores) = three(&server);
    let body = json!({"instances": images(3)}).to_string();
    let gzip = |body: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let deflate = |body: &[u8]| {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = |body: &[u8]| zstd::encode_all(body, 1).unwrap();
    let post = |encoding: &str, body: &[u8]| {
        let headers = [("Content-Encoding", encoding)];
        exchange(&server.address, "POST", PREDICT, &headers, body).unwrap()
    };
    let bomb = format!("{{\"instances\": [{}1]}}", "1,".repeat(4 << 20));
    for (encoding, encode) in [
        ("gzip", &gzip as &dyn Fn(&[u8]) -> Vec<u8>),
        ("deflate", &deflate),
        ("zstd", &zstd),
    ] {
        let answer = post(encoding, &encode(body.as_bytes()));
        let mut found = Vec::new();
        flat(&answer.json()["predictions"], &mut |score| {
            found.push(score);
        });
        assert_eq!(json!(found), scores, "{encoding}");
        assert_eq!(
            post(encoding, &encode(bomb.as_bytes())).status,
            413,
            "{encoding}"
        );
        let broken = post(encoding, b"no such thing");
        assert_eq!(broken.status, 400, "{encoding}");
    }
    assert_eq!(post("br", body.as_bytes()).status, 415);
    let headers = [("Accept-Encoding", "gzip")];
    let rows = json!({"instances": images(20)}).to_string();
    let answer = exchange(&server.address, "POST", PREDICT, &headers, rows.as_bytes()).unwrap();
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let plain = exchange(&server.address, "POST", PREDICT, &[], rows.as_bytes()).unwrap();
    let mut inflated = Vec::new();
    flate2::read::GzDecoder::new(&*answer.body)
        .read_to_end(&mut inflated)
        .unwrap();
    assert_eq!(inflated, plain.body);
}

/// Rows 9 and 10.
#[test]
fn shapes_and_values_are_checked_against_what_is_announced() {
    let (_project, server) = served(&[]);
    let one = |shape: u64, datatype: &str, value: &Value| {
        let mut data = vec![json!(0); 784];
        data[0] = value.clone();
        let input = json!({
            "name": "input", "shape": [shape, 28, 28, 1], "datatype": datatype, "data": data,
        });
        server.post(INFER, &json!({"inputs": [input]}))
    };
    for (datatype, value, reason) in [
        ("INT32", json!(0.5), "0.5 is not a value of INT32"),
        ("UINT8", json!(999), "999 is not a value of UINT8"),
        ("UINT8", json!(-1), "-1 is not a value of UINT8"),
        ("INT8", json!(300), "300 is not a value of INT8"),
        ("FP16", json!(1), "no form in JSON"),
        ("BOOL", json!(1), "`true` and `false`"),
        ("FP32", json!(1e39), "does not fit"),
        ("FP32", json!(null), "null is not a number"),
    ] {
        let (status, answer) = one(1, datatype, &value);
        let error = answer["error"].to_string();
        assert!(
            status == 400 && error.contains(reason),
            "{datatype} {value}: {error}"
        );
    }
    for datatype in ["INT8", "UINT64", "FP64"] {
        assert_eq!(one(1, datatype, &json!(7)).0, 200, "{datatype}");
    }
    for n in [
        9_223_372_036_854_775_809,
        1_152_921_504_606_846_977,
        4_611_686_018_427_387_904,
    ] {
        let (status, answer) = one(n, "FP32", &json!(1));
        assert_eq!(status, 400, "{answer}");
    }
}

/// Rows 11 and 12, and 16: an echo is cut.
#[test]
fn every_call_of_the_clients_is_answered() {
    let (_project, server) = served(&[]);
    assert_eq!(server.get("/"), (200, json!({"status": "alive"})));
    assert_eq!(
        server.get("/v1/models"),
        (200, json!({"models": ["mnist"]}))
    );
    assert_eq!(server.get("/v1/models/mnist").1["ready"], true);
    assert_eq!(server.get("/v1/models/mnist/labels/stable").0, 200);
    assert_eq!(server.get("/v1/models/mnist/labels/canary").0, 404);
    let rows = json!({"instances": images(1)});
    assert_eq!(
        server
            .post("/v1/models/mnist/labels/stable:predict", &rows)
            .0,
        200
    );
    assert_eq!(
        server.get("/v2/models/mnist/config").1["input"][0]["data_type"],
        "TYPE_FP32"
    );
    let (status, index) = server.post("/v2/repository/index", &json!({}));
    assert_eq!((status, &index[0]["state"]), (200, &json!("READY")));
    let counts = server.get("/v2/models/mnist/stats").1;
    assert_eq!(counts["model_stats"][0]["inference_count"], 1);
    assert_eq!(counts, server.get("/v2/models/stats").1);
    let data = json!({"data": images(3)});
    let asked = json!({
        "inputs": [input("FP32", &data)],
        "outputs": [{"name": "output", "parameters": {"classification": 2}}],
    });
    let best = server.post(INFER, &asked).1;
    assert_eq!(best["outputs"][0]["shape"], json!([3, 2]));
    let first = best["outputs"][0]["data"][0].as_str().unwrap().to_owned();
    assert!(first.ends_with(":7:7"), "{first}");
    let long = format!("/{}", "x".repeat(10_000));
    let echoed = server.get(&long).1["error"].as_str().unwrap().len();
    assert!(echoed < 300, "{echoed}");
}

/// What Linux says of the server's memory, in bytes.
#[cfg(target_os = "linux")]
fn resident(server: &Server, what: &str) -> u64 {
    let status = format!("/proc/{}/status", server.process.id());
    let status = std::fs::read_to_string(status).unwrap();
    let mut lines = status.lines();
    let line = lines.find(|line| line.starts_with(what)).unwrap();
    let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// Row 1.
#[cfg(target_os = "linux")]
#[test]
fn a_request_takes_the_memory_of_its_values() {
    let (_project, server) = served(&[]);
    // With the digits that Python writes of a pixel over 255.
    let row = format!("[{}]", vec!["[0.00392156862745098]"; 28].join(","));
    let row = format!("[{}]", vec![row.as_str(); 28].join(","));
    let n_rows = (15 << 20) / row.len();
    let body = format!(
        "{{\"instances\":[{}]}}",
        vec![row.as_str(); n_rows].join(",")
    );
    // The batches of rows that are computed at a time have their place whatever the request.
    let rows = json!({"instances": images(300)});
    thread::scope(|scope| {
        // Each of the threads has had some.
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(server.post(PREDICT, &rows).0, 200));
        }
    });
    let before = resident(&server, "VmHWM").max(resident(&server, "VmRSS"));
    let (status, answer) = server.post_text(PREDICT, &body);
    assert_eq!(status, 200, "{answer}");
    let tensor = n_rows as u64 * 784 * 4;
    let took = resident(&server, "VmHWM") - before;
    assert!(took <= 3 * tensor, "{took} bytes for {tensor}");
}

/// Row 13: what is read is what is computed with. The limit is for the weights; a server without any takes some MB.
#[cfg(target_os = "linux")]
#[test]
fn a_model_is_in_memory_once_from_the_start() {
    let project = Project::new();
    project.edit("units = 128", "units = 2400");
    project.edit("max_train_rows = 4000", "max_train_rows = 128");
    project.run("train", &[], 0);
    let folder = project.path("trainyard-out/model");
    let weights = folder.join("weights.safetensors").metadata().unwrap().len();
    assert!(weights > 52_000_000, "{weights}");
    let server = Server::start(&folder);
    let peak = resident(&server, "VmHWM");
    let limit = weights * 13 / 10 + (8 << 20);
    assert!(peak < limit, "{peak} of {limit}");
}

/// Row 3.
#[test]
fn health_is_answered_beside_a_large_request() {
    let (_project, server) = served(&[]);
    let mut rows = String::new();
    for row in 0..2_000 {
        let _ = write!(
            rows,
            "{}[{}]",
            if row == 0 { "" } else { "," },
            vec!["1"; 784].join(",")
        );
    }
    let body = format!(
        "{{\"inputs\":[{{\"name\":\"input\",\"shape\":[2000,28,28,1],\"datatype\":\"FP32\",\"data\":[{}]}}]}}",
        rows.replace(['[', ']'], "")
    );
    thread::scope(|scope| {
        let clients = [(); 4].map(|()| scope.spawn(|| server.post_text(INFER, &body).0));
        let mut n_answered = 0;
        while !clients.iter().all(thread::ScopedJoinHandle::is_finished) {
            assert_eq!(server.get("/v2/health/live").0, 200);
            n_answered += 1;
        }
        for client in clients {
            assert_eq!(client.join().unwrap(), 200);
        }
        assert!(
            n_answered > 4,
            "{n_answered} health checks beside 4 requests"
        );
    });
}

/// A connection with a request whose body does not come.
fn half_sent(server: &Server, n_bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(&server.address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    let head = format!("POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: {n_bytes}\r\n\r\n{{");
    stream.write_all(head.as_bytes()).unwrap();
    stream
}

/// Row 6.
#[test]
fn slow_clients_give_way_and_are_cut() {
    let options = ["--max-connections", "8", "--body-idle-timeout", "2"];
    let (_project, server) = served(&options);
    let mut slow: Vec<TcpStream> = (0..24).map(|_| half_sent(&server, 100)).collect();
    assert_eq!(server.get("/v2/health/ready").0, 200);
    let rows = json!({"instances": images(1)});
    assert_eq!(server.post(PREDICT, &rows).0, 200);
    // The last one was not in anybody's way: its time is over after a while.
    let answer = Answer::read(slow.last_mut().unwrap()).unwrap();
    assert_eq!(answer.status, 408);
}

/// Row 2: what cannot be served in time is told so.
#[test]
fn a_request_without_room_is_told_to_come_back() {
    let options = [
        "--max-body-mib",
        "8",
        "--max-request-mib",
        "1",
        "--queue-timeout",
        "1",
    ];
    let (_project, server) = served(&options);
    let rows = json!({"instances": images(1)}).to_string();
    // Takes all the room, and keeps it.
    let held = half_sent(&server, 4 << 20);
    thread::sleep(Duration::from_millis(200));
    let answer = exchange(&server.address, "POST", PREDICT, &[], rows.as_bytes()).unwrap();
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("1"))
    );
    drop(held);
    let answer = exchange(&server.address, "POST", PREDICT, &[], rows.as_bytes()).unwrap();
    assert_eq!(answer.status, 200);
}

/// Row 15.
#[test]
fn a_body_that_is_too_large_hears_it_though_all_of_it_is_sent() {
    let (_project, server) = served(&["--max-body-mib", "1"]);
    let answer = exchange(&server.address, "POST", PREDICT, &[], &vec![b' '; 50 << 20]).unwrap();
    assert_eq!(answer.status, 413);
    assert!(answer.json()["error"].as_str().unwrap().contains("1 MiB"));
}

fn terminate(server: &Server) {
    run(Command::new("kill").arg(server.process.id().to_string()));
}

/// Row 8: under load all that was accepted is answered, and the server is not ready first.
#[cfg(unix)]
#[test]
fn sigterm_loses_no_request() {
    let (_project, mut server) = served(&[]);
    let body = json!({"instances": images(4)}).to_string();
    let statuses = thread::scope(|scope| {
        let client = || {
            let mut statuses = Vec::new();
            // Until the port is closed.
            while let Ok(mut stream) = TcpStream::connect(&server.address) {
                let head = format!(
                    "POST {PREDICT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(body.as_bytes());
                statuses.push(Answer::read(&mut stream).map_or(0, |answer| answer.status));
            }
            statuses
        };
        let clients = [(); 8].map(|()| scope.spawn(client));
        thread::sleep(Duration::from_millis(300));
        assert_eq!(server.get("/v2/health/ready").0, 200);
        terminate(&server);
        thread::sleep(Duration::from_millis(200));
        let answer = exchange(&server.address, "GET", "/v2/health/ready", &[], b"").unwrap();
        assert_eq!(
            (answer.status, answer.header("connection")),
            (503, Some("close"))
        );
        clients.map(|client| client.join().unwrap()).concat()
    });
    assert!(server.process.wait().unwrap().success());
    assert!(statuses.len() > 16, "{}", statuses.len());
    assert_eq!(
        statuses.iter().filter(|status| **status != 200).count(),
        0,
        "{statuses:?}"
    );
}

/// Row 7.
#[cfg(unix)]
#[test]
fn half_a_request_does_not_keep_the_server_from_ending() {
    let (project, mut server) = served(&["--drain-timeout", "1"]);
    let _half = half_sent(&server, 100);
    terminate(&server);
    assert!(server.process.wait().unwrap().success());
    // The second signal ends it at once, whatever the deadline.
    let mut server = Server::start_with(
        &project.path("trainyard-out/model"),
        &["--drain-timeout", "3600", "--body-idle-timeout", "3600"],
    );
    let _half = half_sent(&server, 100);
    thread::sleep(Duration::from_millis(100));
    terminate(&server);
    thread::sleep(Duration::from_millis(1500));
    assert!(server.process.try_wait().unwrap().is_none());
    terminate(&server);
    assert!(server.process.wait().unwrap().success());
}

/// Row 16: container platforms set the variable whether it has a value or not.
#[test]
fn an_empty_port_is_the_default() {
    let folder = tempfile::tempdir().unwrap();
    let mut probe = stage("serve");
    probe.env("PORT", "").arg("--probe");
    // Whatever is at that port, the variable is not a usage error.
    assert_ne!(probe.output().unwrap().status.code(), Some(2));
    let mut serve = stage("serve");
    serve.env("PORT", "http").arg("--model").arg(folder.path());
    crate::project::Said::of(&mut serve, 2).has_error("the variable PORT is `http`");
}
