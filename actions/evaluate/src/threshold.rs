//! The threshold that `[evaluate] threshold` asks for: a number, or chosen on rows that are not the test's.

use std::path::Path;

use anyhow::anyhow;
use trainyard_core::config::EvaluateConfig;
use trainyard_core::evaluation::AppliedThreshold;
use trainyard_core::figure::count;
use trainyard_core::prediction_task::PredictionTask;
use trainyard_core::scored_rows::ScoredRows;
use trainyard_core::threshold::{ChosenThreshold, ThresholdAim};
use trainyard_ml::chosen_threshold;
use trainyard_ml::predictions::{Given, Predictions};
use trainyard_runner::{ExitCode, WithExitCode as _};

const HINT: &str = "name a file of predictions for validation rows with `--threshold-from`, or write a number, such as `threshold = 0.5`";

/// Validation predictions, and the threshold that was chosen on them.
pub(crate) struct Validation {
    predictions: Predictions,
    chosen: ChosenThreshold,
}

impl Validation {
    /// Reads the file `from`, where one is named, and chooses by the aim of `evaluate`.
    pub(crate) fn read(
        from: Option<&Path>,
        evaluate: &EvaluateConfig,
        classes: Option<&[String]>,
    ) -> anyhow::Result<Option<Self>> {
        let Some(path) = from else { return Ok(None) };
        let Some((aim, positive_class)) = asked(evaluate) else {
            return Err(anyhow!(
                "`--threshold-from` has no effect without an aim"
            ))
            .exit_code(ExitCode::Usage)
            .hint("write an aim into the configuration, such as `threshold = { aim = \"max_f1\" }` and `positive_class`, or leave the input out");
        };
        // The further columns are those of the test rows; the aim decides no class yet.
        let settings = EvaluateConfig {
            columns: Vec::new(),
            slices: Vec::new(),
            ..evaluate.clone()
        };
        let given = Given {
            task: Some(PredictionTask::Classification),
            classes,
            evaluate: Some(&settings),
        };
        let predictions = Predictions::read(path, &given).exit_code(ExitCode::Data)?;
        let chosen = chosen_threshold::choose(&predictions, aim, positive_class)
            .map_err(|error| anyhow!("`{}`: {error}", path.display()))
            .exit_code(ExitCode::Data)?;
        Ok(Some(Self {
            predictions,
            chosen,
        }))
    }

    /// The threshold, once the rows are seen to be others than the `tested` ones, whose data have `digest`.
    fn apart_from(self, tested: &Predictions) -> anyhow::Result<ChosenThreshold> {
        let Self {
            predictions,
            chosen,
        } = self;
        match shared(&predictions, tested) {
            None => Ok(chosen),
            Some(problem) => Err(anyhow!(
                "the file of `--threshold-from` {problem}: a threshold chosen on test rows makes their figures too good"
            ))
            .exit_code(ExitCode::Data)
            .hint("name predictions for rows that were held out of the test rows and of training"),
        }
    }
}

fn asked(evaluate: &EvaluateConfig) -> Option<(ThresholdAim, &str)> {
    evaluate
        .threshold_aim()
        .zip(evaluate.positive_class.as_deref())
}

/// How the two share rows, as a clause; `None` where they are not seen to.
fn shared(validation: &Predictions, tested: &Predictions) -> Option<String> {
    if validation.digest == tested.digest {
        return Some("is the file of test predictions".to_owned());
    }
    let (left, right) = (&validation.rows, &tested.rows);
    if let (Some(ids), Some(tested)) = (&left.row_ids, &right.row_ids) {
        let tested: std::collections::BTreeSet<&String> = tested.iter().collect();
        let mut found = ids.iter().filter(|id| tested.contains(id));
        let first = found.next()?;
        let n_shared = 1 + found.count() as u64;
        return Some(format!(
            "holds {} of the test, such as `{first}`",
            count(n_shared, "row")
        ));
    }
    let is_same = left.labels == right.labels && left.scores == right.scores;
    is_same.then(|| "holds the labels and scores of the test rows".to_owned())
}

