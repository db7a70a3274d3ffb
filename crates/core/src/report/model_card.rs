//! A model card: metadata that Hugging Face's hub reads, then what people read.

use std::fmt::Write as _;

use super::model_index::{HubTask, front_matter};
use super::release::{Release, facts};
use super::text::{escape, escape_url, name, sentence};
use crate::evaluation::Evaluation;
use crate::figure::{self, count, figure, percent};
use crate::model::{ImportedOrigin, ModelManifest, Origin, TensorSpec, TrainedOrigin};

/// Name of the model card's file, beside `publication.json`.
pub const MODEL_CARD_FILE: &str = "model-card.md";

/// Classes that are named; a card of a thousand classes is not read.
const MAX_CLASSES: usize = 20;

/// Parts of the rows that are named as weak.
const MAX_SEGMENTS: usize = 10;

/// The model card: YAML front matter with a `model-index`, then Markdown.
pub fn model_card(release: &Release<'_>) -> String {
    let title = release.config.image.title.as_ref();
    let title = title.unwrap_or(&release.manifest.name);
    let mut text = format!("---\n{}---\n\n# {}\n\n", front_matter(release), name(title));
    if let Some(description) = &release.config.image.description {
        let _ = writeln!(text, "{}\n", sentence(description));
    }
    let _ = write!(
        text,
        "Version {}, published by Trainyard {}.\n\n## Model\n\n{}\n## Evaluation\n\n{}",
        name(release.version),
        escape(&release.publication.trainyard_version),
        model(release),
        evaluation(release)
    );
    for (title, section) in [
        ("Limitations", limitations(release.evaluation)),
        ("Use", how_to_use(release)),
        ("Provenance", provenance(release)),
    ] {
        if !section.is_empty() {
            let _ = write!(text, "\n## {title}\n\n{section}");
        }
    }
    text
}

fn model(release: &Release<'_>) -> String {
    let manifest = release.manifest;
    let task = HubTask::of(manifest, release.config);
    let mut rows = vec![
        ("Task", task.title.to_owned()),
        ("Input", tensor(&manifest.input)),
        ("Output", tensor(&manifest.output)),
    ];
    rows.extend(classes(manifest).map(|classes| ("Classes", classes)));
    match &manifest.origin {
        Origin::Trained(origin) => rows.extend(of_training(origin)),
        Origin::Imported(ImportedOrigin { tool, .. }) => {
            rows.push(("Training", format!("by {}", name(tool))));
        }
    }
    facts(&rows)
}

fn tensor(tensor: &TensorSpec) -> String {
    let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
    format!(
        "{}: {} of shape ({})",
        name(&tensor.name),
        escape(&tensor.datatype),
        shape.join(", ")
    )
}

fn classes(manifest: &ModelManifest) -> Option<String> {
    let classes = manifest.class_names.as_ref()?;
    let named: Vec<String> = classes
        .iter()
        .take(MAX_CLASSES)
        .map(|class| name(class))
        .collect();
    let n_more = classes.len() - named.len();
    Some(match n_more {
        0 => named.join(", "),
        _ => format!("{}, and {n_more} more", named.join(", ")),
    })
}

fn of_training(origin: &TrainedOrigin) -> [(&'static str, String); 3] {
    let training = &origin.training;
    [
        ("Parameters", training.n_parameters.to_string()),
        (
            "Training",
            format!(
                "{} over {}, {}, seed {}",
                count(training.epochs as u64, "epoch"),
                count(training.n_rows as u64, "row"),
                escape(&training.optimizer),
                origin.seed
            ),
        ),
        ("Training data", format!("`{}`", origin.data_digest)),
    ]
}

fn evaluation(release: &Release<'_>) -> String {
    let evaluation = release.evaluation;
    let mut text = format!(
        "On {} of test data.\n\n| Metric | Value | {} % interval |\n| :-- | --: | :-: |\n",
        count(evaluation.data.rows.n_rows, "row"),
        percent(evaluation.scoring.confidence)
    );
    for measurement in release.headline() {
        let interval = measurement.interval.as_ref().map(figure::interval);
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            name(&measurement.key.metric),
            figure(measurement.value),
            interval.unwrap_or_default()
        );
    }
    text
}

/// What a reader should know beside the numbers: the evaluation's notes, and the parts of the rows that are predicted worse.
fn limitations(evaluation: &Evaluation) -> String {
    let notes = evaluation.notes.iter().map(|note| sentence(note));
    let weak = evaluation.weak_segments.iter().flat_map(|weak| {
        weak.segments.iter().take(MAX_SEGMENTS).map(|segment| {
            let (value, rest) = figure::pair(segment.value, segment.rest);
            format!(
                "Weaker on {}: {} {value} on {}, against {rest} on the rest.",
                name(&segment.name),
                name(&weak.metric),
                count(segment.n_rows, "row"),
            )
        })
    });
    notes
        .chain(weak)
        .map(|line| format!("- {line}\n"))
        .collect()
}

fn how_to_use(release: &Release<'_>) -> String {
    if release.image_by_digest().is_none() {
        return String::new();
    }
    format!(
        "```sh\n{}\n```\n\nThe server answers the Open Inference Protocol and TensorFlow Serving's `predict`.\n",
        release.publication.run_command
    )
}

fn provenance(release: &Release<'_>) -> String {
    let publication = release.publication;
    let images = publication.destinations.iter();
    let mut rows: Vec<(&str, String)> = images
        .map(|destination| ("Image", format!("`{}`", destination.image)))
        .collect();
    rows.push(("Model", format!("`{}`", publication.model_digest)));
    rows.push(("Evaluation", format!("`{}`", publication.evaluation_digest)));
    rows.push(("Test data", format!("`{}`", release.evaluation.data.digest)));
    if let Some(key) = &publication.signing_key {
        rows.push(("Signed with the key", format!("`{key}`")));
    }
    if let Some(commit) = &publication.commit {
        rows.push(("Commit", escape(commit)));
    }
    if let Some(url) = release.run_url {
        rows.push(("Run", escape_url(url)));
    }
    facts(&rows)
}
