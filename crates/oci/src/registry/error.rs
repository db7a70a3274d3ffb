//! What a registry answered, told apart by what the user can do about it.

use reqwest::StatusCode;
use trainyard_core::digest::Sha256Digest;
use trainyard_net::{ClientError, Failure, GivenUp, PermanentCause, attempts};

use super::answer::RequestError;
use super::session::Access;

use crate::layout::LayoutError;
use crate::reference::{ImageReference, ReferenceError};

/// Why something asked of a registry failed.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The registry does not accept who we are.
    #[error("`{registry}` does not accept {}: {}", identity(username.as_deref()), login_hint(registry, *access))]
    Unauthorized {
        /// The registry.
        registry: String,
        /// The user, where one was given.
        username: Option<String>,
        /// What was wanted.
        access: Access,
        /// What the registry said.
        source: Box<RequestError>,
    },
    /// The registry knows who we are, but that is not enough.
    #[error(
        "`{}` does not let {} {}: {}", image.registry(), identity(username.as_deref()), wanted(*access), permission_hint(image, *access, source)
    )]
    Forbidden {
        /// The image.
        image: Box<ImageReference>,
        /// The user, where one was given.
        username: Option<String>,
        /// What was wanted.
        access: Access,
        /// What the registry said.
        source: Box<RequestError>,
    },
    /// A version tag names another image already.
    #[error(
        "`{image}` is {existing} already, not {ours}; a version is not overwritten: release the next one, or say `--overwrite` if this one is not in use yet"
    )]
    VersionTaken {
        /// The tag.
        image: Box<ImageReference>,
        /// What it names.
        existing: String,
        /// What it should have named.
        ours: Sha256Digest,
    },
    /// A tag names an image of another model.
    #[error(
        "`{image}` is an image of the model `{theirs}`, and this one is of `{ours}`: give each model a repository of its own, such as `{suggestion}`"
    )]
    OtherModel {
        /// The tag.
        image: Box<ImageReference>,
        /// The model whose image it names.
        theirs: String,
        /// The model of this image.
        ours: String,
        /// Such a repository.
        suggestion: String,
    },
    /// `latest` would leave the highest version.
    #[error(
        "`{image}` names the highest version, {version}, and nothing says which version this image is: run this for a release tag, or name a tag by `--tag`"
    )]
    Unversioned {
        /// The tag.
        image: Box<ImageReference>,
        /// The version.
        version: String,
    },
    /// The registry stored something else.
    #[error(
        "`{image}` is {found} after the push, not {ours}; another push took place at the same time, or the registry rewrote the image"
    )]
    DigestMismatch {
        /// The tag.
        image: Box<ImageReference>,
        /// What it names.
        found: String,
        /// What was pushed.
        ours: Sha256Digest,
    },
    /// The list of what refers to an image is not one, or does not stay as it is written.
    #[error(
        "the tag `{tag}` of `{}` does not keep the list of what is attached to the image; it is something else, or others write to it without end",
        image.name()
    )]
    Fallback {
        /// The repository.
        image: Box<ImageReference>,
        /// The tag.
        tag: String,
    },
    /// No connection, or none that lasts.
    #[error(
        "cannot reach `{registry}` ({during}, {}); check the address, or try again later", attempts(*n_attempts)
    )]
    Unreachable {
        /// The registry.
        registry: String,
        /// What was being done.
        during: String,
        /// How often it was tried.
        n_attempts: u32,
        /// The last failure.
        source: Box<RequestError>,
    },
    /// The registry answered with an error.
    #[error("`{registry}` refused: {during}")]
    Refused {
        /// The registry.
        registry: String,
        /// What was being done.
        during: String,
        /// What it said.
        source: Box<RequestError>,
    },
    /// There is no TLS at that address.
    #[error(
        "cannot reach `{registry}` ({during}): it does not speak TLS\nhint: name a registry without TLS by `--plain-http {registry}` or `[image] plain_http`"
    )]
    NotTls {
        /// The registry.
        registry: String,
        /// What was being done.
        during: String,
    },
    /// Asking again would not help.
    #[error("cannot reach `{registry}` ({during}): {cause}")]
    Permanent {
        /// The registry.
        registry: String,
        /// What was being done.
        during: String,
        /// Why, and what to do about it.
        cause: PermanentCause,
    },
    /// The client could not be made.
    #[error("cannot set up the connection to `{registry}`")]
    Client {
        /// The registry.
        registry: String,
        /// Why.
        source: ClientError,
    },
    /// The registry's name is not an address.
    #[error("`{registry}` is not the address of a registry: {problem}")]
    Address {
        /// The registry.
        registry: String,
        /// What is wrong.
        problem: String,
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
}

impl RegistryError {
    /// Whether a manifest was refused because a blob that it names is missing.
    pub(crate) fn is_of_missing_blob(&self) -> bool {
        match self {
            Self::Refused { source, .. } => source.is_of_missing_blob(),
            _ => false,
        }
    }

