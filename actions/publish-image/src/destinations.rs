//! Where the image goes: the repositories, how each is reached, and the push with its progress.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use trainyard_core::config::Config;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::publication::Destination;
use trainyard_oci::tags::TagPlan;
use trainyard_oci::{
    Access, ClientOptions, ConnectOptions, Credentials, ImageReference, Progress, PushOptions,
    PushSource, Registry, RegistryError, RetryPolicy,
};
use trainyard_runner::{Environment, ExitCode, WithExitCode as _};

use crate::Inputs;

/// Some registries answer a PUT only once they have hashed the blob.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// The repositories that get the image, each once: those of `--push`, else those of `[image]`.
///
/// Ends with [`ExitCode::Usage`] for what is not the name of a repository.
pub(crate) fn targets(inputs: &Inputs, config: &Config) -> anyhow::Result<Vec<ImageReference>> {
    let image = &config.image;
    let configured: Vec<&String> = image.repository.iter().chain(&image.destinations).collect();
    let named: Vec<&String> = if inputs.push.is_empty() {
        configured
    } else {
        inputs.push.iter().collect()
    };
    parsed(named)
}

fn parsed(named: impl IntoIterator<Item = impl AsRef<str>>) -> anyhow::Result<Vec<ImageReference>> {
    let mut targets: Vec<ImageReference> = Vec::new();
    for text in named {
        let text = text.as_ref();
        let target: ImageReference = lowercased(text).parse().exit_code(ExitCode::Usage)?;
        if target.digest().is_some() {
            return Err(anyhow!(
                "`{text}` names an image by its digest, which only the push can tell"
            ))
            .exit_code(ExitCode::Usage)
            .hint(format!("write `{}`, with a tag or without", target.name()));
        }
        if targets.iter().any(|known| known.name() == target.name()) {
            if targets.contains(&target) {
                continue;
            }
            return Err(anyhow!("`{}` is named twice, by two tags", target.name()))
                .exit_code(ExitCode::Usage)
                .hint("name the repository once, and its tags by `--tag`");
        }
        targets.push(target);
    }
    Ok(targets)
}

/// The reference with its repository in small letters, which registries insist on and `${{ github.repository }}` does not
/// have; a tag keeps its letters.
fn lowercased(reference: &str) -> String {
    let name_end = reference.rfind('/').map_or(0, |slash| {
        let rest = &reference[slash..];
        slash + rest.find([':', '@']).unwrap_or(rest.len())
    });
    let (name, rest) = reference.split_at(name_end);
    let small = name.to_lowercase();
    if small != name {
        tracing::info!("image repositories are in small letters: `{small}`");
    }
    small + rest
}

/// How registries are reached, by inputs, configuration and environment.
pub(crate) struct Reach<'a> {
    pub(crate) inputs: &'a Inputs,
    pub(crate) config: &'a Config,
    pub(crate) retry: RetryPolicy,
}

