//! Who pushes: given outright, or found in Docker's configuration.

use std::env;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use docker_credential::{CredentialRetrievalError, DockerCredential};

/// What a registry is shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    Anonymous,
    /// A user with a password or token.
    Basic {
        /// The user; with GitHub's registry, any non-empty name.
        username: String,
        /// Never printed.
        password: String,
    },
}

/// Why Docker's configuration gave no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file is there but cannot be opened.
    #[error("cannot read Docker's configuration `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is malformed or a helper failed.
    #[error(
        "cannot read the credentials for `{registry}` from Docker's configuration; log in again with `docker login {registry}`, or set `TRAINYARD_REGISTRY_USERNAME` and `TRAINYARD_REGISTRY_PASSWORD`"
    )]
    Docker {
        /// The registry.
        registry: String,
        /// What went wrong.
        source: CredentialRetrievalError,
    },
    /// A kind of token that is exchanged by a protocol not spoken here.
    #[error(
        "Docker's configuration holds an identity token for `{registry}`, which is not supported; set `TRAINYARD_REGISTRY_USERNAME` and `TRAINYARD_REGISTRY_PASSWORD`"
    )]
    IdentityToken {
        /// The registry.
        registry: String,
    },
}

impl Credentials {
    /// Those in Docker's configuration (`$DOCKER_CONFIG/config.json` or `~/.docker/config.json`, and the
    /// helpers that it names), or none.
    pub fn find(registry: &str) -> Result<Self, CredentialsError> {
        let Some(path) = docker_config_path() else {
            return Ok(Self::Anonymous);
        };
        match File::open(&path) {
            Ok(config) => Self::from_docker_config(io::BufReader::new(config), registry),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Anonymous),
            Err(source) => Err(CredentialsError::Unreadable { path, source }),
        }
    }

    /// Those in the text of a Docker configuration, or none.
    pub fn from_docker_config(
        config: impl io::Read,
        registry: &str,
    ) -> Result<Self, CredentialsError> {
        let found = docker_credential::get_credential_from_reader(config, key(registry));
        Self::of(registry, found)
    }

    /// The user's name, where there is one.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Anonymous => None,
            Self::Basic { username, .. } => Some(username),
        }
    }

    fn of(
        registry: &str,
        found: Result<DockerCredential, CredentialRetrievalError>,
    ) -> Result<Self, CredentialsError> {
        use CredentialRetrievalError as Error;
        match found {
            Ok(DockerCredential::UsernamePassword(username, password)) => {
                Ok(Self::Basic { username, password })
            }
            Ok(DockerCredential::IdentityToken(_)) => Err(CredentialsError::IdentityToken {
                registry: registry.to_owned(),
            }),
            Err(Error::ConfigNotFound | Error::NoCredentialConfigured) => Ok(Self::Anonymous),
            // The answer of every helper that has nothing for this registry (docker-credential-helpers, `credentials`).
            Err(Error::HelperFailure { stdout, .. })
                if stdout.contains("credentials not found in native keychain") =>
            {
                Ok(Self::Anonymous)
            }
            Err(source) => Err(CredentialsError::Docker {
                registry: registry.to_owned(),
                source,
            }),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => formatter.write_str("Anonymous"),
            Self::Basic { username, .. } => formatter
                .debug_struct("Basic")
                .field("username", username)
                .finish_non_exhaustive(),
        }
    }
}

fn docker_config_path() -> Option<PathBuf> {
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".docker")));
    Some(folder?.join("config.json"))
}

/// Docker keeps Hub's credentials under the address of its first registry.
fn key(registry: &str) -> &str {
    match registry {
        "docker.io" | "index.docker.io" => "https://index.docker.io/v1/",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of `auth` are what `docker login` writes: base64 of `ci:s3cret`.
    const CONFIG: &str = r#"{"auths": {
        "127.0.0.1:5000": {"auth": "Y2k6czNjcmV0"},
        "https://index.docker.io/v1/": {"auth": "Y2k6czNjcmV0"}
    }}"#;

    #[test]
    fn dockers_configuration_is_read() {
        let basic = Credentials::Basic {
            username: "ci".to_owned(),
            password: "s3cret".to_owned(),
        };
        for registry in ["127.0.0.1:5000", "docker.io"] {
            let found = Credentials::from_docker_config(CONFIG.as_bytes(), registry).unwrap();
            assert_eq!(found, basic, "{registry}");
        }
        let found = Credentials::from_docker_config(CONFIG.as_bytes(), "ghcr.io").unwrap();
        assert_eq!(found, Credentials::Anonymous);
        assert!(!format!("{basic:?}").contains("s3cret"));
    }

    #[test]
    fn a_broken_configuration_is_an_error_not_anonymous() {
        let error = Credentials::from_docker_config(&b"{"[..], "ghcr.io").unwrap_err();
        assert!(
            error.to_string().contains("`docker login ghcr.io`"),
            "{error}"
        );
    }
}
