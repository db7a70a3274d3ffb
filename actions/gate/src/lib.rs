//! The `gate` stage: an evaluation or metrics, a baseline and rules in; `verdict/` and an exit code out.
//!
//! Start, look up, judge, write, report. What could not be judged is never green, and the verdict is written whatever it
//! is.

mod aa;
mod answer;
mod artifact;
mod chosen;
mod fresh_rows;
mod github;
mod inputs;
mod join;
mod judge;
mod look_up;
mod output;
mod plan;
mod published;
mod role;
mod shared;
mod stored;
mod unchanged;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use trainyard_core::config::{ConfigError, JudgingConfig};
use trainyard_core::error_chain::in_one_line;
use trainyard_core::evaluation::{EVALUATION_FILE, Evaluation, NAMELESS};
use trainyard_core::files;
use trainyard_core::gate::{
    self, BASELINE_FILE, Baseline, BaselineRecord, CandidateError, Decision, Expected,
    FRESH_ROWS_FILE, KeptLooks, LOOKS_FILE, MUST_PASS_FILE, Mark, NO_BASELINE_FILE, Override,
    RULES_FILE, RulesOrigin, SHARED_ROWS_FILE, StoredRules, VERDICT_FILE, Verdict,
};
use trainyard_core::recomputed;
use trainyard_core::report::Report;
use trainyard_core::results::ResultFolder;
use trainyard_runner::{Context, Event, ExitCode, Stage, Trust, WithExitCode as _};
use trainyard_telemetry::Teller;

use github::{Kept, Link, OwnRecord, Reporter, Written};
pub use inputs::{CommentMode, ExplainFormat, GitHubArgs, Inputs, OUTPUTS};
use judge::{Judged, Subject};
use look_up::LookedUp;
use plan::Plan;
use role::Role;
use shared::Candidate;

