//! Who asks: given outright, or found where `docker login` and `podman login` put it.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use docker_credential::{CredentialRetrievalError, DockerCredential};

use crate::reference::ImageReference;

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
    /// A token that the registry's token server exchanges for others, as Azure's registry gives it. Never printed.
    IdentityToken(String),
}

/// Why the files of logins gave no credentials.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The file is there, or named by a variable, but cannot be opened.
    #[error("cannot read the logins in `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is malformed or a helper failed.
    #[error(
        "cannot read the credentials for `{registry}` from `{}`; log in again with `docker login {registry}`, or set `TRAINYARD_REGISTRY_USERNAME` and `TRAINYARD_REGISTRY_PASSWORD`",
        path.display()
    )]
    Login {
        /// The registry.
        registry: String,
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: CredentialRetrievalError,
    },
}

/// A file of logins.
#[derive(Debug, PartialEq, Eq)]
struct LoginFile {
    path: PathBuf,
    /// Whether a variable names it, so that it must be there.
    is_named: bool,
}

impl Credentials {
    /// Those for the repository of `image` in the file that `REGISTRY_AUTH_FILE` names, else in Docker's configuration
    /// (`$DOCKER_CONFIG/config.json` or `~/.docker/config.json`), else in podman's (`$XDG_RUNTIME_DIR/containers/auth.json`,
    /// `~/.config/containers/auth.json`), with the helpers that these name; or none.
    pub fn find(image: &ImageReference) -> Result<Self, CredentialsError> {
        Self::find_in(&login_files(|name| env::var_os(name)), image)
    }

    /// Those for the repository of `image` in one file of logins, or none.
    pub fn find_in_file(path: &Path, image: &ImageReference) -> Result<Self, CredentialsError> {
        let file = LoginFile {
            path: path.to_owned(),
            is_named: true,
        };
        Self::find_in(&[file], image)
    }

    fn find_in(files: &[LoginFile], image: &ImageReference) -> Result<Self, CredentialsError> {
        for LoginFile { path, is_named } in files {
            let text = match fs::read_to_string(path) {
                Ok(text) => text,
                Err(error) if error.kind() == io::ErrorKind::NotFound && !is_named => continue,
                Err(source) => {
                    let path = path.clone();
                    return Err(CredentialsError::Unreadable { path, source });
                }
            };
            for key in keys(image, &text) {
                let found = docker_credential::get_credential_from_reader(text.as_bytes(), &key);
                let found = Self::of(found).map_err(|source| CredentialsError::Login {
                    registry: image.registry().to_owned(),
                    path: path.clone(),
                    source,
                })?;
                if found != Self::Anonymous {
                    return Ok(found);
                }
            }
        }
        Ok(Self::Anonymous)
    }

    /// The user's name, where there is one.
    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Anonymous | Self::IdentityToken(_) => None,
            Self::Basic { username, .. } => Some(username),
        }
    }

    fn of(
        found: Result<DockerCredential, CredentialRetrievalError>,
    ) -> Result<Self, CredentialRetrievalError> {
        use CredentialRetrievalError as Error;
        match found {
            Ok(DockerCredential::UsernamePassword(username, password)) => {
                Ok(Self::Basic { username, password })
            }
            Ok(DockerCredential::IdentityToken(token)) => Ok(Self::IdentityToken(token)),
            Err(Error::ConfigNotFound | Error::NoCredentialConfigured) => Ok(Self::Anonymous),
            // The answer of every helper that has nothing for this registry (docker-credential-helpers, `credentials`).
            Err(Error::HelperFailure { stdout, .. })
                if stdout.contains("credentials not found in native keychain") =>
            {
                Ok(Self::Anonymous)
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous => formatter.write_str("Anonymous"),
            Self::IdentityToken(_) => formatter.write_str("IdentityToken"),
            Self::Basic { username, .. } => formatter
                .debug_struct("Basic")
                .field("username", username)
                .finish_non_exhaustive(),
        }
    }
}

/// Where logins lie, by the variables of the environment.
fn login_files(variable: impl Fn(&str) -> Option<OsString>) -> Vec<LoginFile> {
    let path = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = path("REGISTRY_AUTH_FILE") {
        let is_named = true;
        return vec![LoginFile { path, is_named }];
    }
    let home = path("HOME").or_else(|| path("USERPROFILE"));
    let in_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
    let docker = path("DOCKER_CONFIG").or_else(|| in_home(".docker"));
    let podman = path("XDG_RUNTIME_DIR");
    let podman_for_long = path("XDG_CONFIG_HOME").or_else(|| in_home(".config"));
    let found = [
        docker.map(|folder| folder.join("config.json")),
        podman.map(|folder| folder.join("containers/auth.json")),
        podman_for_long.map(|folder| folder.join("containers/auth.json")),
    ];
    let file = |path| LoginFile {
        path,
        is_named: false,
    };
    found.into_iter().flatten().map(file).collect()
}

