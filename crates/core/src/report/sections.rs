//! Markdown in sections, fitted to a limit of characters: the least important are omitted first, and named.

use std::fmt::Write as _;

/// A part of a document; the highest `rank` is left out first.
pub(super) struct Section {
    /// What it is called where it was omitted.
    pub(super) name: &'static str,
    pub(super) rank: usize,
    pub(super) text: String,
}

/// The sections in their order, with an empty line between each two. What does not fit into `max_chars` is omitted, the last of the
/// least important first; a line names it, and `elsewhere` says in a sentence where it is.
pub(super) fn fitted(mut sections: Vec<Section>, max_chars: usize, elsewhere: &str) -> String {
    sections.retain(|section| !section.text.is_empty());
    let mut omitted: Vec<&str> = Vec::new();
    loop {
        let text = joined(&sections, &omitted, elsewhere);
        if text.chars().count() <= max_chars {
            return text;
        }
        let least = sections
            .iter()
            .enumerate()
            .max_by_key(|(_, section)| section.rank)
            .map(|(idx, _)| idx);
        match least.filter(|_| sections.len() > 1) {
            Some(idx) => omitted.push(sections.remove(idx).name),
            None => return text.chars().take(max_chars).collect(),
        }
    }
}

fn joined(sections: &[Section], omitted: &[&str], elsewhere: &str) -> String {
    let mut text = sections
        .iter()
        .map(|section| section.text.as_str())
        .collect::<Vec<_>>()
        .join("\n");
    if !omitted.is_empty() {
        let _ = writeln!(
            text,
            "\n_Omitted to fit GitHub's size limit: {}. {elsewhere}_",
            omitted.join(", ")
        );
    }
    text
}
