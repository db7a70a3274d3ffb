//! Names in a policy: `*` stands for any text, also none and one with slashes.

/// Whether `wanted` stands for all of `found`.
pub(super) fn stands_for(wanted: &str, found: &str) -> bool {
    let mut parts = wanted.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = found.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        // Without a star.
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (wanted, found, expected) in [
            ("*", "", true),
            ("*", "a/b", true),
            ("a", "a", true),
            ("a", "ab", false),
            ("", "a", false),
            ("a*", "a/b/c", true),
            ("feature/*", "feature/foo/bar", true),
            ("*/price", "https://github.com/acme/price", true),
            (
                "https://github.com/acme/*",
                "https://github.com/acme/price",
                true,
            ),
            (
                "https://github.com/acme/*",
                "https://github.com/acmes/price",
                false,
            ),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(stands_for(wanted, found), expected, "{wanted} {found}");
        }
    }
}
