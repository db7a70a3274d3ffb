//! The digest of an image in files of a GitOps repository, changed in place: comments and everything else stay.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;
use trainyard_core::files::{self, FileError};

use crate::yaml::{self, YamlError};

/// Why a digest was not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The folder cannot be listed.
    #[error("the folder `{}` cannot be listed", .path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is not YAML.
    #[error("`{}` is not YAML: {source}", .path.display())]
    Yaml {
        /// Which.
        path: PathBuf,
        /// Why.
        source: YamlError,
    },
    /// No place names the image.
    #[error("no YAML file in `{}` names the image `{repository}`", .path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
        /// The image's name without tag and digest.
        repository: String,
    },
    /// A place is written in a way that is not understood.
    #[error("`{}` names the image `{repository}` in a way that cannot be changed in place", .path.display())]
    Form {
        /// Which file.
        path: PathBuf,
        /// The image's name without tag and digest.
        repository: String,
    },
}

/// Names of the files that kustomize reads.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// Sets the digest of the image `repository` in a file, or in the YAML files of a folder, wherever they name it: `images` of a kustomization,
/// `image: repository@digest` of a manifest, `repository` beside `digest` of a Helm values file. Returns the files that were changed.
pub fn write_digest(
    path: &Path,
    repository: &str,
    digest: &str,
) -> Result<Vec<PathBuf>, WriteError> {
    let mut is_named = false;
    let mut changed = Vec::new();
    for path in files_of(path)? {
        let text = files::read_text(&path)?;
        let parse = |text: &str| {
            yaml::parse(text).map_err(|source| WriteError::Yaml {
                path: path.clone(),
                source,
            })
        };
        let edited = edit(&text, repository, digest);
        let mut wanted = parse(&text)?;
        let n = wanted
            .iter_mut()
            .map(|it| set(it, None, repository, digest))
            .sum::<usize>();
        if n == 0 {
            continue;
        }
        is_named = true;
        if parse(&edited)? != wanted {
            return Err(WriteError::Form {
                path,
                repository: repository.to_owned(),
            });
        }
        if edited != text {
            files::write(&path, edited.as_bytes())?;
            changed.push(path);
        }
    }
    if !is_named {
        return Err(WriteError::NotFound {
            path: path.to_owned(),
            repository: repository.to_owned(),
        });
    }
    Ok(changed)
}

/// The file itself; of a folder its kustomization, else its YAML files.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, WriteError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let kustomization = KUSTOMIZATIONS.iter().map(|name| path.join(name));
    if let Some(file) = kustomization.into_iter().find(|file| file.is_file()) {
        return Ok(vec![file]);
    }
    let unlistable = |source| WriteError::Folder {
        path: path.to_owned(),
        source,
    };
    let entries: Result<Vec<_>, _> = path.read_dir().map_err(unlistable)?.collect();
    let paths = entries
        .map_err(unlistable)?
        .into_iter()
        .map(|entry| entry.path());
    let is_yaml = |path: &PathBuf| {
        let extension = path.extension().and_then(|it| it.to_str());
        path.is_file() && matches!(extension, Some("yaml" | "yml"))
    };
    let mut paths: Vec<PathBuf> = paths.filter(is_yaml).collect();
    paths.sort();
    Ok(paths)
}

/// Sets the digest in a value, and returns in how many places.
fn set(value: &mut Value, key: Option<&str>, repository: &str, digest: &str) -> usize {
    match value {
        Value::Object(object) => {
            let names_it = |name: &str| object.get(name).is_some_and(|it| it == repository);
            let is_image = names_it("repository")
                || (key == Some("images")
                    && (names_it("newName")
                        || (names_it("name") && !object.contains_key("newName"))));
            if is_image {
                object.insert("digest".to_owned(), digest.into());
                return 1;
            }
            let below = object
                .iter_mut()
                .map(|(key, value)| set(value, Some(key), repository, digest));
            below.sum()
        }
        Value::Array(elements) => {
            let below = elements
                .iter_mut()
                .map(|value| set(value, key, repository, digest));
            below.sum()
        }
        Value::String(text) if key == Some("image") && is_of(text, repository) => {
            *text = format!("{repository}@{digest}");
            1
        }
        _ => 0,
    }
}

