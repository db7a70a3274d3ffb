//! Keeps secrets out of what we print: the values of variables whose names say that they are secret.
//!
//! GitHub masks its own secrets in its own log; ours also reach files, other CI systems and log collectors.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::environment::Environment;

/// What stands where a secret was.
const MASK: &str = "***";

/// Shorter values are left alone: masking `1` or `on` would tear holes into every message and hide nothing.
const MIN_SECRET_BYTES: usize = 4;

/// A variable is secret when its name is one of these, or ends with `_` and one of these.
const SECRET_NAMES: [&str; 10] = [
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "SECRET",
    "PASSPHRASE",
    "CREDENTIALS",
    "API_KEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
    "SIGNING_KEY",
];

/// Replaces secrets in text. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Redactor {
    /// Every form in which a secret may appear.
    secrets: Arc<[String]>,
}

impl Redactor {
    /// Takes the secrets from the variables named like `GITHUB_TOKEN`, `REGISTRY_PASSWORD` or `CLIENT_SECRET`.
    pub fn from_environment(environment: &Environment) -> Self {
        let values = environment.iter().filter(|(name, _)| is_secret(name));
        Self::new(values.map(|(_, value)| value))
    }

    /// The secrets of this process's environment.
    pub fn from_process() -> Self {
        Self::from_environment(&Environment::from_process())
    }

    /// Masks the given values, each line of theirs, and both as JSON and Rust's `{:?}` would quote them.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut secrets: Vec<String> = values.into_iter().flat_map(forms).collect();
        secrets.retain(|secret| secret.len() >= MIN_SECRET_BYTES);
        secrets.sort_unstable();
        secrets.dedup();
        Self {
            secrets: secrets.into(),
        }
    }

    /// The text with every secret replaced by `***`. Overlapping secrets are replaced together.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let ranges = merge(self.find_all(text));
        if ranges.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut redacted = String::with_capacity(text.len());
        let mut end_of_last = 0;
        for range in ranges {
            redacted.push_str(text.get(end_of_last..range.start).unwrap_or_default());
            redacted.push_str(MASK);
            end_of_last = range.end;
        }
        redacted.push_str(text.get(end_of_last..).unwrap_or_default());
        Cow::Owned(redacted)
    }

    /// Where secrets stand, those included that overlap themselves.
    fn find_all(&self, text: &str) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        for secret in self.secrets.iter() {
            let first_char_bytes = secret.chars().next().map_or(1, char::len_utf8);
            let mut from = 0;
            while let Some(found) = text.get(from..).and_then(|rest| rest.find(secret.as_str())) {
                let start = from + found;
                ranges.push(start..start + secret.len());
                from = start + first_char_bytes;
            }
        }
        ranges
    }
}

/// Says how many secrets it knows, and none of them.
impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET_NAMES.iter().any(|secret| {
        name.strip_suffix(secret)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('_'))
    })
}

fn forms(value: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for plain in std::iter::once(value).chain(value.lines()).map(str::trim) {
        for quoted in [
            format!("{plain:?}"),
            serde_json::Value::from(plain).to_string(),
        ] {
            let inner = quoted
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'));
            forms.extend(inner.map(str::to_owned));
        }
        forms.push(plain.to_owned());
    }
    forms
}

/// Joins the ranges that overlap or touch, in the order of the text.
fn merge(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_say_secret() {
        for name in [
            "GITHUB_TOKEN",
            "TOKEN",
            "INPUT_TOKEN",
            "REGISTRY_PASSWORD",
            "client_secret",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["PATH", "TOKENIZER", "MYTOKEN", "GITHUB_SHA"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn secrets_are_replaced_whole_and_in_every_quoting() {
        let environment: Environment = [
            ("A_TOKEN", "abcdef"),
            ("B_TOKEN", "defghi"),
            ("C_PASSWORD", "two words\n-line two-"),
            ("D_SECRET", "say \"x\""),
            ("E_TOKEN", "on"),
            ("HOME", "/home/me"),
        ]
        .into_iter()
        .collect();
        let redactor = Redactor::from_environment(&environment);
        assert_eq!(redactor.redact("1 abcdefghi 2"), "1 *** 2");
        assert_eq!(redactor.redact("-line two-, alone"), "***, alone");
        assert_eq!(
            redactor.redact(r#"{:?} is "say \"x\"""#),
            r#"{:?} is "***""#
        );
        assert_eq!(redactor.redact("on at /home/me"), "on at /home/me");
        assert_eq!(format!("{redactor:?}").matches("abc").count(), 0);
    }

    proptest! {
        #[test]
        fn no_secret_survives(secret in "[a-cé]{4,6}", other in "[a-cé]{4,6}", text in "[a-cé]{0,60}") {
            let redactor = Redactor::new([secret.as_str(), other.as_str()]);
            let redacted = redactor.redact(&text);
            prop_assert!(!redacted.contains(&secret) && !redacted.contains(&other));
        }
    }
}
