//! Names of annotations and labels, and the description of an image that is written under them.

use std::collections::BTreeMap;

/// Annotation of an index entry: the name that tools know the image by.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Annotation of a blob: the name of the file that it is.
pub const TITLE: &str = "org.opencontainers.image.title";

/// Annotation of a manifest: when it was made, as RFC 3339.
pub const CREATED: &str = "org.opencontainers.image.created";

/// Annotation of an image: digest of the model in it.
pub const MODEL_DIGEST: &str = "dev.trainyard.model.digest";

/// Annotation of an image: name of the model in it.
pub const MODEL_NAME: &str = "dev.trainyard.model.name";

/// What people and registries are told about an image: the same text as labels and as annotations.
///
/// The keys are those of the OCI image specification, annotations.md. Absent fields are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// Name for people.
    pub title: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Version of what is packed.
    pub version: Option<String>,
    /// Commit that it was made from.
    pub revision: Option<String>,
    /// Address of the source repository; GitHub's registry links the package by it.
    pub source: Option<String>,
    /// SPDX licence expression.
    pub licenses: Option<String>,
    /// Further entries, such as [`MODEL_DIGEST`].
    pub extra: BTreeMap<String, String>,
}

impl Description {
    /// All entries, with `created` as the RFC 3339 time of the image.
    pub fn entries(&self, created: &str) -> BTreeMap<String, String> {
        let Self {
            title,
            description,
            version,
            revision,
            source,
            licenses,
            extra,
        } = self;
        let known = [
            ("title", title),
            ("description", description),
            ("version", version),
            ("revision", revision),
            ("source", source),
            ("licenses", licenses),
        ];
        let mut entries = extra.clone();
        for (key, value) in known {
            if let Some(value) = value {
                entries.insert(format!("org.opencontainers.image.{key}"), value.clone());
            }
        }
        entries.insert(CREATED.to_owned(), created.to_owned());
        entries
    }
}
