//! The models that are served: a folder in, models by name, version and label out.
//!
//! A folder of one model, or a tar archive of it, is that model in version 1. Any other folder holds a folder a model, which holds a
//! folder a version, a whole number, as TensorFlow Serving and Triton have it: `digits/3/model.json`. A file `labels.json` beside the
//! versions names some of them: `{"canary": 4}`.

mod scan;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::drift::DriftArgs;
use crate::model::Model;
use scan::{Found, Labels, Scan};

/// The label of the version that is served where none is asked for, unless `labels.json` gives it to another.
pub(crate) const STABLE: &str = "stable";

/// All models, as they were found at one time.
#[derive(Debug)]
pub(crate) struct Repository {
    models: BTreeMap<String, Versions>,
    /// Of each model.
    drift: DriftArgs,
    scan: Scan,
}

/// The versions of one model.
#[derive(Debug, Clone, Default)]
struct Versions {
    versions: BTreeMap<u64, Version>,
    labels: Labels,
}

/// One version: what is served, and what is wrong with what was found last.
#[derive(Debug, Clone)]
struct Version {
    found: Found,
    model: Option<Model>,
    problem: Option<String>,
}

/// A version as clients are told of it.
pub(crate) struct Listed<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: u64,
    /// Why it cannot be served.
    pub(crate) problem: Option<&'a str>,
}

/// Looks at the folder again and again.
#[derive(Debug)]
pub(crate) struct Watcher {
    path: PathBuf,
    /// What was there the last time.
    last: Option<Scan>,
}

impl Watcher {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            last: None,
        }
    }

    /// What is in the folder now, where that differs from `current` and has not changed since the last look: files that are being copied
    /// are left alone until they are whole.
    pub(crate) fn look(&mut self, current: &Repository) -> Option<Repository> {
        let scan = Scan::of(&self.path).unwrap_or_else(|error| Scan {
            problem: Some(format!("{error:#}")),
            ..current.scan.clone()
        });
        let is_settled = self.last.as_ref() == Some(&scan);
        let refreshed =
            (is_settled && scan != current.scan).then(|| current.refreshed(scan.clone()));
        self.last = Some(scan);
        refreshed
    }
}

/// What was asked for and is not there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Model,
    Version,
    Label,
}

impl Repository {
    fn new(drift: DriftArgs) -> Self {
        Self {
            models: BTreeMap::new(),
            drift,
            scan: Scan::default(),
        }
    }

    /// Loads what is in `path`. Each model must be usable.
    pub(crate) fn open(path: &Path, drift: DriftArgs) -> anyhow::Result<Self> {
        let scan = Scan::of(path)?;
        for place in &scan.passed_over {
            tracing::warn!("`{}` is not served: {}", place.path.display(), place.why);
        }
        let mut repository = Self::new(drift);
        for found in &scan.found {
            let model = found.load(drift)?;
            let name = model.name().to_owned();
            let versions = repository.models.entry(name).or_default();
            let version = Version {
                found: found.clone(),
                model: Some(model),
                problem: None,
            };
            versions.versions.insert(found.place.version(), version);
        }
        for (name, versions) in &mut repository.models {
            if let Some(labels) = scan.labels.get(name) {
                let labels = labels.read()?;
                versions.check(name, &labels)?;
                versions.labels = labels;
            }
        }
        repository.scan = scan;
        Ok(repository)
    }

    /// What was found later. What has not changed stays loaded; a version that cannot be loaded leaves what was served under its name in
    /// place, and a folder that holds nothing any more leaves everything. Both are logged.
    fn refreshed(&self, scan: Scan) -> Self {
        if let Some(problem) = &scan.problem {
            tracing::warn!("still serving what was loaded before: {problem}");
            return self.with_problem(problem);
        }
        for place in &scan.passed_over {
            if !self.scan.passed_over.contains(place) {
                tracing::warn!("`{}` is not served: {}", place.path.display(), place.why);
            }
        }
        let mut repository = Self::new(self.drift);
        for found in &scan.found {
            let (name, version) = self.refreshed_version(found);
            let versions = repository.models.entry(name).or_default();
            versions.versions.insert(found.place.version(), version);
        }
        for (name, versions) in &mut repository.models {
            let before = self.models.get(name).map(|it| it.labels.clone());
            versions.labels = refreshed_labels(name, versions, &scan, before.unwrap_or_default());
        }
        for model in self.models() {
            let (name, version) = (model.name(), model.version());
            if repository.find(name, Some(version), None).is_err() {
                tracing::info!("`{name}` version {version} is gone");
            }
        }
        repository.scan = scan;
        repository
    }

