//! The rows that flipped, as Markdown: by class, one by one, and as a difference of confusion matrices.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::text::{escape_url, name};
use crate::figure::count;
use crate::gate::{ConfusionChange, Flip, Flips};

/// Rows of each kind that a comment shows.
const MAX_SHOWN: usize = 20;

/// Classes up to which the difference of confusion is drawn as a matrix.
const MAX_MATRIX: usize = 12;

/// Cells that are listed where there is no room for a matrix.
const MAX_CELLS: usize = 12;

/// The section; empty where nothing flipped.
pub(super) fn render(flips: &Flips) -> String {
    if flips.n_lost + flips.n_gained == 0 {
        return String::new();
    }
    // What got worse is to be seen without a click.
    let open = if flips.n_lost > 0 { " open" } else { "" };
    let mut text = format!(
        "<details{open}><summary>{} newly wrong, {} newly right, of {}</summary>\n\n",
        flips.n_lost,
        flips.n_gained,
        count(flips.n_rows, "row")
    );
    text += "| Class | Newly wrong | Newly right |\n| :-- | --: | --: |\n";
    for class in flips.classes.iter().take(MAX_SHOWN) {
        let _ = writeln!(
            text,
            "| {} | {} | {} |",
            name(&class.class),
            class.n_lost,
            class.n_gained
        );
    }
    let n_more = flips.classes.len().saturating_sub(MAX_SHOWN);
    if n_more > 0 {
        let _ = writeln!(text, "\nand {n_more} more classes");
    }
    for (title, rows, n_all) in [
        ("Newly wrong", &flips.lost, flips.n_lost),
        ("Newly right", &flips.gained, flips.n_gained),
    ] {
        if !rows.is_empty() {
            text += &table(title, rows, n_all);
        }
    }
    text += &confusion(&flips.confusion_changes);
    text += "\n</details>\n";
    text
}

fn table(title: &str, rows: &[Flip], n_all: u64) -> String {
    let has_before = rows.iter().any(|row| row.before.is_some());
    let mut text = format!("\n**{title}**\n\n| Row | Label |");
    text += if has_before {
        " Baseline | This commit |\n| :-- | :-- | :-- | :-- |\n"
    } else {
        " This commit |\n| :-- | :-- | :-- |\n"
    };
    for row in rows.iter().take(MAX_SHOWN) {
        let _ = write!(text, "| {}", name(&row.row));
        if let Some(link) = &row.link {
            let _ = write!(text, " {}", escape_url(link));
        }
        let _ = write!(text, " | {} |", name(&row.label));
        if has_before {
            let _ = write!(text, " {} |", name(row.before.as_deref().unwrap_or("")));
        }
        let _ = writeln!(text, " {} |", name(&row.now));
    }
    let n_more = n_all - (rows.len().min(MAX_SHOWN) as u64);
    if n_more > 0 {
        let _ = writeln!(text, "\nand {n_more} more");
    }
    text
}

/// By how many rows each kind of confusion grew or shrank.
fn confusion(changes: &[ConfusionChange]) -> String {
    if changes.is_empty() {
        return String::new();
    }
    let title = "\n**Confusions, change in rows** (label down, prediction across)\n\n";
    let names: BTreeSet<&str> = changes
        .iter()
        .flat_map(|change| [change.label.as_str(), change.predicted.as_str()])
        .collect();
    if names.len() > MAX_MATRIX {
        let mut largest: Vec<&ConfusionChange> = changes.iter().collect();
        largest.sort_by_key(|change| std::cmp::Reverse(change.n_more.abs()));
        let mut text = String::from(
            "\n**Confusions that changed most**\n\n| Label | Prediction | Rows |\n| :-- | :-- | --: |\n",
        );
        for change in largest.into_iter().take(MAX_CELLS) {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                name(&change.label),
                name(&change.predicted),
                signed(change.n_more)
            );
        }
        return text;
    }
    let mut text = format!("{title}| |");
    for predicted in &names {
        let _ = write!(text, " {} |", name(predicted));
    }
    text += "\n| :-- |";
    text += &" --: |".repeat(names.len());
    text.push('\n');
    for label in &names {
        let _ = write!(text, "| **{}** |", name(label));
        for predicted in &names {
            let found = changes
                .iter()
                .find(|change| change.label == **label && change.predicted == **predicted);
            let cell = found.map_or_else(String::new, |change| signed(change.n_more));
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text
}

/// A number of rows with its sign; nothing for 0.
pub(super) fn signed(n: i64) -> String {
    match n {
        0 => String::new(),
        n if n > 0 => format!("+{n}"),
        n => format!("−{}", n.unsigned_abs()),
    }
}
