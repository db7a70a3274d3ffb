//! Prometheus's text format: families, samples and labels.

use std::fmt::Write as _;

/// A page on its way. Writing to memory does not fail.
#[derive(Default)]
pub(crate) struct Page(String);

impl Page {
    pub(crate) fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(
            self.0,
            "# HELP trainyard_{name} {help}\n# TYPE trainyard_{name} {kind}\n"
        );
    }

    pub(crate) fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "trainyard_{name} {value}")
        } else {
            writeln!(self.0, "trainyard_{name}{{{labels}}} {value}")
        };
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// The labels that every series of a model carries.
pub(crate) fn model_labels(name: &str, version: &str) -> String {
    format!("model=\"{}\",version=\"{version}\"", escaped(name))
}

/// A label's value.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
