//! Rules applied to a scorecard.
//!
//! Property that must hold: turning one more row wrong never makes a rule greener.

use super::{Level, Measured, Rule, Scorecard, WhenUncertain};
use crate::digest::Sha256Digest;
use crate::metrics::Direction;
use crate::statistics::{self, Interval, IntervalMethod};
use crate::verdict::{
    BaselineReference, Decision, MetricRow, PairedComparison, RuleResult, SCHEMA_VERSION, Verdict,
};

/// Relative slack of comparisons, so that 0.98 - 0.97 does not exceed 0.01 by rounding.
const SLACK: f64 = 1e-12;

/// A relative change is over the baseline's magnitude, which counts as at least this.
const MAGNITUDE_FLOOR: f64 = 1e-9;

/// What a verdict names beside the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// Digest of the rules.
    pub rules_digest: Sha256Digest,
    /// Version of Trainyard.
    pub trainyard_version: String,
    /// Commit that was checked out, when known.
    pub commit: Option<String>,
}

/// Judges `candidate` against `baseline` by `rules`.
///
/// An `Err` text says why the candidate could not be read: that is inconclusive.
pub fn judge(
    rules: &[Rule],
    candidate: Result<&Scorecard, &str>,
    baseline: &Baseline,
    chain: Chain,
) -> Verdict {
    let mut notes = Vec::new();
    if rules.is_empty() {
        notes.push(
            "There are no rules, so nothing was judged: add `[[gate.rules]]` to the configuration."
                .to_owned(),
        );
    }
    if let Err(reason) = candidate {
        notes.push(format!("The metrics could not be read: {reason}."));
    }
    let comparison = Comparison::of(candidate.ok(), baseline);
    notes.extend(comparison.note());

    let mut results = Vec::new();
    for (rule_idx, rule) in rules.iter().enumerate() {
        let Ok(scorecard) = candidate else { continue };
        for bound in bounds(rule) {
            results.push(judge_bound(rule_idx, rule, bound, scorecard, &comparison));
        }
    }
    let unjudged = rules.is_empty() || candidate.is_err();
    let worst = results
        .iter()
        .map(|result| result.decision)
        .max()
        .unwrap_or(Decision::Inconclusive);
    let worst = if unjudged {
        worst.max(Decision::Inconclusive)
    } else {
        worst
    };
    // With nothing but skipped comparisons, nothing has been shown.
    let verdict = if worst == Decision::Skipped {
        Decision::Inconclusive
    } else {
        worst
    };
    Verdict {
        schema_version: SCHEMA_VERSION,
        verdict,
        summary: summary(verdict, &results, unjudged),
        model_name: candidate.ok().and_then(|card| card.model_name.clone()),
        model_digest: candidate.ok().and_then(|card| card.model_digest.clone()),
        evaluation_digest: candidate.ok().map(|card| card.source_digest.clone()),
        rules_digest: chain.rules_digest,
        n_rows: candidate.ok().and_then(|card| card.n_rows),
        rules: results,
        metrics: candidate
            .map(|card| metric_rows(card, &comparison))
            .unwrap_or_default(),
        baseline: comparison.reference(),
        notes,
        overridden: None,
        files: Vec::new(),
        trainyard_version: chain.trainyard_version,
        commit: chain.commit,
    }
}

/// What there is to compare with.
#[derive(Debug, Clone, PartialEq)]
pub enum Baseline {
    /// There is none, for this reason: rules that compare are skipped, and the verdict says so.
    None(String),
    /// It is configured, but cannot be read: rules that compare cannot be judged.
    Unreadable {
        /// Where it should have come from.
        source: String,
        /// Why it could not be read.
        reason: String,
    },
    /// It is at hand.
    Ready {
        /// Where it came from.
        source: String,
        /// What it measured.
        card: Box<Scorecard>,
    },
}

