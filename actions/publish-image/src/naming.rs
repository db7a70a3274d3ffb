//! What the image is called: tags written by the user, or those that follow from the event.

use trainyard_core::release_tag::ReleaseTag;
use trainyard_oci::tags::{self, Event, TagPlan};
use trainyard_oci::{ImageReference, ReferenceError};
use trainyard_runner::{Context, ExitCode, WithExitCode as _};

use crate::Inputs;

/// What follows from the event and the inputs, before any registry was asked.
pub(crate) struct Naming<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) context: &'a Context,
    pub(crate) model: &'a str,
    /// What the git tag releases, where it names a version.
    tag: Option<ReleaseTag<'a>>,
}

/// A git tag that releases the model.
#[derive(Clone, Copy)]
pub(crate) struct Released<'a> {
    pub(crate) tag: &'a str,
    pub(crate) release: &'a ReleaseTag<'a>,
}

impl<'a> Naming<'a> {
    pub(crate) fn new(inputs: &'a Inputs, context: &'a Context, model: &'a str) -> Self {
        let tag = context.tag.as_deref();
        Self {
            inputs,
            context,
            model,
            tag: tag.and_then(|tag| ReleaseTag::parse(tag, model)),
        }
    }

    /// Says that a git tag gave no version, since an image without `latest` is noticed late.
    pub(crate) fn warn_of_no_version(&self, targets: &[ImageReference]) {
        let is_named = !self.inputs.tag.is_empty() || targets.iter().any(|to| to.tag().is_some());
        let Some(tag) = self.context.tag.as_deref().filter(|_| !is_named) else {
            return;
        };
        if self.tag.is_none() {
            tracing::warn!(
                "the git tag `{tag}` names no version, so the image gets no version tag and no `latest`; a release tag is {}",
                ReleaseTag::forms(self.model)
            );
        }
    }

    /// The release, where the git tag names one of this model.
    pub(crate) fn released(&self) -> Option<Released<'_>> {
        let tag = self.context.tag.as_deref()?;
        let release = self.tag.as_ref()?;
        release
            .is_of(self.model)
            .then_some(Released { tag, release })
    }

    /// The version of the model, where the run is of a tag: that of a release tag, else the tag.
    pub(crate) fn version(&self) -> Option<String> {
        let version = self.tag.as_ref().map(|tag| tag.version.to_string());
        version.or_else(|| self.context.tag.clone())
    }

    /// The tags for `to`, or for the layout alone, in the order in which they are written. A wrong tag ends with
    /// [`ExitCode::Usage`].
    pub(crate) fn tags(&self, to: Option<&ImageReference>) -> anyhow::Result<Vec<TagPlan>> {
        let tag_in_push = to.and_then(|to| Some((to, to.tag()?)));
        if !self.inputs.tag.is_empty() {
            if let Some((to, tag)) = tag_in_push {
                return Err(anyhow::anyhow!(
                    "`{to}` has the tag `{tag}`, and `--tag` gives others: write all of them by `--tag`"
                ))
                .exit_code(ExitCode::Usage);
            }
            let mut tags: Vec<TagPlan> = Vec::new();
            for tag in &self.inputs.tag {
                checked(tag).exit_code(ExitCode::Usage)?;
                let tag = TagPlan::written(tag);
                if !tags.contains(&tag) {
                    tags.push(tag);
                }
            }
            return Ok(tags);
        }
        if let Some((_, tag)) = tag_in_push {
            return Ok(vec![TagPlan::written(tag)]);
        }
        let event = Event {
            tag: self.context.tag.as_deref(),
            branch: self.context.branch.as_deref(),
            pull_request: self.context.pull_request,
            commit: self.context.head_sha.as_deref(),
            model: self.model,
        };
        let tags = tags::plan(&event).exit_code(ExitCode::Usage)?;
        if tags.is_empty() {
            return Ok(vec![TagPlan::unversioned()]);
        }
        Ok(tags)
    }
}

/// The tag, where it is one.
fn checked(tag: &str) -> Result<(), ReferenceError> {
    if tags::is_tag(tag) {
        Ok(())
    } else {
        Err(ReferenceError::Tag {
            tag: tag.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    fn names(arguments: &[&str], tag: Option<&str>) -> anyhow::Result<Vec<String>> {
        let inputs = Inputs::parse_from([&["trainyard-publish-image"], arguments].concat());
        let context = Context {
            tag: tag.map(str::to_owned),
            head_sha: Some("d".repeat(40)),
            ..Context::default()
        };
        let naming = Naming::new(&inputs, &context, "m");
        let tags = naming.tags(None)?.into_iter().map(|tag| tag.name);
        Ok(tags.collect())
    }

    /// The reported case a19: what release tools name a tag by default.
    #[test]
    fn every_form_of_a_release_tag_gives_the_version_and_its_series() {
        for tag in ["v1.2.3", "m-v1.2.3", "m@v1.2.3", "m/v1.2.3"] {
            let expected = ["1.2.3", "sha-dddddddddddd", "1.2", "1", "latest"];
            assert_eq!(names(&[], Some(tag)).unwrap(), expected, "{tag}");
        }
        let nightly = names(&[], Some("nightly")).unwrap();
        assert_eq!(nightly, ["nightly", "sha-dddddddddddd"]);
        assert!(names(&[], Some("n-v1.2.3")).is_err());
    }

    /// One of the two would be dropped.
    #[test]
    fn a_tag_is_given_in_one_place() {
        let inputs = Inputs::parse_from(["trainyard-publish-image", "--tag", "3.3.3"]);
        let context = Context::default();
        let naming = Naming::new(&inputs, &context, "m");
        let to: ImageReference = "ghcr.io/acme/m:1.0".parse().unwrap();
        let error = naming.tags(Some(&to)).unwrap_err().to_string();
        assert!(error.contains("has the tag `1.0`"), "{error}");
        let bare: ImageReference = "ghcr.io/acme/m".parse().unwrap();
        assert_eq!(naming.tags(Some(&bare)).unwrap().len(), 1);
    }

    /// The reported case a18.
    #[test]
    fn what_is_no_tag_is_refused() {
        for tag in ["bad tag", "a,b", "", ".x", "-x"] {
            let error = names(&[&format!("--tag={tag}")], None).unwrap_err();
            assert!(error.to_string().contains("is not a tag"), "{error:#}");
        }
        let tags = names(&["--tag", "a", "--tag", "b", "--tag", "a"], None);
        assert_eq!(tags.unwrap(), ["a", "b"]);
    }
}
