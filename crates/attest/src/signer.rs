//! Who signed, and when.

use std::fmt;

use trainyard_core::digest::Sha256Digest;

/// Who signed a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// The holder of the key with this fingerprint.
    Key(Sha256Digest),
    /// The identity that an issuer vouched for, by a certificate.
    Identity {
        /// The certificate's subject alternative name: a workflow's URL, an e-mail address.
        identity: String,
        /// The OpenID Connect issuer's URL.
        issuer: String,
    },
}

impl fmt::Display for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(fingerprint) => write!(formatter, "the key {fingerprint}"),
            Self::Identity { identity, issuer } => write!(formatter, "{identity} ({issuer})"),
        }
    }
}

/// When a statement was signed, in seconds since 1970, and what proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningTime {
    /// The earliest time that is proven.
    pub at_s: i64,
    /// What proves it.
    pub proof: TimeProof,
}

/// What proves the time of a signature by a certificate, which is valid for minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeProof {
    /// The promise of a transparency log (Rekor v1), which covers the time of the entry.
    LogEntry,
    /// A timestamp (RFC 3161).
    Timestamp,
    /// Both.
    LogEntryAndTimestamp,
}

impl fmt::Display for TimeProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::LogEntry => "a transparency log entry",
            Self::Timestamp => "a timestamp",
            Self::LogEntryAndTimestamp => "a transparency log entry and a timestamp",
        })
    }
}