/// Runs the stage.
pub fn gate(inputs: Inputs) -> anyhow::Result<ExitCode> {
    let mut stage = Stage::start("gate", &inputs.stage.log)?;
    if inputs.answer {
        return answer::answer(&stage, &inputs.github);
    }
    refuse_hostile_output(&stage.context, &inputs)?;
    published::check_named(inputs.baseline.as_ref()).exit_code(ExitCode::Usage)?;
    if let Some(folder) = &inputs.aa {
        let config = JudgingConfig::read(&inputs.stage.config).exit_code(ExitCode::Usage)?;
        return aa::run(&mut stage, &inputs, &config, folder);
    }
    let folder = inputs.stage.out.join("verdict");
    let results = ResultFolder::begin(&folder, VERDICT_FILE)?;
    output::remove_files(results.path())?;
    refuse_comment(&stage.context)?;
    let config = JudgingConfig::read(&inputs.stage.config)
        .and_then(|config| published::checked(config, &inputs.stage.config));
    let mut context = stage.context.clone();
    let link = open_link(&mut stage, &mut context, &inputs.github);
    let patterns = match &link {
        Some(link) if Role::needs_patterns(&context) => {
            link.baseline_branches(&context, &inputs.stage.config)
        }
        _ => Vec::new(),
    };
    let role = Role::of(&context, &patterns);
    let plan = Plan {
        context: &context,
        args: &inputs.github,
        role: &role,
        patterns: &patterns,
    };
    let reporter = link.map(|link| Reporter::new(link, plan, &inputs.stage.out));
    if let Some(folder) = &inputs.join {
        // The legs have configurations of their own.
        return join::join(&mut stage, &inputs, folder, reporter.as_ref());
    }
    let config = match config {
        Ok(config) => config,
        Err(error) => {
            report_broken(
                &mut stage,
                &results,
                &inputs,
                plan,
                reporter.as_ref(),
                &error,
            )?;
            return Err(error).exit_code(ExitCode::Usage);
        }
    };
    let given_name = config.model_name.clone().or_else(|| inputs.name.clone());
    if inputs.start {
        let model_name = given_name.as_deref().unwrap_or(NAMELESS);
        return start(&mut stage, reporter.as_ref(), model_name);
    }
    if inputs.if_unchanged {
        let model_name = given_name.as_deref().unwrap_or(NAMELESS);
        return unchanged::answer(
            &mut stage,
            results.path(),
            reporter.as_ref(),
            &config,
            &inputs.stage.config,
            model_name,
        );
    }

    // Read once, so that what is judged is what its digest says.
    let place = Place::of(&inputs);
    // A fork's configuration is not the one at hand, and its evaluation is judged by the base branch's rules alone.
    let expected = match context.trust() {
        Trust::UnverifiedArtifact => Expected::default(),
        _ => Expected::of(&config),
    };
    let read = place
        .candidate(&context)
        .and_then(|candidate| candidate.read(&expected))
        .and_then(|(card, evaluation)| {
            place.check_figures(evaluation.as_ref(), &config, &context)?;
            Ok((card, evaluation))
        });
    // `--start` knew no evaluation yet, and the check that it opened is to be completed.
    let evaluated_name = read
        .as_ref()
        .ok()
        .filter(|_| !(github::has_started(&inputs.stage.out) || context.is_unverified()))
        .and_then(|(card, _)| card.model_name.clone());
    let model_name = given_name.clone().or(evaluated_name);
    let model_name = model_name.as_deref().unwrap_or(NAMELESS);
    let candidate = read.as_ref().ok().map(|(card, evaluation)| Candidate {
        card,
        evaluation: evaluation
            .as_ref()
            .filter(|_| context.trust() != Trust::UnverifiedArtifact)
            .map(|evaluation| (evaluation, place.evaluation.as_path())),
    });
    let looked_up = LookedUp::find(
        &inputs,
        &config,
        &context,
        reporter.as_ref(),
        model_name,
        candidate.as_ref(),
    );
    keep_case(&results, &looked_up)?;
    let artifact = artifact_of(&inputs, plan, model_name);
    stage.set_output("artifact", artifact.as_deref().unwrap_or_default())?;

    let subject = Subject {
        read,
        model_name: given_name.as_deref(),
        evaluate: Some(&config.evaluate),
        context: &context,
        artifact: artifact.as_deref(),
    };
    let find_override = |mark: &Mark| {
        find_override(
            &mut stage,
            reporter.as_ref(),
            model_name,
            mark,
            looked_up.record.as_ref(),
        )
    };
    let judged = judge::judge(subject, &looked_up, find_override)?;

    let written = report(
        &mut stage,
        &results,
        &judged,
        &looked_up,
        &inputs,
        plan,
        model_name,
        reporter.as_ref(),
    )?;
    stage.set_output("comment-url", written.comment_url.unwrap_or_default())?;
    stage.set_output("check-url", written.check_url.unwrap_or_default())?;
    stage.set_output("issue-url", written.issue_url.unwrap_or_default())?;
    if !inputs.github.dry_run {
        let teller = Teller {
            args: &inputs.elasticsearch,
            config: &config.report,
            ca: inputs.github.ca.as_deref(),
            context: &context,
            service: "trainyard-gate",
        };
        teller.tell(&mut stage, |circumstances| {
            circumstances.verdict(&judged.verdict)
        });
    }
    Ok(exit_code(&judged.verdict))
}

