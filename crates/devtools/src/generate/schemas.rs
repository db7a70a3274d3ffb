//! JSON schemas of every file that stages write or read.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;
use trainyard_core::config::ConfigFile;
use trainyard_core::deployment::Deployment;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::folds::CrossValidation;
use trainyard_core::gate::{BaselineRecord, Verdict};
use trainyard_core::held_out_sample::HeldOutSample;
use trainyard_core::model::{ModelManifest, RunRecord};
use trainyard_core::publication::Publication;

use crate::Generated;

pub(crate) const ADDRESS: &str =
    "https://raw.githubusercontent.com/trainyard/trainyard/main/docs/reference/schema";

/// One file per schema.
pub(crate) fn files() -> anyhow::Result<Vec<Generated>> {
    Ok(vec![
        file::<ConfigFile>("config", "trainyard.toml")?,
        file::<ModelManifest>("model", "model.json")?,
        file::<RunRecord>("run", "run.json")?,
        file::<CrossValidation>("cross-validation", "cross-validation.json")?,
        file::<Evaluation>("evaluation", "evaluation.json")?,
        file::<Verdict>("verdict", "verdict.json")?,
        file::<BaselineRecord>("baseline", "baseline.json")?,
        file::<Publication>("publication", "publication.json")?,
        file::<HeldOutSample>("sample", "sample.json")?,
        file::<Deployment>("deployment", "deployment.json")?,
    ])
}

/// The schema of `T` as JSON.
pub(crate) fn schema<T: JsonSchema>() -> anyhow::Result<Value> {
    let settings = SchemaSettings::draft07();
    let schema = SchemaGenerator::new(settings).into_root_schema_for::<T>();
    Ok(serde_json::to_value(schema)?)
}

fn file<T: JsonSchema>(name: &str, title: &str) -> anyhow::Result<Generated> {
    let path = format!("docs/reference/schema/{name}.schema.json");
    let mut schema = schema::<T>()?;
    schema["title"] = title.into();
    schema["$id"] = format!("{ADDRESS}/{name}.schema.json").into();
    let mut text = serde_json::to_string_pretty(&schema)?;
    text.push('\n');
    Ok(Generated::new(path, text))
}
