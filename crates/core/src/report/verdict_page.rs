//! The verdict as one self-contained page: rules, rows that flipped, and how the confusion matrix changed.
//!
//! Every text is escaped by the template; an address is a link only where it begins with `http`.

use std::collections::BTreeSet;

use minijinja::{AutoEscape, Environment, Value, context};

use super::flips::signed;
use super::html::{STYLE, code_spans};
use super::{Report, change_of, shortened, values_of};
use crate::figure::count;
use crate::gate::{Comparison, Flip, Flips, GroupResult, RuleResult};
use crate::measurement::Measurement;
use crate::metrics::catalog;

/// Classes up to which the difference of confusion is a matrix.
const MAX_MATRIX: usize = 30;

/// `verdict.html`, with styles and tables inside, light and dark.
pub(super) fn render(report: &Report<'_>) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("code", code_spans);
    environment.add_template("verdict.html", include_str!("verdict.html.j2"))?;
    let verdict = report.verdict;
    let model = shortened(verdict.model_name.as_deref().unwrap_or("model"));
    let is_shared = verdict.shared_rows().is_some();
    let figures = |row: &Comparison| figures(row, is_shared);
    let metrics: Vec<Value> = verdict.headline().map(figures).collect();
    environment.get_template("verdict.html")?.render(context! {
        style => Value::from_safe_string(STYLE.to_owned()),
        title => report.title(),
        model,
        word => verdict.verdict.word(),
        decision => report.decision(),
        summary => verdict.summary.as_str(),
        overridden => verdict.overridden.as_ref().map(|found| context! {
            by => found.by.as_str(), reason => found.reason.as_str(),
        }),
        notes => Value::from(verdict.notes.clone()),
        rules => verdict.rules.iter().map(|result| rule(result, figures(&result.comparison))).collect::<Vec<Value>>(),
        groups => verdict.groups.iter().map(GroupResult::words).collect::<Vec<String>>(),
        flips => verdict.flips.as_ref().filter(|flips| flips.n_lost + flips.n_gained > 0).map(flipped),
        metrics,
        provenance => provenance(report),
    })
}

/// The figures of a line. Where the change `is_of_shared_rows`, the three are of different rows, and each says of how many.
fn figures(row: &Comparison, is_of_shared_rows: bool) -> Value {
    let (value, baseline) = values_of(row);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let rows = |found: &Option<Measurement>| {
        let n_rows = found.as_ref().filter(|_| is_of_shared_rows)?.n_rows?;
        Some(count(n_rows, catalog::counted(&row.key.metric)))
    };
    context! {
        key => row.key.to_string(), value => or_dash(value), baseline => or_dash(baseline),
        change => or_dash(change_of(row)), value_rows => rows(&row.measured), baseline_rows => rows(&row.baseline),
        change_rows => rows(&row.change).map(|rows| format!("{rows} of both")),
    }
}

fn rule(result: &RuleResult, figures: Value) -> Value {
    context! {
        wanted => result.wanted.as_str(), reason => result.reason.as_str(), word => result.word(),
        decision => result.decision.word(),
        ..figures
    }
}

fn flipped(flips: &Flips) -> Value {
    let classes = flips.classes.iter().map(|class| {
        context! { class => class.class.as_str(), n_lost => class.n_lost, n_gained => class.n_gained }
    });
    let lists = [
        ("Newly wrong", &flips.lost, flips.n_lost, true),
        ("Newly right", &flips.gained, flips.n_gained, false),
    ];
    let lists = lists.into_iter().filter(|(_, rows, ..)| !rows.is_empty());
    let lists = lists.map(|(title, rows, n_all, is_open)| {
        let n_more = n_all - rows.len() as u64;
        context! {
            title, is_open, rows => rows.iter().map(flip).collect::<Vec<Value>>(),
            has_before => rows.iter().any(|row| row.before.is_some()),
            n_more => (n_more > 0).then(|| count(n_more, "more row")),
        }
    });
    let changes = flips.confusion_changes.iter().map(|change| {
        context! {
            label => change.label.as_str(), predicted => change.predicted.as_str(), rows => signed(change.n_more),
        }
    });
    context! {
        n_lost => flips.n_lost, n_gained => flips.n_gained, rows => count(flips.n_rows, "row"),
        classes => classes.collect::<Vec<Value>>(), lists => lists.collect::<Vec<Value>>(),
        matrix => matrix(flips), changes => changes.collect::<Vec<Value>>(),
    }
}

fn flip(row: &Flip) -> Value {
    let is_address = |link: &&String| link.starts_with("https://") || link.starts_with("http://");
    context! {
        row => row.row.as_str(), label => row.label.as_str(), before => row.before.as_deref(),
        now => row.now.as_str(), link => row.link.as_ref().filter(is_address),
    }
}

