//! `--if-unchanged`: where a change touches no file of the model, the verdict of the commit before still holds, and
//! nothing needs to be trained.
//!
//! What cannot be told apart counts as changed: the answer is then `false`, and training follows.

use std::path::{Component, Path, PathBuf};

use trainyard_core::config::{JudgingConfig, ModelFiles};
use trainyard_core::files;
use trainyard_core::gate::{BaselineRecord, Mark};
use trainyard_core::pattern;
use trainyard_core::report::{UNCHANGED_FILE, UnchangedSince, decision_icon, unchanged_report};
use trainyard_runner::{Annotation, Context, ExitCode, Stage, path_in_repository};

use crate::github::{Reporter, warn};

const OUTPUT: &str = "unchanged";

/// Answers whether the verdict of an earlier commit still holds, and writes it where it does: on GitHub, and to `folder` for
/// a matrix that joins its legs.
pub(crate) fn answer(
    stage: &mut Stage,
    folder: &Path,
    reporter: Option<&Reporter<'_>>,
    config: &JudgingConfig,
    config_file: &Path,
    model: &str,
) -> anyhow::Result<ExitCode> {
    let context = stage.context.clone();
    let found = match reporter {
        Some(reporter) => Files::of(&config.files, config_file, &context)
            .and_then(|files| reporter.unchanged_since(model, &files)),
        None => Err("there is no token to compare commits with".to_owned()),
    };
    let is_unchanged = match found {
        Ok(unchanged) => {
            tracing::info!(
                "no file of the model has changed since {}: its verdict still holds",
                unchanged.measured
            );
            match reporter.map(|reporter| reporter.write_unchanged(model, &unchanged)) {
                Some(Ok(())) => {
                    stage.summarise(&unchanged.markdown());
                    files::write_json(&folder.join(UNCHANGED_FILE), &unchanged.since(model))?;
                    true
                }
                // Without its check the commit would look as if nothing had judged it.
                Some(Err(error)) => {
                    warn(stage, &error);
                    false
                }
                None => false,
            }
        }
        Err(reason) => {
            tracing::info!("the model is to be judged anew: {reason}");
            let is_of_patterns = reason.contains("`[model] sources`");
            if is_of_patterns && stage.annotator.is_github_actions() {
                let title = "`if-unchanged` has no effect";
                stage.annotate(vec![Annotation::warning(reason).title(title)]);
            }
            false
        }
    };
    stage.set_output(OUTPUT, is_unchanged)?;
    Ok(ExitCode::Success)
}

/// An earlier commit whose verdict still holds.
pub(crate) struct Unchanged {
    /// The record of its model, as it is to be kept with this commit.
    pub(crate) record: BaselineRecord,
    /// The commit that was measured.
    pub(crate) measured: String,
}

impl Unchanged {
    /// What the check of a change keeps.
    pub(crate) fn mark(&self, pull_request: Option<u64>) -> Mark {
        Mark {
            pull_request,
            ..Mark::of_record(&self.record)
        }
    }

    pub(crate) fn report(&self) -> (String, String) {
        unchanged_report(&self.record, &self.measured)
    }

    /// Title and report in one, for a comment and the job summary.
    pub(crate) fn markdown(&self) -> String {
        let (title, text) = self.report();
        let icon = decision_icon(self.record.decision);
        format!("### {icon} {title}\n\n{text}")
    }

    fn since(&self, model: &str) -> UnchangedSince {
        UnchangedSince {
            model_name: model.to_owned(),
            commit: self.record.commit.clone(),
            measured: self.measured.clone(),
            decision: self.record.decision,
        }
    }
}

/// The files of a model, as paths from the root of the repository.
pub(crate) struct Files {
    /// Files and folders.
    paths: Vec<String>,
    patterns: Vec<String>,
}

impl Files {
    /// Those that the configuration names, itself, and the workflow that runs; or why they are not known.
    fn of(files: &ModelFiles, config_file: &Path, context: &Context) -> Result<Self, String> {
        let Some(patterns) = &files.patterns else {
            return Err(
                "`[model] sources` does not say which other files make it: `sources = []` if there are none"
                    .to_owned(),
            );
        };
        let Some(workflow) = &context.workflow_file else {
            return Err("the workflow's file is not known".to_owned());
        };
        let config = path_in_repository(context.workspace.as_deref(), config_file);
        let config = normal(Path::new(&config)).ok_or_else(|| outside(&config))?;
        let base = Path::new(&config)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        let of_repository = |path: &Path| {
            normal(&base.join(path)).ok_or_else(|| outside(&path.display().to_string()))
        };
        let mut paths = vec![config.clone(), format!(".github/workflows/{workflow}")];
        for path in &files.paths {
            paths.push(of_repository(path)?);
        }
        let mut found = Vec::new();
        for written in patterns {
            if written.contains(['{', '}', '[', ']', '!']) {
                return Err(format!(
                    "`{written}` of `[model] sources` holds a sign that patterns do not know: there are `*`, `**` and `?`"
                ));
            }
            let pattern = of_repository(Path::new(written))?;
            if let Some(root) = &context.workspace
                && !matches_any(root, &pattern)
            {
                return Err(format!(
                    "`{written}` of `[model] sources` matches no file; patterns are relative to the configuration's folder"
                ));
            }
            found.push(pattern);
        }
        Ok(Self {
            paths,
            patterns: found,
        })
    }

