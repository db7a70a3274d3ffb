//! Attestations: signed statements about an image, where `gh attestation verify` looks for them.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};

#[derive(Debug, Deserialize)]
struct Created {
    id: u64,
}

impl GitHub {
    /// Stores a Sigstore bundle, and returns its number. GitHub reads what it is about from the statement in it.
    ///
    /// A post whose answer was lost may have been carried out, and is not repeated here.
    pub async fn create_attestation(&self, bundle: &Value) -> Result<u64, GitHubError> {
        let request = Request {
            method: Method::POST,
            route: self.path("/attestations"),
            body: Some(json!({ "bundle": bundle })),
            doing: "store the attestation",
            permission: Permission::AttestationsWrite,
        };
        let created: Created = self.send(&request).await?;
        Ok(created.id)
    }
}
