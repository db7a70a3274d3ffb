//! What is done to texts before they are written.

use std::borrow::Cow;

/// What is done to each text before it is written, such as masking secrets.
pub trait Mask: Send + Sync + 'static {
    /// The text as it may be shown.
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str>;
}

/// Nothing is masked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unmasked;

impl Mask for Unmasked {
    fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
        Cow::Borrowed(text)
    }
}
