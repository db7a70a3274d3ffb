//! Charts as Mermaid text, which GitHub draws inside Markdown.

use super::{Report, headline_metric, shortened};
use crate::evaluation::Evaluation;
use crate::figure::figure;
use crate::metrics::ReliabilityBin;

/// Colours that are seen on a light and on a dark page; Mermaid's own are not.
const CHART_STYLE: &str =
    r##"%%{init: {"themeVariables": {"xyChart": {"plotColorPalette": "#0969da, #cf5500"}}}}%%"##;

/// What a chart shows. Texts are of the chart's own language already, see [`plain`].
struct Chart<'a> {
    summary: &'a str,
    title: &'a str,
    x_axis: &'a str,
    x_values: Vec<String>,
    y_axis: &'a str,
    lines: Vec<Vec<f64>>,
}

impl Chart<'_> {
    /// Folded away under its summary.
    fn render(&self) -> String {
        let Self {
            summary,
            title,
            x_axis,
            x_values,
            y_axis,
            lines,
        } = self;
        let x_values = x_values.join(", ");
        let lines: String = lines
            .iter()
            .map(|values| {
                let values: Vec<String> = values.iter().map(|&value| figure(value)).collect();
                format!("  line [{}]\n", values.join(", "))
            })
            .collect();
        format!(
            "<details><summary>{summary}</summary>\n\n```mermaid\n{CHART_STYLE}\nxychart-beta\n  title \"{title}\"\n  x-axis \"{x_axis}\" [{x_values}]\n  y-axis \"{y_axis}\"\n{lines}```\n\n</details>\n"
        )
    }
}

/// The headline metric over the last commits.
pub(super) fn history(report: &Report<'_>) -> String {
    let Some(metric) = headline_metric(report.verdict).map(|row| &row.key.metric) else {
        return String::new();
    };
    let points: Vec<(&str, f64)> = report
        .history
        .iter()
        .filter_map(|point| {
            let value = point.values.get(metric).filter(|value| value.is_finite())?;
            Some((point.commit.as_str(), *value))
        })
        .collect();
    if points.len() < 2 {
        return String::new();
    }
    let metric = plain(&shortened(metric));
    let commits = points.iter().map(|(commit, _)| {
        let short: String = commit.chars().take(7).collect();
        format!("\"{}\"", plain(&short))
    });
    Chart {
        summary: &format!("The last {} commits", points.len()),
        title: &metric,
        x_axis: "commit",
        x_values: commits.collect(),
        y_axis: &metric,
        lines: vec![points.iter().map(|(_, value)| *value).collect()],
    }
    .render()
}

/// The loss of each epoch.
pub(super) fn learning_curve(report: &Report<'_>) -> String {
    let Some(evaluation) = report
        .evaluation
        .filter(|evaluation| evaluation.history.len() > 1)
    else {
        return String::new();
    };
    let history = &evaluation.history;
    let validation: Vec<f64> = history
        .iter()
        .filter_map(|record| record.val_loss)
        .collect();
    let mut lines = vec![history.iter().map(|record| record.loss).collect()];
    let title = if validation.len() == history.len() {
        lines.push(validation);
        "Loss: training, validation"
    } else {
        "Training loss"
    };
    let epochs = history.iter().map(|record| record.epoch.to_string());
    Chart {
        summary: "Learning curve",
        title,
        x_axis: "epoch",
        x_values: epochs.collect(),
        y_axis: "loss",
        lines,
    }
    .render()
}

/// How often predictions of a given confidence are right, bin by bin; empty without scores.
pub fn reliability(evaluation: &Evaluation) -> String {
    let bins = evaluation.reliability.iter().flat_map(|found| &found.bins);
    let bins: Vec<_> = bins.collect();
    if bins.len() < 2 {
        return String::new();
    }
    let of = |value: fn(&ReliabilityBin) -> f64| bins.iter().map(|bin| value(bin)).collect();
    let edges = bins.iter().map(|bin| {
        let rows = bin.n_rows;
        format!(
            "\"{} ({rows})\"",
            figure(f64::midpoint(bin.lower, bin.upper))
        )
    });
    Chart {
        summary: "Reliability",
        title: "Share predicted right, confidence",
        x_axis: "middle of the bin of confidence (rows)",
        x_values: edges.collect(),
        y_axis: "share",
        lines: vec![of(|bin| bin.accuracy), of(|bin| bin.confidence)],
    }
    .render()
}

/// Text for a diagram, whose language has no way to escape: letters, digits and what cannot end a label.
fn plain(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '%');
    text.chars()
        .map(|c| if is_plain(c) { c } else { ' ' })
        .collect()
}
