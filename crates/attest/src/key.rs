//! Keys: PEM text in, signatures and answers to "did this key sign it?" out.
//!
//! P-256, P-384 and Ed25519. A curve has one hash (SHA-256, SHA-384), as in Sigstore's registry of algorithms, so that a
//! signature does not say how it is to be checked. Of the three, P-256 is what every other tool verifies: cosign 3.1 and
//! npm's `@sigstore/verify` check P-384 with SHA-256, and OpenSSF Model Signing has no Ed25519.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trainyard_core::digest::Sha256Digest;

use crate::pem::{self, Block};

const PUBLIC_KEY: &str = "PUBLIC KEY";

/// How a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on NIST's P-256 with SHA-256.
    EcdsaP256,
    /// ECDSA on NIST's P-384 with SHA-384.
    EcdsaP384,
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// Why a text is not a key that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is no block of that kind.
    #[error(
        "no PEM block `-----BEGIN {wanted}-----` was found{}",
        found.as_ref().map(|found| format!(", but `-----BEGIN {found}-----`")).unwrap_or_default()
    )]
    NoKey {
        /// The label that was looked for.
        wanted: &'static str,
        /// What was there instead.
        found: Option<String>,
    },
    /// Only a password opens it.
    #[error(
        "the private key is encrypted (`-----BEGIN {label}-----`), which is not supported: keep an unencrypted key in a \
         secret instead; make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem` and \
         its public key with `openssl pkey -in key.pem -pubout -out key.pub`"
    )]
    Encrypted {
        /// The block's label.
        label: String,
    },
    /// It is a key of another kind, or none.
    #[error(
        "the key is not one of P-256, P-384 (uncompressed, by the curve's name) or Ed25519: make one with `openssl genpkey \
         -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem`"
    )]
    Unsupported,
    /// The block is damaged.
    #[error(
        "the text between `-----BEGIN {label}-----` and its end is not base64: copy the key's file as a whole"
    )]
    NotBase64 {
        /// The block's label.
        label: String,
    },
    /// The text holds more than one.
    #[error(
        "there are {0} public keys in it, of which one alone would count: write each to a file of its own, and name them all"
    )]
    Several(usize),
    /// No randomness is to be had.
    #[error("the key could not sign: the system gave no random numbers")]
    Signing,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::EcdsaP256, Self::EcdsaP384, Self::Ed25519];

    /// What precedes the key's own bytes in its SubjectPublicKeyInfo, in DER (RFC 5480 and RFC 8410).
    ///
    /// DER has one form for each key, so comparing the prefix is parsing it; a key with explicit curve parameters, which
    /// have been used to smuggle in another generator (CVE-2020-0601), is not known here.
    const fn prefix(self) -> &'static [u8] {
        match self {
            Self::EcdsaP256 => &[
                0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
            ],
            Self::EcdsaP384 => &[
                0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
                0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
            ],
            Self::Ed25519 => &[
                0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
            ],
        }
    }

    /// Bytes of a public key: an uncompressed point, or 32.
    const fn key_length(self) -> usize {
        match self {
            Self::EcdsaP256 => 65,
            Self::EcdsaP384 => 97,
            Self::Ed25519 => 32,
        }
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EcdsaP256 => &signature::ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384 => &signature::ECDSA_P384_SHA384_ASN1,
            Self::Ed25519 => &signature::ED25519,
        }
    }
}

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// SubjectPublicKeyInfo in DER.
    der: Vec<u8>,
}

/// Shows the fingerprint, by which people compare keys.
impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PublicKey")
            .field("algorithm", &self.algorithm)
            .field("fingerprint", &self.fingerprint().as_str())
            .finish_non_exhaustive()
    }
}

