//! What a registry answered, told apart by what the user can do about it.

use oci_distribution::ParseError;
use oci_distribution::errors::{OciDistributionError, OciErrorCode};
use trainyard_core::digest::Sha256Digest;

use crate::layout::LayoutError;
use crate::reference::{ImageReference, ReferenceError};

/// Why a push failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry does not accept who we are.
    #[error("`{registry}` does not accept {}: {}", identity(username.as_deref()), login_hint(registry))]
    Unauthorized {
        /// The registry.
        registry: String,
        /// The user, where one was given.
        username: Option<String>,
        /// What the registry said.
        source: Box<OciDistributionError>,
    },
    /// The registry knows who we are, but that is not enough.
    #[error("`{}` does not let {} push: {}", image.registry(), identity(username.as_deref()), permission_hint(image))]
    Forbidden {
        /// The image.
        image: Box<ImageReference>,
        /// The user, where one was given.
        username: Option<String>,
        /// What the registry said.
        source: Box<OciDistributionError>,
    },
    /// A version tag names another image already.
    #[error(
        "`{image}` is {existing} already, not {ours}; a version is never overwritten: release the next one"
    )]
    VersionTaken {
        /// The tag.
        image: Box<ImageReference>,
        /// What it names.
        existing: Sha256Digest,
        /// What it should have named.
        ours: Sha256Digest,
    },
    /// The registry stored something else.
    #[error(
        "`{image}` is {found} after the push, not {ours}; somebody else pushed at the same time, or the registry rewrote the image"
    )]
    DigestMismatch {
        /// The tag.
        image: Box<ImageReference>,
        /// What it names.
        found: String,
        /// What was pushed.
        ours: Sha256Digest,
    },
    /// No connection, or none that lasts.
    #[error(
        "cannot reach `{registry}` ({during}, {n_attempts} attempts); check the address, or push again later"
    )]
    Unreachable {
        /// The registry.
        registry: String,
        /// What was being done.
        during: String,
        /// How often it was tried.
        n_attempts: u32,
        /// The last failure.
        source: Box<OciDistributionError>,
    },
    /// The registry answered with an error.
    #[error("`{registry}` refused: {during}")]
    Refused {
        /// The registry.
        registry: String,
        /// What was being done.
        during: String,
        /// What it said.
        source: Box<OciDistributionError>,
    },
    /// The client could not be made.
    #[error("cannot set up the connection to `{registry}`")]
    Client {
        /// The registry.
        registry: String,
        /// Why.
        source: Box<OciDistributionError>,
    },
    /// Nothing to call the image.
    #[error("`{0}` gets no tag: give one, as in `{0}:1.0`")]
    NoTag(String),
    /// The layout is not whole.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A tag that is none.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// A reference that the client does not take.
    #[error("`{image}` is no reference for the registry client")]
    ClientReference {
        /// The image.
        image: Box<ImageReference>,
        /// What the client said.
        source: ParseError,
    },
}

fn identity(username: Option<&str>) -> String {
    username.map_or_else(
        || "an unknown user (no credentials were given)".to_owned(),
        |username| format!("the user `{username}` with this password"),
    )
}

fn login_hint(registry: &str) -> String {
    let common = "set `TRAINYARD_REGISTRY_USERNAME` and `TRAINYARD_REGISTRY_PASSWORD`";
    if registry == "ghcr.io" {
        format!(
            "{common} to `${{{{ github.actor }}}}` and `${{{{ github.token }}}}`, and give the job `permissions: \
             {{ packages: write }}`"
        )
    } else {
        format!("{common}, or log in with `docker login {registry}`")
    }
}

fn permission_hint(image: &ImageReference) -> String {
    if image.registry() == "ghcr.io" {
        format!(
            "give the job `permissions: {{ packages: write }}`; where the package `{}` exists already, link it to \
             this repository (package settings, Manage Actions access, role Write) or keep its label \
             `org.opencontainers.image.source` at this repository's address",
            image.repository()
        )
    } else {
        format!(
            "give the user the right to write to `{}`",
            image.repository()
        )
    }
}

/// The HTTP status behind an error, where the registry answered at all.
pub(super) fn status(error: &OciDistributionError) -> Option<u16> {
    match error {
        OciDistributionError::ServerError { code, .. } => Some(*code),
        OciDistributionError::UnauthorizedError { .. }
        | OciDistributionError::AuthenticationFailure(_) => Some(401),
        OciDistributionError::RequestError(error) => error.status().map(|status| status.as_u16()),
        OciDistributionError::RegistryError { envelope, .. } => {
            let mut codes = envelope.errors.iter().map(|error| &error.code);
            codes.find_map(status_of_code)
        }
        OciDistributionError::ImageManifestNotFoundError(_) => Some(404),
        _ => None,
    }
}

/// The client keeps the error codes of the specification, but drops the status that came with them.
const fn status_of_code(code: &OciErrorCode) -> Option<u16> {
    match code {
        OciErrorCode::BlobUnknown
        | OciErrorCode::ManifestUnknown
        | OciErrorCode::NameUnknown
        | OciErrorCode::NotFound => Some(404),
        OciErrorCode::Unauthorized => Some(401),
        OciErrorCode::Denied => Some(403),
        OciErrorCode::Toomanyrequests => Some(429),
        _ => None,
    }
}

/// Whether the same request may succeed when it is made again.
pub(super) fn is_transient(error: &OciDistributionError) -> bool {
    match status(error) {
        Some(status) => matches!(status, 408 | 429 | 500..),
        // Without an answer: refused, cut or timed-out connections, but not a request that could not be made.
        None => matches!(error, OciDistributionError::RequestError(error) if !error.is_builder()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16) -> OciDistributionError {
        OciDistributionError::ServerError {
            code,
            url: String::new(),
            message: String::new(),
        }
    }

    fn enveloped(code: &str) -> OciDistributionError {
        let envelope = serde_json::json!({"errors": [{"code": code}]});
        OciDistributionError::RegistryError {
            envelope: serde_json::from_value(envelope).unwrap(),
            url: String::new(),
        }
    }

    #[test]
    fn overload_is_transient_and_refusal_is_not() {
        for code in [408, 429, 500, 502, 503, 504] {
            assert!(is_transient(&answered(code)), "{code}");
        }
        for code in [400, 401, 403, 404, 413] {
            assert!(!is_transient(&answered(code)), "{code}");
        }
        assert!(is_transient(&enveloped("TOOMANYREQUESTS")));
        assert!(!is_transient(&enveloped("DENIED")));
        assert_eq!(status(&enveloped("NAME_UNKNOWN")), Some(404));
    }

    #[test]
    fn hints_name_the_permission() {
        let image: ImageReference = "ghcr.io/owner/name:1".parse().unwrap();
        let error = PushError::Forbidden {
            image: Box::new(image),
            username: Some("octocat".to_owned()),
            source: Box::new(answered(403)),
        };
        let text = error.to_string();
        assert!(
            text.contains("`permissions: { packages: write }`"),
            "{text}"
        );
        assert!(text.contains("org.opencontainers.image.source"), "{text}");
        let error = PushError::Unauthorized {
            registry: "ghcr.io".to_owned(),
            username: None,
            source: Box::new(answered(401)),
        };
        let text = error.to_string();
        assert!(text.contains("`${{ github.token }}`"), "{text}");
        assert!(text.contains("no credentials were given"), "{text}");
    }
}