impl Reach<'_> {
    /// A connection to the repository of `to`; nothing is sent yet.
    pub(crate) fn connect(&self, to: &ImageReference, access: Access) -> anyhow::Result<Registry> {
        let Self {
            inputs,
            config,
            retry,
        } = self;
        let of_config = || Some(inputs.stage.base().join(config.image.ca.as_ref()?));
        let ca = inputs.data.ca.clone().or_else(of_config);
        let mut plain_http = config.image.plain_http.clone();
        plain_http.extend(inputs.plain_http.iter().cloned());
        let options = ConnectOptions {
            credentials: self.credentials(to)?,
            access,
            plain_http,
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

    /// Given outright, else those of `docker login` or `podman login`, else the workflow's token for GitHub's own registry.
    fn credentials(&self, to: &ImageReference) -> anyhow::Result<Credentials> {
        let inputs = self.inputs;
        if let (Some(username), Some(password)) =
            (&inputs.registry_username, &inputs.registry_password)
        {
            return Ok(Credentials::Basic {
                username: username.clone(),
                password: password.clone(),
            });
        }
        let found = Credentials::find(to).exit_code(ExitCode::Service)?;
        let environment = Environment::from_process();
        let workflow = environment
            .get("GITHUB_ACTOR")
            .zip(environment.get("GITHUB_TOKEN"));
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
}

/// Where a user's programs keep their state; the folder of results is no such place, since it is kept as an artifact.
fn unfinished_folder() -> Option<PathBuf> {
    let environment = Environment::from_process();
    let folder = |name| environment.get(name).map(PathBuf::from);
    let state = folder("XDG_STATE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| Some(folder("HOME")?.join(".local/state")))?;
    Some(state.join("trainyard/uploads"))
}

/// Pushes the image through `registry` and returns where it is now.
pub(crate) async fn push(
    registry: &Registry,
    source: PushSource<'_>,
    tags: &[TagPlan],
    options: PushOptions,
) -> anyhow::Result<Destination> {
    let started = Instant::now();
    let pushed = registry.push(source, tags, options).await;
    let code = match &pushed {
        Err(RegistryError::Layout(_)) => ExitCode::Data,
        _ => ExitCode::Service,
    };
    let pushed = pushed.exit_code(code)?;
    tracing::info!(
        "pushed `{}`: {} blobs sent ({:.1} MB), {} there already, in {:.0} ms",
        pushed.image,
        pushed.n_uploaded,
        pushed.uploaded_bytes as f64 / 1e6,
        pushed.n_present,
        started.elapsed().as_secs_f64() * 1e3
    );
    Ok(Destination {
        image: pushed.image.to_string(),
        tags: pushed.tags,
        left_tags: pushed.left,
    })
}

/// Turns steps into log lines, a large upload into one each quarter.
#[derive(Default)]
struct Shown {
    quarters: BTreeMap<Sha256Digest, u64>,
}

impl Shown {
    fn show(&mut self, step: Progress) {
        match step {
            Progress::Present { digest, size } => {
                tracing::info!("{}  {size} bytes, there already", digest.short());
            }
            Progress::Mounted { digest, size, from } => {
                tracing::info!("{}  {size} bytes, taken from `{from}`", digest.short());
            }
            Progress::Uploading { digest, sent, size } => {
                let quarter = 4 * sent / size.max(1);
                let before = self.quarters.insert(digest.clone(), quarter);
                if before.is_some_and(|before| before != quarter) && quarter < 4 && size > 64 << 20
                {
                    tracing::info!("{}  {} % of {size} bytes", digest.short(), 25 * quarter);
                }
            }
            Progress::Uploaded { digest, size } => {
                tracing::info!("{}  {size} bytes, sent", digest.short());
            }
            Progress::Tagged(image) => tracing::info!("tagged `{image}`"),
            Progress::Unchanged(image) => tracing::info!("`{image}` is this image already"),
            Progress::Left { image, names } => {
                tracing::info!("`{image}` is left: it names {names}");
            }
            Progress::Quirk(text) => tracing::warn!("{text}"),
            Progress::Retrying {
                during,
                n_attempts,
                wait,
                reason,
            } => tracing::warn!(
                "{during} failed ({reason}); attempt {} follows in {:.1} s",
                n_attempts + 1,
                wait.as_secs_f64()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// publishing.md row 21.
    #[test]
    fn destinations_are_repositories_each_once() {
        let of = |named: &[&str]| {
            let found = parsed(named).map_err(|error| format!("{error:#}"))?;
            Ok::<_, String>(found.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        let two = ["ghcr.io/acme/m", "localhost:5000/acme/m:1"];
        assert_eq!(of(&two).unwrap(), two);
        let twice = ["ghcr.io/acme/m", "ghcr.io/Acme/M"];
        assert_eq!(of(&twice).unwrap(), ["ghcr.io/acme/m"]);
        let digest = format!("ghcr.io/acme/m@{}", Sha256Digest::of(b""));
        assert!(of(&[&digest]).unwrap_err().contains("by its digest"));
        let tags = ["ghcr.io/acme/m:1", "ghcr.io/acme/m:2"];
        assert!(of(&tags).unwrap_err().contains("named twice"));
        assert!(of(&["acme/m"]).unwrap_err().contains("names no registry"));
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