/// Whether a reference is to this image, by any tag or digest.
fn is_of(reference: &str, repository: &str) -> bool {
    let rest = reference.strip_prefix(repository);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']))
}

/// The text with the digest in the places that are written one key a line.
fn edit(text: &str, repository: &str, digest: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut edited: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    let mut inserted = Vec::new();
    for (idx, line) in lines.iter().enumerate() {
        let Some(entry) = Entry::of(line) else {
            continue;
        };
        if entry.key == "image" && is_of(entry.value, repository) {
            edited[idx] = entry.with(&format!("{repository}@{digest}"));
            continue;
        }
        if !matches!(entry.key, "name" | "newName" | "repository") || entry.value != repository {
            continue;
        }
        // The other keys of the same mapping stand at the same column, from the element's dash on.
        let block = block(&lines, idx, entry.column);
        let digest_line = block.clone().find(|&it| {
            Entry::of(lines[it]).is_some_and(|it| it.key == "digest" && it.column == entry.column)
        });
        let has_new_name = block.clone().any(|it| {
            Entry::of(lines[it]).is_some_and(|it| it.key == "newName" && it.column == entry.column)
        });
        if entry.key == "name" && (has_new_name || !is_below_images(&lines, idx, entry.column)) {
            continue;
        }
        if let Some(line) = digest_line {
            let entry = Entry::of(lines[line]).expect("it was one");
            edited[line] = entry.with(digest);
        } else {
            let end = if line.ends_with('\n') { "" } else { "\n" };
            let indent = " ".repeat(entry.column);
            inserted.push((idx, format!("{end}{indent}digest: {digest}\n")));
        }
    }
    for (idx, line) in inserted {
        edited[idx] += &line;
    }
    edited.concat()
}

/// A line `key: value`, perhaps the first of a list's element.
#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    line: &'a str,
    /// Where the key begins.
    column: usize,
    is_element: bool,
    key: &'a str,
    /// Without quotes.
    value: &'a str,
    /// Where the value begins and ends, with quotes.
    from: usize,
    to: usize,
}

impl<'a> Entry<'a> {
    fn of(line: &'a str) -> Option<Self> {
        let content = line.trim_end_matches(['\r', '\n']);
        let start = content.len() - content.trim_start_matches(' ').len();
        let mut column = start;
        let mut is_element = false;
        while let Some(rest) = content[column..].strip_prefix("- ") {
            column = content.len() - rest.trim_start_matches(' ').len();
            is_element = true;
        }
        let (key, rest) = content[column..].split_once(':')?;
        if key.is_empty()
            || !key
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || it == b'_' || it == b'-')
        {
            return None;
        }
        if !(rest.is_empty() || rest.starts_with(' ')) {
            return None;
        }
        let from = content.len() - rest.trim_start_matches(' ').len();
        let written = &content[from..];
        let (value, length) = if let Some(quote @ ('"' | '\'')) = written.chars().next() {
            let inside = &written[1..];
            let end = inside.find(quote)?;
            (&inside[..end], end + 2)
        } else {
            let end = written.find(" #").unwrap_or(written.len());
            let value = written[..end].trim_end_matches(' ');
            (value, value.len())
        };
        Some(Self {
            line,
            column,
            is_element,
            key,
            value,
            from,
            to: from + length,
        })
    }

    /// The line with another value; what follows it stays.
    fn with(self, value: &str) -> String {
        let gap = if self.from > 0 && self.line.as_bytes()[self.from - 1] == b':' {
            " "
        } else {
            ""
        };
        format!(
            "{}{gap}{value}{}",
            &self.line[..self.from],
            &self.line[self.to..]
        )
    }
}

