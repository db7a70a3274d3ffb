//! Fulcio, the certificate authority: a key and an identity token in, a certificate for whom the token names out.
//!
//! <https://github.com/sigstore/fulcio/blob/main/fulcio.proto>, version 2.

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use trainyard_attest::{Certificate, PrivateKey};
use trainyard_runner::{ExitCode, WithExitCode as _};

use super::http::{Http, address};
use super::token::Token;

const SERVICE: &str = "the certificate authority (`--fulcio-url`)";

/// An instance of Fulcio.
pub(crate) struct Authority {
    url: Url,
}

/// Its answer. Where it keeps no log of certificates there is no timestamp of one in them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Issued {
    signed_certificate_embedded_sct: Option<WithChain>,
    signed_certificate_detached_sct: Option<WithChain>,
}

#[derive(Deserialize)]
struct WithChain {
    chain: Chain,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

impl Authority {
    pub(crate) fn at(base: &str) -> anyhow::Result<Self> {
        let url = address("--fulcio-url", base, "/api/v2/signingCert")?;
        Ok(Self { url })
    }

    /// A certificate for the key. Ends with [`ExitCode::Service`] where it is refused.
    pub(crate) fn certify(
        &self,
        http: &Http,
        token: &Token,
        key: &PrivateKey,
    ) -> anyhow::Result<Certificate> {
        // The token alone does not suffice to have another key certified.
        let proof = key.sign(token.subject.as_bytes());
        let proof = proof.exit_code(ExitCode::Usage)?;
        let body = json!({
            "credentials": { "oidcIdentityToken": token.text },
            "publicKeyRequest": {
                "publicKey": { "algorithm": "ECDSA", "content": key.public_key().to_pem() },
                "proofOfPossession": STANDARD.encode(proof),
            },
        });
        let answer = http.post(SERVICE, &self.url, &body)?;
        let certificate = read(&answer.body)
            .with_context(|| format!("{SERVICE} did not answer with a certificate"))
            .exit_code(ExitCode::Service)?;
        if !certificate.is_for(key.public_key()) {
            return Err(anyhow!("{SERVICE} certified another key than ours"))
                .exit_code(ExitCode::Service);
        }
        Ok(certificate)
    }
}

fn read(body: &[u8]) -> anyhow::Result<Certificate> {
    let issued: Issued = serde_json::from_slice(body)?;
    let with_chain = (issued.signed_certificate_embedded_sct)
        .or(issued.signed_certificate_detached_sct)
        .context("it holds no chain")?;
    let leaf = with_chain.chain.certificates.first();
    Ok(Certificate::from_pem(leaf.context("its chain is empty")?)?)
}
