//! The evaluation attached to a published image, as a baseline.
//!
//! A tag or a digest names the image; without either it is the highest published version. What is not there yet is told apart from what
//! cannot be had. Nothing of the image but its manifest is read.

use std::path::Path;

use trainyard_core::config::{ConfigError, ImageConfig, JudgingConfig};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::error_chain::in_one_line;
use trainyard_core::evaluation::{EVALUATION_FILE, Evaluation};
use trainyard_core::files;
use trainyard_core::gate::{Baseline, BaselinePlace, NoBaseline, NoBaselineState};
use trainyard_core::publication::EVALUATION_MEDIA_TYPE;
use trainyard_core::release_tag::ReleaseTag;
use trainyard_oci::tags::highest_version;
use trainyard_oci::{
    Access, AttachedFile, ImageReference, ReferenceError, Registry, RegistryError, RetryPolicy,
    annotation,
};
use trainyard_registry::{Reach, image_reference};
use trainyard_runner::Context;

use crate::Inputs;

/// Images of an index that are asked for an evaluation; ours attach it to the index too.
const MAX_IMAGES: usize = 16;

/// Where published images are looked for.
pub(crate) struct Published<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) config: &'a ImageConfig,
    pub(crate) context: &'a Context,
    pub(crate) model_name: &'a str,
}

/// The evaluation of an image.
struct Pulled {
    /// The image by digest, with its tag where it was found by one.
    image: String,
    text: String,
    digest: Sha256Digest,
}

impl Published<'_> {
    /// The baseline that is attached to the image `written`, and its text.
    pub(crate) fn baseline(&self, written: &str) -> (Baseline, Option<String>) {
        let pulled = match self.pull(written) {
            Ok(pulled) => pulled,
            Err(none) => return (none.into(), None),
        };
        let Pulled {
            image,
            text,
            digest,
        } = pulled;
        tracing::info!("the baseline is the evaluation {digest} attached to `{image}`");
        let source = format!("image {image}");
        let baseline = Baseline::parse(text.as_bytes(), Path::new(EVALUATION_FILE), &source);
        (baseline, Some(text))
    }

    fn pull(&self, written: &str) -> Result<Pulled, NoBaseline> {
        let named = image_reference(written).map_err(|error| unavailable(written, &error))?;
        let of_config = || {
            let base = self.inputs.stage.base();
            Some(base.join(self.config.ca.as_ref()?))
        };
        let reach = Reach {
            args: &self.inputs.registry,
            plain_http: &self.config.plain_http,
            ca: self.inputs.github.ca.clone().or_else(of_config),
            retry: RetryPolicy::default(),
            token: self.inputs.github.token.as_deref(),
        };
        let registry = reach
            .connect(&named, Access::Pull)
            .map_err(|error| because(&named, format!("{error:#}")))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| unavailable(written, &error))?;
        runtime.block_on(self.pull_from(&registry, &named))
    }

    async fn pull_from(
        &self,
        registry: &Registry,
        named: &ImageReference,
    ) -> Result<Pulled, NoBaseline> {
        let failed = |error: RegistryError| unavailable(named, &error);
        let tag = match (named.digest(), named.tag()) {
            (Some(_), _) => None,
            (None, Some(tag)) => Some(tag.to_owned()),
            (None, None) => Some(self.highest(registry, named).await?),
        };
        let reference = match (named.digest(), &tag) {
            (Some(digest), _) => digest.as_str(),
            (None, tag) => tag.as_deref().unwrap_or_default(),
        };
        let Some(found) = registry.read_manifest(reference).await.map_err(failed)? else {
            return Err(missing(registry, named).await);
        };
        let digest = found.descriptor.digest.clone();
        let image = match &tag {
            Some(tag) => format!("{}:{tag}@{digest}", named.name()),
            None => named.with_digest(&digest).to_string(),
        };
        let mut files = evaluations(registry, &digest).await.map_err(failed)?;
        if files.is_empty()
            && let Some(index) = found.index()
        {
            for entry in index.images().take(MAX_IMAGES) {
                files = evaluations(registry, &entry.digest).await.map_err(failed)?;
                if !files.is_empty() {
                    break;
                }
            }
        }
        let model = found
            .manifest()
            .and_then(|it| it.annotations.get(annotation::MODEL_DIGEST).cloned());
        let (text, digest) =
            the_evaluation(&files, model.as_deref()).map_err(|problem| because(&image, problem))?;
        Ok(Pulled {
            image,
            text,
            digest,
        })
    }

    /// The tag of the highest published version; for a release, of those below it.
    async fn highest(
        &self,
        registry: &Registry,
        named: &ImageReference,
    ) -> Result<String, NoBaseline> {
        let tags = registry.list_tags().await;
        let tags = tags.map_err(|error| unavailable(named, &error))?;
        let release = self.context.tag.as_deref();
        let release = release.and_then(|tag| ReleaseTag::parse(tag, self.model_name));
        let below = release.map(|release| release.version);
        let Some(tag) = highest_version(&tags, below.as_ref()) else {
            let below = below.map(|version| format!(" below {version}"));
            return Err(NoBaseline {
                state: NoBaselineState::NeverRecorded,
                reason: format!(
                    "`{named}` has no published version{} yet",
                    below.unwrap_or_default()
                ),
            });
        };
        Ok(tag.to_owned())
    }
}

