//! What `trainyard-gate` is told: its inputs as an action and its arguments as a program.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use trainyard_runner::LogArgs;

/// Judge an evaluation by the rules in the configuration.
///
/// Ends with 0 for `pass` and `warn`, 1 for `fail` and 3 for `inconclusive`.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-gate", version)]
pub struct Inputs {
    /// The configuration file with `[[gate.rules]]`. Paths in it are relative to its folder.
    #[arg(long, value_name = "FILE", default_value = "trainyard.toml")]
    pub config: PathBuf,
    /// Folder for results; the verdict goes to `verdict/` inside it.
    #[arg(long, value_name = "FOLDER", default_value = "trainyard-out")]
    pub out: PathBuf,
    /// Judge the evaluation in this folder instead of the one in `evaluation/` of the results' folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "metrics")]
    pub evaluation: Option<PathBuf>,
    /// Judge this JSON of metrics from any tool (DVC's layout) instead of an evaluation.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Compare with this `evaluation.json` or JSON of metrics instead of `[gate] baseline` and of what earlier commits
    /// left on GitHub.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// The model's name on GitHub, where the configuration gives none.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Open the check run on GitHub and stop: the first step of a job, so that the pull request shows that a verdict is
    /// to come.
    #[arg(long)]
    pub start: bool,
    /// What is written on GitHub.
    #[command(flatten)]
    pub github: GitHubArgs,
    /// How to log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What is written on GitHub. Nothing is where no token is given, or outside of GitHub Actions.
#[derive(Debug, Clone, Args)]
pub struct GitHubArgs {
    /// Token that writes the comment (`pull-requests: write`) and the check run (`checks: write`).
    #[arg(
        long,
        value_name = "TOKEN",
        env = "GITHUB_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// When the pull request gets a comment. One that is there is always brought up to date, except with `never`.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "always")]
    pub comment: CommentMode,
    /// Tells this comment and check run from others; by default the model's name. Legs of a matrix that judge one model
    /// need each their own.
    #[arg(long, value_name = "KEY")]
    pub comment_key: Option<String>,
    /// Write no check run.
    #[arg(long)]
    pub no_check: bool,
    /// PEM file of certificate authorities to trust besides the system's.
    #[arg(long, value_name = "FILE", env = "TRAINYARD_CA")]
    pub ca: Option<PathBuf>,
    /// Print what would be written on GitHub instead of writing it. Needs no token and asks nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// When a pull request gets a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CommentMode {
    /// Each time.
    Always,
    /// Where a metric differs from the baseline's, or a rule does not simply hold.
    Changes,
    /// Where the verdict is red.
    Failures,
    /// Not at all.
    Never,
}

/// The outputs of the action: name and description.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("verdict", "`pass`, `warn`, `inconclusive` or `fail`."),
    (
        "title",
        "The verdict in one line, with model and headline metric.",
    ),
    ("verdict-folder", "Folder of the verdict."),
    ("comment", "The report as Markdown."),
    (
        "overridden",
        "`true` where a person let a red verdict through, else `false`.",
    ),
    (
        "comment-url",
        "Where the comment is; empty where none was written.",
    ),
    (
        "check-url",
        "Where the check run is; empty where none was written.",
    ),
    ("junit", "The rules as JUnit XML."),
    (
        "model-digest",
        "Digest of the model that was judged; empty where only its metrics were.",
    ),
];
