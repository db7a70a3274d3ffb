//! What a case needs beside its candidate: whose rules judge, and what it is compared with.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use trainyard_core::config::{ConfigError, GateConfig, JudgingConfig, config_changes};
use trainyard_core::error_chain::in_one_line;
use trainyard_core::evaluation::{EVALUATION_FILE, METRICS_FILE};
use trainyard_core::files;
use trainyard_core::gate::{
    Baseline, BaselineRecord, ChangeScope, Flips, FreshEvidence, Looks, Mark, MustPass, RuleChange,
    RulesFrom, RulesInForce, RulesOrigin, rule_changes,
};
use trainyard_runner::{Context, Event, Provider};

use crate::Inputs;
use crate::chosen::{Chosen, Places, Searched};
use crate::fresh_rows;
use crate::github::{Compared, OwnRecord, ReadError, Reporter, has_own_checkout, parsed};
use crate::published::Published;
use crate::shared::{self, Candidate, Origin};

/// What was looked up.
pub(crate) struct LookedUp {
    /// The section that judges.
    pub(crate) gate: GateConfig,
    pub(crate) origin: RulesOrigin,
    pub(crate) baseline: Baseline,
    /// The nearest record on GitHub, which brings the history, whatever the baseline is.
    pub(crate) record: Option<BaselineRecord>,
    /// What the search for it found besides, in sentences.
    pub(crate) notes: Vec<String>,
    /// What the commit itself has in the check for records.
    pub(crate) own_record: OwnRecord,
    /// The git tree of the tested commit, where known.
    pub(crate) tree_sha: Option<String>,
    /// What other pull requests with this head left in the check of this run's name; `None` where it was not read.
    pub(crate) other_marks: Option<Vec<Mark>>,
    /// The text of a baseline that does not lie here: the base branch's file, the evaluation of an image, or the baseline's
    /// model scored again.
    pub(crate) kept_file: Option<String>,
    /// Whether the baseline is `record`.
    pub(crate) is_record: bool,
    /// The rows that one of the two models predicts right and the other wrong, where known.
    pub(crate) flips: Option<Flips>,
    /// How the rows that rules list came out, by the file as the rule names it.
    pub(crate) must_pass: BTreeMap<String, Result<MustPass, String>>,
    /// The models judged on the same rows before, where they are counted; or why they are not known, as a clause.
    pub(crate) looks: Result<Option<Looks>, String>,
    /// The evidence of fresh rows, these included, where rules accumulate it.
    pub(crate) fresh_rows: Option<FreshEvidence>,
    /// What the change does to the rules that judge it.
    pub(crate) rule_changes: Vec<RuleChange>,
}

