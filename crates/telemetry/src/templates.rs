//! The types of the documents' fields, as index templates, and how long indices are kept.
//!
//! The files below `examples/monitoring/elasticsearch` and what a stage installs are made from these values.

use serde_json::{Map, Value, json};

use crate::document::Kind;

/// Raised with each change of a template, so that an older one is replaced.
pub(crate) const VERSION: u64 = 1;

/// The lifecycle policy's name.
pub(crate) const POLICY: &str = "trainyard";

/// Above the template of the server's log, whose pattern `trainyard-*` matches these indices too.
const PRIORITY: u64 = 300;

/// Longer texts are stored and not searched.
const MAX_KEYWORD: u64 = 1024;

type Fields = &'static [(&'static str, &'static str)];

/// Fields of every document, with Elasticsearch's type.
const OF_ALL: Fields = &[
    ("@timestamp", "date"),
    ("ecs.version", "keyword"),
    ("event.kind", "keyword"),
    ("event.module", "keyword"),
    ("event.dataset", "keyword"),
    ("event.outcome", "keyword"),
    ("event.duration", "long"),
    ("service.name", "keyword"),
    ("service.version", "keyword"),
    ("trainyard.commit", "keyword"),
    ("trainyard.commit_short", "keyword"),
    ("trainyard.branch", "keyword"),
    ("trainyard.base_branch", "keyword"),
    ("trainyard.is_default_branch", "boolean"),
    ("trainyard.tag", "keyword"),
    ("trainyard.pull_request_number", "long"),
    ("trainyard.repository", "keyword"),
    ("trainyard.head_repository", "keyword"),
    ("trainyard.is_fork", "boolean"),
    ("trainyard.event", "keyword"),
    ("trainyard.ci.provider", "keyword"),
    ("trainyard.ci.run_id", "keyword"),
    ("trainyard.ci.attempt", "long"),
    ("trainyard.ci.url", "keyword"),
    ("trainyard.model.name", "keyword"),
    ("trainyard.model.digest", "keyword"),
    ("trainyard.model.task", "keyword"),
    ("trainyard.model.size_bytes", "long"),
];

const OF_RUNS: Fields = &[
    ("trainyard.run.overriding_inputs", "keyword"),
    ("trainyard.run.config_digest", "keyword"),
    ("trainyard.run.data_digest", "keyword"),
    // Of 64 bits without a sign, and never computed with.
    ("trainyard.run.seed", "keyword"),
    ("trainyard.run.engine", "keyword"),
    ("trainyard.run.instruction_set", "keyword"),
    ("trainyard.run.loss_function", "keyword"),
    ("trainyard.run.optimizer", "keyword"),
    ("trainyard.run.n_rows", "long"),
    ("trainyard.run.n_validation_rows", "long"),
    ("trainyard.run.n_epochs", "long"),
    ("trainyard.run.batch_size", "long"),
    ("trainyard.run.n_parameters", "long"),
    ("trainyard.run.final_loss", "double"),
    ("trainyard.run.final_accuracy", "double"),
    ("trainyard.run.final_val_loss", "double"),
    ("trainyard.run.final_val_accuracy", "double"),
    ("trainyard.run.is_restored", "boolean"),
    ("trainyard.run.duration_s", "double"),
    ("trainyard.run.epoch_duration_s", "double"),
    ("trainyard.run.n_threads", "long"),
    ("trainyard.run.platform", "keyword"),
];

const OF_EPOCHS: Fields = &[
    ("trainyard.epoch.number", "long"),
    ("trainyard.epoch.loss", "double"),
    ("trainyard.epoch.accuracy", "double"),
    ("trainyard.epoch.val_loss", "double"),
    ("trainyard.epoch.val_accuracy", "double"),
    ("trainyard.epoch.learning_rate", "double"),
    ("trainyard.epoch.duration_s", "double"),
];

