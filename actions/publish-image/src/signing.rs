//! What signs what is said about an image: a key from a file or a variable, or a certificate for the identity of the run.

use std::path::Path;

use anyhow::anyhow;
use trainyard_attest::{
    Algorithm, ModelFile, PrivateKey, Statement, model_statement, sign, sign_model,
};
use trainyard_core::config::{Config, SignConfig};
use trainyard_core::files;
use trainyard_runner::{Environment, ExitCode, WithExitCode as _};

use crate::destinations;
use crate::inputs::Inputs;
use crate::keyless::Keyless;

/// Holds the PEM text of a key, as a secret of a CI system is handed over.
const VARIABLE: &str = "TRAINYARD_SIGNING_KEY";

/// What signs.
pub(crate) enum Signer {
    Key(PrivateKey),
    Keyless(Box<Keyless>),
}

impl Signer {
    /// What inputs, configuration and environment say, if anything. Where it must sign and cannot, that is an error, as is a key that
    /// cannot be used.
    ///
    /// Ends with [`ExitCode::Usage`].
    pub(crate) fn find(inputs: &Inputs, config: &Config) -> anyhow::Result<Option<Self>> {
        let environment = Environment::from_process();
        let is_keyless = config.image.sign == SignConfig::Keyless;
        if is_keyless && inputs.key.is_some() {
            return Err(anyhow!(
                "`[image] sign = \"keyless\"`, and `--key` names a key"
            ))
            .exit_code(ExitCode::Usage)
            .hint("leave one of them out");
        }
        if is_keyless || inputs.keyless.keyless {
            let ca = destinations::authorities(inputs, config);
            let keyless = Keyless::new(&inputs.keyless, ca.as_deref(), &environment)?;
            return Ok(Some(Self::Keyless(Box::new(keyless))));
        }
        if inputs.github.github_attestations {
            return Err(anyhow!(
                "`--github-attestations` without keyless signatures: GitHub takes none by a key"
            ))
            .exit_code(ExitCode::Usage)
            .hint("add `--keyless` (the input `keyless`), or `sign = \"keyless\"` to `[image]`");
        }
        let must_sign = config.image.sign == SignConfig::Key;
        let key = find_key(inputs.key.as_deref(), must_sign, &environment)?;
        Ok(key.map(Self::Key))
    }

    /// The bundle of a statement.
    pub(crate) fn sign(&self, statement: &Statement) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Key(key) => sign(statement, key).exit_code(ExitCode::Usage),
            Self::Keyless(keyless) => keyless.sign(statement),
        }
    }

    /// The bundle of a model's files. `None` where it cannot sign any: OpenSSF Model Signing has no Ed25519.
    pub(crate) fn sign_model(
        &self,
        name: &str,
        files: &[ModelFile<'_>],
    ) -> anyhow::Result<Option<Vec<u8>>> {
        match self {
            Self::Key(key) if key.public_key().algorithm() == Algorithm::Ed25519 => Ok(None),
            Self::Key(key) => sign_model(name, files, &[], key)
                .exit_code(ExitCode::Usage)
                .map(Some),
            Self::Keyless(keyless) => {
                let statement = model_statement(name, files, &[]).exit_code(ExitCode::Usage)?;
                keyless.sign(&statement).map(Some)
            }
        }
    }
}

fn find_key(
    file: Option<&Path>,
    must_sign: bool,
    environment: &Environment,
) -> anyhow::Result<Option<PrivateKey>> {
    let (text, place) = match (file, environment.get(VARIABLE)) {
        (Some(path), variable) => {
            if variable.is_some() {
                tracing::info!("`--key` signs; the key in `{VARIABLE}` is not used");
            }
            let text = files::read_text(path).exit_code(ExitCode::Usage)?;
            (text, format!("`{}`", path.display()))
        }
        (None, Some(text)) => (text.to_owned(), format!("`{VARIABLE}`")),
        (None, None) if must_sign => {
            return Err(anyhow!("`[image] sign` is set, and there is no key to sign with"))
                .exit_code(ExitCode::Usage)
                .hint(format!(
                    "name a private key by `--key`, or put its text into `{VARIABLE}`, which is empty where a workflow may not read \
                     the secret; `sign = \"keyless\"` needs no key"
                ));
        }
        (None, None) => return Ok(None),
    };
    let key = PrivateKey::from_pem(&text).map_err(|error| {
        anyhow::Error::new(error).context(format!("cannot sign with the key in {place}"))
    });
    key.exit_code(ExitCode::Usage).map(Some)
}
