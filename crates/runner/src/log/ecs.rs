//! Log events as lines of the Elastic Common Schema.

use std::fmt::Debug;
use std::time::SystemTime;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::sink::Sink;
use crate::redact::Redactor;
use crate::timestamp::rfc3339;

/// The version that Elastic's own logging libraries state; every field used here is in it.
const ECS_VERSION: &str = "1.6.0";

/// Writes one JSON object for each event.
pub(super) struct Ecs {
    service: String,
    redactor: Redactor,
    sink: Sink,
}

impl Ecs {
    pub(super) fn new(stage: &str, redactor: Redactor, sink: Sink) -> Self {
        Self {
            service: format!("trainyard-{stage}"),
            redactor,
            sink,
        }
    }

    fn line(&self, time: SystemTime, event: &Event<'_>) -> String {
        let mut fields = Fields {
            redactor: &self.redactor,
            message: Value::String(String::new()),
            others: Map::new(),
        };
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut line = json!({
            "@timestamp": rfc3339(time),
            "log.level": metadata.level().as_str().to_ascii_lowercase(),
            "message": fields.message,
            "ecs.version": ECS_VERSION,
            "log.logger": metadata.target(),
            "service.name": self.service,
            "service.version": env!("CARGO_PKG_VERSION"),
        });
        if let (Some(line), false) = (line.as_object_mut(), fields.others.is_empty()) {
            line.insert("trainyard".to_owned(), Value::Object(fields.others));
        }
        format!("{line}\n")
    }
}

impl<S: Subscriber> Layer<S> for Ecs {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        // A log that takes nothing must not stop the stage.
        let _ = self.sink.write(&self.line(SystemTime::now(), event));
    }
}

/// Collects an event's fields as JSON, numbers as numbers, without secrets.
struct Fields<'a> {
    redactor: &'a Redactor,
    message: Value,
    others: Map<String, Value>,
}

impl Fields<'_> {
    fn set(&mut self, field: &Field, value: Value) {
        let value = match value {
            Value::String(text) => Value::String(self.redactor.redact(&text).into_owned()),
            other => other,
        };
        if field.name() == "message" {
            self.message = value;
        } else {
            self.others.insert(field.name().to_owned(), value);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, value.into());
    }

    /// JSON knows no NaN and no infinity: those are words.
    fn record_f64(&mut self, field: &Field, value: f64) {
        let number = serde_json::Number::from_f64(value).map(Value::Number);
        self.set(field, number.unwrap_or_else(|| value.to_string().into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(Some(value), |error| error.source());
        let texts: Vec<String> = causes.map(ToString::to_string).collect();
        self.set(field, texts.join(": ").into());
    }
}
