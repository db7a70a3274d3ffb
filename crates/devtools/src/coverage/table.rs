//! The table, as Markdown.

use std::fmt::Write as _;

use crate::simulation::{Cell, Claim, Settings};

/// The whole table, a row a cell.
pub(crate) fn render(cells: &[Cell], settings: &Settings) -> String {
    let mut text = String::from(
        "| metric | population | rows | misses below | misses above | limit | inconclusive | mean width | bootstrap's | ratio | claim |\n\
         | :-- | :-- | --: | --: | --: | --: | --: | --: | --: | --: | :-- |\n",
    );
    for cell in cells {
        let limit = match cell.claim {
            Claim::None => String::new(),
            _ => percent(settings.miss_limit()),
        };
        let verdict = match (cell.claim, cell.verdict(settings)) {
            (Claim::None, _) => "none".to_owned(),
            (_, Ok(())) => "holds".to_owned(),
            (_, Err(broken)) => format!("**broken: {}**", broken.join(", ")),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {limit} | {} | {:.4} | {:.4} | {:.2} | {verdict} |",
            cell.metric,
            cell.population,
            cell.n,
            percent(cell.miss_below()),
            percent(cell.miss_above()),
            percent(cell.refused()),
            cell.width(),
            cell.bootstrap_width(),
            cell.ratio(),
        );
    }
    text
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
