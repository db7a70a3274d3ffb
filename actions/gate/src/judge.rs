//! Candidate and what was looked up in, verdict and record out.

use trainyard_core::config::EvaluateConfig;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::gate::{
    BaselineRecord, CandidateError, Case, ChangeScope, FreshRows, Looks, Mark, Override,
    PredictionsArtifact, Scorecard, Trust, Verdict,
};
use trainyard_runner::{Context, ExitCode, WithExitCode as _};

use crate::look_up::LookedUp;

/// What came out, and what reports need beside it.
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    /// What `evaluation.json` says in full, where that was judged.
    pub(crate) evaluation: Option<Evaluation>,
    /// What later commits are compared with.
    pub(crate) record: Option<BaselineRecord>,
    /// What a check keeps that holds no record.
    pub(crate) mark: Mark,
    /// The models judged on these rows, this one included, where they are counted.
    pub(crate) looks: Option<Looks>,
    /// The evidence of fresh rows, where there is any.
    pub(crate) fresh_rows: Option<FreshRows>,
}

/// What is judged, and by whom it is called what.
pub(crate) struct Subject<'a> {
    /// What was read, or why it cannot be judged.
    pub(crate) read: Result<(Scorecard, Option<Evaluation>), CandidateError>,
    /// The model's name by configuration or input.
    pub(crate) model_name: Option<&'a str>,
    /// `[evaluate]` of the configuration, where that could be read.
    pub(crate) evaluate: Option<&'a EvaluateConfig>,
    pub(crate) context: &'a Context,
    /// The artifact in which the workflow keeps the evaluation.
    pub(crate) artifact: Option<&'a str>,
}

/// Judges. `find_override` is asked only for a red verdict on something that was measured; the case is then judged again
/// with what it finds, since a verdict is never changed.
pub(crate) fn judge(
    subject: Subject<'_>,
    looked_up: &LookedUp,
    find_override: impl FnOnce(&Mark) -> Option<Override>,
) -> anyhow::Result<Judged> {
    let Subject {
        read,
        model_name,
        evaluate,
        context,
        artifact,
    } = subject;
    let card = read.as_ref().map(|(card, _)| card);
    let rules = looked_up.rules().exit_code(ExitCode::Usage)?;
    let mut notes = looked_up.record.as_ref().map_or_else(Vec::new, |record| {
        let mut notes = changes_since(record, card.ok(), &rules.digest);
        // What the report begins with need not be said again.
        if looked_up
            .rule_changes
            .iter()
            .any(|change| change.scope == ChangeScope::Judges)
        {
            notes.retain(|note| note != OTHER_RULES);
        }
        notes
    });
    notes.extend(looked_up.notes.iter().cloned());
    let case = Case {
        rules,
        candidate: card,
        baseline: &looked_up.baseline,
        trust: if context.is_unverified() {
            Trust::Unverified
        } else {
            Trust::Verified
        },
        overridden: None,
        model_name,
        commit: context.head_sha.as_deref(),
        trainyard_version: env!("CARGO_PKG_VERSION"),
        rule_changes: &looked_up.rule_changes,
        must_pass: Some(&looked_up.must_pass),
        looks: looked_up
            .looks
            .as_ref()
            .map(Option::as_ref)
            .map_err(String::as_str),
        evaluate,
        fresh_rows: looked_up.fresh_rows.as_ref(),
        flips: looked_up.flips.as_ref(),
        notes: &notes,
    };
    let mut verdict = case.judge();
    let rows_digest = card.ok().and_then(|card| card.rows.as_ref());
    let rows_digest = rows_digest.map(|rows| rows.digest.clone());
    let mark = |verdict: &Verdict| Mark {
        pull_request: context.pull_request,
        ..Mark::of(verdict, looked_up.tree_sha.clone(), rows_digest.clone())
    };
    let overridden = (card.is_ok() && !verdict.verdict.is_green())
        .then(|| find_override(&mark(&verdict)))
        .flatten();
    if let Some(overridden) = &overridden {
        verdict = Case {
            overridden: Some(overridden),
            ..case
        }
        .judge();
    }
    // A run that could not add to the evidence hands it on.
    let of_record = looked_up.record.as_ref();
    let fresh_rows = looked_up
        .fresh_rows
        .as_ref()
        .and_then(|evidence| evidence.process.as_ref())
        .or_else(|| of_record?.fresh_rows.as_ref());
    let record = card.ok().zip(context.head_sha.as_deref());
    let record = record.map(|(card, commit)| BaselineRecord {
        tree_sha: looked_up.tree_sha.clone(),
        predictions: predictions_of(card, context, artifact),
        fresh_rows: fresh_rows.cloned().map(FreshRows::without_many_ids),
        ..BaselineRecord::of(card, &verdict, commit, looked_up.record.as_ref())
    });
    let looks = card.ok().filter(|_| looked_up.gate.sequential);
    // A count that is not known is not begun anew.
    let before = looked_up.looks.as_ref().ok();
    let looks = looks.and_then(Looks::of).zip(before);
    let looks = looks.map(|(looks, before)| match before {
        Some(before) => looks.after(before),
        None => looks,
    });
    Ok(Judged {
        looks,
        fresh_rows: fresh_rows.cloned(),
        mark: mark(&verdict),
        verdict,
        record,
        evaluation: read.ok().and_then(|(_, evaluation)| evaluation),
    })
}

/// Where later runs find the predictions.
fn predictions_of(
    card: &Scorecard,
    context: &Context,
    artifact: Option<&str>,
) -> Option<PredictionsArtifact> {
    Some(PredictionsArtifact {
        run_id: context.run.as_ref()?.id.parse().ok()?,
        artifact: artifact?.to_owned(),
        sha256: card.predictions_digest.clone()?,
        n_rows: card.n_rows()?,
    })
}

const OTHER_RULES: &str = "The rules differ from those that judged the baseline.";

/// What a pull request must not change unseen: its own judges.
fn changes_since(
    record: &BaselineRecord,
    card: Option<&Scorecard>,
    rules_digest: &Sha256Digest,
) -> Vec<String> {
    let data_digest = card.and_then(|card| card.data_digest.as_ref());
    let rows = card
        .and_then(|card| card.rows.as_ref())
        .zip(record.rows.as_ref());
    // Another tool's predictions are another file each time, whatever rows they are of.
    let has_same_rows = rows.is_some_and(|(new, old)| new.matches(old).is_same() == Some(true));
    let has_other_data = !has_same_rows
        && data_digest.is_some()
        && record.data_digest.is_some()
        && data_digest != record.data_digest.as_ref();
    let changes = [
        (*rules_digest != record.rules_digest, OTHER_RULES),
        (
            has_other_data,
            "The test data differ from those of the baseline.",
        ),
    ];
    changes
        .into_iter()
        .filter(|(is_changed, _)| *is_changed)
        .map(|(_, note)| note.to_owned())
        .collect()
}