/// A baseline, set beside the candidate.
enum Comparison<'a> {
    /// None is configured, or a missing one is allowed.
    None(&'a str),
    /// It is configured, but cannot be compared with.
    Unusable { source: &'a str, reason: &'a str },
    /// It is at hand.
    Ready {
        source: &'a str,
        card: &'a Scorecard,
        has_same_rows: Option<bool>,
        paired: Option<PairedComparison>,
    },
}

impl<'a> Comparison<'a> {
    fn of(candidate: Option<&Scorecard>, baseline: &'a Baseline) -> Self {
        match baseline {
            Baseline::None(reason) => Self::None(reason),
            Baseline::Unreadable { source, reason } => Self::Unusable { source, reason },
            Baseline::Ready { source, card } => {
                let has_same_rows = candidate.and_then(|candidate| {
                    Some(candidate.row_set_digest.as_ref()? == card.row_set_digest.as_ref()?)
                });
                let paired = candidate
                    .filter(|_| has_same_rows == Some(true))
                    .and_then(|new| pair(new, card, 0.95));
                Self::Ready {
                    source,
                    card,
                    has_same_rows,
                    paired,
                }
            }
        }
    }

    fn note(&self) -> Option<String> {
        match self {
            Self::None(reason) => {
                Some(format!("There is no baseline to compare with ({reason}): only absolute bounds were judged."))
            }
            Self::Unusable { source, reason } => Some(format!("The baseline `{source}` could not be read: {reason}.")),
            Self::Ready { has_same_rows: Some(false), .. } => Some(
                "The baseline was scored on other rows, so a change cannot be judged: score the baseline's model on today's rows with `trainyard-evaluate --model`."
                    .to_owned(),
            ),
            Self::Ready { has_same_rows: None, .. } => {
                Some("Whether the baseline was scored on the same rows is not known: the files do not say.".to_owned())
            }
            Self::Ready { .. } => None,
        }
    }

    fn reference(&self) -> Option<BaselineReference> {
        match self {
            Self::Ready {
                source,
                card,
                has_same_rows,
                paired,
            } => Some(BaselineReference {
                source: (*source).to_owned(),
                model_digest: card.model_digest.clone(),
                has_same_rows: *has_same_rows,
                paired: paired.clone(),
            }),
            _ => None,
        }
    }
}

/// Rows that only one of the two predicts right.
fn pair(new: &Scorecard, old: &Scorecard, confidence: f64) -> Option<PairedComparison> {
    let (new_misses, old_misses, n_rows) =
        (new.misses.as_ref()?, old.misses.as_ref()?, new.n_rows?);
    let n_lost = new_misses.difference(old_misses).count() as u64;
    let n_gained = old_misses.difference(new_misses).count() as u64;
    let interval = statistics::paired_difference(n_gained, n_lost, n_rows, confidence)?;
    Some(PairedComparison {
        n_rows,
        n_gained,
        n_lost,
        difference: (n_gained as f64 - n_lost as f64) / n_rows as f64,
        interval,
        p_value: statistics::mcnemar_exact(n_gained, n_lost),
        detectable: (interval.upper - interval.lower) / 2.0,
    })
}

/// One bound of a rule.
#[derive(Clone, Copy)]
enum Bound {
    Min(f64),
    Max(f64),
    MaxDrop(f64),
    MaxDropPct(f64),
    MinGain(f64),
}

