//! Canaries: promoted, rolled back and held by the metrics of real servers.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use super::{App, ControlPlane, Models, image_of, model_of, sample_of, write_request};
use crate::project::{Project, Said, read_json};

/// A small canary, as fast as its proof allows: by this many requests, an error rate 5 points higher is ruled out.
const CANARY: &str = "
[deploy.canary]
steps = [50]
min_requests = 400
max_error_increase = 0.05
max_latency_increase_pct = 300
latency_quantile = 0.5
interval_s = 1
timeout_s = 60
";

/// The example's model with far more units: it answers the same requests, later.
fn slow() -> Project {
    let project = Project::new();
    project.edit("units = 128", "units = 8192");
    project.edit("max_train_rows = 4000", "max_train_rows = 256");
    project.remove_rules();
    project.run("train", &[], 0);
    project
}

/// The model with another name of its input: it answers every request of the clients with 400.
fn other_input(first: &Project) -> PathBuf {
    let folder = first.path("other-input");
    fs::create_dir(&folder).unwrap();
    let mut manifest = read_json(&model_of(first).join("model.json"));
    manifest["input"]["name"] = "pixels".into();
    fs::write(folder.join("model.json"), manifest.to_string()).unwrap();
    let weights = "weights.safetensors";
    fs::copy(model_of(first).join(weights), folder.join(weights)).unwrap();
    folder
}

fn last_step(app: &App<'_>) -> Value {
    app.outcome()["canary"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone()
}

#[track_caller]
fn finding(step: &Value, metric: &str) -> Value {
    let findings = step["findings"].as_array().unwrap();
    let found = findings.iter().find(|it| it["metric"] == metric);
    found
        .unwrap_or_else(|| panic!("no {metric} in {step:#}"))
        .clone()
}

#[test]
fn a_canary_is_promoted_only_on_proof() {
    let Models { first, second } = Models::train();
    let cluster = ControlPlane::start();
    let (one, two) = (image_of(&first), image_of(&second));
    cluster.offer(&one, &model_of(&first));
    cluster.offer(&two, &model_of(&second));
    let request = cluster.path("request.json");
    write_request(&first, &request);
    let sample = sample_of(&second);
    let sample = sample.to_str().unwrap();

    // Without a sample, a canary cannot show what it is.
    let app = App::new(&cluster, "canary", CANARY);
    app.deploy(&one, &[], 2).has_error("there is none");
    // The first deployment has nothing to be compared with.
    app.deploy(&one, &["--sample", sample_of(&first).to_str().unwrap()], 0);
    assert_eq!(app.running("digits"), one);

    // No traffic: nothing is proven, so it is held.
    let quick = CANARY.replace("timeout_s = 60", "timeout_s = 3");
    app.configure(&quick);
    let said = app.deploy(&two, &["--sample", sample], 3);
    said.has_error("`min_requests` asks for 400 of each");
    said.has_error("--promote");
    assert_eq!(app.outcome()["outcome"], "held");
    assert_eq!(
        (app.running("digits"), app.running("digits-canary")),
        (one.clone(), two.clone())
    );
    Said::of(app.command().args(["--abort", "--namespace", "canary"]), 0);
    assert_eq!(cluster.names("deployment", "canary"), ["digits"]);
    let nothing = Said::of(app.command().args(["--abort", "--namespace", "canary"]), 2);
    nothing.has_error("there is no Deployment `digits-canary`");
    app.deploy(&two, &["--promote"], 2)
        .has_error("no canary is there");

    // With traffic it is proven, step by step, and promoted.
    app.configure(&CANARY.replace("steps = [50]", "steps = [34, 50]"));
    cluster.send("canary", "digits", "mnist", &request, 200);
    app.deploy(&two, &["--sample", sample], 0);
    let outcome = app.outcome();
    assert_eq!(
        (
            &outcome["outcome"],
            outcome["canary"].as_array().unwrap().len()
        ),
        (&"rolled-out".into(), 2),
        "{outcome:#}"
    );
    for metric in ["parity", "error_rate", "latency", "drift"] {
        assert_eq!(
            finding(&last_step(&app), metric)["proof"],
            "within_limit",
            "{outcome:#}"
        );
    }
    assert!(
        last_step(&app)["canary"]["n"].as_u64().unwrap() >= 800,
        "{outcome:#}"
    );
    assert_eq!(app.running("digits"), two);
    assert_eq!(cluster.names("deployment", "canary"), ["digits"]);

    // The image of another model than the sample's is gone before any client has asked it.
    let said = app.deploy(&one, &["--sample", sample], 6);
    said.has_error("does not answer as the evaluated model");
    assert_eq!(finding(&last_step(&app), "parity")["proof"], "beyond_limit");
    assert_eq!(app.running("digits"), two);
    assert_eq!(cluster.names("deployment", "canary"), ["digits"]);
    by_errors(&app, &first);
    by_latency(&app);
    analysis(&app, &two);
}

fn by_errors(app: &App<'_>, first: &Project) {
    let image = "registry.example.org/acme/digits@sha256:0000000000000000000000000000000000000000000000000000000000000001";
    app.cluster.offer(image, &other_input(first));
    let before = app.running("digits");
    app.configure(&format!("{CANARY}parity = false\n"));
    let said = app.deploy(image, &[], 6);
    said.has_error("errors: 100 %");
    assert_eq!(app.outcome()["outcome"], "rolled-back");
    assert_eq!(
        finding(&last_step(app), "error_rate")["proof"],
        "beyond_limit"
    );
    assert_eq!(app.running("digits"), before);
    assert_eq!(app.cluster.names("deployment", app.namespace), ["digits"]);
}

fn by_latency(app: &App<'_>) {
    let slow = slow();
    let image = "registry.example.org/acme/digits@sha256:0000000000000000000000000000000000000000000000000000000000000002";
    app.cluster.offer(image, &model_of(&slow));
    let before = app.running("digits");
    let said = app.deploy(image, &[], 6);
    said.has_error("quantile of the latency");
    assert_eq!(finding(&last_step(app), "latency")["proof"], "beyond_limit");
    assert_eq!(app.running("digits"), before);
    assert_eq!(app.cluster.names("deployment", app.namespace), ["digits"]);
}

/// As a Job of Argo Rollouts calls it, on pods that another tool has brought up.
fn analysis(app: &App<'_>, two: &str) {
    let others = App::new(app.cluster, "argo", "");
    others.deploy(two, &[], 0);
    let config = "[deploy]\nname = \"other\"\ntimeout_s = 20\n";
    fs::write(others.folder.path().join("trainyard.toml"), config).unwrap();
    others.deploy(two, &[], 0);
    let request = app.cluster.path("request.json");
    let analysed = |canary: &str, code: i32| -> Said {
        let stable = "app.kubernetes.io/instance=digits";
        let mut command = app.command();
        command.args([
            "--analyse",
            "--namespace",
            "argo",
            "--stable",
            stable,
            "--canary",
            canary,
        ]);
        Said::of(&mut command, code)
    };
    let canary = "app.kubernetes.io/instance=other";
    app.configure(&CANARY.replace("timeout_s = 60", "timeout_s = 2"));
    analysed(canary, 3).has_error("neither better nor worse");
    for name in ["digits", "other"] {
        app.cluster.send("argo", name, "mnist", &request, 300);
    }
    app.configure(CANARY);
    analysed(canary, 0).has_output("errors: 0 %");
    // Pods compared with themselves would always pass.
    analysed("trainyard.dev/track=stable", 2).has_error("the same pods");
}
