//! An error with all that it comes from, in one line: the only place that walks a chain for people to read.

use std::error::Error;

/// What the line begins with that says what to do.
const HINT: &str = "hint: ";

/// The error and its causes, and below them their hints. A cause that an error above it has said already is left out. Of
/// other lines than the first only hints are kept, since some libraries print their backtrace.
pub fn in_one_line(error: &(dyn Error + 'static)) -> String {
    let (mut text, mut hints) = (String::new(), Vec::new());
    for error in std::iter::successors(Some(error), |error| (*error).source()) {
        let message = error.to_string();
        let mut lines = message.lines();
        let first = lines.next().unwrap_or_default().trim_end();
        if text.is_empty() {
            text.push_str(first);
        } else if !text.ends_with(first) {
            text.push_str(": ");
            text.push_str(first);
        }
        for hint in lines.filter(|line| line.starts_with(HINT)) {
            if !hints.iter().any(|known| known == hint) {
                hints.push(hint.to_owned());
            }
        }
    }
    for hint in hints {
        text.push('\n');
        text.push_str(&hint);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    fn chain(texts: &[&'static str]) -> Option<Box<Link>> {
        let (text, rest) = texts.split_first()?;
        let source = chain(rest);
        Some(Box::new(Link { text, source }))
    }

    #[test]
    fn each_cause_is_said_once() {
        for (texts, expected) in [
            (&["a"][..], "a"),
            (&["a", "b", "c"], "a: b: c"),
            (&["a", "a", "b"], "a: b"),
            (
                &["cannot read: no such file", "no such file"],
                "cannot read: no such file",
            ),
            (&["a", "b\n   0: backtrace\n", "c"], "a: b: c"),
            (&["a", "", "b"], "a: b"),
            (&["a\nhint: b"], "a\nhint: b"),
            (
                &["a\nhint: x", "b\nhint: y", "c"],
                "a: b: c\nhint: x\nhint: y",
            ),
            (&["a\nhint: x", "a\nhint: x"], "a\nhint: x"),
        ] {
            assert_eq!(in_one_line(&*chain(texts).unwrap()), expected);
        }
    }
}