fn bounds(rule: &Rule) -> Vec<Bound> {
    let Rule {
        min,
        max,
        max_drop,
        max_drop_pct,
        min_gain,
        ..
    } = rule;
    [
        min.map(Bound::Min),
        max.map(Bound::Max),
        max_drop.map(Bound::MaxDrop),
        max_drop_pct.map(Bound::MaxDropPct),
        min_gain.map(Bound::MinGain),
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Bound {
    fn wanted(self, confidence: Option<f64>) -> String {
        let text = match self {
            Self::Min(bound) => format!("at least {bound}"),
            Self::Max(bound) => format!("at most {bound}"),
            Self::MaxDrop(bound) => format!("worse than the baseline by at most {bound}"),
            Self::MaxDropPct(bound) => format!("worse than the baseline by at most {bound} %"),
            Self::MinGain(bound) => format!("better than the baseline by at least {bound}"),
        };
        match confidence {
            Some(level) => format!("{text}, with {} % confidence", percent(level)),
            None => text,
        }
    }
}

/// How a bound came out, before its rule's level weighs it.
enum Outcome {
    Holds(String),
    Missed(String),
    Uncertain(String),
    Unjudgeable(String),
    Skipped(String),
}

fn judge_bound(
    rule_idx: usize,
    rule: &Rule,
    bound: Bound,
    card: &Scorecard,
    comparison: &Comparison<'_>,
) -> RuleResult {
    let measured = card.get(&rule.metric, rule.class.as_deref());
    let mut judged_by = None;
    let outcome = match measured {
        None => Outcome::Unjudgeable(absent(rule, card)),
        Some(measured) if !measured.value.is_finite() => Outcome::Unjudgeable(format!(
            "{} is {}, which is no number to judge",
            rule.subject(),
            measured.value
        )),
        Some(measured) => match too_few_rows(rule, measured) {
            Some(reason) => Outcome::Unjudgeable(reason),
            None => match bound {
                Bound::Min(min) => absolute(rule, measured, min, true, &mut judged_by),
                Bound::Max(max) => absolute(rule, measured, max, false, &mut judged_by),
                Bound::MaxDrop(_) | Bound::MaxDropPct(_) | Bound::MinGain(_) => {
                    relative(rule, measured, bound, card, comparison, &mut judged_by)
                }
            },
        },
    };
    let is_missed = matches!(outcome, Outcome::Missed(_) | Outcome::Unjudgeable(_));
    let (decision, reason) = weigh(rule, outcome);
    RuleResult {
        rule_idx,
        subject: rule.subject(),
        wanted: bound.wanted(rule.confidence),
        measured: measured
            .map(|measured| measured.value)
            .filter(|value| value.is_finite()),
        interval: judged_by,
        level: rule.level,
        decision,
        is_missed,
        reason,
    }
}

/// Only rules of level `fail` can fail the gate or make it inconclusive.
fn weigh(rule: &Rule, outcome: Outcome) -> (Decision, String) {
    let (decision, reason) = match outcome {
        Outcome::Holds(reason) => (Decision::Pass, reason),
        Outcome::Missed(reason) => (Decision::Fail, reason),
        Outcome::Unjudgeable(reason) => (Decision::Inconclusive, reason),
        Outcome::Skipped(reason) => (Decision::Skipped, reason),
        Outcome::Uncertain(reason) => (
            match rule.when_uncertain {
                WhenUncertain::Warn => Decision::Warn,
                WhenUncertain::Fail => Decision::Fail,
                WhenUncertain::Pass => Decision::Pass,
            },
            reason,
        ),
    };
    let heaviest = match rule.level {
        Level::Fail => Decision::Fail,
        Level::Warn => Decision::Warn,
        Level::Info => Decision::Pass,
    };
    (decision.min(heaviest), reason)
}

fn absent(rule: &Rule, card: &Scorecard) -> String {
    // Names may be somebody else's, and many.
    const MAX_NAMES: usize = 20;
    const MAX_CHARS: usize = 80;
    let names: Vec<&str> = card
        .metrics
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.chars().count() <= MAX_CHARS)
        .collect();
    let subject = rule.subject();
    match names
        .iter()
        .min_by_key(|name| strsim::damerau_levenshtein(name, &rule.metric))
    {
        Some(nearest)
            if rule.class.is_none() && strsim::damerau_levenshtein(nearest, &rule.metric) <= 3 =>
        {
            format!("there is no metric `{subject}`; did you mean `{nearest}`?")
        }
        _ => {
            let n_more = card.metrics.len() - names.len().min(MAX_NAMES);
            let more = if n_more > 0 {
                format!(" and {n_more} more")
            } else {
                String::new()
            };
            let shown = names[..names.len().min(MAX_NAMES)].join(", ");
            format!("there is no metric `{subject}`; there are {shown}{more}")
        }
    }
}

fn too_few_rows(rule: &Rule, measured: &Measured) -> Option<String> {
    let min_rows = rule.min_rows?;
    match measured.n_rows {
        Some(n_rows) if n_rows >= min_rows => None,
        Some(n_rows) => Some(format!(
            "{n_rows} rows are fewer than the {min_rows} that the rule asks for"
        )),
        None => Some(format!(
            "the number of rows is not known, but the rule asks for {min_rows}"
        )),
    }
}

fn slack(bound: f64) -> f64 {
    SLACK * bound.abs().max(1.0)
}

fn absolute(
    rule: &Rule,
    measured: &Measured,
    bound: f64,
    is_min: bool,
    judged_by: &mut Option<Interval>,
) -> Outcome {
    let (mut judged, mut what) = (measured.value, figure(measured.value));
    if let Some(level) = rule.confidence {
        let Some(interval) = interval_at(measured, level) else {
            let reason = match measured.interval {
                Some(interval) => format!(
                    "its interval is at {} %; set `[evaluate] confidence = {level}` to judge at that level",
                    percent(interval.confidence)
                ),
                None => "it has no interval to judge by".to_owned(),
            };
            return Outcome::Unjudgeable(format!("{}: {reason}", rule.subject()));
        };
        *judged_by = Some(interval);
        judged = if is_min {
            interval.lower
        } else {
            interval.upper
        };
        what = format!(
            "{} ({} to {})",
            figure(measured.value),
            figure(interval.lower),
            figure(interval.upper)
        );
    }
    let holds = if is_min {
        judged >= bound - slack(bound)
    } else {
        judged <= bound + slack(bound)
    };
    let side = if is_min { "at least" } else { "at most" };
    if holds {
        Outcome::Holds(format!("{what} is {side} {bound}"))
    } else {
        Outcome::Missed(format!("{what} is not {side} {bound}"))
    }
}

/// The interval at `confidence`: as stored, or worked out anew where the count of rows is enough for it.
fn interval_at(measured: &Measured, confidence: f64) -> Option<Interval> {
    let interval = measured.interval?;
    if (interval.confidence - confidence).abs() < SLACK {
        return Some(interval);
    }
    let n_rows = measured
        .n_rows
        .filter(|_| interval.method == IntervalMethod::Wilson)?;
    let n_right = (measured.value * n_rows as f64).round() as u64;
    statistics::wilson(n_right, n_rows, confidence)
        .filter(|_| (n_right as f64 / n_rows as f64 - measured.value).abs() < 1e-9)
}

fn relative(
    rule: &Rule,
    measured: &Measured,
    bound: Bound,
    card: &Scorecard,
    comparison: &Comparison<'_>,
    judged_by: &mut Option<Interval>,
) -> Outcome {
    let (baseline, has_same_rows) = match comparison {
        Comparison::None(reason) => return Outcome::Skipped(format!("not judged: {reason}")),
        Comparison::Unusable { source, .. } => {
            return Outcome::Unjudgeable(format!("the baseline `{source}` could not be read"));
        }
        Comparison::Ready {
            card,
            has_same_rows,
            ..
        } => (*card, *has_same_rows),
    };
    if has_same_rows == Some(false) {
        return Outcome::Unjudgeable("the baseline was scored on other rows".to_owned());
    }
    let Some(old) = baseline
        .get(&rule.metric, rule.class.as_deref())
        .filter(|old| old.value.is_finite())
    else {
        return Outcome::Unjudgeable(format!("the baseline has no metric `{}`", rule.subject()));
    };
    let Some(direction) = rule.direction.or(measured.direction) else {
        return Outcome::Unjudgeable(format!(
            "it is not known which way `{}` is better",
            rule.metric
        ));
    };
    let improvement = direction.improvement(measured.value, old.value);
    let shown = format!("{} against {}", figure(measured.value), figure(old.value));
    let least = match bound {
        Bound::MinGain(gain) => gain,
        Bound::MaxDropPct(pct) => -pct / 100.0 * old.value.abs().max(MAGNITUDE_FLOOR),
        Bound::MaxDrop(drop) | Bound::Min(drop) | Bound::Max(drop) => -drop,
    };
    let holds = improvement >= least - slack(least);
    let Some(level) = rule.confidence else {
        return if holds {
            Outcome::Holds(shown)
        } else {
            Outcome::Missed(shown)
        };
    };
    let Some(paired) = pair(card, baseline, level) else {
        return Outcome::Unjudgeable(
            "the rows predicted wrong are not listed, so the two cannot be paired".to_owned(),
        );
    };
    *judged_by = Some(paired.interval);
    let shown = format!(
        "{shown}; change {} to {} at {} %, McNemar p = {:.3}, these rows can show about {}",
        figure(paired.interval.lower),
        figure(paired.interval.upper),
        percent(level),
        paired.p_value,
        figure(paired.detectable)
    );
    match bound {
        // A gain must be proven; a drop beyond the tolerance fails only when it is proven.
        Bound::MinGain(_) if paired.interval.lower >= least - slack(least) => Outcome::Holds(shown),
        Bound::MinGain(_) => Outcome::Missed(shown),
        _ if holds => Outcome::Holds(shown),
        _ if paired.interval.upper < least => Outcome::Missed(shown),
        _ => Outcome::Uncertain(shown),
    }
}

fn metric_rows(card: &Scorecard, comparison: &Comparison<'_>) -> Vec<MetricRow> {
    let old = match comparison {
        Comparison::Ready { card, .. } => Some(*card),
        _ => None,
    };
    let row = |(name, measured): &(String, Measured)| {
        let baseline = old
            .and_then(|old| old.get(name, None))
            .map(|old| old.value)
            .filter(|value| value.is_finite());
        let improvement = |(baseline, direction): (f64, Direction)| {
            direction.improvement(measured.value, baseline)
        };
        MetricRow {
            name: name.clone(),
            value: measured.value,
            interval: measured.interval,
            direction: measured.direction,
            baseline,
            improvement: baseline.zip(measured.direction).map(improvement),
        }
    };
    card.metrics
        .iter()
        .filter(|(_, measured)| measured.value.is_finite())
        .map(row)
        .collect()
}

fn summary(verdict: Decision, results: &[RuleResult], unjudged: bool) -> String {
    if unjudged {
        return "The model could not be judged.".to_owned();
    }
    let count = |decision| {
        results
            .iter()
            .filter(|result| result.decision == decision)
            .count()
    };
    let rules = |n: usize| {
        if n == 1 {
            "1 rule".to_owned()
        } else {
            format!("{n} rules")
        }
    };
    let (failed, inconclusive, warned) = (
        count(Decision::Fail),
        count(Decision::Inconclusive),
        count(Decision::Warn),
    );
    let skipped = match count(Decision::Skipped) {
        0 => String::new(),
        n => format!(" {} skipped for want of a baseline.", rules(n)),
    };
    let decided = match verdict {
        Decision::Fail => format!("{} missed.", rules(failed)),
        Decision::Inconclusive => format!("{} could not be judged.", rules(inconclusive)),
        Decision::Warn => format!(
            "Passed with {}.",
            if warned == 1 {
                "1 warning".to_owned()
            } else {
                format!("{warned} warnings")
            }
        ),
        Decision::Pass | Decision::Skipped => match count(Decision::Pass) {
            1 => "The rule holds.".to_owned(),
            n => format!("All {n} rules hold."),
        },
    };
    format!("{decided}{skipped}")
}

/// A figure as people read it: five significant digits, no trailing zeros.
pub fn figure(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return format!("{value}");
    }
    if !(1e-9..1e15).contains(&value.abs()) {
        return format!("{value:.4e}");
    }
    let digits = (4 - value.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

fn percent(share: f64) -> String {
    figure(share * 100.0)
}
