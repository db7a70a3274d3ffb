//! Rekor, the transparency log: a signed envelope in, the entry that proves when it was logged out.
//!
//! The entry is of the type `dsse`, which keeps digests of envelope and statement and not their text: what is logged is public and
//! permanent. <https://github.com/sigstore/rekor/blob/main/openapi.yaml>, version 1.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};
use trainyard_attest::{Certificate, Envelope};
use trainyard_runner::{ExitCode, WithExitCode as _};

use super::http::{Http, address};

const SERVICE: &str = "the transparency log (`--rekor-url`)";

/// An instance of Rekor.
pub(crate) struct Log {
    url: Url,
}

/// An entry as the log answers it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: u64,
    verification: Verification,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    inclusion_proof: InclusionProof,
    signed_entry_timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InclusionProof {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: u64,
    root_hash: String,
    tree_size: u64,
}

/// What the body of any entry begins with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Kind {
    kind: String,
    api_version: String,
}

impl Log {
    pub(crate) fn at(base: &str) -> anyhow::Result<Self> {
        let url = address("--rekor-url", base, "/api/v1/log/entries")?;
        Ok(Self { url })
    }

    /// The entry of an envelope in the form that bundles hold. Ends with [`ExitCode::Service`] where there is none.
    pub(crate) fn add(
        &self,
        http: &Http,
        envelope: &Envelope,
        certificate: &Certificate,
    ) -> anyhow::Result<Value> {
        let envelope = serde_json::to_string(envelope).exit_code(ExitCode::Bug)?;
        let body = json!({
            "apiVersion": "0.0.1",
            "kind": "dsse",
            "spec": {
                "proposedContent": {
                    "envelope": envelope,
                    "verifiers": [STANDARD.encode(certificate.to_pem())],
                },
            },
        });
        let mut answer = http.post(SERVICE, &self.url, &body)?;
        // An earlier attempt arrived, and its answer did not.
        if let Some(location) = answer.location {
            let url = self.url.join(&location).exit_code(ExitCode::Service)?;
            answer = http.send(SERVICE, |client| client.get(url.clone()))?;
        }
        read(&answer.body)
            .with_context(|| format!("{SERVICE} did not answer with an entry"))
            .exit_code(ExitCode::Service)
    }
}

/// The one entry of an answer, as `TransparencyLogEntry` of Sigstore's protobufs.
fn read(answer: &[u8]) -> anyhow::Result<Value> {
    let entries: BTreeMap<String, Entry> = serde_json::from_slice(answer)?;
    let mut entries = entries.into_values();
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        return Err(anyhow!("it must hold one entry"));
    };
    let Entry {
        body,
        integrated_time,
        log_id,
        log_index,
        verification,
    } = entry;
    let Kind { kind, api_version } = serde_json::from_slice(&STANDARD.decode(&body)?)?;
    let proof = verification.inclusion_proof;
    let hashes = proof.hashes.iter().map(|hash| from_hex(hash));
    let hashes: Vec<String> = hashes.collect::<anyhow::Result<_>>()?;
    // Numbers of 64 bits are texts in the JSON of protobuf.
    Ok(json!({
        "logIndex": log_index.to_string(),
        "logId": { "keyId": from_hex(&log_id)? },
        "kindVersion": { "kind": kind, "version": api_version },
        "integratedTime": integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": verification.signed_entry_timestamp },
        "inclusionProof": {
            "logIndex": proof.log_index.to_string(),
            "rootHash": from_hex(&proof.root_hash)?,
            "treeSize": proof.tree_size.to_string(),
            "hashes": hashes,
            "checkpoint": { "envelope": proof.checkpoint },
        },
        "canonicalizedBody": body,
    }))
}

/// Bytes in hexadecimal as base64.
fn from_hex(hex: &str) -> anyhow::Result<String> {
    let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    let byte = |pair: &[u8]| match *pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = hex.as_bytes().chunks(2).map(byte).collect();
    Ok(STANDARD.encode(bytes.with_context(|| format!("`{hex}` is not hexadecimal"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_becomes_base64() {
        assert_eq!(from_hex("00fF10").unwrap(), "AP8Q");
        assert!(from_hex("0").is_err());
        assert!(from_hex("0g").is_err());
    }

    #[test]
    fn an_answer_that_is_not_one_entry_is_refused() {
        for answer in [&b"{}"[..], b"[]", br#"{"a":{"body":""}}"#] {
            assert!(read(answer).is_err());
        }
    }
}
