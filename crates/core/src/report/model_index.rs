//! The metadata of a model card, as Hugging Face's hub reads it: YAML front matter with a `model-index`
//! (huggingface/hub-docs, `modelcard.md`). Only what is known is written: nothing names a language, a base model or a data set of the
//! hub.

use std::fmt::Write as _;

use super::release::Release;
use super::yaml;
use crate::config::{Config, DataFormat};
use crate::model::{ModelManifest, Task};

/// Licences that the hub knows by the lower-case SPDX identifier (`docs/hub/repositories-licenses.md`).
const LICENSES: [&str; 20] = [
    "afl-3.0",
    "agpl-3.0",
    "apache-2.0",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsl-1.0",
    "cc-by-4.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "epl-2.0",
    "eupl-1.2",
    "gpl-2.0",
    "gpl-3.0",
    "isc",
    "lgpl-3.0",
    "mit",
    "mpl-2.0",
    "unlicense",
];

/// Our name of a metric, and the hub's where it is another one.
const METRICS: [(&str, &str); 2] = [
    ("matthews_corrcoef", "matthews_correlation"),
    ("r2", "r_squared"),
];

/// Metrics that the hub has once, with the average as an argument; our names end in the average.
const AVERAGED: [&str; 4] = ["f1", "precision", "recall", "roc_auc"];
const AVERAGES: [&str; 4] = ["macro", "micro", "weighted", "samples"];

/// What the model is for, in the hub's words.
pub(super) struct HubTask {
    kind: &'static str,
    pub(super) title: &'static str,
    /// Whether it is one of the hub's tasks, which models are searched by.
    is_of_hub: bool,
}

impl HubTask {
    /// Images and tables are known by the format of the data; other arrays may be anything.
    pub(super) fn of(manifest: &ModelManifest, config: &Config) -> Self {
        let has_pixels = manifest.input.shape.len() == 3
            && matches!(config.data.format, DataFormat::Idx | DataFormat::Images);
        let is_table = manifest.columns.is_some();
        let (kind, title, is_of_hub) = match manifest.task {
            Task::Classification if has_pixels => {
                ("image-classification", "Image classification", true)
            }
            Task::Classification if is_table => {
                ("tabular-classification", "Tabular classification", true)
            }
            Task::Regression if is_table => ("tabular-regression", "Tabular regression", true),
            Task::Classification => ("classification", "Classification", false),
            Task::Regression => ("regression", "Regression", false),
        };
        Self {
            kind,
            title,
            is_of_hub,
        }
    }
}

/// The front matter, without the lines that enclose it.
pub(super) fn front_matter(release: &Release<'_>) -> String {
    let mut text = String::new();
    if let Some(spdx) = &release.config.image.licenses {
        match license(spdx) {
            Some(known) => {
                let _ = writeln!(text, "license: {known}");
            }
            None => {
                let _ = writeln!(text, "license: other\nlicense_name: {}", yaml::text(spdx));
            }
        }
    }
    text.push_str("library_name: trainyard\n");
    let task = HubTask::of(release.manifest, release.config);
    if task.is_of_hub {
        let _ = writeln!(text, "pipeline_tag: {}", task.kind);
    }
    // The hub wants a data set's identifier and name. What is known of ours is its digest, which tells results on other rows apart.
    let _ = write!(
        text,
        "tags:\n- trainyard\n\
         model-index:\n\
         - name: {model}\n  results:\n\
         \x20 - task:\n      type: {kind}\n      name: {title}\n\
         \x20   dataset:\n      type: unknown\n      name: test data\n      revision: {digest}\n\
         \x20   metrics:\n",
        model = yaml::text(&release.manifest.name),
        kind = task.kind,
        title = yaml::text(task.title),
        digest = yaml::text(release.evaluation.data.digest.as_str()),
    );
    for measurement in release.headline() {
        let name = &measurement.key.metric;
        let (kind, average) = hub_metric(name);
        let _ = write!(
            text,
            "    - type: {}\n      value: {}\n      name: {}\n",
            yaml::text(kind),
            yaml::number(measurement.value),
            yaml::text(name)
        );
        if let Some(average) = average {
            let _ = write!(text, "      args:\n        average: {average}\n");
        }
    }
    if let Some(url) = release.run_url {
        let url = yaml::text(url);
        let _ = write!(
            text,
            "    source:\n      name: Trainyard\n      url: {url}\n"
        );
    }
    text
}

/// The hub's name of a metric, and the average that it takes.
fn hub_metric(name: &str) -> (&str, Option<&str>) {
    let split = name
        .rsplit_once('_')
        .filter(|(kind, average)| AVERAGED.contains(kind) && AVERAGES.contains(average));
    if let Some((kind, average)) = split {
        return (kind, Some(average));
    }
    let known = METRICS.iter().find(|(ours, _)| *ours == name);
    (known.map_or(name, |(_, hubs)| hubs), None)
}

/// The hub's identifier of a licence, where it has one for the SPDX expression.
fn license(spdx: &str) -> Option<String> {
    let lower = spdx.to_ascii_lowercase();
    let bare = ["-only", "-or-later"]
        .iter()
        .find_map(|suffix| lower.strip_suffix(suffix));
    let bare = bare.unwrap_or(&lower);
    LICENSES.contains(&bare).then(|| bare.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_the_hubs_where_it_knows_it() {
        for (spdx, expected) in [
            ("Apache-2.0", Some("apache-2.0")),
            ("GPL-3.0-or-later", Some("gpl-3.0")),
            ("MIT OR Apache-2.0", None),
            ("LicenseRef-ours", None),
        ] {
            assert_eq!(license(spdx).as_deref(), expected, "{spdx}");
        }
    }

    #[test]
    fn a_metric_is_called_as_on_the_hub() {
        for (ours, expected) in [
            ("f1_macro", ("f1", Some("macro"))),
            ("accuracy", ("accuracy", None)),
            ("r2", ("r_squared", None)),
            ("top_k_accuracy", ("top_k_accuracy", None)),
            ("our_macro", ("our_macro", None)),
        ] {
            assert_eq!(hub_metric(ours), expected);
        }
    }
}
