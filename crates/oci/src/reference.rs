//! Image references: text in, registry, repository, tag and digest out, or an error that says what to write.
//!
//! The registry is always named: nothing is silently sent to Docker Hub.

use std::fmt;
use std::str::FromStr;

use trainyard_core::digest::{ParseDigestError, Sha256Digest};

/// Longest name, registry included, that registries take.
const MAX_NAME_CHARS: usize = 255;

/// Longest tag (distribution specification, `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`).
pub(crate) const MAX_TAG_CHARS: usize = 128;

/// An image by `registry/repository[:tag][@digest]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageReference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Sha256Digest>,
}

/// Why a text is not an image reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing at all.
    #[error("an image reference is empty; write one such as `ghcr.io/owner/name:1.0`")]
    Empty,
    /// An address of a page.
    #[error("`{reference}` is a web address; leave `{scheme}` out: `{rest}`")]
    Scheme {
        /// The text.
        reference: String,
        /// What is too much.
        scheme: String,
        /// What remains.
        rest: String,
    },
    /// No registry is named.
    #[error(
        "`{reference}` names no registry; write `docker.io/{reference}` for Docker Hub or `ghcr.io/{reference}` for GitHub's"
    )]
    NoRegistry {
        /// The text.
        reference: String,
    },
    /// A registry alone.
    #[error("`{reference}` names no repository; write one such as `{reference}/owner/name`")]
    NoRepository {
        /// The text.
        reference: String,
    },
    /// Capitals in the repository.
    #[error(
        "`{reference}` has capital letters, which image names cannot have; write `{suggestion}`"
    )]
    Capitals {
        /// The text.
        reference: String,
        /// With small letters.
        suggestion: String,
    },
    /// A character that cannot be there.
    #[error(
        "`{reference}`: `{part}` is not part of an image name; use small letters and digits, joined by `-`, `_` or `.`"
    )]
    Name {
        /// The text.
        reference: String,
        /// The wrong part.
        part: String,
    },
    /// The registry is not a host name.
    #[error("`{reference}`: `{registry}` is not a host name with an optional port")]
    Registry {
        /// The text.
        reference: String,
        /// The wrong part.
        registry: String,
    },
    /// Not a tag.
    #[error(
        "`{tag}` is not a tag; use up to {MAX_TAG_CHARS} letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`"
    )]
    Tag {
        /// The wrong tag.
        tag: String,
    },
    /// Not a digest.
    #[error("in `{reference}`")]
    Digest {
        /// The text.
        reference: String,
        /// What is wrong with the digest.
        source: ParseDigestError,
    },
    /// Too long.
    #[error(
        "`{reference}`: the name has {n_chars} characters, but registries take {MAX_NAME_CHARS}"
    )]
    TooLong {
        /// The text.
        reference: String,
        /// Its length.
        n_chars: usize,
    },
}

impl ImageReference {
    /// Host name and optional port: `ghcr.io`, `127.0.0.1:5000`.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Path within the registry: `owner/name`.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, where given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, where given.
    pub const fn digest(&self) -> Option<&Sha256Digest> {
        self.digest.as_ref()
    }

    /// `registry/repository` alone.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The same repository, by `tag`.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Tag {
                tag: tag.to_owned(),
            });
        }
        Ok(Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        })
    }

    /// The same repository, by `digest`: what a deployment should name.
    #[must_use]
    pub fn with_digest(&self, digest: &Sha256Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest.clone()),
            ..self.clone()
        }
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(formatter, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for ImageReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let reference = text.to_owned();
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return Err(ReferenceError::Scheme {
                reference,
                scheme: format!("{scheme}://"),
                rest: rest.to_owned(),
            });
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash belongs to the registry's port.
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        let Some((registry, repository)) = name.split_once('/') else {
            return Err(if is_host_like(rest) {
                ReferenceError::NoRepository { reference }
            } else {
                ReferenceError::NoRegistry { reference }
            });
        };
        if !is_host_like(registry) {
            return Err(ReferenceError::NoRegistry { reference });
        }
        if !is_host(registry) {
            return Err(ReferenceError::Registry {
                reference,
                registry: registry.to_owned(),
            });
        }
        check_repository(text, registry, repository)?;
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag {
                tag: tag.to_owned(),
            });
        }
        let digest = digest
            .map(str::parse)
            .transpose()
            .map_err(|source| ReferenceError::Digest { reference, source })?;
        let (registry, repository) = full_name(registry, repository);
        Ok(Self {
            registry,
            repository,
            tag: tag.map(str::to_owned),
            digest,
        })
    }
}

