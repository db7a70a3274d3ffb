//! How a stage reaches registries: its options and the environment in, connections out, whose steps are lines of the log.

mod progress;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;
use trainyard_oci::{
    Access, ClientOptions, ConnectOptions, Credentials, ImageReference, ReferenceError, Registry,
    RetryPolicy,
};
use trainyard_runner::{Environment, ExitCode, WithExitCode as _};

use progress::Shown;

/// Some registries answer a PUT only once they have hashed the blob.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// How registries are reached, as options of a stage.
#[derive(Debug, Clone, Default, Args)]
pub struct RegistryArgs {
    /// Registries without TLS, as `host` or `host:port`; one per line, or repeated. One on this machine is found out to have none.
    #[arg(long, value_name = "HOST")]
    pub plain_http: Vec<String>,
    /// User name for the registry. By default the logins of Docker and podman are used, and for ghcr.io on GitHub Actions the
    /// workflow's token.
    #[arg(
        long,
        value_name = "NAME",
        env = "TRAINYARD_REGISTRY_USERNAME",
        requires = "registry_password"
    )]
    pub registry_username: Option<String>,
    /// Password or token of that user. Prefer the environment variable: arguments are visible to other processes.
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "TRAINYARD_REGISTRY_PASSWORD",
        hide_env_values = true,
        requires = "registry_username"
    )]
    pub registry_password: Option<String>,
}

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct Reach<'a> {
    /// The stage's options.
    pub args: &'a RegistryArgs,
    /// Registries without TLS beside those of the options.
    pub plain_http: &'a [String],
    /// PEM file of certificate authorities to trust in addition to the system's.
    pub ca: Option<PathBuf>,
    /// When a request is made again.
    pub retry: RetryPolicy,
    /// The workflow's token, for GitHub's own registry, where it may be another than the environment's.
    pub token: Option<&'a str>,
}

impl Reach<'_> {
    /// A connection to the repository of `to`; nothing is sent yet.
    ///
    /// Ends with [`ExitCode::Usage`] where address or authorities cannot be used, with [`ExitCode::Service`] where a file of logins
    /// cannot.
    pub fn connect(&self, to: &ImageReference, access: Access) -> anyhow::Result<Registry> {
        let Self {
            args,
            plain_http,
            ca,
            retry,
            token,
        } = self;
        let options = ConnectOptions {
            credentials: credentials(args, *token, to)?,
            access,
            plain_http: plain_http.iter().chain(&args.plain_http).cloned().collect(),
            client: ClientOptions {
                read_timeout: Some(READ_TIMEOUT),
                ..ClientOptions::default().with_ca(ca.as_deref())
            },
            retry: *retry,
            unfinished: unfinished_folder(),
        };
        let shown = Mutex::new(Shown::default());
        let progress = Arc::new(move |step| {
            if let Ok(mut shown) = shown.lock() {
                shown.show(step);
            }
        });
        // Nothing is sent yet: what fails is the address or the file of authorities.
        Registry::connect(to, options, progress).exit_code(ExitCode::Usage)
    }
}

/// Given outright, else those of `docker login` or `podman login`, else the workflow's token for GitHub's own registry.
fn credentials(
    args: &RegistryArgs,
    token: Option<&str>,
    to: &ImageReference,
) -> anyhow::Result<Credentials> {
    if let (Some(username), Some(password)) = (&args.registry_username, &args.registry_password) {
        return Ok(Credentials::Basic {
            username: username.clone(),
            password: password.clone(),
        });
    }
    let found = Credentials::find(to).exit_code(ExitCode::Service)?;
    let environment = Environment::from_process();
    let workflow = environment
        .get("GITHUB_ACTOR")
        .zip(token.or_else(|| environment.get("GITHUB_TOKEN")));
    match (found, workflow) {
        (Credentials::Anonymous, Some((username, password))) if to.registry() == "ghcr.io" => {
            Ok(Credentials::Basic {
                username: username.to_owned(),
                password: password.to_owned(),
            })
        }
        (found, _) => Ok(found),
    }
}

/// Where a user's programs keep their state; the folder of results is not the place for it, since it is kept as an artifact.
fn unfinished_folder() -> Option<PathBuf> {
    let environment = Environment::from_process();
    let folder = |name| environment.get(name).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("trainyard/uploads"))
}

/// The image that a user writes. Its repository is taken in small letters, which registries insist on and
/// `${{ github.repository }}` does not have.
pub fn image_reference(written: &str) -> Result<ImageReference, ReferenceError> {
    lowercased(written).parse()
}

/// The reference with its repository in small letters; a tag keeps its letters.
fn lowercased(reference: &str) -> String {
    let name_end = reference.rfind('/').map_or(0, |slash| {
        let rest = &reference[slash..];
        slash + rest.find([':', '@']).unwrap_or(rest.len())
    });
    let (name, rest) = reference.split_at(name_end);
    name.to_lowercase() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_in_small_letters_and_a_tag_as_it_is() {
        for (given, expected) in [
            ("ghcr.io/Acme/Digits", "ghcr.io/acme/digits"),
            ("ghcr.io/Acme/Digits:V1-RC", "ghcr.io/acme/digits:V1-RC"),
            (
                "localhost:5000/A/b@sha256:AB",
                "localhost:5000/a/b@sha256:AB",
            ),
            ("ghcr.io/acme/digits", "ghcr.io/acme/digits"),
        ] {
            assert_eq!(lowercased(given), expected);
        }
    }
}
