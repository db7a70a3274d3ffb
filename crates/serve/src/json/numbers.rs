//! Nested lists of numbers, or of booleans, byte by byte.

use super::super::tensor::{MAX_AXES, Nested};

/// Longer numbers have more digits than any 64-bit one.
const MAX_TOKEN_BYTES: usize = 512;

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// An item, or where none came yet the end of the list.
    FirstItem,
    /// An item.
    Item,
    /// A comma or the end of the list.
    Separator,
}

/// One axis.
#[derive(Debug, Clone, Copy, Default)]
struct Axis {
    /// Items of the list that is open.
    n_items: usize,
    /// Of the first list that was closed.
    size: Option<usize>,
}

/// A tensor that is being read.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Outermost first.
    axes: Vec<Axis>,
    /// Lists that are open.
    depth: usize,
    expected: Expected,
    /// The number or word that is being read, where it began in an earlier piece.
    token: Vec<u8>,
    values: Vec<f32>,
    /// Known from the first item on.
    are_booleans: Option<bool>,
}

impl Numbers {
    /// After `depth` opening brackets, of which the innermost list holds numbers.
    pub(super) fn open(depth: usize) -> Self {
        Self {
            axes: vec![Axis::default(); depth],
            depth,
            expected: Expected::FirstItem,
            token: Vec::new(),
            values: Vec::new(),
            are_booleans: None,
        }
    }

    /// Reads on; how many bytes of `piece` belong to the tensor, and whether it has ended. The error says what is wrong, in words.
    pub(super) fn read(&mut self, piece: &[u8]) -> Result<(usize, bool), String> {
        let mut at = 0;
        while at < piece.len() {
            let rest = &piece[at..];
            let n_token = rest
                .iter()
                .position(|b| !is_of_token(*b))
                .unwrap_or(rest.len());
            if n_token > 0 {
                at += n_token;
                if n_token == rest.len() || !self.token.is_empty() {
                    self.token.extend_from_slice(&rest[..n_token]);
                    if self.token.len() > MAX_TOKEN_BYTES {
                        return Err(format!(
                            "an item is longer than {MAX_TOKEN_BYTES} characters"
                        ));
                    }
                } else {
                    self.item(&rest[..n_token])?;
                }
                continue;
            }
            if !self.token.is_empty() {
                let token = std::mem::take(&mut self.token);
                self.item(&token)?;
                // Its memory serves the next one.
                self.token = token;
                self.token.clear();
            }
            at += 1;
            match rest[0] {
                b' ' | b'\n' | b'\r' | b'\t' => {}
                b',' if self.expected == Expected::Separator => self.expected = Expected::Item,
                b'[' if self.expected != Expected::Separator => self.deeper()?,
                b']' if self.expected != Expected::Item => {
                    self.close()?;
                    if self.depth == 0 {
                        return Ok((at, true));
                    }
                }
                b'"' => return Err("a text is not a number".to_owned()),
                b'{' => return Err("an object is not a number".to_owned()),
                other => {
                    return Err(format!(
                        "`{}` is out of place in a list of numbers",
                        char::from(other).escape_default()
                    ));
                }
            }
        }
        Ok((at, false))
    }

    /// The tensor, once it has ended.
    pub(super) fn finish(self) -> Nested {
        Nested {
            shape: self
                .axes
                .iter()
                .map(|axis| axis.size.unwrap_or_default())
                .collect(),
            values: self.values,
            are_booleans: self.are_booleans == Some(true),
        }
    }

    fn item(&mut self, token: &[u8]) -> Result<(), String> {
        if self.expected == Expected::Separator {
            return Err("a comma is missing in a list of numbers".to_owned());
        }
        if self.depth != self.axes.len() {
            return Err("a number stands where a list belongs".to_owned());
        }
        let (value, is_boolean) = match token {
            b"true" => (1.0, true),
            b"false" => (0.0, true),
            b"null" => return Err("null is not a number".to_owned()),
            token => (number(token)?, false),
        };
        if *self.are_booleans.get_or_insert(is_boolean) != is_boolean {
            return Err("some items are booleans and some are numbers".to_owned());
        }
        self.values.push(value);
        self.axes[self.depth - 1].n_items += 1;
        self.expected = Expected::Separator;
        Ok(())
    }

    fn deeper(&mut self) -> Result<(), String> {
        if self.depth == self.axes.len() {
            return Err(if self.depth == MAX_AXES {
                format!("lists are nested more than {MAX_AXES} deep")
            } else {
                "some items are lists and some are numbers".to_owned()
            });
        }
        self.depth += 1;
        self.axes[self.depth - 1].n_items = 0;
        self.expected = Expected::FirstItem;
        Ok(())
    }

    fn close(&mut self) -> Result<(), String> {
        let axis = &mut self.axes[self.depth - 1];
        let size = *axis.size.get_or_insert(axis.n_items);
        if size != axis.n_items {
            return Err(format!(
                "lists of one axis differ in length: {} and {size}",
                axis.n_items
            ));
        }
        self.depth -= 1;
        if let Some(parent) = self.depth.checked_sub(1) {
            self.axes[parent].n_items += 1;
        }
        self.expected = Expected::Separator;
        Ok(())
    }
}

/// Bytes of which numbers, `true`, `false` and `null` are made.
const fn is_of_token(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'a'..=b'z' | b'A'..=b'Z')
}

/// The number by JSON's grammar (RFC 8259, section 6), rounded once to 32 bits.
fn number(token: &[u8]) -> Result<f32, String> {
    let text = || String::from_utf8_lossy(&token[..token.len().min(40)]).into_owned();
    if !is_number(token) {
        return Err(format!("`{}` is not a number", text()));
    }
    let value: f32 = std::str::from_utf8(token)
        .ok()
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("`{}` is not a number", text()))?;
    if value.is_finite() {
        Ok(value)
    } else {
        Err(format!("{} does not fit into 32 bits", text()))
    }
}

fn is_number(token: &[u8]) -> bool {
    let n_digits = |text: &[u8]| {
        let end = text.iter().position(|b| !b.is_ascii_digit());
        end.unwrap_or(text.len())
    };
    let unsigned = token.strip_prefix(b"-").unwrap_or(token);
    let n_whole = n_digits(unsigned);
    if n_whole == 0 || n_whole > 1 && unsigned[0] == b'0' {
        return false;
    }
    let mut rest = &unsigned[n_whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let n_fraction = n_digits(fraction);
        if n_fraction == 0 {
            return false;
        }
        rest = &fraction[n_fraction..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent
            .strip_prefix(b"-")
            .or_else(|| exponent.strip_prefix(b"+"))
            .unwrap_or(exponent);
        return !exponent.is_empty() && n_digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: serde_json's own reading of the same text.
    #[test]
    fn numbers_are_those_of_json() {
        for text in [
            "0",
            "-0",
            "1",
            "-1.5",
            "1e5",
            "1E+5",
            "1.25e-3",
            "123456789.125",
            "00",
            "01",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+",
            "-",
            "--1",
            "inf",
            "NaN",
            "nan",
            "0x1",
            "1e5.5",
            "1_0",
        ] {
            let expected = serde_json::from_str::<f64>(text).ok();
            let found = number(text.as_bytes()).ok();
            assert_eq!(found, expected.map(|value| value as f32), "{text}");
        }
        // Rounded once: by way of 64 bits this one ends as 1.
        assert_eq!(number(b"1.00000005960464484"), Ok(1.000_000_1));
        assert!(number(b"1e39").unwrap_err().contains("does not fit"));
    }
}