    /// What the user can do about a request that failed.
    pub(super) fn of_request(
        given_up: GivenUp<RequestError>,
        during: &str,
        image: &ImageReference,
        username: Option<String>,
        access: Access,
    ) -> Self {
        let GivenUp {
            error,
            n_attempts,
            is_transient,
        } = given_up;
        let registry = image.registry().to_owned();
        let during = during.to_owned();
        let status = error.status();
        if let RequestError::Failure(Failure::Permanent(PermanentCause::NotTls)) = error {
            return Self::NotTls { registry, during };
        }
        if let RequestError::Failure(Failure::Permanent(cause)) = error {
            return Self::Permanent {
                registry,
                during,
                cause,
            };
        }
        let source = Box::new(error);
        match status {
            Some(StatusCode::UNAUTHORIZED) => Self::Unauthorized {
                registry,
                username,
                access,
                source,
            },
            Some(StatusCode::FORBIDDEN) => Self::Forbidden {
                image: Box::new(image.clone()),
                username,
                access,
                source,
            },
            _ if is_transient => Self::Unreachable {
                registry,
                during,
                n_attempts,
                source,
            },
            _ => Self::Refused {
                registry,
                during,
                source,
            },
        }
    }
}

fn identity(username: Option<&str>) -> String {
    username.map_or_else(
        || "an unknown user (no credentials were given)".to_owned(),
        |username| format!("the user `{username}` with this password"),
    )
}

const fn wanted(access: Access) -> &'static str {
    match access {
        Access::Pull => "pull",
        Access::Push => "push",
    }
}

/// The right that is wanted, as `permissions:` of a workflow and registries call it.
const fn right(access: Access) -> &'static str {
    match access {
        Access::Pull => "read",
        Access::Push => "write",
    }
}

fn login_hint(registry: &str, access: Access) -> String {
    let common = "set `TRAINYARD_REGISTRY_USERNAME` and `TRAINYARD_REGISTRY_PASSWORD`";
    if registry == "ghcr.io" {
        format!(
            "{common} to `${{{{ github.actor }}}}` and `${{{{ github.token }}}}`, and give the job `permissions: \
             {{ packages: {} }}`",
            right(access)
        )
    } else {
        format!("{common}, or log in with `docker login {registry}`")
    }
}

fn permission_hint(image: &ImageReference, access: Access, said: &RequestError) -> String {
    if image.registry() == "ghcr.io" && access == Access::Pull {
        format!(
            "give the job `permissions: {{ packages: read }}`, and the package `{}` access for this repository (package settings, \
             Manage Actions access)",
            image.repository()
        )
    } else if image.registry() == "ghcr.io" {
        const OF_JOB: &str = "give the job `permissions: { packages: write }`";
        let of_package = format!(
            "the package `{}` exists and does not belong to this repository: link it (package settings, Manage Actions access, role \
             Write), or keep its label `org.opencontainers.image.source` at this repository's address",
            image.repository()
        );
        // ghcr.io's two refusals: of a package of another repository, and of a token without the permission.
        let said = said.to_string();
        if said.contains("write_package") {
            of_package
        } else if said.contains("installation not allowed") {
            format!("{OF_JOB}; in an organization, its owners may also have forbidden new packages")
        } else {
            format!("{OF_JOB}; or {of_package}")
        }
    } else {
        format!(
            "give the user the right to {} `{}`",
            right(access),
            image.repository()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Server;

    fn answered(code: u16, words: &str) -> RequestError {
        RequestError::Answer {
            server: Server::Registry,
            status: StatusCode::from_u16(code).unwrap(),
            words: words.to_owned(),
            challenge: None,
        }
    }

    #[test]
    fn hints_name_the_permission() {
        let refused = |words: &str| {
            let error = RegistryError::Forbidden {
                image: Box::new("ghcr.io/owner/name:1".parse().unwrap()),
                username: Some("octocat".to_owned()),
                access: Access::Push,
                source: Box::new(answered(403, words)),
            };
            let text = error.to_string();
            (
                text.contains("`permissions: { packages: write }`"),
                text.contains("org.opencontainers.image.source"),
            )
        };
        // Which of the two it is, where ghcr.io's words tell.
        let of_package = "DENIED permission_denied: write_package";
        let of_job = "DENIED installation not allowed to Create organization package";
        assert_eq!(refused(of_package), (false, true));
        assert_eq!(refused(of_job), (true, false));
        assert_eq!(refused(""), (true, true));
        let error = RegistryError::Unauthorized {
            registry: "ghcr.io".to_owned(),
            username: None,
            access: Access::Push,
            source: Box::new(answered(401, "")),
        };
        let text = error.to_string();
        assert!(text.contains("`${{ github.token }}`"), "{text}");
        assert!(text.contains("no credentials were given"), "{text}");
    }
}
