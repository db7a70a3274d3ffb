//! The page that Prometheus reads.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{BUCKETS, ByStatus, Histogram, Metrics, started};
use crate::drift;
use crate::exposition::{Page, escaped, model_labels};
use crate::model::Model;

/// What is told of the server beside its models.
pub(crate) struct State<'a> {
    pub(crate) is_ready: bool,
    /// Requests that wait for their share of the memory.
    pub(crate) n_waiting: usize,
    /// Answers to any request.
    pub(crate) responses: &'a ByStatus,
}

/// The page, of these models.
pub(crate) fn write(models: &[&Model], state: &State<'_>) -> String {
    let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let labelled = models.iter().map(|model| {
        let label = model_labels(model.name(), model.version());
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
        "ready",
        "gauge",
        "1 while the server is ready for requests, 0 once it is asked to end.",
    );
    page.sample("ready", "", u8::from(state.is_ready));
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
    let mut each = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Metrics) -> f64| {
        page.family(name, kind, help);
        for (label, _, metrics) in &labelled {
            page.sample(name, label, value(metrics));
        }
    };
    each(
        "inference_rows_total",
        "counter",
        "Rows that were predicted.",
        &|metrics| read(&metrics.n_rows) as f64,
    );
    each(
        "inference_batches_total",
        "counter",
        "Batches that these rows were computed in.",
        &|metrics| read(&metrics.n_batches) as f64,
    );
    each(
        "inference_compute_seconds_total",
        "counter",
        "Time that threads have computed.",
        &|metrics| seconds(read(&metrics.compute_ns)),
    );
    each(
        "inference_requests_in_flight",
        "gauge",
        "Requests that have begun and are not answered.",
        &|metrics| metrics.n_in_flight.load(Ordering::Relaxed) as f64,
    );
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
    page.sample("inference_requests_waiting", "", state.n_waiting);
    page.family(
        "http_responses_total",
        "counter",
        "Answers to any request, by their status.",
    );
    for (status, n) in state.responses.all() {
        page.sample("http_responses_total", &format!("code=\"{status}\""), n);
    }
    let drifts = labelled
        .iter()
        .map(|(label, model, _)| (label.as_str(), model.drift()));
    drift::page::write(&drifts.collect::<Vec<_>>(), &mut page);
    let mut text = page.into_text();
    append_process(&mut text);
    text
}

/// What is said of the process, by the names that every process has (Prometheus, "Writing client libraries").
fn append_process(text: &mut String) {
    // Writing to memory does not fail.
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
