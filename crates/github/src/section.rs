//! Our section in text that people write, such as the notes of a release: it stands between two markers, and everything outside of
//! them is theirs.
//!
//! Markers that are damaged lose no text. A marker without its partner is removed, or gives its place to the section where there is
//! no whole one; what stood beside it stays. Of several whole sections the first is ours, and the others keep their text without the
//! markers, unless it is a mere copy.

/// The markers of one key.
pub(crate) struct Section {
    begin: String,
    end: String,
}

/// A piece of a text.
enum Piece<'a> {
    /// People's.
    Text(&'a str),
    /// Between two markers.
    Ours(&'a str),
    /// A marker without its partner.
    Stray,
}

impl Section {
    /// `key` holds letters, digits, `-`, `_` and `.` only.
    pub(crate) fn of(key: &str) -> Self {
        Self {
            begin: format!("<!-- trainyard-release key={key} -->"),
            end: format!("<!-- /trainyard-release key={key} -->"),
        }
    }

    /// `body` with `text` in the section, which is made at the end where there is none.
    pub(crate) fn put(&self, body: &str, text: &str) -> String {
        let pieces = self.pieces(body);
        let section = format!("{}\n{}\n{}", self.begin, text.trim_end(), self.end);
        let whole = |piece: &Piece<'_>| matches!(piece, Piece::Ours(_));
        let stray = |piece: &Piece<'_>| matches!(piece, Piece::Stray);
        let place = pieces
            .iter()
            .position(whole)
            .or_else(|| pieces.iter().position(stray));
        let Some(place) = place else {
            return format!("{body}{}{section}\n", gap(body));
        };
        let old = match pieces[place] {
            Piece::Ours(old) => old,
            _ => "",
        };
        let mut put = String::new();
        for (idx, piece) in pieces.iter().enumerate() {
            match *piece {
                _ if idx == place => put.push_str(&section),
                Piece::Text(theirs) => put.push_str(theirs),
                Piece::Ours(copy) if is_same(copy, old) || is_same(copy, text) => {}
                Piece::Ours(other) => put.push_str(other),
                Piece::Stray => {}
            }
        }
        put
    }

    fn pieces<'a>(&self, body: &'a str) -> Vec<Piece<'a>> {
        let begins = body.match_indices(&self.begin).map(|(at, _)| (at, true));
        let ends = body.match_indices(&self.end).map(|(at, _)| (at, false));
        let mut marks: Vec<(usize, bool)> = begins.chain(ends).collect();
        marks.sort_unstable();
        let end_of = |(at, is_begin): (usize, bool)| {
            at + if is_begin {
                self.begin.len()
            } else {
                self.end.len()
            }
        };
        let mut pieces = Vec::new();
        let mut read = 0;
        let mut marks = marks.into_iter().peekable();
        while let Some(mark) = marks.next() {
            pieces.push(Piece::Text(&body[read..mark.0]));
            read = end_of(mark);
            // Of two beginnings in a row, the first has lost its end.
            match marks.next_if(|next| mark.1 && !next.1) {
                Some(end) => {
                    pieces.push(Piece::Ours(&body[read..end.0]));
                    read = end_of(end);
                }
                None => pieces.push(Piece::Stray),
            }
        }
        pieces.push(Piece::Text(&body[read..]));
        pieces
    }
}

/// Whether two texts differ in their line ends alone: GitHub's editor writes CR LF.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    let lines = |text: &str| text.replace("\r\n", "\n").trim().to_owned();
    lines(one) == lines(other)
}

/// What makes the section a paragraph of its own behind `body`.
fn gap(body: &str) -> &'static str {
    if body.is_empty() || body.replace("\r\n", "\n").ends_with("\n\n") {
        ""
    } else if body.ends_with('\n') {
        "\n"
    } else {
        "\n\n"
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BEGIN: &str = "<!-- trainyard-release key=m -->";
    const END: &str = "<!-- /trainyard-release key=m -->";

    fn put(body: &str, text: &str) -> String {
        let body = body.replace('[', BEGIN).replace(']', END);
        let put = Section::of("m").put(&body, text);
        put.replace(BEGIN, "[").replace(END, "]")
    }

    #[test]
    fn text_outside_of_the_markers_stays_as_it_is() {
        for (body, expected) in [
            ("", "[\nnew\n]\n"),
            ("Hello", "Hello\n\n[\nnew\n]\n"),
            ("Hello\n", "Hello\n\n[\nnew\n]\n"),
            ("Hello\r\n\r\n", "Hello\r\n\r\n[\nnew\n]\n"),
            ("before\r\n[\nold\n] after ", "before\r\n[\nnew\n] after "),
            // Another model's section.
            (
                "<!-- trainyard-release key=m2 -->\nx\n<!-- /trainyard-release key=m2 -->",
                "<!-- trainyard-release key=m2 -->\nx\n<!-- /trainyard-release key=m2 -->\n\n[\nnew\n]\n",
            ),
        ] {
            assert_eq!(put(body, "new\n"), expected);
        }
    }

    #[test]
    fn damaged_markers_lose_no_text() {
        for (body, expected) in [
            // One has lost its partner.
            ("a [ b", "a [\nnew\n] b"),
            ("a ] b", "a [\nnew\n] b"),
            ("a ] b [ c", "a [\nnew\n] b  c"),
            ("a [ b [ old ] c", "a  b [\nnew\n] c"),
            ("a [ old ] b ] c", "a [\nnew\n] b  c"),
            // Two whole ones: a copy is one too many, anything else may be a person's.
            ("a [old] b [old] c", "a [\nnew\n] b  c"),
            ("a [old] b [\r\nnew\r\n] c", "a [\nnew\n] b  c"),
            ("a [old] b [mine] c", "a [\nnew\n] b mine c"),
        ] {
            assert_eq!(put(body, "new"), expected, "{body}");
        }
    }

    #[test]
    fn line_ends_are_no_change() {
        assert!(is_same("a\r\nb\r\n", "a\nb"));
        assert!(!is_same("a\nb", "a\n\nb"));
    }

    proptest! {
        #[test]
        fn what_was_put_is_put_again_and_nothing_else_is_lost(body in "[a-c\n\\[\\]]{0,24}") {
            let once = put(&body, "NEW");
            prop_assert_eq!(put(&once, "NEW"), once.clone());
            prop_assert_eq!(once.matches("[\nNEW\n]").count(), 1);
            prop_assert_eq!(once.matches(['[', ']']).count(), 2);
            // All that stood before the first marker, and behind the last.
            let first = body.find(['[', ']']).unwrap_or(body.len());
            prop_assert!(once.starts_with(&body[..first]));
            if let Some(last) = body.rfind(['[', ']']) {
                prop_assert!(once.ends_with(&body[last + 1..]));
            }
        }
    }
}