/// The configuration, where the image that it names as baseline can be one.
pub(crate) fn checked(config: JudgingConfig, path: &Path) -> Result<JudgingConfig, ConfigError> {
    if let Some(BaselinePlace::Image(written)) = &config.gate.baseline
        && let Err(error) = image_reference(written)
    {
        let text = files::read_text(path).map_err(ConfigError::Unreadable)?;
        let place = ["gate", "baseline"];
        return Err(ConfigError::at(&place, error.to_string(), path, &text));
    }
    Ok(config)
}

/// Whether the image that an option names as baseline can be one.
pub(crate) fn check_named(place: Option<&BaselinePlace>) -> Result<(), ReferenceError> {
    match place {
        Some(BaselinePlace::Image(written)) => image_reference(written).map(|_| ()),
        _ => Ok(()),
    }
}

/// Why an image that was named is not there. Before anything is published that is no fault.
async fn missing(registry: &Registry, named: &ImageReference) -> NoBaseline {
    let Some(tag) = named.tag().filter(|_| named.digest().is_none()) else {
        return because(named, "the registry does not have it".to_owned());
    };
    match registry.list_tags().await {
        Err(error) => unavailable(named, &error),
        Ok(tags) => match highest_version(&tags, None) {
            None => NoBaseline {
                state: NoBaselineState::NeverRecorded,
                reason: format!("`{named}` is not published yet"),
            },
            Some(highest) => because(
                named,
                format!(
                    "the registry has no tag `{tag}`; the highest version there is `{highest}`"
                ),
            ),
        },
    }
}

async fn evaluations(
    registry: &Registry,
    image: &Sha256Digest,
) -> Result<Vec<AttachedFile>, RegistryError> {
    let attached = registry
        .read_attached(image, |media_type| media_type == EVALUATION_MEDIA_TYPE)
        .await?;
    for skipped in attached.skipped {
        tracing::debug!("{skipped}");
    }
    Ok(attached.files)
}

/// The one evaluation among `files` that is of the image's `model`, where the image names it; and its digest.
fn the_evaluation(
    files: &[AttachedFile],
    model: Option<&str>,
) -> Result<(String, Sha256Digest), String> {
    const AGAIN: &str = "publish that version again with `trainyard-publish-image`, or name another image or a file as the baseline";
    let mut found: Vec<(&AttachedFile, Sha256Digest, Option<Sha256Digest>)> = Vec::new();
    for file in files {
        let digest = Sha256Digest::of(&file.bytes);
        if found.iter().any(|(_, known, _)| *known == digest) {
            continue;
        }
        let evaluation = Evaluation::parse(&file.bytes, Path::new(EVALUATION_FILE));
        let evaluation = evaluation.map_err(|error| {
            format!(
                "the evaluation {digest} attached to it cannot be read: {}",
                in_one_line(&error)
            )
        })?;
        found.push((file, digest, evaluation.model.digest));
    }
    let Some((_, _, first)) = found.first() else {
        return Err(format!("no evaluation is attached to it; {AGAIN}"));
    };
    let named_first = first
        .as_ref()
        .map_or("an unnamed model", Sha256Digest::as_str);
    let of_another = format!(
        "the evaluation attached to it is of {named_first}, but the image holds {}; {AGAIN}",
        model.unwrap_or_default()
    );
    found.retain(|(_, _, of)| {
        model.is_none_or(|model| of.as_ref().map(Sha256Digest::as_str) == Some(model))
    });
    match found.as_slice() {
        [] => Err(of_another),
        [(file, digest, _)] => {
            let text = String::from_utf8(file.bytes.to_vec());
            let text = text.map_err(|_| format!("the evaluation {digest} is not UTF-8"))?;
            Ok((text, digest.clone()))
        }
        several => {
            let digests: Vec<&str> = several
                .iter()
                .map(|(_, digest, _)| digest.as_str())
                .collect();
            Err(format!(
                "{} different evaluations are attached to it ({}), and nothing says which one counts: name a file as the baseline",
                several.len(),
                digests.join(", ")
            ))
        }
    }
}

fn unavailable(
    named: impl std::fmt::Display,
    error: &(dyn std::error::Error + 'static),
) -> NoBaseline {
    because(named, in_one_line(error))
}

fn because(named: impl std::fmt::Display, reason: String) -> NoBaseline {
    NoBaseline {
        state: NoBaselineState::Unavailable,
        reason: format!("`{named}`: {reason}"),
    }
}
