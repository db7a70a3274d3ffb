//! What a signer needs of the certificate that was issued to it: text in; key, identity and end of validity out.
//!
//! Nothing is verified here: code that relies on a certificate checks its chain first. DER is read as far as it is needed (RFC 5280,
//! section 4.1; Fulcio's extensions: <https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md>).

use chrono::NaiveDateTime;

use crate::der::{OBJECT_IDENTIFIER, OCTET_STRING, Reader, SEQUENCE, UTF8_STRING};
use crate::key::PublicKey;
use crate::pem::{self, Block};

const CERTIFICATE: &str = "CERTIFICATE";

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]` and `[3]` of a certificate: its version and its extensions.
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// `[1]` and `[6]` of a general name.
const EMAIL: u8 = 0x81;
const URI: u8 = 0x86;

/// 2.5.29.17
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
/// 1.3.6.1.4.1.57264.1.8, in DER.
const ISSUER: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x08];
/// 1.3.6.1.4.1.57264.1.1, the older form: the bare text.
const ISSUER_TEXT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x83, 0xbf, 0x30, 0x01, 0x01];

/// A certificate as it was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    public_key: Vec<u8>,
    /// Last second of its validity, in seconds since 1970.
    pub not_after_s: i64,
    /// The subject alternative name: a workflow's URL, an e-mail address.
    pub identity: String,
    /// URL of the OpenID Connect issuer that vouched for it.
    pub issuer: String,
}

/// Why a text is not a certificate for signing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The text holds no PEM block of a certificate.
    #[error("no PEM block `-----BEGIN CERTIFICATE-----` was found")]
    NoBlock,
    /// The bytes are not a certificate.
    #[error("it is not a certificate in DER")]
    Der,
    /// It names no identity.
    #[error("it names no URL or e-mail address as its subject alternative name")]
    NoIdentity,
    /// It does not say who vouched.
    #[error("it does not name the issuer of the identity token, as Fulcio's certificates do")]
    NoIssuer,
}

impl Certificate {
    /// Reads the first certificate of a PEM text.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let blocks = Block::all(text);
        let block = blocks.iter().find(|block| block.label == CERTIFICATE);
        let bytes = block
            .and_then(Block::bytes)
            .ok_or(CertificateError::NoBlock)?;
        Self::from_der(&bytes)
    }

    fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let mut signed = Reader(Reader(der).of(SEQUENCE).ok_or(CertificateError::Der)?);
        let mut body = Reader(signed.of(SEQUENCE).ok_or(CertificateError::Der)?);
        let fields = Fields::read(&mut body).ok_or(CertificateError::Der)?;
        let mut certificate = Self {
            der: der.to_vec(),
            public_key: fields.public_key.to_vec(),
            not_after_s: fields.not_after_s,
            identity: String::new(),
            issuer: String::new(),
        };
        let mut extensions = Reader(fields.extensions);
        let mut older_issuer = None;
        while !extensions.0.is_empty() {
            let (identifier, value) = extension(&mut extensions).ok_or(CertificateError::Der)?;
            match identifier {
                SUBJECT_ALTERNATIVE_NAME => {
                    certificate.identity = first_name(value).ok_or(CertificateError::NoIdentity)?;
                }
                ISSUER => {
                    let text = Reader(value).of(UTF8_STRING).and_then(text);
                    certificate.issuer = text.ok_or(CertificateError::NoIssuer)?;
                }
                ISSUER_TEXT => older_issuer = text(value),
                _ => {}
            }
        }
        if certificate.issuer.is_empty() {
            certificate.issuer = older_issuer.ok_or(CertificateError::NoIssuer)?;
        }
        if certificate.identity.is_empty() {
            return Err(CertificateError::NoIdentity);
        }
        Ok(certificate)
    }

    /// As it was issued, in DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        pem::write(CERTIFICATE, &self.der)
    }

    /// Whether it is for this key.
    pub fn is_for(&self, key: &PublicKey) -> bool {
        self.public_key == key.der()
    }
}

/// The parts of a certificate's body that are needed, in their order.
struct Fields<'a> {
    not_after_s: i64,
    public_key: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Fields<'a> {
    fn read(body: &mut Reader<'a>) -> Option<Self> {
        if body.0.first() == Some(&VERSION) {
            body.value()?;
        }
        // Serial number, algorithm and name of the issuer.
        for _ in 0..3 {
            body.value()?;
        }
        let mut validity = Reader(body.of(SEQUENCE)?);
        validity.value()?;
        let (kind, time) = validity.value()?;
        let not_after_s = seconds(kind, time)?;
        // The subject's name.
        body.value()?;
        let before = body.0;
        body.of(SEQUENCE)?;
        let public_key = &before[..before.len() - body.0.len()];
        let mut extensions: &[u8] = &[];
        while !body.0.is_empty() {
            let (tag, content) = body.value()?;
            if tag == EXTENSIONS {
                extensions = Reader(content).of(SEQUENCE)?;
            }
        }
        Some(Self {
            not_after_s,
            public_key,
            extensions,
        })
    }
}

/// Identifier and value of the next extension, which may say that it is critical.
fn extension<'a>(extensions: &mut Reader<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let mut extension = Reader(extensions.of(SEQUENCE)?);
    let identifier = extension.of(OBJECT_IDENTIFIER)?;
    let (mut tag, mut value) = extension.value()?;
    if tag != OCTET_STRING {
        (tag, value) = extension.value()?;
    }
    (tag == OCTET_STRING).then_some((identifier, value))
}

/// The first URL or e-mail address of general names.
fn first_name(value: &[u8]) -> Option<String> {
    let mut names = Reader(Reader(value).of(SEQUENCE)?);
    while let Some((tag, content)) = names.value() {
        if matches!(tag, EMAIL | URI) {
            return text(content);
        }
    }
    None
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn seconds(kind: u8, time: &[u8]) -> Option<i64> {
    let format = match kind {
        UTC_TIME => "%y%m%d%H%M%SZ",
        GENERALIZED_TIME => "%Y%m%d%H%M%SZ",
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(std::str::from_utf8(time).ok()?, format).ok()?;
    Some(time.and_utc().timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// See `fixtures/README.md`.
    const PEM: &str = include_str!("../fixtures/certificate.pem");

    #[test]
    fn a_certificate_of_openssls_is_read() {
        let certificate = Certificate::from_pem(PEM).unwrap();
        assert_eq!(
            certificate.identity,
            "https://github.com/acme/digits/.github/workflows/release.yml@refs/tags/v1.0.0"
        );
        assert_eq!(
            certificate.issuer,
            "https://token.actions.githubusercontent.com"
        );
        // 2026-12-01T11:16:25Z, by OpenSSL.
        assert_eq!(certificate.not_after_s, 1_796_123_785);
        let key = |text| PublicKey::from_pem(text).unwrap();
        assert!(certificate.is_for(&key(include_str!("../fixtures/p256.pub"))));
        assert!(!certificate.is_for(&key(include_str!("../fixtures/p384.pub"))));
    }

    #[test]
    fn what_is_cut_short_is_refused() {
        let whole = Certificate::from_pem(PEM).unwrap().der;
        for length in 0..whole.len() {
            assert_eq!(
                Certificate::from_der(&whole[..length]),
                Err(CertificateError::Der),
                "{length}"
            );
        }
        assert_eq!(
            Certificate::from_pem("text"),
            Err(CertificateError::NoBlock)
        );
    }
}
