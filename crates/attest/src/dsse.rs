//! DSSE, the Dead Simple Signing Envelope v1.0: a payload, its type and signatures over both.
//!
//! <https://github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md>

use serde::{Deserialize, Serialize};

use crate::key::{KeyError, PrivateKey, PublicKey};

/// The type of a payload that is an in-toto statement.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// A payload and its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// The very bytes that were signed.
    #[serde(with = "base64_text")]
    pub payload: Vec<u8>,
    /// What they are.
    pub payload_type: String,
    /// Who signed them.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature over type and payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// The signature.
    #[serde(with = "base64_text")]
    pub sig: Vec<u8>,
    /// An unauthenticated name of the key, which Sigstore bundles say elsewhere: absent, empty or null there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyid: Option<String>,
}

impl Envelope {
    /// Signs an in-toto statement, as it is serialised.
    pub fn sign(payload: Vec<u8>, key: &PrivateKey) -> Result<Self, KeyError> {
        let sig = key.sign(&pre_authentication_encoding(PAYLOAD_TYPE, &payload))?;
        Ok(Self {
            payload,
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![EnvelopeSignature { sig, keyid: None }],
        })
    }

    /// Whether one of the signatures is the key's.
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        let message = pre_authentication_encoding(&self.payload_type, &self.payload);
        self.signatures
            .iter()
            .any(|signature| key.has_signed(&message, &signature.sig))
    }
}

/// What is signed: type and payload, each with its length, so that no other pair gives the same bytes.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    );
    [head.as_bytes(), payload].concat()
}

/// Bytes as base64 with padding, of which exactly one text stands for the same bytes.
pub(crate) mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        STANDARD.decode(text.as_bytes()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: the example in the specification's `protocol.md`.
    #[test]
    fn the_encoding_is_the_specifications() {
        assert_eq!(
            pre_authentication_encoding("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn lengths_are_of_bytes() {
        assert_eq!(
            pre_authentication_encoding("é", "ü".as_bytes()),
            "DSSEv1 2 é 2 ü".as_bytes()
        );
    }
}
