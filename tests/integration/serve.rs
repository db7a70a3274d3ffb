//! The server's protocols, to the letter of the Open Inference Protocol v2 and TensorFlow Serving's REST API.

use std::process::Command;

use serde_json::{Value, json};
use trainyard_core::config::Config;
use trainyard_ml::data::{Folders, Split};

use crate::http::{Server, exchange, request};
use crate::project::Project;
use crate::support::{repository, run};

/// The first `n` test images as nested lists `[n, 28, 28, 1]`, raw.
pub(crate) fn images(n: usize) -> Value {
    let example = repository().join("examples/mnist");
    let config = Config::read(&example.join("trainyard.toml")).unwrap();
    let folders = Folders {
        base: &example,
        downloads: &example,
    };
    let dataset = trainyard_ml::data::load(&config, folders, Split::Test, None).unwrap();
    let mut pixels = vec![0.0; n * 784];
    dataset
        .gather(&(0..n as u32).collect::<Vec<_>>(), &mut pixels)
        .unwrap();
    let rows = pixels.as_chunks::<784>().0.iter().map(|image| {
        let lines = image.as_chunks::<28>().0.iter();
        lines
            .map(|line| line.iter().map(|pixel| vec![*pixel]).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    });
    json!(rows.collect::<Vec<_>>())
}

fn flat(value: &Value, into: &mut Vec<f64>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flat(item, into)),
        other => into.push(other.as_f64().unwrap()),
    }
}

fn served() -> (Project, Server) {
    let project = Project::new();
    project.run("train", &[], 0);
    let server = Server::start(&project.path("trainyard-out/model"));
    (project, server)
}

#[test]
fn health_and_metadata_are_as_the_protocols_say() {
    let (_project, server) = served();
    assert_eq!(server.get("/v2/health/live"), (200, json!({"live": true})));
    assert_eq!(
        server.get("/v2/health/ready"),
        (200, json!({"ready": true}))
    );
    assert_eq!(server.get("/v2").1["name"], "trainyard-serve");
    let (status, model) = server.get("/v2/models/mnist");
    assert_eq!(status, 200);
    assert_eq!(model["inputs"][0]["shape"], json!([-1, 28, 28, 1]));
    assert_eq!(model["outputs"][0]["shape"], json!([-1, 10]));
    assert_eq!(server.get("/v2/models/mnist/versions/1").1, model);
    let ready = (200, json!({"name": "mnist", "ready": true}));
    assert_eq!(server.get("/v2/models/mnist/ready"), ready);
    let state = server.get("/v1/models/mnist").1;
    assert_eq!(state["model_version_status"][0]["state"], "AVAILABLE");
    let metadata = server.get("/v1/models/mnist/metadata").1;
    let signature = &metadata["metadata"]["signature_def"]["signature_def"]["serving_default"];
    let axes = signature["inputs"]["input"]["tensor_shape"]["dim"]
        .as_array()
        .unwrap();
    assert_eq!(axes.len(), 4);
}

