//! Text from outside, made harmless for Markdown.

use super::{cut, shortened};

/// A name from outside, made harmless and as short as a table bears.
pub(super) fn name(text: &str) -> String {
    escape(&shortened(text))
}

/// A sentence that may hold text from outside, made harmless and no longer than a reader bears.
pub(super) fn sentence(text: &str) -> String {
    const MAX_CHARS: usize = 2_000;
    escape(&cut(text, MAX_CHARS))
}

/// Text from outside, made harmless: no markup, no table cell border, no HTML, no mention, one line.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~'
            | '$' => {
                escaped.push('\\');
                escaped.push(c);
            }
            // Neither `:emoji:` nor an address that links itself; a colon before a space is prose.
            ':' if characters.peek().is_some_and(|next| !next.is_whitespace()) => {
                escaped.push_str("\\:");
            }
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            // A word joiner keeps `@name` from being a mention.
            '@' => escaped.push_str("@\u{2060}"),
            c if c.is_control() || is_direction_mark(c) => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    // An address that links itself without a scheme.
    escaped.replace("www.", "www\u{2060}.")
}

/// An address as an autolink, refused when it could break out of one.
pub(super) fn escape_url(url: &str) -> String {
    let is_plain = url.starts_with("https://") || url.starts_with("http://");
    if is_plain
        && !url.contains(|c: char| c.is_whitespace() || c.is_control() || "<>|\"`".contains(c))
    {
        format!("<{url}>")
    } else {
        escape(url)
    }
}

const fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}
