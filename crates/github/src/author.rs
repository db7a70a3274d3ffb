//! The account that the token writes as.

use serde::Deserialize;

/// The account that the token writes as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Author {
    login: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Viewer {
    login: String,
}

impl From<Viewer> for Author {
    fn from(viewer: Viewer) -> Self {
        Self {
            login: viewer.login,
        }
    }
}

impl Author {
    /// The app that the account is the bot of, where it is one.
    pub(crate) fn app(&self) -> Option<&str> {
        self.login.strip_suffix("[bot]")
    }

    /// Whether an account is this one. GraphQL calls a bot with or without the `[bot]` that REST puts behind its name.
    pub(crate) fn is(&self, login: &str, is_bot: bool) -> bool {
        let bare = |login: &str| login.strip_suffix("[bot]").map(str::to_owned);
        match bare(login) {
            Some(name) if is_bot => bare(&self.login).as_deref().unwrap_or(&self.login) == name,
            _ => self.login == login && !is_bot,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exactly_the_same_account_is_ours() {
        let is = |ours: &str, login: &str, is_bot| {
            Author {
                login: ours.to_owned(),
            }
            .is(login, is_bot)
        };
        assert!(is("github-actions[bot]", "github-actions[bot]", true));
        assert!(is("github-actions", "github-actions[bot]", true));
        assert!(is("ann", "ann", false));
        assert!(!is("github-actions[bot]", "welcome[bot]", true));
        assert!(!is("github-actions[bot]", "github-actions", false));
        assert!(!is("ann", "anna", false));
    }
}
