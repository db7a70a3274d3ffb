//! Text and names out of a file, as messages quote them.

use std::fmt;

/// Text of a file as a message quotes it: in backticks, on one line, cut where it is long. A quote that is never
/// closed makes one cell of the rest of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    const MAX_CHARS: usize = 80;

    pub(super) fn of(text: &str) -> Self {
        let mut excerpt: String = text
            .chars()
            .take(Self::MAX_CHARS)
            .flat_map(|c| {
                let is_plain = !c.is_control();
                let plain = is_plain.then_some(c);
                plain.into_iter().chain(
                    (!is_plain)
                        .then(|| c.escape_default())
                        .into_iter()
                        .flatten(),
                )
            })
            .collect();
        if text.chars().nth(Self::MAX_CHARS).is_some() {
            excerpt.push('…');
        }
        Self(excerpt)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.0)
    }
}

/// Names as a message lists them: the first few, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    shown: Vec<Excerpt>,
    n_more: usize,
}

impl Names {
    const N_SHOWN: usize = 12;

    pub(super) fn of<S: AsRef<str>>(names: &[S]) -> Self {
        Self {
            shown: names
                .iter()
                .take(Self::N_SHOWN)
                .map(|name| Excerpt::of(name.as_ref()))
                .collect(),
            n_more: names.len().saturating_sub(Self::N_SHOWN),
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, name) in self.shown.iter().enumerate() {
            let comma = if idx == 0 { "" } else { ", " };
            write!(formatter, "{comma}{name}")?;
        }
        match self.n_more {
            0 => Ok(()),
            n_more => write!(formatter, " and {n_more} more"),
        }
    }
}
