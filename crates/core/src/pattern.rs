//! Patterns of names with slashes, as GitHub's `branches:` and `paths:` have them.

/// Whether `pattern` matches all of `text`: `*` stands for characters other than `/`, `**` for any, `?` for one other than
/// `/`. `**/` also stands for nothing, so that `**/x` matches `x`.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    // Which places in `pattern` can be reached after each character of `text`.
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    skip_stars(&pattern, &mut reached);
    for &c in &text {
        let mut next = vec![false; pattern.len() + 1];
        for place in (0..pattern.len()).filter(|&place| reached[place]) {
            match pattern[place] {
                '*' if is_double(&pattern, place) || c != '/' => next[place] = true,
                '*' => {}
                '?' if c != '/' => next[place + 1] = true,
                found if found == c => next[place + 1] = true,
                _ => {}
            }
        }
        skip_stars(&pattern, &mut next);
        reached = next;
    }
    reached[pattern.len()]
}

/// Whether the star at `place` is one of two.
fn is_double(pattern: &[char], place: usize) -> bool {
    pattern.get(place + 1) == Some(&'*') || place > 0 && pattern[place - 1] == '*'
}

/// A star may stand for nothing, and `**/` for no folder.
fn skip_stars(pattern: &[char], reached: &mut [bool]) {
    for place in 0..pattern.len() {
        if reached[place] && pattern[place] == '*' {
            reached[place + 1] = true;
            let is_folder = pattern[place..].starts_with(&['*', '*', '/']);
            let begins_part = place == 0 || pattern[place - 1] == '/';
            if is_folder && begins_part {
                reached[place + 3] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: the table of filter patterns in GitHub's workflow syntax.
    #[test]
    fn stars_are_githubs() {
        for (pattern, text, expected) in [
            ("main", "main", true),
            ("main", "maine", false),
            ("release/*", "release/1.2", true),
            ("release/*", "release/1/2", false),
            ("release/**", "release/1/2", true),
            ("**", "a/b/c", true),
            ("*", "a/b", false),
            ("v?", "v1", true),
            ("v?", "v/", false),
            ("**/data/*.csv", "data/x.csv", true),
            ("**/data/*.csv", "a/b/data/x.csv", true),
            ("**/data/*.csv", "a/b/data/c/x.csv", false),
            ("a/**/b", "a/b", true),
            ("a/**/b", "a/x/y/b", true),
            ("a**b", "a/b", true),
            ("xdata/**/y", "xdata/y", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
