//! The image: a layer with the server and one with the model, on nothing.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use trainyard_core::config::{Config, ImageConfig};
use trainyard_core::gate::Verdict;
use trainyard_core::model::ModelFolder;
use trainyard_oci::annotation::Description;
use trainyard_oci::{Compression, Image, LayerFile, LayerPlan, Layout, RuntimeConfig};
use trainyard_runner::{Context, Environment, ExitCode, WithExitCode as _};

use crate::server::{PROGRAM, Server};

/// Where the model lies in the image.
pub(crate) const MODEL_FOLDER: &str = "/model";

/// Where the server lies in the image.
pub(crate) fn server_path() -> String {
    format!("/usr/local/bin/{PROGRAM}")
}

/// What an image is made of.
pub(crate) struct Parts<'a> {
    pub(crate) config: &'a Config,
    pub(crate) model: &'a ModelFolder,
    pub(crate) verdict: &'a Verdict,
    pub(crate) server: &'a Server,
    pub(crate) context: &'a Context,
    pub(crate) created_s: u64,
}

impl Parts<'_> {
    /// Builds the layers into the layout and returns the image. The same parts give the same bytes.
    pub(crate) fn build(&self, layout: &Layout) -> anyhow::Result<Image> {
        let layer = |created_by: &str, files, compression| {
            let plan = LayerPlan {
                created_by: created_by.to_owned(),
                files,
                compression,
                user_id: 0,
                group_id: 0,
                modified_s: self.created_s,
            };
            plan.build(&layout.blobs()).exit_code(ExitCode::Data)
        };
        let server = LayerFile {
            source: self.server.path.clone(),
            target: server_path(),
            is_executable: true,
        };
        let model = |name: &str| LayerFile {
            source: self.model.path.join(name),
            target: format!("{MODEL_FOLDER}/{name}"),
            is_executable: false,
        };
        let model: Vec<LayerFile> = self.model.files().into_iter().map(model).collect();
        let port = self.config.image.port;
        Ok(Image {
            layers: vec![
                layer(
                    "trainyard-publish-image: server",
                    vec![server],
                    Compression::Gzip,
                )?,
                layer("trainyard-publish-image: model", model, Compression::None)?,
            ],
            platform: self.server.platform.clone(),
            runtime: RuntimeConfig {
                entrypoint: vec![server_path(), "--model".to_owned(), MODEL_FOLDER.to_owned()],
                // A variable, so that `--env PORT=…` moves the server.
                env: vec![("PORT".to_owned(), port.to_string())],
                ports: vec![port],
                ..RuntimeConfig::default()
            },
            description: self.description(),
            created_s: self.created_s,
        })
    }

    fn description(&self) -> Description {
        let ImageConfig {
            title,
            description,
            licenses,
            ..
        } = &self.config.image;
        let name = &self.model.manifest.name;
        let repository = self.context.repository.as_ref();
        let version = self.context.tag.as_deref().map(|tag| {
            let version = tag.rsplit('@').next().unwrap_or(tag);
            version.strip_prefix('v').unwrap_or(version).to_owned()
        });
        let mut extra = std::collections::BTreeMap::new();
        extra.insert("dev.trainyard.model.name".to_owned(), name.clone());
        extra.insert(
            "dev.trainyard.model.digest".to_owned(),
            self.model.digest.to_string(),
        );
        extra.insert(
            "dev.trainyard.verdict".to_owned(),
            self.verdict.verdict.word().to_owned(),
        );
        if let Some(found) = &self.verdict.overridden {
            let text = format!("{}: {}", found.by, found.reason);
            extra.insert("dev.trainyard.override".to_owned(), text);
        }
        Description {
            title: title.clone().or_else(|| Some(name.clone())),
            description: description.clone(),
            version,
            revision: self.context.head_sha.clone(),
            source: repository.map(|name| format!("{}/{name}", self.context.server_url)),
            licenses: licenses.clone(),
            extra,
        }
    }
}

/// When the image counts as made, in seconds since 1970: `SOURCE_DATE_EPOCH`, else the commit's time, else 0.
pub(crate) fn created_s(base: &Path) -> anyhow::Result<u64> {
    if let Some(text) = Environment::from_process().get("SOURCE_DATE_EPOCH") {
        let seconds = text
            .parse()
            .ok()
            .filter(|seconds| *seconds <= trainyard_oci::MAX_SECONDS);
        let seconds = seconds.with_context(|| {
            format!(
                "`SOURCE_DATE_EPOCH` is `{text}`, which is not a number of seconds from 1970 to the year 9999"
            )
        });
        return seconds.exit_code(ExitCode::Usage);
    }
    let folder = if base.as_os_str().is_empty() {
        Path::new(".")
    } else {
        base
    };
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(folder);
    let commit_time = git.output().ok().and_then(|output| {
        let text = String::from_utf8(output.stdout).ok()?;
        text.trim().parse().ok()
    });
    if commit_time.is_none() {
        tracing::info!(
            "the time of the commit is not known, so the image says 1970; set `SOURCE_DATE_EPOCH` for another"
        );
    }
    Ok(commit_time.unwrap_or(0))
}
