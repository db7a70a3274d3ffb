use serde_json::json;

use super::*;

fn manifest() -> ModelManifest {
    serde_json::from_str(include_str!("../../fixtures/model.json")).unwrap()
}

fn evaluation() -> Evaluation {
    serde_json::from_str(include_str!("../../fixtures/evaluation.json")).unwrap()
}

fn bom(change: impl FnOnce(&mut BomInputs<'_>)) -> Value {
    let (manifest, evaluation) = (manifest(), evaluation());
    let (model, server) = (Sha256Digest::of(b"model"), Sha256Digest::of(b"server"));
    let mut inputs = BomInputs {
        manifest: &manifest,
        model_digest: &model,
        evaluation: &evaluation,
        version: Some("1.2.3"),
        server: Some(ServerBinary {
            name: "trainyard-serve",
            version: Some("0.1.0"),
            sha256: &server,
        }),
        timestamp: Some("2026-03-04T05:06:07Z"),
    };
    change(&mut inputs);
    MlBom::of(&inputs).unwrap().document().clone()
}

fn digest(word: &str) -> String {
    Sha256Digest::of(word.as_bytes()).to_string()
}

#[test]
fn the_model_is_what_the_bill_is_of() {
    let bom = bom(|_| {});
    assert_eq!(bom["bomFormat"], "CycloneDX");
    assert_eq!(bom["specVersion"], "1.6");
    assert_eq!(bom["version"], 1);
    assert_eq!(bom["metadata"]["timestamp"], "2026-03-04T05:06:07Z");
    let model = &bom["metadata"]["component"];
    assert_eq!(model["type"], "machine-learning-model");
    assert_eq!(model["name"], "digits");
    assert_eq!(model["version"], "1.2.3");
    let properties = model["properties"].as_array().unwrap();
    assert_eq!(
        properties[0],
        json!({ "name": "dev.trainyard.model.digest", "value": digest("model") })
    );
    let hex = |word: &str| Sha256Digest::of(word.as_bytes()).hex().to_owned();
    assert_eq!(
        bom["components"],
        json!([
            {
                "type": "file",
                "bom-ref": "file:weights.safetensors",
                "name": "weights.safetensors",
                "hashes": [{ "alg": "SHA-256", "content": hex("weights") }],
            },
            {
                "type": "application",
                "bom-ref": "server",
                "name": "trainyard-serve",
                "version": "0.1.0",
                "hashes": [{ "alg": "SHA-256", "content": hex("server") }],
            },
        ])
    );
    assert_eq!(
        bom["dependencies"],
        json!([
            { "ref": "model", "dependsOn": ["file:weights.safetensors"] },
            { "ref": "server", "dependsOn": ["model"] },
        ])
    );
}

#[test]
fn the_model_card_says_task_architecture_data_and_tensors() {
    let bom = bom(|_| {});
    let card = &bom["metadata"]["component"]["modelCard"];
    let dataset = |name: &str, rows: &str| {
        let digest = digest(name);
        json!({
            "type": "dataset",
            "name": name,
            "contents": { "properties": [
                { "name": "dev.trainyard.data.digest", "value": digest },
                { "name": "dev.trainyard.data.rows", "value": rows },
            ] },
        })
    };
    assert_eq!(
        card["modelParameters"],
        json!({
            "approach": { "type": "supervised" },
            "task": "classification",
            "architectureFamily": "convolutional neural network",
            "modelArchitecture": "Conv2D, Flatten, Dense",
            "datasets": [dataset("training data", "1000"), dataset("test data", "200")],
            "inputs": [{ "format": "input: FP32 [8, 8, 1]" }],
            "outputs": [{ "format": "output: FP32 [2]" }],
        })
    );
    assert_eq!(
        card["considerations"]["technicalLimitations"],
        json!([
            "Columns that were not used: `age`.",
            "top_k_accuracy is not defined: no more classes than places.",
            "Weaker on country=FR: accuracy 0.5 on 40 rows, against 0.95 on the rest.",
        ])
    );
    assert_eq!(
        card["properties"],
        json!([{ "name": "dev.trainyard.interval.confidence", "value": "0.95" }])
    );
}

#[test]
fn every_measurement_is_a_metric_with_all_its_digits() {
    let bom = bom(|_| {});
    let metrics =
        &bom["metadata"]["component"]["modelCard"]["quantitativeAnalysis"]["performanceMetrics"];
    let interval = |lower: &str, upper: &str| json!({ "lowerBound": lower, "upperBound": upper });
    assert_eq!(
        *metrics,
        json!([
            { "type": "accuracy", "value": "0.93", "confidenceInterval": interval("0.88529", "0.96126") },
            { "type": "loss", "value": "0.30000000000000004" },
            { "type": "recall", "value": "1.0", "slice": "class=odd", "confidenceInterval": interval("0.9", "1.0") },
            { "type": "recall", "value": "0.5", "slice": "class=odd, country=DE, age=[20, 40)" },
            { "type": "accuracy", "value": "0.875", "slice": "country=DE", "confidenceInterval": interval("0.75", "0.95") },
            { "type": "accuracy", "value": "0.9", "slice": "fold=3" },
            { "type": "accuracy", "value": "0.91", "slice": "fold=mean", "confidenceInterval": interval("0.9", "0.92") },
        ])
    );
    let metrics = metrics.as_array().unwrap();
    for (metric, measurement) in metrics.iter().zip(&evaluation().measurements) {
        let value: f64 = metric["value"].as_str().unwrap().parse().unwrap();
        assert_eq!(value, measurement.value);
    }
}

#[test]
fn the_same_inputs_give_the_same_bytes_and_others_another_serial_number() {
    let (first, again) = (bom(|_| {}), bom(|_| {}));
    assert_eq!(first.to_string(), again.to_string());
    let serial = first["serialNumber"].as_str().unwrap();
    // RFC 9562: version 8, variant 0b10.
    let groups: Vec<_> = serial
        .strip_prefix("urn:uuid:")
        .unwrap()
        .split('-')
        .collect();
    assert_eq!(
        groups.iter().map(|group| group.len()).collect::<Vec<_>>(),
        [8, 4, 4, 4, 12]
    );
    assert!(groups[2].starts_with('8') && groups[3].starts_with(['8', '9', 'a', 'b']));
    for other in [
        bom(|inputs| inputs.timestamp = None),
        bom(|inputs| inputs.version = None),
        bom(|inputs| inputs.server = None),
    ] {
        assert_ne!(other["serialNumber"], first["serialNumber"]);
    }
}

#[test]
fn what_is_not_known_is_absent() {
    let bom = bom(|inputs| {
        inputs.timestamp = None;
        inputs.version = None;
        inputs.server = None;
    });
    assert!(bom["metadata"].get("timestamp").is_none());
    assert!(bom["metadata"]["component"].get("version").is_none());
    assert_eq!(bom["components"].as_array().unwrap().len(), 1);
    assert_eq!(bom["dependencies"].as_array().unwrap().len(), 1);
}

#[test]
fn an_imported_graph_names_its_tool() {
    let mut manifest = serde_json::to_value(manifest()).unwrap();
    let file = |path: &str| json!({ "path": path, "sha256": digest(path), "size_bytes": 1 });
    manifest["artifact"] = json!({
        "type": "onnx", "graph": file("model.onnx"), "external_data": [file("tensors.bin")],
        "opset_version": 17, "graph_input": "x", "graph_output": "y",
    });
    manifest["origin"] = json!({
        "type": "imported", "tool": "pytorch", "tool_version": "2.9", "proof": { "type": "absent" },
    });
    let manifest: ModelManifest = serde_json::from_value(manifest).unwrap();
    let evaluation = evaluation();
    let model_digest = Sha256Digest::of(b"model");
    let bom = MlBom::of(&BomInputs {
        manifest: &manifest,
        model_digest: &model_digest,
        evaluation: &evaluation,
        version: None,
        server: None,
        timestamp: None,
    })
    .unwrap();
    let model = &bom.document()["metadata"]["component"];
    let parameters = &model["modelCard"]["modelParameters"];
    assert_eq!(parameters["architectureFamily"], "ONNX graph");
    assert_eq!(parameters["modelArchitecture"], "operator set 17");
    assert_eq!(parameters["datasets"].as_array().unwrap().len(), 1);
    assert_eq!(
        model["properties"],
        json!([
            { "name": "dev.trainyard.model.digest", "value": digest("model") },
            { "name": "dev.trainyard.import.tool", "value": "pytorch" },
            { "name": "dev.trainyard.import.version", "value": "2.9" },
        ])
    );
    let files = bom.document()["components"].as_array().unwrap();
    let names: Vec<_> = files.iter().map(|file| &file["name"]).collect();
    assert_eq!(names, ["model.onnx", "tensors.bin"]);
}

#[test]
fn figures_of_another_model_are_refused() {
    let (manifest, mut evaluation) = (manifest(), evaluation());
    let other = Sha256Digest::of(b"other");
    let refused = |evaluation: &Evaluation| {
        MlBom::of(&BomInputs {
            manifest: &manifest,
            model_digest: &other,
            evaluation,
            version: None,
            server: None,
            timestamp: None,
        })
        .unwrap_err()
        .to_string()
    };
    let model = digest("model");
    assert!(refused(&evaluation).starts_with(&format!("the evaluation is of {model}, not of ")));
    evaluation.model.digest = None;
    assert!(refused(&evaluation).starts_with("the evaluation is of predictions without a model"));
}
