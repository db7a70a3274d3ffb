//! The log: lines on standard error, for people or in the Elastic Common Schema.
//!
//! A thread of its own writes them, so that a slow reader stops no request. Where more are waiting than are held, they are
//! left out and counted.

use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use trainyard_ecs::{Ecs, Sink, Unmasked, rfc3339};

/// Lines that wait for standard error.
const MAX_LINES: usize = 4096;

/// What is left is written for so long when the process ends.
const ENDING: Duration = Duration::from_secs(1);

/// The form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line, in the Elastic Common Schema.
    Json,
}

/// Starts the log of this process. What waits is written when the value is dropped.
pub(crate) fn start(format: LogFormat) -> anyhow::Result<Log> {
    let (sender, receiver) = mpsc::sync_channel(MAX_LINES);
    let lines = Lines {
        sender: sender.clone(),
        n_lost: Arc::default(),
    };
    let n_lost = Arc::clone(&lines.n_lost);
    let layer = match format {
        LogFormat::Text => Text(lines).boxed(),
        LogFormat::Json => {
            let version = env!("CARGO_PKG_VERSION");
            Ecs::new("trainyard-serve", version, Unmasked, lines).boxed()
        }
    };
    // Libraries are heard from warnings on.
    let targets = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("trainyard", LevelFilter::INFO);
    tracing::subscriber::set_global_default(Registry::default().with(layer).with(targets))?;
    thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || write_all(&receiver, &n_lost))?;
    Ok(Log(sender))
}

enum Message {
    Line(String),
    /// All before it are to be written.
    End(SyncSender<()>),
}

/// The log, until it is dropped.
pub(crate) struct Log(SyncSender<Message>);

impl Drop for Log {
    fn drop(&mut self) {
        let started = Instant::now();
        let (done, is_done) = mpsc::sync_channel(1);
        let mut end = Message::End(done);
        while let Err(TrySendError::Full(message)) = self.0.try_send(end) {
            if started.elapsed() > ENDING {
                return;
            }
            end = message;
            thread::sleep(Duration::from_millis(10));
        }
        let _ = is_done.recv_timeout(ENDING);
    }
}

fn write_all(messages: &Receiver<Message>, n_lost: &AtomicU64) {
    for message in messages {
        match message {
            Message::Line(line) => {
                let _ = std::io::stderr().lock().write_all(line.as_bytes());
            }
            Message::End(done) => {
                let _ = done.send(());
            }
        }
        match n_lost.swap(0, Ordering::Relaxed) {
            0 => {}
            n => tracing::warn!(
                n_lines = n,
                "{n} lines of the log were left out: standard error is read too slowly"
            ),
        }
    }
}

/// Hands lines to the thread that writes.
struct Lines {
    sender: SyncSender<Message>,
    n_lost: Arc<AtomicU64>,
}

impl Sink for Lines {
    fn write_line(&self, line: &str) {
        if (self.sender.try_send(Message::Line(line.to_owned()))).is_err() {
            self.n_lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Lines for people: time, level, message, and the fields that are ours. Those of the schema repeat the message.
struct Text<S>(S);

impl<S: Sink, T: Subscriber> Layer<T> for Text<S> {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, T>) {
        let time = rfc3339(SystemTime::now());
        let mut fields = TextFields::default();
        event.record(&mut fields);
        let TextFields { message, others } = fields;
        let level = event.metadata().level();
        self.0
            .write_line(&format!("{time} {level:>5} {message}{others}\n"));
    }
}

#[derive(Default)]
struct TextFields {
    message: String,
    others: String,
}

impl Visit for TextFields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to memory does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name if name.contains('.') => Ok(()),
            name => write!(self.others, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<String>>);

    impl Sink for Kept {
        fn write_line(&self, line: &str) {
            self.0.lock().unwrap().push_str(line);
        }
    }

    #[test]
    fn lines_for_people_leave_out_the_fields_of_the_schema() {
        let kept = Kept::default();
        let log = Registry::default().with(Text(kept.clone()));
        tracing::subscriber::with_default(log, || {
            tracing::warn!(http.request.id = "x", n_lines = 3, "too slow");
        });
        let line = kept.0.lock().unwrap().clone();
        assert_eq!(line[24..], *"  WARN too slow n_lines=3\n");
    }

    #[test]
    fn a_line_without_room_is_counted() {
        let (sender, receiver) = mpsc::sync_channel(1);
        let lines = Lines {
            sender,
            n_lost: Arc::default(),
        };
        for _ in 0..3 {
            lines.write_line("a\n");
        }
        assert_eq!(lines.n_lost.load(Ordering::Relaxed), 2);
        assert!(matches!(receiver.try_recv(), Ok(Message::Line(line)) if line == "a\n"));
    }
}
