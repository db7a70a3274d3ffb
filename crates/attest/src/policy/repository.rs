//! A repository's name in a policy and in a provenance, in one form.

/// `owner/name` is a repository on github.com; a URL stands for itself, without what may follow its name.
pub(super) fn repository_url(text: &str) -> String {
    let text = text.trim_end_matches('/');
    let text = text.strip_suffix(".git").unwrap_or(text);
    // Of any server.
    if text.contains("://") || text == "*" {
        text.to_owned()
    } else {
        format!("https://github.com/{text}")
    }
}
