//! The counts and figures behind a decision on a change, written out.

use super::step::Step;
use crate::figure::{count, percent};
use crate::gate::{Computation, HolmStep, PValueBound};
use crate::metrics::ChangedRows;

/// What `computation` was, step by step.
pub(super) fn computation_steps(computation: &Computation) -> Vec<Step> {
    let one = |what: &str, text: String| vec![Step::new(what, text)];
    match computation {
        Computation::Tango {
            n_gained,
            n_lost,
            n,
            least,
            statistic_lower,
            statistic_upper,
            quantile,
        } => {
            let shown = |statistic: &Option<f64>| {
                statistic.map_or_else(|| "not finite".to_owned(), |found| format!("{found}"))
            };
            vec![
                Step::new(
                    "rows that differ",
                    format!(
                        "{n_gained} gained, {n_lost} lost, of {n}: ({n_gained} − {n_lost}) / {n} = {}",
                        (*n_gained as f64 - *n_lost as f64) / *n as f64
                    ),
                ),
                Step::new(
                    "Tango's score statistic at the bound",
                    format!(
                        "({n_gained} − {n_lost} − {n} × {least} ∓ 1/2) over its standard deviation = {} for the lower end, {} for the upper; the bound holds above {quantile}, is missed below −{quantile}",
                        shown(statistic_lower),
                        shown(statistic_upper)
                    ),
                ),
            ]
        }
        Computation::Mean {
            moments,
            degrees_of_freedom,
            by_groups,
        } => {
            let what = if *by_groups { "group" } else { "row" };
            one(
                "differences",
                format!(
                    "the improvement of each of {}: mean = {}, variance = {}, skewness = {}; t with {degrees_of_freedom} degrees of freedom",
                    count(moments.n, what),
                    moments.mean,
                    moments.variance,
                    moments.skewness
                ),
            )
        }
        Computation::Delong {
            areas,
            variance,
            widened,
        } => one(
            "areas",
            format!(
                "{} − {}, of {} and {}; DeLong's variance of the difference = {} + {} = {variance}{}",
                areas.new_area,
                areas.old_area,
                count(areas.n_positives, "positive row"),
                count(areas.n_negatives, "negative row"),
                areas.positives.variance,
                areas.negatives.variance,
                match widened {
                    Some(widened) => format!(
                        ", widened by three rows' worth of change to {}; t with {} degrees of freedom",
                        widened.variance, widened.degrees_of_freedom
                    ),
                    None => "; no placement changes, so it is Tango's interval of no discordant row of the smaller class".to_owned(),
                },
            ),
        ),
        Computation::Cells {
            n_cells,
            n,
            n_classes,
            n_replicates,
        } => one(
            "bootstrap",
            format!(
                "{} in {} of label, old and new prediction, of {}; {n_replicates} replicates",
                count(*n, "row"),
                count(*n_cells, "cell"),
                match n_classes {
                    1 => "1 class".to_owned(),
                    n => format!("{n} classes"),
                },
            ),
        ),
        Computation::Folds {
            differences,
            mean,
            variance,
            factor,
            degrees_of_freedom,
        } => {
            let shown: Vec<String> = differences.iter().map(f64::to_string).collect();
            vec![
                Step::new(
                    "differences of the folds",
                    format!("{}: mean = {mean}, variance = {variance}", shown.join(", ")),
                ),
                Step::new(
                    "Nadeau and Bengio's factor",
                    format!(
                        "1 / J + n_test / n_train = {factor}, so the variance of the mean is {}; t with {degrees_of_freedom} degrees of freedom",
                        variance * factor
                    ),
                ),
            ]
        }
        Computation::ChangedRows { changed } => {
            let ChangedRows {
                n_worse,
                n_better,
                n,
                largest,
            } = changed;
            one(
                "rows that changed",
                format!(
                    "{n_worse} for the worse, {n_better} for the better, of {n}; each costs at most {largest} / {n}, times Clopper and Pearson's upper end of either share"
                ),
            )
        }
        Computation::TwoSamples {
            new,
            new_interval,
            old,
            old_interval,
        } => one(
            "two samples",
            format!(
                "{new} ({} to {}) and {old} ({} to {}), combined by MOVER",
                new_interval.lower, new_interval.upper, old_interval.lower, old_interval.upper
            ),
        ),
        Computation::EProcess { least, alpha, sets } => {
            let mut before = (0.0, 0.0);
            let mut steps: Vec<Step> = Vec::new();
            for (idx, set) in sets.iter().enumerate() {
                let (missed, holds) = (set.ln_e_missed, set.ln_e_holds);
                let product = |before: f64, after: f64| {
                    format!("e^{before} × e^{} = e^{after}", after - before)
                };
                steps.push(Step::new(
                    &format!("set {} ({})", idx + 1, set.rows_digest),
                    format!(
                        "{} gained, {} lost, {} the same, {} left out; for a miss {}, against it {}",
                        set.rows.n_gained,
                        set.rows.n_lost,
                        set.rows.n_same,
                        set.n_left_out,
                        product(before.0, missed),
                        product(before.1, holds)
                    ),
                ));
                before = (missed, holds);
            }
            steps.push(Step::new(
                "needed",
                format!(
                    "1 / {alpha} = e^{}, against an improvement a row of at least, or at most, {least}",
                    -alpha.ln()
                ),
            ));
            steps
        }
    }
}

/// How Holm's procedure came to one key.
pub(super) fn holm_step(step: &HolmStep) -> Step {
    let HolmStep {
        n_tests,
        n_left,
        level,
        p_value,
        p_value_bound,
        is_proven,
    } = step;
    let relation = match p_value_bound {
        None => "=",
        Some(PValueBound::AtLeast) => "≥",
        Some(PValueBound::AtMost) => "≤",
    };
    let p_value = p_value.map_or_else(
        || "tested at the level alone".to_owned(),
        |p_value| format!("p {relation} {p_value}"),
    );
    let found = if *is_proven { "proven" } else { "not proven" };
    Step::new(
        "Holm",
        format!(
            "{p_value}; a miss is {found} at {} %, the level of one end over {n_left} of {} left",
            percent(*level),
            count(*n_tests, "key")
        ),
    )
}
