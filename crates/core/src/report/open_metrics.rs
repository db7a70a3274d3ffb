//! The flat metrics in OpenMetrics' text format, which GitLab compares with those of the target branch and shows in a merge
//! request.
//!
//! Names are label values: a numeric column or another tool may name its metric by characters that a metric's name cannot
//! hold, and two such names must not become one.
//!
//! Format: <https://prometheus.io/docs/specs/om/open_metrics_spec/>.

use std::fmt::Write as _;

use crate::evaluation::Evaluation;

/// The evaluation's metrics of all rows, as `metrics.json` has them, one sample of the gauge `trainyard_metric` each.
pub fn open_metrics(evaluation: &Evaluation) -> String {
    let mut text = String::from(
        "# TYPE trainyard_metric gauge\n# HELP trainyard_metric Metric of a model over all rows of its evaluation.\n",
    );
    let model = escaped(&evaluation.model.name);
    for measurement in evaluation.headline() {
        let metric = escaped(&measurement.key.metric);
        let _ = writeln!(
            text,
            "trainyard_metric{{model=\"{model}\",metric=\"{metric}\"}} {}",
            measurement.value
        );
    }
    text.push_str("# EOF\n");
    text
}

/// A label's value between its quotes.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
