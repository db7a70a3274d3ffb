//! Tags from the event: what happened in, the tags to write out, and which of them a registry's tags let move.
//!
//! A release moves a floating tag (`1.2`, `1`, `latest`) only where it is the highest stable version of that
//! series, so a late fix of an old series never takes `latest` back. Version tags come first and are never
//! overwritten; floating tags come last, so that a push that breaks off has moved nothing.

use semver::Version;
use trainyard_core::release_tag::ReleaseTag;

use crate::reference::MAX_TAG_CHARS;
pub use crate::reference::is_tag;

/// What caused the publication. Absent parts are not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// The git tag that was pushed: `v1.2.3` or, in a repository of several models, `model@v1.2.3` and the other forms of
    /// [`ReleaseTag`].
    pub tag: Option<&'a str>,
    /// The branch that was pushed.
    pub branch: Option<&'a str>,
    /// Number of the pull request.
    pub pull_request: Option<u64>,
    /// The commit, in hexadecimal.
    pub commit: Option<&'a str>,
    /// Name of the model that is published.
    pub model: &'a str,
}

/// A tag to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPlan {
    /// The tag.
    pub name: String,
    /// When it is written.
    pub kind: TagKind,
}

/// When a tag is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagKind {
    /// Names one image for ever: that it names another already is an error.
    Version,
    /// Written where it does not exist yet, and left where it does.
    Once,
    /// Moves to each newer image.
    Floating,
    /// `latest` of a repository without versions: where there are some, it names the highest of them and nothing else.
    Unversioned,
    /// Names the highest stable version of its series, which the registry's tags decide once the image is there.
    Leading(Series),
}

/// Versions that a floating tag of releases stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// `1.2`.
    Minor(u64, u64),
    /// `1`.
    Major(u64),
    /// `latest`.
    All,
}

/// Why no tags follow from an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// The tag of another model.
    #[error(
        "the git tag `{tag}` releases `{tagged}`, not the model `{model}`; start this job only on tags `{model}{separator}v*`, or set `[model] name`"
    )]
    OtherModel {
        /// The git tag.
        tag: String,
        /// The model that it names.
        tagged: String,
        /// What separates its name from the version.
        separator: char,
        /// The model that is published.
        model: String,
    },
}

impl TagPlan {
    /// A tag that moves to each newer image.
    pub fn floating(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: TagKind::Floating,
        }
    }

    /// `latest`, where nothing is known of what happened.
    pub fn unversioned() -> Self {
        Self {
            name: "latest".to_owned(),
            kind: TagKind::Unversioned,
        }
    }

    /// A tag that names one image for ever.
    pub fn version(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            kind: TagKind::Version,
        }
    }

    /// A tag that a user wrote: what reads as a version is one, and all others move.
    pub fn written(name: &str) -> Self {
        let bare = name.strip_prefix('v').unwrap_or(name);
        if tagged_version(bare).is_some() {
            Self::version(name)
        } else {
            Self::floating(name)
        }
    }
}

impl Series {
    fn holds(self, version: &Version) -> bool {
        match self {
            Self::Minor(major, minor) => (version.major, version.minor) == (major, minor),
            Self::Major(major) => version.major == major,
            Self::All => true,
        }
    }

    /// Of `tags`, the one of the highest stable version of the series; `ours` where none is higher, since build metadata has no
    /// rank.
    pub fn highest<'a>(self, ours: &'a str, tags: &'a [String]) -> &'a str {
        let stable = |tag: &'a str| {
            let version = tagged_version(tag)?;
            (version.pre.is_empty() && self.holds(&version)).then_some((version, tag))
        };
        let mut highest = stable(ours);
        for (version, tag) in tags.iter().filter_map(|tag| stable(tag)) {
            let is_higher = |(found, _): &(Version, &str)| version.cmp_precedence(found).is_gt();
            if highest.as_ref().is_none_or(is_higher) {
                highest = Some((version, tag));
            }
        }
        highest.map_or(ours, |(_, tag)| tag)
    }
}

/// Of `tags`, the one of the highest version `below` that one, or of all where there is none: the highest stable version, else
/// the highest prerelease. `None` where no tag names a version.
///
/// Versions that differ in build metadata alone are none below the other.
pub fn highest_version<'a>(tags: &'a [String], below: Option<&Version>) -> Option<&'a str> {
    let versions = tags.iter().filter_map(|tag| {
        // As users write it by `--tag`.
        let version = tagged_version(tag.strip_prefix('v').unwrap_or(tag))?;
        let is_below = below.is_none_or(|below| version.cmp_precedence(below).is_lt());
        is_below.then_some((version.pre.is_empty(), version, tag.as_str()))
    });
    versions.max().map(|(_, _, tag)| tag)
}

