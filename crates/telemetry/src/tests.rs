//! The documents of each kind: what they say, and that the index templates know all of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::{EpochRecord, Evaluation};
use trainyard_core::gate::Verdict;
use trainyard_core::model::{ModelFolder, RunRecord};
use trainyard_runner::Context;

use crate::circumstances::tests::local;
use crate::document::{Document, Kind};
use crate::templates::fields;
use crate::training::Trained;

fn digest(text: &str) -> Sha256Digest {
    Sha256Digest::of(text.as_bytes())
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{error}"))
}

fn model() -> ModelFolder {
    let tensor = |name: &str| json!({ "name": name, "datatype": "FP32", "shape": [2] });
    let manifest = json!({
        "schema_version": 1,
        "name": "digits",
        "task": "classification",
        "input": tensor("input"),
        "output": tensor("output"),
        "preprocessing": [],
        "artifact": {
            "type": "network",
            "architecture": [],
            "weights": { "path": "weights.safetensors", "sha256": digest("weights"), "size_bytes": 1 },
        },
        "origin": {
            "type": "trained",
            "trainyard_version": "1.2.3",
            "config_digest": digest("config"),
            "data_digest": digest("data"),
            "seed": u64::MAX,
            "engine": "kernels",
            "instruction_set": "x86_64 fma",
            "loss": "sparse_categorical_crossentropy",
            "training": {
                "n_rows": 100,
                "n_validation_rows": 10,
                "epochs": 2,
                "batch_size": 32,
                "optimizer": "adam (learning_rate 0.001)",
                "n_parameters": 7,
                "final_loss": 0.25,
            },
        },
    });
    ModelFolder {
        path: PathBuf::new(),
        manifest: parse(manifest),
        digest: digest("model"),
        size_bytes: 12,
    }
}

fn record() -> RunRecord {
    RunRecord {
        schema_version: 1,
        overriding_inputs: vec!["epochs = 2".to_owned()],
        n_threads: 2,
        total_s: 1.5,
        epoch_s: vec![0.5, 0.75],
        platform: "linux-x86_64".to_owned(),
        ..RunRecord::default()
    }
}

fn history() -> Vec<EpochRecord> {
    let epoch = |epoch: usize, loss: f64| EpochRecord {
        epoch,
        loss,
        accuracy: Some(1.0),
        val_loss: Some(loss + 0.125),
        val_accuracy: Some(0.5),
    };
    vec![epoch(1, 0.5), epoch(2, 0.25)]
}

fn measurement(key: Value, value: f64) -> Value {
    json!({
        "key": key,
        "value": value,
        "unit": "proportion",
        "direction": "higher_is_better",
        "interval": { "lower": 0.5, "upper": 1.0, "confidence": 0.95, "method": "clopper_pearson" },
        "n_rows": 10,
    })
}

fn evaluation(measurements: Vec<Value>) -> Evaluation {
    parse(json!({
        "schema_version": 1,
        "task": "classification",
        "model": { "name": "digits", "digest": digest("model"), "size_bytes": 12 },
        "data": {
            "digest": digest("test data"),
            "rows": { "digest": digest("rows"), "matched_by": "position", "n_rows": 10 },
        },
        "scoring": { "objective": "sparse_categorical_crossentropy", "confidence": 0.95, "top_k": 2 },
        "threshold": { "value": 0.5 },
        "measurements": measurements,
        "notes": ["A note."],
        "overriding_inputs": ["epochs = 2"],
        "trainyard_version": "1.2.3",
    }))
}

