//! Conditions on single settings, and their words.

use super::error::Problem;

/// A condition on the setting at a place, and what to say where it does not hold.
pub(super) type Check<'a> = (&'a [&'a str], bool, &'static str);

pub(super) fn first_problem(checks: &[Check<'_>]) -> Result<(), Problem> {
    match checks.iter().find(|(_, holds, _)| !holds) {
        Some((place, _, problem)) => Err(Problem::at(place, *problem)),
        None => Ok(()),
    }
}

/// Refuses settings that have no effect: those of the table at `place` that are `given` but do not belong to `kind`.
pub(super) fn refuse_foreign(
    place: [&str; 2],
    kind: &str,
    given: &[(&str, bool)],
    own: &[&str],
) -> Result<(), Problem> {
    let is_foreign = |(key, is_given): &&(&str, bool)| *is_given && !own.contains(key);
    let Some((key, _)) = given.iter().find(is_foreign) else {
        return Ok(());
    };
    let [section, table] = place;
    let problem = Problem::at(
        &[section, table, key],
        format!("has no effect with `type = \"{kind}\"`"),
    );
    let own: Vec<String> = own.iter().map(|key| format!("`{key}`")).collect();
    Err(if own.is_empty() {
        problem.hint("remove this line")
    } else {
        problem.hint(format!("`{kind}` takes {}", own.join(", ")))
    })
}

pub(super) fn is_share(value: f64) -> bool {
    (0.0..1.0).contains(&value)
}

pub(super) const fn is_positive(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

pub(super) const fn is_not_negative(value: f64) -> bool {
    value.is_finite() && value >= 0.0
}
