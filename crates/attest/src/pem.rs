//! PEM (RFC 7468): text in, labelled bytes out, and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// Characters of base64 on a line (RFC 7468, section 2). Key hints are digests of such text, so the width is part of them.
const LINE_WIDTH: usize = 64;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";

/// One block of a PEM text.
pub(crate) struct Block<'a> {
    /// What it holds: `PRIVATE KEY`.
    pub(crate) label: &'a str,
    body: &'a str,
}

impl<'a> Block<'a> {
    /// All blocks of `text`, in their order. Text around them is explanatory and has no meaning (RFC 7468, section 2).
    pub(crate) fn all(text: &'a str) -> Vec<Self> {
        let mut blocks = Vec::new();
        let mut rest = text;
        while let Some((label, after)) = rest
            .find(BEGIN)
            .and_then(|begin| rest[begin + BEGIN.len()..].split_once(DASHES))
        {
            let Some((body, after)) = after.split_once(&format!("-----END {label}-----")) else {
                break;
            };
            blocks.push(Self { label, body });
            rest = after;
        }
        blocks
    }

    /// Whether it has headers that say it is encrypted, as OpenSSL wrote them before PKCS#8 (RFC 1421).
    pub(crate) fn is_encrypted(&self) -> bool {
        self.label.starts_with("ENCRYPTED ") || self.body.contains("Proc-Type: 4,ENCRYPTED")
    }

    /// The bytes, which are overwritten when they are dropped; `None` where the text is not base64.
    pub(crate) fn bytes(&self) -> Option<Zeroizing<Vec<u8>>> {
        let base64: Zeroizing<String> = Zeroizing::new(
            self.body
                .chars()
                .filter(|letter| !letter.is_ascii_whitespace())
                .collect(),
        );
        STANDARD.decode(&*base64).ok().map(Zeroizing::new)
    }
}

/// `bytes` as one block, with a line break after each 64 characters and at the end, as OpenSSL writes it.
pub(crate) fn write(label: &str, bytes: &[u8]) -> String {
    let mut text = format!("{BEGIN}{label}{DASHES}\n");
    let base64 = STANDARD.encode(bytes);
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(LINE_WIDTH.min(rest.len()));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}