fn verdict() -> Verdict {
    let comparison = json!({
        "key": { "metric": "recall", "class": "7" },
        "measured": measurement(json!({ "metric": "recall", "class": "7" }), 0.75),
        "baseline": measurement(json!({ "metric": "recall", "class": "7" }), 0.875),
        "change": measurement(json!({ "metric": "recall", "class": "7" }), -0.125),
    });
    parse(json!({
        "schema_version": 1,
        "verdict": "fail",
        "summary": "1 rule missed.",
        "model_name": "digits",
        "model_digest": digest("model"),
        "evaluation_digest": digest("evaluation"),
        "rules_digest": digest("rules"),
        "data_digest": digest("test data"),
        "n_rows": 10,
        "rules": [{
            "rule_idx": 0,
            "bound": { "max_drop": 0.0625 },
            "wanted": "no more than 0.0625 below the baseline",
            "comparison": comparison,
            "confidence": 0.95,
            "level": "fail",
            "outcome": "missed",
            "decision": "fail",
            "reason": "it is 0.125 below",
        }],
        "metrics": [],
        "baseline": {
            "source": "commit 0123456",
            "model_digest": digest("older model"),
            "rows": { "rows": "unknown" },
            "has_same_predictions": false,
            "paired": null,
        },
        "notes": ["A note."],
        "override": { "commit": "0123456", "by": "ann", "reason": "known", "url": "https://example.org" },
        "trainyard_version": "1.2.3",
        "commit": null,
    }))
}

/// One or more of each kind, with a value in every field.
fn documents() -> Vec<Document> {
    let context = Context::default();
    let circumstances = local(&context);
    let model = model();
    let trained = Trained {
        model: &model,
        run: Some(&record()),
        history: &history(),
        learning_rates: &[0.001, 0.0005],
        is_restored: false,
    };
    let every_part =
        json!({ "metric": "recall", "class": "7", "output": "o", "slice": "a=b", "fold": 2 });
    let measurements = vec![
        measurement(json!({ "metric": "accuracy" }), 0.75),
        measurement(json!({ "metric": "latency.ms" }), 3.0),
        measurement(every_part, 1.0),
    ];
    let of_evaluation = circumstances.evaluation(&evaluation(measurements), &digest("evaluation"));
    [
        trained.documents(&circumstances),
        of_evaluation,
        circumstances.verdict(&verdict()),
    ]
    .concat()
}

/// Paths and values of all fields.
fn leaves(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                leaves(value, &path, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| leaves(value, path, found)),
        value => {
            found.insert(path.to_owned(), value.clone());
        }
    }
}

#[test]
fn every_field_of_a_document_is_in_the_template_of_its_kind() {
    let mut seen: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for document in documents() {
        let known: BTreeMap<_, _> = fields(document.kind).collect();
        let mut found = BTreeMap::new();
        leaves(&document.source, "", &mut found);
        for (path, value) in found {
            if path.starts_with("trainyard.metrics.") {
                assert!(value.is_f64(), "{path}: {value}");
                continue;
            }
            let fits = match known.get(&*path).copied() {
                Some("double") => value.is_number(),
                Some("long") => value.is_i64() || value.is_u64(),
                Some("boolean") => value.is_boolean(),
                // A number does as a word, too.
                Some("keyword" | "text" | "date") => {
                    value.is_string() || path == "trainyard.run.seed"
                }
                other => panic!("{:?}: `{path}` is {other:?}", document.kind),
            };
            assert!(fits, "{:?}: `{path}` is {value}", document.kind);
            seen.entry(document.kind).or_default().push(path);
        }
    }
    // The other way round: nothing is planned below our own name that no document says.
    for kind in Kind::ALL {
        for (path, _) in fields(kind).filter(|(path, _)| path.starts_with("trainyard.")) {
            let of_run = [
                "commit",
                "branch",
                "base_",
                "tag",
                "pull_",
                "repository",
                "head_",
                "ci.",
            ];
            let own = path.trim_start_matches("trainyard.");
            let is_of_run = of_run.iter().any(|start| own.starts_with(start));
            // These belong to some kinds alone.
            let is_of_some =
                own.starts_with("model.") || kind == Kind::Rule && own.starts_with("metric.");
            let is_seen = seen[&kind].iter().any(|seen| seen == path);
            assert!(
                is_seen || is_of_run || is_of_some,
                "{kind:?}: nothing says `{path}`"
            );
        }
    }
}

