//! Kibana's saved objects for the documents in Elasticsearch: data views, charts in Lens, a dashboard.
//!
//! Kibana is in no package registry, so the file is not tried in one. It has the form in which Kibana 8 exports, which later versions
//! import.

use serde_json::{Value, json};
use trainyard_telemetry::Kind;

use crate::Generated;

const DASHBOARD: &str = "trainyard";

/// A column of a chart's table: its name, and its operation as Lens writes it.
type Column = (&'static str, Value);

/// A chart, and its place on the dashboard: left edge, upper edge, width and height, of 48 columns.
struct Chart {
    id: &'static str,
    title: &'static str,
    of: Kind,
    query: &'static str,
    columns: Vec<Column>,
    visualization: Value,
    place: [u32; 4],
}

/// `examples/monitoring/kibana/trainyard.ndjson`.
pub(crate) fn file() -> Generated {
    let charts = charts();
    let objects = Kind::ALL
        .into_iter()
        .map(data_view)
        .chain(charts.iter().map(Chart::object))
        .chain([dashboard(&charts)]);
    let text: String = objects.map(|object| format!("{object}\n")).collect();
    Generated::new("examples/monitoring/kibana/trainyard.ndjson", text)
}

fn charts() -> Vec<Chart> {
    let commit = || terms("Commit", "trainyard.commit_short", "string", 50, true);
    vec![
        Chart {
            id: "trainyard-metrics-over-commits",
            title: "Metrics over commits",
            of: Kind::Measurement,
            query: "trainyard.metric.scope : overall and trainyard.metric.is_headline : true",
            columns: vec![
                ("commit", commit()),
                (
                    "metric",
                    terms("Metric", "trainyard.metric.name", "string", 12, false),
                ),
                (
                    "value",
                    number("Value", "average", "trainyard.metric.value"),
                ),
            ],
            visualization: lines("commit", Some("metric"), &["value"]),
            place: [0, 0, 32, 16],
        },
        Chart {
            id: "trainyard-verdicts-over-time",
            title: "Verdicts over time",
            of: Kind::Verdict,
            query: "",
            columns: vec![
                ("time", over_time()),
                (
                    "decision",
                    terms("Decision", "trainyard.verdict.decision", "string", 5, false),
                ),
                ("count", count("Verdicts")),
            ],
            visualization: bars("time", "decision", "count"),
            place: [32, 0, 16, 16],
        },
        Chart {
            id: "trainyard-loss-by-epoch",
            title: "Training and validation loss by epoch",
            of: Kind::Epoch,
            query: "",
            columns: vec![
                (
                    "epoch",
                    terms("Epoch", "trainyard.epoch.number", "number", 1000, false),
                ),
                (
                    "commit",
                    terms("Commit", "trainyard.commit_short", "string", 5, true),
                ),
                (
                    "loss",
                    number("Training loss", "average", "trainyard.epoch.loss"),
                ),
                (
                    "val_loss",
                    number("Validation loss", "average", "trainyard.epoch.val_loss"),
                ),
            ],
            visualization: lines("epoch", Some("commit"), &["loss", "val_loss"]),
            place: [0, 16, 24, 14],
        },
        Chart {
            id: "trainyard-training-time-over-commits",
            title: "Training time over commits",
            of: Kind::Run,
            query: "trainyard.run.is_restored : false",
            columns: vec![
                ("commit", commit()),
                (
                    "seconds",
                    number("Seconds", "average", "trainyard.run.duration_s"),
                ),
            ],
            visualization: lines("commit", None, &["seconds"]),
            place: [24, 16, 24, 14],
        },
        Chart {
            id: "trainyard-missed-rules",
            title: "Missed rules",
            of: Kind::Rule,
            query: "trainyard.rule.decision : (fail or inconclusive or warn)",
            columns: vec![
                (
                    "rule",
                    terms("Metric", "trainyard.metric.key", "string", 20, false),
                ),
                (
                    "wanted",
                    terms("Wanted", "trainyard.rule.wanted", "string", 5, false),
                ),
                (
                    "decision",
                    terms("Decision", "trainyard.rule.decision", "string", 3, false),
                ),
                ("count", count("Times")),
            ],
            visualization: json!({
                "layerId": LAYER,
                "layerType": "data",
                "columns": [
                    { "columnId": "rule" },
                    { "columnId": "wanted" },
                    { "columnId": "decision" },
                    { "columnId": "count" },
                ],
            }),
            place: [0, 30, 48, 12],
        },
    ]
}

/// A chart has one layer.
const LAYER: &str = "documents";

impl Chart {
    fn object(&self) -> Value {
        let order: Vec<&str> = self.columns.iter().map(|(name, _)| *name).collect();
        let columns: serde_json::Map<String, Value> = self
            .columns
            .iter()
            .map(|(name, column)| ((*name).to_owned(), column.clone()))
            .collect();
        let kind = if self.visualization["columns"].is_array() {
            "lnsDatatable"
        } else {
            "lnsXY"
        };
        json!({
            "id": self.id,
            "type": "lens",
            "attributes": {
                "title": self.title,
                "description": "",
                "visualizationType": kind,
                "state": {
                    "datasourceStates": {
                        "formBased": {
                            "layers": { LAYER: { "columnOrder": order, "columns": columns, "incompleteColumns": {} } },
                        },
                    },
                    "visualization": self.visualization,
                    "query": { "language": "kuery", "query": self.query },
                    "filters": [],
                },
            },
            "references": [{
                "id": self.of.alias(),
                "name": format!("indexpattern-datasource-layer-{LAYER}"),
                "type": "index-pattern",
            }],
        })
    }
}

fn data_view(kind: Kind) -> Value {
    json!({
        "id": kind.alias(),
        "type": "index-pattern",
        "attributes": {
            "title": format!("{}-*", kind.alias()),
            "name": format!("Trainyard: {}", kind.name()),
            "timeFieldName": "@timestamp",
        },
        "references": [],
    })
}

fn dashboard(charts: &[Chart]) -> Value {
    let panel = |chart: &Chart| {
        let [x, y, w, h] = chart.place;
        json!({
            "type": "lens",
            "panelIndex": chart.id,
            "gridData": { "i": chart.id, "x": x, "y": y, "w": w, "h": h },
            "embeddableConfig": { "enhancements": {} },
            "panelRefName": format!("panel_{}", chart.id),
        })
    };
    let panels: Vec<Value> = charts.iter().map(panel).collect();
    let reference = |chart: &Chart| {
        json!({
            "id": chart.id,
            "name": format!("{0}:panel_{0}", chart.id),
            "type": "lens",
        })
    };
    let references: Vec<Value> = charts.iter().map(reference).collect();
    let query = json!({ "query": { "language": "kuery", "query": "" }, "filter": [] });
    json!({
        "id": DASHBOARD,
        "type": "dashboard",
        "attributes": {
            "title": "Trainyard: models over commits",
            "description": "What Trainyard indexed: metrics, verdicts, epochs, rules.",
            "timeRestore": true,
            "timeFrom": "now-90d",
            "timeTo": "now",
            "panelsJSON": Value::from(panels).to_string(),
            "optionsJSON": json!({ "useMargins": true, "syncColors": true }).to_string(),
            "kibanaSavedObjectMeta": { "searchSourceJSON": query.to_string() },
        },
        "references": references,
    })
}

fn lines(x: &str, split: Option<&str>, values: &[&str]) -> Value {
    xy("line", x, split, values)
}

fn bars(x: &str, split: &str, value: &str) -> Value {
    xy("bar_stacked", x, Some(split), &[value])
}

fn xy(series: &str, x: &str, split: Option<&str>, values: &[&str]) -> Value {
    let mut layer = json!({
        "layerId": LAYER,
        "layerType": "data",
        "seriesType": series,
        "xAccessor": x,
        "accessors": values,
    });
    if let Some(split) = split {
        layer["splitAccessor"] = split.into();
    }
    json!({
        "layers": [layer],
        "preferredSeriesType": series,
        "legend": { "isVisible": true, "position": "right" },
        "valueLabels": "hide",
        "fittingFunction": "Linear",
    })
}

/// The most frequent values of a field: by name, or by when each was first seen, which is the order of commits.
fn terms(label: &str, field: &str, data_type: &str, size: u32, is_by_time: bool) -> Value {
    let mut params = json!({
        "size": size,
        "orderBy": { "type": "alphabetical", "fallback": false },
        "orderDirection": "asc",
        "otherBucket": false,
        "missingBucket": false,
        "parentFormat": { "id": "terms" },
    });
    if is_by_time {
        params["orderBy"] = json!({ "type": "custom" });
        params["orderAgg"] = json!({
            "label": "First seen",
            "dataType": "date",
            "operationType": "min",
            "isBucketed": false,
            "scale": "ratio",
            "sourceField": "@timestamp",
            "params": {},
        });
    }
    json!({
        "label": label,
        "customLabel": true,
        "dataType": data_type,
        "operationType": "terms",
        "isBucketed": true,
        "scale": "ordinal",
        "sourceField": field,
        "params": params,
    })
}

fn over_time() -> Value {
    json!({
        "label": "@timestamp",
        "dataType": "date",
        "operationType": "date_histogram",
        "isBucketed": true,
        "scale": "interval",
        "sourceField": "@timestamp",
        "params": { "interval": "auto", "includeEmptyRows": true, "dropPartials": false },
    })
}

fn number(label: &str, operation: &str, field: &str) -> Value {
    json!({
        "label": label,
        "customLabel": true,
        "dataType": "number",
        "operationType": operation,
        "isBucketed": false,
        "scale": "ratio",
        "sourceField": field,
        "params": { "emptyAsNull": true },
    })
}

fn count(label: &str) -> Value {
    json!({
        "label": label,
        "customLabel": true,
        "dataType": "number",
        "operationType": "count",
        "isBucketed": false,
        "scale": "ratio",
        "sourceField": "___records___",
        "params": { "emptyAsNull": true },
    })
}
