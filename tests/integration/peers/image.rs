//! The published image in the hands of others: docker-registry takes it, skopeo reads it, podman runs it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trainyard_ml::data::npz;

use super::program;
use super::registry::Registry;
use crate::http::request;
use crate::project::{Project, Said};
use crate::serve::images;
use crate::support::{output, run};

const N_IMAGES: usize = 100;

/// podman with storage of its own, since this may be a container without the rights for more.
fn podman(storage: &Path) -> Command {
    program("runc");
    let mut podman = program("podman");
    podman.arg("--root").arg(storage.join("root"));
    podman.arg("--runroot").arg(storage.join("run"));
    podman.args(["--storage-driver", "vfs", "--cgroup-manager", "cgroupfs"]);
    podman.args(["--events-backend", "file", "--runtime", "runc"]);
    podman
}

/// A running container, gone when it is dropped.
struct Container<'a> {
    storage: &'a Path,
    id: String,
    address: String,
}

impl<'a> Container<'a> {
    fn start(storage: &'a Path, image: &str) -> Self {
        Self::start_in(Path::new("."), storage, image)
    }

    /// Starts it by a command in `folder`.
    fn start_in(folder: &Path, storage: &'a Path, image: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let mut command = podman(storage);
        command.args([
            "run",
            "--detach",
            "--network=host",
            "--read-only",
            "--cap-drop=all",
        ]);
        command.args(["--security-opt=no-new-privileges"]);
        command.args(["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"]);
        command
            .arg(format!("--env=PORT={port}"))
            .arg(image)
            .current_dir(folder);
        let id = run(&mut command).trim().to_owned();
        let container = Self {
            storage,
            id,
            address: format!("127.0.0.1:{port}"),
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while request(&container.address, "GET", "/v2/health/ready", b"").is_err() {
            assert!(
                Instant::now() < deadline,
                "the container does not answer: {}",
                container.log()
            );
            thread::sleep(Duration::from_millis(20));
        }
        container
    }

    fn log(&self) -> String {
        let logged = output(podman(self.storage).arg("logs").arg(&self.id));
        String::from_utf8_lossy(&logged.stderr).into_owned()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let _ = podman(self.storage)
            .args(["rm", "--force", &self.id])
            .output();
    }
}

#[test]
fn a_pushed_image_runs_under_podman_and_answers_like_the_evaluated_model() {
    let registry = Registry::start();
    let project = Project::new();
    // All test rows, so that those evaluated first are the first of the file.
    project.edit("max_test_rows = 1000\n", "");
    for stage in ["train", "evaluate", "gate"] {
        project.run(stage, &[], 0);
    }
    let repository = format!("{}/acme/digits", registry.address);
    project.run("publish-image", &["--push", &repository, "--tag", "v1"], 0);
    let publication = project.json("image/publication.json");
    let digest = publication["image_digest"].as_str().unwrap();
    assert_eq!(registry.digest("acme/digits", "v1"), digest);
    let image = publication["destinations"][0]["image"].as_str().unwrap();
    assert_eq!(image, format!("{repository}@{digest}"));

    let storage = tempfile::tempdir().unwrap();
    run(podman(storage.path()).args(["pull", "--quiet", "--tls-verify=false", image]));
    let container = Container::start(storage.path(), image);
    let body = json!({"instances": images(N_IMAGES)}).to_string();
    let (status, answer) = request(
        &container.address,
        "POST",
        "/v1/models/mnist:predict",
        body.as_bytes(),
    )
    .unwrap();
    assert_eq!(status, 200, "{answer}");
    let answered: Vec<usize> = answer["predictions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            best(
                row.as_array()
                    .unwrap()
                    .iter()
                    .map(|score| score.as_f64().unwrap()),
            )
        })
        .collect();
    assert_eq!(answered, evaluated(&project));

    let user = run(podman(storage.path()).args([
        "inspect",
        "--format",
        "{{.Config.User}}",
        &container.id,
    ]));
    assert_eq!(user.trim(), "65532:65532");
    run(podman(storage.path()).args(["stop", "--time", "20", &container.id]));
    let code = run(podman(storage.path()).args([
        "inspect",
        "--format",
        "{{.State.ExitCode}}",
        &container.id,
    ]));
    assert_eq!(
        code.trim(),
        "0",
        "SIGTERM ends the server by itself: {}",
        container.log()
    );
}

/// The classes in `predictions.npz` of the first rows.
fn evaluated(project: &Project) -> Vec<usize> {
    let bytes = fs::read(project.path("trainyard-out/evaluation/predictions.npz")).unwrap();
    let arrays = npz::read_npz(&bytes).unwrap();
    let scores = arrays["score"].to_f64().unwrap();
    let rows = scores.as_chunks::<10>().0.iter();
    rows.take(N_IMAGES)
        .map(|row| best(row.iter().copied()))
        .collect()
}

