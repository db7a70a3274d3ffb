//! JSON kept in a check's text as a Markdown link definition that nothing refers to, which renders as nothing.
//!
//! Compressed, so that the mask of some 360,000 rows fits, whatever share of them is set.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::Serialize;
use serde_json::Value;

/// Characters that a definition takes at most; a check's text has room for 65,535.
pub const MAX_RECORD_CHARS: usize = 64_500;

/// Bytes of JSON that are read at most; what was written never has as many.
const MAX_JSON_BYTES: u64 = 16 << 20;

/// `value` as one line of harmless characters, whatever texts it holds. `label` is `[name]: #`.
pub(super) fn encode<T: Serialize>(label: &str, value: &T) -> Result<String, serde_json::Error> {
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    let written = packed.write_all(&serde_json::to_vec(value)?);
    let packed = written.and_then(|()| packed.finish());
    let packed = packed.map_err(serde_json::Error::io)?;
    Ok(format!("{label}{}", URL_SAFE_NO_PAD.encode(packed)))
}

/// The JSON behind the last `label` in `text`; `None` where there is none, the damage in words where it is damaged.
pub(super) fn decode(label: &str, text: &str) -> Option<Result<Value, String>> {
    decode_all(label, text).next_back()
}

/// The same behind every `label` in `text`, in their order.
pub(super) fn decode_all(
    label: &str,
    text: &str,
) -> impl DoubleEndedIterator<Item = Result<Value, String>> {
    text.lines()
        .filter_map(move |line| line.strip_prefix(label))
        .map(|line| unpack(line.trim()))
}

fn unpack(text: &str) -> Result<Value, String> {
    let packed = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|error| error.to_string())?;
    let mut json = Vec::new();
    DeflateDecoder::new(&*packed)
        .take(MAX_JSON_BYTES)
        .read_to_end(&mut json)
        .map_err(|error| error.to_string())?;
    serde_json::from_slice(&json).map_err(|error| error.to_string())
}
