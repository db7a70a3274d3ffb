//! Slices and folds in a few lines, for a terminal and the step summary.

use trainyard_core::evaluation::Evaluation;
use trainyard_core::figure::{self, count, figure};
use trainyard_core::metrics::catalog;
use trainyard_core::report::{self, FoldFigures, SliceTable};

use crate::interval;

/// Slices that are shown; all are on the page.
const MAX_SLICES: usize = 5;

/// A heading and a small table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Brief {
    heading: String,
    header: [&'static str; 4],
    rows: Vec<[String; 4]>,
}

/// The mean of each metric over the folds.
pub(crate) fn folds(evaluation: &Evaluation) -> Option<Brief> {
    let figures = FoldFigures::of(evaluation)?;
    let rows = figures.metrics.iter().zip(&figures.means);
    let rows = rows.filter_map(|(metric, (mean, deviation))| {
        let mean = mean.as_ref()?;
        Some([
            (*metric).to_owned(),
            figure(mean.value),
            deviation.map_or_else(String::new, figure),
            interval(mean),
        ])
    });
    Some(Brief {
        heading: format!("Mean of {}", count(figures.rows.len() as u64, "fold")),
        header: ["Metric", "Mean", "Deviation", "Interval"],
        rows: rows.collect(),
    })
}

/// The mean of each metric over the seeds.
pub(crate) fn seeds(evaluation: &Evaluation) -> Option<Brief> {
    let table = evaluation.seeds.as_ref()?;
    let shown = table.spreads.iter();
    let shown = shown.filter(|spread| catalog::is_headline(&spread.metric));
    let rows = shown.map(|spread| {
        let interval = spread.interval.as_ref().map(figure::interval);
        [
            spread.metric.clone(),
            figure(spread.mean),
            figure(spread.deviation),
            interval.unwrap_or_default(),
        ]
    });
    Some(Brief {
        heading: format!("Mean of {}", count(table.models.len() as u64, "seed")),
        header: ["Metric", "Mean", "Deviation", "Interval"],
        rows: rows.collect(),
    })
}

/// The worst slices.
pub(crate) fn slices(evaluation: &Evaluation) -> Option<Brief> {
    let table = SliceTable::of(evaluation);
    let metric = table.metrics.first()?;
    let worst = table.measured().take(MAX_SLICES).filter_map(|row| {
        let found = row.cells.first().copied().flatten()?;
        let n_rows = row.slice.n_rows.to_string();
        Some([
            row.slice.name.clone(),
            figure(found.value),
            n_rows,
            interval(found),
        ])
    });
    let n_measured = table.measured().count();
    let n_few = table.rows.len() - n_measured;
    let few = match n_few {
        0 => String::new(),
        n_few => format!("; {n_few} more with too few rows"),
    };
    Some(Brief {
        heading: format!(
            "Worst of {} by {metric}{few}",
            count(n_measured as u64, "slice")
        ),
        header: ["Slice", "Value", "Rows", "Interval"],
        rows: worst.collect(),
    })
}

/// Segments that a search found to be worse than the rest.
pub(crate) fn segments(evaluation: &Evaluation) -> Option<Brief> {
    let found = evaluation.weak_segments.as_ref()?;
    if found.segments.is_empty() {
        return None;
    }
    let rows = found.segments.iter().take(MAX_SLICES).map(|segment| {
        [
            segment.name.clone(),
            figure(segment.value),
            segment.n_rows.to_string(),
            format!("{} in the rest", figure(segment.rest)),
        ]
    });
    Some(Brief {
        heading: format!("Weak segments by {} (no rule judges them)", found.metric),
        header: ["Segment", "Value", "Rows", "Compared with"],
        rows: rows.collect(),
    })
}

impl Brief {
    /// Aligned, without control characters, which names of slices may hold.
    pub(crate) fn plain(&self) -> String {
        let visible = |text: &String| -> String {
            text.chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect()
        };
        let rows: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.iter().map(visible).collect())
            .collect();
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells
                .chain([self.header[column].chars().count()])
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.header.len()).map(width).collect();
        let header = self.header.map(str::to_lowercase).to_vec();
        let lines = std::iter::once(header).chain(rows).map(|row| {
            let cells = row.iter().zip(&widths);
            let cells: Vec<String> = cells
                .map(|(cell, width)| format!("{cell}{}", " ".repeat(width - cell.chars().count())))
                .collect();
            format!("{}\n", cells.join("  ").trim_end())
        });
        format!("{}:\n{}", self.heading, lines.collect::<String>())
    }

    /// A table of Markdown.
    pub(crate) fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let rows = self
            .rows
            .iter()
            .map(|row| line(row.iter().map(|cell| report::escape(cell)).collect()));
        format!(
            "{}\n\n{}| :-- | --: | --: | :-: |\n{}",
            report::escape(&self.heading),
            line(self.header.map(str::to_owned).to_vec()),
            rows.collect::<String>()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_cannot_break_the_table_or_steer_the_terminal() {
        let brief = Brief {
            heading: "Worst of 2 slices by accuracy".to_owned(),
            header: ["Slice", "Value", "Rows", "Interval"],
            rows: vec![
                ["a=x|y\u{1b}[31m", "0.5", "40", "0.3 – 0.7"].map(str::to_owned),
                ["a=longer", "0.75", "1000", "0.72 – 0.78"].map(str::to_owned),
            ],
        };
        assert_eq!(
            brief.plain(),
            "Worst of 2 slices by accuracy:\n\
             slice       value  rows  interval\n\
             a=x|y [31m  0.5    40    0.3 – 0.7\n\
             a=longer    0.75   1000  0.72 – 0.78\n"
        );
        let markdown = brief.markdown();
        assert_eq!(markdown.lines().count(), 6, "{markdown}");
        assert!(!markdown.contains("x|y"), "{markdown}");
    }
}
