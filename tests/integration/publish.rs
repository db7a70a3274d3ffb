//! `publish-image` on a model that passed: what is in the image, what is refused, and how a push that is killed is gone on with.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use trainyard_core::digest::Sha256Digest;
use trainyard_oci::{Credentials, Layout};

use crate::http::request;
use crate::peers::push::{layout_at, push_as, tag};
use crate::project::{Project, Said, read_json};
use crate::registry::{Behaviour, Fake};
use crate::support::{output, run, stage};

/// The layers of the only image in the layout.
fn layers(project: &Project) -> Vec<String> {
    let folder = project.path("trainyard-out/image");
    let layout = Layout::open(&folder).unwrap();
    let manifest = layout.index().unwrap().manifests[0].clone();
    let document = layout.manifest(&manifest).unwrap();
    let digests = document.layers.iter().map(|layer| layer.digest.to_string());
    digests.collect()
}

fn configuration(project: &Project) -> Value {
    let folder = project.path("trainyard-out/image");
    let layout = Layout::open(&folder).unwrap();
    let manifest = layout.index().unwrap().manifests[0].clone();
    let config = layout.manifest(&manifest).unwrap().config;
    read_json(&layout.blob_path(&config.digest))
}

/// publishing.md row 2, and the digest of an image of another time.
#[test]
fn one_model_is_one_layer_whatever_the_commit() {
    let project = Project::passed();
    let at = |time: &str| {
        let mut publish = project.stage("publish-image", &[]);
        Said::of(publish.env("SOURCE_DATE_EPOCH", time), 0);
        let digest = project.json("image/publication.json")["image_digest"].clone();
        (layers(&project), digest)
    };
    let (first, image) = at("1700000000");
    let (second, other_image) = at("1800000000");
    assert_eq!(first, second);
    assert_ne!(image, other_image);
    assert_eq!(at("1700000000").1, image);
}

/// Where KServe and image volumes look, and what Docker asks.
#[test]
fn the_model_lies_under_models_and_the_server_is_asked_whether_it_is_well() {
    let project = Project::passed();
    project.run("publish-image", &[], 0);
    let config = configuration(&project)["config"].clone();
    let server = "/usr/local/bin/trainyard-serve";
    assert_eq!(config["Entrypoint"], json!([server, "--model", "/models"]));
    assert_eq!(
        config["Healthcheck"]["Test"],
        json!(["CMD", server, "--probe"])
    );
    let model = layers(&project).pop().unwrap();
    let blob = project.path(&format!(
        "trainyard-out/image/blobs/sha256/{}",
        model.trim_start_matches("sha256:")
    ));
    let listed = run(Command::new("tar").arg("tf").arg(&blob));
    assert_eq!(
        listed,
        "models/\nmodels/model.json\nmodels/weights.safetensors\n"
    );

    // The server reads the layer as it is, and says whether it is ready.
    let environment = config["Env"].as_array().unwrap().iter();
    let found = environment.filter_map(|it| it.as_str()?.strip_prefix("TRAINYARD_ASSESSMENT="));
    let assessment = found.collect::<String>();
    let mut serve = stage("serve");
    serve
        .args(["--host", "127.0.0.1", "--port", "0", "--model"])
        .arg(&blob)
        .env("TRAINYARD_ASSESSMENT", &assessment);
    let mut server = serve
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut address = [0; 64];
    let n_read = server.stdout.as_mut().unwrap().read(&mut address).unwrap();
    let address = String::from_utf8_lossy(&address[..n_read])
        .trim()
        .to_owned();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let probe = || {
        output(stage("serve").args(["--probe", "--port", &port]))
            .status
            .code()
    };
    assert_eq!(probe(), Some(0));
    // Its page shows what was found of the model.
    let address = address.trim_start_matches("http://");
    let (_, models) = request(address, "GET", "/models.json", b"").unwrap();
    let shown = &models[0]["assessment"];
    assert_eq!(*shown, serde_json::from_str::<Value>(&assessment).unwrap());
    let evaluation = project.json("evaluation/evaluation.json");
    let verdict = project.json("verdict/verdict.json");
    assert_eq!(shown["verdict"], verdict["verdict"]);
    assert_eq!(shown["n_rows"], evaluation["data"]["rows"]["n_rows"]);
    assert_eq!(shown["metrics"][0]["name"], "accuracy");
    let accuracy = evaluation["measurements"].as_array().unwrap();
    let accuracy = accuracy
        .iter()
        .find(|it| it["key"] == json!({"metric": "accuracy"}))
        .unwrap();
    let value: f64 = shown["metrics"][0]["value"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (value - accuracy["value"].as_f64().unwrap()).abs() < 1e-4,
        "{shown}"
    );
    server.kill().unwrap();
    server.wait().unwrap();
    assert_eq!(probe(), Some(1));
}

