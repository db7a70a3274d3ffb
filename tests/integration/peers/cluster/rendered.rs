//! Manifests, kustomization and chart, read by the tools of their users.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::peers::program;
use crate::project::Said;
use crate::support::{output, run, stage};

const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

const CONFIG: &str = "
[deploy]
name = \"digits\"
namespace = \"ml\"
min_available = 1
cpu_limit = \"2\"
arguments = [\"--max-request-mib\", \"8\"]
pull_secrets = [\"registry\"]
labels = { team = \"vision\" }

[deploy.autoscale]
min_replicas = 2
max_replicas = 5
";

fn render(folder: &Path) {
    fs::write(folder.join("trainyard.toml"), CONFIG).unwrap();
    let mut deploy = stage("deploy");
    deploy
        .current_dir(folder)
        .args(["--unsigned", "--render", "out"]);
    deploy.arg(format!("ghcr.io/acme/digits@{DIGEST}"));
    Said::of(&mut deploy, 0);
}

/// The documents of YAML text, by PyYAML's heir.
fn documents(text: &str) -> Vec<Value> {
    let code = "import json, sys; from ruamel.yaml import YAML; print(json.dumps(list(YAML(typ='safe').load_all(sys.stdin))))";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.yaml");
    fs::write(&path, text).unwrap();
    let mut python = program("python");
    python
        .args(["-c", code])
        .stdin(fs::File::open(path).unwrap());
    serde_json::from_str(&run(&mut python)).unwrap()
}

fn by_kind(mut objects: Vec<Value>) -> Vec<(String, Value)> {
    objects.retain(|object| !object.is_null());
    let mut all: Vec<_> = (objects.into_iter())
        .map(|object| (object["kind"].as_str().unwrap().to_owned(), object))
        .collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

#[test]
fn kustomize_builds_what_was_rendered_and_the_schemas_of_kubernetes_accept_it() {
    let folder = tempfile::tempdir().unwrap();
    render(folder.path());
    let kustomize = folder.path().join("out/kustomize");
    let built = run(program("kubectl").arg("kustomize").arg(&kustomize));
    let plain = fs::read_to_string(kustomize.join("manifests.yaml")).unwrap();
    assert_eq!(by_kind(documents(&built)), by_kind(documents(&plain)));
    let kinds: Vec<String> = by_kind(documents(&plain))
        .into_iter()
        .map(|it| it.0)
        .collect();
    assert_eq!(
        kinds,
        [
            "Deployment",
            "HorizontalPodAutoscaler",
            "NetworkPolicy",
            "PodDisruptionBudget",
            "Service"
        ]
    );
    // The oldest and the newest version whose objects these are.
    for version in ["1.25", "1.31", "1.37"] {
        let mut validate = program("kubernetes-validate");
        validate
            .args(["--strict", "-k", version])
            .arg(kustomize.join("manifests.yaml"));
        run(&mut validate);
    }
    // The schemas see a misspelt field.
    let wrong = folder.path().join("wrong.yaml");
    fs::write(&wrong, plain.replace("minReplicas", "minReplicaz")).unwrap();
    let validated = output(
        program("kubernetes-validate")
            .args(["--strict", "-k", "1.31"])
            .arg(&wrong),
    );
    assert!(!validated.status.success());

    // A digest that is set in place is the one that kustomize then builds.
    let new = DIGEST.replace('1', "2");
    let mut deploy = stage("deploy");
    deploy
        .current_dir(folder.path())
        .args(["--unsigned", "--write", "out/kustomize"]);
    Said::of(deploy.arg(format!("ghcr.io/acme/digits@{new}")), 0);
    let built = run(program("kubectl").arg("kustomize").arg(&kustomize));
    assert!(
        built.contains(&format!("ghcr.io/acme/digits@{new}")),
        "{built}"
    );
    assert!(!built.contains(DIGEST), "{built}");
}

#[test]
fn helm_lints_the_chart_and_renders_the_same_objects() {
    let folder = tempfile::tempdir().unwrap();
    render(folder.path());
    let chart = folder.path().join("out/chart");
    let helm = |arguments: &[&str]| -> Command {
        let mut helm = program("helm");
        helm.args(arguments).arg(&chart).env("HOME", folder.path());
        helm
    };
    run(helm(&["lint", "--strict"]).args(["--namespace", "ml"]));
    let template = |more: &[&str]| {
        let text = run(helm(&["template", "digits"])
            .args(["--namespace", "ml"])
            .args(more));
        by_kind(documents(&text))
    };
    let plain = fs::read_to_string(folder.path().join("out/kustomize/manifests.yaml")).unwrap();
    assert_eq!(template(&[]), by_kind(documents(&plain)));

    let found = template(&[
        "--set",
        "autoscale.enabled=false",
        "--set",
        "replicas=7",
        "--set",
        "networkPolicy=false",
        "--set",
        "minAvailable=0",
        "--set",
        "image.digest=",
        "--set",
        "image.tag=1.2.3",
        "--set",
        "resources.cpuLimit=",
    ]);
    let kinds: Vec<&str> = found.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(kinds, ["Deployment", "Service"]);
    let spec = &found[0].1["spec"];
    assert_eq!(spec["replicas"], json!(7));
    let container = &spec["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "ghcr.io/acme/digits:1.2.3");
    assert_eq!(
        container["resources"]["limits"],
        json!({ "memory": "256Mi" })
    );

    // The schema of the values refuses a misspelt one.
    let linted = output(helm(&["lint"]).args(["--set", "replica=3"]));
    assert!(!linted.status.success());
}

#[test]
fn an_inference_service_runs_the_image_by_its_own_server() {
    let folder = tempfile::tempdir().unwrap();
    render(folder.path());
    let text = fs::read_to_string(folder.path().join("out/inference-service.yaml")).unwrap();
    let service = &documents(&text)[0];
    assert_eq!(service["apiVersion"], "serving.kserve.io/v1beta1");
    let predictor = &service["spec"]["predictor"];
    assert_eq!(predictor["minReplicas"], 2);
    assert_eq!(predictor["containers"][0]["name"], "kserve-container");
    assert_eq!(
        predictor["containers"][0]["image"],
        format!("ghcr.io/acme/digits@{DIGEST}")
    );
}