fn best(scores: impl Iterator<Item = f64>) -> usize {
    scores
        .enumerate()
        .max_by(|left, right| left.1.total_cmp(&right.1))
        .unwrap()
        .0
}

/// The very command that the stage prints works, but for what this machine's containers need.
#[test]
fn the_layout_runs_by_the_command_that_is_printed() {
    let project = Project::passed();
    let said = project.run("publish-image", &[], 0);
    said.has_output("run       podman run --rm --publish 8080:8080 oci:trainyard-out/image:latest");
    let storage = tempfile::tempdir().unwrap();
    let container = Container::start_in(
        &project.path(""),
        storage.path(),
        "oci:trainyard-out/image:latest",
    );
    let (_, model) = request(&container.address, "GET", "/v2/models/mnist", b"").unwrap();
    let digest = project.json("image/publication.json")["model_digest"].clone();
    assert_eq!(model["parameters"]["digest"], digest);
}

#[test]
fn skopeo_reads_the_layout_with_its_labels() {
    let project = Project::passed();
    project.run("publish-image", &["--tag", "1.0"], 0);
    let image = format!("oci:{}:1.0", project.path("trainyard-out/image").display());
    let found: Value =
        serde_json::from_str(&run(program("skopeo").args(["inspect", &image]))).unwrap();
    let publication = project.json("image/publication.json");
    assert_eq!(found["Digest"], publication["image_digest"]);
    assert_eq!(
        found["Labels"]["dev.trainyard.model.digest"],
        publication["model_digest"]
    );
    assert_eq!(found["Layers"].as_array().unwrap().len(), 2);
}

/// An image for two platforms by Zstandard: podman and buildah pull this machine's, umoci unpacks it, skopeo reads the other.
#[test]
fn an_index_of_two_platforms_is_read_by_other_tools() {
    let registry = Registry::start();
    let project = Project::passed();
    // The head of a static program for 64-bit ARM, which nobody starts here.
    let mut arm = b"\x7fELF\x02\x01\x01".to_vec();
    arm.resize(64 + 56, 0);
    (arm[18], arm[32], arm[54], arm[56], arm[64]) = (183, 64, 56, 1, 1);
    project.write("serve-arm64", arm);
    project.edit(
        "[image]\n",
        "[image]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\ncompression = \"zstd\"\n",
    );
    let server = crate::support::stage("serve").get_program().to_owned();
    let repository = format!("{}/acme/digits", registry.address);
    let mut publish = project.stage("publish-image", &["--push", &repository, "--tag", "1.0.0"]);
    publish
        .arg("--server")
        .arg(server)
        .args(["--server", "serve-arm64"]);
    Said::of(&mut publish, 0);
    let publication = project.json("image/publication.json");
    assert_eq!(
        publication["platforms"],
        json!(["linux/amd64", "linux/arm64"])
    );
    let image = format!("{repository}:1.0.0");
    let of = |architecture: &str| {
        let mut inspect = program("skopeo");
        inspect.args([
            "inspect",
            "--tls-verify=false",
            "--override-arch",
            architecture,
        ]);
        let found = run(inspect.arg(format!("docker://{image}")));
        serde_json::from_str::<Value>(&found).unwrap()
    };
    let (amd, arm) = (of("amd64"), of("arm64"));
    assert_eq!(
        (&amd["Architecture"], &arm["Architecture"]),
        (&json!("amd64"), &json!("arm64"))
    );
    // One layer of the model for both.
    assert_eq!(amd["Layers"][1], arm["Layers"][1]);
    assert_ne!(amd["Layers"][0], arm["Layers"][0]);

    let storage = tempfile::tempdir().unwrap();
    run(podman(storage.path()).args(["pull", "--quiet", "--tls-verify=false", &image]));
    let mut buildah = program("buildah");
    buildah.arg("--root").arg(storage.path().join("buildah"));
    buildah.arg("--runroot").arg(storage.path().join("run"));
    buildah.args([
        "--storage-driver",
        "vfs",
        "pull",
        "--quiet",
        "--tls-verify=false",
        &image,
    ]);
    run(&mut buildah);
}

/// umoci reads layers by gzip, as images have them by default.
#[test]
fn umoci_unpacks_the_layout() {
    let project = Project::passed();
    project.run("publish-image", &["--tag", "1.0"], 0);
    let bundle = tempfile::tempdir().unwrap();
    let image = format!("{}:1.0", project.path("trainyard-out/image").display());
    let mut umoci = program("umoci");
    umoci.args(["unpack", "--rootless", "--image", &image]);
    run(umoci.arg(bundle.path().join("bundle")));
    let root = bundle.path().join("bundle/rootfs");
    let model = fs::read(root.join("models/model.json")).unwrap();
    assert_eq!(
        model,
        fs::read(project.path("trainyard-out/model/model.json")).unwrap()
    );
    assert!(root.join("usr/local/bin/trainyard-serve").is_file());
}
