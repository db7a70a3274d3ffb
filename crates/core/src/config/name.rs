//! Names that can stand in paths, tags and URLs.

/// What a plain name is, for hints.
pub(super) const PLAIN_NAME: &str =
    "use letters, digits, `-`, `_` and `.`, beginning with a letter or digit";

/// Whether `name` can stand in paths, tags and URLs without escaping.
pub(super) fn is_plain_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}