/// By how many rows each kind of confusion grew or shrank; nothing where there are too many classes.
fn matrix(flips: &Flips) -> Option<Value> {
    let changes = &flips.confusion_changes;
    let names: BTreeSet<&str> = changes
        .iter()
        .flat_map(|change| [change.label.as_str(), change.predicted.as_str()])
        .collect();
    if names.is_empty() || names.len() > MAX_MATRIX {
        return None;
    }
    let largest = changes
        .iter()
        .map(|change| change.n_more.unsigned_abs())
        .max()?;
    let cell = |label: &str, predicted: &str| {
        let n_more = changes
            .iter()
            .find(|change| change.label == label && change.predicted == predicted)
            .map_or(0, |change| change.n_more);
        let kind = match n_more {
            0 => None,
            n if n > 0 => Some("more"),
            _ => Some("fewer"),
        };
        // The faintest that can be seen, up to a ground on which black and white text can be read.
        let share = 0.15 + 0.35 * n_more.unsigned_abs() as f64 / largest.max(1) as f64;
        let text = if label == predicted {
            "·".to_owned()
        } else {
            signed(n_more)
        };
        context! { kind, share => format!("{share:.2}"), text }
    };
    let rows = names.iter().map(|label| {
        let cells = names.iter().map(|predicted| cell(label, predicted));
        context! { label => *label, cells => cells.collect::<Vec<Value>>() }
    });
    Some(context! {
        names => names.iter().map(|name| Value::from(*name)).collect::<Vec<Value>>(),
        rows => rows.collect::<Vec<Value>>(),
    })
}

fn provenance(report: &Report<'_>) -> Vec<Value> {
    let verdict = report.verdict;
    let digest =
        |digest: &Option<crate::digest::Sha256Digest>| digest.as_ref().map(ToString::to_string);
    let baseline = verdict.baseline.as_ref();
    let facts = [
        ("model", digest(&verdict.model_digest)),
        ("evaluation", digest(&verdict.evaluation_digest)),
        ("rules", Some(verdict.rules_digest.to_string())),
        ("test data", digest(&verdict.data_digest)),
        ("baseline", baseline.map(|baseline| baseline.source.clone())),
        (
            "baseline's model",
            baseline.and_then(|baseline| digest(&baseline.model_digest)),
        ),
        ("commit", verdict.commit.clone()),
        ("run", report.run_url.map(str::to_owned)),
        ("Trainyard", Some(verdict.trainyard_version.clone())),
    ];
    let known = facts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    known
        .map(|(name, value)| Value::from(vec![name.to_owned(), value]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::ConfusionChange;
    use crate::measurement::{Direction, MetricKey, Unit};

    fn flips(classes: usize) -> Flips {
        let change = |idx: usize| ConfusionChange {
            label: format!("<{idx}>"),
            predicted: "other".to_owned(),
            n_more: idx as i64 - 2,
        };
        Flips {
            n_rows: 100,
            n_lost: 60,
            n_gained: 0,
            lost: vec![Flip {
                row: "<script>".to_owned(),
                label: "a".to_owned(),
                before: Some("a".to_owned()),
                now: "b".to_owned(),
                link: Some("javascript:alert(1)".to_owned()),
            }],
            gained: Vec::new(),
            classes: Vec::new(),
            confusion_changes: (0..classes).map(change).collect(),
        }
    }

    #[test]
    fn only_addresses_are_links_and_large_matrices_are_lists() {
        let shown = flipped(&flips(4));
        let lists = shown.get_attr("lists").unwrap();
        let row = lists
            .get_item_by_index(0)
            .unwrap()
            .get_attr("rows")
            .unwrap();
        let row = row.get_item_by_index(0).unwrap();
        assert!(row.get_attr("link").unwrap().is_none());
        assert_eq!(
            lists
                .get_item_by_index(0)
                .unwrap()
                .get_attr("n_more")
                .unwrap()
                .as_str(),
            Some("59 more rows")
        );
        assert!(matrix(&flips(4)).is_some());
        assert!(matrix(&flips(MAX_MATRIX)).is_none());
    }

    #[test]
    fn each_figure_says_its_rows_where_they_are_not_the_same() {
        let measured = |value: f64, n_rows: u64| {
            let accuracy = MetricKey::overall("accuracy");
            let direction = Some(Direction::HigherIsBetter);
            Some(Measurement {
                n_rows: Some(n_rows),
                ..Measurement::bare(accuracy, value, Some(Unit::Proportion), direction)
            })
        };
        let row = Comparison {
            key: MetricKey::overall("accuracy"),
            measured: measured(0.6, 60),
            baseline: measured(0.9, 45),
            change: measured(0.1, 40),
        };
        let shown = |is_shared: bool| {
            let figures = figures(&row, is_shared);
            ["value_rows", "baseline_rows", "change_rows"].map(|name| {
                let rows = figures.get_attr(name).unwrap();
                rows.as_str().map(str::to_owned)
            })
        };
        assert_eq!(
            shown(true).map(Option::unwrap_or_default),
            ["60 rows", "45 rows", "40 rows of both"]
        );
        assert_eq!(shown(false), [None, None, None]);
    }
}
