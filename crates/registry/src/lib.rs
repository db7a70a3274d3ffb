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
    /// PEM file of certificates to trust in addition to the system's: of authorities, or of servers themselves.
    pub ca: Option<PathBuf>,
    /// When a request is made again.
    pub retry: RetryPolicy,
    /// The workflow's token, for GitHub's own registry, where it may be another than the environment's.
    pub token: Option<&'a str>,
}

impl Reach<'_> {
    /// A connection to the repository of `to`; nothing is sent yet.
    ///
    /// Ends with [`ExitCode::Usage`] where address, authorities or a file of logins cannot be used.
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
            unfinished: unfinished_folder(&Environment::from_process()),
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
    let found = Credentials::find(to).exit_code(ExitCode::Usage)?;
    Ok(or_workflow(found, token, &Environment::from_process(), to))
}

/// Those that were `found`, else the workflow's token, which no other registry than GitHub's own is shown.
fn or_workflow(
    found: Credentials,
    token: Option<&str>,
    environment: &Environment,
    to: &ImageReference,
) -> Credentials {
    let workflow = environment
        .get("GITHUB_ACTOR")
        .zip(token.or_else(|| environment.get("GITHUB_TOKEN")));
    match (found, workflow) {
        (Credentials::Anonymous, Some((username, password))) if to.registry() == "ghcr.io" => {
            Credentials::Basic {
                username: username.to_owned(),
                password: password.to_owned(),
            }
        }
        (found, _) => found,
    }
}

/// Where a user's programs keep their state; the folder of results is not the place for it, since it is kept as an artifact.
fn unfinished_folder(environment: &Environment) -> Option<PathBuf> {
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
    use clap::Parser;

    use super::*;

    const WORKFLOW: [(&str, &str); 2] = [("GITHUB_ACTOR", "ann"), ("GITHUB_TOKEN", "ghs_1")];

    fn basic(username: &str, password: &str) -> Credentials {
        Credentials::Basic {
            username: username.to_owned(),
            password: password.to_owned(),
        }
    }

    /// A token that another registry is shown is in other hands.
    #[test]
    fn the_workflows_token_goes_to_githubs_own_registry_alone() {
        let environment: Environment = WORKFLOW.into_iter().collect();
        let shown = |to: &str, token: Option<&str>| {
            let to: ImageReference = to.parse().unwrap();
            or_workflow(Credentials::Anonymous, token, &environment, &to)
        };
        assert_eq!(shown("ghcr.io/acme/m:1", None), basic("ann", "ghs_1"));
        assert_eq!(
            shown("ghcr.io/acme/m:1", Some("ghs_2")),
            basic("ann", "ghs_2")
        );
        for other in [
            "docker.io/acme/m",
            "ghcr.io.evil.example/acme/m",
            "evil.example/ghcr.io/m",
            "ghcr.io:444/acme/m",
            "localhost:5000/acme/m",
        ] {
            assert_eq!(shown(other, None), Credentials::Anonymous, "{other}");
            assert_eq!(
                shown(other, Some("ghs_2")),
                Credentials::Anonymous,
                "{other}"
            );
        }
    }

    #[test]
    fn a_login_goes_before_the_workflows_token_and_half_a_workflow_is_none() {
        let to: ImageReference = "ghcr.io/acme/m:1".parse().unwrap();
        let environment: Environment = WORKFLOW.into_iter().collect();
        let login = basic("robot", "secret");
        let found = or_workflow(login.clone(), Some("ghs_2"), &environment, &to);
        assert_eq!(found, login);
        let without_actor: Environment = [WORKFLOW[1]].into_iter().collect();
        let found = or_workflow(Credentials::Anonymous, None, &without_actor, &to);
        assert_eq!(found, Credentials::Anonymous);
    }

    #[test]
    fn a_name_and_a_password_go_together_before_all_else() {
        #[derive(Parser)]
        struct Command {
            #[command(flatten)]
            registry: RegistryArgs,
        }
        let to: ImageReference = "ghcr.io/acme/m:1".parse().unwrap();
        let both = [
            "x",
            "--registry-username",
            "ann",
            "--registry-password",
            "pw",
        ];
        let args = Command::try_parse_from(both).ok().map(|it| it.registry);
        let found = credentials(&args.unwrap(), Some("ghs_2"), &to).unwrap();
        assert_eq!(found, basic("ann", "pw"));
        for half in [&both[..3], &["x", "--registry-password", "pw"]] {
            assert!(Command::try_parse_from(half).is_err(), "{half:?}");
        }
    }

    #[test]
    fn unfinished_uploads_lie_with_the_users_state() {
        let folder = |variables: &[(&str, &str)]| {
            let environment = variables.iter().copied().collect();
            unfinished_folder(&environment).map(|it| it.display().to_string().replace('\\', "/"))
        };
        let home = ("HOME", "/home/ann");
        for (variables, expected) in [
            (
                &[home][..],
                Some("/home/ann/.local/state/trainyard/uploads"),
            ),
            (
                &[home, ("XDG_STATE_HOME", "/state")],
                Some("/state/trainyard/uploads"),
            ),
            (
                &[("LOCALAPPDATA", "C:/Users/ann")],
                Some("C:/Users/ann/trainyard/uploads"),
            ),
            (&[], None),
        ] {
            assert_eq!(folder(variables).as_deref(), expected);
        }
    }

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
