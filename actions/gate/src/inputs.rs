//! The inputs of the action, which are the options of `trainyard-gate`.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Parser, ValueEnum};
use trainyard_core::gate::BaselinePlace;
use trainyard_registry::RegistryArgs;
use trainyard_runner::StageArgs;
use trainyard_telemetry::ElasticsearchArgs;

/// Judge an evaluation by the rules in the configuration.
///
/// Exits with 0 for `pass` and `warn`, 1 for `fail` and 3 for `inconclusive`.
#[derive(Debug, Clone, Parser)]
#[command(name = "trainyard-gate", version)]
pub struct Inputs {
    /// What every stage takes.
    #[command(flatten)]
    pub stage: StageArgs,
    /// Judge the evaluation in this folder instead of `evaluation/` in the output folder.
    #[arg(long, value_name = "FOLDER", conflicts_with = "metrics")]
    pub evaluation: Option<PathBuf>,
    /// Judge this JSON of metrics from any tool (DVC's layout) instead of an evaluation.
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Compare with this instead of `[gate] baseline` and the records of earlier commits on GitHub: an `evaluation.json` or
    /// JSON of metrics; or `oci://HOST/NAME`, with `:TAG` or `@DIGEST` or without, the evaluation attached to that image, by
    /// default of its highest version.
    #[arg(long, value_name = "PLACE")]
    pub baseline: Option<BaselinePlace>,
    /// Compare with this `evaluation.json` of the baseline's model, scored on today's rows by `trainyard-evaluate --model`. It
    /// counts only if its model is the one that the baseline names.
    #[arg(long, value_name = "FILE")]
    pub rescored: Option<PathBuf>,
    /// For rules with `sequential = "fresh-rows"`: go on from the evidence in this file, `fresh-rows.json` in the folder of an
    /// earlier run's verdict. Where it is not there, the report says so.
    #[arg(long, value_name = "FILE")]
    pub fresh_rows: Option<PathBuf>,
    /// Name of the artifact to which this run uploads `evaluation/`, so that later runs can fetch its predictions where a
    /// comparison needs them; `auto` names it after the model, in the output `artifact`.
    #[arg(long, value_name = "NAME")]
    pub artifact: Option<String>,
    /// The model's name on GitHub, if the configuration has none.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub name: Option<String>,
    /// Open the check run on GitHub and exit. Use it as the first step of a job, so that the pull request shows a pending
    /// check.
    #[arg(long)]
    pub start: bool,
    /// In a run that a comment started: answer `/trainyard override`, run the failed jobs of that commit again if the person
    /// may write here, and judge nothing.
    #[arg(long)]
    pub answer: bool,
    /// Before training: if no file of the model has changed since the commit of the baseline's record and that one passed,
    /// complete the check by its verdict. The output `unchanged` says whether; `[model] sources` names the files.
    #[arg(long, conflicts_with_all = ["start", "answer", "join"])]
    pub if_unchanged: bool,
    /// Join the verdicts of a matrix's legs, which lie in this folder as their artifacts hold them, into one comment and
    /// one check `trainyard`: the worst of them.
    #[arg(long, value_name = "FOLDER", requires = "legs", conflicts_with_all = ["start", "answer"])]
    pub join: Option<PathBuf>,
    /// With `join`: the names of all models that must be there, separated by commas. One that is missing is inconclusive.
    #[arg(long, value_name = "NAMES", requires = "join")]
    pub legs: Option<String>,
    /// A/A test of the rules: judge the evaluations in the folders below this one, made with one configuration under other
    /// seeds, each by itself and against each other, and say how often each rule would have turned out otherwise. Writes no
    /// verdict.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["start", "answer", "join", "if_unchanged"])]
    pub aa: Option<PathBuf>,
    /// Print how each rule came out, computation by computation, instead of the table: as text, or as JSON. The JSON is also
    /// in the folder of the verdict, as `explanation.json`.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub explain: Option<ExplainFormat>,
    /// Reporting on GitHub.
    #[command(flatten)]
    pub github: GitHubArgs,
    /// Registries, where the baseline lies in one.
    #[command(flatten)]
    pub registry: RegistryArgs,
    /// Where results are indexed.
    #[command(flatten)]
    pub elasticsearch: ElasticsearchArgs,
}

/// Reporting on GitHub. Nothing is written without a token or outside GitHub Actions.
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
    /// When to comment on the pull request. An existing comment is always updated, except with `never`.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "always")]
    pub comment: CommentMode,
    /// Key of the comment and check run; by default the model's name. Legs of a matrix that judge the same model each
    /// need their own.
    #[arg(long, value_name = "KEY")]
    pub comment_key: Option<String>,
    /// In runs by schedule or by hand: keep one issue for each key, which is opened or updated while the verdict is red and closed
    /// once it is not (`issues: write`).
    #[arg(long)]
    pub issue_on_failure: bool,
    /// Do not write a check run.
    #[arg(long)]
    pub no_check: bool,
    /// PEM file of certificates to trust in addition to the system's: of authorities, or of servers themselves.
    #[arg(long, value_name = "FILE", env = "TRAINYARD_CA")]
    pub ca: Option<PathBuf>,
    /// Print what would be written on GitHub instead of writing it. Needs no token, sends no request to GitHub and indexes nothing.
    #[arg(long)]
    pub dry_run: bool,
}

/// How an explanation is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// When a pull request gets a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CommentMode {
    /// Always.
    Always,
    /// If a metric differs from the baseline's, or the verdict is not `pass`.
    Changes,
    /// If the verdict is red.
    Failures,
    /// Never.
    Never,
}

/// The outputs of the action: name and description.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("verdict", "`pass`, `warn`, `inconclusive` or `fail`."),
    (
        "title",
        "The verdict in one line, with the model and the headline metric.",
    ),
    ("verdict-folder", "Folder of the verdict."),
    ("folder", "Output folder of all stages."),
    ("comment", "The report as Markdown."),
    (
        "overridden",
        "`true` if a person let a red verdict through, else `false`.",
    ),
    (
        "comment-url",
        "URL of the comment; empty if none was written.",
    ),
    (
        "check-url",
        "URL of the check run; empty if none was written.",
    ),
    (
        "issue-url",
        "URL of the issue that `issue-on-failure` opened, updated or closed; empty if there is none.",
    ),
    (
        "page",
        "The report as one self-contained HTML page, with the rows that flipped.",
    ),
    ("junit", "The rules as JUnit XML."),
    (
        "sarif",
        "The rules as SARIF, for `github/codeql-action/upload-sarif` and editors.",
    ),
    (
        "fresh-rows",
        "The evidence of fresh rows, for the input `fresh-rows` of the next run; empty if no rule accumulates it.",
    ),
    (
        "explanation",
        "How each rule came out, computation by computation, as JSON.",
    ),
    (
        "badge",
        "The headline metric as JSON for a badge by shields.io.",
    ),
    (
        "artifact",
        "Name of the artifact that the evaluation is to be uploaded to; empty if none was asked for.",
    ),
    (
        "unchanged",
        "With `if-unchanged`: `true` if an earlier verdict still holds and nothing needs to be trained, else `false`.",
    ),
    (
        "model-digest",
        "Digest of the model that was judged; empty if only metrics were judged.",
    ),
];
