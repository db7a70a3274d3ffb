//! `examples/monitoring`: rules that fire when they should, by promtool and by a real Prometheus over a real server; a dashboard and rules
//! whose metrics the server has.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::program;
use super::prometheus::{Prometheus, check_metrics, page};
use crate::http::Server;
use crate::project::{Project, Said};
use crate::serve::images;
use crate::support::{repository, run, stage};

fn example(path: &str) -> PathBuf {
    repository().join("examples/monitoring").join(path)
}

fn promtool(arguments: &[&str]) {
    run(program("promtool")
        .args(arguments)
        .current_dir(example("prometheus")));
}

#[test]
fn each_alert_fires_on_its_series_and_stays_silent_on_healthy_ones() {
    promtool(&["check", "config", "prometheus.yaml"]);
    promtool(&["check", "rules", "alerts.yaml"]);
    promtool(&["test", "rules", "alerts_test.yaml"]);
    // No rule is left out.
    let rules = fs::read_to_string(example("prometheus/alerts.yaml")).unwrap();
    let tests = fs::read_to_string(example("prometheus/alerts_test.yaml")).unwrap();
    let names: Vec<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert_eq!(names.len(), 8, "{names:?}");
    for name in names {
        let fires = format!("alertname: {name}\n        exp_alerts:\n          - exp_labels");
        let is_silent = format!("alertname: {name}}}");
        assert!(tests.contains(&fires), "{name} is not tested to fire");
        assert!(
            tests.contains(&is_silent),
            "{name} is not tested to be silent"
        );
    }
}

/// The diabetes example, quickly: a table and a number to predict.
fn table() -> Project {
    let project = Project::new();
    let example = repository().join("examples/diabetes");
    let config = fs::read_to_string(example.join("trainyard.toml")).unwrap();
    let (before, rest) = config.split_once("# How much the error varies").unwrap();
    let (_, rules) = rest.split_once("n_splits = 5").unwrap();
    let data = example.join("data").display().to_string();
    let config = format!("{before}{rules}")
        .replace("\"data/", &format!("\"{data}/"))
        .replace("epochs = 400", "epochs = 60");
    project.write("trainyard.toml", config);
    project.run("train", &[], 0);
    project
}

/// The features of the training rows.
fn training_rows() -> Vec<Vec<f64>> {
    let path = repository().join("examples/diabetes/data/train.csv");
    let text = fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let mut row: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        row.pop();
        row
    };
    text.lines().skip(1).map(row).collect()
}

const DRIFT: [&str; 4] = ["--drift-min-rows", "200", "--drift-window", "600"];

fn served(project: &Project) -> Server {
    Server::start_with(&project.path("trainyard-out/model"), &DRIFT)
}

/// One by one: of many rows at a time a part is counted.
fn predict(server: &Server, model: &str, rows: impl IntoIterator<Item = Value>) {
    for row in rows {
        let path = format!("/v1/models/{model}:predict");
        let (status, answer) = server.post(&path, &json!({"instances": [row]}));
        assert_eq!(status, 200, "{answer}");
    }
}

/// The shipped rules, judged by a real Prometheus while rows of two kinds are sent to two servers of one model.
#[test]
fn drift_that_is_injected_into_traffic_raises_the_alert() {
    let project = table();
    let (usual, shifted) = (served(&project), served(&project));
    let rows = training_rows();
    predict(&usual, "diabetes", rows.iter().map(|row| json!(row)));
    let with_higher_bmi = rows.iter().map(|row| {
        let mut row = row.clone();
        row[2] += 8.0;
        json!(row)
    });
    predict(&shifted, "diabetes", with_higher_bmi);
    for server in [&usual, &shifted] {
        check_metrics(&page(server));
    }
    let rules = example("prometheus/alerts.yaml");
    let prometheus = Prometheus::start(&[&usual, &shifted], Some(&rules));
    let of = |server: &Server| format!("instance=\"{}\"", server.address);
    let psi = |server: &Server| {
        let query = format!(
            "trainyard_input_drift_psi{{feature=\"bmi\",{}}}",
            of(server)
        );
        prometheus.wait_for(&query)
    };
    let (of_usual, of_shifted) = (psi(&usual), psi(&shifted));
    assert!(
        of_usual < 0.05 && of_shifted > 0.5,
        "{of_usual} {of_shifted}"
    );
    // `for` makes it wait: the expression is true.
    let alert = "ALERTS{alertname=\"TrainyardInputDrift\",alertstate=\"pending\"}";
    prometheus.wait_for(alert);
    let raised = prometheus.ask(alert);
    let raised: Vec<(&Value, &Value)> = raised
        .iter()
        .map(|alert| (&alert["metric"]["instance"], &alert["metric"]["feature"]))
        .collect();
    assert_eq!(raised, [(&json!(shifted.address), &json!("bmi"))]);
    // The other columns are as they were.
    let query = format!(
        "max(trainyard_input_drift_psi{{feature!=\"bmi\",{}}})",
        of(&shifted)
    );
    assert!(prometheus.wait_for(&query) < 0.05);
}

