//! Rollouts without a canary: applied, waited for, and taken back.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::{App, ControlPlane, Models, image_of, model_of, sample_of};

#[test]
fn an_image_is_rolled_out_upgraded_and_restored_where_it_fails() {
    let Models { first, second } = Models::train();
    let mut cluster = ControlPlane::start();
    let (one, two) = (image_of(&first), image_of(&second));
    cluster.offer(&one, &model_of(&first));
    cluster.offer(&two, &model_of(&second));
    let app = App::new(&cluster, "plain", "");
    let sample = sample_of(&first);
    let sample = sample.to_str().unwrap();

    // A plan changes nothing.
    let said = app.deploy(&one, &["--diff"], 0);
    said.has_output("+  name: digits");
    assert_eq!(app.outcome()["outcome"], "planned");
    assert_eq!(cluster.names("deployment", "plain"), [] as [&str; 0]);

    app.deploy(&one, &["--sample", sample], 0);
    assert_eq!(app.outcome()["outcome"], "rolled-out");
    assert_eq!(app.running("digits"), one);
    assert_eq!(cluster.names("service", "plain"), ["digits"]);
    assert_eq!(cluster.names("networkpolicy", "plain"), ["digits"]);
    // Without a scheduler, no pod has a node and so no place among the endpoints: what the Service would choose is asked for itself.
    let selector = cluster.object("service", "plain", "digits")["spec"]["selector"].clone();
    let selector = selector.as_object().unwrap().iter();
    let selector: Vec<String> = selector
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap()))
        .collect();
    let chosen = cluster.kubectl(&[
        "get",
        "pods",
        "--namespace",
        "plain",
        "--selector",
        &selector.join(","),
        "--output",
        "name",
    ]);
    assert_eq!(chosen.lines().count(), 2, "{chosen}");

    // Nothing to do: nothing is applied.
    let generation = |app: &App<'_>| app.deployment("digits")["metadata"]["generation"].clone();
    let versions = |app: &App<'_>| app.deployment("digits")["metadata"]["resourceVersion"].clone();
    let before = (generation(&app), versions(&app));
    app.deploy(&one, &[], 0);
    assert_eq!(app.outcome()["outcome"], "unchanged");
    assert_eq!((generation(&app), versions(&app)), before);

    app.deploy(&two, &[], 0);
    assert_eq!(app.outcome()["previous_image"], json!(one));
    assert_eq!(app.running("digits"), two);

    // An image that cannot be pulled.
    let bad = one.replace("acme/digits", "acme/nowhere");
    app.configure("timeout_s_unused = 1\n");
    app.deploy(&bad, &[], 2).has_error("timeout_s_unused");
    app.configure("");
    let said = app.deploy(&bad, &[], 6);
    said.has_error("ErrImagePull: no such image");
    assert_eq!(app.outcome()["outcome"], "rolled-back");
    assert_eq!(app.running("digits"), two);

    // The sample of another model: it runs, and is not the evaluated one.
    let said = app.deploy(&one, &["--sample", sample_of(&second).to_str().unwrap()], 6);
    said.has_error("does not answer as the evaluated model");
    assert_eq!(app.running("digits"), two);

    // Neither runs: the earlier image is gone from its registry, and its pods with their node.
    cluster.withdraw(&two);
    cluster.kubectl(&[
        "delete",
        "pods",
        "--all",
        "--namespace",
        "plain",
        "--wait=false",
    ]);
    let said = app.deploy(&bad, &[], 7);
    said.has_error("the restored image is not ready either");
    assert_eq!(app.outcome()["outcome"], "rollback-failed");
    cluster.offer(&two, &model_of(&second));

    // A field that another manager holds is named, and nothing is applied.
    let app = App::new(&cluster, "shared", "");
    app.deploy(&one, &[], 0);
    cluster.kubectl(&[
        "patch",
        "deployment",
        "digits",
        "--namespace",
        "shared",
        "--type=merge",
        "--field-manager=ops",
        "--patch",
        r#"{"spec":{"replicas":3}}"#,
    ]);
    let said = app.deploy(&two, &[], 5);
    said.has_error("\"ops\"");
    said.has_error("--force-conflicts");
    assert_eq!(app.deployment("digits")["spec"]["replicas"], 3);
    app.deploy(&two, &["--force-conflicts"], 0);
    assert_eq!(app.deployment("digits")["spec"]["replicas"], 2);

    // An autoscaler's number of pods is left alone, from the run on in which it is found.
    let app = App::new(&cluster, "scaled", "");
    app.deploy(&one, &[], 0);
    cluster.apply(&json!({
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
        "metadata": { "name": "others", "namespace": "scaled" },
        "spec": { "minReplicas": 1, "maxReplicas": 9, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "digits" } },
    }));
    cluster.kubectl(&[
        "scale",
        "deployment",
        "digits",
        "--namespace",
        "scaled",
        "--replicas=4",
    ]);
    app.deploy(&two, &[], 0);
    assert_eq!(app.deployment("digits")["spec"]["replicas"], 4);
    assert_eq!(app.running("digits"), two);

    // The API server is gone for a while in the middle of a rollout.
    let app = App::new(&cluster, "cut", "");
    let mut command = app.command();
    command.args([&one, "--unsigned", "--namespace", "cut"]);
    let mut deploy = command
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(deploy.stderr.take().unwrap()).lines();
    let is_applied = |line: &String| line.contains("created Deployment");
    assert!(
        said.by_ref()
            .map_while(Result::ok)
            .any(|line| is_applied(&line))
    );
    // The folder stays.
    let App { folder, .. } = app;
    cluster.kill_api_server();
    sleep(Duration::from_secs(3));
    cluster.start_api_server();
    let rest: Vec<String> = said.map_while(Result::ok).collect();
    assert!(deploy.wait().unwrap().success(), "{rest:#?}");
    assert!(
        rest.iter().any(|line| line.contains("another attempt in")),
        "{rest:#?}"
    );
    drop(folder);
}
