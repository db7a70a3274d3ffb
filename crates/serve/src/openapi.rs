//! `GET /openapi.json`: every route as OpenAPI 3.1 describes it, with the names and shapes of the models that are served.
//!
//! Paths name the model, so that a client made from the document calls what is there. A request's schema is as strict as the server
//! where JSON Schema can say it; that a tensor has as many values as its shape announces it cannot.

use serde_json::{Map, Value, json};
use trainyard_core::model::{ModelManifest, TensorSpec};

use crate::answer::Json;
use crate::model::Model;
use crate::protocol::{CLASS_OUTPUT, tensorflow};
use crate::repository::{Repository, STABLE};

/// The document for all models, of whose requests a body has at most `max_body_bytes`.
pub(crate) fn document(repository: &Repository, max_body_bytes: usize) -> Json<Value> {
    let mut paths = of_server();
    for name in repository.names() {
        let versions = repository.versions(name);
        let numbers: Vec<&str> = versions.iter().map(|model| model.version()).collect();
        for model in &versions {
            let of_version = format!("/versions/{}", model.version());
            paths.extend(open_inference(model, &of_version, &numbers));
            paths.extend(tensorflow(model, &of_version, &[model.version()]));
        }
        if let Ok(latest) = repository.find(name, None, None) {
            paths.extend(open_inference(latest, "", &numbers));
            paths.extend(tensorflow(latest, "", &numbers));
        }
        if let Ok(stable) = repository.find(name, None, Some(STABLE)) {
            let of_label = format!("/labels/{STABLE}");
            paths.extend(tensorflow(stable, &of_label, &[stable.version()]));
        }
    }
    Json(json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("trainyard-serve: {}", repository.names().collect::<Vec<_>>().join(", ")),
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!(
                "The Open Inference Protocol v2 and TensorFlow Serving's predict API. A body has at most {max_body_bytes} bytes, as sent \
                 or inflated; it may come in gzip, deflate or zstd (`Content-Encoding`)."
            ),
        },
        "paths": paths,
        "components": {
            "schemas": {"Error": object(&[("error", json!({"type": "string"}))])},
            "responses": refusals(),
        },
    }))
}

/// An object that has all of these, and may have more.
fn object(properties: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<String, Value> = (properties.iter())
        .map(|(name, schema)| ((*name).to_owned(), schema.clone()))
        .collect();
    json!({"type": "object", "required": names, "properties": properties})
}

/// What a request may be refused by, by the name of its response.
const REFUSALS: [(&str, &str); 6] = [
    (
        "400",
        "The request is not valid; the error says what to change.",
    ),
    ("408", "The body did not come in time."),
    ("413", "The body is too large, as sent or inflated."),
    ("415", "The encoding of the body is not known."),
    ("429", "Too many requests wait already."),
    ("503", "The server was busy for too long."),
];

fn refusals() -> Value {
    let of = |(status, description): &(&str, &str)| {
        let mut response = json!({
            "description": description,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
        });
        if ["429", "503"].contains(status) {
            response["headers"] = json!({
                "Retry-After": {"description": "Seconds after which another try may help.", "schema": {"type": "integer"}},
            });
        }
        (format!("Refused{status}"), response)
    };
    REFUSALS.iter().map(of).collect::<Map<_, _>>().into()
}

/// A `GET` that is answered by an object of this schema.
fn get(summary: &str, schema: &Value) -> Value {
    json!({"get": {
        "summary": summary,
        "responses": {"200": json_response(schema)},
    }})
}

/// A `GET` that is answered by a list of objects.
fn get_list(summary: &str) -> Value {
    get(
        summary,
        &json!({"type": "array", "items": {"type": "object"}}),
    )
}

fn json_response(schema: &Value) -> Value {
    json!({"description": "The answer.", "content": {"application/json": {"schema": schema}}})
}

