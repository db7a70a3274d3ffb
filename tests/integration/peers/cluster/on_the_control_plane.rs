//! `trainyard-deploy` on a real control plane whose pods are real servers. `cargo xtask test` counts these tests as not run where no control
//! plane is to be had.

mod canary;
mod control_plane;
mod rollout;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::project::{Project, Said, read_json};
use crate::support::stage;
use control_plane::ControlPlane;

/// Models that were evaluated and packed, each in a project of its own.
struct Models {
    first: Project,
    second: Project,
}

impl Models {
    fn train() -> Self {
        let make = |seed: &str| {
            let project = Project::new();
            project.run("train", &["--seed", seed], 0);
            project.run("evaluate", &[], 0);
            project.run("gate", &[], 0);
            project.run("publish-image", &[], 0);
            project
        };
        Self {
            first: make("1"),
            second: make("2"),
        }
    }
}

/// An image of a model, by its digest in a registry that nothing asks.
fn image_of(project: &Project) -> String {
    let publication = project.json("image/publication.json");
    let digest = publication["image_digest"].as_str().unwrap();
    format!("registry.example.org/acme/digits@{digest}")
}

fn model_of(project: &Project) -> PathBuf {
    project.path("trainyard-out/model")
}

fn sample_of(project: &Project) -> PathBuf {
    project.path("trainyard-out/image/sample.json")
}

/// An app in a namespace of its own, deployed from a folder of its own.
struct App<'a> {
    cluster: &'a ControlPlane,
    namespace: &'a str,
    folder: tempfile::TempDir,
}

impl<'a> App<'a> {
    fn new(cluster: &'a ControlPlane, namespace: &'a str, deploy: &str) -> Self {
        cluster.kubectl(&["create", "namespace", namespace]);
        let this = Self {
            cluster,
            namespace,
            folder: tempfile::tempdir().unwrap(),
        };
        this.configure(deploy);
        this
    }

    /// Sets `[deploy]`.
    fn configure(&self, deploy: &str) {
        let text = format!("[deploy]\nname = \"digits\"\ntimeout_s = 20\n{deploy}");
        std::fs::write(self.folder.path().join("trainyard.toml"), text).unwrap();
    }

    /// The stage, in the network of the cluster.
    fn command(&self) -> Command {
        let deploy = stage("deploy");
        let mut command = self.cluster.inside(deploy.get_program().to_str().unwrap());
        // The harness takes the variables of a CI system away.
        for (key, value) in deploy.get_envs() {
            match value {
                Some(value) => command.env(key, value),
                None => command.env_remove(key),
            };
        }
        command
            .current_dir(self.folder.path())
            .env("KUBECONFIG", self.cluster.path("kubeconfig"));
        command
    }

    #[track_caller]
    fn deploy(&self, image: &str, arguments: &[&str], code: i32) -> Said {
        let mut command = self.command();
        command.args([image, "--unsigned", "--namespace", self.namespace]);
        Said::of(command.args(arguments), code)
    }

    fn outcome(&self) -> Value {
        read_json(
            &self
                .folder
                .path()
                .join("trainyard-out/deployment/deployment.json"),
        )
    }

    #[track_caller]
    fn deployment(&self, name: &str) -> Value {
        self.cluster.object("deployment", self.namespace, name)
    }

    #[track_caller]
    fn running(&self, name: &str) -> String {
        let deployment = self.deployment(name);
        let status = &deployment["status"];
        assert_eq!(
            status["availableReplicas"], deployment["spec"]["replicas"],
            "{deployment:#}"
        );
        let image = &deployment["spec"]["template"]["spec"]["containers"][0]["image"];
        image.as_str().unwrap().to_owned()
    }
}

/// A request that the models of the example answer.
fn write_request(project: &Project, path: &Path) {
    let sample = read_json(&sample_of(project));
    let n: usize = sample["input_shape"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it.as_u64().unwrap() as usize)
        .product();
    let row: Vec<&Value> = sample["rows"].as_array().unwrap()[..n].iter().collect();
    let shape: Vec<Value> = [json!(1)]
        .into_iter()
        .chain(sample["input_shape"].as_array().unwrap().clone())
        .collect();
    let request = json!({ "inputs": [{ "name": sample["input_name"], "datatype": "FP32", "shape": shape, "data": row }] });
    std::fs::write(path, request.to_string()).unwrap();
}
