//! The evaluation as one self-contained page.

use minijinja::{AutoEscape, Environment, Value, context};

use super::chart;
use crate::evaluation::Evaluation;
use crate::gate::figure;
use crate::metrics::{Direction, Estimate, Unit};
use crate::statistics::Interval;

/// `report.html`: metrics, classes and charts, with styles and figures inside, light and dark.
pub fn evaluation_page(evaluation: &Evaluation) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report.html", include_str!("report.html.j2"))?;
    let metrics: Vec<Value> = evaluation
        .metrics
        .iter()
        .map(|metric| {
            let direction = match metric.direction {
                Direction::HigherIsBetter => "higher is better",
                Direction::LowerIsBetter => "lower is better",
            };
            context! {
                name => metric.name.as_str(), value => figure(metric.value), interval => interval(metric.interval),
                unit => unit(metric.unit), direction,
            }
        })
        .collect();
    let classes: Vec<Value> = evaluation
        .per_class
        .iter()
        .map(|class| {
            let [precision, recall, f1] =
                [class.precision, class.recall, class.f1].map(|cell| Value::from(Vec::from(estimate(cell))));
            context! { name => class.class.as_str(), support => class.support, precision, recall, f1 }
        })
        .collect();
    environment.get_template("report.html")?.render(context! {
        model => evaluation.model.name.as_str(),
        metrics,
        classes,
        n_rows => evaluation.data.n_rows,
        confidence => figure(evaluation.confidence * 100.0),
        learning_curve => chart::learning_curve(&evaluation.history),
        confusion => evaluation.confusion.as_ref().and_then(chart::confusion_matrix),
        model_digest => evaluation.model.digest.as_ref().map(super::super::digest::Sha256Digest::as_str),
        size => evaluation.model.size_bytes.map(|size| format!("{} kB", figure(size as f64 / 1000.0))),
        data_digest => evaluation.data.digest.as_str(),
        commit => evaluation.commit.as_deref(),
        version => evaluation.trainyard_version.as_str(),
    })
}

fn estimate(estimate: Option<Estimate>) -> [String; 2] {
    estimate.map_or_else(
        || ["–".to_owned(), String::new()],
        |e| [figure(e.value), interval(e.interval)],
    )
}

fn interval(interval: Option<Interval>) -> String {
    interval
        .map(|i| super::interval_in_words(&i))
        .unwrap_or_default()
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
