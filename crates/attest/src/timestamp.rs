//! Timestamps (RFC 3161): the request for a signature, and whether an answer grants it.
//!
//! The answer goes into the bundle as it is; who verifies the bundle checks it.

use aws_lc_rs::digest::{SHA256, digest};

use crate::der::{INTEGER, Reader, SEQUENCE};

/// A `TimeStampReq` of version 1 up to the SHA-256 digest: that algorithm's identifier, and the head of an OCTET STRING of 32 bytes.
const HEAD: &[u8] = &[
    0x30, 0x39, 0x02, 0x01, 0x01, 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
    0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20,
];
/// `certReq`: the answer brings the certificate that it is signed by.
const TAIL: &[u8] = &[0x01, 0x01, 0xff];

/// `PKIStatus`: granted, and granted with changes.
const GRANTED: [&[u8]; 2] = [&[0], &[1]];

/// The request for a timestamp of a signature, as the body of type `application/timestamp-query`.
pub fn timestamp_request(signature: &[u8]) -> Vec<u8> {
    [HEAD, digest(&SHA256, signature).as_ref(), TAIL].concat()
}

/// Whether an answer (`TimeStampResp`) holds a timestamp.
pub fn is_granted(answer: &[u8]) -> bool {
    let read = || {
        let mut answer = Reader(Reader(answer).of(SEQUENCE)?);
        let status = Reader(answer.of(SEQUENCE)?).of(INTEGER)?;
        answer.of(SEQUENCE)?;
        Some(GRANTED.contains(&status))
    };
    read().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: `printf signature | openssl ts -query -data - -sha256 -cert -no_nonce`, OpenSSL 3.0.
    #[test]
    fn the_request_is_openssls() {
        let hex: String = timestamp_request(b"signature")
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            hex,
            "30390201013031300d0609608648016503040201050004201a2fc26dc7ea5a2a4748b7cb2b1ef193d96ab2c99f93092f69e63075b28d12780101ff"
        );
    }

    #[test]
    fn a_refusal_and_an_answer_without_a_time_stamp_are_not_granted() {
        let answer = |status: u8, rest: &[u8]| {
            let head = [0x30, 5 + rest.len() as u8, 0x30, 3, 2, 1, status];
            [&head[..], rest].concat()
        };
        assert!(is_granted(&answer(0, &[0x30, 0])));
        assert!(is_granted(&answer(1, &[0x30, 0])));
        assert!(!is_granted(&answer(2, &[0x30, 0])));
        assert!(!is_granted(&answer(0, &[])));
        assert!(!is_granted(b"<html>"));
    }
}
