//! JSON with one element of a list a line: as easy to read and to compare as indented JSON, in a fraction of its bytes.

use std::io::{self, Write};

use serde_json::ser::Formatter;

/// Writes objects indented, and each object or list that is an element of a list on one line.
#[derive(Debug, Default)]
pub(super) struct ByLine {
    /// What is open: whether it is a list, and whether anything is in it.
    open: Vec<(bool, bool)>,
    /// What is open within an element that is written on one line.
    n_open_in_line: usize,
}

impl ByLine {
    fn begin<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        is_list: bool,
        sign: &[u8],
    ) -> io::Result<()> {
        let is_in_list = self.open.last().is_some_and(|(is_list, _)| *is_list);
        if self.n_open_in_line > 0 || is_in_list {
            self.n_open_in_line += 1;
        } else {
            self.open.push((is_list, false));
        }
        writer.write_all(sign)
    }

    fn end<W: ?Sized + Write>(&mut self, writer: &mut W, sign: &[u8]) -> io::Result<()> {
        if self.n_open_in_line > 0 {
            self.n_open_in_line -= 1;
        } else if let Some((_, true)) = self.open.pop() {
            self.new_line(writer)?;
        }
        writer.write_all(sign)
    }

    /// Before an element of a list or a key of an object.
    fn separate<W: ?Sized + Write>(&mut self, writer: &mut W, is_first: bool) -> io::Result<()> {
        if self.n_open_in_line > 0 {
            return writer.write_all(if is_first { b"" } else { b", " });
        }
        if let Some((_, has_value)) = self.open.last_mut() {
            *has_value = true;
        }
        writer.write_all(if is_first { b"" } else { b"," })?;
        self.new_line(writer)
    }

    fn new_line<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        for _ in &self.open {
            writer.write_all(b"  ")?;
        }
        Ok(())
    }
}

impl Formatter for ByLine {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, true, b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        is_first: bool,
    ) -> io::Result<()> {
        self.separate(writer, is_first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.begin(writer, false, b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.end(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        is_first: bool,
    ) -> io::Result<()> {
        self.separate(writer, is_first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::files::json_by_line;

    #[test]
    fn each_element_of_a_list_is_a_line_and_the_rest_is_indented() {
        let value = json!({
            "empty": [],
            "measurements": [
                { "ends": [0.5, 1], "key": { "metric": "f1" } },
                [[1], {}],
            ],
            "model": { "name": "m", "nothing": {} },
            "values": [1, "a, b"],
        });
        let text = String::from_utf8(json_by_line(&value).unwrap()).unwrap();
        let expected = r#"{
  "empty": [],
  "measurements": [
    {"ends": [0.5, 1], "key": {"metric": "f1"}},
    [[1], {}]
  ],
  "model": {
    "name": "m",
    "nothing": {}
  },
  "values": [
    1,
    "a, b"
  ]
}
"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
