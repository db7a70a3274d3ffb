//! Which release came before a release tag.

use serde::Deserialize;
use trainyard_core::release_tag::ReleaseTag;

use crate::client::GitHub;
use crate::error::{GitHubError, Permission};

/// Pages of tags that are read.
const MAX_PAGES: usize = 20;

/// Lower versions that are asked whether they lie before the release.
const MAX_ASKED: usize = 20;

/// A release, as its tag tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The tag.
    pub tag: String,
    /// The commit.
    pub commit: String,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: String,
    commit: Commit,
}

#[derive(Debug, Deserialize)]
struct Commit {
    sha: String,
}

/// The stable versions of the same series below the tag's own, the highest first.
fn lower(release: &ReleaseTag<'_>, model: &str, tags: Vec<Tag>) -> Vec<Release> {
    let earlier = tags.into_iter().filter_map(|tag| {
        let found = ReleaseTag::parse(&tag.name, model)?;
        let version = found.version.clone();
        // Build metadata has no rank: 1.2.3+gpu is not before 1.2.3+cpu.
        let is_earlier = found.is_same_series(release)
            && version.pre.is_empty()
            && version.cmp_precedence(&release.version).is_lt();
        is_earlier.then_some((version, tag))
    });
    let mut earlier: Vec<_> = earlier.collect();
    earlier.sort_by(|(a, _), (b, _)| b.cmp(a));
    let releases = earlier.into_iter().map(|(_, tag)| Release {
        commit: tag.commit.sha,
        tag: tag.name,
    });
    releases.collect()
}

impl GitHub {
    /// The release of `model` before `tag`, which is on the commit `head`: the highest lower version whose commit is an
    /// ancestor, since one of another line of development never led to this one. `None` where there is none, or the tag
    /// names no version.
    pub async fn release_before(
        &self,
        tag: &str,
        head: &str,
        model: &str,
    ) -> Result<Option<Release>, GitHubError> {
        let Some(release) = ReleaseTag::parse(tag, model) else {
            return Ok(None);
        };
        let tags = self
            .all_pages(
                "/tags",
                MAX_PAGES,
                "read the tags",
                Permission::ContentsRead,
            )
            .await?;
        let lower = lower(&release, model, tags);
        if lower.len() > MAX_ASKED {
            tracing::debug!("only the {MAX_ASKED} highest versions below {tag} are looked at");
        }
        for candidate in lower.into_iter().take(MAX_ASKED) {
            if self.is_ancestor(&candidate.commit, head).await? {
                return Ok(Some(candidate));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_stable_version_of_the_same_series_comes_first() {
        let names = [
            "v0.9.0",
            "v1.2.0",
            "v1.10.0",
            "v1.11.0-rc.1",
            "v2.0.0",
            "1.9.9",
            "latest",
            "digits@v1.0.0",
            "digits@v1.3.0",
            "letters@v1.4.0",
            "models/x/v1.0.0",
            "iris-v1.0.0",
            "iris-v1.1.0-rc.1",
            "iris-v1.1.0+cpu",
            "data-2024.1.1",
        ];
        let before = |tag: &str| {
            let tags = names.iter().map(|name| Tag {
                name: (*name).to_owned(),
                commit: Commit {
                    sha: format!("sha of {name}"),
                },
            });
            let release = ReleaseTag::parse(tag, "digits")?;
            let lower = lower(&release, "digits", tags.collect());
            lower.into_iter().next().map(|release| release.tag)
        };
        for (tag, expected) in [
            ("v1.11.0", Some("v1.10.0")),
            ("v1.11.0-rc.2", Some("v1.10.0")),
            ("v2.0.0", Some("v1.10.0")),
            ("v1.2.1", Some("v1.2.0")),
            ("digits@v1.5.0", Some("digits@v1.3.0")),
            ("models/x/v1.0.1", Some("models/x/v1.0.0")),
            ("iris-v1.2.0", Some("iris-v1.1.0+cpu")),
            ("iris-v1.1.0+gpu", Some("iris-v1.0.0")),
            ("v0.9.0", None),
            ("nightly", None),
        ] {
            assert_eq!(before(tag).as_deref(), expected, "{tag}");
        }
    }
}
