//! The step's outputs, in the file that `GITHUB_OUTPUT` names.

use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::environment::Environment;

/// Why an output could not be written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// GitHub would not find the output under this name.
    #[error(
        "`{0}` cannot be the name of an output; use letters, digits, `-` and `_`, and begin with a letter or `_`"
    )]
    Key(String),
    /// The file could not be written.
    #[error("cannot write to the file in `GITHUB_OUTPUT`, `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes outputs. Outside of GitHub Actions it only checks their names.
#[derive(Clone, Debug, Default)]
pub struct Outputs {
    path: Option<PathBuf>,
}

impl Outputs {
    /// Writes to the file that `GITHUB_OUTPUT` names, if any.
    pub fn from_environment(environment: &Environment) -> Self {
        Self {
            path: environment.get("GITHUB_OUTPUT").map(PathBuf::from),
        }
    }

    /// Sets one output. Set again, the later value holds.
    pub fn set(&self, key: &str, value: &str) -> Result<(), OutputError> {
        let entry = heredoc(key, value)?;
        let Some(path) = &self.path else {
            return Ok(());
        };
        append(path, &entry).map_err(|source| OutputError::Write {
            path: path.clone(),
            source,
        })
    }
}

/// `key<<DELIMITER`, the value, `DELIMITER`, each on lines of their own that end with LF.
fn heredoc(key: &str, value: &str) -> Result<String, OutputError> {
    let is_start = |char: char| char.is_ascii_alphabetic() || char == '_';
    let is_rest = |char: char| is_start(char) || char.is_ascii_digit() || char == '-';
    if !key.starts_with(is_start) || !key.chars().all(is_rest) {
        return Err(OutputError::Key(key.to_owned()));
    }
    let delimiter = delimiter(value);
    Ok(format!("{key}<<{delimiter}\n{value}\n{delimiter}\n"))
}

/// A line that is not in the value, and that the author of the value could not have guessed.
fn delimiter(value: &str) -> String {
    loop {
        // Each `RandomState` is keyed anew from the system's random numbers.
        let [high, low] = [(); 2].map(|()| RandomState::new().hash_one(value));
        let delimiter = format!("trainyard_{high:016x}{low:016x}");
        if !value.contains(&delimiter) {
            return delimiter;
        }
    }
}

/// Appends to a file that other programs of the step may have left without a final newline.
pub(crate) fn append(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(path)?;
    let newline = if ends_within_a_line(&mut file)? {
        "\n"
    } else {
        ""
    };
    file.write_all(format!("{newline}{text}").as_bytes())
}

/// Whether the file ends with a line that has no newline yet.
pub(crate) fn ends_within_a_line(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    /// One line and whether a newline ended it; `None` at the end of the file.
    fn read_line<'a>(rest: &mut &'a str) -> Option<(&'a str, bool)> {
        if rest.is_empty() {
            return None;
        }
        let (line, after, has_newline) = match rest.split_once('\n') {
            Some((line, after)) => (line, after, true),
            None => (*rest, "", false),
        };
        *rest = after;
        Some((line, has_newline))
    }

    /// The runner's rules (`FileCommandManager.cs`, actions/runner 2.336.0, on Linux).
    fn decode(text: &str) -> Result<Vec<(String, String)>, &'static str> {
        let mut entries = Vec::new();
        let mut rest = text;
        while let Some((line, _)) = read_line(&mut rest) {
            if line.is_empty() {
                continue;
            }
            let (equals, heredoc) = (line.find('='), line.find("<<"));
            match (equals, heredoc) {
                (_, Some(at)) if equals.is_none_or(|equals| at < equals) => {
                    let (name, delimiter) = line.split_once("<<").unwrap();
                    if name.is_empty() || delimiter.is_empty() {
                        return Err("invalid format");
                    }
                    let start = text.len() - rest.len();
                    let mut end = start;
                    loop {
                        let (line, has_newline) =
                            read_line(&mut rest).ok_or("matching delimiter not found")?;
                        if line == delimiter {
                            break;
                        }
                        if !has_newline {
                            return Err("EOF marker missing new line");
                        }
                        end = text.len() - rest.len() - 1;
                    }
                    entries.push((name.to_owned(), text[start..end].to_owned()));
                }
                (Some(_), _) => {
                    let (name, value) = line.split_once('=').unwrap();
                    entries.push((name.to_owned(), value.to_owned()));
                }
                _ => return Err("invalid format"),
            }
        }
        Ok(entries)
    }

    #[test]
    fn the_decoder_of_these_tests_knows_the_runners_errors() {
        assert_eq!(decode("a=b<<c\n"), Ok(vec![("a".into(), "b<<c".into())]));
        assert_eq!(
            decode("a<<E\n1\n\nE\n"),
            Ok(vec![("a".into(), "1\n".into())])
        );
        assert_eq!(decode("a<<E\n1\n"), Err("matching delimiter not found"));
        assert_eq!(decode("a<<E\n1"), Err("EOF marker missing new line"));
        assert_eq!(decode("a"), Err("invalid format"));
    }

    #[test]
    fn outputs_follow_what_others_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        fs::write(&path, "theirs=1").unwrap();
        let environment = [("GITHUB_OUTPUT", path.to_str().unwrap())];
        let outputs = Outputs::from_environment(&environment.into_iter().collect());
        outputs.set("verdict", "pass").unwrap();
        outputs.set("metrics", "{\n}\n").unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            decode(&fs::read_to_string(&path).unwrap()).unwrap(),
            [
                pair("theirs", "1"),
                pair("verdict", "pass"),
                pair("metrics", "{\n}\n")
            ]
        );
    }

    #[test]
    fn names_are_checked_also_where_nothing_is_written() {
        let outputs = Outputs::from_environment(&Environment::default());
        outputs.set("model-digest_2", "x").unwrap();
        for key in ["", "2nd", "-a", "a b", "a=b", "a<<b", "a\nb", "é"] {
            assert!(
                matches!(outputs.set(key, "x"), Err(OutputError::Key(_))),
                "{key:?}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let environment = [("GITHUB_OUTPUT", folder.path().to_str().unwrap())];
        let outputs = Outputs::from_environment(&environment.into_iter().collect());
        let error = outputs.set("a", "x").unwrap_err().to_string();
        assert!(
            error.starts_with("cannot write to the file in `GITHUB_OUTPUT`"),
            "{error}"
        );
    }

    proptest! {
        #[test]
        fn every_value_comes_back(
            values in prop::collection::vec(("[a-z_][a-zA-Z0-9_-]{0,8}", r"(\PC|[\n\r\t=<]|trainyard_|<<){0,12}"), 0..4),
        ) {
            let text: String = values.iter().map(|(key, value)| heredoc(key, value).unwrap()).collect();
            prop_assert_eq!(decode(&text).unwrap(), values);
        }
    }
}
