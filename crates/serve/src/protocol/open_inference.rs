//! Open Inference Protocol v2 over REST, in JSON.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{CLASS_OUTPUT, VERSION, n_rows, parse};
use crate::answer::{Json, Refusal};
use crate::model::Model;
use crate::tensor::Nested;

/// Element types whose JSON form is a number that the model can take.
const NUMERIC: [&str; 10] = [
    "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64",
];

#[derive(Deserialize)]
struct Request {
    id: Option<String>,
    inputs: Vec<Input>,
    #[serde(default)]
    outputs: Vec<RequestedOutput>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    data: Value,
}

#[derive(Deserialize)]
struct RequestedOutput {
    name: String,
}

/// The answer to `infer`.
#[derive(Debug, Serialize)]
pub(crate) struct Response {
    model_name: String,
    model_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    outputs: Vec<Output>,
}

#[derive(Debug, Serialize)]
struct Output {
    name: String,
    shape: Vec<usize>,
    datatype: &'static str,
    data: Data,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Data {
    Numbers(Vec<f32>),
    Texts(Vec<String>),
}

/// `GET /v2`.
pub(crate) fn server_metadata() -> Json<Value> {
    let version = env!("CARGO_PKG_VERSION");
    Json(json!({"name": "trainyard-serve", "version": version, "extensions": []}))
}

/// `GET /v2/models/NAME`.
pub(crate) fn model_metadata(model: &Model) -> Json<Value> {
    let manifest = model.manifest();
    let with_batch = |row: &[usize]| {
        let row = row.iter().map(|&axis| axis as i64);
        [-1].into_iter().chain(row).collect::<Vec<_>>()
    };
    let (input, output) = (&manifest.input, &manifest.output);
    let mut outputs = vec![json!({
        "name": output.name, "datatype": output.datatype, "shape": with_batch(&output.shape),
    })];
    if manifest.class_names.is_some() {
        outputs.push(json!({"name": CLASS_OUTPUT, "datatype": "BYTES", "shape": [-1]}));
    }
    Json(json!({
        "name": manifest.name,
        "versions": [VERSION],
        "platform": "trainyard",
        "inputs": [{
            "name": input.name, "datatype": input.datatype, "shape": with_batch(&input.shape),
        }],
        "outputs": outputs,
        "parameters": {"digest": model.digest().as_str()},
    }))
}

/// `POST /v2/models/NAME/infer`.
pub(crate) async fn infer(model: &Model, body: &[u8]) -> Result<Json<Response>, Refusal> {
    let Request {
        id,
        inputs,
        outputs,
    } = parse(body)?;
    let spec = &model.manifest().input;
    let [input] = inputs.as_slice() else {
        return Err(Refusal::bad_request(format!(
            "there are {} inputs, but this model takes one, `{}`",
            inputs.len(),
            spec.name
        )));
    };
    if input.name != spec.name {
        return Err(Refusal::bad_request(format!(
            "there is no input `{}`; this model takes `{}`",
            input.name, spec.name
        )));
    }
    if !NUMERIC.contains(&input.datatype.as_str()) {
        return Err(Refusal::bad_request(format!(
            "`{}` of the type {} cannot be read; send {}",
            spec.name, input.datatype, spec.datatype
        )));
    }
    let n_rows = n_rows(&input.shape, spec)?;
    let data = Nested::parse(&input.data)
        .map_err(|problem| Refusal::bad_request(format!("`{}`: {problem}", spec.name)))?;
    // Values come flat, or nested as the shape says.
    let is_flat = data.shape.len() == 1;
    if data.values.len() != n_rows * spec.n_elements() || !(is_flat || data.shape == input.shape) {
        return Err(Refusal::bad_request(format!(
            "`{}` announces the shape {:?}, but its data has the shape {:?}",
            spec.name, input.shape, data.shape
        )));
    }
    let wanted = wanted_outputs(model, outputs)?;
    let scores = model.score(data.values, n_rows).await?;
    let outputs = wanted
        .into_iter()
        .map(|name| output(model, name, &scores, n_rows))
        .collect();
    Ok(Json(Response {
        model_name: model.name().to_owned(),
        model_version: VERSION,
        id,
        outputs,
    }))
}

/// The outputs asked for; the scores alone where none are.
fn wanted_outputs(model: &Model, asked: Vec<RequestedOutput>) -> Result<Vec<String>, Refusal> {
    let manifest = model.manifest();
    if asked.is_empty() {
        return Ok(vec![manifest.output.name.clone()]);
    }
    let is_known = |name: &str| {
        name == manifest.output.name || (name == CLASS_OUTPUT && manifest.class_names.is_some())
    };
    asked
        .into_iter()
        .map(|output| match is_known(&output.name) {
            true => Ok(output.name),
            false => Err(Refusal::bad_request(format!(
                "there is no output `{}`",
                output.name
            ))),
        })
        .collect()
}

fn output(model: &Model, name: String, scores: &[f32], n_rows: usize) -> Output {
    let is_class = name == CLASS_OUTPUT;
    match is_class.then(|| model.classes(scores)).flatten() {
        Some(classes) => Output {
            name,
            shape: vec![n_rows],
            datatype: "BYTES",
            data: Data::Texts(classes.into_iter().map(str::to_owned).collect()),
        },
        None => Output {
            name,
            shape: [&[n_rows], model.manifest().output.shape.as_slice()].concat(),
            datatype: "FP32",
            data: Data::Numbers(scores.to_vec()),
        },
    }
}
