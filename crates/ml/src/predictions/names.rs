//! Names and cells from a file, as short as a message bears.

/// The first few of many names.
pub(super) fn some<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const MAX_NAMES: usize = 10;
    let mut names = names.into_iter();
    let shown: Vec<String> = names.by_ref().take(MAX_NAMES).map(shortened).collect();
    let more = names.count();
    if more == 0 {
        shown.join(", ")
    } else {
        format!("{} and {more} more", shown.join(", "))
    }
}

/// A cell as long as a message bears.
pub(super) fn shortened(cell: &str) -> String {
    const MAX_CHARS: usize = 80;
    let mut characters = cell.chars();
    let start: String = characters.by_ref().take(MAX_CHARS).collect();
    if characters.next().is_some() {
        format!("{start}…")
    } else {
        start
    }
}
