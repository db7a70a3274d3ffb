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
            "| {} | {} | {} | {} | {} | {limit} | {} | {} | {} | {} | {verdict} |",
            cell.metric,
            cell.population,
            cell.n,
            percent(cell.miss_below()),
            percent(cell.miss_above()),
            percent(cell.refused()),
            number(cell.width(), 4),
            number(cell.bootstrap_width(), 4),
            number(cell.ratio(), 2),
        );
    }
    text
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Empty where no sample has an interval.
fn number(value: f64, n_decimals: usize) -> String {
    if value.is_nan() {
        String::new()
    } else {
        format!("{value:.n_decimals$}")
    }
}
