//! Keyless signatures: an identity token in; bundles signed with a short-lived certificate, and the proof of their time, out.
//!
//! The key lives in memory alone. Fulcio issues the certificate for whom the token names; a transparency log (Rekor), a timestamping
//! authority or both prove that each signature was made while it was valid. One certificate signs all statements about an image,
//! unless it is about to expire.

mod authority;
mod http;
mod log;
mod timestamps;
mod token;

use std::cell::RefCell;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, anyhow};
use trainyard_attest::{Certificate, Envelope, PrivateKey, Statement, certified};
use trainyard_core::publication::SigningIdentity;
use trainyard_runner::{Environment, ExitCode, WithExitCode as _};

use crate::inputs::KeylessArgs;
use authority::Authority;
use http::Http;
use log::Log;
use timestamps::Timestamps;
use token::TokenSource;

/// A certificate with less time left is not used any more, in seconds: a log may take as long to answer.
const MIN_VALIDITY_S: i64 = 60;

/// What signs by certificates.
pub(crate) struct Keyless {
    http: Http,
    tokens: TokenSource,
    authority: Authority,
    log: Option<Log>,
    timestamps: Option<Timestamps>,
    /// The certificate that is in use, and its key.
    session: RefCell<Option<Session>>,
}

struct Session {
    key: PrivateKey,
    certificate: Certificate,
}

impl Keyless {
    /// Checks what can be without a request: the services' addresses, and that there is a token to ask with.
    ///
    /// Ends with [`ExitCode::Usage`].
    pub(crate) fn new(
        args: &KeylessArgs,
        ca: Option<&Path>,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        let log = match args.rekor_url.as_str() {
            "none" => None,
            url => Some(Log::at(url)?),
        };
        let timestamps = args.timestamp_url.as_deref().map(Timestamps::at);
        let timestamps = timestamps.transpose()?;
        if log.is_none() && timestamps.is_none() {
            return Err(anyhow!(
                "keyless signing needs a transparency log or a timestamp authority, to prove that the certificate was valid when it signed"
            ))
            .exit_code(ExitCode::Usage)
            .hint("name a transparency log by `--rekor-url` or a timestamp authority by `--timestamp-url`");
        }
        Ok(Self {
            http: Http::new(ca)?,
            tokens: TokenSource::find(environment)?,
            authority: Authority::at(&args.fulcio_url)?,
            log,
            timestamps,
            session: RefCell::new(None),
        })
    }

    /// The bundle of a statement, signed.
    ///
    /// Ends with [`ExitCode::Service`] where a service does not do its part.
    pub(crate) fn sign(&self, statement: &Statement) -> anyhow::Result<Vec<u8>> {
        let mut session = self.session.borrow_mut();
        let is_valid =
            |session: &Session| session.certificate.not_after_s - now_s() > MIN_VALIDITY_S;
        let session = match session.take().filter(is_valid) {
            Some(current) => session.insert(current),
            None => session.insert(self.certify()?),
        };
        let Session { key, certificate } = session;
        let envelope = Envelope::sign(statement.to_json(), key).exit_code(ExitCode::Usage)?;
        let signature = (envelope.signatures.first())
            .context("an envelope that was signed has a signature")
            .exit_code(ExitCode::Bug)?;
        let timestamps = match &self.timestamps {
            Some(timestamps) => vec![timestamps.stamp(&self.http, &signature.sig)?],
            None => Vec::new(),
        };
        let entries = match &self.log {
            Some(log) => vec![log.add(&self.http, &envelope, certificate)?],
            None => Vec::new(),
        };
        Ok(certified(&envelope, certificate, &entries, &timestamps))
    }

    /// Whom the certificate names that signed; `None` before anything is signed.
    pub(crate) fn identity(&self) -> Option<SigningIdentity> {
        let session = self.session.borrow();
        session.as_ref().map(|session| SigningIdentity {
            identity: session.certificate.identity.clone(),
            issuer: session.certificate.issuer.clone(),
        })
    }

    /// A new key with a certificate.
    fn certify(&self) -> anyhow::Result<Session> {
        let token = self.tokens.fetch(&self.http)?;
        let key = PrivateKey::generate().exit_code(ExitCode::Usage)?;
        let certificate = self.authority.certify(&self.http, &token, &key)?;
        tracing::info!(
            "signing with a certificate for {} ({})",
            certificate.identity,
            certificate.issuer
        );
        Ok(Session { key, certificate })
    }
}

/// Seconds since 1970.
fn now_s() -> i64 {
    let since = UNIX_EPOCH.elapsed();
    since.map_or(0, |since| since.as_secs() as i64)
}
