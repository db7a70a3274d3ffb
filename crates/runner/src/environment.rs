//! The environment variables of a run, taken once, so that nothing below reads the process again.

use std::collections::BTreeMap;
use std::fmt;

/// Environment variables by name. An empty variable counts as unset, as it does for GitHub's own tools.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The variables of this process. Bytes that are not UTF-8 are replaced.
    pub fn from_process() -> Self {
        std::env::vars_os()
            .map(|(name, value)| {
                let value = value.to_string_lossy().into_owned();
                (name.to_string_lossy().into_owned(), value)
            })
            .collect()
    }

    /// The value of the variable `name`; `None` where it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The value as an owned text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    /// Whether the variable says `true`.
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value == "true")
    }

    /// Whether GitHub Actions (or act) runs this process.
    pub fn is_github_actions(&self) -> bool {
        self.is_true("GITHUB_ACTIONS")
    }

    /// Names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(variables: I) -> Self {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()));
        Self(variables.filter(|(_, value)| !value.is_empty()).collect())
    }
}

/// Names only: values may be secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_is_unset_and_values_stay_out_of_debug_output() {
        let environment: Environment = [("A", ""), ("GITHUB_TOKEN", "ghs_1"), ("CI", "true")]
            .into_iter()
            .collect();
        assert_eq!(environment.get("A"), None);
        assert!(environment.is_true("CI"));
        assert_eq!(format!("{environment:?}"), r#"{"CI", "GITHUB_TOKEN"}"#);
    }
}