/// Writes and says the verdict everywhere it is wanted. `model_name` is what `--start` called the check, whatever the
/// evaluation calls the model: another name would leave that check open.
fn report(
    stage: &mut Stage,
    results: &ResultFolder,
    judged: &Judged,
    looked_up: &LookedUp,
    inputs: &Inputs,
    plan: Plan<'_>,
    model_name: &str,
    reporter: Option<&Reporter<'_>>,
) -> anyhow::Result<Written> {
    let context = plan.context;
    let Judged {
        verdict,
        evaluation,
        record,
        mark,
        looks,
        fresh_rows,
    } = judged;
    let run_url = context.run.as_ref().and_then(|run| run.url.clone());
    let artifact = artifact_of(inputs, plan, model_name);
    let merge_commit = github::tested_merge_commit(context);
    let newest = record.as_ref().or(looked_up.record.as_ref());
    let report = Report {
        verdict,
        evaluation: evaluation.as_ref(),
        run_url: run_url.as_deref(),
        artifact: artifact.as_deref(),
        tested_commit: merge_commit.as_deref(),
        history: newest.map_or(&[], |record: &BaselineRecord| &record.history),
    };
    let config_file = looked_up
        .has_own_rules()
        .then_some(inputs.stage.config.as_path());
    let comment = output::write_files(results, &report, config_file)?;
    output::say(stage, results.path(), &report, &comment, inputs.explain)?;
    let annotations = output::annotations(verdict, config_file);
    if stage.annotator.is_github_actions() {
        stage.annotate(annotations.clone());
    }
    if inputs.github.dry_run {
        stage.print(&plan.dry_run(model_name, &report, &annotations, record.as_ref()))?;
    }
    Ok(match reporter {
        Some(reporter) => {
            let record = record.as_ref().filter(|record| {
                let may_take_place = match plan.role {
                    Role::Scheduled { .. } => {
                        // What is there is not replaced by something that nothing is compared with.
                        let may_renew = match looked_up.own_record {
                            OwnRecord::None => true,
                            OwnRecord::Expired => verdict.is_let_through(),
                            OwnRecord::There => false,
                        };
                        may_renew && record.overriding_inputs.is_empty()
                    }
                    _ => true,
                };
                plan.role.may_leave_record() && may_take_place
            });
            let kept = Kept {
                record,
                mark,
                renews: looked_up.own_record == OwnRecord::Expired,
                others: looked_up.other_marks.as_deref(),
                looks: looks.as_ref(),
                fresh_rows: fresh_rows.as_ref(),
            };
            reporter.finish(stage, model_name, &report, &annotations, kept)
        }
        None => Written::default(),
    })
}

/// Name of the artifact that the evaluation is uploaded to.
fn artifact_of(inputs: &Inputs, plan: Plan<'_>, model_name: &str) -> Option<String> {
    inputs.artifact.as_deref().map(|name| match name {
        "auto" => plan.artifact(model_name),
        name => name.to_owned(),
    })
}

const fn exit_code(verdict: &Verdict) -> ExitCode {
    match verdict.verdict {
        _ if verdict.is_let_through() => ExitCode::Success,
        Decision::Fail => ExitCode::GateFailed,
        _ => ExitCode::Inconclusive,
    }
}

/// Where the candidate lies.
struct Place<'a> {
    inputs: &'a Inputs,
    evaluation: PathBuf,
    model: PathBuf,
}

impl<'a> Place<'a> {
    fn of(inputs: &'a Inputs) -> Self {
        let default = || inputs.stage.out.join("evaluation");
        Self {
            evaluation: inputs.evaluation.clone().unwrap_or_else(default),
            model: inputs.stage.out.join("model"),
            inputs,
        }
    }

    /// The candidate, unless it came in a fork's artifact that must not be read.
    fn candidate(&self, context: &Context) -> Result<gate::Candidate<'_>, CandidateError> {
        let is_hostile = context.trust() == Trust::UnverifiedArtifact;
        let judged = self.inputs.metrics.as_ref().unwrap_or(&self.evaluation);
        if let Some(reason) = is_hostile.then(|| artifact::refusal(judged)).flatten() {
            return Err(CandidateError::Refused(reason));
        }
        Ok(match &self.inputs.metrics {
            Some(path) => gate::Candidate::Metrics(path),
            None => gate::Candidate::Evaluation {
                folder: &self.evaluation,
                model: (!is_hostile).then_some(self.model.as_path()),
            },
        })
    }

    /// Refuses an evaluation whose figures are not those of its predictions. A fork's predictions are not read: its figures prove nothing
    /// either way.
    fn check_figures(
        &self,
        evaluation: Option<&Evaluation>,
        config: &JudgingConfig,
        context: &Context,
    ) -> Result<(), CandidateError> {
        let evaluation = evaluation.filter(|evaluation| {
            evaluation.predictions.is_some() && context.trust() != Trust::UnverifiedArtifact
        });
        let Some(evaluation) = evaluation else {
            return Ok(());
        };
        recomputed::check(evaluation, &self.evaluation, &config.evaluate)
            .map(|_| ())
            .map_err(|problem| CandidateError::Edited {
                evaluation: self.evaluation.join(EVALUATION_FILE),
                problem,
            })
    }
}