const OF_EVALUATIONS: Fields = &[
    ("trainyard.evaluation.digest", "keyword"),
    ("trainyard.evaluation.n_rows", "long"),
    ("trainyard.evaluation.rows_digest", "keyword"),
    ("trainyard.evaluation.data_digest", "keyword"),
    ("trainyard.evaluation.confidence", "double"),
    ("trainyard.evaluation.n_measurements", "long"),
    ("trainyard.evaluation.n_measurements_omitted", "long"),
    ("trainyard.evaluation.n_undefined", "long"),
    ("trainyard.evaluation.threshold", "double"),
    ("trainyard.evaluation.notes", "text"),
    ("trainyard.overriding_inputs", "keyword"),
];

const OF_METRICS: Fields = &[
    ("trainyard.evaluation.digest", "keyword"),
    ("trainyard.metric.name", "keyword"),
    ("trainyard.metric.key", "keyword"),
    ("trainyard.metric.scope", "keyword"),
    ("trainyard.metric.is_headline", "boolean"),
    ("trainyard.metric.class", "keyword"),
    ("trainyard.metric.output", "keyword"),
    ("trainyard.metric.slice", "keyword"),
    ("trainyard.metric.fold", "keyword"),
    ("trainyard.metric.value", "double"),
    ("trainyard.metric.unit", "keyword"),
    ("trainyard.metric.direction", "keyword"),
    ("trainyard.metric.lower", "double"),
    ("trainyard.metric.upper", "double"),
    ("trainyard.metric.confidence", "double"),
    ("trainyard.metric.method", "keyword"),
    ("trainyard.metric.n_rows", "long"),
];

const OF_VERDICTS: Fields = &[
    ("trainyard.evaluation.digest", "keyword"),
    ("trainyard.evaluation.n_rows", "long"),
    ("trainyard.evaluation.data_digest", "keyword"),
    ("trainyard.verdict.decision", "keyword"),
    ("trainyard.verdict.is_let_through", "boolean"),
    ("trainyard.verdict.is_verified", "boolean"),
    ("trainyard.verdict.summary", "text"),
    ("trainyard.verdict.notes", "text"),
    ("trainyard.verdict.rules_digest", "keyword"),
    ("trainyard.verdict.n_rules", "long"),
    ("trainyard.verdict.n_passed", "long"),
    ("trainyard.verdict.n_warned", "long"),
    ("trainyard.verdict.n_failed", "long"),
    ("trainyard.verdict.n_inconclusive", "long"),
    ("trainyard.verdict.n_skipped", "long"),
    ("trainyard.verdict.missed_rules", "keyword"),
    ("trainyard.verdict.overridden_by", "keyword"),
    ("trainyard.verdict.override_reason", "text"),
    ("trainyard.verdict.baseline_source", "keyword"),
    ("trainyard.verdict.baseline_model_digest", "keyword"),
];

const OF_RULES: Fields = &[
    ("trainyard.rule.idx", "long"),
    ("trainyard.rule.bound", "keyword"),
    ("trainyard.rule.limit", "double"),
    ("trainyard.rule.wanted", "keyword"),
    ("trainyard.rule.confidence", "double"),
    ("trainyard.rule.level", "keyword"),
    ("trainyard.rule.outcome", "keyword"),
    ("trainyard.rule.decision", "keyword"),
    ("trainyard.rule.reason", "text"),
    ("trainyard.rule.baseline_value", "double"),
    ("trainyard.rule.change", "double"),
    ("trainyard.rule.change_lower", "double"),
    ("trainyard.rule.change_upper", "double"),
];

/// All fields of documents of `kind` that have a name of their own; labels and metrics have those that users give.
pub(crate) fn fields(kind: Kind) -> impl Iterator<Item = (&'static str, &'static str)> {
    let (own, more): (Fields, Fields) = match kind {
        Kind::Run => (OF_RUNS, &[]),
        Kind::Epoch => (OF_EPOCHS, &[]),
        Kind::Evaluation => (OF_EVALUATIONS, &[]),
        Kind::Measurement => (OF_METRICS, &[]),
        Kind::Verdict => (OF_VERDICTS, &[]),
        Kind::Rule => (OF_METRICS, OF_RULES),
    };
    OF_ALL.iter().chain(own).chain(more).copied()
}

