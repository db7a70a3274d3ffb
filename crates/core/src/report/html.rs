//! The evaluation as one self-contained page.

use minijinja::{AutoEscape, Environment, Value, context};

use super::chart;
use super::classes::ClassTable;
use crate::evaluation::Evaluation;
use crate::figure::{self, count, figure, percent};
use crate::measurement::{Direction, Measurement, Unit};

/// `report.html`: metrics, classes and charts, with styles and figures inside, light and dark.
pub fn evaluation_page(evaluation: &Evaluation) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report.html", include_str!("report.html.j2"))?;
    let metrics: Vec<Value> = evaluation
        .shown()
        .map(|measurement| {
            context! {
                name => measurement.key.metric.as_str(), value => figure(measurement.value),
                interval => interval(measurement), unit => measurement.unit.map(unit),
                direction => measurement.direction.map(direction), no_interval => measurement.no_interval.as_deref(),
            }
        })
        .collect();
    let table = ClassTable::of(&evaluation.measurements, evaluation.confusion.as_ref());
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
    let confusion = evaluation.confusion.as_ref();
    let absent = confusion.map(|confusion| confusion.absent_classes().join(", "));
    environment.get_template("report.html")?.render(context! {
        model => evaluation.model.name.as_str(),
        metrics,
        class_metrics => table.metrics.iter().map(|&metric| Value::from(metric)).collect::<Vec<Value>>(),
        classes,
        absent_classes => absent,
        notes => Value::from(evaluation.notes.clone()),
        rows => count(evaluation.data.rows.n_rows, "row"),
        confidence => percent(evaluation.scoring.confidence),
        learning_curve => chart::learning_curve(&evaluation.history),
        confusion => evaluation.confusion.as_ref().and_then(chart::confusion_matrix),
        model_digest => evaluation.model.digest.as_ref().map(super::super::digest::Sha256Digest::as_str),
        size => evaluation.model.size_bytes.map(|size| format!("{} kB", figure(size as f64 / 1000.0))),
        data_digest => evaluation.data.digest.as_str(),
        commit => evaluation.commit.as_deref(),
        version => evaluation.trainyard_version.as_str(),
    })
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