/// The names under which a file of logins may hold those of `image`, the most precise first: podman's may name a repository or a
/// part of its path (containers-auth.json(5)).
fn keys(image: &ImageReference, text: &str) -> Vec<String> {
    let name = image.name();
    let is_there = |key: &&str| text.contains(&format!("\"{key}\""));
    let parts = std::iter::successors(Some(name.as_str()), |name| {
        name.rsplit_once('/').map(|(parent, _)| parent)
    });
    let mut keys: Vec<String> = parts
        .filter(|key| *key != image.registry())
        .filter(is_there)
        .map(str::to_owned)
        .collect();
    // Docker keeps Hub's credentials under the address of its first registry.
    keys.push(match image.registry() {
        "docker.io" | "index.docker.io" => "https://index.docker.io/v1/".to_owned(),
        other => other.to_owned(),
    });
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of `auth` are what `docker login` writes: base64 of `ci:s3cret`.
    const CONFIG: &str = r#"{"auths": {
        "127.0.0.1:5000": {"auth": "Y2k6czNjcmV0"},
        "https://index.docker.io/v1/": {"auth": "Y2k6czNjcmV0"},
        "acme.azurecr.io": {"auth": "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==", "identitytoken": "t0k3n"},
        "quay.io/acme/m": {"auth": "Y2k6czNjcmV0"}
    }}"#;

    fn found(text: &str, image: &str) -> Result<Credentials, CredentialsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, text).unwrap();
        let files = [LoginFile {
            path,
            is_named: false,
        }];
        Credentials::find_in(&files, &image.parse().unwrap())
    }

    #[test]
    fn logins_of_docker_and_podman_are_read() {
        let basic = Credentials::Basic {
            username: "ci".to_owned(),
            password: "s3cret".to_owned(),
        };
        // Docker Hub keeps its name for people; podman names a part of the path.
        for image in [
            "127.0.0.1:5000/m",
            "docker.io/acme/m",
            "quay.io/acme/m:1",
            "quay.io/acme/m/part",
        ] {
            assert_eq!(found(CONFIG, image).unwrap(), basic, "{image}");
        }
        for image in ["ghcr.io/acme/m", "quay.io/other/m"] {
            assert_eq!(
                found(CONFIG, image).unwrap(),
                Credentials::Anonymous,
                "{image}"
            );
        }
        // publishing.md row 7.
        let token = Credentials::IdentityToken("t0k3n".to_owned());
        assert_eq!(found(CONFIG, "acme.azurecr.io/m").unwrap(), token);
        for secret in [basic, token] {
            let text = format!("{secret:?}");
            assert!(!text.contains("s3cret") && !text.contains("t0k3n"));
        }
    }

    #[test]
    fn a_broken_file_is_an_error_not_anonymous() {
        let text = found("{", "ghcr.io/acme/m").unwrap_err().to_string();
        assert!(
            text.contains("`docker login ghcr.io`") && text.contains("config.json"),
            "{text}"
        );
    }

    #[test]
    fn a_file_that_a_variable_names_is_the_only_one_and_must_be_there() {
        let variables = |pairs: &'static [(&str, &str)]| {
            let files = login_files(|name| {
                let found = pairs.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| value.into())
            });
            files
                .into_iter()
                .map(|file| file.path.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            variables(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/1")]),
            [
                "/h/.docker/config.json",
                "/run/user/1/containers/auth.json",
                "/h/.config/containers/auth.json"
            ]
        );
        assert_eq!(
            variables(&[("HOME", "/h"), ("DOCKER_CONFIG", "/d")])[0],
            "/d/config.json"
        );
        assert_eq!(
            variables(&[("HOME", "/h"), ("REGISTRY_AUTH_FILE", "/a.json")]),
            ["/a.json"]
        );
        assert_eq!(variables(&[]), Vec::<String>::new());
        let named = [LoginFile {
            path: "/absent/auth.json".into(),
            is_named: true,
        }];
        let image = "ghcr.io/acme/m".parse().unwrap();
        let error = Credentials::find_in(&named, &image).unwrap_err();
        assert!(
            matches!(error, CredentialsError::Unreadable { .. }),
            "{error}"
        );
    }
}
