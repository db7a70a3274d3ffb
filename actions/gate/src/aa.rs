//! The A/A test: evaluations of the same configuration under other seeds in, how often each rule would have turned out
//! otherwise out. It judges the rules, not the model, so it writes no verdict.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde::Serialize;
use trainyard_core::config::JudgingConfig;
use trainyard_core::evaluation::{EVALUATION_FILE, Evaluation};
use trainyard_core::figure::{count, percent};
use trainyard_core::files;
use trainyard_core::gate::{Baseline, Case, Outcome, RulesInForce, RulesOrigin, Scorecard, Trust};
use trainyard_core::seed_scores::check_alike;
use trainyard_runner::{ExitCode, Stage, WithExitCode as _, folders_with};

use crate::Inputs;
use crate::shared::{self, Candidate, Origin};

/// The result beside the verdict's files.
const AA_FILE: &str = "aa.json";

/// One evaluation.
struct Sample {
    folder: PathBuf,
    card: Scorecard,
    evaluation: Evaluation,
}

/// What one bound came to over all judgements.
#[derive(Debug, Default, Serialize)]
struct Tally {
    /// Index of the rule in `[[gate.rules]]`, from 0.
    rule_idx: usize,
    /// Whether it compares two evaluations.
    compares: bool,
    /// The nominal share of misses, where the rule asks for a confidence.
    #[serde(skip_serializing_if = "Option::is_none")]
    nominal: Option<f64>,
    n_held: u32,
    n_missed: u32,
    n_uncertain: u32,
    n_not_judged: u32,
}

impl Tally {
    const fn n_judged(&self) -> u32 {
        self.n_held + self.n_missed + self.n_uncertain
    }

    fn record(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Holds => &mut self.n_held,
            Outcome::Missed => &mut self.n_missed,
            Outcome::Uncertain => &mut self.n_uncertain,
            Outcome::NotJudged | Outcome::Skipped => &mut self.n_not_judged,
        } += 1;
    }

    /// What the tally says of the rule.
    fn advice(&self) -> String {
        let share = |n: u32| percent(f64::from(n) / f64::from(self.n_judged()));
        if self.n_judged() == 0 {
            return "never judged".to_owned();
        }
        if self.n_missed == 0 {
            return "never missed".to_owned();
        }
        let missed = format!("missed {} % of the time", share(self.n_missed));
        match (self.compares, self.nominal) {
            (true, None) => format!(
                "{missed} though nothing changed: ask for `confidence`, or allow a larger change"
            ),
            (true, Some(nominal)) => {
                format!("{missed}; {} % are meant", percent(nominal))
            }
            (false, _) if self.n_held > 0 => {
                format!("{missed}: the seed decides; move the bound, or average over seeds")
            }
            (false, _) => missed,
        }
    }
}

/// Judges each evaluation below `folder` by absolute rules, and each against each other by rules that compare.
pub(crate) fn run(
    stage: &mut Stage,
    inputs: &Inputs,
    config: &JudgingConfig,
    folder: &Path,
) -> anyhow::Result<ExitCode> {
    let samples = samples(folder)?;
    let gate = &config.gate;
    let digest = gate.rules_digest().exit_code(ExitCode::Usage)?;
    let mut tallies: BTreeMap<(usize, String), Tally> = BTreeMap::new();
    for (idx, sample) in samples.iter().enumerate() {
        for (other_idx, other) in samples.iter().enumerate() {
            if idx == other_idx {
                continue;
            }
            // Absolute rules are counted once a sample.
            let is_first = other_idx == usize::from(idx == 0);
            let candidate = Candidate {
                card: &sample.card,
                evaluation: Some((&sample.evaluation, &sample.folder)),
            };
            let path = other.folder.join(EVALUATION_FILE);
            let baseline = Baseline::Ready {
                source: path.display().to_string(),
                card: Box::new(other.card.clone()),
                shared: None,
            };
            let (baseline, _) = shared::attach(
                baseline,
                gate,
                &config.evaluate,
                &candidate,
                &Origin::File(path),
            );
            let verdict = Case {
                rules: RulesInForce {
                    gate,
                    digest: digest.clone(),
                    origin: RulesOrigin::Own,
                },
                candidate: Ok(&sample.card),
                baseline: &baseline,
                trust: Trust::Verified,
                overridden: None,
                model_name: None,
                commit: None,
                trainyard_version: env!("CARGO_PKG_VERSION"),
                rule_changes: &[],
                must_pass: None,
                looks: Ok(None),
                evaluate: Some(&config.evaluate),
                fresh_rows: None,
                flips: None,
                notes: &[],
            }
            .judge();
            for rule in &verdict.rules {
                let compares = rule.bound.compares();
                if !compares && !is_first {
                    continue;
                }
                let words = format!("{} {}", rule.key(), rule.wanted);
                let tally = tallies.entry((rule.rule_idx, words)).or_default();
                tally.rule_idx = rule.rule_idx;
                tally.compares = compares;
                tally.nominal = rule.confidence.map(|level| (1.0 - level) / 2.0);
                tally.record(rule.outcome);
            }
        }
    }
    let path = inputs.stage.out.join("verdict").join(AA_FILE);
    let named: BTreeMap<&str, &Tally> = tallies
        .iter()
        .map(|((_, words), tally)| (words.as_str(), tally))
        .collect();
    files::write_json(&path, &named)?;
    let identical = identical(&samples);
    stage.print(&text(&samples, &tallies, &identical))?;
    stage.summarise(&markdown(&samples, &tallies, &identical));
    Ok(ExitCode::Success)
}

