//! A document on its way: what is beside the tensors is kept as JSON, each tensor as values.

use serde_json::Value;

use super::numbers::Numbers;
use crate::tensor::{MAX_AXES, Nested};

/// What a request says beside its tensors.
const MAX_SKELETON_BYTES: usize = 256 << 10;

/// Deeper documents say nothing that is known here.
const MAX_DEPTH: usize = 64;

/// In the place of a tensor stands a text of this character and the tensor's number. A text of the document that begins with it is
/// refused.
const MARK: char = '\0';

/// How [`MARK`] is written in JSON.
const ESCAPED_MARK: &str = "\\u0000";

/// The list of numbers under this key is not a tensor: its sizes are kept to the last digit.
const SHAPE: &[u8] = b"shape";

/// Reads a document piece by piece.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    skeleton: Vec<u8>,
    tensors: Vec<Nested>,
    open: Vec<Container>,
    state: State,
}

/// An object or a list that is open.
#[derive(Debug)]
enum Container {
    Object {
        /// Whether a text would be a key.
        expects_key: bool,
        /// Whether the value that follows is under the key `shape`.
        is_shape: bool,
    },
    List,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Between,
    /// In a text.
    Text {
        is_escaped: bool,
        /// Where it begins in the skeleton, behind its quotation mark.
        start: usize,
    },
    /// After opening brackets, of which it is not known yet what they hold.
    Brackets(usize),
    Tensor(Numbers),
}

/// A document without its tensors.
#[derive(Debug)]
pub(crate) struct Document {
    /// What is beside them.
    pub(crate) value: Value,
    tensors: Vec<Option<Nested>>,
}

impl Scanner {
    /// Values read so far, in bytes.
    #[cfg(test)]
    fn n_value_bytes(&self) -> usize {
        self.tensors
            .iter()
            .map(|tensor| 4 * tensor.values.len())
            .sum()
    }

    /// Reads on. The error says what is wrong, in words.
    pub(crate) fn push(&mut self, mut piece: &[u8]) -> Result<(), String> {
        while let Some((&byte, rest)) = piece.split_first() {
            match &mut self.state {
                State::Tensor(numbers) => {
                    let (n_read, is_whole) = numbers.read(piece)?;
                    piece = &piece[n_read..];
                    if is_whole {
                        self.close_tensor();
                    }
                    continue;
                }
                State::Brackets(depth) => match byte {
                    b' ' | b'\n' | b'\r' | b'\t' => piece = rest,
                    b'[' if *depth == MAX_AXES => {
                        return Err(format!("lists are nested more than {MAX_AXES} deep"));
                    }
                    b'[' => {
                        *depth += 1;
                        piece = rest;
                    }
                    b'-' | b'0'..=b'9' | b't' | b'f' => {
                        self.state = State::Tensor(Numbers::open(*depth));
                    }
                    // A list of something else, which is read as any other part.
                    _ => {
                        for _ in 0..*depth {
                            self.skeleton.push(b'[');
                            self.open.push(Container::List);
                        }
                        self.state = State::Between;
                    }
                },
                State::Text { is_escaped, start } => {
                    let start = *start;
                    self.skeleton.push(byte);
                    piece = rest;
                    if *is_escaped {
                        *is_escaped = false;
                    } else if byte == b'\\' {
                        *is_escaped = true;
                    } else if byte == b'"' {
                        self.close_text(start)?;
                    }
                }
                State::Between => {
                    self.between(byte)?;
                    piece = rest;
                }
            }
            if self.skeleton.len() > MAX_SKELETON_BYTES {
                return Err(format!(
                    "there are more than {} kB beside the numbers",
                    MAX_SKELETON_BYTES >> 10
                ));
            }
        }
        Ok(())
    }

