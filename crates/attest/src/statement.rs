//! in-toto Statement v1: subjects by digest, and a predicate about them.
//!
//! <https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use trainyard_core::digest::Sha256Digest;

/// The layer's type that is written.
const STATEMENT_V1: &str = "https://in-toto.io/Statement/v1";

/// The one before it, which `cosign attest` still writes. The fields are the same.
const STATEMENT_V0_1: &str = "https://in-toto.io/Statement/v0.1";

/// A claim about subjects. Who makes it is said by its signature.
///
/// Unknown fields are ignored, as the specification's parsing rules ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    /// The version of this layer.
    #[serde(rename = "_type")]
    kind: String,
    /// What it is about. A statement with several subjects says the same of each.
    pub subject: Vec<ResourceDescriptor>,
    /// The URI that says what the predicate means.
    pub predicate_type: String,
    /// What is said.
    #[serde(default)]
    pub predicate: Value,
}

/// A file or another thing, named by its digest (`resource_descriptor.md`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDescriptor {
    /// For people, unless the predicate says otherwise.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// Hexadecimal digests by algorithm: `sha256`, `gitCommit`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// What a producer adds.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub annotations: serde_json::Map<String, Value>,
}

/// Why bytes are not a statement.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// They are not JSON of that shape.
    #[error("the signed payload is not an in-toto statement")]
    Json(#[from] serde_json::Error),
    /// They are of another version.
    #[error(
        "the statement is of the type `{0}`, but this build reads `{STATEMENT_V1}` and `{STATEMENT_V0_1}`"
    )]
    Kind(String),
}

impl ResourceDescriptor {
    /// The thing with this digest.
    pub fn new(name: impl Into<String>, digest: &Sha256Digest) -> Self {
        Self {
            name: name.into(),
            digest: BTreeMap::from([("sha256".to_owned(), digest.hex().to_owned())]),
            ..Self::default()
        }
    }

    /// Whether it has this SHA-256 digest.
    pub fn is(&self, digest: &Sha256Digest) -> bool {
        self.digest
            .get("sha256")
            .is_some_and(|hex| hex.eq_ignore_ascii_case(digest.hex()))
    }
}

impl Statement {
    /// A statement about one subject.
    pub fn new(
        subject: ResourceDescriptor,
        predicate_type: impl Into<String>,
        predicate: Value,
    ) -> Self {
        Self {
            kind: STATEMENT_V1.to_owned(),
            subject: vec![subject],
            predicate_type: predicate_type.into(),
            predicate,
        }
    }

    /// Reads a signed payload.
    pub fn from_json(payload: &[u8]) -> Result<Self, StatementError> {
        let statement: Self = serde_json::from_slice(payload)?;
        match statement.kind.as_str() {
            STATEMENT_V1 | STATEMENT_V0_1 => Ok(statement),
            _ => Err(StatementError::Kind(statement.kind)),
        }
    }

    /// The payload that is signed: compact JSON with the fields in a fixed order.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, maps of texts and JSON values always serialise")
    }

    /// Whether it is about the thing with this digest.
    pub fn is_about(&self, digest: &Sha256Digest) -> bool {
        self.subject.iter().any(|subject| subject.is(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: the shape of the example in the specification's `statement.md`.
    #[test]
    fn the_fields_are_the_specifications() {
        let digest = Sha256Digest::of(b"");
        let subject = ResourceDescriptor::new("image", &digest);
        let statement = Statement::new(
            subject,
            "https://example.com/p",
            serde_json::json!({"a": 1}),
        );
        let text = String::from_utf8(statement.to_json()).unwrap();
        assert_eq!(
            text,
            r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"image","digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}],"predicateType":"https://example.com/p","predicate":{"a":1}}"#
        );
        assert_eq!(Statement::from_json(text.as_bytes()).unwrap(), statement);
        assert!(statement.is_about(&digest));
        assert!(!statement.is_about(&Sha256Digest::of(b"other")));
    }

    #[test]
    fn both_versions_are_read_and_no_other() {
        let of_version = |version: &str| {
            let text = format!(
                r#"{{"_type":"https://in-toto.io/Statement/{version}","subject":[],"predicateType":"p","new":1}}"#
            );
            Statement::from_json(text.as_bytes())
        };
        assert!(of_version("v0.1").is_ok());
        assert!(of_version("v1").is_ok());
        assert!(matches!(of_version("v2"), Err(StatementError::Kind(_))));
    }

    /// Of two values for one key, readers take different ones: what is ambiguous is not read.
    #[test]
    fn a_field_twice_is_refused() {
        let text = br#"{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"a","predicateType":"b"}"#;
        assert!(matches!(
            Statement::from_json(text),
            Err(StatementError::Json(_))
        ));
    }
}