/// Lines of the mapping that the line belongs to, whose keys begin at `column`.
fn block(lines: &[&str], idx: usize, column: usize) -> std::ops::Range<usize> {
    let indent = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let is_blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    let begins_element =
        |line: &str| Entry::of(line).is_some_and(|it| it.is_element && it.column == column);
    let is_inside =
        |line: &str| is_blank(line) || (indent(line) >= column && !line.starts_with("---"));
    let mut from = idx;
    while from > 0
        && !begins_element(lines[from])
        && (is_inside(lines[from - 1]) || begins_element(lines[from - 1]))
    {
        from -= 1;
    }
    let mut to = idx + 1;
    while to < lines.len() && is_inside(lines[to]) && !begins_element(lines[to]) {
        to += 1;
    }
    from..to
}

/// Whether the nearest key that the line lies below is `images`.
fn is_below_images(lines: &[&str], idx: usize, column: usize) -> bool {
    let above = lines[..idx].iter().rev().filter_map(|line| Entry::of(line));
    // A list may stand at the column of its key.
    let mut outer = above.filter(|it| it.column < column && !it.is_element);
    outer
        .next()
        .is_some_and(|it| it.key == "images" && it.value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";

    fn written(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("values.yaml");
        files::write(&path, text.as_bytes()).unwrap();
        write_digest(&path, "ghcr.io/team/digits", NEW).unwrap();
        // Once more changes nothing.
        assert_eq!(
            write_digest(folder.path(), "ghcr.io/team/digits", NEW).unwrap(),
            Vec::<PathBuf>::new()
        );
        files::read_text(&path).unwrap()
    }

    #[test]
    fn a_kustomization_keeps_its_comments() {
        let text = "\
# what runs
resources: [base]
images:
  - name: ghcr.io/team/other
    digest: sha256:1
  - name: ghcr.io/team/digits # ours
    # set by the pipeline
    digest: sha256:1  # do not edit
    newTag: v1
";
        assert_eq!(
            written(text),
            text.replace("digest: sha256:1  #", &format!("digest: {NEW}  #"))
        );
    }

    #[test]
    fn a_digest_that_is_missing_is_added() {
        let text = "images:\n- name: ghcr.io/team/digits\nnamePrefix: x-\n";
        assert_eq!(
            written(text),
            format!("images:\n- name: ghcr.io/team/digits\n  digest: {NEW}\nnamePrefix: x-\n")
        );
        assert_eq!(
            written("image:\n    repository: \"ghcr.io/team/digits\""),
            format!("image:\n    repository: \"ghcr.io/team/digits\"\n    digest: {NEW}\n")
        );
    }

    #[test]
    fn images_under_another_name_are_found() {
        let text =
            "images:\n- name: digits\n  newName: ghcr.io/team/digits\n  digest: \"sha256:1\"\n";
        assert_eq!(written(text), text.replace("\"sha256:1\"", NEW));
    }

    #[test]
    fn manifests_and_values_are_found() {
        let text = "\
kind: Deployment
metadata:
  name: digits
spec:
  containers:
    - image: 'ghcr.io/team/digits:v1'   # by tag
      name: server
    - name: proxy
      image: ghcr.io/team/digits-proxy:v1
---
image:
  repository: ghcr.io/team/digits
  digest: \"\"
";
        let wanted = text
            .replace(
                "'ghcr.io/team/digits:v1'",
                &format!("ghcr.io/team/digits@{NEW}"),
            )
            .replace("digest: \"\"", &format!("digest: {NEW}"));
        assert_eq!(written(text), wanted);
    }

    #[test]
    fn what_is_not_there_or_not_understood_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kustomization.yaml");
        let write = |text: &str| {
            files::write(&path, text.as_bytes()).unwrap();
            write_digest(folder.path(), "ghcr.io/team/digits", NEW)
                .map_err(|error| error.to_string())
        };
        assert!(
            write("resources: []\n")
                .unwrap_err()
                .contains("names the image")
        );
        let flow = "images: [{name: ghcr.io/team/digits, digest: sha256:1}]\n";
        assert!(write(flow).unwrap_err().contains("changed in place"));
        assert_eq!(files::read_text(&path).unwrap(), flow);
        assert!(write("images: [").unwrap_err().contains("not YAML"));
    }
}