impl LookedUp {
    /// Looks the rules up first, since they say where the baseline lies.
    pub(crate) fn find(
        inputs: &Inputs,
        config: &JudgingConfig,
        context: &Context,
        reporter: Option<&Reporter<'_>>,
        model_name: &str,
        candidate: Option<&Candidate<'_>>,
    ) -> Self {
        let rules = Rules::find(config, context, reporter, &inputs.stage.config);
        let compared = reporter.map(|reporter| reporter.baseline(model_name));
        let base = inputs.stage.base();
        let compared = compared.unwrap_or_else(|| {
            Compared::with(Baseline::NotConfigured(
                match context.provider {
                    Provider::GitHubActions => {
                        "no baseline is configured, and earlier commits are not looked up without a token (`GITHUB_TOKEN`)"
                    }
                    _ => "no baseline is configured, and earlier commits are known on GitHub alone",
                }
                .to_owned(),
            ))
        });
        let Compared {
            baseline: found,
            is_at_bound,
            record,
            notes,
            own_record,
            tree_sha,
            other_marks,
        } = compared;
        let places = Places {
            inputs,
            gate: &rules.gate,
            origin: &rules.origin,
            reporter,
            published: Published {
                inputs,
                config: &config.image,
                context,
                model_name,
            },
        };
        let Chosen {
            mut baseline,
            mut origin,
            text: mut kept_file,
            mut notes,
        } = places.choose(Searched {
            baseline: found,
            is_at_bound,
            record: record.as_ref(),
            notes,
        });
        let is_record = matches!(origin, Some(Origin::Record(..)));
        if let Some(path) = &inputs.rescored {
            match shared::rescored(path, &baseline) {
                Ok((rescored, text)) => {
                    baseline = rescored;
                    kept_file = Some(text);
                    origin = Some(Origin::File(path.clone()));
                }
                Err(reason) => notes.push(format!("`{}` was not used: {reason}.", path.display())),
            }
        }
        if let Some(Origin::File(path)) = &origin
            && is_judged_file(path, inputs)
        {
            // Kept beside the verdict, so that `publish-image` judges by it too.
            kept_file = None;
            baseline = Baseline::Unavailable(format!(
                "`{}` is the evaluation that is judged: name an earlier one",
                path.display()
            ));
        }
        let mut flips = None;
        if let (Some(candidate), Some(origin)) = (candidate, &origin) {
            (baseline, flips) =
                shared::attach(baseline, &rules.gate, &config.evaluate, candidate, origin);
        }
        let must_pass = rules.listed(base, candidate, reporter);
        let looks = match reporter.filter(|_| rules.gate.sequential) {
            Some(reporter) => reporter
                .looks(model_name, record.as_ref())
                .map_err(|error| in_one_line(&error)),
            None => Ok(None),
        };
        if rules.gate.sequential && reporter.is_none() {
            notes.push(
                "How many models were judged on these rows before is known on GitHub alone, so this one counts as the first."
                    .to_owned(),
            );
        }
        let fresh_rows = fresh_rows::find(
            inputs,
            &rules.gate,
            candidate,
            &baseline,
            reporter.map(|reporter| (reporter, model_name)),
            record.as_ref(),
            &mut notes,
        );
        Self {
            baseline: baseline.under(rules.gate.on_missing_baseline),
            gate: rules.gate,
            origin: rules.origin,
            record,
            notes,
            own_record,
            tree_sha,
            other_marks,
            kept_file,
            is_record,
            flips,
            looks,
            fresh_rows,
            must_pass,
            rule_changes: rules.changes,
        }
    }

    /// Where the configuration cannot be read: nothing was looked up.
    pub(crate) fn broken(reason: String) -> Self {
        let gate = GateConfig::default();
        Self {
            gate,
            origin: RulesOrigin::Broken(reason),
            baseline: Baseline::NotConfigured("the configuration cannot be read".to_owned()),
            record: None,
            notes: Vec::new(),
            own_record: OwnRecord::There,
            tree_sha: None,
            other_marks: None,
            kept_file: None,
            is_record: false,
            flips: None,
            looks: Ok(None),
            fresh_rows: None,
            must_pass: BTreeMap::new(),
            rule_changes: Vec::new(),
        }
    }

    /// The rules as a case takes them.
    pub(crate) fn rules(&self) -> Result<RulesInForce<'_>, ConfigError> {
        Ok(RulesInForce {
            gate: &self.gate,
            digest: self.gate.rules_digest()?,
            origin: self.origin.clone(),
        })
    }

    /// Whether the lines of the rules are those of the configuration at hand.
    pub(crate) const fn has_own_rules(&self) -> bool {
        !matches!(self.origin, RulesOrigin::Base(_))
    }
}

struct Rules {
    gate: GateConfig,
    origin: RulesOrigin,
    changes: Vec<RuleChange>,
}

