//! The tables of inputs and outputs in each action's README, between marks.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::Generated;
use crate::actions::Action;

/// The README with fresh tables.
pub(crate) fn readme(root: &Path, action: &Action) -> anyhow::Result<Generated> {
    let path = if action.folder.is_empty() {
        PathBuf::from("docs/reference/action.md")
    } else {
        Path::new(&action.folder).join("README.md")
    };
    let text = std::fs::read_to_string(root.join(&path))
        .with_context(|| format!("reading `{}`", path.display()))?;
    let mut inputs = String::from("| Input | Default | |\n| :-- | :-- | :-- |\n");
    for input in &action.inputs {
        let default = input.default.as_ref();
        let default = default
            .map(|default| format!("`{default}`"))
            .unwrap_or_default();
        let _ = writeln!(
            inputs,
            "| `{}` | {default} | {} |",
            input.name,
            cell(&input.description)
        );
    }
    let mut outputs = String::from("| Output | |\n| :-- | :-- |\n");
    for output in &action.outputs {
        let _ = writeln!(
            outputs,
            "| `{}` | {} |",
            output.name,
            cell(&output.description)
        );
    }
    let text = replace(&text, "inputs", &inputs)
        .and_then(|text| replace(&text, "outputs", &outputs))
        .with_context(|| format!("`{}` lacks the marks for its tables", path.display()))?;
    Ok(Generated::new(path, text))
}

pub(crate) fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The text with what stands between `<!-- begin NAME -->` and `<!-- end NAME -->` replaced.
fn replace(text: &str, name: &str, content: &str) -> Option<String> {
    let (begin, end) = (
        format!("<!-- begin {name} -->\n"),
        format!("<!-- end {name} -->"),
    );
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{content}\n{end}{after}"))
}