/// The tags for `event`, in the order in which they are written; empty when nothing is known.
pub fn plan(event: &Event<'_>) -> Result<Vec<TagPlan>, TagError> {
    let mut tags = Vec::new();
    let mut leading = Vec::new();
    match event.tag.map(|tag| release(tag, event.model)).transpose()? {
        Some(Ok(version)) => {
            tags.push(TagPlan::version(version_tag(&version)));
            leading = leading_tags(&version);
        }
        Some(Err(tag)) => tags.push(TagPlan::floating(sanitize(tag, "tag"))),
        None => {
            let number = event.pull_request.map(|number| format!("pr-{number}"));
            let branch = event.branch.map(|branch| sanitize(branch, "branch"));
            tags.extend(number.or(branch).map(TagPlan::floating));
        }
    }
    tags.extend(event.commit.and_then(commit_tag).map(|name| TagPlan {
        name,
        kind: TagKind::Once,
    }));
    tags.extend(leading);
    Ok(tags)
}

/// The version that a git tag releases; `Ok(Err(tag))` when it is not a release.
fn release<'a>(tag: &'a str, model: &str) -> Result<Result<Version, &'a str>, TagError> {
    let Some(release) = ReleaseTag::parse(tag, model) else {
        return Ok(Err(tag));
    };
    if version_tag(&release.version).len() > MAX_TAG_CHARS {
        return Ok(Err(tag));
    }
    match release.component() {
        Some(tagged) if !release.is_of(model) => Err(TagError::OtherModel {
            tag: tag.to_owned(),
            tagged: tagged.to_owned(),
            separator: release.separator(),
            model: model.to_owned(),
        }),
        _ => Ok(Ok(release.version)),
    }
}

/// A version as a tag; `+`, which tags cannot have, becomes `_` as Helm does it.
fn version_tag(version: &Version) -> String {
    version.to_string().replace('+', "_")
}

/// The version behind an existing tag, where it is one.
fn tagged_version(tag: &str) -> Option<Version> {
    Version::parse(&tag.replacen('_', "+", 1)).ok()
}

/// `1.2`, `1` and `latest`; none for a prerelease.
fn leading_tags(version: &Version) -> Vec<TagPlan> {
    if !version.pre.is_empty() {
        return Vec::new();
    }
    let (major, minor) = (version.major, version.minor);
    let leading = |name: String, series| TagPlan {
        name,
        kind: TagKind::Leading(series),
    };
    let mut tags = vec![leading(
        format!("{major}.{minor}"),
        Series::Minor(major, minor),
    )];
    // Below 1.0.0 every minor version may break, so `0` would promise what it cannot keep.
    if major > 0 {
        tags.push(leading(major.to_string(), Series::Major(major)));
    }
    tags.push(leading("latest".to_owned(), Series::All));
    tags
}

/// A branch or git tag as an image tag that cannot be taken for a release.
fn sanitize(name: &str, kind: &str) -> String {
    let mut tag: String = name
        .chars()
        .map(|c| {
            let is_allowed = c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            if is_allowed { c } else { '-' }
        })
        .collect();
    let trimmed = tag.trim_start_matches(['.', '-']);
    tag = if trimmed.is_empty() || is_reserved(trimmed) {
        format!("{kind}-{trimmed}")
    } else {
        trimmed.to_owned()
    };
    tag.truncate(MAX_TAG_CHARS);
    tag
}

/// Whether a tag would be read as a release, a series, `latest`, a commit, a pull request or the fallback of a referrer.
fn is_reserved(tag: &str) -> bool {
    let is_series = tag
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    is_series
        || tag == "latest"
        || ["sha-", "sha256-", "pr-"]
            .iter()
            .any(|prefix| tag.starts_with(prefix))
        || tagged_version(tag).is_some()
}

