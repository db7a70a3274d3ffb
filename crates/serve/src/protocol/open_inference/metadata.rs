//! What is said of server and model.

use serde_json::{Value, json};
use trainyard_core::model::TensorSpec;

use crate::answer::Json;
use crate::model::Model;
use crate::protocol::CLASS_OUTPUT;
use crate::repository::Repository;

const PLATFORM: &str = "trainyard";

/// `GET /v2`.
pub(crate) fn server_metadata() -> Json<Value> {
    let version = env!("CARGO_PKG_VERSION");
    let extensions = [
        "binary_tensor_data",
        "classification",
        "model_configuration",
        "model_repository",
        "statistics",
    ];
    Json(json!({"name": "trainyard-serve", "version": version, "extensions": extensions}))
}

/// `GET /v2/models/NAME`, of a model of which these versions are served.
pub(crate) fn model_metadata(model: &Model, versions: &[&Model]) -> Json<Value> {
    let manifest = model.manifest();
    let with_batch = |row: &[usize]| {
        let row = row.iter().map(|&axis| axis as i64);
        [-1].into_iter().chain(row).collect::<Vec<_>>()
    };
    let tensor = |spec: &TensorSpec| json!({"name": spec.name, "datatype": spec.datatype, "shape": with_batch(&spec.shape)});
    let mut outputs = vec![tensor(&manifest.output)];
    if manifest.class_names.is_some() {
        outputs.push(json!({"name": CLASS_OUTPUT, "datatype": "BYTES", "shape": [-1]}));
    }
    Json(json!({
        "name": model.name(),
        "versions": versions.iter().map(|it| it.version()).collect::<Vec<_>>(),
        "platform": PLATFORM,
        "inputs": [tensor(&manifest.input)],
        "outputs": outputs,
        "parameters": {"digest": model.digest().as_str()},
    }))
}

/// `GET /v2/models/NAME/config`, in the words of Triton's model configuration.
pub(crate) fn config(model: &Model) -> Json<Value> {
    let manifest = model.manifest();
    let tensor = |name: &str, datatype: &str, dims: &[usize]| {
        // Its name of texts is not that of the protocol.
        let datatype = datatype.replace("BYTES", "STRING");
        json!({"name": name, "data_type": format!("TYPE_{datatype}"), "dims": dims})
    };
    let of = |spec: &TensorSpec| tensor(&spec.name, &spec.datatype, &spec.shape);
    let mut outputs = vec![of(&manifest.output)];
    if manifest.class_names.is_some() {
        outputs.push(tensor(CLASS_OUTPUT, "BYTES", &[1]));
    }
    Json(json!({
        "name": model.name(),
        "platform": PLATFORM,
        "backend": PLATFORM,
        "version_policy": {"latest": {"num_versions": 1}},
        // No limit of its own: that of the body holds.
        "max_batch_size": i32::MAX,
        "input": [of(&manifest.input)],
        "output": outputs,
    }))
}

/// `GET /v2/models/stats` and `GET /v2/models/NAME/stats`.
pub(crate) fn statistics(models: &[&Model]) -> Json<Value> {
    let of_each: Vec<Value> = models.iter().map(|model| statistics_of(model)).collect();
    Json(json!({ "model_stats": of_each }))
}

fn statistics_of(model: &Model) -> Value {
    let totals = model.metrics().totals();
    let duration = |count: u64, ns: u64| json!({"count": count, "ns": ns});
    let (n, all, compute) = (totals.n_answered, totals.answered_ns, totals.compute_ns);
    json!({
        "name": model.name(),
        "version": model.version(),
        "last_inference": totals.last_request_ms,
        "inference_count": totals.n_rows,
        "execution_count": totals.n_batches,
        "inference_stats": {
            "success": duration(n, all),
            "fail": duration(totals.n_refused, totals.refused_ns),
            "queue": duration(n, all.saturating_sub(compute)),
            "compute_input": duration(n, 0),
            "compute_infer": duration(n, compute),
            "compute_output": duration(n, 0),
        },
        "batch_stats": [],
    })
}

/// `POST /v2/repository/index`.
pub(crate) fn index(repository: &Repository) -> Json<Value> {
    let versions = repository.list().map(|it| {
        let state = if it.problem.is_some() {
            "UNAVAILABLE"
        } else {
            "READY"
        };
        json!({
            "name": it.name,
            "version": it.version.to_string(),
            "state": state,
            "reason": it.problem.unwrap_or_default(),
        })
    });
    Json(Value::Array(versions.collect()))
}