/// The evaluations in `folder` and the folders below it, by name: of one configuration, on the same rows, and one of each run.
fn samples(folder: &Path) -> anyhow::Result<Vec<Sample>> {
    const HINT: &str = "train and evaluate the same configuration with other seeds on the same rows: `--seed 1 --out seeds/1`, and so on";
    let found = folders_with(EVALUATION_FILE, folder, None).exit_code(ExitCode::Usage)?;
    if let Some(without) = found.named_without() {
        return Err(anyhow!(
            "`--aa {}`: there is no evaluation in {without}",
            folder.display()
        ))
        .exit_code(ExitCode::Data)
        .hint("run `trainyard-evaluate --out` with that folder, or move what is not a seed's out of `--aa`");
    }
    let found = found.with;
    if found.len() < 2 {
        return Err(anyhow!(
            "{} below `{}`, but at least 2 are compared",
            count(found.len() as u64, "evaluation"),
            folder.display()
        ))
        .exit_code(ExitCode::Usage)
        .hint(HINT);
    }
    let samples: Vec<Sample> = found
        .into_iter()
        .map(|folder| {
            let (evaluation, digest) = Evaluation::open(&folder).exit_code(ExitCode::Data)?;
            Ok(Sample {
                card: Scorecard::of_evaluation(&evaluation, digest),
                evaluation,
                folder,
            })
        })
        .collect::<anyhow::Result<_>>()?;
    let [first, others @ ..] = samples.as_slice() else {
        unreachable!("there are at least two");
    };
    let place = |sample: &Sample| sample.folder.display().to_string();
    for other in others {
        check_alike(
            (&place(first), &first.evaluation),
            (&place(other), &other.evaluation),
        )
        .map_err(|error| anyhow!("`--aa {}`: {error}", folder.display()))
        .exit_code(ExitCode::Data)
        .hint(HINT)?;
    }
    Ok(samples)
}

/// Samples with the same model and the same predictions, in sentences: between them no rule can turn out otherwise.
fn identical(samples: &[Sample]) -> Vec<String> {
    let mut alike: BTreeMap<_, Vec<String>> = BTreeMap::new();
    for Sample { folder, card, .. } in samples {
        if let Some(predictions) = &card.predictions_digest {
            let key = (
                card.model_digest.as_ref().map(ToString::to_string),
                predictions.to_string(),
            );
            let names = alike.entry(key).or_default();
            names.push(folder.display().to_string());
        }
    }
    let alike = alike.into_values().filter(|names| names.len() > 1);
    alike
        .map(|names| {
            format!(
                "{} are identical: the same model and the same predictions, so they prove nothing about each other. Train each with another `--seed`.",
                names.join(" and ")
            )
        })
        .collect()
}

fn text(
    samples: &[Sample],
    tallies: &BTreeMap<(usize, String), Tally>,
    identical: &[String],
) -> String {
    let mut text = format!(
        "A/A test of {}: the same configuration under other seeds\n",
        count(samples.len() as u64, "evaluation")
    );
    for ((rule_idx, words), tally) in tallies {
        let _ = writeln!(
            text,
            "[{rule_idx}] {words}: held {}, missed {}, uncertain {}, not judged {}: {}",
            tally.n_held,
            tally.n_missed,
            tally.n_uncertain,
            tally.n_not_judged,
            tally.advice()
        );
    }
    for sentence in identical {
        let _ = writeln!(text, "{sentence}");
    }
    text
}

fn markdown(
    samples: &[Sample],
    tallies: &BTreeMap<(usize, String), Tally>,
    identical: &[String],
) -> String {
    let mut text = format!(
        "### A/A test of {}\n\nThe same configuration under other seeds.\n\n| Rule | Held | Missed | Uncertain | Not judged | |\n| :-- | --: | --: | --: | --: | :-- |\n",
        count(samples.len() as u64, "evaluation")
    );
    for ((_, words), tally) in tallies {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            trainyard_core::report::escape(words),
            tally.n_held,
            tally.n_missed,
            tally.n_uncertain,
            tally.n_not_judged,
            tally.advice()
        );
    }
    for sentence in identical {
        let _ = writeln!(text, "\n{}", trainyard_core::report::escape(sentence));
    }
    text
}
