//! The git checkout that an image is built from: when its commit was made, and where no CI system says so, which one it is.
//!
//! A checkout with changes is not the commit that it began as, so none is named then. What the stages wrote is not a change.

use std::path::Path;
use std::process::{Command, Stdio};

use trainyard_runner::Context;

/// What git says of the checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkout {
    /// URL of the repository, without credentials and without `.git`; absent where it has no remote that others could reach.
    pub(crate) repository: Option<String>,
    /// The branch, `refs/heads/main`; absent where none is checked out.
    pub(crate) reference: Option<String>,
    /// The commit; absent where the checkout has changes.
    pub(crate) commit: Option<String>,
}

impl Checkout {
    /// The checkout around `folder`, where neither the run's `context` names a commit nor git fails to. `out` is the output folder of
    /// all stages.
    pub(crate) fn find(context: &Context, folder: &Path, out: &Path) -> Option<Self> {
        if context.head_sha.is_some() || context.tested_sha.is_some() {
            return None;
        }
        let folder = or_current(folder);
        // Where git is missing or refuses, the commit's time is not known either, which is said there.
        let commit = git(folder, &["rev-parse", "--verify", "HEAD"]).ok()?;
        let changes = changes(folder, out).ok()?;
        if let Some(first) = changes.first() {
            let others = match changes.len() - 1 {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            tracing::warn!(
                "the checkout has changes (`{first}`{others}), so the image names no commit; commit them, or list files that do not belong to it in `.gitignore`"
            );
        }
        Some(Self {
            repository: remote(folder).as_deref().and_then(public_url),
            reference: git(folder, &["symbolic-ref", "--quiet", "HEAD"]).ok(),
            commit: changes.is_empty().then_some(commit),
        })
    }

    /// Whether it is not what the commit holds.
    pub(crate) const fn is_changed(&self) -> bool {
        self.commit.is_none()
    }

    /// The same, where it is what a commit holds.
    pub(crate) fn clean(checkout: Option<&Self>) -> Option<&Self> {
        checkout.filter(|checkout| !checkout.is_changed())
    }
}

/// The time of the commit that is checked out, in seconds since 1970; the error is a clause.
pub(crate) fn commit_time(folder: &Path) -> Result<u64, String> {
    let text = git(or_current(folder), &["log", "-1", "--format=%ct"])?;
    text.parse().map_err(|_| "git names no commit".to_owned())
}

/// Paths that differ from the commit, or that it does not have and `.gitignore` does not list, but for the output folder.
fn changes(folder: &Path, out: &Path) -> Result<Vec<String>, String> {
    let mut arguments = vec![
        "--no-optional-locks".to_owned(),
        "status".to_owned(),
        "--porcelain".to_owned(),
        "--untracked-files=all".to_owned(),
        "-z".to_owned(),
        "--".to_owned(),
        ":(top)".to_owned(),
    ];
    // The folder within the checkout; an error where it lies elsewhere.
    if let Ok(prefix) = git(out, &["rev-parse", "--show-prefix"]) {
        let stages = ["model", "evaluation", "verdict", "image", "checkpoint"];
        let own = match prefix.trim_end_matches('/') {
            "" => stages.map(str::to_owned).to_vec(),
            prefix => vec![prefix.to_owned()],
        };
        arguments.extend(
            own.iter()
                .map(|path| format!(":(top,exclude,literal){path}")),
        );
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let status = git(folder, &arguments)?;
    // `XY path`; of a file that was renamed, its earlier path follows as an entry of its own.
    let mut entries = status.split('\0').filter(|entry| !entry.is_empty());
    let mut changes = Vec::new();
    while let Some(entry) = entries.next() {
        let (kind, path) = entry.split_at_checked(3).unwrap_or((entry, ""));
        if kind.contains(['R', 'C']) {
            entries.next();
        }
        changes.push(path.to_owned());
    }
    Ok(changes)
}

/// The address of `origin`, or of the only remote.
fn remote(folder: &Path) -> Option<String> {
    let names = git(folder, &["remote"]).ok()?;
    let names: Vec<&str> = names.lines().collect();
    let name = match names.as_slice() {
        [only] => only,
        several => several.iter().find(|name| **name == "origin")?,
    };
    git(folder, &["config", "--get", &format!("remote.{name}.url")]).ok()
}

/// Where people find the repository that git fetches from `url`: without credentials, which clones in CI systems hold, by HTTPS in place
/// of SSH. `None` for a folder of this machine.
fn public_url(url: &str) -> Option<String> {
    let (scheme, authority, path) = match url.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => {
            let (authority, path) = rest.split_once('/')?;
            (scheme, authority, path)
        }
        Some(("ssh" | "git" | "git+ssh" | "ssh+git", rest)) => {
            let (authority, path) = rest.split_once('/')?;
            // The port is that of another protocol.
            let end = authority.rfind(':').filter(|_| !authority.ends_with(']'));
            ("https", &authority[..end.unwrap_or(authority.len())], path)
        }
        Some(_) => return None,
        // `git@host:owner/name.git`; a colon behind a slash is part of a folder's name, and one letter is a drive's.
        None => {
            let (authority, path) = url.split_once(':')?;
            if authority.contains('/') || authority.len() < 2 {
                return None;
            }
            ("https", authority, path)
        }
    };
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    let is_odd =
        |text: &str| text.contains(|letter: char| letter.is_whitespace() || letter.is_control());
    let is_whole = !(host.is_empty() || path.is_empty() || is_odd(host) || is_odd(path));
    is_whole.then(|| format!("{scheme}://{host}/{path}"))
}

fn or_current(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

/// What git prints, without the final line break; the error is a clause.
fn git(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut git = Command::new("git");
    git.args(arguments).current_dir(folder).stdin(Stdio::null());
    let output = git.output().map_err(|error| format!("git: {error}"))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        // `detected dubious ownership` comes with the command that ends it.
        let words: Vec<&str> = words.split_whitespace().collect();
        return Err(words.join(" "));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_repository_is_named_without_credentials() {
        for (url, expected) in [
            (
                "https://github.com/acme/price.git",
                "https://github.com/acme/price",
            ),
            (
                "https://gitlab-ci-token:s3cret@gitlab.com/a/b/c.git",
                "https://gitlab.com/a/b/c",
            ),
            (
                "http://git.local:3000/acme/price/",
                "http://git.local:3000/acme/price",
            ),
            (
                "git@github.com:acme/price.git",
                "https://github.com/acme/price",
            ),
            ("github.com:acme/price", "https://github.com/acme/price"),
            (
                "ssh://git@git.local:2222/acme/price.git",
                "https://git.local/acme/price",
            ),
            ("ssh://git@[::1]/acme/price", "https://[::1]/acme/price"),
        ] {
            assert_eq!(public_url(url).as_deref(), Some(expected), "{url}");
        }
        for url in [
            "/srv/git/price.git",
            "../price",
            "./a:b",
            "C:\\git\\price",
            "file:///srv/git/price",
            "https://github.com/",
            "https://github.com/a b",
            "",
        ] {
            assert_eq!(public_url(url), None, "{url}");
        }
    }

    /// Runs git as a user would, with a name, and without the settings of this machine.
    fn as_user(folder: &Path, arguments: &[&str]) {
        let settings = [
            "-c",
            "user.name=a",
            "-c",
            "user.email=a@b",
            "-c",
            "init.defaultBranch=main",
        ];
        git(folder, &[&settings, arguments].concat()).unwrap();
    }

    #[test]
    fn a_clean_checkout_is_its_commit_and_one_with_changes_is_none() {
        let root = tempfile::tempdir().unwrap();
        let (folder, out) = (
            root.path().join("models/price"),
            root.path().join("models/price/out"),
        );
        fs::create_dir_all(out.join("model")).unwrap();
        let find = || Checkout::find(&Context::default(), &folder, &out);
        assert_eq!(find(), None);
        as_user(root.path(), &["init", "--quiet"]);
        assert_eq!(find(), None);
        fs::write(folder.join("trainyard.toml"), "[data]\n").unwrap();
        as_user(root.path(), &["add", "."]);
        as_user(root.path(), &["commit", "--quiet", "--message=a"]);
        fs::write(out.join("model/model.json"), "{}").unwrap();
        let commit = git(root.path(), &["rev-parse", "HEAD"]).unwrap();
        let clean = Checkout {
            repository: None,
            reference: Some("refs/heads/main".to_owned()),
            commit: Some(commit.clone()),
        };
        assert_eq!(find(), Some(clean.clone()));
        as_user(
            root.path(),
            &["remote", "add", "origin", "git@github.com:acme/price.git"],
        );
        let clean = Checkout {
            repository: Some("https://github.com/acme/price".to_owned()),
            ..clean
        };
        assert_eq!(find(), Some(clean.clone()));
        // A run whose CI system names the commit is not asked about it.
        let context = Context {
            head_sha: Some("d".repeat(40)),
            ..Context::default()
        };
        assert_eq!(Checkout::find(&context, &folder, &out), None);

        // New, edited, and renamed files, anywhere in the checkout.
        let changed = Checkout {
            commit: None,
            ..clean.clone()
        };
        fs::write(root.path().join("new.txt"), "").unwrap();
        assert_eq!(find(), Some(changed.clone()));
        fs::write(root.path().join(".git/info/exclude"), "new.txt\n").unwrap();
        assert_eq!(find(), Some(clean.clone()));
        fs::write(folder.join("trainyard.toml"), "[model]\n").unwrap();
        assert_eq!(
            changes(&folder, &out).unwrap(),
            ["models/price/trainyard.toml"]
        );
        as_user(root.path(), &["checkout", "--quiet", "--", "."]);
        as_user(
            root.path(),
            &["mv", "models/price/trainyard.toml", "other.toml"],
        );
        assert_eq!(changes(&folder, &out).unwrap(), ["other.toml"]);
        assert_eq!(find(), Some(changed));
        // Detached, as many CI systems check out.
        as_user(root.path(), &["reset", "--quiet", "--hard"]);
        as_user(root.path(), &["checkout", "--quiet", "--detach"]);
        let detached = Checkout {
            reference: None,
            ..clean
        };
        assert_eq!(find(), Some(detached));
    }

    #[test]
    fn what_lies_beside_the_stages_in_the_root_of_the_checkout_is_a_change() {
        let root = tempfile::tempdir().unwrap();
        as_user(root.path(), &["init", "--quiet"]);
        as_user(
            root.path(),
            &["commit", "--quiet", "--allow-empty", "--message=a"],
        );
        fs::create_dir(root.path().join("model")).unwrap();
        fs::write(root.path().join("model/model.json"), "").unwrap();
        let found = changes(root.path(), root.path()).unwrap();
        assert_eq!(found.len(), 0, "{found:?}");
        fs::write(root.path().join("data.csv"), "").unwrap();
        assert_eq!(changes(root.path(), root.path()).unwrap(), ["data.csv"]);
    }
}
