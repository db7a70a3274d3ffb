//! The page that Prometheus reads (text format 0.0.4).

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{BUCKETS, ByStatus, Histogram, started};
use crate::model::Model;

/// The page, of these models. `n_waiting` requests wait for memory; `responses` were given, by their status, to any
/// request.
pub(crate) fn write(models: &[&Model], n_waiting: usize, responses: &ByStatus) -> String {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let labelled = models.iter().map(|model| {
        let (name, version) = (escaped(model.name()), model.version());
        let label = format!("model=\"{name}\",version=\"{version}\"");
        (label, *model, model.metrics())
    });
    let labelled: Vec<_> = labelled.collect();
    let mut page = Page::default();
    page.family("model_info", "gauge", "A model that is served; always 1.");
    for (label, model, _) in &labelled {
        let label = format!("{label},digest=\"{}\"", model.digest());
        page.sample("model_info", &label, 1);
    }
    page.family(
        "inference_requests_total",
        "counter",
        "Requests for predictions, by the status of their answer.",
    );
    for (label, _, metrics) in &labelled {
        for (status, n) in metrics.requests.all() {
            let label = format!("{label},code=\"{status}\"");
            page.sample("inference_requests_total", &label, n);
        }
    }
    page.family(
        "inference_duration_seconds",
        "histogram",
        "Time from a request's head to its answer, of those that were answered.",
    );
    for (label, _, metrics) in &labelled {
        metrics.durations.write(&mut page, label);
    }
    page.family(
        "inference_rows_total",
        "counter",
        "Rows that were predicted.",
    );
    for (label, _, metrics) in &labelled {
        page.sample("inference_rows_total", label, read(&metrics.n_rows));
    }
    page.family(
        "inference_batches_total",
        "counter",
        "Batches that these rows were computed in.",
    );
    for (label, _, metrics) in &labelled {
        page.sample("inference_batches_total", label, read(&metrics.n_batches));
    }
    page.family(
        "inference_compute_seconds_total",
        "counter",
        "Time that threads have computed.",
    );
    for (label, _, metrics) in &labelled {
        let computed = seconds(read(&metrics.compute_ns));
        page.sample("inference_compute_seconds_total", label, computed);
    }
    page.family(
        "inference_requests_in_flight",
        "gauge",
        "Requests that have begun and are not answered.",
    );
    for (label, _, metrics) in &labelled {
        let n = metrics.n_in_flight.load(Ordering::Relaxed);
        page.sample("inference_requests_in_flight", label, n);
    }
    if labelled.iter().any(|(_, _, it)| it.counts_classes()) {
        page.family(
            "predicted_class_total",
            "counter",
            "Rows by the class that was predicted.",
        );
    }
    for (label, model, metrics) in &labelled {
        let names = model.manifest().class_names.iter().flatten();
        for (name, count) in names.zip(&metrics.predicted) {
            let label = format!("{label},class=\"{}\"", escaped(name));
            page.sample("predicted_class_total", &label, read(count));
        }
    }
    page.family(
        "inference_requests_waiting",
        "gauge",
        "Requests that wait for their share of the memory.",
    );
    page.sample("inference_requests_waiting", "", n_waiting);
    page.family(
        "http_responses_total",
        "counter",
        "Answers to any request, by their status.",
    );
    for (status, n) in responses.all() {
        page.sample("http_responses_total", &format!("code=\"{status}\""), n);
    }
    page.process()
}

impl Histogram {
    fn write(&self, page: &mut Page, label: &str) {
        let name = "inference_duration_seconds";
        let mut n_below = 0;
        for (bound, bucket) in BUCKETS.iter().zip(&self.buckets) {
            n_below += bucket.load(Ordering::Relaxed);
            page.sample(
                &format!("{name}_bucket"),
                &format!("{label},le=\"{bound}\""),
                n_below,
            );
        }
        let n = self.n.load(Ordering::Relaxed).max(n_below);
        let all = format!("{label},le=\"+Inf\"");
        page.sample(&format!("{name}_bucket"), &all, n);
        let sum = seconds(self.sum_ns.load(Ordering::Relaxed));
        page.sample(&format!("{name}_sum"), label, sum);
        page.sample(&format!("{name}_count"), label, n);
    }
}

/// A page on its way. Writing to memory does not fail.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = write!(
            self.0,
            "# HELP trainyard_{name} {help}\n# TYPE trainyard_{name} {kind}\n"
        );
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "trainyard_{name} {value}")
        } else {
            writeln!(self.0, "trainyard_{name}{{{labels}}} {value}")
        };
    }

    /// The page, with what is said of the process by the names that every process has (Prometheus, "Writing client libraries").
    fn process(self) -> String {
        let mut text = self.0;
        let _ = write!(
            text,
            "# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.\n\
             # TYPE process_start_time_seconds gauge\nprocess_start_time_seconds {}\n",
            started().as_secs_f64()
        );
        if let Some(bytes) = resident_bytes() {
            let _ = write!(
                text,
                "# HELP process_resident_memory_bytes Resident memory size in bytes.\n\
                 # TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {bytes}\n"
            );
        }
        text
    }
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// By Linux; `None` elsewhere.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
