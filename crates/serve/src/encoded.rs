//! Answers in the encoding that a client takes.

use std::io::Write as _;

use axum::http::HeaderValue;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// Shorter answers gain nothing.
const MIN_BYTES: usize = 1 << 10;

/// What a client takes an answer in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accepted {
    Identity,
    Gzip,
    Deflate,
}

impl Accepted {
    /// By `Accept-Encoding` (RFC 9110, section 12.5.3): the one with the largest weight, gzip before deflate.
    pub(crate) fn of(header: Option<&HeaderValue>) -> Self {
        let Some(text) = header.and_then(|header| header.to_str().ok()) else {
            return Self::Identity;
        };
        let weight = |wanted: &str| {
            let found = text.split(',').find_map(|part| {
                let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
                let is_it = name.trim().eq_ignore_ascii_case(wanted);
                let weight = parameters.trim().strip_prefix("q=");
                is_it.then(|| weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0)))
            });
            found.unwrap_or(0.0_f32)
        };
        let (gzip, deflate) = (weight("gzip"), weight("deflate"));
        if gzip > 0.0 && gzip >= deflate {
            Self::Gzip
        } else if deflate > 0.0 {
            Self::Deflate
        } else {
            Self::Identity
        }
    }

    /// The body as it is sent, and its `Content-Encoding`.
    pub(crate) fn encode(self, body: Vec<u8>) -> (Vec<u8>, Option<&'static str>) {
        if body.len() < MIN_BYTES {
            return (body, None);
        }
        // Writing to memory does not fail.
        let encoded = match self {
            Self::Identity => return (body, None),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder
                    .write_all(&body)
                    .and_then(|()| encoder.finish())
                    .map(|body| (body, "gzip"))
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder
                    .write_all(&body)
                    .and_then(|()| encoder.finish())
                    .map(|body| (body, "deflate"))
            }
        };
        match encoded {
            Ok((encoded, name)) => (encoded, Some(name)),
            Err(_) => (body, None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_encoding_is_taken() {
        for (text, expected) in [
            ("gzip", Accepted::Gzip),
            ("gzip, deflate, br", Accepted::Gzip),
            ("deflate", Accepted::Deflate),
            ("gzip;q=0.2, deflate;q=0.5", Accepted::Deflate),
            ("gzip;q=0", Accepted::Identity),
            ("identity", Accepted::Identity),
            ("", Accepted::Identity),
        ] {
            let header = HeaderValue::from_static(text);
            assert_eq!(Accepted::of(Some(&header)), expected, "{text}");
        }
        assert_eq!(Accepted::of(None), Accepted::Identity);
    }
}
