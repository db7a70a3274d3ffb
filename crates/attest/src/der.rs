//! DER (X.690): bytes in, tags and contents out. Only what certificates and timestamps need.

pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;

/// What of a DER text is still to be read.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    /// Tag and content of the next value.
    pub(crate) fn value(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let mut length = usize::from(first);
        if first >= 0x80 {
            let n_bytes = usize::from(first & 0x7f);
            if !(1..=4).contains(&n_bytes) {
                return None;
            }
            let (digits, after) = rest.split_at_checked(n_bytes)?;
            length = digits
                .iter()
                .fold(0, |length, &digit| (length << 8) | usize::from(digit));
            rest = after;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next value, which must have this tag.
    pub(crate) fn of(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.value()
            .and_then(|(tag, content)| (tag == wanted).then_some(content))
    }
}
