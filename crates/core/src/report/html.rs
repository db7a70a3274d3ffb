//! The evaluation as one self-contained page.

use minijinja::{AutoEscape, Environment, HtmlEscape, Value, context};

use super::chart;
use super::classes::{ClassTable, OutputTable};
use super::curve_charts::{precision_recall_chart, reliability_chart, roc_chart};
use super::parts::{FoldFigures, SliceRow, SliceTable};
use crate::evaluation::{Evaluation, SeedSpread, SeedTable, WeakSegments};
use crate::figure::{self, count, figure, percent};
use crate::measurement::{Direction, Measurement, Unit};
use crate::metrics::catalog;

/// What all pages look like, light and dark.
pub(super) const STYLE: &str = include_str!("page.css");

/// `report.html`: metrics, classes and charts, with styles and figures inside, light and dark.
pub fn evaluation_page(evaluation: &Evaluation) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_filter("code", code_spans);
    environment.add_template("report.html", include_str!("report.html.j2"))?;
    // The catalog's metrics have a unit of its list; what has none is of a numeric column.
    let (of_catalog, of_columns): (Vec<&Measurement>, Vec<&Measurement>) =
        evaluation.shown().partition(|found| found.unit.is_some());
    let metrics: Vec<Value> = of_catalog.into_iter().map(shown).collect();
    let columns: Vec<Value> = of_columns.into_iter().map(shown).collect();
    let table = ClassTable::of(
        &evaluation.measurements,
        evaluation.confusion.as_ref(),
        &evaluation.classes,
    );
    let classes: Vec<Value> = table
        .rows
        .iter()
        .map(|row| {
            let cells = row.cells.iter().map(|cell| {
                let cell = cell.map_or_else(|| ["–".to_owned(), String::new()], |m| [figure(m.value), interval(m)]);
                Value::from(Vec::from(cell))
            });
            context! { name => row.class, support => row.support, cells => cells.collect::<Vec<Value>>() }
        })
        .collect();
    let of_outputs = OutputTable::of(&evaluation.measurements);
    let outputs: Vec<Value> = of_outputs
        .rows
        .iter()
        .map(|(name, of_output)| context! { name => *name, cells => cells(of_output) })
        .collect();
    let absent = evaluation.absent_classes().join(", ");
    let curves: Vec<Option<String>> = vec![
        evaluation.reliability.as_ref().and_then(reliability_chart),
        roc_chart(&evaluation.curves),
        precision_recall_chart(&evaluation.curves),
    ];
    environment.get_template("report.html")?.render(context! {
        style => Value::from_safe_string(STYLE.to_owned()),
        model => evaluation.model.name.as_str(),
        metrics,
        columns,
        slices => slices(evaluation),
        segments => evaluation.weak_segments.as_ref().map(segments),
        seeds => evaluation.seeds.as_ref().map(seeds),
        folds => FoldFigures::of(evaluation).map(|figures| folds(&figures)),
        class_metrics => table.metrics.iter().map(|&metric| Value::from(metric)).collect::<Vec<Value>>(),
        classes,
        absent_classes => absent,
        output_metrics => of_outputs.metrics.iter().map(|&metric| Value::from(metric)).collect::<Vec<Value>>(),
        outputs,
        notes => Value::from(evaluation.notes.clone()),
        rows => count(evaluation.data.rows.n_rows, "row"),
        confidence => percent(evaluation.scoring.confidence),
        learning_curve => chart::learning_curve(&evaluation.history),
        curves => curves.into_iter().flatten().map(Value::from_safe_string).collect::<Vec<Value>>(),
        confusion => evaluation.confusion.as_ref().and_then(chart::confusion_matrix),
        model_digest => evaluation.model.digest.as_ref().map(super::super::digest::Sha256Digest::as_str),
        size => evaluation.model.size_bytes.map(|size| format!("{} kB", figure(size as f64 / 1000.0))),
        data_digest => evaluation.data.digest.as_str(),
        commit => evaluation.commit.as_deref(),
        version => evaluation.trainyard_version.as_str(),
    })
}

/// A sentence with what stands between backticks as code, everything escaped. A backtick without a second one stays.
pub(super) fn code_spans(sentence: &str) -> Value {
    let mut html = String::new();
    let mut rest = sentence;
    while let Some((before, after)) = rest.split_once('`') {
        let Some((code, after)) = after.split_once('`') else {
            break;
        };
        html.extend([
            HtmlEscape(before).to_string(),
            format!("<code>{}</code>", HtmlEscape(code)),
        ]);
        rest = after;
    }
    html += &HtmlEscape(rest).to_string();
    Value::from_safe_string(html)
}

/// A measurement as a card or a line of a table.
fn shown(measurement: &Measurement) -> Value {
    let unit = measurement
        .unit_name
        .as_deref()
        .or_else(|| measurement.unit.map(unit));
    context! {
        name => measurement.key.metric.as_str(), value => figure(measurement.value),
        interval => interval(measurement), unit,
        direction => measurement.direction.map(direction), no_interval => measurement.no_interval.as_deref(),
    }
}

