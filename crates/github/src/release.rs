//! Which release came before a release tag.

use semver::Version;
use serde::Deserialize;

use crate::client::GitHub;
use crate::error::{GitHubError, Permission};

/// Pages of tags that are read.
const MAX_PAGES: usize = 20;

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

/// What stands before the version, and the version: `digits@v1.2.3` is `digits@` and 1.2.3.
fn split(tag: &str) -> Option<(&str, Version)> {
    let start = tag.rfind(['@', '/']).map_or(0, |at| at + 1);
    let (prefix, version) = tag.split_at(start);
    let version = version.strip_prefix('v').unwrap_or(version);
    Some((prefix, Version::parse(version).ok()?))
}

/// The highest stable version of the same series below the tag's own.
fn previous(tag: &str, tags: Vec<Tag>) -> Option<Release> {
    let (series, version) = split(tag)?;
    let earlier = tags.into_iter().filter_map(|tag| {
        let (other, found) = split(&tag.name)?;
        let is_earlier = other == series && found.pre.is_empty() && found < version;
        is_earlier.then_some((found, tag))
    });
    let (_, tag) = earlier.max_by(|(a, _), (b, _)| a.cmp(b))?;
    Some(Release {
        commit: tag.commit.sha,
        tag: tag.name,
    })
}

impl GitHub {
    /// The release before `tag`; `None` where there is none, or the tag is no version.
    pub async fn release_before(&self, tag: &str) -> Result<Option<Release>, GitHubError> {
        if split(tag).is_none() {
            return Ok(None);
        }
        let tags = self
            .all_pages(
                "/tags",
                MAX_PAGES,
                "read the tags",
                Permission::ContentsRead,
            )
            .await?;
        Ok(previous(tag, tags))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_before_is_the_highest_stable_one_of_the_same_series() {
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
        ];
        let before = |tag: &str| {
            let tags = names.iter().map(|name| Tag {
                name: (*name).to_owned(),
                commit: Commit {
                    sha: format!("sha of {name}"),
                },
            });
            previous(tag, tags.collect()).map(|release| release.tag)
        };
        for (tag, expected) in [
            ("v1.11.0", Some("v1.10.0")),
            ("v1.11.0-rc.2", Some("v1.10.0")),
            ("v2.0.0", Some("v1.10.0")),
            ("v1.2.1", Some("v1.2.0")),
            ("digits@v1.5.0", Some("digits@v1.3.0")),
            ("models/x/v1.0.1", Some("models/x/v1.0.0")),
            ("v0.9.0", None),
            ("nightly", None),
        ] {
            assert_eq!(before(tag).as_deref(), expected, "{tag}");
        }
    }
}