impl PublicKey {
    /// Reads the only `PUBLIC KEY` (SubjectPublicKeyInfo) of a PEM text.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let blocks = Block::all(text);
        let n_keys = blocks.iter().filter(|it| it.label == PUBLIC_KEY).count();
        if n_keys > 1 {
            return Err(KeyError::Several(n_keys));
        }
        let block = find(text, &[PUBLIC_KEY])?;
        let der = bytes_of(&block)?;
        let is_of = |algorithm: &Algorithm| {
            der.strip_prefix(algorithm.prefix())
                .is_some_and(|key| key.len() == algorithm.key_length())
        };
        let algorithm = Algorithm::ALL.into_iter().find(is_of);
        let key = Self {
            algorithm: algorithm.ok_or(KeyError::Unsupported)?,
            der: der.to_vec(),
        };
        // A point that is not on the curve is refused now, not when the first signature does not verify.
        key.parsed().ok_or(KeyError::Unsupported)?;
        Ok(key)
    }

    fn of_point(algorithm: Algorithm, point: &[u8]) -> Self {
        Self {
            algorithm,
            der: [algorithm.prefix(), point].concat(),
        }
    }

    fn parsed(&self) -> Option<ParsedPublicKey> {
        let point = self.der.strip_prefix(self.algorithm.prefix())?;
        ParsedPublicKey::new(self.algorithm.verification(), point).ok()
    }

    /// How the key signs.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SubjectPublicKeyInfo in DER.
    pub(crate) fn der(&self) -> &[u8] {
        &self.der
    }

    /// As PEM, the very text that OpenSSL writes.
    pub fn to_pem(&self) -> String {
        pem::write(PUBLIC_KEY, &self.der)
    }

    /// The digest of its DER form: the name by which policies and reports call it. `openssl pkey -pubin -in key.pub
    /// -outform DER | sha256sum` prints it.
    pub fn fingerprint(&self) -> Sha256Digest {
        Sha256Digest::of(&self.der)
    }

    /// The hint that cosign writes into a bundle: base64 of the SHA-256 digest of the DER form.
    pub fn cosign_hint(&self) -> String {
        STANDARD.encode(aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA256,
            &self.der,
        ))
    }

    /// The hint that the OpenSSF Model Signing tools write and insist on: the hexadecimal SHA-256 digest of the PEM text.
    pub fn model_signing_hint(&self) -> String {
        Sha256Digest::of(self.to_pem().as_bytes()).hex().to_owned()
    }

    /// Whether the key signed `message`. ECDSA signatures are in DER (RFC 3279).
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed()
            .is_some_and(|key| key.verify_sig(message, signature).is_ok())
    }
}

/// A private key.
pub struct PrivateKey {
    pair: KeyPair,
    public: PublicKey,
}

enum KeyPair {
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Shows the public key alone.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PrivateKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl PrivateKey {
    /// Reads the first `PRIVATE KEY` (PKCS#8) or `EC PRIVATE KEY` (SEC 1) of a PEM text.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let block = find(text, &["PRIVATE KEY", "EC PRIVATE KEY"])?;
        let der = bytes_of(&block)?;
        for (algorithm, signing) in [
            (
                Algorithm::EcdsaP256,
                &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            ),
            (
                Algorithm::EcdsaP384,
                &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            ),
        ] {
            if let Ok(pair) = EcdsaKeyPair::from_private_key_der(signing, &der) {
                return Ok(Self {
                    public: PublicKey::of_point(algorithm, pair.public_key().as_ref()),
                    pair: KeyPair::Ecdsa(pair),
                });
            }
        }
        let pair = Ed25519KeyPair::from_pkcs8(&der).map_err(|_| KeyError::Unsupported)?;
        Ok(Self {
            public: PublicKey::of_point(Algorithm::Ed25519, pair.public_key().as_ref()),
            pair: KeyPair::Ed25519(pair),
        })
    }

    /// Draws a P-256 key that lives in memory alone, for a certificate of some minutes.
    pub fn generate() -> Result<Self, KeyError> {
        let signing = &signature::ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = EcdsaKeyPair::generate(signing).map_err(|_| KeyError::Signing)?;
        Ok(Self {
            public: PublicKey::of_point(Algorithm::EcdsaP256, pair.public_key().as_ref()),
            pair: KeyPair::Ecdsa(pair),
        })
    }

    /// The key that others check with.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message`. ECDSA draws a random number, so its signatures differ from one call to the next.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.pair {
            KeyPair::Ecdsa(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyError::Signing),
            KeyPair::Ed25519(pair) => pair
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| KeyError::Signing),
        }
    }
}

/// The first block with one of the labels. `openssl ecparam -genkey` puts a block of parameters before it.
fn find<'a>(text: &'a str, labels: &[&'static str]) -> Result<Block<'a>, KeyError> {
    let mut others = Vec::new();
    for block in Block::all(text) {
        let is_wanted = labels.contains(&block.label);
        if block.is_encrypted() && block.label.ends_with("PRIVATE KEY") {
            return Err(KeyError::Encrypted {
                label: block.label.to_owned(),
            });
        }
        if is_wanted {
            return Ok(block);
        }
        others.push(block.label.to_owned());
    }
    Err(KeyError::NoKey {
        wanted: labels[0],
        found: others.into_iter().next(),
    })
}

fn bytes_of(block: &Block<'_>) -> Result<zeroize::Zeroizing<Vec<u8>>, KeyError> {
    block.bytes().ok_or_else(|| KeyError::NotBase64 {
        label: block.label.to_owned(),
    })
}

#[cfg(test)]
mod tests;
