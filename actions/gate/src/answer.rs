//! Answers `/trainyard override` in a run that the comment started. It judges nothing: the verdict is given by the job of
//! the commit, which this runs again.

use anyhow::anyhow;
use trainyard_github::{Command, GitHub, GitHubError, Reaction, Thread};
use trainyard_runner::{Comment, Context, Event, ExitCode, Stage, WithExitCode as _};

use crate::github::Link;
use crate::inputs::GitHubArgs;

/// Answers the comment of this run.
pub(crate) fn answer(stage: &Stage, args: &GitHubArgs) -> anyhow::Result<ExitCode> {
    let context = &stage.context;
    let (Event::Comment(_), Some(comment)) = (&context.event, &context.comment) else {
        return Err(anyhow!("`--answer` is for runs that a comment started"))
            .exit_code(ExitCode::Usage)
            .hint("run it on `issue_comment`");
    };
    let Some(command) = Command::parse(&comment.body) else {
        tracing::info!("the comment is not a command: nothing is done");
        return Ok(ExitCode::Success);
    };
    let link = Link::open(context, args)
        .ok_or_else(|| anyhow!("there is no token to answer with"))
        .exit_code(ExitCode::Usage)
        .hint("set `token: ${{ github.token }}`")?;
    let said = link.block_on(decide(link.github(), context, comment, command));
    let Answer {
        reaction,
        reply,
        runs,
    } = said.exit_code(ExitCode::Service)?;
    let on_commit = comment.commit.is_some();
    let github = link.github();
    for run in &runs {
        link.block_on(github.rerun_failed(*run))
            .exit_code(ExitCode::Service)?;
    }
    // What matters is done; that it is not shown is no reason to fail.
    let mut shown = vec![link.block_on(github.react(comment.id, on_commit, reaction))];
    if let (Some(text), Some(number)) = (&reply, context.pull_request) {
        shown.push(link.block_on(github.reply(number, text)));
    }
    for error in shown.into_iter().filter_map(Result::err) {
        tracing::warn!("{error}");
    }
    match (&reply, runs.as_slice()) {
        (Some(reply), _) => tracing::info!("{reply}"),
        (None, []) => {
            tracing::info!("nothing is run again: no check of ours is red on that commit");
        }
        (None, runs) => tracing::info!("the failed jobs of {runs:?} run again"),
    }
    Ok(ExitCode::Success)
}

/// What is done about a comment.
struct Answer {
    reaction: Reaction,
    /// Why nothing else is done.
    reply: Option<String>,
    /// Workflow runs whose failed jobs run again.
    runs: Vec<u64>,
}

impl Answer {
    fn refused(reaction: Reaction, why: impl Into<String>) -> Self {
        Self {
            reaction,
            reply: Some(why.into()),
            runs: Vec::new(),
        }
    }
}

async fn decide(
    github: &GitHub,
    context: &Context,
    comment: &Comment,
    command: Command<'_>,
) -> Result<Answer, GitHubError> {
    let (thread, head) = match (&comment.commit, context.pull_request) {
        (Some(commit), _) => (Thread::Commit, commit.clone()),
        (None, Some(number)) => {
            let pull = github.pull_request(number).await?;
            let is_own = context
                .repository
                .as_deref()
                .is_some_and(|own| pull.head.is_in(own));
            if !is_own {
                return Ok(Answer::refused(
                    Reaction::Refused,
                    "The check of a fork cannot be overridden. Read the change, push its commit to a branch of this repository and open a pull request from there: the check belongs to the commit.",
                ));
            }
            (Thread::PullRequest(number), pull.head.sha)
        }
        (None, None) => {
            return Ok(Answer::refused(
                Reaction::Unclear,
                "This is not a pull request, so there is no check to override.",
            ));
        }
    };
    if !command.names(&head) {
        return Ok(Answer::refused(
            Reaction::Unclear,
            format!(
                "This does not name the newest commit, `{}`. Write `/trainyard override {} <reason>`.",
                &head[..head.len().min(12)],
                &head[..head.len().min(12)]
            ),
        ));
    }
    if !command.has_reason() {
        return Ok(Answer::refused(
            Reaction::Unclear,
            "An override needs a reason behind the commit.",
        ));
    }
    // The comment is asked for, rather than the event believed: it may have been edited since.
    let found = github.find_override(thread, &head).await?;
    let counts = found.is_some_and(|found| Some(&found.by) == comment.author.as_ref());
    if !counts {
        return Ok(Answer {
            reaction: Reaction::Refused,
            reply: None,
            runs: Vec::new(),
        });
    }
    Ok(Answer {
        reaction: Reaction::Approved,
        reply: None,
        runs: github.red_runs(&head, "trainyard / ").await?,
    })
}
