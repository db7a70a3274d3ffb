//! The server's metrics, checked by promtool and scraped by a real Prometheus.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

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

fn page(server: &Server) -> String {
    let answer = exchange(&server.address, "GET", "/metrics", &[], b"").unwrap();
    let kind = answer.header("content-type").unwrap();
    assert!(
        answer.status == 200 && kind.starts_with("text/plain; version=0.0.4"),
        "{kind}"
    );
    String::from_utf8(answer.body).unwrap()
}

#[test]
fn promtool_finds_nothing_to_say_of_the_metrics() {
    let (_project, server) = served();
    let page = page(&server);
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
    let model = "model=\"mnist\",version=\"1\"";
    for line in [
        format!("trainyard_inference_requests_total{{{model},code=\"200\"}} 2"),
        format!("trainyard_inference_requests_total{{{model},code=\"400\"}} 1"),
        format!("trainyard_inference_duration_seconds_count{{{model}}} 2"),
        format!("trainyard_inference_rows_total{{{model}}} 4"),
        // The labels of MNIST's first test images are 7, 2, 1.
        format!("trainyard_predicted_class_total{{{model},class=\"7\"}} 2"),
        format!("trainyard_inference_requests_in_flight{{{model}}} 0"),
    ] {
        assert!(
            page.lines().any(|it| it == line),
            "{line} is not in\n{page}"
        );
    }
}

/// A process that is gone when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn prometheus_scrapes_a_latency_that_can_be_asked_by_quantile() {
    let (_project, server) = served();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "global: {{scrape_interval: 1s}}\nscrape_configs:\n- job_name: model\n  static_configs: [{{targets: ['{}']}}]\n",
        server.address
    );
    std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let prometheus = program("prometheus")
        .arg("--config.file=prometheus.yml")
        .args(["--storage.tsdb.path=data", "--log.level=error"])
        .arg(format!("--web.listen-address={address}"))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _prometheus = Killed(prometheus);
    let ask = |query: &str| -> Option<Value> {
        let path = format!("/api/v1/query?query={query}");
        let (_, answer) = request(&address, "GET", &path, b"").ok()?;
        Some(answer["data"]["result"].get(0)?["value"][1].clone())
    };
    let query = "histogram_quantile(0.99,trainyard_inference_duration_seconds_bucket)";
    let deadline = Instant::now() + Duration::from_secs(60);
    let found = loop {
        if let Some(found) = ask(query) {
            break found;
        }
        assert!(Instant::now() < deadline, "Prometheus has scraped nothing");
        thread::sleep(Duration::from_millis(200));
    };
    let seconds: f64 = found.as_str().unwrap().parse().unwrap();
    assert!(seconds > 0.0 && seconds < 10.0, "{found}");
    assert_eq!(ask("trainyard_inference_rows_total"), Some(json!("4")));
    assert_eq!(
        ask("sum(trainyard_predicted_class_total)"),
        Some(json!("4"))
    );
}
