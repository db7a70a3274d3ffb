//! Values of YAML front matter, written so that readers of YAML 1.1 and of YAML 1.2 understand the same.

use std::fmt::Write as _;

use serde_json::Value;

/// A text in double quotes, whatever it holds: no reader takes it for a number, a truth value or the end of the document. JSON's
/// escapes are YAML's; what YAML does not count as printable is escaped too (YAML 1.2.2, section 5.1).
pub(super) fn text(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    let mut escaped = String::with_capacity(quoted.len());
    for c in quoted.chars() {
        match c {
            '\u{7F}'..='\u{9F}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{FEFF}'
            | '\u{FFFE}'
            | '\u{FFFF}' => {
                let _ = write!(escaped, "\\u{:04X}", u32::from(c));
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// A finite number with all its digits, without an exponent: readers of YAML 1.1 take `1e-7` for a text.
pub(super) fn number(value: f64) -> String {
    let digits = value.to_string();
    if digits.contains('.') {
        digits
    } else {
        format!("{digits}.0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_cannot_end_its_quotes_or_its_line() {
        assert_eq!(text("a \"b\": \\c\n- d"), r#""a \"b\": \\c\n- d""#);
        assert_eq!(text("größer 猫 😀"), "\"größer 猫 😀\"");
        assert_eq!(
            text("\u{1}\u{85}\u{2028}\u{7F}"),
            r#""\u0001\u0085\u2028\u007F""#
        );
    }

    #[test]
    fn a_number_has_no_exponent() {
        assert_eq!(number(1e-7), "0.0000001");
        assert_eq!(number(1.0), "1.0");
        assert_eq!(number(0.1 + 0.2), "0.30000000000000004");
        assert_eq!(number(-2e16), "-20000000000000000.0");
    }
}
