//! Git tags that release a version: the one grammar of them.
//!
//! | Tag | Component | Version |
//! | :-- | :-- | :-- |
//! | `v1.2.3`, `1.2.3` | none | 1.2.3 |
//! | `digits@v1.2.3`, `digits@1.2.3` | `digits` | 1.2.3 |
//! | `digits/v1.2.3`, `models/digits/v1.2.3` | `digits`, `models/digits` | 1.2.3 |
//! | `digits-v1.2.3` | `digits` | 1.2.3 |
//!
//! Versions are those of Semantic Versioning 2.0.0, prereleases (`-rc.1`) and build metadata (`+gpu`) included. A
//! component may hold `-` too, and so may a prerelease, so `a-v1.0.0-v2.0.0` can be read in two ways. The model's name
//! decides where it is one of the readings; else the first version in the tag does.

use semver::Version;

/// A git tag that releases a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseTag<'a> {
    /// What is released, in a repository that releases several things; and what separates it from the version.
    component: Option<(&'a str, char)>,
    /// The version.
    pub version: Version,
}

impl<'a> ReleaseTag<'a> {
    /// The forms of a release tag for `model`, for messages.
    pub fn forms(model: &str) -> String {
        format!("`v1.2.3`, `{model}@v1.2.3`, `{model}/v1.2.3` or `{model}-v1.2.3`")
    }

    /// Reads a tag, in a job about `model`. `None` where it names no version.
    pub fn parse(tag: &'a str, model: &str) -> Option<Self> {
        let splits = || {
            tag.match_indices(['@', '/', '-']).filter_map(|(at, text)| {
                let (component, separator) = (&tag[..at], text.chars().next()?);
                let version = &tag[at + text.len()..];
                let is_models = is_of(component, model);
                // `data-2024.1.1` is more likely a date than a version of `data`.
                let needs_v = separator == '-' && !is_models;
                if component.is_empty() || (needs_v && !version.starts_with('v')) {
                    return None;
                }
                let release = Self {
                    component: Some((component, separator)),
                    version: version_of(version)?,
                };
                Some((is_models, release))
            })
        };
        let of_model = splits().find(|(is_models, _)| *is_models);
        let whole = || {
            version_of(tag).map(|version| Self {
                component: None,
                version,
            })
        };
        of_model
            .map(|(_, release)| release)
            .or_else(whole)
            .or_else(|| splits().next().map(|(_, release)| release))
    }

    /// What is released, where the tag names it.
    pub fn component(&self) -> Option<&'a str> {
        self.component.map(|(component, _)| component)
    }

    /// What stands between component and version; `@` where there is no component.
    pub fn separator(&self) -> char {
        self.component.map_or('@', |(_, separator)| separator)
    }

    /// Whether the tag may release `model`: it names it, maybe with the folder that it lies in, or nothing at all.
    pub fn is_of(&self, model: &str) -> bool {
        self.component()
            .is_none_or(|component| is_of(component, model))
    }

    /// Whether both tags release versions of one thing, so that one of them is the earlier one.
    pub fn is_same_series(&self, other: &ReleaseTag<'_>) -> bool {
        self.component() == other.component()
    }
}

fn is_of(component: &str, model: &str) -> bool {
    component
        .strip_suffix(model)
        .is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
}

