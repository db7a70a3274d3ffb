//! Where one file comes from: a path in the repository, or an address with the digest of what lies there.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Sha256Digest;

/// Where one file comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Source {
    /// A path relative to the configuration file.
    Path(PathBuf),
    /// A file on the network.
    Remote(Remote),
}

/// A file on the network, downloaded once and used only if its content has the digest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Remote {
    /// URL that begins with `https://` or `http://`.
    pub url: String,
    /// SHA-256 of the file, as `sha256sum` prints it.
    #[serde(deserialize_with = "digest")]
    #[schemars(with = "String", extend("pattern" = "^(sha256:)?[0-9a-f]{64}$"))]
    pub sha256: Sha256Digest,
}

impl Source {
    /// What the file is called in records and messages.
    pub fn name(&self) -> Cow<'_, str> {
        match self {
            Self::Path(path) => path.to_string_lossy().replace('\\', "/").into(),
            Self::Remote(remote) => remote.address().into(),
        }
    }

    /// Where the file lies, given the folder of the configuration file and that of downloads.
    pub fn locate(&self, base: &Path, downloads: &Path) -> PathBuf {
        match self {
            Self::Path(path) => base.join(path),
            Self::Remote(remote) => remote.locate(downloads),
        }
    }

    /// The address and digest, for a file on the network.
    pub const fn remote(&self) -> Option<&Remote> {
        match self {
            Self::Path(_) => None,
            Self::Remote(remote) => Some(remote),
        }
    }
}

impl Remote {
    /// The address without its query, which may hold a signature.
    pub fn address(&self) -> &str {
        self.url
            .split(['?', '#'])
            .next()
            .unwrap_or(self.url.as_str())
    }

    /// Where the file lies once it is downloaded to the folder `downloads`.
    pub fn locate(&self, downloads: &Path) -> PathBuf {
        downloads.join(self.sha256.hex())
    }

    /// What is wrong with the address, in words.
    pub(super) fn problem(&self) -> Option<&'static str> {
        let rest = ["https://", "http://"]
            .iter()
            .find_map(|scheme| self.url.strip_prefix(scheme));
        let Some(rest) = rest else {
            return Some("the address must begin with `https://` or `http://`");
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Some(
                "the address holds a user name or password, which would stand in every record",
            );
        }
        if authority.is_empty()
            || self
                .url
                .contains(|c: char| c.is_whitespace() || c.is_control())
        {
            return Some("this is not an address of a file");
        }
        None
    }
}

fn digest<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Sha256Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    let hex = text.strip_prefix("sha256:").unwrap_or(&text);
    format!("sha256:{}", hex.to_ascii_lowercase())
        .parse()
        .map_err(|_| {
            de::Error::custom(format!(
                "`{text}` is not the 64 hex digits that `sha256sum` prints"
            ))
        })
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PathOrRemote;
        impl<'de> Visitor<'de> for PathOrRemote {
            type Value = Source;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a path, or `{ url = \"…\", sha256 = \"…\" }`")
            }

            fn visit_str<E: de::Error>(self, path: &str) -> Result<Source, E> {
                Ok(Source::Path(path.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Source, A::Error> {
                Remote::deserialize(MapAccessDeserializer::new(map)).map(Source::Remote)
            }
        }
        deserializer.deserialize_any(PathOrRemote)
    }
}

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let remote = Remote::json_schema(generator);
        json_schema!({ "oneOf": [{ "type": "string" }, remote] })
    }
}
