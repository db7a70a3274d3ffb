//! Text in an address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// All but the unreserved characters of RFC 3986 section 2.3, so the result is right in a path segment and in a query.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The text as one segment of a path or as a value in a query.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_ends_a_value_or_a_segment() {
        assert_eq!(encode("plain-1_2.3~4"), "plain-1_2.3~4");
        assert_eq!(
            encode("trainyard / a&b=c#d?e+f%"),
            "trainyard%20%2F%20a%26b%3Dc%23d%3Fe%2Bf%25"
        );
        assert_eq!(encode("größe\n"), "gr%C3%B6%C3%9Fe%0A");
    }
}
