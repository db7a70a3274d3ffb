//! Log events as lines of the Elastic Common Schema, for the log of every program of ours.
//!
//! The schema of Elastic's logging libraries wants one JSON object a line: `@timestamp` first, `log.level` second, `message` third,
//! these and `ecs.version` as dotted keys. A field whose name has a dot, such as `http.request.method`, is taken for one of the schema
//! and written as it is. All others are nested under `trainyard`, where they can clash with no field of the schema.

mod fields;
mod mask;
mod timestamp;

use std::time::SystemTime;

use serde_json::{Value, json};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use fields::Fields;
pub use mask::{Mask, Unmasked};
pub use timestamp::rfc3339;

/// The version that Elastic's own logging libraries state; every field used here is in it.
pub const ECS_VERSION: &str = "1.6.0";

/// Where whole lines go. A log that takes nothing must not stop the program: a failure is passed over.
pub trait Sink: Send + Sync + 'static {
    /// Takes a line, which ends with a line feed.
    fn write_line(&self, line: &str);
}

/// Writes one JSON object for each event. Spans are not logged.
#[derive(Debug)]
pub struct Ecs<M, S> {
    service: String,
    version: &'static str,
    mask: M,
    sink: S,
}

impl<M: Mask, S: Sink> Ecs<M, S> {
    /// Lines of the program `service` in its `version`.
    pub fn new(service: impl Into<String>, version: &'static str, mask: M, sink: S) -> Self {
        Self {
            service: service.into(),
            version,
            mask,
            sink,
        }
    }

    fn line(&self, time: SystemTime, event: &Event<'_>) -> String {
        let mut fields = Fields::new(&self.mask);
        event.record(&mut fields);
        let metadata = event.metadata();
        let mut line = json!({
            "@timestamp": rfc3339(time),
            "log.level": metadata.level().as_str().to_ascii_lowercase(),
            "message": fields.message,
            "ecs.version": ECS_VERSION,
            "log.logger": metadata.target(),
            "service.name": self.service,
            "service.version": self.version,
        });
        if let Some(line) = line.as_object_mut() {
            line.extend(fields.of_schema);
            if !fields.own.is_empty() {
                line.insert("trainyard".to_owned(), Value::Object(fields.own));
            }
        }
        format!("{line}\n")
    }
}

impl<M: Mask, S: Sink, T: Subscriber> Layer<T> for Ecs<M, S> {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, T>) {
        self.sink.write_line(&self.line(SystemTime::now(), event));
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::registry::Registry;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<String>>);

    impl Sink for Kept {
        fn write_line(&self, line: &str) {
            self.0.lock().unwrap().push_str(line);
        }
    }

    struct Shouted;

    impl Mask for Shouted {
        fn mask<'a>(&self, text: &'a str) -> Cow<'a, str> {
            text.to_uppercase().into()
        }
    }

    #[test]
    fn fields_of_the_schema_are_at_the_top_and_ours_are_nested() {
        let kept = Kept::default();
        let ecs = Ecs::new("trainyard-test", "1.2.3", Shouted, kept.clone());
        let log = Registry::default().with(ecs);
        tracing::subscriber::with_default(log, || {
            tracing::warn!(
                target: "there",
                { http.response.status_code = 503, rows = 2, share = f64::NAN, file = "a" },
                "too busy"
            );
        });
        let line = kept.0.lock().unwrap().clone();
        let (time, rest) = line.split_once(',').unwrap();
        assert!(time.starts_with(r#"{"@timestamp":"2"#), "{time}");
        assert_eq!(
            rest,
            "\"log.level\":\"warn\",\"message\":\"TOO BUSY\",\"ecs.version\":\"1.6.0\",\"log.logger\":\"there\",\
             \"service.name\":\"trainyard-test\",\"service.version\":\"1.2.3\",\"http.response.status_code\":503,\
             \"trainyard\":{\"rows\":2,\"share\":\"NAN\",\"file\":\"A\"}}\n"
        );
    }
}
