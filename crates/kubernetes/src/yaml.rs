//! Objects as YAML, and YAML as values.

use serde_json::Value;
use trainyard_core::error_chain::in_one_line;

/// Why text is not YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct YamlError(String);

/// Objects as one file of several documents.
pub fn documents<'a>(objects: impl IntoIterator<Item = &'a Value>) -> String {
    let texts = objects.into_iter().map(text);
    texts.collect::<Vec<_>>().join("---\n")
}

/// A value as YAML.
pub(crate) fn text(value: &Value) -> String {
    // A reference with its digest stays on the line of its key.
    let options = serde_saphyr::ser_options! { prefer_block_scalars: false };
    let text = serde_saphyr::to_string_with_options(value, options);
    let mut text = text.expect("JSON is YAML");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The documents of a file.
pub(crate) fn parse(text: &str) -> Result<Vec<Value>, YamlError> {
    serde_saphyr::from_multiple(text).map_err(|error| YamlError(in_one_line(&error)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What looks like another type must stay text: a version, a commit of digits and one `e`, the word `yes`.
    #[test]
    fn what_is_written_is_read_back() {
        let objects = [
            json!({ "apiVersion": "v1", "metadata": { "annotations": {
                "a": "1.10", "b": "12e3", "c": "yes", "d": "null", "e": "0x1f", "f": "a: b # c", "g": "", "h": "- x", "i": "1:30", "j": "true",
                "k": "two\nlines", "l": "\u{e9}", "m": "~", "n": "2026-11-30", "o": "1_000", "p": ".5", "q": "0777", "r": "%x", "s": "no",
            } } }),
            json!({ "list": [1, "2", [], {}, null, true, 0.5] }),
        ];
        let text = documents(&objects);
        assert_eq!(parse(&text).unwrap(), objects, "{text}");
    }

    #[test]
    fn what_is_not_yaml_is_an_error() {
        assert!(parse("a: [1").is_err());
        assert!(parse("a: 1\na: 2").is_err());
    }
}