    /// This one, which knows that the folder cannot be read.
    fn with_problem(&self, problem: &str) -> Self {
        Self {
            models: self.models.clone(),
            drift: self.drift,
            scan: Scan {
                problem: Some(problem.to_owned()),
                ..self.scan.clone()
            },
        }
    }

    /// What is served for `found`, and under which name.
    fn refreshed_version(&self, found: &Found) -> (String, Version) {
        let before = self.models.iter().find_map(|(name, versions)| {
            let mut all = versions.versions.values();
            all.find(|it| it.found.place == found.place)
                .map(|it| (name, it))
        });
        if let Some((name, before)) = before
            && before.found == *found
        {
            return (name.clone(), before.clone());
        }
        match found.load(self.drift) {
            Ok(model) => {
                tracing::info!(
                    "serving `{}` version {} ({})",
                    model.name(),
                    model.version(),
                    model.digest().short()
                );
                let version = Version {
                    found: found.clone(),
                    model: Some(model.clone()),
                    problem: None,
                };
                (model.name().to_owned(), version)
            }
            Err(error) => {
                let problem = format!("{error:#}");
                let (name, model) = match before {
                    Some((name, before)) => (name.clone(), before.model.clone()),
                    None => (found.place.name(), None),
                };
                let instead = if model.is_some() {
                    "; the model before it is still served"
                } else {
                    ""
                };
                tracing::error!("{problem}{instead}");
                let version = Version {
                    found: found.clone(),
                    model,
                    problem: Some(problem),
                };
                (name, version)
            }
        }
    }

    /// The model of this name, in the version or with the label that is asked for, else in the latest that can be served.
    pub(crate) fn find(
        &self,
        name: &str,
        version: Option<&str>,
        label: Option<&str>,
    ) -> Result<&Model, Missing> {
        let model = self.models.get(name).ok_or(Missing::Model)?;
        match (version, label) {
            (Some(version), _) => model.numbered(version).ok_or(Missing::Version),
            (None, Some(label)) => model.labelled(label).ok_or(Missing::Label),
            (None, None) => model.latest().ok_or(Missing::Model),
        }
    }

    /// The names of all models.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// The versions of a model that are served, ascending.
    pub(crate) fn versions(&self, name: &str) -> Vec<&Model> {
        let versions = self.models.get(name).map(|it| &it.versions);
        let versions = versions.into_iter().flat_map(BTreeMap::values);
        versions.filter_map(|it| it.model.as_ref()).collect()
    }

    /// All that are served.
    pub(crate) fn models(&self) -> impl Iterator<Item = &Model> {
        let versions = self.models.values().flat_map(|it| it.versions.values());
        versions.filter_map(|it| it.model.as_ref())
    }

    /// All versions that were found, also those that cannot be served.
    pub(crate) fn list(&self) -> impl Iterator<Item = Listed<'_>> {
        self.models.iter().flat_map(|(name, versions)| {
            versions.versions.iter().map(move |(&version, it)| Listed {
                name,
                version,
                problem: it.problem.as_deref().filter(|_| it.model.is_none()),
            })
        })
    }
}

/// The labels that are in the file now; those of `before`, with a word in the log, where these do not fit.
fn refreshed_labels(name: &str, versions: &Versions, scan: &Scan, before: Labels) -> Labels {
    let Some(file) = scan.labels.get(name) else {
        return Labels::default();
    };
    let labels = file.read().and_then(|labels| {
        versions.check(name, &labels)?;
        Ok(labels)
    });
    labels.unwrap_or_else(|error| {
        tracing::error!("{error:#}; the labels before it still hold");
        before
    })
}

impl Versions {
    /// Fails where a label is of a version that is not there.
    fn check(&self, name: &str, labels: &Labels) -> anyhow::Result<()> {
        for (label, version) in labels {
            self.versions.get(version).with_context(|| {
                format!(
                    "the label `{label}` of `{name}` is that of version {version}, which is not there"
                )
            })?;
        }
        Ok(())
    }

    fn latest(&self) -> Option<&Model> {
        let mut descending = self.versions.values().rev();
        descending.find_map(|it| it.model.as_ref())
    }

    fn numbered(&self, version: &str) -> Option<&Model> {
        // `01` is no other name of 1.
        let number: u64 = version
            .parse()
            .ok()
            .filter(|it: &u64| it.to_string() == version)?;
        self.versions.get(&number)?.model.as_ref()
    }

    fn labelled(&self, label: &str) -> Option<&Model> {
        match self.labels.get(label) {
            Some(version) => self.versions.get(version)?.model.as_ref(),
            None if label == STABLE => self.latest(),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests;