/// Nothing is written to a folder in which a fork's artifact was put.
fn refuse_hostile_output(context: &Context, inputs: &Inputs) -> anyhow::Result<()> {
    let is_hostile = context.trust() == Trust::UnverifiedArtifact;
    match is_hostile
        .then(|| artifact::refusal(&inputs.stage.out))
        .flatten()
    {
        Some(reason) => Err(anyhow!(
            "nothing is written to `{}`: {reason}",
            inputs.stage.out.display()
        ))
        .exit_code(ExitCode::Inconclusive)
        .hint("fetch the fork's artifact into a folder of its own, and name its `evaluation`"),
        None => Ok(()),
    }
}

/// Keeps what judges beside the verdict, so that `publish-image` judges by the same: what is compared with, where it
/// does not lie here, or why there is nothing; and the base branch's rules, where those count.
fn keep_case(results: &ResultFolder, looked_up: &LookedUp) -> anyhow::Result<()> {
    let [
        baseline,
        no_baseline,
        rules,
        shared,
        must_pass,
        looks,
        fresh_rows,
    ] = [
        BASELINE_FILE,
        NO_BASELINE_FILE,
        RULES_FILE,
        SHARED_ROWS_FILE,
        MUST_PASS_FILE,
        LOOKS_FILE,
        FRESH_ROWS_FILE,
    ]
    .map(|name| results.path().join(name));
    for path in [&baseline, &no_baseline, &rules, &shared, &must_pass, &looks] {
        files::remove(path)?;
    }
    match &looked_up.fresh_rows {
        // Where earlier evidence could not be read, what is there is left to be mended, not overwritten.
        Some(evidence) if evidence.process.is_none() && fresh_rows.exists() => {}
        Some(evidence) => files::write_json(&fresh_rows, evidence).map(|_| ())?,
        None => files::remove(&fresh_rows)?,
    }
    if !looked_up.must_pass.is_empty() {
        files::write_json(&must_pass, &looked_up.must_pass)?;
    }
    if looked_up.gate.sequential {
        let kept = match &looked_up.looks {
            Ok(Some(found)) => Some(KeptLooks::Known(found.clone())),
            Ok(None) => None,
            Err(reason) => Some(KeptLooks::Unknown(reason.clone())),
        };
        if let Some(kept) = kept {
            files::write_json(&looks, &kept)?;
        }
    }
    if let Baseline::Ready {
        shared: Some(Ok(found)),
        ..
    } = &looked_up.baseline
    {
        files::write_json(&shared, found)?;
    }
    match (&looked_up.kept_file, &looked_up.record) {
        (Some(text), _) => files::write(&baseline, text.as_bytes())?,
        (None, Some(record)) if looked_up.is_record => {
            files::write_json(&baseline, record).map(|_| ())?;
        }
        _ => {
            if let Some(reason) = looked_up.baseline.why_none() {
                files::write_json(&no_baseline, &reason)?;
            }
        }
    }
    if let RulesOrigin::Base(reference) = &looked_up.origin {
        let stored = StoredRules {
            reference: reference.clone(),
            gate: looked_up.gate.clone(),
        };
        files::write_json(&rules, &stored)?;
    }
    Ok(())
}