/// A `POST` that computes.
fn post(summary: &str, request: &Value, response: &Value) -> Value {
    let mut responses = Map::from_iter([("200".to_owned(), json_response(response))]);
    for (status, _) in REFUSALS {
        let reference = json!({"$ref": format!("#/components/responses/Refused{status}")});
        responses.insert(status.to_owned(), reference);
    }
    json!({"post": {
        "summary": summary,
        "requestBody": {"required": true, "content": {"application/json": {"schema": request}}},
        "responses": responses,
    }})
}

fn of_server() -> Map<String, Value> {
    let flag = json!({"type": "boolean"});
    let text = json!({"type": "string"});
    let texts = json!({"type": "array", "items": text});
    let server = object(&[
        ("name", text.clone()),
        ("version", text.clone()),
        ("extensions", texts),
    ]);
    let ready = object(&[("ready", flag.clone())]);
    let mut ready = get("Whether requests are taken", &ready);
    ready["get"]["responses"]["503"] =
        json_response(&object(&[("ready", json!({"const": false}))]));
    let page = json!({"get": {
        "summary": "Metrics for Prometheus",
        "responses": {"200": {
            "description": "The text format, version 0.0.4.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }},
    }});
    let index = object(&[
        ("name", text.clone()),
        ("version", text.clone()),
        ("state", json!({"enum": ["READY", "UNAVAILABLE"]})),
    ]);
    let index = json!({"post": {
        "summary": "The models that are served",
        "responses": {"200": json_response(&json!({"type": "array", "items": index}))},
    }});
    Map::from_iter(
        [
            (
                "/models.json",
                get_list("The models, as the page for browsers at `/` shows them"),
            ),
            (
                "/",
                get(
                    "Whether the server is there, as KServe's clients ask; a page for browsers",
                    &object(&[("status", json!({"const": "alive"}))]),
                ),
            ),
            (
                "/openapi.json",
                get(
                    "This document",
                    &object(&[("openapi", text), ("paths", json!({"type": "object"}))]),
                ),
            ),
            ("/metrics", page),
            (
                "/v2",
                get("Name, version and extensions of the server", &server),
            ),
            (
                "/v2/health/live",
                get("Whether the server runs", &object(&[("live", flag)])),
            ),
            ("/v2/health/ready", ready),
            (
                "/v2/models/stats",
                get("Counts and times of requests", &statistics()),
            ),
            ("/v2/repository/index", index),
            (
                "/v1/models",
                get(
                    "The names of the models",
                    &object(&[(
                        "models",
                        json!({"type": "array", "items": {"type": "string"}}),
                    )]),
                ),
            ),
        ]
        .map(|(path, operations)| (path.to_owned(), operations)),
    )
}

fn statistics() -> Value {
    let count = json!({"type": "integer", "minimum": 0});
    let of_model = object(&[
        ("name", json!({"type": "string"})),
        ("version", json!({"type": "string"})),
        ("last_inference", count.clone()),
        ("inference_count", count.clone()),
        ("execution_count", count),
        ("inference_stats", json!({"type": "object"})),
        ("batch_stats", json!({"type": "array"})),
    ]);
    object(&[("model_stats", json!({"type": "array", "items": of_model}))])
}

/// The routes of the Open Inference Protocol that name the model, and behind it what `part` says; of the model these versions are served.
fn open_inference(model: &Model, part: &str, versions: &[&str]) -> Map<String, Value> {
    let (manifest, name) = (model.manifest(), model.name());
    let name_schema = json!({"const": name});
    let tensor = object(&[
        ("name", json!({"type": "string"})),
        ("datatype", json!({"type": "string"})),
        (
            "shape",
            json!({"type": "array", "items": {"type": "integer"}}),
        ),
    ]);
    let tensors = json!({"type": "array", "minItems": 1, "items": tensor});
    let metadata = object(&[
        ("name", name_schema.clone()),
        ("versions", json!({"const": versions})),
        ("platform", json!({"type": "string"})),
        ("inputs", tensors.clone()),
        ("outputs", tensors),
    ]);
    let list = json!({"type": "array", "minItems": 1});
    let config = object(&[
        ("name", name_schema.clone()),
        ("max_batch_size", json!({"type": "integer"})),
        ("input", list.clone()),
        ("output", list),
    ]);
    let ready = object(&[("name", name_schema), ("ready", json!({"type": "boolean"}))]);
    let mut infer = post(
        "Scores of rows, or with the output `class` the names of classes. Behind `Inference-Header-Content-Length` bytes of JSON \
         values may come as binary data.",
        &infer_request(manifest),
        &infer_response(model),
    );
    // Where binary data are asked for.
    infer["post"]["responses"]["200"]["content"]["application/octet-stream"] = json!({});
    let base = format!("/v2/models/{name}{part}");
    Map::from_iter([
        (
            base.clone(),
            get("Inputs and outputs of the model", &metadata),
        ),
        (
            format!("{base}/ready"),
            get("Whether the model answers", &ready),
        ),
        (
            format!("{base}/config"),
            get("The model's configuration in Triton's words", &config),
        ),
        (
            format!("{base}/stats"),
            get("Counts and times of requests", &statistics()),
        ),
        (format!("{base}/infer"), infer),
    ])
}

/// Types of values in JSON: name, least and greatest value; `None` where they are fractions.
const INTEGERS: [(&str, i64, i64); 6] = [
    ("UINT8", 0, u8::MAX as i64),
    ("UINT16", 0, u16::MAX as i64),
    ("UINT32", 0, u32::MAX as i64),
    ("INT8", i8::MIN as i64, i8::MAX as i64),
    ("INT16", i16::MIN as i64, i16::MAX as i64),
    ("INT32", i32::MIN as i64, i32::MAX as i64),
];

/// A number that fits into 32 bits.
fn number() -> Value {
    json!({"type": "number", "minimum": f64::from(f32::MIN), "maximum": f64::from(f32::MAX)})
}

/// Lists of `value`, nested as `shape` says.
fn nested(shape: &[usize], value: Value) -> Value {
    shape.iter().rev().fold(
        value,
        |items, &axis| json!({"type": "array", "items": items, "minItems": axis, "maxItems": axis}),
    )
}

/// Rows of this shape, at least one.
fn rows(spec: &TensorSpec, value: Value) -> Value {
    json!({"type": "array", "items": nested(&spec.shape, value), "minItems": 1})
}

fn infer_request(manifest: &ModelManifest) -> Value {
    let spec = &manifest.input;
    let of_type = |names: &[&str], value: Value| {
        // Flat, as the protocol prefers it, or nested.
        let n_values = spec.shape.iter().product::<usize>();
        let flat = json!({"type": "array", "items": value.clone(), "minItems": n_values});
        json!({"properties": {"datatype": {"enum": names}, "data": {"anyOf": [flat, rows(spec, value)]}}})
    };
    let integer =
        |least, greatest| json!({"type": "integer", "minimum": least, "maximum": greatest});
    let mut types = vec![
        of_type(&["FP32", "FP64"], number()),
        of_type(&["BOOL"], json!({"type": "boolean"})),
        of_type(&["INT64"], integer(i64::MIN, i64::MAX)),
        of_type(
            &["UINT64"],
            json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
        ),
    ];
    types
        .extend(INTEGERS.map(|(name, least, greatest)| of_type(&[name], integer(least, greatest))));
    let batch = json!({"type": "integer", "minimum": 1});
    let axes = spec.shape.iter().map(|axis| json!({"const": axis}));
    let axes: Vec<Value> = [batch].into_iter().chain(axes).collect();
    let shape = json!({"type": "array", "prefixItems": axes, "minItems": axes.len(), "maxItems": axes.len()});
    let mut input = object(&[
        ("name", json!({"const": spec.name})),
        ("shape", shape),
        ("datatype", json!({"type": "string"})),
        ("data", json!({"type": "array"})),
    ]);
    input["anyOf"] = types.into();
    let mut names = vec![manifest.output.name.as_str()];
    if manifest.class_names.is_some() {
        names.push(CLASS_OUTPUT);
    }
    let mut output = object(&[("name", json!({"enum": names}))]);
    output["properties"]["parameters"] = json!({
        "type": "object",
        "properties": {"binary_data": {"type": "boolean"}},
    });
    let mut request = object(&[(
        "inputs",
        json!({"type": "array", "items": input, "minItems": 1, "maxItems": 1}),
    )]);
    request["properties"]["id"] = json!({"type": ["string", "null"]});
    request["properties"]["parameters"] = json!({
        "type": "object",
        "properties": {"binary_data_output": {"type": "boolean"}},
    });
    request["properties"]["outputs"] = json!({"type": "array", "items": output});
    request
}

fn infer_response(model: &Model) -> Value {
    let output = object(&[
        ("name", json!({"type": "string"})),
        (
            "shape",
            json!({"type": "array", "items": {"type": "integer", "minimum": 0}}),
        ),
        ("datatype", json!({"enum": ["FP32", "BYTES"]})),
    ]);
    object(&[
        ("model_name", json!({"const": model.name()})),
        ("model_version", json!({"const": model.version()})),
        (
            "outputs",
            json!({"type": "array", "items": output, "minItems": 1}),
        ),
    ])
}

/// The routes of TensorFlow Serving that name the model, and behind it what `part` says, which stands for these versions.
fn tensorflow(model: &Model, part: &str, versions: &[&str]) -> Map<String, Value> {
    let (manifest, name) = (model.manifest(), model.name());
    let version = object(&[
        ("version", json!({"enum": versions})),
        ("state", json!({"type": "string"})),
    ]);
    let status = object(&[
        (
            "model_version_status",
            json!({"type": "array", "items": version, "minItems": 1}),
        ),
        ("name", json!({"const": name})),
        ("ready", json!({"type": "boolean"})),
    ]);
    let metadata = object(&[
        ("model_spec", json!({"type": "object"})),
        ("metadata", json!({"type": "object"})),
    ]);
    let predict = post(
        "Scores of rows",
        &predict_request(&manifest.input),
        &predict_response(manifest),
    );
    let base = format!("/v1/models/{name}{part}");
    Map::from_iter([
        (base.clone(), get("The state of the model", &status)),
        (
            format!("{base}/metadata"),
            get("The signature of the model", &metadata),
        ),
        (format!("{base}:predict"), predict),
    ])
}

fn predict_request(spec: &TensorSpec) -> Value {
    let row = nested(&spec.shape, number());
    let named = |tensor: &Value| {
        json!({
            "type": "object",
            "required": [spec.name],
            "properties": {spec.name.clone(): tensor},
            "additionalProperties": false,
        })
    };
    let instances = json!({"type": "array", "items": {"anyOf": [row, named(&row)]}, "minItems": 1});
    let columns = rows(spec, number());
    let columns = json!({"anyOf": [columns, named(&columns)]});
    let signature = json!({"enum": [tensorflow::SIGNATURE, "", null]});
    let either = |key: &str, schema: &Value| {
        json!({
            "type": "object",
            "required": [key],
            "properties": {key: schema, "signature_name": signature},
            // Other fields are ignored. A list in one is read all the same, as numbers.
            "additionalProperties": {"type": ["string", "boolean", "null"]},
        })
    };
    json!({"anyOf": [either("instances", &instances), either("inputs", &columns)]})
}

fn predict_response(manifest: &ModelManifest) -> Value {
    // A score may overflow to what JSON has no number for.
    let scores = nested(
        &[manifest.output.n_elements()],
        json!({"type": ["number", "null"]}),
    );
    let scores = json!({"type": "array", "items": scores, "minItems": 1});
    let key = |name: &str| object(&[(name, scores.clone())]);
    json!({"anyOf": [key("predictions"), key("outputs")]})
}