    fn between(&mut self, byte: u8) -> Result<(), String> {
        match byte {
            b' ' | b'\n' | b'\r' | b'\t' => {
                // One is enough to keep two words apart.
                if !matches!(self.skeleton.last(), None | Some(b' ')) {
                    self.skeleton.push(b' ');
                }
                return Ok(());
            }
            b'[' if !self.is_shape() => {
                self.state = State::Brackets(1);
                return Ok(());
            }
            b'"' => {
                self.state = State::Text {
                    is_escaped: false,
                    start: self.skeleton.len() + 1,
                };
            }
            b'[' => self.open.push(Container::List),
            b'{' => self.open.push(Container::Object {
                expects_key: true,
                is_shape: false,
            }),
            b'}' | b']' => {
                self.open.pop();
            }
            b',' => {
                if let Some(Container::Object { expects_key, .. }) = self.open.last_mut() {
                    *expects_key = true;
                }
            }
            b':' => {
                if let Some(Container::Object { expects_key, .. }) = self.open.last_mut() {
                    *expects_key = false;
                }
            }
            _ => {}
        }
        self.skeleton.push(byte);
        if self.open.len() > MAX_DEPTH {
            return Err(format!("it is nested more than {MAX_DEPTH} deep"));
        }
        Ok(())
    }

    fn is_shape(&self) -> bool {
        // Also of the lists within one, which are wrong, but not numbers to compute with.
        let of_objects = self.open.iter().rev();
        let mut of_objects = of_objects.filter_map(|open| match open {
            Container::Object { is_shape, .. } => Some(*is_shape),
            Container::List => None,
        });
        of_objects.next().unwrap_or(false)
    }

    fn close_text(&mut self, start: usize) -> Result<(), String> {
        let text = &self.skeleton[start..self.skeleton.len() - 1];
        if text.starts_with(ESCAPED_MARK.as_bytes()) {
            return Err("a text begins with the character U+0000".to_owned());
        }
        let is_it = text == SHAPE;
        if let Some(Container::Object {
            expects_key: true,
            is_shape,
        }) = self.open.last_mut()
        {
            *is_shape = is_it;
        }
        self.state = State::Between;
        Ok(())
    }

    fn close_tensor(&mut self) {
        let State::Tensor(numbers) = std::mem::take(&mut self.state) else {
            return;
        };
        let mark = format!("\"{ESCAPED_MARK}{}\"", self.tensors.len());
        self.skeleton.extend_from_slice(mark.as_bytes());
        self.tensors.push(numbers.finish());
    }

    /// The document, whose end this is.
    pub(crate) fn finish(self) -> Result<Document, String> {
        match self.state {
            State::Between => {}
            State::Text { .. } => return Err("it ends within a text".to_owned()),
            State::Brackets(_) | State::Tensor(_) => {
                return Err("it ends within a list of numbers".to_owned());
            }
        }
        let value = serde_json::from_slice(&self.skeleton).map_err(|error| {
            // The place would be that in the skeleton.
            let text = error.to_string();
            text.split(" at line ")
                .next()
                .unwrap_or_default()
                .to_owned()
        })?;
        Ok(Document {
            value,
            tensors: self.tensors.into_iter().map(Some).collect(),
        })
    }
}

impl Document {
    /// The tensor that stands at `value`, which is part of the document; `None` where something else does. A tensor is taken once.
    pub(crate) fn take(&mut self, value: &Value) -> Option<Nested> {
        let idx: usize = value.as_str()?.strip_prefix(MARK)?.parse().ok()?;
        self.tensors.get_mut(idx)?.take()
    }