/// Images: darker ones drift by mean, and the classes predicted for them too.
#[test]
fn images_drift_by_mean_and_contrast() {
    let project = Project::new();
    project.run("train", &[], 0);
    let rows = images(300);
    let rows = rows.as_array().unwrap();
    let usual = served(&project);
    predict(&usual, "mnist", rows.iter().cloned());
    let dark = served(&project);
    predict(
        &dark,
        "mnist",
        rows.iter().map(|_| json!(vec![vec![[1]; 28]; 28])),
    );
    let value = |server: &Server, series: &str| -> f64 {
        let page = page(server);
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        let line = line.unwrap_or_else(|| panic!("{series} is not in\n{page}"));
        line.trim().parse().unwrap()
    };
    let label = "{model=\"mnist\",version=\"1\"";
    for feature in ["mean", "contrast"] {
        let series = format!("trainyard_input_drift_psi{label},feature=\"{feature}\"}}");
        let (of_usual, of_dark) = (value(&usual, &series), value(&dark, &series));
        assert!(
            of_usual < 0.1 && of_dark > 1.0,
            "{feature}: {of_usual} {of_dark}"
        );
    }
    let series = format!("trainyard_prediction_drift_psi{label}}}");
    let (of_usual, of_dark) = (value(&usual, &series), value(&dark, &series));
    assert!(of_usual < 0.1 && of_dark > 1.0, "{of_usual} {of_dark}");
}

#[test]
fn options_that_could_never_tell_drift_are_a_usage_error() {
    let mut serve = stage("serve");
    serve.args(["--drift-min-rows", "500", "--drift-window", "900"]);
    Said::of(&mut serve, 2).has_error("set `--drift-window` to 1000 or more");
}

/// The queries of a dashboard's panels.
fn queries(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap().to_owned())
        .collect()
}

/// Grafana's variables, filled in as it does.
fn filled(query: &str) -> String {
    query
        .replace("$__rate_interval", "1m")
        .replace("$model", ".*")
        .replace("$instance", ".*")
}

/// The names of metrics in a text of queries.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || char == '_'));
    words
        .filter(|word| {
            let is_metric = word.starts_with("trainyard_") || word.starts_with("process_");
            is_metric && !word.ends_with('_')
        })
        .map(str::to_owned)
        .collect()
}

/// Prometheus parses every query, as the expression of a recording rule.
fn check_queries(queries: &[String], folder: &Path) {
    let rules: Vec<Value> = queries
        .iter()
        .enumerate()
        .map(|(idx, query)| json!({"record": format!("query_{idx}"), "expr": filled(query)}))
        .collect();
    let rules = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    let path = folder.join("queries.yaml");
    fs::write(&path, rules.to_string()).unwrap();
    promtool(&["check", "rules", path.to_str().unwrap()]);
}

#[test]
fn rules_and_dashboard_name_metrics_that_the_server_has() {
    let dashboard = fs::read_to_string(example("grafana/dashboards/trainyard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let queries = queries(&dashboard);
    assert!(queries.len() > 10, "{queries:?}");
    let folder = tempfile::tempdir().unwrap();
    check_queries(&queries, folder.path());
    let rules = fs::read_to_string(example("prometheus/alerts.yaml")).unwrap();
    let rules: String = rules
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .collect();
    let named: BTreeSet<String> = metrics(&rules)
        .into_iter()
        .chain(queries.iter().flat_map(|query| metrics(query)))
        .collect();
    assert!(named.len() > 10, "{named:?}");

    // What a classifier of images has, and a regression over a table.
    let images_project = Project::new();
    images_project.run("train", &[], 0);
    let table_project = table();
    let (of_images, of_table) = (served(&images_project), served(&table_project));
    let image = images(1)[0].clone();
    predict(&of_images, "mnist", (0..200).map(|_| image.clone()));
    let rows = training_rows();
    predict(
        &of_table,
        "diabetes",
        rows.iter().take(200).map(|row| json!(row)),
    );
    let there: BTreeSet<String> = [&of_images, &of_table]
        .into_iter()
        .flat_map(|server| metrics(&page(server)))
        .collect();
    let missing: Vec<_> = named.difference(&there).collect();
    assert_eq!(missing.len(), 0, "{missing:?} are not among {there:?}");
    // Each panel of the dashboard has something to show for one of both.
    let prometheus = Prometheus::start(&[&of_images, &of_table], None);
    // Rates need two scrapes.
    prometheus.wait_for("rate(trainyard_inference_rows_total[1m]) >= 0");
    for query in &queries {
        // A count: a long answer would come in chunks, which the client here does not know.
        prometheus.wait_for(&format!("count({})", filled(query)));
    }
}