fn check_repository(text: &str, registry: &str, repository: &str) -> Result<(), ReferenceError> {
    let reference = text.to_owned();
    if repository.is_empty() {
        return Err(ReferenceError::NoRepository {
            reference: registry.to_owned(),
        });
    }
    if repository.chars().any(char::is_uppercase) {
        let suggestion = text.replacen(repository, &repository.to_lowercase(), 1);
        return Err(ReferenceError::Capitals {
            reference,
            suggestion,
        });
    }
    let n_chars = registry.len() + 1 + repository.len();
    if n_chars > MAX_NAME_CHARS {
        return Err(ReferenceError::TooLong { reference, n_chars });
    }
    if let Some(part) = repository.split('/').find(|part| !is_name_part(part)) {
        return Err(ReferenceError::Name {
            reference,
            part: part.to_owned(),
        });
    }
    Ok(())
}

/// What tells a registry from the first part of a repository: a dot, a port, or `localhost`.
fn is_host_like(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost"
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        // `[::1]` without a port ends in `]`.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let has_valid_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let is_ipv6 = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .is_some_and(|host| host.parse::<std::net::Ipv6Addr>().is_ok());
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    has_valid_port && (is_ipv6 || host.split('.').all(is_label))
}

/// Whether `part` may stand between the slashes of a repository's name (distribution specification, "Pulling manifests"): letters and
/// digits, joined by one `.`, one or two `_`, or any number of `-`.
///
/// Written out, since the library's regular expression takes 50 ms to compile.
fn is_name_part(part: &str) -> bool {
    let is_separator = |b: &u8| matches!(b, b'.' | b'_' | b'-');
    let bytes = part.as_bytes();
    let are_known = bytes
        .iter()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || is_separator(b));
    let has_ends = [bytes.first(), bytes.last()]
        .into_iter()
        .all(|end| end.is_some_and(|end| !is_separator(end)));
    let mut runs = bytes.split(|b| !is_separator(b));
    let may_join =
        |run: &[u8]| matches!(run, b"" | b"." | b"_" | b"__") || run.iter().all(|b| *b == b'-');
    are_known && has_ends && runs.all(may_join)
}

/// Registry and repository as the registry itself calls them: Docker Hub has two host names, and its official images lie
/// in `library`.
fn full_name(registry: &str, repository: &str) -> (String, String) {
    match registry {
        "docker.io" | "index.docker.io" => {
            let is_official = !repository.contains('/');
            let folder = if is_official { "library/" } else { "" };
            ("docker.io".to_owned(), format!("{folder}{repository}"))
        }
        _ => (registry.to_owned(), repository.to_owned()),
    }
}

/// Whether `text` is a tag by the distribution specification.
pub fn is_tag(text: &str) -> bool {
    let is_first = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let is_next = |b: u8| is_first(b) || matches!(b, b'.' | b'-');
    text.len() <= MAX_TAG_CHARS
        && text.bytes().next().is_some_and(is_first)
        && text.bytes().all(is_next)
}

