//! TensorFlow Serving's REST API: model status, metadata and predict; and what KServe's first protocol adds.

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use serde_json::{Map, Value, json};
use trainyard_core::model::TensorSpec;

use super::{n_rows, not_valid};
use crate::answer::{Json, Refusal, echo};
use crate::body::Sink;
use crate::json::{Document, Scanner};
use crate::model::Model;
use crate::repository::Repository;
use crate::tensor::Nested;

/// The one signature of a model.
pub(crate) const SIGNATURE: &str = "serving_default";

/// `GET /v1/models`, KServe's list.
pub(crate) fn list(repository: &Repository) -> Json<Value> {
    Json(json!({"models": repository.names().collect::<Vec<_>>()}))
}

/// `GET /v1/models/NAME`, of these versions of it: TensorFlow Serving's answer and KServe's in one object.
pub(crate) fn status(name: &str, versions: &[&Model]) -> Json<Value> {
    let status = versions.iter().map(|model| {
        json!({
            "version": model.version(),
            "state": "AVAILABLE",
            "status": {"error_code": "OK", "error_message": ""},
        })
    });
    Json(json!({
        "model_version_status": status.collect::<Vec<_>>(),
        "name": name,
        "ready": true,
    }))
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
        "model_spec": {"name": model.name(), "signature_name": "", "version": model.version()},
        "metadata": {"signature_def": {"signature_def": {SIGNATURE: {
            "inputs": tensor(&manifest.input),
            "outputs": tensor(&manifest.output),
            "method_name": "tensorflow/serving/predict",
        }}}},
    }))
}

/// A request of `predict` that is being received.
#[derive(Default)]
pub(crate) struct Prediction(Scanner);

impl Sink for Prediction {
    fn push(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        self.0.push(piece).map_err(not_valid)
    }
}

/// A request that has been received.
pub(crate) struct Rows {
    pub(crate) values: Vec<f32>,
    pub(crate) n_rows: usize,
    /// `predictions` or `outputs`.
    pub(crate) key: &'static str,
}

impl Prediction {
    /// The request, whose end this is.
    pub(crate) fn finish(self, model: &Model) -> Result<Rows, Refusal> {
        let mut document = self.0.finish().map_err(not_valid)?;
        let spec = &model.manifest().input;
        let Value::Object(mut request) = std::mem::take(&mut document.value) else {
            return Err(not_valid("it is not an object"));
        };
        match request.remove("signature_name") {
            None | Some(Value::Null) => {}
            Some(Value::String(name)) if name.is_empty() || name == SIGNATURE => {}
            Some(name) => {
                return Err(Refusal::bad_request(format!(
                    "there is no signature `{}`; this model has `{SIGNATURE}`",
                    echo(name.as_str().unwrap_or("of another type than text"))
                )));
            }
        }
        let (tensor, key) = match (request.remove("instances"), request.remove("inputs")) {
            (Some(instances), None) => (rows(&mut document, instances, spec)?, "predictions"),
            (None, Some(columns)) => (unnamed(&mut document, columns, spec)?, "outputs"),
            _ => {
                return Err(Refusal::bad_request(
                    "give exactly one of `instances` and `inputs`",
                ));
            }
        };
        if tensor.are_booleans {
            return Err(Refusal::bad_request(format!(
                "`{}`: a boolean is not a number",
                spec.name
            )));
        }
        Ok(Rows {
            n_rows: n_rows(&tensor.shape, spec)?,
            values: tensor.values,
            key,
        })
    }
}

/// The rows of `instances`: values, or an object of named values each.
fn rows(document: &mut Document, value: Value, spec: &TensorSpec) -> Result<Nested, Refusal> {
    let Value::Array(rows) = value else {
        return document
            .take(&value)
            .ok_or_else(|| Refusal::bad_request("`instances` must be a list of rows"));
    };
    let mut all: Option<Nested> = None;
    for row in rows {
        let row = unnamed(document, row, spec)?;
        match &mut all {
            None => {
                let shape = [&[1], row.shape.as_slice()].concat();
                all = Some(Nested { shape, ..row });
            }
            Some(all) if all.shape[1..] == row.shape && all.are_booleans == row.are_booleans => {
                all.shape[0] += 1;
                all.values.extend(row.values);
            }
            Some(all) => {
                return Err(Refusal::bad_request(format!(
                    "`{}`: the rows differ in shape: {:?} and {:?}",
                    spec.name,
                    row.shape,
                    &all.shape[1..]
                )));
            }
        }
    }
    // Without a row, a shape that no model takes.
    Ok(all.unwrap_or_else(|| Nested {
        shape: vec![0],
        values: Vec::new(),
        are_booleans: false,
    }))
}

/// The tensor of `{"input": …}`, or the value itself where it has no name.
fn unnamed(document: &mut Document, value: Value, spec: &TensorSpec) -> Result<Nested, Refusal> {
    let value = match value {
        Value::Object(mut named) => match named.remove(&spec.name) {
            Some(tensor) if named.is_empty() => tensor,
            _ if named.contains_key("b64") => {
                return Err(Refusal::bad_request(format!(
                    "`{}` takes numbers, and base64 is of texts: write the values as lists",
                    spec.name
                )));
            }
            _ => {
                return Err(Refusal::bad_request(format!(
                    "this model takes one tensor, `{}`",
                    spec.name
                )));
            }
        },
        other => other,
    };
    if let Value::Number(number) = &value {
        // A row of one value.
        let value = number.as_f64().unwrap_or(f64::NAN) as f32;
        if !value.is_finite() {
            let message = format!("`{}`: {number} does not fit into 32 bits", spec.name);
            return Err(Refusal::bad_request(message));
        }
        return Ok(Nested {
            shape: Vec::new(),
            values: vec![value],
            are_booleans: false,
        });
    }
    document.take(&value).ok_or_else(|| {
        Refusal::bad_request(format!("`{}`: {}", spec.name, Document::refusal(&value)))
    })
}

/// The answer from the scores of each row, under `key`. A row of one score is a number by itself, as TensorFlow Serving has it only for
/// outputs without an axis: here each row stays a list.
pub(crate) struct Predictions<'a> {
    pub(crate) key: &'static str,
    pub(crate) scores: &'a [f32],
    pub(crate) n_outputs: usize,
}

impl Serialize for Predictions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows: Vec<&[f32]> = self.scores.chunks_exact(self.n_outputs.max(1)).collect();
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.key, &rows)?;
        map.end()
    }
}
