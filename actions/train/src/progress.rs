//! Progress: a bar on a terminal, a line an epoch in a log; of a fold of a cross-validation the bar alone.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};
use trainyard_core::evaluation::EpochRecord;
use trainyard_ml::train::Event;

/// How training is shown.
pub(crate) struct Progress {
    n_epochs: usize,
    /// Which fold it is, where it is one.
    fold: Option<String>,
    /// Absent in a log.
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(n_epochs: usize) -> Self {
        let style = ProgressStyle::with_template(
            "{prefix} {wide_bar} {pos}/{len} batches · {msg} · {eta} left",
        );
        let bar = style
            .ok()
            .filter(|_| std::io::stderr().is_terminal())
            .map(|style| {
                let bar = ProgressBar::new(0).with_style(style);
                bar.set_prefix("epoch");
                bar
            });
        Self {
            n_epochs,
            fold: None,
            bar,
        }
    }

    /// Of the fold called `name`, which is told in one line when it is done.
    pub(crate) fn of_fold(n_epochs: usize, name: &str) -> Self {
        Self {
            fold: Some(name.to_owned()),
            ..Self::new(n_epochs)
        }
    }

    pub(crate) fn observe(&mut self, event: &Event<'_>) {
        match *event {
            Event::Batch {
                epoch,
                batch,
                n_batches,
                loss,
            } => {
                if let Some(bar) = &self.bar {
                    // Over all epochs, so that the time left is that of the run.
                    bar.set_length((n_batches * self.n_epochs) as u64);
                    bar.set_position(((epoch - 1) * n_batches + batch) as u64);
                    let fold = self.fold.as_ref().map(|fold| format!("{fold}, "));
                    let fold = fold.unwrap_or_default();
                    bar.set_prefix(format!("{fold}epoch {epoch}/{}", self.n_epochs));
                    bar.set_message(format!("loss {loss:.4}"));
                }
            }
            Event::Epoch {
                record, seconds, ..
            } => {
                self.say(line(&record, self.n_epochs, seconds));
            }
            Event::StoppedEarly { epoch, best_epoch } => {
                self.say(format!(
                    "nothing improves any more: stopped after epoch {epoch}, the best was epoch {best_epoch}"
                ));
            }
        }
    }

    fn say(&self, line: String) {
        if self.fold.is_some() {
            return;
        }
        if let Some(bar) = &self.bar {
            bar.println(line);
        } else {
            tracing::info!("{line}");
        }
    }

    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn line(record: &EpochRecord, n_epochs: usize, seconds: f64) -> String {
    let width = n_epochs.to_string().len();
    let mut line = format!(
        "epoch {:>width$}/{n_epochs}  loss {:.4}",
        record.epoch, record.loss
    );
    let optional = [
        ("accuracy", record.accuracy),
        ("val_loss", record.val_loss),
        ("val_accuracy", record.val_accuracy),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            let _ = write!(line, "  {name} {value:.4}");
        }
    }
    let _ = write!(line, "  {seconds:.1} s");
    line
}