#[test]
fn all_forms_of_a_request_give_the_same_scores() {
    let (_project, server) = served();
    let rows = images(3);
    let mut values = Vec::new();
    flat(&rows, &mut values);
    let infer = |datatype: &str, data: &Value| {
        let input =
            json!({"name": "input", "shape": [3, 28, 28, 1], "datatype": datatype, "data": data});
        let (status, answer) = server.post(
            "/v2/models/mnist/infer",
            &json!({"id": "42", "inputs": [input]}),
        );
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let answer = infer("FP32", &rows);
    assert_eq!(answer["model_name"], "mnist");
    assert_eq!(answer["id"], "42");
    assert_eq!(answer["outputs"][0]["shape"], json!([3, 10]));
    let scores = answer["outputs"][0]["data"].as_array().unwrap();
    let sum: f64 = scores[..10]
        .iter()
        .map(|score| score.as_f64().unwrap())
        .sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    assert_eq!(infer("UINT8", &json!(values)), answer);

    let predict = |body: Value| server.post("/v1/models/mnist:predict", &body);
    let (status, predictions) = predict(json!({"instances": rows}));
    assert_eq!(status, 200, "{predictions}");
    let nested: Vec<&Value> = predictions["predictions"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .collect();
    assert_eq!(nested, scores.iter().collect::<Vec<_>>());
    let columns =
        predict(json!({"inputs": {"input": rows}, "signature_name": "serving_default"})).1;
    assert_eq!(columns["outputs"], predictions["predictions"]);
    let path = "/v1/models/mnist/versions/1:predict";
    assert_eq!(
        server.post(path, &json!({"instances": rows})).1,
        predictions
    );

    let input = json!({"name": "input", "shape": [3, 28, 28, 1], "datatype": "FP32", "data": rows});
    let asked = json!({"inputs": [input], "outputs": [{"name": "class"}]});
    let classes = server.post("/v2/models/mnist/infer", &asked).1;
    assert_eq!(classes["outputs"][0]["datatype"], "BYTES");
    // The labels of MNIST's first test images, which even this short training gets right.
    assert_eq!(classes["outputs"][0]["data"], json!(["7", "2", "1"]));
}

#[test]
fn wrong_requests_get_a_reason_and_the_server_goes_on() {
    let (_project, server) = served();
    let input = |shape: Value, datatype: &str, data: Value| {
        json!({"inputs": [{"name": "input", "shape": shape, "datatype": datatype, "data": data}]})
            .to_string()
    };
    let infer = "/v2/models/mnist/infer";
    let predict = "/v1/models/mnist:predict";
    let cases = [
        (infer, "{".to_owned(), 400, "the request is not valid"),
        (infer, "{}".to_owned(), 400, "missing field `inputs`"),
        (infer, "[]".to_owned(), 400, "the request is not valid"),
        (
            infer,
            r#"{"inputs": []}"#.to_owned(),
            400,
            "there are 0 inputs",
        ),
        (
            infer,
            input(json!([1, 28, 28]), "FP32", json!([1])),
            400,
            "this model takes [n, 28, 28, 1]",
        ),
        (
            infer,
            input(json!([0, 28, 28, 1]), "FP32", json!([])),
            400,
            "this model takes [n, 28, 28, 1]",
        ),
        (
            infer,
            input(json!([1, 28, 28, 1]), "FP32", json!([1])),
            400,
            "its data has the shape [1]",
        ),
        (
            infer,
            input(json!([1, 28, 28, 1]), "BYTES", json!(["a"])),
            400,
            "send FP32",
        ),
        (
            infer,
            input(json!([1, 28, 28, 1]), "FP32", json!(["a"])),
            400,
            "a text is not a number",
        ),
        (
            infer,
            input(json!([4_294_967_295_u64, 28, 28, 1]), "FP32", json!([1])),
            400,
            "its data has the shape",
        ),
        (
            predict,
            "{}".to_owned(),
            400,
            "exactly one of `instances` and `inputs`",
        ),
        (
            predict,
            r#"{"instances": [[1]]}"#.to_owned(),
            400,
            "has the shape [1, 1]",
        ),
        (
            predict,
            r#"{"instances": []}"#.to_owned(),
            400,
            "has the shape [0]",
        ),
        (
            predict,
            r#"{"instances": [[[1]], [1]]}"#.to_owned(),
            400,
            "stands where a list belongs",
        ),
        (
            predict,
            r#"{"instances": 1}"#.to_owned(),
            400,
            "must be a list of rows",
        ),
        (
            predict,
            r#"{"instances": [1], "signature_name": "x"}"#.to_owned(),
            400,
            "no signature `x`",
        ),
        (
            "/v1/models/mnist:classify",
            "{}".to_owned(),
            400,
            "answers `predict`",
        ),
        (
            "/v1/models/half:predict",
            "{}".to_owned(),
            404,
            "Servable not found for request: Latest(half)",
        ),
        (
            "/v2/models/half/infer",
            "{}".to_owned(),
            404,
            "there is `mnist`",
        ),
        (
            "/v2/models/mnist/versions/2/infer",
            "{}".to_owned(),
            404,
            "there is no version `2`",
        ),
        (
            "/v2/systemsharedmemory/region/a/register",
            "{}".to_owned(),
            404,
            "there is nothing at",
        ),
        (
            "/v2/health/live",
            "{}".to_owned(),
            405,
            "does not take POST",
        ),
        (infer, " ".repeat(2 << 20), 413, ""),
    ];
    for (path, body, expected, reason) in cases {
        let (status, answer) = server.post_text(path, &body);
        let start: String = body.chars().take(80).collect();
        assert_eq!(status, expected, "{path} {start}: {answer}");
        // A body that is too large may be cut off together with its answer's text.
        if expected != 413 {
            let message = answer["error"].as_str().unwrap_or_default();
            assert!(message.contains(reason), "{path} {start}: {message}");
        }
    }
    assert_eq!(server.get("/v2/health/ready").0, 200);
}

#[test]
fn every_path_of_the_description_is_served() {
    let (_project, server) = served();
    let (status, document) = server.get("/openapi.json");
    assert_eq!((status, &document["openapi"]), (200, &json!("3.1.0")));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 25, "{}", paths.len());
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let (status, answer) = request(&server.address, &method, path, b"").unwrap();
            assert!(
                ![404, 405].contains(&status),
                "{method} {path}: {status} {answer}"
            );
        }
    }
    // A call and what is asked by GET share a route, and each says what it takes.
    for (method, path, allowed) in [
        ("POST", "/v1/models/mnist", "GET,HEAD"),
        ("GET", "/v1/models/mnist:predict", "POST"),
        ("OPTIONS", "/v1/models/mnist:predict", "POST"),
    ] {
        let answer = exchange(&server.address, method, path, &[], b"").unwrap();
        assert_eq!(
            (answer.status, answer.header("allow")),
            (405, Some(allowed)),
            "{method} {path}"
        );
    }
}

#[cfg(unix)]
#[test]
fn sigterm_ends_the_server_with_success() {
    let (_project, mut server) = served();
    run(Command::new("kill").arg(server.process.id().to_string()));
    assert!(server.process.wait().unwrap().success());
}

#[test]
fn what_is_no_model_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = crate::support::stage("serve");
    serve.arg("--model").arg(folder.path());
    crate::project::Said::of(&mut serve, 4).has_error("cannot serve the model in");
}
