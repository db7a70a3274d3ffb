//! The stages one after the other on real digits: what they write, that it repeats, and how each failure ends.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::project::{Project, Said, read_json};
use crate::support::{repository, stage};

fn digest_of_model(project: &Project) -> String {
    let said = project.json("evaluation/evaluation.json");
    said["model"]["digest"].as_str().unwrap().to_owned()
}

#[test]
fn the_chain_ends_with_an_image_whose_digests_are_tied_together() {
    let project = Project::passed();
    project.run("publish-image", &[], 0);
    let evaluation = project.json("evaluation/evaluation.json");
    let verdict = project.json("verdict/verdict.json");
    let publication = project.json("image/publication.json");
    let model = evaluation["model"]["digest"].as_str().unwrap();
    assert_eq!(verdict["model_digest"], model);
    assert_eq!(publication["model_digest"], model);
    assert_eq!(
        publication["evaluation_digest"],
        verdict["evaluation_digest"]
    );
    assert_eq!(publication["n_smoke_test_rows"], 32);
    let metrics = project.json("evaluation/metrics.json");
    let accuracy = metrics["accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.8, "{accuracy}");

    // Independent source of the model's digest: the lines of design by coreutils.
    let script = "for f in model.json weights.safetensors; do \
                  printf '%s %s %s\\n' \"$(sha256sum <$f | cut -d' ' -f1)\" \"$(stat -c %s $f)\" $f; done | LC_ALL=C sort | sha256sum";
    let mut shell = Command::new("sh");
    shell
        .args(["-c", script])
        .current_dir(project.path("trainyard-out/model"));
    let said = Said::of(&mut shell, 0);
    assert_eq!(
        model,
        format!("sha256:{}", said.stdout.split(' ').next().unwrap())
    );
}

#[test]
fn every_file_fits_its_published_schema() {
    let project = Project::passed();
    project.run("publish-image", &[], 0);
    for (schema, file) in [
        ("model", "model/model.json"),
        ("run", "model/run.json"),
        ("evaluation", "evaluation/evaluation.json"),
        ("verdict", "verdict/verdict.json"),
        ("publication", "image/publication.json"),
    ] {
        assert_valid(schema, &project.json(file));
    }
    let config = fs::read_to_string(project.path("trainyard.toml")).unwrap();
    let config: toml::Value = toml::from_str(&config).unwrap();
    assert_valid("config", &serde_json::to_value(config).unwrap());
}

pub(crate) fn assert_valid(name: &str, value: &Value) {
    let schema = read_json(&repository().join(format!("docs/reference/schema/{name}.schema.json")));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let problems: Vec<String> = validator
        .iter_errors(value)
        .map(|error| format!("{error} at {}", error.instance_path()))
        .collect();
    assert!(problems.is_empty(), "{name}: {problems:?}");
}

#[test]
fn the_same_inputs_give_the_same_model_and_image_on_any_number_of_threads() {
    let images: Vec<(String, String)> = ["1", "3"]
        .iter()
        .map(|threads| {
            let project = Project::new();
            project.run("train", &["--threads", threads], 0);
            project.run("evaluate", &["--threads", threads], 0);
            project.run("gate", &[], 0);
            let mut publish = project.stage("publish-image", &[]);
            Said::of(publish.env("SOURCE_DATE_EPOCH", "1700000000"), 0);
            let publication = project.json("image/publication.json");
            let image = publication["image_digest"].as_str().unwrap().to_owned();
            (digest_of_model(&project), image)
        })
        .collect();
    assert_eq!(images[0], images[1]);
}

#[test]
fn a_trained_model_is_found_and_a_changed_configuration_trains_anew() {
    let project = Project::new();
    project.run("train", &[], 0);
    project.run("train", &[], 0).has_error("nothing to train");
    project.edit("batch_size = 128", "batch_size = 64");
    let said = project.run("train", &[], 0);
    assert!(!said.stderr.contains("nothing to train"), "{}", said.stderr);
}

#[test]
fn candle_trains_what_the_kernels_score_and_refuses_the_rest_before_any_data_are_read() {
    let project = Project::new();
    project.edit("[train]\n", "[train]\nengine = \"candle\"\n");
    project.run("train", &[], 0);
    let origin = &project.json("model/model.json")["origin"];
    assert_eq!(
        (&origin["type"], &origin["engine"]),
        (&"trained".into(), &"candle".into())
    );
    project.run("evaluate", &[], 0);
    let accuracy = project.json("evaluation/metrics.json")["accuracy"].as_f64();
    assert!(accuracy.unwrap() > 0.7, "{accuracy:?}");

    project.edit("train-images-idx3-ubyte.gz", "absent.gz");
    project.edit("type = \"Flatten\"", "type = \"GlobalMaxPooling2D\"");
    project
        .run("train", &[], 2)
        .has_error("`global_max_pooling2d`: it does not have GlobalMaxPooling2D");
}

#[test]
fn a_missed_rule_is_1_and_is_not_published() {
    let project = Project::scored();
    project.edit("min = 0.5", "min = 0.9999");
    let said = project.run("gate", &[], 1);
    said.has_output("verdict: fail");
    assert_eq!(project.json("verdict/verdict.json")["verdict"], "fail");
    let said = project.run("publish-image", &[], 1);
    said.has_error("the gate failed, so nothing is published");
    assert!(!project.path("trainyard-out/image/index.json").exists());
}

#[test]
fn what_cannot_be_judged_is_3_and_written_down() {
    let project = Project::scored();
    let inconclusive = |said: Said, expected: &str| {
        said.has_output(expected);
        assert_eq!(
            project.json("verdict/verdict.json")["verdict"],
            "inconclusive"
        );
    };
    project.edit("metric = \"loss\"", "metric = \"los\"");
    inconclusive(project.run("gate", &[], 3), "did you mean `loss`?");
    project.edit("metric = \"los\"", "metric = \"loss\"");

    project.write("nan.json", "{\"accuracy\": NaN, \"loss\": 0.1}");
    let said = project.run("gate", &["--metrics", "nan.json"], 3);
    inconclusive(said, "`accuracy` has no value: it is NaN");
    let said = project.run("gate", &["--metrics", "absent.json"], 3);
    inconclusive(said, "cannot read `absent.json`");

    project.remove_rules();
    inconclusive(project.run("gate", &[], 3), "There are no rules");
}

#[test]
fn an_evaluation_of_another_model_is_3() {
    let project = Project::passed();
    project.run("train", &["--seed", "7"], 0);
    project
        .run("gate", &[], 3)
        .has_output("run `trainyard-evaluate` again");
    project
        .run("publish-image", &[], 3)
        .has_error("run `trainyard-evaluate` and `trainyard-gate` again");
}

#[test]
fn publishing_needs_the_verdict_that_the_rules_give_now() {
    let project = Project::scored();
    project
        .run("publish-image", &[], 3)
        .has_error("there is no verdict to publish by");
    project.run("gate", &[], 0);
    project.edit("max = 1.5", "max = 1.6");
    project
        .run("publish-image", &[], 3)
        .has_error("the rules have changed since");
    project.edit("max = 1.6", "max = 1.5");

    // A verdict written by hand.
    project.edit("min = 0.5", "min = 0.9999");
    project.run("gate", &[], 1);
    let path = project.path("trainyard-out/verdict/verdict.json");
    let forged = fs::read_to_string(&path)
        .unwrap()
        .replacen("\"fail\"", "\"pass\"", 1);
    fs::write(&path, forged).unwrap();
    project
        .run("publish-image", &[], 3)
        .has_error("it says `pass`, but evaluation and rules give `fail`");

    // Changed predictions no longer belong to the evaluation.
    project.edit("min = 0.9999", "min = 0.5");
    project.run("gate", &[], 0);
    project.write("trainyard-out/evaluation/predictions.npz", "other");
    project
        .run("publish-image", &[], 3)
        .has_error("predictions.npz` does not match the digest");
}

#[test]
fn an_override_is_published_only_where_the_workflow_allows_it() {
    let project = Project::scored();
    project.edit("min = 0.5", "min = 0.9999");
    project.run("gate", &[], 1);
    let commit = "b".repeat(40);
    let path = project.path("trainyard-out/verdict/verdict.json");
    let mut verdict = project.json("verdict/verdict.json");
    verdict["commit"] = serde_json::json!(commit);
    verdict["override"] = serde_json::json!({
        "commit": commit, "by": "maria", "reason": "known drift", "url": "https://github.com/acme/x/pull/7",
    });
    fs::write(&path, verdict.to_string()).unwrap();
    let publish = |arguments: &[&str], commit: &str, code: i32| {
        let mut command = project.stage("publish-image", arguments);
        command
            .env("JENKINS_URL", "https://ci.example/")
            .env("GIT_COMMIT", commit);
        Said::of(&mut command, code)
    };
    // Where no push is asked for, the run that a person let through stays green, and builds nothing.
    publish(&[], &commit, 0).has_error("no image is built without `--allow-override`");
    assert!(!project.path("trainyard-out/image/index.json").exists());
    publish(&["--push", "registry.invalid/x"], &commit, 1)
        .has_error("set `allow-override: \"true\"`");
    publish(&["--allow-override"], &"c".repeat(40), 1);
    publish(&["--allow-override"], &commit, 0);
    let blobs = fs::read_dir(project.path("trainyard-out/image/blobs/sha256")).unwrap();
    let manifests: Vec<String> = blobs
        .filter_map(|blob| fs::read_to_string(blob.unwrap().path()).ok())
        .filter(|text| text.contains("dev.trainyard.override"))
        .collect();
    assert!(
        manifests
            .iter()
            .any(|text| text.contains("maria: known drift")),
        "{manifests:?}"
    );
}

#[test]
fn a_typo_in_the_configuration_is_2_and_named_with_its_line() {
    let project = Project::new();
    project.edit("batch_size = 128", "batchsize = 128");
    let config = fs::read_to_string(project.path("trainyard.toml")).unwrap();
    let line = 1 + config
        .lines()
        .position(|line| line.starts_with("batchsize"))
        .unwrap();
    for name in ["train", "evaluate", "gate", "publish-image"] {
        let said = project.run(name, &[], 2);
        said.has_error(&format!(
            "trainyard.toml:{line}:1: unknown field `batchsize`"
        ));
        said.has_error("did you mean `batch_size`?");
    }
}

#[test]
fn wrong_arguments_are_2() {
    let project = Project::new();
    project
        .run("train", &["--epochs", "0"], 2)
        .has_error("--epochs");
    project.run("train", &["--epoch"], 2).has_error("--epochs");
    project
        .run("gate", &["--config", "absent.toml"], 2)
        .has_error("absent.toml");
}

#[test]
fn damaged_data_is_4_and_named() {
    let project = Project::new();
    let images = repository().join("examples/mnist/data/train-images-idx3-ubyte.gz");
    let whole = fs::read(&images).unwrap();
    project.edit(&images.display().to_string(), "images.gz");
    let damaged = |bytes: &[u8], expected: &str| {
        project.write("images.gz", bytes);
        let said = project.run("train", &[], 4);
        said.has_error("images.gz");
        said.has_error(expected);
    };
    damaged(&whole[..whole.len() / 2], "cut off");
    damaged(
        &[0, 0, 8, 3, 0, 0],
        "the header says 3 axes, which take 12 bytes, but 2 follow",
    );
    damaged(b"not an idx file", "IDX");
    damaged(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9912422\n",
        "set `lfs: true` on `actions/checkout`",
    );
    fs::remove_file(project.path("images.gz")).unwrap();
    project.run("train", &[], 4).has_error("images.gz");
}

#[test]
fn a_damaged_model_is_4() {
    let project = Project::new();
    project
        .run("evaluate", &[], 4)
        .has_error("run `trainyard-train` first");
    project.run("train", &[], 0);
    let weights = project.path("trainyard-out/model/weights.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    project
        .run("evaluate", &[], 4)
        .has_error("does not match the digest in model.json");
}

/// Ended by SIGTERM, as a cancelled job is, and by SIGKILL, as a machine that is taken away: the end is the same.
#[cfg(unix)]
#[test]
fn a_run_that_was_cut_off_is_resumed_to_the_same_model() {
    use std::os::unix::process::ExitStatusExt as _;
    let project = Project::new();
    project.edit("epochs = 1", "epochs = 8");
    project.run("train", &["--out", "whole"], 0);
    let checkpoint = project.path("trainyard-out/checkpoint/checkpoint.json");
    let cut_off = |signal: &str, arguments: &[&str]| {
        let before = fs::read(&checkpoint).unwrap_or_default();
        let mut train = project.stage("train", arguments);
        let mut process = train.stderr(std::process::Stdio::piped()).spawn().unwrap();
        // Until another epoch is saved, or all are.
        while fs::read(&checkpoint).unwrap_or_default() == before
            && process.try_wait().unwrap().is_none()
        {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Command::new("kill")
            .arg(signal)
            .arg(process.id().to_string())
            .status()
            .unwrap();
        let output = process.wait_with_output().unwrap();
        (
            output.status,
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    let (status, said) = cut_off("-TERM", &[]);
    assert_eq!(status.code(), Some(143), "{said}");
    assert!(said.contains("--resume"), "{said}");
    let (status, said) = cut_off("-KILL", &["--resume"]);
    assert_eq!(status.signal(), Some(9), "{said}");
    let said = project.run("train", &["--resume"], 0);
    said.has_error("going on after");
    let weights =
        |out: &str| fs::read(project.path(&format!("{out}/model/weights.safetensors"))).unwrap();
    assert_eq!(weights("trainyard-out"), weights("whole"));
    assert!(!checkpoint.exists());
    let history =
        |out: &str| fs::read_to_string(project.path(&format!("{out}/model/history.tsv"))).unwrap();
    assert_eq!(history("trainyard-out"), history("whole"));

    project
        .run("train", &["--resume", "--force", "--epochs", "1"], 0)
        .has_error("there is no checkpoint");
    let (status, _) = cut_off("-TERM", &["--force"]);
    assert_eq!(status.code(), Some(143));
    project.edit("batch_size = 128", "batch_size = 64");
    project
        .run("train", &["--resume"], 2)
        .has_error("`train.batch_size` was 128 and is 64");
}

#[test]
fn a_loss_that_is_no_number_stops_with_place_and_advice() {
    let project = Project::new();
    project.edit(
        "type = \"adam\"\nlearning_rate = 0.001",
        "type = \"sgd\"\nlearning_rate = 1e30",
    );
    let said = project.run("train", &[], 4);
    said.has_error("in epoch 1, batch ");
    said.has_error("of the layer `");
    said.has_error("lower `[train.optimizer] learning_rate`");
    assert!(!project.path("trainyard-out/model/model.json").exists());
}

#[test]
fn a_baseline_is_compared_with_on_the_same_rows() {
    let project = Project::scored();
    fs::copy(
        project.path("trainyard-out/evaluation/evaluation.json"),
        project.path("baseline.json"),
    )
    .unwrap();
    project.edit("max = 1.5", "max_drop = 0.001");
    let said = project.run("gate", &["--baseline", "baseline.json"], 0);
    said.has_output("verdict: pass");
    let verdict = project.json("verdict/verdict.json");
    assert_eq!(verdict["baseline"]["rows"]["rows"], "same");
    assert_eq!(verdict["baseline"]["paired"]["n_lost"], 0);

    // A worse model misses the rule.
    project.run("train", &["--seed", "3"], 0);
    project.edit("batch_size = 128", "batch_size = 2000");
    project.run("train", &[], 0);
    project.run("evaluate", &[], 0);
    let said = project.run("gate", &["--baseline", "baseline.json"], 1);
    said.has_output("no more than 0.001 above the baseline");

    // A baseline that is named and not there cannot be judged by.
    project.run("gate", &["--baseline", "absent.json"], 3);
}

#[test]
fn the_configuration_is_printed_with_its_defaults() {
    let project = Project::new();
    let said = project.run("train", &["--print-config"], 0);
    said.has_output("beta_2 = 0.999");
    let printed: toml::Value = toml::from_str(&said.stdout).unwrap();
    assert_eq!(printed["train"]["batch_size"].as_integer(), Some(128));
    let key = |arguments: &[&str]| project.run("train", arguments, 0).stdout;
    let first = key(&["--content-key"]);
    assert_eq!(first.trim().len(), 64);
    assert_eq!(first, key(&["--content-key", "--threads", "1"]));
    assert_ne!(first, key(&["--content-key", "--seed", "1"]));
}

#[test]
fn every_stage_helps() {
    for name in ["train", "evaluate", "gate", "publish-image", "serve"] {
        let said = Said::of(stage(name).arg("--help"), 0);
        said.has_output("Usage: trainyard-");
        Said::of(stage(name).arg("--version"), 0).has_output(env!("CARGO_PKG_VERSION"));
    }
}

#[test]
fn in_github_actions_inputs_come_and_outputs_go_by_the_runners_files() {
    let project = Project::scored();
    project.edit("min = 0.5", "min = 0.9999");
    project.write("event.json", "{}");
    let mut gate = project.stage("gate", &[]);
    let said = Said::of(
        gate.env("GITHUB_ACTIONS", "true")
            .env("GITHUB_EVENT_NAME", "workflow_dispatch")
            .env("GITHUB_EVENT_PATH", project.path("event.json"))
            .env("GITHUB_WORKSPACE", project.path(""))
            .env("GITHUB_OUTPUT", project.path("output"))
            .env("GITHUB_STEP_SUMMARY", project.path("summary"))
            .env("INPUT_OUT", "trainyard-out")
            .env("INPUT_METRICS", ""),
        1,
    );
    said.has_output("::error file=trainyard.toml,line=");
    let output = fs::read_to_string(project.path("output")).unwrap();
    assert!(
        output.contains("verdict<<") && output.contains("\nfail\n"),
        "{output}"
    );
    let summary = fs::read_to_string(project.path("summary")).unwrap();
    assert!(
        summary.starts_with("### ❌ Fail · mnist — accuracy **0."),
        "{summary}"
    );
}

/// A report of a pass beside a gate that broke off would be published by a step with `if: always()`.
#[test]
fn a_stage_that_breaks_off_leaves_no_report_and_no_image_of_an_earlier_run() {
    let project = Project::passed();
    project.run("publish-image", &[], 0);
    let is_there = |file: &str| project.path(&format!("trainyard-out/{file}")).exists();
    assert!(is_there("verdict/comment.md") && is_there("verdict/junit.xml"));
    assert!(is_there("image/index.json"));
    project.run("gate", &["--config", "missing.toml"], 2);
    let report = |file: &str| {
        fs::read_to_string(project.path(&format!("trainyard-out/verdict/{file}"))).unwrap()
    };
    assert!(
        report("comment.md").contains("The configuration cannot be read"),
        "{}",
        report("comment.md")
    );
    assert!(
        report("junit.xml").contains("errors=\"1\""),
        "{}",
        report("junit.xml")
    );
    // A command line that cannot be read says nothing about the folder.
    project.run("gate", &["--evaluation", "x", "--metrics", "y"], 2);
    project.run("publish-image", &[], 3);
    assert!(!is_there("image/index.json"));
}

#[test]
fn a_model_of_another_configuration_is_said_to_be_one() {
    let project = Project::scored();
    project.edit("epochs = 1", "epochs = 2");
    project.run("evaluate", &[], 0);
    let evaluation = project.json("evaluation/evaluation.json");
    assert_eq!(
        evaluation["overriding_inputs"][0],
        "another configuration of training"
    );
    let note = evaluation["notes"][0].as_str().unwrap();
    assert!(note.contains("not the configuration's model"), "{note}");

    // By an input, which is named.
    project.run("train", &["--epochs", "1", "--seed", "9"], 0);
    project.run("evaluate", &[], 0);
    let evaluation = project.json("evaluation/evaluation.json");
    assert_eq!(
        evaluation["overriding_inputs"],
        serde_json::json!(["epochs = 1", "seed = 9"])
    );
}

/// The evaluation is a pipe that gives the file once: a second reading would wait for ever.
#[cfg(unix)]
#[test]
fn what_is_judged_is_what_was_read_once() {
    let project = Project::scored();
    let path = project.path("trainyard-out/evaluation/evaluation.json");
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let mut shell = Command::new("sh");
    Said::of(shell.args(["-c", "mkfifo \"$0\""]).arg(&path), 0);
    let digest = trainyard_core::digest::Sha256Digest::of(&bytes);
    let writer = std::thread::spawn(move || fs::write(&path, bytes));
    project.run("gate", &[], 0);
    writer.join().unwrap().unwrap();
    let verdict = project.json("verdict/verdict.json");
    assert_eq!(verdict["evaluation_digest"], digest.to_string());
}