    /// Why `value` is not a tensor, in words.
    pub(crate) fn refusal(value: &Value) -> String {
        let kind = match value {
            Value::Array(items) if items.iter().any(Value::is_string) => {
                return "a text is not a number".to_owned();
            }
            Value::Array(items) if items.iter().any(Value::is_null) => {
                return "null is not a number".to_owned();
            }
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a text",
            Value::Array(items) if items.is_empty() => "an empty list",
            Value::Array(_) => "a list of something else",
            Value::Object(_) => "an object",
        };
        format!("{kind} stands where a list of numbers belongs")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scanned(text: &str, piece: usize) -> Result<Document, String> {
        let mut scanner = Scanner::default();
        for piece in text.as_bytes().chunks(piece) {
            scanner.push(piece)?;
        }
        scanner.finish()
    }

    const REQUEST: &str = r#"{"id": "a [1] \" \\", "inputs": [{"name": "input", "shape": [2, 2],
        "data": [[1, 2.5], [3, -4e0]], "parameters": {"n": 1e3}}], "outputs": []}"#;

    #[test]
    fn tensors_are_taken_out_wherever_the_pieces_end() {
        for piece in 1..=REQUEST.len() {
            let mut document = scanned(REQUEST, piece).unwrap();
            let value = document.value.clone();
            assert_eq!(value["id"], "a [1] \" \\");
            assert_eq!(value["inputs"][0]["shape"], json!([2, 2]));
            assert_eq!(value["inputs"][0]["parameters"]["n"], 1e3);
            assert_eq!(value["outputs"], json!([]));
            let tensor = document.take(&value["inputs"][0]["data"]).unwrap();
            assert_eq!(tensor.shape, [2, 2], "{piece}");
            assert_eq!(tensor.values, [1.0, 2.5, 3.0, -4.0]);
            assert_eq!(document.take(&value["inputs"][0]["data"]), None);
        }
    }

    #[test]
    fn what_is_no_document_is_refused_in_words() {
        for (text, expected) in [
            (r#"{"data": [[1, 2], [3]]}"#, "differ in length: 1 and 2"),
            (
                r#"{"data": [[1], 2]}"#,
                "a number stands where a list belongs",
            ),
            (r#"{"data": [1, [2]]}"#, "some items are lists"),
            (r#"{"data": [1, "2"]}"#, "a text is not a number"),
            (r#"{"data": [1, null]}"#, "null is not a number"),
            (r#"{"data": [1, true]}"#, "some items are booleans"),
            (r#"{"data": [1e300]}"#, "does not fit into 32 bits"),
            (r#"{"data": [1 2]}"#, "a comma is missing"),
            (r#"{"data": [1,]}"#, "`]` is out of place"),
            (r#"{"data": [01]}"#, "`01` is not a number"),
            ("[[[[[[[[[1]]]]]]]]]", "more than 8 deep"),
            (r#"{"data": [1"#, "ends within a list"),
            (r#"{"a": "b"#, "ends within a text"),
            (r#"{"a": "\u00000"}"#, "U+0000"),
            ("{", "EOF"),
            ("{} {}", "trailing"),
        ] {
            for piece in [1, text.len()] {
                let error = scanned(text, piece).unwrap_err();
                assert!(error.contains(expected), "{text}: {error}");
            }
        }
        let deep = "{\"a\":".repeat(100);
        assert!(scanned(&deep, 7).unwrap_err().contains("64 deep"));
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(300 << 10));
        assert!(
            scanned(&long, 99)
                .unwrap_err()
                .contains("beside the numbers")
        );
    }

    #[test]
    fn other_lists_stay_what_they_are() {
        let document = scanned(
            r#"{"a": ["x"], "b": [], "c": [{}], "d": [[]], "e": [true]}"#,
            3,
        );
        let mut document = document.unwrap();
        let value = document.value.clone();
        assert_eq!(value["a"], json!(["x"]));
        assert_eq!(value["d"], json!([[]]));
        let booleans = document.take(&value["e"]).unwrap();
        assert!(booleans.are_booleans && booleans.values == [1.0]);
        assert!(Document::refusal(&value["a"]).contains("a text is not a number"));
        assert!(Document::refusal(&value["b"]).starts_with("an empty list"));
    }

    #[test]
    fn a_text_of_numbers_is_not_held() {
        let mut scanner = Scanner::default();
        scanner.push(b"{\"data\": [0.00392156862745098").unwrap();
        for _ in 0..10_000 {
            scanner.push(b", 0.00392156862745098").unwrap();
        }
        scanner.push(b"]}").unwrap();
        assert!(scanner.skeleton.len() < 32);
        assert_eq!(scanner.n_value_bytes(), 4 * 10_001);
    }
}
