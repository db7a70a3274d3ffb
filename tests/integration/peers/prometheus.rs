//! The server's metrics, checked by promtool and scraped by a real Prometheus.

use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::program;
use crate::http::{Server, exchange, request};
use crate::project::Project;
use crate::serve::images;

fn served() -> (Project, Server) {
    let project = Project::new();
    project.run("train", &[], 0);
    let server = Server::start(&project.path("trainyard-out/model"));
    let predict = "/v1/models/mnist:predict";
    for n in [1, 3] {
        let (status, answer) = server.post(predict, &json!({"instances": images(n)}));
        assert_eq!(status, 200, "{answer}");
    }
    assert_eq!(server.post(predict, &json!({})).0, 400);
    (project, server)
}

/// What the server tells Prometheus.
pub(super) fn page(server: &Server) -> String {
    let answer = exchange(&server.address, "GET", "/metrics", &[], b"").unwrap();
    let kind = answer.header("content-type").unwrap();
    assert!(
        answer.status == 200 && kind.starts_with("text/plain; version=0.0.4"),
        "{kind}"
    );
    String::from_utf8(answer.body).unwrap()
}

/// promtool has nothing to say of these metrics.
#[track_caller]
pub(super) fn check_metrics(page: &str) {
    let mut promtool = program("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(page.as_bytes())
        .unwrap();
    let said = promtool.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success() && words.is_empty(), "{words}\n{page}");
}

#[test]
fn promtool_finds_nothing_to_say_of_the_metrics() {
    let (_project, server) = served();
    let page = page(&server);
    check_metrics(&page);
    let model = "model=\"mnist\",version=\"1\"";
    for line in [
        format!("trainyard_inference_requests_total{{{model},code=\"200\"}} 2"),
        format!("trainyard_inference_requests_total{{{model},code=\"400\"}} 1"),
        format!("trainyard_inference_duration_seconds_count{{{model}}} 2"),
        format!("trainyard_inference_rows_total{{{model}}} 4"),
        // The labels of MNIST's first test images are 7, 2, 1.
        format!("trainyard_predicted_class_total{{{model},class=\"7\"}} 2"),
        format!("trainyard_inference_requests_in_flight{{{model}}} 0"),
        "trainyard_ready 1".to_owned(),
    ] {
        assert!(
            page.lines().any(|it| it == line),
            "{line} is not in\n{page}"
        );
    }
}

/// A process that is gone when dropped.
pub(super) struct Killed(pub(super) Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody listens on.
pub(super) fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A running Prometheus.
pub(super) struct Prometheus {
    _process: Killed,
    _folder: TempDir,
    address: String,
}

impl Prometheus {
    /// Scrapes the servers as the job `trainyard` each second, with these rules.
    pub(super) fn start(servers: &[&Server], rules: Option<&Path>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let targets: Vec<&str> = servers
            .iter()
            .map(|server| server.address.as_str())
            .collect();
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": rules.into_iter().collect::<Vec<_>>(),
            "scrape_configs": [{"job_name": "trainyard", "static_configs": [{"targets": targets}]}],
        });
        // JSON is YAML.
        fs::write(folder.path().join("prometheus.yml"), config.to_string()).unwrap();
        let address = free_address();
        let process = program("prometheus")
            .arg("--config.file=prometheus.yml")
            .args(["--storage.tsdb.path=data", "--log.level=error"])
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            _process: Killed(process),
            _folder: folder,
            address,
        }
    }

    /// The series that a query gives; none where there is no answer.
    pub(super) fn ask(&self, query: &str) -> Vec<Value> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let path = format!("/api/v1/query?query={encoded}");
        let Ok((_, answer)) = request(&self.address, "GET", &path, b"") else {
            return Vec::new();
        };
        let found = answer["data"]["result"].as_array().cloned();
        found.unwrap_or_default()
    }

    /// The value of the first series, once there is one.
    #[track_caller]
    pub(super) fn wait_for(&self, query: &str) -> f64 {
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            if let Some(found) = self.ask(query).first() {
                return found["value"][1].as_str().unwrap().parse().unwrap();
            }
            assert!(
                Instant::now() < deadline,
                "Prometheus has nothing for `{query}`"
            );
            thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn prometheus_scrapes_a_latency_that_can_be_asked_by_quantile() {
    let (_project, server) = served();
    let prometheus = Prometheus::start(&[&server], None);
    let query = "histogram_quantile(0.99,trainyard_inference_duration_seconds_bucket)";
    let seconds = prometheus.wait_for(query);
    assert!(seconds > 0.0 && seconds < 10.0, "{seconds}");
    for query in [
        "trainyard_inference_rows_total",
        "sum(trainyard_predicted_class_total)",
    ] {
        assert_eq!(prometheus.wait_for(query).to_bits(), 4.0_f64.to_bits());
    }
}
