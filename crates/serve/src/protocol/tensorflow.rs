//! TensorFlow Serving's REST API: model status, metadata and predict.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use trainyard_core::model::TensorSpec;

use super::{VERSION, n_rows, parse};
use crate::answer::{Json, Refusal};
use crate::model::Model;
use crate::tensor::Nested;

const SIGNATURE: &str = "serving_default";

#[derive(Deserialize)]
struct Request {
    signature_name: Option<String>,
    instances: Option<Value>,
    inputs: Option<Value>,
}

/// `predictions` or `outputs`, and the scores of each row.
pub(crate) type Prediction = BTreeMap<&'static str, Vec<Vec<f32>>>;

/// `GET /v1/models/NAME`.
pub(crate) fn status() -> Json<Value> {
    Json(json!({"model_version_status": [{
        "version": VERSION,
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }]}))
}

/// `GET /v1/models/NAME/metadata`.
pub(crate) fn metadata(model: &Model) -> Json<Value> {
    let manifest = model.manifest();
    let tensor = |spec: &TensorSpec| {
        let axis = |size: String| json!({"size": size, "name": ""});
        let row = spec.shape.iter().map(usize::to_string);
        let dim: Vec<Value> = ["-1".to_owned()].into_iter().chain(row).map(axis).collect();
        let info = json!({
            "dtype": "DT_FLOAT",
            "tensor_shape": {"dim": dim, "unknown_rank": false},
            "name": spec.name,
        });
        Map::from_iter([(spec.name.clone(), info)])
    };
    Json(json!({
        "model_spec": {"name": manifest.name, "signature_name": "", "version": VERSION},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: {
            "inputs": tensor(&manifest.input),
            "outputs": tensor(&manifest.output),
            "method_name": "tensorflow/serving/predict",
        }}}},
    }))
}

/// `POST /v1/models/NAME:predict`.
pub(crate) async fn predict(model: &Model, body: &[u8]) -> Result<Json<Prediction>, Refusal> {
    let Request {
        signature_name,
        instances,
        inputs,
    } = parse(body)?;
    if let Some(name) = signature_name.filter(|name| !name.is_empty() && name != SIGNATURE) {
        return Err(Refusal::bad_request(format!(
            "there is no signature `{name}`; this model has `{SIGNATURE}`"
        )));
    }
    let spec = &model.manifest().input;
    let (tensor, key) = match (instances, inputs) {
        (Some(Value::Array(rows)), None) => {
            let rows = rows.into_iter().map(|row| unnamed(row, spec));
            (Value::Array(rows.collect::<Result<_, _>>()?), "predictions")
        }
        (Some(_), None) => return Err(Refusal::bad_request("`instances` must be a list of rows")),
        (None, Some(tensor)) => (unnamed(tensor, spec)?, "outputs"),
        _ => {
            return Err(Refusal::bad_request(
                "give exactly one of `instances` and `inputs`",
            ));
        }
    };
    let tensor = Nested::parse(&tensor)
        .map_err(|problem| Refusal::bad_request(format!("`{}`: {problem}", spec.name)))?;
    let n_rows = n_rows(&tensor.shape, spec)?;
    let scores = model.score(tensor.values, n_rows).await?;
    let n_outputs = model.manifest().output.n_elements().max(1);
    let rows = scores
        .chunks_exact(n_outputs)
        .map(<[f32]>::to_vec)
        .collect();
    // Not by way of `Value`, which would spell each number with the digits of 64 bits.
    Ok(Json(BTreeMap::from([(key, rows)])))
}

/// The tensor of `{"input": …}`, or the value itself where it has no name.
fn unnamed(value: Value, spec: &TensorSpec) -> Result<Value, Refusal> {
    let Value::Object(mut named) = value else {
        return Ok(value);
    };
    match named.remove(&spec.name) {
        Some(tensor) if named.is_empty() => Ok(tensor),
        _ => Err(Refusal::bad_request(format!(
            "this model takes one tensor, `{}`",
            spec.name
        ))),
    }
}
