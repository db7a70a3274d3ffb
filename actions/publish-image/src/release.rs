//! What readers of a release are told: notes and a model card, beside `publication.json`.

use std::path::{Path, PathBuf};

use trainyard_core::config::Config;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::files;
use trainyard_core::gate::Verdict;
use trainyard_core::held_out_sample::SAMPLE_FILE;
use trainyard_core::model::ModelManifest;
use trainyard_core::publication::Publication;
use trainyard_core::report::{
    MODEL_CARD_FILE, RELEASE_NOTES_FILE, Release, model_card, release_notes,
};
use trainyard_runner::{ExitCode, Stage, WithExitCode as _};

use crate::naming::{self, Naming};

/// What was published.
pub(crate) struct Published<'a> {
    pub(crate) naming: &'a Naming<'a>,
    pub(crate) config: &'a Config,
    pub(crate) manifest: &'a ModelManifest,
    pub(crate) verdict: &'a Verdict,
    pub(crate) evaluation: &'a Evaluation,
    /// Where the gate said that the baseline came from.
    pub(crate) baseline_source: Option<&'a str>,
    pub(crate) publication: &'a Publication,
}

/// What was published under a release tag.
pub(crate) struct Released<'a> {
    tag: &'a str,
    version: String,
    is_prerelease: bool,
    published: &'a Published<'a>,
}

/// Where both files lie.
pub(crate) struct Files {
    pub(crate) notes: PathBuf,
    pub(crate) model_card: PathBuf,
}

/// Removes the files of an earlier image: beside another image they would be about the wrong one.
pub(crate) fn remove_files(folder: &Path) -> anyhow::Result<()> {
    for name in [RELEASE_NOTES_FILE, MODEL_CARD_FILE, SAMPLE_FILE] {
        files::remove(&folder.join(name)).exit_code(ExitCode::Data)?;
    }
    Ok(())
}

/// Says where the files are; both outputs are empty where the run is not of a release.
pub(crate) fn set_outputs(stage: &Stage, written: Option<&Files>) -> anyhow::Result<()> {
    let Some(Files { notes, model_card }) = written else {
        stage.set_output("release-notes", "")?;
        return stage.set_output("model-card", "");
    };
    stage.set_path_output("release-notes", notes)?;
    stage.set_path_output("model-card", model_card)
}

impl<'a> Published<'a> {
    /// The release, where the run is of a tag that releases this model.
    pub(crate) fn release(&'a self) -> Option<Released<'a>> {
        let naming::Released { tag, release } = self.naming.released()?;
        Some(Released {
            tag,
            version: release.version.to_string(),
            is_prerelease: !release.version.pre.is_empty(),
            published: self,
        })
    }
}

impl Released<'_> {
    /// The git tag.
    pub(crate) const fn tag(&self) -> &str {
        self.tag
    }

    pub(crate) const fn is_prerelease(&self) -> bool {
        self.is_prerelease
    }

    pub(crate) fn model_name(&self) -> &str {
        &self.published.manifest.name
    }

    /// The notes in so many characters at most.
    pub(crate) fn notes(&self, max_chars: usize) -> String {
        release_notes(&self.for_readers(), max_chars)
    }

    /// Writes notes and model card to `folder`.
    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<Files> {
        let release = self.for_readers();
        let written = Files {
            notes: folder.join(RELEASE_NOTES_FILE),
            model_card: folder.join(MODEL_CARD_FILE),
        };
        for (path, text) in [
            (&written.notes, release_notes(&release, usize::MAX)),
            (&written.model_card, model_card(&release)),
        ] {
            files::write(path, text.as_bytes()).exit_code(ExitCode::Data)?;
        }
        Ok(written)
    }

    fn for_readers(&self) -> Release<'_> {
        let Published {
            naming,
            config,
            manifest,
            verdict,
            evaluation,
            baseline_source,
            publication,
        } = *self.published;
        let run = naming.context.run.as_ref();
        Release {
            version: &self.version,
            manifest,
            verdict,
            baseline_source,
            evaluation,
            publication,
            config,
            run_url: run.and_then(|run| run.url.as_deref()),
        }
    }
}
