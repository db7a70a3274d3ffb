//! The model card: what the model is, on what data it was trained and tested, and every figure of its evaluation.

use std::collections::BTreeSet;

use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::measurement::{Fold, Measurement, MetricKey};
use trainyard_core::model::{Artifact, ModelManifest, NetworkArtifact, Origin, Task, TensorSpec};

use super::document::{
    Approach, ConfidenceInterval, Considerations, Contents, Dataset, Format, ModelCard,
    ModelParameters, PerformanceMetric, QuantitativeAnalysis,
};
use super::property;

pub(super) fn model_card(manifest: &ModelManifest, evaluation: &Evaluation) -> ModelCard {
    let (architecture_family, model_architecture) = architecture(&manifest.artifact);
    let metrics = evaluation.measurements.iter().map(performance_metric);
    let technical_limitations = limitations(evaluation);
    ModelCard {
        model_parameters: ModelParameters {
            approach: Approach { kind: "supervised" },
            task: match manifest.task {
                Task::Classification => "classification",
                Task::Regression => "regression",
            },
            architecture_family,
            model_architecture,
            datasets: datasets(manifest, evaluation),
            inputs: vec![format(&manifest.input)],
            outputs: vec![format(&manifest.output)],
        },
        quantitative_analysis: QuantitativeAnalysis {
            performance_metrics: metrics.collect(),
        },
        considerations: (!technical_limitations.is_empty()).then_some(Considerations {
            technical_limitations,
        }),
        properties: confidences(evaluation)
            .into_iter()
            .map(|confidence| property("dev.trainyard.interval.confidence", confidence))
            .collect(),
    }
}

/// The family and the layers, in words.
fn architecture(artifact: &Artifact) -> (String, String) {
    match artifact {
        Artifact::Network(NetworkArtifact { architecture, .. }) => {
            let layers: Vec<_> = architecture
                .iter()
                .map(|named| named.layer.type_name())
                .collect();
            let is_convolutional = layers.iter().any(|layer| layer.contains("Conv"));
            let family = if is_convolutional {
                "convolutional neural network"
            } else {
                "feed-forward neural network"
            };
            (family.to_owned(), layers.join(", "))
        }
        Artifact::Onnx(onnx) => (
            "ONNX graph".to_owned(),
            format!("operator set {}", onnx.opset_version),
        ),
    }
}

fn datasets(manifest: &ModelManifest, evaluation: &Evaluation) -> Vec<Dataset> {
    let dataset = |name, digest: &Sha256Digest, n_rows: u64| Dataset {
        kind: "dataset",
        name,
        contents: Contents {
            properties: vec![
                property("dev.trainyard.data.digest", digest),
                property("dev.trainyard.data.rows", n_rows),
            ],
        },
    };
    let training = match &manifest.origin {
        Origin::Trained(trained) => Some(dataset(
            "training data",
            &trained.data_digest,
            trained.training.n_rows as u64,
        )),
        Origin::Imported(_) => None,
    };
    let test = &evaluation.data;
    training
        .into_iter()
        .chain([dataset("test data", &test.digest, test.rows.n_rows)])
        .collect()
}

/// `input: FP32 [28, 28, 1]`
fn format(tensor: &TensorSpec) -> Format {
    Format {
        format: format!("{}: {} {:?}", tensor.name, tensor.datatype, tensor.shape),
    }
}

fn performance_metric(measurement: &Measurement) -> PerformanceMetric {
    PerformanceMetric {
        kind: measurement.key.metric.clone(),
        value: number(measurement.value),
        slice: slice(&measurement.key),
        confidence_interval: measurement.interval.map(|interval| ConfidenceInterval {
            lower_bound: number(interval.lower),
            upper_bound: number(interval.upper),
        }),
    }
}

/// The part of the rows that a metric is of: `class=7, country=DE`; `None` for all rows.
fn slice(key: &MetricKey) -> Option<String> {
    let MetricKey {
        metric: _,
        class,
        output,
        slice,
        fold,
    } = key;
    let parts = [
        class.as_ref().map(|class| format!("class={class}")),
        output.as_ref().map(|output| format!("output={output}")),
        slice.clone(),
        fold.map(|fold| match fold {
            Fold::Index(idx) => format!("fold={idx}"),
            Fold::Mean => "fold=mean".to_owned(),
        }),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// All digits: read back, it is the same number.
fn number(value: f64) -> String {
    format!("{value:?}")
}

/// The levels of the intervals, for which a model card has no field.
fn confidences(evaluation: &Evaluation) -> BTreeSet<String> {
    let intervals = evaluation.measurements.iter();
    intervals
        .filter_map(|measurement| Some(number(measurement.interval?.confidence)))
        .collect()
}

/// What a reader should know beside the numbers: the evaluation's notes, metrics without a value, weak segments.
fn limitations(evaluation: &Evaluation) -> Vec<String> {
    let undefined = evaluation
        .undefined
        .iter()
        .map(|undefined| format!("{} is not defined: {}.", undefined.key, undefined.reason));
    let weak = evaluation.weak_segments.iter().flat_map(|weak| {
        weak.segments.iter().map(|segment| {
            format!(
                "Weaker on {}: {} {} on {} rows, against {} on the rest.",
                segment.name,
                weak.metric,
                number(segment.value),
                segment.n_rows,
                number(segment.rest)
            )
        })
    });
    evaluation
        .notes
        .iter()
        .cloned()
        .chain(undefined)
        .chain(weak)
        .collect()
}
