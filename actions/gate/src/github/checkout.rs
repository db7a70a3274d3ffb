//! Which commit is in the workspace, which may be another than the one that the event is about.

use trainyard_core::files;
use trainyard_runner::{Context, Event};

/// GitHub's merge commit of a pull request, where that was tested in the place of the head.
pub(crate) fn merge_commit(context: &Context) -> Option<String> {
    if context.event != Event::PullRequest {
        return None;
    }
    let tested = checked_out(context).or_else(|| context.tested_sha.clone());
    tested.filter(|tested| context.head_sha.as_ref() != Some(tested))
}

/// The same, where the workspace shows that it was tested.
pub(crate) fn tested_merge_commit(context: &Context) -> Option<String> {
    merge_commit(context).filter(|merge| checked_out(context).as_ref() == Some(merge))
}

/// Whether the workspace holds what the event checks out by itself, as far as it shows.
pub(crate) fn has_own_checkout(context: &Context) -> bool {
    let found = checked_out(context);
    found.is_none() || found == context.tested_sha
}

/// The commit in the workspace: with `ref`, `actions/checkout` leaves another than the one that the event is about.
pub(super) fn checked_out(context: &Context) -> Option<String> {
    let git = context.workspace.as_ref()?.join(".git");
    let head = files::read_text(&git.join("HEAD")).ok()?;
    // A checkout of a branch names it, and the branch's file holds the commit.
    let sha = match head.trim().strip_prefix("ref: ") {
        Some(reference) => files::read_text(&git.join(reference)).ok()?,
        None => head,
    };
    let sha = sha.trim();
    let is_sha = sha.len() >= 40 && sha.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_sha.then(|| sha.to_owned())
}
