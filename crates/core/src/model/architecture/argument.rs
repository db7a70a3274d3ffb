//! Arguments of layers: what is wrong with one, and defaults.

/// An argument whose value makes no sense, and why.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("`{argument}`: {problem}")]
pub struct ArgumentError {
    /// Its name.
    pub argument: &'static str,
    /// What is wrong with it.
    pub problem: String,
}

impl ArgumentError {
    pub(super) fn new(argument: &'static str, problem: impl Into<String>) -> Self {
        Self {
            argument,
            problem: problem.into(),
        }
    }
}

/// Keras's default of many arguments.
pub(super) const fn yes() -> bool {
    true
}
