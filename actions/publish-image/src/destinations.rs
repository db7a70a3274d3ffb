//! Where the image goes: the repositories, and how each is reached.

use std::path::PathBuf;

use anyhow::anyhow;
use trainyard_core::config::Config;
use trainyard_oci::{ImageReference, RetryPolicy};
use trainyard_registry::{Reach, image_reference};
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::Inputs;

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
        let target = image_reference(text).exit_code(ExitCode::Usage)?;
        let name = target.name();
        if text.to_lowercase().starts_with(&name) && !text.starts_with(&name) {
            tracing::info!("image repositories are in small letters: `{name}`");
        }
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

/// How registries are reached, by inputs and configuration.
pub(crate) fn reach<'a>(inputs: &'a Inputs, config: &'a Config, retry: RetryPolicy) -> Reach<'a> {
    Reach {
        args: &inputs.registry,
        plain_http: &config.image.plain_http,
        ca: authorities(inputs, config),
        retry,
        token: None,
    }
}

/// The PEM file of certificates to trust in addition to the system's, by inputs and configuration.
pub(crate) fn authorities(inputs: &Inputs, config: &Config) -> Option<PathBuf> {
    let of_config = || Some(inputs.stage.base().join(config.image.ca.as_ref()?));
    inputs.data.ca.clone().or_else(of_config)
}

#[cfg(test)]
mod tests {
    use trainyard_core::digest::Sha256Digest;

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
}
