//! Index templates and lifecycle policy for Elasticsearch, as stages install them, for those who may.

use trainyard_telemetry::template_files;

use crate::Generated;

/// One file per template, and the policy.
pub(crate) fn files() -> anyhow::Result<Vec<Generated>> {
    let files = template_files().into_iter().map(|(name, value)| {
        let mut text = serde_json::to_string_pretty(&value)?;
        text.push('\n');
        let path = format!("examples/monitoring/elasticsearch/results/{name}");
        Ok(Generated::new(path, text))
    });
    files.collect()
}