/// The index template of documents of `kind`; with the lifecycle policy where the server has such.
pub(crate) fn template(kind: Kind, has_lifecycle: bool) -> Value {
    let mut properties = Value::Object(Map::new());
    for (path, name) in fields(kind) {
        insert(&mut properties, path, name);
    }
    let mut settings = json!({ "number_of_shards": 1, "auto_expand_replicas": "0-1" });
    if has_lifecycle {
        settings["index.lifecycle.name"] = POLICY.into();
    }
    let by_match = |path: &str, mapping: Value| json!({ "path_match": path, "mapping": mapping });
    json!({
        "index_patterns": [format!("{}-*", kind.alias())],
        "priority": PRIORITY,
        "version": VERSION,
        "_meta": { "description": "Results of Trainyard. Raise `version` to keep a change of your own." },
        "template": {
            "settings": settings,
            "aliases": { kind.alias(): {} },
            "mappings": {
                "dynamic_templates": [
                    { "labels": by_match("labels.*", mapping("keyword")) },
                    // By its first value, a metric that is a whole number today would be one in all documents.
                    { "metrics": by_match("trainyard.metrics.*", mapping("double")) },
                    { "texts": { "match_mapping_type": "string", "mapping": mapping("keyword") } },
                ],
                "properties": properties,
            },
        },
    })
}

/// How long indices are kept. Nothing makes one read-only: what a spool kept may come late.
pub(crate) fn policy() -> Value {
    json!({
        "policy": {
            "_meta": { "description": "Results of Trainyard, in one index a year." },
            "phases": {
                "hot": { "actions": { "set_priority": { "priority": 50 } } },
                "warm": { "min_age": "400d", "actions": { "set_priority": { "priority": 10 } } },
                "delete": { "min_age": "1825d", "actions": { "delete": {} } },
            },
        },
    })
}

/// The files that are shipped: name and content.
pub fn files() -> Vec<(String, Value)> {
    let of_kind = |kind: Kind| (format!("{}.json", kind.alias()), template(kind, true));
    let mut files: Vec<_> = Kind::ALL.into_iter().map(of_kind).collect();
    files.push(("lifecycle.json".to_owned(), policy()));
    files
}

fn mapping(name: &str) -> Value {
    match name {
        "keyword" => json!({ "type": name, "ignore_above": MAX_KEYWORD }),
        _ => json!({ "type": name }),
    }
}

fn insert(properties: &mut Value, path: &str, name: &str) {
    match path.split_once('.') {
        None => properties[path] = mapping(name),
        Some((first, rest)) => {
            let inner = &mut properties[first]["properties"];
            if inner.is_null() {
                *inner = Value::Object(Map::new());
            }
            insert(inner, rest, name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_nested_as_documents_are() {
        let template = template(Kind::Epoch, true);
        let properties = &template["template"]["mappings"]["properties"];
        assert_eq!(properties["@timestamp"], json!({ "type": "date" }));
        assert_eq!(
            properties["trainyard"]["properties"]["epoch"]["properties"]["loss"],
            json!({ "type": "double" })
        );
        assert_eq!(template["index_patterns"], json!(["trainyard-epochs-*"]));
        assert_eq!(
            template["template"]["settings"]["index.lifecycle.name"],
            "trainyard"
        );
        let plain = super::template(Kind::Epoch, false);
        assert_eq!(
            plain["template"]["settings"],
            json!({ "number_of_shards": 1, "auto_expand_replicas": "0-1" })
        );
    }

    #[test]
    fn a_field_is_listed_once() {
        for kind in Kind::ALL {
            let mut names: Vec<_> = fields(kind).map(|(name, _)| name).collect();
            names.sort_unstable();
            let n_names = names.len();
            names.dedup();
            assert_eq!(names.len(), n_names, "{kind:?}");
        }
    }
}
