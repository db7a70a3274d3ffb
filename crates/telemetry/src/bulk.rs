//! Bodies of `_bulk` and answers to them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::document::Document;

/// The most that one request sends; Elasticsearch's own default limit is 100 MB, that of some hosted ones 10 MB.
pub(crate) const MAX_BODY_BYTES: usize = 5_000_000;

/// Fields of an answer that are read; the rest is most of it.
pub(crate) const FILTER: &str = "items.*._index,items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason";

/// One document as it is sent: its two lines, each with its line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry(String);

impl Entry {
    /// The document as it is sent.
    pub(crate) fn of(document: &Document) -> Self {
        Self(document.lines())
    }

    /// The entries in the text of a body, in its order; `None` where it is damaged, as by a disk that was full.
    pub(crate) fn parse_all(text: &str) -> Option<Vec<Self>> {
        let lines: Vec<&str> = text.lines().collect();
        let is_whole = text.ends_with('\n') && lines.len().is_multiple_of(2);
        let pairs = is_whole.then(|| lines.chunks_exact(2))?;
        pairs
            .map(|pair| {
                let [action, source] = pair else { return None };
                let action: Value = serde_json::from_str(action).ok()?;
                let source: Value = serde_json::from_str(source).ok()?;
                let is_entry = action["create"]["_id"].is_string() && source.is_object();
                is_entry.then(|| Self(format!("{}\n{}\n", pair[0], pair[1])))
            })
            .collect()
    }

    /// Its lines.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

/// The entries in as few requests as hold them.
pub(crate) fn requests(entries: Vec<Entry>, max_bytes: usize) -> Vec<Vec<Entry>> {
    let mut requests: Vec<Vec<Entry>> = Vec::new();
    let mut n_bytes = 0;
    for entry in entries {
        n_bytes += entry.0.len();
        match requests.last_mut() {
            Some(last) if n_bytes <= max_bytes => last.push(entry),
            _ => {
                n_bytes = entry.0.len();
                requests.push(vec![entry]);
            }
        }
    }
    requests
}

/// The body that sends them; it ends with a line feed, which the server insists on.
pub(crate) fn body(entries: &[Entry]) -> String {
    entries.iter().map(Entry::text).collect()
}

/// What happened to one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is new there.
    Created,
    /// It was there already.
    Known,
    /// The server is busy: it may be taken in a moment.
    Busy(Refusal),
    /// It is taken once something about the server or our rights there has changed.
    Held(Refusal),
    /// It will not be taken: it does not fit the types of the index.
    Refused(Refusal),
}

/// Why the server did not take a document, in its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The index that the document was for, without its year.
    pub(crate) alias: String,
    status: u16,
    reason: String,
}

impl Refusal {
    /// Whether the server knows us and does not let us.
    pub(crate) const fn is_about_rights(&self) -> bool {
        matches!(self.status, 401 | 403)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {} ({})",
            self.alias, self.reason, self.status
        )
    }
}

#[derive(Deserialize)]
struct Answer {
    items: Vec<BTreeMap<String, Item>>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(rename = "_index", default)]
    index: String,
    status: u16,
    error: Option<ItemError>,
}

#[derive(Deserialize)]
struct ItemError {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    reason: String,
    caused_by: Option<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
}

/// What happened to the `n` documents of a request, in its order; `None` if this is not an answer of `_bulk`.
pub(crate) fn outcomes(answer: &[u8], n: usize) -> Option<Vec<Outcome>> {
    let Answer { items } = serde_json::from_slice(answer).ok()?;
    if items.len() != n {
        return None;
    }
    let items = items.into_iter();
    items
        .map(|item| item.into_values().next().map(outcome))
        .collect()
}

fn outcome(item: Item) -> Outcome {
    let Item {
        index,
        status,
        error,
    } = item;
    let Some(error) = error else {
        return if (200..300).contains(&status) {
            Outcome::Created
        } else {
            Outcome::Held(Refusal {
                alias: alias_of(&index),
                status,
                reason: "no reason given".to_owned(),
            })
        };
    };
    let ItemError {
        kind,
        reason,
        caused_by,
    } = error;
    // Its name is its content's digest, so what is there is this very document.
    if status == 409 && kind == "version_conflict_engine_exception" {
        return Outcome::Known;
    }
    let cause = caused_by.map(|cause| cause.reason);
    let cause = cause.filter(|cause| !cause.is_empty() && !reason.contains(cause.as_str()));
    let refusal = Refusal {
        alias: alias_of(&index),
        status,
        reason: cause.map_or_else(
            || format!("{kind}: {reason}"),
            |cause| format!("{kind}: {reason}: {cause}"),
        ),
    };
    match status {
        400 => Outcome::Refused(refusal),
        429 | 500.. => Outcome::Busy(refusal),
        _ => Outcome::Held(refusal),
    }
}