impl Rules {
    /// The base branch is asked on every change. Where it, or the change itself, wants the base's rules, its whole section
    /// judges; a change cannot take that back.
    fn find(
        config: &JudgingConfig,
        context: &Context,
        reporter: Option<&Reporter<'_>>,
        path: &Path,
    ) -> Self {
        let own = |origin| Self {
            gate: config.gate.clone(),
            origin,
            changes: Vec::new(),
        };
        let wants_base = config.gate.rules_from == RulesFrom::Base;
        let Some(reference) = reference(context) else {
            if wants_base && context.event == Event::Local {
                tracing::info!(
                    "`rules_from = \"base\"`: outside of CI no base branch is known, so the rules of this configuration judge"
                );
            }
            return own(RulesOrigin::Own);
        };
        let Some(reporter) = reporter else {
            return own(if wants_base {
                RulesOrigin::Unread("there is no token to read them with".to_owned())
            } else {
                RulesOrigin::Own
            });
        };
        let found = reporter.base_file(path, reference).and_then(|text| {
            let base = parsed(&text, path, reference)?;
            Ok((base, text))
        });
        let changes = |base: &GateConfig, text: &str| {
            let own = files::read_text(path).unwrap_or_default();
            let mut changes = rule_changes(base, &config.gate);
            changes.extend(config_changes(text, &own));
            changes
        };
        match found {
            Ok((base, text)) if wants_base || base.gate.rules_from == RulesFrom::Base => Self {
                origin: RulesOrigin::Base(reference.to_owned()),
                changes: {
                    let mut changes = changes(&base.gate, &text);
                    for change in &mut changes {
                        let is_rule = change.scope == ChangeScope::Judges;
                        let words = change.before.as_ref().or(change.after.as_ref());
                        let is_data = words.is_some_and(|words| {
                            words.starts_with("data.") || words.starts_with("evaluate.")
                        });
                        if is_rule && !is_data {
                            change.scope = ChangeScope::LaterJudges;
                        }
                    }
                    changes
                },
                gate: base.gate,
            },
            Ok((base, text)) => Self {
                changes: changes(&base.gate, &text),
                ..own(RulesOrigin::Own)
            },
            // The change brings the first configuration.
            Err(ReadError::NotThere) => own(RulesOrigin::Own),
            Err(ReadError::Other(reason)) => own(RulesOrigin::Unread(reason)),
        }
    }
}

impl Rules {
    /// How the rows that rules list came out. A list is read from where the rules are read.
    fn listed(
        &self,
        base: &Path,
        candidate: Option<&Candidate<'_>>,
        reporter: Option<&Reporter<'_>>,
    ) -> BTreeMap<String, Result<MustPass, String>> {
        let files = self
            .gate
            .rules
            .iter()
            .filter_map(|rule| rule.must_pass.as_ref());
        let judge = |file: &PathBuf| {
            let path = base.join(file);
            let text = match (&self.origin, reporter) {
                (RulesOrigin::Base(reference), Some(reporter)) => reporter
                    .base_file(&path, reference)
                    .map_err(|error| error.to_string())?
                    .into_bytes(),
                _ => files::read(&path).map_err(|error| in_one_line(&error))?,
            };
            let candidate = candidate.ok_or("the metrics could not be read")?;
            shared::must_pass(candidate, &text)
        };
        files
            .map(|file| (file.display().to_string(), judge(file)))
            .collect()
    }
}

/// Whether the baseline at `path` is what is judged: the very file, or another one of the same evaluation.
fn is_judged_file(path: &Path, inputs: &Inputs) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let Some(named) = real(path) else {
        return false;
    };
    if let Some(metrics) = &inputs.metrics {
        return real(metrics).as_ref() == Some(&named);
    }
    let default = || inputs.stage.out.join("evaluation");
    let folder = inputs.evaluation.clone().unwrap_or_else(default);
    [EVALUATION_FILE, METRICS_FILE]
        .iter()
        .any(|name| real(&folder.join(name)).as_ref() == Some(&named))
}

/// Where a change wants to go; `None` where nothing is changed, and where the rules at hand are the base's already, as in a
/// `workflow_run`, which has the default branch checked out.
fn reference(context: &Context) -> Option<&str> {
    match context.event {
        Event::WorkflowRun
            if context.base_branch == context.default_branch && has_own_checkout(context) =>
        {
            None
        }
        Event::MergeGroup => context.base_sha.as_deref(),
        _ => context.base_branch.as_deref(),
    }
}