#[test]
fn a_training_has_a_document_and_each_epoch_one() {
    let documents = documents();
    let of = |kind: Kind| {
        documents
            .iter()
            .filter(move |document| document.kind == kind)
    };
    let run = &of(Kind::Run).next().unwrap().source;
    assert_eq!(run["event"]["duration"], 1_500_000_000_u64);
    let of_run = &run["trainyard"]["run"];
    assert_eq!(of_run["epoch_duration_s"], 0.625);
    assert_eq!(of_run["seed"], u64::MAX);
    assert_eq!(of_run["final_val_loss"], 0.375);
    let epochs: Vec<&Value> = of(Kind::Epoch)
        .map(|epoch| &epoch.source["trainyard"]["epoch"])
        .collect();
    assert_eq!(
        epochs[1],
        &json!({
            "number": 2,
            "loss": 0.25,
            "accuracy": 1.0,
            "val_loss": 0.375,
            "val_accuracy": 0.5,
            "learning_rate": 0.0005,
            "duration_s": 0.75,
        })
    );
    assert_eq!(epochs.len(), 2);
}

#[test]
fn a_measurement_says_in_fields_what_it_is_of() {
    let documents = documents();
    let of = |kind: Kind| {
        documents
            .iter()
            .filter(move |document| document.kind == kind)
    };
    let metrics = |at: usize| &of(Kind::Measurement).nth(at).unwrap().source["trainyard"]["metric"];
    assert_eq!(
        metrics(0),
        &json!({
            "name": "accuracy",
            "key": "accuracy",
            "scope": "overall",
            "is_headline": true,
            "value": 0.75,
            "unit": "proportion",
            "direction": "higher_is_better",
            "lower": 0.5,
            "upper": 1.0,
            "confidence": 0.95,
            "method": "clopper_pearson",
            "n_rows": 10,
        })
    );
    assert_eq!(metrics(2)["scope"], "class+output+slice+fold");
    assert_eq!(metrics(2)["fold"], "2");
    assert_eq!(metrics(2)["is_headline"], false);
    let whole = &of(Kind::Evaluation).next().unwrap().source["trainyard"];
    assert_eq!(
        whole["metrics"],
        json!({ "accuracy": 0.75, "latency_ms": 3.0 })
    );
}

#[test]
fn a_verdict_has_a_document_and_each_rule_one() {
    let documents = documents();
    let of = |kind: Kind| {
        documents
            .iter()
            .find(|document| document.kind == kind)
            .unwrap()
    };
    let verdict = &of(Kind::Verdict).source;
    // A person let it through.
    assert_eq!(verdict["event"]["outcome"], "success");
    let said = &verdict["trainyard"]["verdict"];
    assert_eq!(
        (&said["decision"], &said["n_failed"]),
        (&json!("fail"), &json!(1))
    );
    assert_eq!(
        said["missed_rules"],
        json!(["recall of class 7 no more than 0.0625 below the baseline"])
    );
    let rule = &of(Kind::Rule).source;
    assert_eq!(rule["event"]["outcome"], "failure");
    assert_eq!(rule["trainyard"]["metric"]["value"], 0.75);
    let said = &rule["trainyard"]["rule"];
    assert_eq!(
        (&said["bound"], &said["limit"]),
        (&json!("max_drop"), &json!(0.0625))
    );
    assert_eq!(
        (&said["change"], &said["baseline_value"]),
        (&json!(-0.125), &json!(0.875))
    );
}

#[test]
fn an_evaluation_of_thousands_of_classes_is_cut_off_and_says_so() {
    let of_class = |class: usize| {
        measurement(
            json!({ "metric": "recall", "class": class.to_string() }),
            0.5,
        )
    };
    let evaluation = evaluation((0..5_001).map(of_class).collect());
    let context = Context::default();
    let documents = local(&context).evaluation(&evaluation, &digest("evaluation"));
    assert_eq!(documents.len(), 1 + 5_000);
    let whole = &documents[0].source["trainyard"]["evaluation"];
    assert_eq!(whole["n_measurements"], 5_001);
    assert_eq!(whole["n_measurements_omitted"], 1);
    // All of them are different.
    let ids: std::collections::BTreeSet<_> =
        documents.iter().map(|document| &document.id).collect();
    assert_eq!(ids.len(), documents.len());
}
