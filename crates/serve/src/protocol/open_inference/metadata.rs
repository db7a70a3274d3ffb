//! What is said of server and model.

use serde_json::{Value, json};
use trainyard_core::model::TensorSpec;

use crate::answer::Json;
use crate::model::Model;
use crate::protocol::{CLASS_OUTPUT, VERSION};

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

/// `GET /v2/models/NAME`.
pub(crate) fn model_metadata(model: &Model) -> Json<Value> {
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
        "name": manifest.name,
        "versions": [VERSION],
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
        "name": manifest.name,
        "platform": PLATFORM,
        "backend": PLATFORM,
        "version_policy": {"latest": {"num_versions": 1}},
        // No limit of its own: that of the body holds.
        "max_batch_size": i32::MAX,
        "input": [of(&manifest.input)],
        "output": outputs,
    }))
}

/// `GET /v2/models/NAME/stats`.
pub(crate) fn statistics(model: &Model) -> Json<Value> {
    let totals = model.metrics().totals();
    let duration = |count: u64, ns: u64| json!({"count": count, "ns": ns});
    let (n, all, compute) = (totals.n_answered, totals.answered_ns, totals.compute_ns);
    Json(json!({"model_stats": [{
        "name": model.name(),
        "version": VERSION,
        "last_inference": totals.last_request_ms,
        "inference_count": totals.n_rows,
        "execution_count": n,
        "inference_stats": {
            "success": duration(n, all),
            "fail": duration(totals.n_refused, totals.refused_ns),
            "queue": duration(n, all.saturating_sub(compute)),
            "compute_input": duration(n, 0),
            "compute_infer": duration(n, compute),
            "compute_output": duration(n, 0),
        },
        "batch_stats": [],
    }]}))
}

/// `POST /v2/repository/index`.
pub(crate) fn index(model: &Model) -> Json<Value> {
    Json(json!([{"name": model.name(), "version": VERSION, "state": "READY", "reason": ""}]))
}