/// Reports that the configuration cannot be read, so that no stale green stays and no check that a protection waits for is
/// left open.
fn report_broken(
    stage: &mut Stage,
    results: &ResultFolder,
    inputs: &Inputs,
    plan: Plan<'_>,
    reporter: Option<&Reporter<'_>>,
    error: &ConfigError,
) -> anyhow::Result<()> {
    let reason = in_one_line(error);
    let looked_up = LookedUp::broken(reason.clone());
    let name = inputs
        .name
        .clone()
        .or_else(|| reporter?.name_on_base(&inputs.stage.config))
        .or_else(|| name_in_broken(&inputs.stage.config));
    let subject = Subject {
        read: Err(CandidateError::Refused(reason)),
        model_name: name.as_deref(),
        evaluate: None,
        context: plan.context,
        artifact: None,
    };
    let judged = judge::judge(subject, &looked_up, |_| None)?;
    let model_name = name.as_deref().unwrap_or(NAMELESS);
    report(
        stage, results, &judged, &looked_up, inputs, plan, model_name, reporter,
    )?;
    let report = Report {
        verdict: &judged.verdict,
        evaluation: None,
        run_url: None,
        artifact: None,
        tested_commit: None,
        history: &[],
    };
    if let Some(reporter) = reporter {
        reporter.complete_open_checks(stage, &report);
    }
    Ok(())
}

/// What a configuration that cannot be parsed most likely calls its model: the first `name` under `[model]`.
fn name_in_broken(path: &Path) -> Option<String> {
    let text = files::read_text(path).ok()?;
    let in_model = text
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != "[model]")
        .skip(1)
        .take_while(|line| !line.starts_with('['));
    let mut values = in_model.filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "name").then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    });
    let is_name = |name: &String| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    values.next().filter(is_name)
}

fn find_override(
    stage: &mut Stage,
    reporter: Option<&Reporter<'_>>,
    model_name: &str,
    mark: &Mark,
    record: Option<&BaselineRecord>,
) -> Option<Override> {
    match reporter?.find_override(model_name, mark, record) {
        Ok(found) => found,
        Err(error) => {
            github::warn(stage, &error);
            None
        }
    }
}

/// Refuses to judge in a run that a comment started: such a run is of the default branch, so whatever was checked out,
/// its verdict would stand on one commit and be about another.
fn refuse_comment(context: &Context) -> anyhow::Result<()> {
    let Event::Comment(name) = &context.event else {
        return Ok(());
    };
    let commit = match context.pull_request {
        Some(number) => format!("$(gh pr view {number} --json headRefOid --jq .headRefOid)"),
        None => "SHA".to_owned(),
    };
    Err(anyhow!(
        "`gate` judges nothing on the event `{name}`: its run is of the default branch, not of the commit that was commented on"
    ))
    .exit_code(ExitCode::Usage)
    .hint(format!(
        "re-run the job of that commit, with `actions: write` under `permissions:`: `gh run rerun \"$(gh run list --commit \"{commit}\" --limit 1 --json databaseId --jq '.[0].databaseId')\"`"
    ))
}

/// The connection to GitHub, and in `context` what only GitHub knows. `None` where nothing is to be written.
fn open_link(stage: &mut Stage, context: &mut Context, args: &GitHubArgs) -> Option<Link> {
    let link = Link::open(context, args)?;
    match link.complete(context) {
        Ok(is_current) => is_current.then_some(link),
        Err(error) => {
            github::warn(stage, &error);
            None
        }
    }
}

/// Opens the check run, where one is wanted. A failure to open it does not stop training.
fn start(
    stage: &mut Stage,
    reporter: Option<&Reporter<'_>>,
    model: &str,
) -> anyhow::Result<ExitCode> {
    let Some(reporter) = reporter else {
        tracing::info!("no check run is opened");
        return Ok(ExitCode::Success);
    };
    let url = match reporter.start(model) {
        Ok(url) => url,
        Err(error) => {
            github::warn(stage, &error);
            None
        }
    };
    stage.set_output("check-url", url.unwrap_or_default())?;
    Ok(ExitCode::Success)
}