fn version_of(text: &str) -> Option<Version> {
    Version::parse(text.strip_prefix('v').unwrap_or(text)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(tag: &str, model: &str) -> Option<(Option<String>, String)> {
        let found = ReleaseTag::parse(tag, model)?;
        let component = found.component().map(str::to_owned);
        Some((component, found.version.to_string()))
    }

    #[test]
    fn every_usual_form_of_a_release_tag_is_read() {
        for (tag, component, version) in [
            ("v1.2.3", None, "1.2.3"),
            ("1.2.3", None, "1.2.3"),
            ("v1.2.3-rc.1+gpu-2", None, "1.2.3-rc.1+gpu-2"),
            ("v1.2.3-rc-v2.0.0", None, "1.2.3-rc-v2.0.0"),
            ("m@v1.2.3", Some("m"), "1.2.3"),
            ("m@1.2.3", Some("m"), "1.2.3"),
            ("m/v1.2.3", Some("m"), "1.2.3"),
            ("m-v1.2.3", Some("m"), "1.2.3"),
            // release-please without `include-v-in-tag`; only where the model is known by this name.
            ("m-1.2.3", Some("m"), "1.2.3"),
            ("m-v1.2.3-rc.1", Some("m"), "1.2.3-rc.1"),
            ("m-v1.2.3+build-v1.0.0", Some("m"), "1.2.3+build-v1.0.0"),
            ("models/m/v1.2.3", Some("models/m"), "1.2.3"),
            ("models/m-v1.2.3", Some("models/m"), "1.2.3"),
            ("@acme/m@1.2.3", Some("@acme/m"), "1.2.3"),
        ] {
            let expected = Some((component.map(str::to_owned), version.to_owned()));
            assert_eq!(read(tag, "m"), expected, "{tag}");
            assert!(ReleaseTag::parse(tag, "m").unwrap().is_of("m"), "{tag}");
        }
    }

    #[test]
    fn other_tags_release_nothing() {
        for tag in [
            "",
            "v",
            "latest",
            "nightly",
            "v1",
            "v1.2",
            "1.2",
            "v1.2.3.4",
            "v01.2.3",
            "V1.2.3",
            "m@",
            "m@v",
            "m@latest",
            "@v1.2.3",
            "-v1.2.3",
            "/v1.2.3",
            "data-2024.1.1",
            "m@v1.2.3/x",
            "m-v1.2.3 ",
            "größe",
        ] {
            assert_eq!(read(tag, "m"), None, "{tag}");
        }
    }

    #[test]
    fn the_models_name_decides_between_two_readings() {
        let tag = "a-v1.0.0-v2.0.0";
        let first = Some((Some("a".to_owned()), "1.0.0-v2.0.0".to_owned()));
        assert_eq!(read(tag, "a"), first);
        assert_eq!(read(tag, "b"), first);
        let second = Some((Some("a-v1.0.0".to_owned()), "2.0.0".to_owned()));
        assert_eq!(read(tag, "a-v1.0.0"), second);
        let dashes = Some((Some("my-model-2".to_owned()), "1.2.3".to_owned()));
        assert_eq!(read("my-model-2-v1.2.3", "my-model-2"), dashes);
        assert_eq!(read("my-model-2-v1.2.3", "other"), dashes);
        let other = ReleaseTag::parse("iris-v1.2.3", "m").unwrap();
        assert!(!other.is_of("m"));
        assert!(!ReleaseTag::parse("am/v1.2.3", "m").unwrap().is_of("m"));
    }

    #[test]
    fn a_series_is_one_thing_whatever_separates_it_from_its_version() {
        let read = |tag| ReleaseTag::parse(tag, "m").unwrap();
        assert!(read("m@v1.0.0").is_same_series(&read("m-v1.1.0")));
        assert!(!read("m@v1.0.0").is_same_series(&read("v1.1.0")));
        assert!(!read("m@v1.0.0").is_same_series(&read("n@v1.1.0")));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not_and_what_is_written_is_read(
            text in "\\PC{0,40}|[a-z0-9v./@+-]{0,30}",
            model in "[a-z0-9][a-z0-9._-]{0,12}",
            version in "[0-9]{1,3}\\.[0-9]{1,3}\\.[1-9](-[a-z][a-z0-9-]{0,6})?(\\+[a-z0-9-]{1,6})?",
            separator in "[@/-]",
        ) {
            let _ = ReleaseTag::parse(&text, &model);
            if let Ok(expected) = Version::parse(&version) {
                let tag = format!("{model}{separator}v{version}");
                let found = ReleaseTag::parse(&tag, &model).unwrap();
                prop_assert_eq!(found.component(), Some(&*model));
                prop_assert_eq!(found.version, expected);
            }
        }
    }
}
