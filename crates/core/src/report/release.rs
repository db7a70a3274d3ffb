//! A published model and everything that readers of its release are told.

use std::fmt::Write as _;

use super::Report;
use crate::config::Config;
use crate::evaluation::Evaluation;
use crate::gate::{Comparison, Verdict};
use crate::measurement::Measurement;
use crate::model::ModelManifest;
use crate::publication::Publication;

/// A published model, ready to be rendered for a release.
#[derive(Debug, Clone, Copy)]
pub struct Release<'a> {
    /// The version, without a `v`.
    pub version: &'a str,
    /// The model.
    pub manifest: &'a ModelManifest,
    /// What the gate decided about it.
    pub verdict: &'a Verdict,
    /// Where the baseline came from, in the gate's words; absent where there is none, or it is not known.
    pub baseline_source: Option<&'a str>,
    /// What the gate judged.
    pub evaluation: &'a Evaluation,
    /// The image that holds it, and where that was pushed.
    pub publication: &'a Publication,
    /// How it was made and packaged: format of the data, title, description and licence.
    pub config: &'a Config,
    /// Where the run can be seen.
    pub run_url: Option<&'a str>,
}

impl<'a> Release<'a> {
    /// The verdict as other reports render it.
    pub(super) const fn report(&self) -> Report<'a> {
        Report {
            verdict: self.verdict,
            evaluation: Some(self.evaluation),
            run_url: self.run_url,
            artifact: None,
            tested_commit: None,
            history: &[],
        }
    }

    /// What was measured on all rows, of the metrics that every report shows or that a rule names.
    pub(super) fn headline(&self) -> Vec<&'a Measurement> {
        let report = self.report();
        let rows = report.rows().into_iter();
        let measured = rows.filter_map(|(row, _): (&'a Comparison, _)| row.measured.as_ref());
        measured
            .filter(|found| found.key.is_overall() && found.value.is_finite())
            .collect()
    }

    /// The image by digest, where it was pushed.
    pub(super) fn image_by_digest(&self) -> Option<&'a str> {
        let pushed = self.publication.destinations.first()?;
        Some(&pushed.image)
    }
}

/// Titles and values, in Markdown, as a table without a header.
pub(super) fn facts(rows: &[(&str, String)]) -> String {
    let mut text = "| | |\n| :-- | :-- |\n".to_owned();
    for (title, value) in rows {
        let _ = writeln!(text, "| {title} | {value} |");
    }
    text
}