    /// The first of the changed files that is one of the model's.
    pub(crate) fn touched<'a>(&self, changed: &'a [String]) -> Option<&'a String> {
        changed.iter().find(|file| {
            // A submodule, or a link to a folder, is listed as if it were a file.
            let is_same_or_within = |path: &str| is_in(file, path) || is_in(path, file);
            self.paths.iter().any(|path| is_same_or_within(path))
                || self
                    .patterns
                    .iter()
                    .any(|pattern| touches(pattern, file) || is_in(literal(pattern), file))
        })
    }
}

/// Whether the pattern matches a file, or a folder with one, below `root`: a pattern with a spelling mistake would watch
/// nothing.
fn matches_any(root: &Path, pattern: &str) -> bool {
    let mut open = vec![literal(pattern).to_owned()];
    while let Some(path) = open.pop() {
        let place = root.join(&path);
        if place.is_dir() {
            if path == ".git" {
                continue;
            }
            let entries = std::fs::read_dir(&place).into_iter().flatten().flatten();
            open.extend(entries.filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                Some(match path.as_str() {
                    "" => name,
                    folder => format!("{folder}/{name}"),
                })
            }));
        } else if place.exists() && touches(pattern, &path) {
            return true;
        }
    }
    false
}

/// Whether a change of `file` is one of a file that the pattern means.
fn touches(pattern: &str, file: &str) -> bool {
    pattern::matches(pattern, file) || pattern::matches(&format!("{pattern}/**"), file)
}

/// Whether `file` is `folder`, or lies below it.
fn is_in(file: &str, folder: &str) -> bool {
    let rest = file.strip_prefix(folder);
    folder.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The folder of a pattern, up to the first part that stands for several names.
fn literal(pattern: &str) -> &str {
    match pattern.find(['*', '?']) {
        Some(end) => pattern[..end]
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder),
        None => pattern,
    }
}

fn outside(path: &str) -> String {
    format!("`{path}` lies outside of the repository, so its changes are not known")
}

/// The path without `.` and `..`, with slashes; `None` where it leads out of the repository.
fn normal(path: &Path) -> Option<String> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => {
                if !parts.pop() {
                    return None;
                }
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.to_str()?.replace('\\', "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(config_file: &str, paths: &[&str], patterns: &[&str]) -> Result<Files, String> {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let files = ModelFiles {
            paths: paths.iter().map(PathBuf::from).collect(),
            patterns: Some(owned(patterns)),
        };
        let context = Context {
            workflow_file: Some("model.yml".to_owned()),
            ..Context::default()
        };
        Files::of(&files, Path::new(config_file), &context)
    }

    #[test]
    fn configuration_data_sources_and_workflow_are_files_of_the_model() {
        let files = files(
            "models/digits/trainyard.toml",
            &["data/train", "../../shared/labels.csv"],
            &["src/**", "../common/*.py"],
        )
        .unwrap();
        let touched = |file: &str| files.touched(&[file.to_owned()]).is_some();
        for file in [
            "models/digits/trainyard.toml",
            ".github/workflows/model.yml",
            "models/digits/data/train/cat/1.png",
            "shared/labels.csv",
            "models/digits/src/a/b.py",
            "models/common/x.py",
            // Submodules.
            "shared",
            "models/digits/src",
            "models/common",
        ] {
            assert!(touched(file), "{file}");
        }
        for file in [
            "README.md",
            "models/digits/README.md",
            "models/letters/trainyard.toml",
            "models/digits/data/training.csv",
            "models/common/deep/x.py",
            ".github/workflows/lint.yml",
        ] {
            assert!(!touched(file), "{file}");
        }
    }

    #[test]
    fn a_folder_stands_for_all_that_lies_in_it() {
        for pattern in ["src", "src/", "src/**"] {
            let files = files("trainyard.toml", &[], &[pattern]).unwrap();
            let touched = |file: &str| files.touched(&[file.to_owned()]).is_some();
            assert!(touched("src/a/train.py") && touched("src"), "{pattern}");
            assert!(!touched("source.py"), "{pattern}");
        }
    }

    /// What the API does not show could change unseen.
    #[test]
    fn what_is_not_known_counts_as_changed() {
        assert!(files("trainyard.toml", &["../data.csv"], &[]).is_err());
        assert!(files("trainyard.toml", &["/data/train.csv"], &[]).is_err());
        assert!(files("trainyard.toml", &[], &["../**"]).is_err());
        let context = Context {
            workflow_file: Some("model.yml".to_owned()),
            ..Context::default()
        };
        let unsaid = Files::of(
            &ModelFiles::default(),
            Path::new("trainyard.toml"),
            &context,
        );
        assert!(unsaid.is_err_and(|reason| reason.contains("`[model] sources`")));
    }
}