/// publishing.md row 19.
#[test]
fn figures_that_were_edited_are_not_published_by() {
    let project = Project::passed();
    let path = project.path("trainyard-out/evaluation/evaluation.json");
    let verdict_path = project.path("trainyard-out/verdict/verdict.json");
    let verdict = fs::read_to_string(&verdict_path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let mut evaluation: Value = serde_json::from_str(&text).unwrap();
    let mut measured = evaluation["measurements"]
        .as_array_mut()
        .unwrap()
        .iter_mut();
    let accuracy = measured
        .find(|it| it["key"] == json!({"metric": "accuracy"}))
        .unwrap();
    accuracy["value"] = json!(0.9999);
    accuracy["interval"]["upper"] = json!(1.0);
    let edited = evaluation.to_string();
    fs::write(&path, &edited).unwrap();
    let words = "it says accuracy is 0.9999, but its predictions give";
    project.run("gate", &[], 3).has_output(words);
    // Nor by a verdict that was edited to fit.
    let digests = [text, edited].map(|text| Sha256Digest::of(text.as_bytes()).to_string());
    let forged = verdict.replace(&digests[0], &digests[1]);
    assert_ne!(forged, verdict);
    fs::write(&verdict_path, forged).unwrap();
    project.run("publish-image", &[], 3).has_error(words);
    let blobs = fs::read_dir(project.path("trainyard-out/image/blobs/sha256")).unwrap();
    assert_eq!(blobs.count(), 0);
    assert!(!project.path("trainyard-out/image/index.json").exists());
}

/// publishing.md rows 4, 12 and 21, before anything is built.
#[test]
fn what_cannot_be_pushed_is_said_before_anything_is_built() {
    let project = Project::new();
    let digest = format!("localhost:1/acme/m@sha256:{}", "0".repeat(64));
    for (arguments, code, words) in [
        (
            vec!["--tag", "bad tag", "--push", "localhost:1/m"],
            2,
            "is not a tag",
        ),
        (vec!["--push", "acme/m"], 2, "names no registry"),
        (vec!["--push", &digest], 2, "by its digest"),
        (vec!["--push", "localhost:1/m"], 5, "localhost:1"),
    ] {
        let arguments = [arguments, vec!["--preflight"]].concat();
        let mut preflight = project.stage("publish-image", &arguments);
        // Nothing listens there, and nobody is to wait for it.
        Said::of(&mut preflight, code).has_error(words);
        assert!(!project.path("trainyard-out/image").exists());
    }
    // A file of logins is the user's own, and no registry that refuses.
    let mut preflight = project.stage("publish-image", &["--preflight", "--push", "localhost:1/m"]);
    preflight.env("REGISTRY_AUTH_FILE", project.path("no-such-logins.json"));
    Said::of(&mut preflight, 2).has_error("cannot read the logins");
}

/// What would fail once the model is trained.
#[test]
fn a_preflight_looks_for_the_base_image_and_further_files() {
    let fake = Fake::start(Behaviour::default());
    let project = Project::new();
    let base = format!("{}/acme/base@sha256:{}", fake.address(), "0".repeat(64));
    project.edit("[image]\n", &format!("[image]\nbase = \"{base}\"\n"));
    project
        .run("publish-image", &["--preflight"], 2)
        .has_error("has no image");
    let files = "[image]\nfiles = [{ source = \"NOTICE\", target = \"/NOTICE\" }]\n";
    project.edit(&format!("[image]\nbase = \"{base}\"\n"), files);
    project
        .run("publish-image", &["--preflight"], 4)
        .has_error("NOTICE`, which is not a file");
    project.write("NOTICE", "a notice");
    project.run("publish-image", &["--preflight"], 0);
}

#[test]
fn a_preflight_asks_for_the_permission_and_writes_nothing() {
    let project = Project::new();
    let fake = Fake::start(Behaviour {
        login: crate::registry::Login::Basic,
        ..Behaviour::default()
    });
    let push = format!("{}/Acme/M", fake.address());
    let check = |password: &str, code| {
        let mut preflight = project.stage("publish-image", &["--preflight", "--push", &push]);
        preflight.env("TRAINYARD_REGISTRY_USERNAME", "ci");
        preflight.env("TRAINYARD_REGISTRY_PASSWORD", password);
        Said::of(&mut preflight, code)
    };
    check("s3cret", 0).has_error("/acme/m` may be pushed to");
    check("wrong", 5).has_error("does not accept the user `ci`");
    let state = fake.state();
    assert!(state.blobs.is_empty() && state.tags.is_empty());
}

#[test]
fn a_dry_run_shows_what_would_be_pushed_and_asks_nobody() {
    let project = Project::passed();
    let said = project.run(
        "publish-image",
        &[
            "--dry-run",
            "--push",
            "ghcr.io/Acme/M",
            "--tag",
            "1.2.3",
            "--tag",
            "edge",
        ],
        0,
    );
    said.has_output("tag       ghcr.io/acme/m:1.2.3  unless it is another image");
    said.has_output("tag       ghcr.io/acme/m:edge  moved to this image");
    said.has_output("\"mediaType\": \"application/vnd.oci.image.manifest.v1+json\"");
    assert!(
        !project
            .path("trainyard-out/image/publication.json")
            .exists()
    );
}

/// Two repositories of one registry: the second takes the blobs from the first.
#[test]
fn several_destinations_get_the_same_image() {
    let project = Project::passed();
    let fake = Fake::start(Behaviour::default());
    let to = |name: &str| format!("{}/{name}", fake.address());
    let (one, two) = (to("acme/m"), to("other/m"));
    project.run(
        "publish-image",
        &["--push", &one, "--push", &two, "--tag", "1.0.0"],
        0,
    );
    assert_eq!(fake.tag("acme/m", "1.0.0"), fake.tag("other/m", "1.0.0"));
    assert_eq!(fake.count("PUT /v2/other/m/blobs/"), 0);
    let publication = project.json("image/publication.json");
    assert_eq!(publication["destinations"].as_array().unwrap().len(), 2);
    // Another image under the same version.
    project.edit("title = \"MNIST digits\"", "title = \"Another\"");
    let again = ["--push", &one, "--tag", "1.0.0"];
    project
        .run("publish-image", &again, 5)
        .has_error("--overwrite");
    project.run("publish-image", &[&again[..], &["--overwrite"]].concat(), 0);
}

/// A base image, further files, and layers by Zstandard.
#[test]
fn an_image_is_built_on_another_one() {
    let base = Project::passed();
    let fake = Fake::start(Behaviour::default());
    let repository = format!("{}/acme/base", fake.address());
    base.run("publish-image", &["--push", &repository, "--tag", "1"], 0);
    let digest = fake.tag("acme/base", "1").unwrap();

    let project = Project::passed();
    project.write("NOTICE", "a notice");
    project.edit(
        "[image]\n",
        &format!(
            "[image]\nbase = \"{repository}:1\"\ncompression = \"zstd\"\nfiles = [{{ source = \"NOTICE\", target = \"/NOTICE\" }}]\n"
        ),
    );
    project
        .run("publish-image", &[], 2)
        .has_error(&format!("base = \"{repository}@{digest}\""));
    project.edit(":1\"\ncompression", &format!("@{digest}\"\ncompression"));
    let to = format!("{}/acme/m", fake.address());
    project.run("publish-image", &["--push", &to, "--tag", "1.0.0"], 0);
    let found = layers(&project);
    assert_eq!(found.len(), 2 + 3);
    assert_eq!(found[..2], layers(&base)[..]);
    let labels = configuration(&project)["config"]["Labels"].clone();
    assert_eq!(labels["org.opencontainers.image.base.digest"], digest);
    assert_eq!(
        configuration(&project)["rootfs"]["diff_ids"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    Layout::open(&project.path("trainyard-out/image")).unwrap();
}

/// The signature of the model's files is of all that lies in their folder, and PyPI's `model-signing` refuses what it does not name.
#[test]
fn a_base_image_with_files_of_its_own_among_the_models_is_refused() {
    let fake = Fake::start(Behaviour::default());
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout_at("/models/old.bin", folder.path(), b"old");
    let base = format!("{}/acme/base", fake.address());
    let image = (&layout, &manifest);
    let pushed = push_as(
        Credentials::Anonymous,
        &base.parse().unwrap(),
        image,
        &[tag("1")],
    );
    pushed.0.unwrap();
    let project = Project::passed();
    let digest = &manifest.digest;
    project.edit(
        "[image]\n",
        &format!("[image]\nbase = \"{base}@{digest}\"\n"),
    );
    let said = project.run("publish-image", &[], 2);
    said.has_error("files in `/models` that are not the model's: `/models/old.bin`");
    said.has_error("RUN rm -rf /models");
}

/// Twenty pushes that are killed at any moment, and one that is not: the image is whole, and of the model's layer no more was sent than
/// what the registry had not got.
#[test]
fn a_push_that_is_killed_is_gone_on_with() {
    let project = Project::new();
    project.edit("units = 128", "units = 300");
    for stage in ["train", "evaluate", "gate"] {
        project.run(stage, &[], 0);
    }
    let fake = Fake::start(Behaviour {
        per_64_kib: Duration::from_millis(3),
        ..Behaviour::default()
    });
    let to = format!("{}/acme/m", fake.address());
    let state = tempfile::tempdir().unwrap();
    let publish = || {
        let mut publish = project.stage("publish-image", &["--push", &to, "--tag", "1.0.0"]);
        publish.env("XDG_STATE_HOME", state.path());
        publish.stdout(Stdio::null()).stderr(Stdio::null());
        publish
    };
    let mut draw = 12_345_u64;
    for _ in 0..20 {
        let mut killed = publish().spawn().unwrap();
        // Any moment of building and pushing.
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        thread::sleep(Duration::from_millis(100 + (draw >> 33) % 900));
        let _ = killed.kill();
        killed.wait().unwrap();
        let state = fake.state();
        if let Some(digest) = state.tags.get(&("acme/m".to_owned(), "1.0.0".to_owned())) {
            // A tag names a whole image or nothing.
            assert!(
                state
                    .manifests
                    .contains_key(&("acme/m".to_owned(), digest.clone()))
            );
        }
    }
    Said::of(&mut publish(), 0);
    let sizes: Vec<usize> = fake.state().blobs.values().map(Vec::len).collect();
    let blobs: usize = sizes.iter().sum();
    // The address of a small upload is not kept: asking for it would take as long as sending it again.
    let small: usize = sizes.iter().filter(|size| **size < 1 << 20).sum();
    let sent = fake.uploaded_bytes();
    assert!(
        (blobs..=blobs + 20 * small).contains(&sent),
        "{sent} bytes arrived for blobs of {blobs}"
    );
    project.run("publish-image", &["--push", &to, "--tag", "1.0.0"], 0);
    assert_eq!(fake.uploaded_bytes(), sent);
    let kept = state.path().join("trainyard/uploads");
    assert_eq!(n_files(&kept), 0);
}

fn n_files(folder: &Path) -> usize {
    fs::read_dir(folder).map_or(0, Iterator::count)
}

/// `sh` with this script, which gets the stage's program as `$0`, and its arguments, folder and environment.
#[cfg(unix)]
fn by_shell(script: &str, stage: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(stage.get_program());
    shell.args(stage.get_args());
    shell.current_dir(stage.get_current_dir().unwrap());
    for (name, value) in stage.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
}

/// publishing.md row 22, as Linux counts what the stage and its server read: the weights once to be packed, their layer once by the
/// server and once to be sent.
#[cfg(target_os = "linux")]
#[test]
fn the_weights_are_read_once_and_their_layer_twice() {
    let project = Project::new();
    project.edit("units = 128", "units = 3000");
    for stage in ["train", "evaluate", "gate"] {
        project.run(stage, &[], 0);
    }
    let fake = Fake::start(Behaviour::default());
    let to = format!("{}/acme/m", fake.address());
    let publish = |arguments: &[&str]| {
        let stage = project.stage("publish-image", arguments);
        // What a process read becomes its parent's when it ends.
        let script = "\"$0\" \"$@\" || exit; cat /proc/$$/io";
        let said = Said::of(&mut by_shell(script, &stage), 0);
        let counted = said.stdout.lines().filter_map(|line| {
            let (name, n_bytes) = line.split_once(": ")?;
            Some((name.to_owned(), n_bytes.trim().parse::<u64>().ok()?))
        });
        counted.collect::<std::collections::BTreeMap<_, _>>()
    };
    let weights = fs::metadata(project.path("trainyard-out/model/weights.safetensors"));
    let weights = weights.unwrap().len();
    let counted = publish(&["--push", &to, "--tag", "1.0.0"]);
    let share = counted["rchar"] as f64 / weights as f64;
    // The server's program, configuration and data are read too.
    assert!((3.0..4.0).contains(&share), "{share} times {weights} bytes");
}

/// publishing.md row 23.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_forbids_programs_is_said() {
    let project = Project::passed();
    project.write("forbidden/README", "");
    // A namespace of mounts of its own, which ends with the process.
    let script = "exec unshare --map-root-user --mount sh -c '
        mount -t tmpfs -o noexec tmpfs forbidden && TMPDIR=$PWD/forbidden exec \"$0\"' \"$0\"";
    let stage = project.stage("publish-image", &[]);
    let said = Said::of(&mut by_shell(script, &stage), 4);
    said.has_error("the packed server could not be started from");
    said.has_error("`noexec`");
    assert!(!project.path("trainyard-out/image/index.json").exists());
}

/// publishing.md row 15: what the system says of a full disk, here of a limit on files, and not that the weights changed.
#[cfg(unix)]
#[test]
fn a_disk_that_takes_no_more_is_said() {
    let project = Project::passed();
    // Ignored, the signal lets the write fail as on a full disk. 64 blocks are 32 or 64 KiB.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\"";
    let mut shell = by_shell(script, &project.stage("publish-image", &[]));
    let said = Said::of(&mut shell, 4);
    said.has_error("cannot write a layer into");
    said.has_error("File too large");
    assert!(!said.stderr.contains("changed while"), "{}", said.stderr);
}

/// publishing.md row 20, and the first part of 21.
#[test]
fn a_time_that_is_not_known_is_warned_of_with_gits_own_words() {
    let project = Project::passed();
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=t", "-c", "user.email=t@example.org"]);
        run(git.args(arguments).current_dir(project.path("")));
    };
    git(&["init", "--quiet"]);
    git(&["add", "trainyard.toml"]);
    git(&[
        "commit",
        "--quiet",
        "--message",
        "model",
        "--date",
        "2026-01-02T03:04:05Z",
    ]);
    // As in a container job whose checkout belongs to another user; git's own tests do it so.
    let mut publish = project.stage("publish-image", &[]);
    let said = Said::of(publish.env("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1"), 0);
    said.has_error("the time of the commit is not known");
    said.has_error("safe.directory");
    assert_eq!(configuration(&project)["created"], "1970-01-01T00:00:00Z");
    project.run("publish-image", &[], 0);
    assert_ne!(configuration(&project)["created"], "1970-01-01T00:00:00Z");
    let mut publish = project.stage("publish-image", &[]);
    Said::of(publish.env("SOURCE_DATE_EPOCH", "99999999999999"), 2).has_error("SOURCE_DATE_EPOCH");
}

/// publishing.md row 21: a tag that the registry left at another image does not name this one in the layout either.
#[test]
fn a_tag_that_was_left_is_not_in_the_layout() {
    let project = Project::passed();
    let fake = Fake::start(Behaviour::default());
    let to = format!("{}/acme/m", fake.address());
    let release = |tag: &str| {
        project.write(
            "event.json",
            json!({"ref": format!("refs/tags/{tag}")}).to_string(),
        );
        let mut publish = project.stage("publish-image", &["--push", &to]);
        publish.env("GITHUB_EVENT_PATH", project.path("event.json"));
        publish
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_EVENT_NAME", "push");
        publish
            .env("GITHUB_REF", format!("refs/tags/{tag}"))
            .env("GITHUB_REF_NAME", tag);
        publish
            .env("GITHUB_REF_TYPE", "tag")
            .env("GITHUB_REPOSITORY", "acme/m");
        Said::of(&mut publish, 0);
        let layout = Layout::open(&project.path("trainyard-out/image")).unwrap();
        let manifests = layout.index().unwrap().manifests;
        // What is attached to the image has no name.
        let names = manifests.into_iter().filter_map(|it| {
            it.annotations
                .get("org.opencontainers.image.ref.name")
                .cloned()
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(release("v2.0.0"), ["2.0.0", "2.0", "2", "latest"]);
    assert_eq!(release("v1.9.1"), ["1.9.1", "1.9", "1"]);
    let left = project.json("image/publication.json")["destinations"][0]["left_tags"].clone();
    assert_eq!(left, json!(["latest"]));
}