fn alias_of(index: &str) -> String {
    let (alias, year) = index.rsplit_once('-').unwrap_or((index, ""));
    let is_year = !year.is_empty() && year.bytes().all(|byte| byte.is_ascii_digit());
    if is_year { alias } else { index }.to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(id: &str, n_bytes: usize) -> Entry {
        let text = "x".repeat(n_bytes);
        let lines = format!(
            "{{\"create\":{{\"_index\":\"trainyard-runs-2026\",\"_id\":\"{id}\"}}}}\n{{\"a\":\"{text}\"}}\n"
        );
        Entry::parse_all(&lines).unwrap().remove(0)
    }

    #[test]
    fn a_body_is_split_by_size_and_keeps_its_order() {
        let entries: Vec<_> = (0..5).map(|idx| entry(&idx.to_string(), 100)).collect();
        let size = entries[0].text().len();
        for (max_bytes, expected) in [
            (size * 5, vec![5]),
            (size * 5 - 1, vec![4, 1]),
            (size * 2, vec![2, 2, 1]),
            // One that is larger goes alone.
            (1, vec![1; 5]),
        ] {
            let requests = requests(entries.clone(), max_bytes);
            let sizes: Vec<_> = requests.iter().map(Vec::len).collect();
            assert_eq!(sizes, expected);
            assert!(
                requests
                    .iter()
                    .all(|one| one.len() == 1 || body(one).len() <= max_bytes)
            );
            assert_eq!(requests.concat(), entries);
        }
        assert!(requests(Vec::new(), 10).is_empty());
        assert!(body(&entries).ends_with("\"}\n"));
    }

    #[test]
    fn a_damaged_file_is_no_body() {
        let whole = body(&[entry("1", 1), entry("2", 1)]);
        assert_eq!(
            Entry::parse_all(&whole).map(|entries| entries.len()),
            Some(2)
        );
        assert_eq!(Entry::parse_all(""), None);
        for end in 1..whole.len() {
            let found = Entry::parse_all(&whole[..end]);
            // At the end of a pair there is nothing to be seen.
            let n_found = found.map_or(0, |entries| entries.len());
            assert!(
                n_found == 0 || whole[..end].lines().count() == 2 * n_found,
                "{end}"
            );
        }
        assert_eq!(Entry::parse_all("{\"index\":{}}\n{}\n"), None);
        assert_eq!(Entry::parse_all("{\"create\":{\"_id\":\"1\"}}\n[]\n"), None);
    }

    /// Answers as `osmem-server` 0.1.6 gives them, and 429 as Elasticsearch's reference has it.
    #[test]
    fn each_document_has_an_outcome() {
        let answer = json!({ "items": [
            { "create": { "_index": "trainyard-runs-2026", "status": 201 } },
            { "create": {
                "_index": "trainyard-runs-2026",
                "error": { "reason": "[1]: version conflict, document already exists (current version [1])", "type": "version_conflict_engine_exception" },
                "status": 409,
            } },
            { "create": {
                "_index": "trainyard-epochs-2026",
                "error": {
                    "caused_by": { "reason": "For input string: \"x\"" },
                    "reason": "failed to parse field [a] of type [long] in document with id '2'. Preview of field's value: 'x'",
                    "type": "mapper_parsing_exception",
                },
                "status": 400,
            } },
            { "create": {
                "_index": "trainyard-runs-2026",
                "error": { "reason": "rejected execution of coordinating operation", "type": "es_rejected_execution_exception" },
                "status": 429,
            } },
        ] });
        let found = outcomes(answer.to_string().as_bytes(), 4).unwrap();
        assert_eq!(found[..2], [Outcome::Created, Outcome::Known]);
        let Outcome::Refused(refusal) = &found[2] else {
            panic!("{found:?}");
        };
        assert_eq!(
            refusal.to_string(),
            "trainyard-epochs: mapper_parsing_exception: failed to parse field [a] of type [long] in document with id '2'. Preview of field's value: 'x': For input string: \"x\" (400)"
        );
        assert!(matches!(&found[3], Outcome::Busy(refusal) if refusal.status == 429));
        // An answer to something else.
        let text = answer.to_string();
        assert_eq!(outcomes(text.as_bytes(), 3), None);
        assert_eq!(outcomes(b"<html>sign in</html>", 4), None);
        assert_eq!(outcomes(b"{}", 0), None);
    }

    /// 409 has other reasons too.
    #[test]
    fn another_conflict_is_not_taken_for_the_document() {
        let answer = json!({ "items": [{ "create": {
            "_index": "trainyard-runs-2026",
            "error": { "reason": "closed", "type": "index_closed_exception" },
            "status": 409,
        } }] });
        let found = outcomes(answer.to_string().as_bytes(), 1).unwrap();
        assert!(matches!(found[0], Outcome::Held(_)), "{found:?}");
    }
}
