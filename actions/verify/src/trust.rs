//! Whom to trust: public keys, identities and the roots by which certificates are checked.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use trainyard_attest::{
    Authenticated, Bundle, Material, PermittedSigner, Policy, PublicKey, Unverified, VerifyError,
};
use trainyard_core::files;
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::Inputs;
use crate::certificate;
use crate::roots::Root;

/// Whom to trust.
pub(crate) struct Trust {
    keys: Vec<PublicKey>,
    /// Of `--identity` and of the policy, which names keys too.
    signers: Vec<PermittedSigner>,
    /// None where no identity is trusted.
    roots: Vec<Root>,
}

impl Trust {
    /// Keys and identities of the inputs and of the policy, which without a file asks for a verdict by one of them. `now_s` is the time
    /// in seconds since 1970.
    pub(crate) fn of(inputs: &Inputs, now_s: i64) -> anyhow::Result<(Self, Policy)> {
        let keys = inputs.key.iter().map(|path| public_key(path));
        let keys: Vec<PublicKey> = keys.collect::<anyhow::Result<_>>()?;
        let identity = match (&inputs.identity, &inputs.issuer) {
            (Some(identity), Some(issuer)) => Some(PermittedSigner::Identity {
                identity: identity.clone(),
                issuer: issuer.clone(),
            }),
            _ => None,
        };
        let named: Vec<PermittedSigner> = (keys.iter())
            .map(|key| PermittedSigner::Key(key.fingerprint()))
            .chain(identity)
            .collect();
        let policy = match &inputs.policy {
            Some(path) => {
                let text = files::read_text(path).exit_code(ExitCode::Usage)?;
                Policy::parse(&text, path).exit_code(ExitCode::Usage)?
            }
            None => Policy::of_signers(named.clone()),
        };
        let signers: Vec<_> = named.into_iter().chain(policy.signers.clone()).collect();
        let is_identity =
            |signer: &PermittedSigner| matches!(signer, PermittedSigner::Identity { .. });
        let roots = match signers.iter().any(is_identity) {
            true => Root::all(&inputs.trusted_root, now_s)?,
            false => without_an_identity(&inputs.trusted_root)?,
        };
        if keys.is_empty() && roots.is_empty() {
            const NAME_ONE: &str = "name a public key by `--key`, or who signs keyless by `--identity` and `--issuer` or by `[[signers]]` of the policy";
            let unsigned = match inputs.save_model {
                Some(_) => "; `--unsigned` saves the model of an image that is not signed",
                None => "",
            };
            return Err(anyhow!("no signer is named"))
                .exit_code(ExitCode::Usage)
                .hint(format!("{NAME_ONE}{unsigned}"));
        }
        let trust = Self {
            keys,
            signers,
            roots,
        };
        Ok((trust, policy))
    }

    #[cfg(test)]
    pub(crate) fn of_key(key: PublicKey) -> Self {
        Self {
            signers: vec![PermittedSigner::Key(key.fingerprint())],
            keys: vec![key],
            roots: Vec::new(),
        }
    }

    /// The statement in a bundle, whose text is `bytes`, if a trusted signer made it.
    pub(crate) fn authenticate(
        &self,
        bundle: &Bundle,
        bytes: &[u8],
    ) -> Result<Authenticated, VerifyError> {
        match bundle.material {
            Material::PublicKey { .. } => Authenticated::by_key(bundle, &self.keys),
            Material::Certificate if self.roots.is_empty() => Err(Unverified::Keyless.into()),
            Material::Certificate => {
                certificate::authenticate(bundle, bytes, &self.signers, &self.roots)
            }
        }
    }
}

/// No root; one that is given without an identity would decide nothing, which is a mistake.
fn without_an_identity(paths: &[PathBuf]) -> anyhow::Result<Vec<Root>> {
    match paths.first() {
        None => Ok(Vec::new()),
        Some(path) => Err(anyhow!(
            "`{}` is a trusted root, and no identity is named whose certificates would be checked by it",
            path.display()
        ))
        .exit_code(ExitCode::Usage)
        .hint("add `--identity` and `--issuer`, or `[[signers]]` with both to the policy"),
    }
}

fn public_key(path: &Path) -> anyhow::Result<PublicKey> {
    let text = files::read_text(path).exit_code(ExitCode::Usage)?;
    let key = PublicKey::from_pem(&text)
        .map_err(|error| {
            let context = format!("`{}` is not a public key to verify with", path.display());
            anyhow::Error::new(error).context(context)
        })
        .exit_code(ExitCode::Usage)?;
    tracing::info!("`{}` is the key {}", path.display(), key.fingerprint());
    Ok(key)
}
