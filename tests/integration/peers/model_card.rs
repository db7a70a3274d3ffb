//! The model card before readers of its YAML: ruamel.yaml by YAML 1.1 and 1.2, and PyYAML in Hugging Face's own `huggingface_hub`.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use trainyard_core::measurement::{Measurement, MetricKey};

use super::python_with;
use crate::release_notes::{Parts, released};
use crate::support::run;

/// Prints what `huggingface_hub` finds in each card, a line each, once all readers agree on its front matter.
const READ: &str = r#"
import json, sys
from huggingface_hub import ModelCard
from ruamel.yaml import YAML

for path in sys.argv[1:]:
    text = open(path, encoding="utf-8", newline="").read()
    front = text.split("---\n")[1]
    documents = []
    for version in [(1, 1), (1, 2)]:
        reader = YAML(typ="safe", pure=True)
        reader.version = version
        documents.append(reader.load(front))
    assert documents[0] == documents[1], documents
    card = ModelCard(text, ignore_metadata_errors=False)
    results = card.data.eval_results
    print(json.dumps({
        "license": card.data.license,
        "license_name": card.data.license_name,
        "pipeline_tag": card.data.pipeline_tag,
        "model": card.data.model_name,
        "document": documents[0]["model-index"][0]["name"],
        "tasks": sorted({result.task_type for result in results}),
        "revisions": sorted({result.dataset_revision for result in results}),
        "sources": sorted({result.source_url or "" for result in results}),
        "metrics": [[result.metric_name, result.metric_value] for result in results],
    }))
"#;

fn read(cards: &[PathBuf]) -> Vec<Value> {
    let mut python = python_with(
        "huggingface_hub, ruamel.yaml",
        "huggingface-hub ruamel.yaml",
    );
    let found = run(python.args(["-c", READ]).args(cards));
    let found: Vec<Value> = found
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(found.len(), cards.len());
    found
}

#[test]
fn the_hubs_library_reads_name_task_and_metrics() {
    let project = released();
    let found = read(&[project.path("trainyard-out/image/model-card.md")]).remove(0);
    assert_eq!(found["model"], "mnist");
    assert_eq!(found["license"], "apache-2.0");
    assert_eq!(found["pipeline_tag"], "image-classification");
    assert_eq!(found["tasks"], json!(["image-classification"]));
    let evaluation = project.json("evaluation/evaluation.json");
    assert_eq!(found["revisions"], json!([evaluation["data"]["digest"]]));
    let metrics = found["metrics"].as_array().unwrap();
    assert!(metrics.len() >= 3, "{found}");
    let measured = evaluation["measurements"].as_array().unwrap();
    for metric in metrics {
        let key = json!({ "metric": metric[0] });
        let ours = measured.iter().find(|found| found["key"] == key).unwrap();
        assert_eq!(ours["value"], metric[1], "{key}");
    }
}

/// Names that YAML reads as something else, or as its own marks, where they are not quoted.
#[test]
fn every_reader_takes_a_nasty_name_for_the_same_text() {
    let project = released();
    let mut parts = Parts::of(&project);
    let names = [
        "yes",
        "1e3",
        "0x1F",
        "null",
        "~",
        "",
        "2026-11-30",
        "a: b",
        "a #b",
        "#a",
        "- a",
        "? a",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a`",
        "'a'",
        "\"a\"",
        "a\\nb",
        "a\nb",
        "\n---\nb: c\n",
        "...",
        "a\tb",
        "a\r\nb",
        "größe 猫 😀",
        "a\u{0}b\u{1b}c\u{7f}",
        "a\u{85}b\u{a0}c\u{2028}d\u{2029}e\u{feff}f\u{ffff}",
        "[a, {b}]",
        " a ",
    ];
    let values = [1e-7, 1.0, -2e16, 0.1 + 0.2, 123_456_789.0];
    parts.verdict.metrics.clear();
    parts.verdict.rules.clear();
    let mut expected = Vec::new();
    for (idx, name) in names.iter().enumerate() {
        let value = values[idx % values.len()];
        expected.push(json!([name, value]));
        let key = MetricKey::overall(*name);
        let measured = Measurement::bare(key.clone(), value, None, None);
        parts.verdict.metrics.push(
            serde_json::from_value(json!({
                "key": key, "measured": measured, "baseline": null, "change": null,
            }))
            .unwrap(),
        );
    }
    let names: Vec<&str> = names.into_iter().filter(|name| !name.is_empty()).collect();
    let url = |name: &str| format!("https://example.com/{name}");
    let mut cards = Vec::new();
    for (idx, name) in names.iter().enumerate() {
        (*name).clone_into(&mut parts.manifest.name);
        parts.config.image.licenses = Some((*name).to_owned());
        let card = project.path(&format!("card-{idx}.md"));
        fs::write(&card, parts.model_card(&url(name))).unwrap();
        cards.push(card);
    }
    for (name, found) in names.into_iter().zip(read(&cards)) {
        assert_eq!(found["model"], name);
        assert_eq!(found["document"], name);
        assert_eq!(found["license"], "other");
        assert_eq!(found["license_name"], name);
        assert_eq!(found["sources"], json!([url(name)]));
        assert_eq!(found["metrics"], json!(expected));
    }
}
