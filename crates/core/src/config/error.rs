//! What is wrong with a configuration, and where.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use crate::files::FileError;
use crate::model::architecture::NamedLayer;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(FileError),
    /// The text says something that it must not.
    #[error("{}:{line}:{column}: {problem}{}{}", path.display(), excerpt(*line, source_line), suffix("hint", hint.as_ref()))]
    Invalid {
        /// The configuration file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// What is wrong.
        problem: String,
        /// What to write instead.
        hint: Option<String>,
        /// The text of that line.
        source_line: String,
    },
    /// The configuration could not be serialised for its digest.
    #[error("cannot compute the digest of the configuration")]
    Digest(#[source] serde_json::Error),
}

/// A problem with the value at a place of the document, before that place is turned into a line.
#[derive(Debug)]
pub(super) struct Problem {
    place: Vec<String>,
    problem: String,
    hint: Option<String>,
}

impl Problem {
    pub(super) fn at(place: &[&str], problem: impl Into<String>) -> Self {
        let place = place.iter().map(|&key| key.to_owned()).collect();
        Self {
            place,
            problem: problem.into(),
            hint: None,
        }
    }

    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same problem where the layers stand in a file that `[model] keras` names.
    pub(super) fn in_keras(mut self, layers: &[NamedLayer]) -> Self {
        let keys: Vec<&str> = self.place.iter().map(String::as_str).collect();
        let prefix = match keys.as_slice() {
            ["model", "layers", layer_idx] => layer_idx
                .parse::<usize>()
                .ok()
                .and_then(|layer_idx| layers.get(layer_idx))
                .map(|NamedLayer { name, layer }| {
                    format!("layer `{name}` ({}): ", layer.type_name())
                }),
            ["model", "layers" | "input_shape"] => Some(String::new()),
            _ => None,
        };
        if let Some(prefix) = prefix {
            self.problem = format!("{prefix}{}", self.problem);
            self.place = ["model", "keras"].map(str::to_owned).to_vec();
        }
        self
    }

    /// Finds the line of the problem; of its nearest enclosing table when the key itself is absent.
    pub(super) fn located(self, path: &Path, text: &str) -> ConfigError {
        let keys: Vec<&str> = self.place.iter().map(String::as_str).collect();
        let span = (0..=keys.len())
            .rev()
            .find_map(|n_keys| span_of(text, &keys[..n_keys]));
        let start = span.map_or(0, |span| span.start);
        let place = self.place.join(".");
        invalid(
            path,
            text,
            start,
            format!("`{place}`: {}", self.problem),
            self.hint,
        )
    }
}

impl ConfigError {
    /// A problem with the value at `place` of the configuration at `path`, whose text is `text`: one that only the reader of
    /// that value can see.
    pub fn at(place: &[&str], problem: impl Into<String>, path: &Path, text: &str) -> Self {
        Problem::at(place, problem).located(path, text)
    }

    pub(super) fn from_toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let message = error.message().trim_end().replace('\n', "; ");
        let hint = nearest_name(&message).map(|name| format!("did you mean `{name}`?"));
        let start = error.span().map_or(0, |span| span.start);
        let is_table = message.contains("invalid type: map, expected a sequence");
        let hint = hint.or_else(|| {
            let (line, _) = position(text, start);
            let header = text.lines().nth(line - 1).unwrap_or_default().trim();
            let is_header = header.starts_with('[') && header.ends_with(']');
            let header = if is_header { header } else { "[gate.rules]" };
            is_table.then(|| {
                format!("this is a list of tables: write it with two brackets, as `[{header}]`")
            })
        });
        invalid(path, text, start, message, hint)
    }
}

/// Line and column of the byte `offset`, both counted from 1, the column in characters.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// Where the value at `path` stands; elements of arrays are named by their index.
pub(super) fn span_of(text: &str, path: &[&str]) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let (first, rest) = path.split_first()?;
    let (key, value) = root.get_ref().get_key_value(*first)?;
    let mut span = if rest.is_empty() {
        key.span()
    } else {
        value.span()
    };
    let mut current = value.get_ref();
    for (depth, key) in rest.iter().enumerate() {
        let is_last = depth + 1 == rest.len();
        match current {
            DeValue::Table(table) => {
                let (name, value) = table.get_key_value(*key)?;
                span = if is_last { name.span() } else { value.span() };
                current = value.get_ref();
            }
            DeValue::Array(array) => {
                let value = array.get(key.parse::<usize>().ok()?)?;
                span = value.span();
                current = value.get_ref();
            }
            _ => return None,
        }
    }
    Some(span)
}

fn invalid(
    path: &Path,
    text: &str,
    offset: usize,
    problem: String,
    hint: Option<String>,
) -> ConfigError {
    let (line, column) = position(text, offset);
    let source_line = text.lines().nth(line - 1).unwrap_or_default().trim_end();
    // A log is read by more people than the file.
    let source_line = if may_hold_secret(source_line) {
        String::new()
    } else {
        source_line.to_owned()
    };
    ConfigError::Invalid {
        path: path.to_owned(),
        line,
        column,
        problem,
        hint,
        source_line,
    }
}

/// The valid name nearest to the one that serde's message calls unknown.
pub(super) fn nearest_name(message: &str) -> Option<&str> {
    let mut names = message.split('`').skip(1).step_by(2);
    if !message.starts_with("unknown field") && !message.starts_with("unknown variant") {
        return None;
    }
    let unknown = names.next()?;
    nearest(unknown, names)
}

/// The name nearest to `unknown`, where one is near enough to be what was meant.
pub fn nearest<'a>(unknown: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let rank = |name: &str| {
        let distance = strsim::damerau_levenshtein(unknown, name);
        let longer = name.len().max(unknown.len());
        let is_prefix = name.len() >= 3 && unknown.starts_with(name)
            || unknown.len() >= 3 && name.starts_with(unknown);
        // A slip of the keys first, then a beginning: `max_drop_pct` for `max_drop_percent`, and `max` for `maximum`.
        match () {
            () if distance <= longer / 3 => Some((0, distance)),
            () if is_prefix => Some((1, distance)),
            () if distance <= longer / 2 => Some((2, distance)),
            () => None,
        }
    };
    let ranked = names
        .into_iter()
        .filter_map(|name| Some((rank(name)?, name)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, name)| name)
}

/// Whether the line sets something that is called like a secret, or holds an address with a user's name or password.
fn may_hold_secret(line: &str) -> bool {
    let key = line.split('=').next().unwrap_or_default();
    let key = key.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
    let is_called_so = ["api_key", "api-key", "password", "secret", "token"]
        .iter()
        .any(|name| key.ends_with(name));
    let mut addresses = line.split("://").skip(1);
    is_called_so
        || addresses.any(|rest| {
            let authority = rest.split(['/', '"', '\'']).next();
            authority.is_some_and(|authority| authority.contains('@'))
        })
}

fn excerpt(line: usize, source_line: &str) -> String {
    if source_line.is_empty() {
        return String::new();
    }
    let mut text = String::new();
    let _ = write!(text, "\n  {line} | {source_line}");
    text
}

fn suffix(label: &str, text: Option<&String>) -> String {
    text.map(|text| format!("\n{label}: {text}"))
        .unwrap_or_default()
}