/// The configuration with a number in place of its aim, to read test predictions by.
pub(crate) fn settled(
    evaluate: &EvaluateConfig,
    validation: Option<&Validation>,
) -> anyhow::Result<EvaluateConfig> {
    let Some((aim, _)) = asked(evaluate) else {
        return Ok(evaluate.clone());
    };
    let Some(validation) = validation else {
        return Err(anyhow!(
            "`[evaluate] threshold = {}` is chosen on validation rows, which a file of test predictions does not hold",
            aim.written()
        ))
        .exit_code(ExitCode::Usage)
        .hint(HINT);
    };
    with(evaluate, &validation.chosen)
}

/// `evaluate` with the number that was chosen.
fn with(evaluate: &EvaluateConfig, chosen: &ChosenThreshold) -> anyhow::Result<EvaluateConfig> {
    let threshold = chosen
        .threshold
        .map(trainyard_core::config::Threshold::Fixed);
    if let Err(problem) = chosen.sentence() {
        return Err(anyhow!(
            "`[evaluate] threshold = {}`: {problem}",
            chosen.by.written()
        ))
        .exit_code(ExitCode::Data)
        .hint("ask for less with `at`, or improve the model");
    }
    Ok(EvaluateConfig {
        threshold,
        ..evaluate.clone()
    })
}

/// What test predictions were made by, and a note for readers.
pub(crate) fn applied(
    evaluate: &EvaluateConfig,
    validation: Option<Validation>,
    tested: &mut Predictions,
) -> anyhow::Result<Option<AppliedThreshold>> {
    let chosen = match validation {
        Some(validation) => {
            check_classes(&validation.predictions.rows, &tested.rows)?;
            Some(validation.apart_from(tested)?)
        }
        None => None,
    };
    Ok(noted(evaluate, chosen, tested))
}

/// The same for a model of ours: its own threshold, unless validation predictions are named.
pub(crate) fn of_model(
    evaluate: &EvaluateConfig,
    validation: Option<Validation>,
    of_model: Option<&ChosenThreshold>,
    tested: &mut Predictions,
) -> anyhow::Result<(EvaluateConfig, Option<AppliedThreshold>)> {
    let Some((aim, positive_class)) = asked(evaluate) else {
        let applied = noted(evaluate, None, tested);
        return Ok((evaluate.clone(), applied));
    };
    let chosen = match (validation, of_model) {
        (Some(validation), _) => {
            check_classes(&validation.predictions.rows, &tested.rows)?;
            validation.apart_from(tested)?
        }
        (None, Some(chosen)) if chosen.by == aim && chosen.positive_class == positive_class => {
            chosen.clone()
        }
        (None, _) => {
            return Err(anyhow!(
                "the model holds no threshold that was chosen by `{}` for the class `{positive_class}`",
                aim.written()
            ))
            .exit_code(ExitCode::Data)
            .hint(
                "run `trainyard-train`, which chooses it on the rows of `[data] validation_fraction`; for another tool's model, \
                 name a file of predictions for validation rows with `--threshold-from`",
            );
        }
    };
    let settled = with(evaluate, &chosen)?;
    let applied = noted(&settled, Some(chosen), tested);
    Ok((settled, applied))
}

fn noted(
    evaluate: &EvaluateConfig,
    chosen: Option<ChosenThreshold>,
    tested: &mut Predictions,
) -> Option<AppliedThreshold> {
    let value = evaluate.fixed_threshold().or(tested.threshold)?;
    let sentence = chosen.as_ref().map(ChosenThreshold::sentence);
    tested.notes.extend(sentence.and_then(Result::ok));
    Some(AppliedThreshold { value, chosen })
}

/// A score is compared with a threshold of the same class's scores.
fn check_classes(validation: &ScoredRows, tested: &ScoredRows) -> anyhow::Result<()> {
    if validation.classes == tested.classes {
        return Ok(());
    }
    let named = |rows: &ScoredRows| format!("`{}`", rows.classes.join("`, `"));
    Err(anyhow!(
        "the file of `--threshold-from` has the classes {}, and the test rows have {}",
        named(validation),
        named(tested)
    ))
    .exit_code(ExitCode::Data)
}
