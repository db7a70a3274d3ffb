//! What can be wrong with a table of `[[model.layers]]`, and what to write instead.

use crate::config::error::{Problem, nearest, nearest_name};
use crate::config::name::PLAIN_NAME;
use crate::model::architecture::{ArgumentError, Layer};

/// Why a table is not a layer.
#[derive(Debug, thiserror::Error)]
pub(in crate::config) enum LayerError {
    #[error("a layer needs a `type`")]
    NoType,
    #[error("there is no layer type `{kind}`")]
    UnknownType { kind: String },
    #[error("{kind} has no argument `{argument}`")]
    UnknownArgument {
        kind: String,
        argument: String,
        /// What it takes.
        known: Vec<String>,
    },
    #[error("{kind} needs `{argument}`")]
    Missing { kind: String, argument: String },
    #[error("{problem}")]
    Value {
        argument: Option<String>,
        problem: String,
    },
    #[error("{kind} must be the first layer")]
    NotFirst { kind: &'static str },
    #[error("two layers are called `{name}`")]
    SameName { name: String },
    #[error("`{name}` is not a valid name")]
    Name { name: String },
}

impl From<ArgumentError> for LayerError {
    fn from(ArgumentError { argument, problem }: ArgumentError) -> Self {
        Self::Value {
            argument: Some(argument.to_owned()),
            problem,
        }
    }
}

impl LayerError {
    /// The argument that it is about, where the table has it.
    pub(in crate::config) fn argument(&self) -> Option<&str> {
        match self {
            Self::UnknownType { .. } => Some("type"),
            Self::SameName { .. } | Self::Name { .. } => Some("name"),
            Self::UnknownArgument { argument, .. } => Some(argument),
            Self::Value { argument, .. } => argument.as_deref(),
            Self::NoType | Self::Missing { .. } | Self::NotFirst { .. } => None,
        }
    }

    /// What to write instead.
    pub(in crate::config) fn hint(&self) -> Option<String> {
        match self {
            Self::NoType => Some("add `type = \"Dense\"` or another layer type".to_owned()),
            Self::UnknownType { kind } => Some(match nearest(kind, Layer::TYPES.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("the types are {}", listed(Layer::TYPES)),
            }),
            Self::UnknownArgument {
                argument, known, ..
            } => match nearest(argument, known.iter().map(String::as_str)) {
                Some(name) => Some(format!("did you mean `{name}`?")),
                None if known.is_empty() => None,
                None => Some(format!("it takes {}", listed(known))),
            },
            Self::Missing { kind, argument } => {
                let is_wanted = |line: &&&str| {
                    line.strip_prefix(argument.as_str())
                        .is_some_and(|rest| rest.starts_with(" ="))
                };
                let line = Layer::example(kind).iter().find(is_wanted);
                Some(match line {
                    Some(line) => format!("add `{line}`"),
                    None => format!("add `{argument} = …`"),
                })
            }
            Self::Name { .. } => Some(PLAIN_NAME.to_owned()),
            Self::Value { problem, .. } => {
                nearest_name(problem).map(|name| format!("did you mean `{name}`?"))
            }
            Self::NotFirst { .. } | Self::SameName { .. } => None,
        }
    }

    /// The problem at its place in `trainyard.toml`.
    pub(in crate::config) fn at(&self, layer_idx: usize) -> Problem {
        let layer_idx = layer_idx.to_string();
        let mut place = vec!["model", "layers", &layer_idx];
        place.extend(self.argument());
        let problem = Problem::at(&place, self.to_string());
        match self.hint() {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

fn listed<T: AsRef<str>>(names: &[T]) -> String {
    let names: Vec<String> = names
        .iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    names.join(", ")
}