/// The slices as a table, the worst first; nothing where there are none.
fn slices(evaluation: &Evaluation) -> Option<Value> {
    // A longer table is not read to its end.
    const MAX_SHOWN: usize = 200;
    let table = SliceTable::of(evaluation);
    let first = *table
        .metrics
        .first()
        .or((!table.rows.is_empty()).then_some(&""))?;
    let reference = evaluation
        .headline()
        .find(|found| found.key.metric == first);
    let reference = reference.map(|found| found.value);
    let of_first = || {
        table
            .rows
            .iter()
            .filter_map(|row| row.cells.first().copied().flatten())
    };
    let ends = of_first().flat_map(|found| {
        let ends = found.interval.map_or([found.value; 2], |interval| {
            [interval.lower, interval.upper]
        });
        [found.value, ends[0], ends[1]]
    });
    let ends: Vec<f64> = ends.chain(reference).collect();
    let low = ends.iter().copied().fold(f64::INFINITY, f64::min);
    let high = ends.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let row = |row: &SliceRow<'_>| {
        let mark = row.cells.first().copied().flatten();
        let mark = mark.map(|found| chart::range_mark(found, reference, low, high));
        context! {
            name => row.slice.name.as_str(), n_rows => row.slice.n_rows, reason => row.slice.reason.as_deref(),
            mark => mark.map(Value::from_safe_string), cells => cells(&row.cells),
        }
    };
    let n_more = table.rows.len().saturating_sub(MAX_SHOWN);
    Some(context! {
        metrics => table.metrics.iter().map(|&metric| Value::from(metric)).collect::<Vec<Value>>(),
        rows => table.rows.iter().take(MAX_SHOWN).map(row).collect::<Vec<Value>>(),
        first, n_more => (n_more > 0).then(|| count(n_more as u64, "more slice")),
    })
}

/// Weak segments as a table, the worst first.
fn segments(found: &WeakSegments) -> Value {
    let rows = found.segments.iter().map(|segment| {
        let interval = segment.interval.as_ref().map(figure::interval);
        context! {
            name => segment.name.as_str(), n_rows => segment.n_rows, value => figure(segment.value),
            interval => interval.unwrap_or_default(), rest => figure(segment.rest), p_value => p_value(segment.p_value),
        }
    });
    context! {
        metric => found.metric.as_str(), n_rows => count(found.n_rows, "row"),
        n_searched => count(found.n_searched, "row"), n_tested => count(found.n_tested, "segment"),
        min_rows => found.min_rows, rows => rows.collect::<Vec<Value>>(),
    }
}

/// A p-value as far as anyone reads it.
fn p_value(value: f64) -> String {
    if value < 0.0001 {
        "< 0.0001".to_owned()
    } else {
        format!("{value:.4}")
    }
}

/// The metrics over the seeds as a table: those that every report shows.
fn seeds(found: &SeedTable) -> Value {
    let row = |spread: &SeedSpread| {
        let least = spread.values.iter().copied().fold(f64::INFINITY, f64::min);
        let largest = spread
            .values
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        let interval = spread.interval.as_ref().map(figure::interval);
        context! {
            metric => spread.metric.as_str(), mean => figure(spread.mean), interval => interval.unwrap_or_default(),
            deviation => figure(spread.deviation), least => figure(least), largest => figure(largest),
        }
    };
    let shown = found.spreads.iter();
    let shown = shown.filter(|spread| catalog::is_headline(&spread.metric));
    context! {
        n_seeds => count(found.models.len() as u64, "seed"), rows => shown.map(row).collect::<Vec<Value>>(),
    }
}

/// The folds as a table with their means, and a chart.
fn folds(figures: &FoldFigures<'_>) -> Value {
    let rows = figures.rows.iter().map(|(fold, of_fold)| {
        context! { fold => fold.fold, n_rows => fold.n_rows, n_train => fold.n_train, cells => cells(of_fold) }
    });
    let means: Vec<Option<&Measurement>> = figures.means.iter().map(|(mean, _)| *mean).collect();
    let deviations = figures
        .means
        .iter()
        .map(|(_, deviation)| deviation.map_or_else(|| "–".to_owned(), figure));
    let reasons = means
        .iter()
        .flatten()
        .filter_map(|mean| mean.no_interval.as_deref());
    context! {
        metrics => figures.metrics.iter().map(|&metric| Value::from(metric)).collect::<Vec<Value>>(),
        rows => rows.collect::<Vec<Value>>(), means => cells(&means),
        deviations => deviations.map(Value::from).collect::<Vec<Value>>(),
        chart => chart::fold_chart(figures), reason => reasons.min(),
        n_folds => count(figures.rows.len() as u64, "fold"),
    }
}

/// Value and interval of each figure.
fn cells(figures: &[Option<&Measurement>]) -> Vec<Value> {
    let cell = |found: Option<&Measurement>| {
        let cell = found.map_or_else(
            || ["–".to_owned(), String::new()],
            |m| [figure(m.value), interval(m)],
        );
        Value::from(Vec::from(cell))
    };
    figures.iter().copied().map(cell).collect()
}

fn interval(measurement: &Measurement) -> String {
    measurement
        .interval
        .map(|interval| figure::interval(&interval))
        .unwrap_or_default()
}

const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::HigherIsBetter => "higher is better",
        Direction::LowerIsBetter => "lower is better",
    }
}

const fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Proportion => "share",
        Unit::Nats => "nats",
        Unit::Label => "label's unit",
        Unit::LabelSquared => "label's unit²",
        Unit::None => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_marked_and_nothing_else_gets_through() {
        for (sentence, expected) in [
            (
                "Columns: `age`, `<b>`.",
                "Columns: <code>age</code>, <code>&lt;b&gt;</code>.",
            ),
            ("<script>", "&lt;script&gt;"),
            ("a ` alone & `x`", "a <code> alone &amp; </code>x`"),
            ("", ""),
        ] {
            assert_eq!(code_spans(sentence).to_string(), expected);
        }
    }
}
