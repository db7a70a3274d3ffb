//! JSON kept in a check's text as a Markdown link definition that nothing refers to, which renders as nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::Value;

/// Characters that a definition takes at most; a check's text has room for 65,535.
pub const MAX_RECORD_CHARS: usize = 60_000;

/// `value` as one line of harmless characters, whatever texts it holds. `label` is `[name]: #`.
pub(super) fn encode<T: Serialize>(label: &str, value: &T) -> Result<String, serde_json::Error> {
    let json = serde_json::to_vec(value)?;
    Ok(format!("{label}{}", URL_SAFE_NO_PAD.encode(json)))
}

/// The JSON behind the last `label` in `text`; `None` where there is none, the damage in words where it is damaged.
pub(super) fn decode(label: &str, text: &str) -> Option<Result<Value, String>> {
    let line = text
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix(label))?;
    let bytes = URL_SAFE_NO_PAD.decode(line.trim());
    Some(
        bytes
            .map_err(|error| error.to_string())
            .and_then(|bytes| serde_json::from_slice(&bytes).map_err(|error| error.to_string())),
    )
}