#[cfg(test)]
mod tests {
    use oci_distribution::Reference;
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> ImageReference {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn parts_are_told_apart() {
        let digest = Sha256Digest::of(b"");
        for (text, registry, repository, tag) in [
            ("ghcr.io/owner/name", "ghcr.io", "owner/name", None),
            (
                "ghcr.io/o/n/deep:1.2.3",
                "ghcr.io",
                "o/n/deep",
                Some("1.2.3"),
            ),
            ("127.0.0.1:5000/a", "127.0.0.1:5000", "a", None),
            ("localhost/a__b:x", "localhost", "a__b", Some("x")),
            ("localhost:80/a:x", "localhost:80", "a", Some("x")),
            ("[::1]:5000/a", "[::1]:5000", "a", None),
            ("docker.io/alpine", "docker.io", "library/alpine", None),
            ("index.docker.io/a:1", "docker.io", "library/a", Some("1")),
        ] {
            let reference = parsed(text);
            assert_eq!(reference.registry(), registry);
            assert_eq!(reference.repository(), repository);
            assert_eq!(reference.tag(), tag);
            let exact = parsed(&format!("{text}@{digest}"));
            assert_eq!(exact.digest(), Some(&digest));
            assert_eq!(exact.tag(), tag);
        }
    }

    #[test]
    fn errors_say_what_to_write() {
        for (text, message) in [
            (
                "",
                "an image reference is empty; write one such as `ghcr.io/owner/name:1.0`",
            ),
            (
                "owner/name",
                "`owner/name` names no registry; write `docker.io/owner/name` for Docker Hub or `ghcr.io/owner/name` for GitHub's",
            ),
            (
                "https://ghcr.io/a/b",
                "`https://ghcr.io/a/b` is a web address; leave `https://` out: `ghcr.io/a/b`",
            ),
            (
                "ghcr.io",
                "`ghcr.io` names no repository; write one such as `ghcr.io/owner/name`",
            ),
            (
                "ghcr.io/Owner/Name:V1",
                "`ghcr.io/Owner/Name:V1` has capital letters, which image names cannot have; write `ghcr.io/owner/name:V1`",
            ),
            (
                "ghcr.io/a b",
                "`ghcr.io/a b`: `a b` is not part of an image name; use small letters and digits, joined by `-`, `_` or `.`",
            ),
            (
                "ghcr.io/a:-x",
                "`-x` is not a tag; use up to 128 letters, digits, `_`, `.` and `-`, not beginning with `.` or `-`",
            ),
            (
                "gh..io/a",
                "`gh..io/a`: `gh..io` is not a host name with an optional port",
            ),
        ] {
            assert_eq!(
                text.parse::<ImageReference>().unwrap_err().to_string(),
                message
            );
        }
        assert!("ghcr.io/a@sha256:12".parse::<ImageReference>().is_err());
        assert!("ghcr.io/a___b".parse::<ImageReference>().is_err());
        assert!("ghcr.io/a:b/c".parse::<ImageReference>().is_err());
        assert!("ghcr.io/a//b".parse::<ImageReference>().is_err());
        assert!(
            format!("ghcr.io/{}", "a".repeat(250))
                .parse::<ImageReference>()
                .is_err()
        );
    }

    /// Independent source: the library's grammar.
    #[test]
    fn names_are_those_of_the_librarys_grammar() {
        let letters = ["a", "0", ".", "_", "-", "B", ":"];
        let mut names = vec![String::new()];
        for _ in 0..5 {
            let longer = names
                .iter()
                .flat_map(|name| letters.map(|letter| format!("{name}{letter}")));
            names = longer.collect();
            for name in &names {
                let library = format!("localhost/{name}").parse::<Reference>();
                // What it takes for a tag is not part of the name.
                let is_one = library.is_ok_and(|library| library.repository() == name);
                assert_eq!(is_name_part(name), is_one, "{name}");
            }
        }
        for name in [
            "docker.io/a",
            "index.docker.io/a/b",
            "docker.io/a/b",
            "ghcr.io/a",
            "localhost:1/a/b",
        ] {
            let (registry, repository) = name.split_once('/').unwrap();
            let library: Reference = name.parse().unwrap();
            let full = (
                library.registry().to_owned(),
                library.repository().to_owned(),
            );
            assert_eq!(full_name(registry, repository), full);
        }
    }

    proptest! {
        #[test]
        fn what_is_parsed_prints_and_parses_the_same(text in "\\PC{0,40}|[a-z.:/@-]{0,30}|localhost/[a-z0-9._-]{1,9}(:[A-Za-z0-9._-]{1,9})?") {
            if let Ok(reference) = text.parse::<ImageReference>() {
                let again: ImageReference = reference.to_string().parse().unwrap();
                prop_assert_eq!(&again, &reference);
                let other: Reference = reference.to_string().parse().unwrap();
                prop_assert_eq!(other.repository(), reference.repository());
            }
        }
    }
}
