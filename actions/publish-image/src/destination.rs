//! Where the image goes: tags from the event, credentials, and the push with its progress.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use trainyard_core::publication::Destination;
use trainyard_core::release_tag::ReleaseTag;
use trainyard_oci::spec::Descriptor;
use trainyard_oci::tags::{self, Event, TagPlan};
use trainyard_oci::{
    ClientOptions, ConnectOptions, Credentials, ImageReference, Layout, Progress, PushSource,
    Registry, RetryPolicy,
};
use trainyard_runner::{Context, Environment, ExitCode, WithExitCode as _};

use crate::Inputs;

/// Some registries answer a PUT only once they have hashed the blob.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// What follows from the event and the inputs, before any registry was asked.
pub(crate) struct Naming<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) context: &'a Context,
    pub(crate) model: &'a str,
}

impl Naming<'_> {
    /// Says that a git tag gave no version, since an image without `latest` is noticed late.
    pub(crate) fn warn_of_no_version(&self, to: Option<&ImageReference>) {
        let is_named = !self.inputs.tag.is_empty() || to.is_some_and(|to| to.tag().is_some());
        let Some(tag) = self.context.tag.as_deref().filter(|_| !is_named) else {
            return;
        };
        if ReleaseTag::parse(tag, self.model).is_none() {
            tracing::warn!(
                "the git tag `{tag}` names no version, so the image gets no version tag and no `latest`; a release tag is {}",
                ReleaseTag::forms(self.model)
            );
        }
    }

    /// The tags, where the repository already has `existing`.
    pub(crate) fn tags(
        &self,
        to: Option<&ImageReference>,
        existing: &[String],
    ) -> anyhow::Result<Vec<TagPlan>> {
        if !self.inputs.tag.is_empty() {
            return Ok(self.inputs.tag.iter().map(TagPlan::floating).collect());
        }
        if let Some(tag) = to.and_then(ImageReference::tag) {
            return Ok(vec![TagPlan::floating(tag)]);
        }
        let event = Event {
            tag: self.context.tag.as_deref(),
            branch: self.context.branch.as_deref(),
            pull_request: self.context.pull_request,
            commit: self.context.head_sha.as_deref(),
            model: self.model,
        };
        let tags = tags::plan(&event, existing).exit_code(ExitCode::Usage)?;
        if tags.is_empty() {
            return Ok(vec![TagPlan::floating("latest")]);
        }
        Ok(tags)
    }
}

/// Pushes the image to `to` and returns where it is now.
pub(crate) async fn push(
    to: &ImageReference,
    naming: &Naming<'_>,
    layout: &Layout,
    manifest: &Descriptor,
) -> anyhow::Result<Destination> {
    let options = ConnectOptions {
        credentials: credentials(naming.inputs, to.registry())?,
        plain_http: Vec::new(),
        client: ClientOptions {
            read_timeout: Some(READ_TIMEOUT),
            ..ClientOptions::default().with_ca(naming.inputs.data.ca.as_deref())
        },
        retry: RetryPolicy::default(),
    };
    let shown = Mutex::new(Shown::default());
    let progress = Arc::new(move |step| {
        if let Ok(mut shown) = shown.lock() {
            shown.show(step);
        }
    });
    // Nothing is sent yet: what fails is the address or the file of authorities.
    let registry = Registry::connect(to, options, progress).exit_code(ExitCode::Usage)?;
    let existing = if naming.context.tag.is_some() {
        registry.list_tags().await.exit_code(ExitCode::Service)?
    } else {
        Vec::new()
    };
    let tags = naming.tags(Some(to), &existing)?;
    let source = PushSource { layout, manifest };
    let pushed = registry
        .push(source, &tags)
        .await
        .exit_code(ExitCode::Service)?;
    tracing::info!(
        "pushed `{}`: {} blobs sent ({:.1} MB), {} there already",
        pushed.image,
        pushed.n_uploaded,
        pushed.uploaded_bytes as f64 / 1e6,
        pushed.n_present
    );
    Ok(Destination {
        image: pushed.image.to_string(),
        tags: pushed.tags,
    })
}

/// Given outright, else Docker's, else the workflow's token for GitHub's own registry.
fn credentials(inputs: &Inputs, registry: &str) -> anyhow::Result<Credentials> {
    if let (Some(username), Some(password)) = (&inputs.registry_username, &inputs.registry_password)
    {
        return Ok(Credentials::Basic {
            username: username.clone(),
            password: password.clone(),
        });
    }
    let found = Credentials::find(registry).exit_code(ExitCode::Service)?;
    let environment = Environment::from_process();
    let workflow = environment
        .get("GITHUB_ACTOR")
        .zip(environment.get("GITHUB_TOKEN"));
    match (found, workflow) {
        (Credentials::Anonymous, Some((username, password))) if registry == "ghcr.io" => {
            Ok(Credentials::Basic {
                username: username.to_owned(),
                password: password.to_owned(),
            })
        }
        (found, _) => Ok(found),
    }
}

/// Turns steps into log lines, a large upload into one each quarter.
#[derive(Default)]
struct Shown {
    quarter: u64,
}

impl Shown {
    fn show(&mut self, step: Progress) {
        match step {
            Progress::Present { digest, size } => {
                tracing::info!("{}  {size} bytes, there already", digest.short());
            }
            Progress::Uploading { digest, sent, size } => {
                let quarter = 4 * sent / size.max(1);
                if quarter != self.quarter && quarter < 4 && size > 64 << 20 {
                    tracing::info!("{}  {} % of {size} bytes", digest.short(), 25 * quarter);
                }
                self.quarter = quarter;
            }
            Progress::Uploaded { digest, size } => {
                tracing::info!("{}  {size} bytes, sent", digest.short());
            }
            Progress::Tagged(image) => tracing::info!("tagged `{image}`"),
            Progress::Retrying {
                during,
                n_attempts,
                wait,
                reason,
            } => tracing::warn!(
                "{during} failed ({reason}); attempt {} follows in {} s",
                n_attempts + 1,
                wait.as_secs_f64()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// The reported case a19: what release tools name a tag by default.
    #[test]
    fn every_form_of_a_release_tag_gives_the_version_and_its_series() {
        let inputs = Inputs::parse_from(["trainyard-publish-image"]);
        let tags = |tag: &str| {
            let context = Context {
                tag: Some(tag.to_owned()),
                head_sha: Some("d".repeat(40)),
                ..Context::default()
            };
            let naming = Naming {
                inputs: &inputs,
                context: &context,
                model: "m",
            };
            let tags = naming.tags(None, &[])?.into_iter().map(|tag| tag.name);
            anyhow::Ok(tags.collect::<Vec<_>>())
        };
        for tag in ["v1.2.3", "m-v1.2.3", "m@v1.2.3", "m/v1.2.3"] {
            let expected = ["1.2.3", "sha-dddddddddddd", "1.2", "1", "latest"];
            assert_eq!(tags(tag).unwrap(), expected, "{tag}");
        }
        assert_eq!(tags("nightly").unwrap(), ["nightly", "sha-dddddddddddd"]);
        assert!(tags("n-v1.2.3").is_err());
    }
}
