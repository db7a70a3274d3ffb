//! Samples of Prometheus's text format.

/// A sample of a page.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sample<'a> {
    pub(crate) name: &'a str,
    labels: Vec<(&'a str, String)>,
    pub(crate) value: f64,
}

impl Sample<'_> {
    pub(crate) fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The samples of a page; `None` for a line that is neither a sample, a comment nor empty.
pub(crate) fn samples(page: &str) -> Option<Vec<Sample<'_>>> {
    let lines = page.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(sample).collect()
}

fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' ', '\t'])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            rest = rest.trim_start_matches([',', ' ']);
            if let Some(after) = rest.strip_prefix('}') {
                rest = after;
                break;
            }
            let (key, quoted) = rest.split_once("=\"")?;
            let (value, after) = unquote(quoted)?;
            labels.push((key, value));
            rest = after;
        }
    }
    // A timestamp may follow.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name,
        labels,
        value,
    })
}

/// The text up to the closing quote, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_their_labels() {
        let page = "# HELP x_total It.\n# TYPE x_total counter\nx_total{model=\"a,\\\"b\\\"}\",code=\"200\"} 3\n\nup 1 1700000000\nh_bucket{le=\"+Inf\"} +Inf\n";
        let found = samples(page).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].label("model"), Some("a,\"b\"}"));
        assert_eq!(found[0].label("code"), Some("200"));
        assert_eq!((found[1].name, found[1].value), ("up", 1.0));
        assert_eq!(found[2].value, f64::INFINITY);
        assert_eq!(samples("<html>\n"), None);
        assert_eq!(samples("x{le=\"1} 3"), None);
    }
}
