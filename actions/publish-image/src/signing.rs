//! The key that signs what is said about an image: a file, or the text of one in a variable.

use std::path::Path;

use anyhow::anyhow;
use trainyard_attest::PrivateKey;
use trainyard_core::files;
use trainyard_runner::{Environment, ExitCode, WithExitCode as _};

/// Holds the PEM text of a key, as a secret of a CI system is handed over.
const VARIABLE: &str = "TRAINYARD_SIGNING_KEY";

/// The key that `--key` or the environment gives, if any. Where `must_sign` and there is none, that is an error, as is a key that
/// cannot be used.
///
/// Ends with [`ExitCode::Usage`].
pub(crate) fn find(file: Option<&Path>, must_sign: bool) -> anyhow::Result<Option<PrivateKey>> {
    let environment = Environment::from_process();
    let (text, place) = match (file, environment.get(VARIABLE)) {
        (Some(path), _) => {
            let text = files::read_text(path).exit_code(ExitCode::Usage)?;
            (text, format!("`{}`", path.display()))
        }
        (None, Some(text)) => (text.to_owned(), format!("`{VARIABLE}`")),
        (None, None) if must_sign => {
            return Err(anyhow!("`[image] sign` is set, and there is no key to sign with"))
                .exit_code(ExitCode::Usage)
                .hint(format!(
                    "name a private key by `--key`, or put its text into `{VARIABLE}`, which is empty where a workflow may not read \
                     the secret"
                ));
        }
        (None, None) => return Ok(None),
    };
    let key = PrivateKey::from_pem(&text).map_err(|error| {
        anyhow::Error::new(error).context(format!("cannot sign with the key in {place}"))
    });
    key.exit_code(ExitCode::Usage).map(Some)
}