/// `sha-` and the first twelve digits.
fn commit_tag(commit: &str) -> Option<String> {
    let digits = commit.get(..12)?.to_ascii_lowercase();
    let is_hex = digits.bytes().all(|b| b.is_ascii_hexdigit());
    is_hex.then(|| format!("sha-{digits}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMIT: &str = "0123456789ABCDEF0123456789abcdef01234567";

    fn planned(tag: Option<&str>, branch: Option<&str>, existing: &[&str]) -> Vec<String> {
        let event = Event {
            tag,
            branch,
            model: "mnist",
            ..Event::default()
        };
        let existing: Vec<String> = existing.iter().map(ToString::to_string).collect();
        let tags = plan(&event).unwrap();
        let ours = tags[0].name.clone();
        let is_written = |tag: &TagPlan| match tag.kind {
            TagKind::Leading(series) => series.highest(&ours, &existing) == ours,
            _ => true,
        };
        tags.into_iter()
            .filter(is_written)
            .map(|tag| tag.name)
            .collect()
    }

    #[test]
    fn a_release_moves_the_series_that_it_leads() {
        let release = |tag, existing: &[&str]| planned(Some(tag), None, existing);
        assert_eq!(release("v1.2.3", &[]), ["1.2.3", "1.2", "1", "latest"]);
        assert_eq!(release("1.2.3", &[]), ["1.2.3", "1.2", "1", "latest"]);
        assert_eq!(release("v0.3.0", &[]), ["0.3.0", "0.3", "latest"]);
        assert_eq!(
            release("v1.2.4", &["1.2.3", "1.2", "1", "latest"]),
            ["1.2.4", "1.2", "1", "latest"]
        );
        // A fix of an older series leaves the newer ones' tags where they are.
        assert_eq!(
            release("v1.2.5", &["1.2.4", "1.3.0", "2.0.0"]),
            ["1.2.5", "1.2"]
        );
        assert_eq!(
            release("v1.9.0", &["1.3.0", "2.0.0"]),
            ["1.9.0", "1.9", "1"]
        );
        assert_eq!(release("v1.2.2", &["1.2.3"]), ["1.2.2"]);
        // A prerelease of a higher version holds nothing back, and a repeated run moves the same tags.
        assert_eq!(
            release("v1.2.3", &["2.0.0-rc.1", "1.2.3"]),
            ["1.2.3", "1.2", "1", "latest"]
        );
    }

    #[test]
    fn prereleases_move_nothing() {
        assert_eq!(planned(Some("v2.0.0-rc.1"), None, &[]), ["2.0.0-rc.1"]);
    }

    #[test]
    fn build_metadata_counts_as_the_same_version() {
        assert_eq!(
            planned(Some("v1.2.3+gpu"), None, &["1.2.2"]),
            ["1.2.3_gpu", "1.2", "1", "latest"]
        );
        assert_eq!(planned(Some("v1.2.2"), None, &["1.2.3_gpu"]), ["1.2.2"]);
    }

    #[test]
    fn tags_of_several_models_are_kept_apart() {
        for tag in [
            "mnist@v1.2.3",
            "mnist/v1.2.3",
            "mnist-v1.2.3",
            "models/mnist/v1.2.3",
        ] {
            assert_eq!(
                planned(Some(tag), None, &[]),
                ["1.2.3", "1.2", "1", "latest"],
                "{tag}"
            );
        }
        // What names no version moves none.
        assert_eq!(planned(Some("mnist-nightly"), None, &[]), ["mnist-nightly"]);
        let event = Event {
            tag: Some("iris@v1.2.3"),
            model: "mnist",
            ..Event::default()
        };
        assert_eq!(
            plan(&event).unwrap_err().to_string(),
            "the git tag `iris@v1.2.3` releases `iris`, not the model `mnist`; start this job only on tags \
             `mnist@v*`, or set `[model] name`"
        );
        let event = Event {
            tag: Some("iris-v1.2.3"),
            ..event
        };
        let error = plan(&event).unwrap_err().to_string();
        assert!(error.contains("only on tags `mnist-v*`"), "{error}");
    }

    #[test]
    fn version_tags_alone_are_for_ever_and_those_of_series_come_last() {
        let event = Event {
            tag: Some("v1.2.3"),
            commit: Some(COMMIT),
            model: "mnist",
            ..Event::default()
        };
        let tags = plan(&event).unwrap();
        let described: Vec<(&str, TagKind)> = tags
            .iter()
            .map(|tag| (tag.name.as_str(), tag.kind))
            .collect();
        assert_eq!(
            described,
            [
                ("1.2.3", TagKind::Version),
                ("sha-0123456789ab", TagKind::Once),
                ("1.2", TagKind::Leading(Series::Minor(1, 2))),
                ("1", TagKind::Leading(Series::Major(1))),
                ("latest", TagKind::Leading(Series::All))
            ]
        );
    }

    /// publishing.md row 10.
    #[test]
    fn a_version_that_a_user_writes_is_one() {
        for tag in ["1.2.3", "v1.2.3", "1.2.3_gpu", "2.0.0-rc.1"] {
            assert_eq!(TagPlan::written(tag), TagPlan::version(tag));
        }
        for tag in ["1.2", "latest", "nightly", "v1.2"] {
            assert_eq!(TagPlan::written(tag), TagPlan::floating(tag));
        }
    }

    #[test]
    fn the_highest_version_is_a_stable_one_where_there_is_any() {
        let highest = |tags: &[&str], below: Option<&str>| {
            let tags: Vec<String> = tags.iter().map(ToString::to_string).collect();
            let below = below.map(|below| Version::parse(below).unwrap());
            highest_version(&tags, below.as_ref()).map(str::to_owned)
        };
        let of_all = |tags: &[&str]| highest(tags, None);
        for none in [
            &[][..],
            &["latest", "1", "1.2", "main", "pr-7", "nightly"],
            &["sha-0123456789ab", "sha256-00"],
        ] {
            assert_eq!(of_all(none), None, "{none:?}");
        }
        let tags = ["1.9.0", "1.10.0", "1.10", "latest", "2.0.0-rc.1"];
        assert_eq!(of_all(&tags).as_deref(), Some("1.10.0"));
        let prereleases = ["2.0.0-rc.1", "2.0.0-rc.2"];
        assert_eq!(of_all(&prereleases).as_deref(), Some("2.0.0-rc.2"));
        let written = ["v1.2.0", "1.1.0_gpu"];
        assert_eq!(of_all(&written).as_deref(), Some("v1.2.0"));
        // A release is not compared with itself or a later one.
        for (below, expected) in [
            ("1.10.0", Some("1.9.0")),
            ("1.10.0+gpu", Some("1.9.0")),
            ("3.0.0", Some("1.10.0")),
            ("1.9.0", None),
        ] {
            assert_eq!(highest(&tags, Some(below)).as_deref(), expected, "{below}");
        }
    }

    #[test]
    fn branches_and_pull_requests_cannot_pose_as_releases() {
        let branch = |name| planned(None, Some(name), &[]);
        assert_eq!(branch("main"), ["main"]);
        assert_eq!(branch("feature/größer"), ["feature-gr--er"]);
        assert_eq!(branch("1.2.3"), ["branch-1.2.3"]);
        assert_eq!(branch("1.2"), ["branch-1.2"]);
        assert_eq!(branch("latest"), ["branch-latest"]);
        assert_eq!(branch("sha-0123456789ab"), ["branch-sha-0123456789ab"]);
        assert_eq!(branch("---"), ["branch-"]);
        assert_eq!(planned(Some("nightly"), None, &[]), ["nightly"]);
        assert_eq!(planned(Some("latest"), None, &[]), ["tag-latest"]);
        let event = Event {
            branch: Some("feature"),
            pull_request: Some(7),
            model: "mnist",
            ..Event::default()
        };
        assert_eq!(plan(&event).unwrap(), [TagPlan::floating("pr-7")]);
    }

    fn versions() -> impl Strategy<Value = Vec<Version>> {
        let version = (0..3_u64, 0..3_u64, 0..3_u64, any::<bool>(), any::<bool>()).prop_map(
            |(major, minor, patch, is_pre, has_build)| {
                let pre = if is_pre { "-rc.1" } else { "" };
                let build = if has_build { "+b" } else { "" };
                Version::parse(&format!("{major}.{minor}.{patch}{pre}{build}")).unwrap()
            },
        );
        proptest::collection::vec(version, 1..12)
    }

    /// Build metadata has no rank among versions.
    fn without_build(version: &Version) -> Version {
        Version {
            build: semver::BuildMetadata::EMPTY,
            ..version.clone()
        }
    }

    proptest! {
        #[test]
        fn every_tag_is_valid(
            tag in proptest::option::of("\\PC{0,20}|v[0-9]\\.[0-9]\\.[0-9](-[a-z0-9.]{1,9})?(\\+[a-z0-9.-]{1,200})?"),
            branch in proptest::option::of("\\PC{0,200}"),
            commit in proptest::option::of("\\PC{0,40}|[0-9a-f]{40}"),
        ) {
            let event = Event { tag: tag.as_deref(), branch: branch.as_deref(), commit: commit.as_deref(), model: "m", pull_request: None };
            for tag in plan(&event).into_iter().flatten() {
                prop_assert!(is_tag(&tag.name), "{:?}", tag.name);
            }
        }

        /// Publishing versions in any order, no floating tag ever goes back.
        #[test]
        fn floating_tags_never_move_backwards(versions in versions()) {
            let mut registry = std::collections::BTreeMap::<String, Version>::new();
            for version in versions {
                let existing: Vec<String> = registry.keys().cloned().collect();
                let tag = format!("v{version}");
                let event = Event { tag: Some(&tag), model: "m", ..Event::default() };
                let ours = version_tag(&version);
                for tag in plan(&event).unwrap() {
                    if let TagKind::Leading(series) = tag.kind && series.highest(&ours, &existing) != ours {
                        continue;
                    }
                    if let Some(before) = registry.get(&tag.name) {
                        prop_assert!(without_build(before) <= without_build(&version), "{}", tag.name);
                    }
                    prop_assert!(tag.kind == TagKind::Version || version.pre.is_empty());
                    registry.insert(tag.name, version.clone());
                }
            }
            prop_assert!(!registry.contains_key("0"));
        }
    }
}
