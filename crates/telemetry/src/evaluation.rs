//! An evaluation: one document with its metrics of all rows, and one for each measurement, which is what charts are made of.

use serde_json::{Map, Value, json};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::measurement::{Fold, Measurement, MetricKey};
use trainyard_core::metrics::catalog;

use crate::circumstances::{Circumstances, Content};
use crate::document::{Document, Kind};

/// Measurements of one evaluation that get a document each: with thousands of classes there are more, and the evaluation keeps them all.
const MAX_MEASUREMENTS: usize = 5_000;

impl Circumstances<'_> {
    /// The documents of an evaluation, whose file has the digest `digest`.
    pub fn evaluation(&self, evaluation: &Evaluation, digest: &Sha256Digest) -> Vec<Document> {
        let shown = &evaluation.measurements[..evaluation.measurements.len().min(MAX_MEASUREMENTS)];
        let n_omitted = evaluation.measurements.len() - shown.len();
        if n_omitted > 0 {
            tracing::warn!(
                "{n_omitted} of {} measurements are not indexed: the first {MAX_MEASUREMENTS} of an evaluation are, those of all rows before those of classes, slices and folds",
                evaluation.measurements.len()
            );
        }
        let measurements = shown
            .iter()
            .map(|found| self.measurement(evaluation, digest, found));
        let mut documents = vec![self.whole(evaluation, digest, n_omitted)];
        documents.extend(measurements);
        documents
    }

    fn whole(&self, evaluation: &Evaluation, digest: &Sha256Digest, n_omitted: usize) -> Document {
        let metrics: Map<String, Value> = evaluation
            .headline()
            .map(|found| (field_name(&found.key.metric), found.value.into()))
            .collect();
        let content = Content {
            known: json!({
                "model": model_of(evaluation),
                "evaluation": {
                    "digest": digest,
                    "n_rows": evaluation.data.rows.n_rows,
                    "rows_digest": evaluation.data.rows.digest,
                    "data_digest": evaluation.data.digest,
                    "confidence": evaluation.scoring.confidence,
                    "n_measurements": evaluation.measurements.len(),
                    "n_measurements_omitted": n_omitted,
                    "n_undefined": evaluation.undefined.len(),
                    "threshold": evaluation.threshold.as_ref().map(|applied| applied.value),
                    "notes": evaluation.notes,
                },
                "overriding_inputs": evaluation.overriding_inputs,
                "metrics": metrics,
            }),
            ..Content::default()
        };
        self.document(Kind::Evaluation, content)
    }

    fn measurement(
        &self,
        evaluation: &Evaluation,
        digest: &Sha256Digest,
        found: &Measurement,
    ) -> Document {
        let mut metric = metric_of(&found.key);
        metric.extend(figures_of(found));
        let content = Content {
            known: json!({
                "model": model_of(evaluation),
                "evaluation": { "digest": digest },
                "metric": metric,
            }),
            ..Content::default()
        };
        self.document(Kind::Measurement, content)
    }
}

fn model_of(evaluation: &Evaluation) -> Value {
    json!({
        "name": evaluation.model.name,
        "digest": evaluation.model.digest,
        "task": evaluation.task,
        "size_bytes": evaluation.model.size_bytes,
    })
}

/// What a measurement is of, in fields by which documents are filtered and grouped.
pub(crate) fn metric_of(key: &MetricKey) -> Map<String, Value> {
    let MetricKey {
        metric,
        class,
        output,
        slice,
        fold,
    } = key;
    let parts = [
        ("class", class.is_some()),
        ("output", output.is_some()),
        ("slice", slice.is_some()),
        ("fold", fold.is_some()),
    ];
    let parts = parts.into_iter().filter(|(_, is_there)| *is_there);
    let scope: Vec<&str> = parts.map(|(part, _)| part).collect();
    let scope = if scope.is_empty() {
        "overall".to_owned()
    } else {
        scope.join("+")
    };
    let fold = fold.map(|fold| match fold {
        Fold::Index(idx) => idx.to_string(),
        Fold::Mean => "mean".to_owned(),
    });
    let fields = json!({
        "name": metric,
        "key": key.to_string(),
        "scope": scope,
        "is_headline": key.is_overall() && catalog::is_headline(metric),
        "class": class,
        "output": output,
        "slice": slice,
        "fold": fold,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => unreachable!("an object is written above"),
    }
}

/// Value and interval of a measurement.
pub(crate) fn figures_of(found: &Measurement) -> Map<String, Value> {
    let interval = found.interval.as_ref();
    let fields = json!({
        "value": found.value,
        "unit": found.unit_name.as_ref().map_or_else(|| json!(found.unit), |name| json!(name)),
        "direction": found.direction,
        "lower": interval.map(|interval| interval.lower),
        "upper": interval.map(|interval| interval.upper),
        "confidence": interval.map(|interval| interval.confidence),
        "method": interval.map(|interval| interval.method),
        "n_rows": found.n_rows,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => unreachable!("an object is written above"),
    }
}

/// A metric's name as a field's: a dot would make an object of it, which cannot be where another document has a number.
fn field_name(metric: &str) -> String {
    metric.replace('.', "_")
}
