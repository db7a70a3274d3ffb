//! The metrics as OpenMetrics' text, before the reference parser of Prometheus's Python client.

use serde_json::Value;

use super::python_with;
use crate::folder::Folder;
use crate::support::run;

/// Prints the samples as JSON: name, labels, value.
const READ: &str = "
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = list(text_string_to_metric_families(open(sys.argv[1], encoding='utf-8').read()))
assert [family.type for family in families] == ['gauge'], families
assert families[0].documentation, families
print(json.dumps([[sample.name, sample.labels, sample.value] for sample in families[0].samples]))
";

#[test]
fn the_reference_parser_reads_the_metrics_that_the_json_has() {
    let folder = Folder::with(&[
        (
            "p.csv",
            "label,predicted,\"time \"\"a\\b\"\"\"\ncat,cat,1e-9\ndog,cat,3\ndog,dog,250000\ncat,cat,4\n",
        ),
        (
            "trainyard.toml",
            "[model]\nname = 'pets \"of\" \\ all'\n\n[[evaluate.columns]]\nname = 'time \"a\\b\"'\nunit = \"ms\"\n",
        ),
    ]);
    folder.evaluate("p.csv", "out");
    let path = folder.path("out/evaluation/metrics.txt");
    let found = run(python_with("prometheus_client", "prometheus-client")
        .args(["-c", READ])
        .arg(path));
    let found: Vec<(String, Value, f64)> = serde_json::from_str(&found).unwrap();
    let expected = folder.json("out/evaluation/metrics.json");
    let expected = expected.as_object().unwrap();
    assert!(found.len() > 5, "{found:?}");
    assert_eq!(found.len(), expected.len());
    for (name, labels, value) in found {
        assert_eq!(name, "trainyard_metric");
        assert_eq!(labels["model"], "pets \"of\" \\ all");
        let metric = labels["metric"].as_str().unwrap();
        assert_eq!(expected[metric], value, "{metric}");
    }
}
