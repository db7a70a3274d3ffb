//! A Kubernetes control plane of its own in a network namespace: etcd, the API server, the controllers, and a node that runs pods as processes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::peers::program;
use crate::support::{binaries, run};

const API: &str = "https://127.0.0.1:16443";

/// A control plane that ends with this value.
pub(crate) struct ControlPlane {
    folder: TempDir,
    /// Name of the network namespace: nothing in it reaches another.
    network: String,
    processes: Vec<(&'static str, Child)>,
}

impl ControlPlane {
    /// Starts everything, and waits until the API server is ready.
    pub(crate) fn start() -> Self {
        for peer in ["etcd", "kube-apiserver", "kube-controller-manager", "ip"] {
            program(peer);
        }
        let mut this = Self {
            folder: tempfile::tempdir().unwrap(),
            network: format!("trainyard-{}", std::process::id()),
            processes: Vec::new(),
        };
        run(program("ip").args(["netns", "add", &this.network]));
        run(this.inside("ip").args(["link", "set", "lo", "up"]));
        // Every address of the pods is one of this machine.
        run(this
            .inside("ip")
            .args(["addr", "add", "10.244.0.1/16", "dev", "lo"]));
        let key = this.path("sa.key");
        run(program("openssl")
            .args(["genrsa", "-out"])
            .arg(&key)
            .arg("2048"));
        fs::write(
            this.path("tokens.csv"),
            "secret,admin,admin,\"system:masters\"\n",
        )
        .unwrap();
        fs::write(this.path("images.json"), "{}").unwrap();
        fs::write(this.path("traffic.json"), "{}").unwrap();
        let etcd = this.path("etcd");
        let urls = "http://127.0.0.1:12379";
        let mut etcd_command = this.inside("etcd");
        etcd_command.arg("--data-dir").arg(etcd);
        etcd_command.args([
            "--listen-client-urls",
            urls,
            "--advertise-client-urls",
            urls,
        ]);
        etcd_command.args([
            "--listen-peer-urls",
            "http://127.0.0.1:12380",
            "--unsafe-no-fsync",
        ]);
        this.spawn("etcd", &mut etcd_command);
        this.start_api_server();
        let authority = this.path("certs/apiserver.crt");
        this.wait_for("the API server's certificate", || authority.is_file());
        fs::write(
            this.path("kubeconfig"),
            json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "test",
                "clusters": [{ "name": "test", "cluster": {
                    "server": API, "certificate-authority": authority,
                } }],
                "users": [{ "name": "admin", "user": { "token": "secret" } }],
                "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "admin" } }],
            })
            .to_string(),
        )
        .unwrap();
        this.wait_for_api_server();
        let kubeconfig = this.path("kubeconfig");
        let mut controllers = this.inside("kube-controller-manager");
        controllers.arg("--kubeconfig").arg(&kubeconfig).args([
            "--leader-elect=false",
            "--controllers=deployment,replicaset,garbagecollector,namespace,endpoint",
            "--port=0",
            "--secure-port=16444",
        ]);
        this.spawn("kube-controller-manager", &mut controllers);
        let mut proxy = this.kubectl_command(&["proxy", "--port=8001"]);
        this.spawn("proxy", &mut proxy);
        let mut node = this.inside(env!("CARGO_BIN_EXE_cluster-node"));
        node.arg(this.path("images.json"))
            .arg(binaries().join("trainyard-serve"))
            .arg(this.path("traffic.json"));
        this.spawn("node", &mut node);
        this
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// A program in the namespace of the network.
    pub(crate) fn inside(&self, name: &str) -> Command {
        let mut command = program("ip");
        command.args(["netns", "exec", &self.network]).arg(name);
        command
    }

    fn spawn(&mut self, name: &'static str, command: &mut Command) {
        let log = File::create(self.path(&format!("{name}.log"))).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.processes.push((name, child.spawn().unwrap()));
    }

    pub(crate) fn start_api_server(&mut self) {
        let mut server = self.inside("kube-apiserver");
        let key = self.path("sa.key");
        server
            .args([
                "--etcd-servers=http://127.0.0.1:12379",
                "--bind-address=127.0.0.1",
                "--advertise-address=10.244.0.1",
            ])
            .args([
                "--secure-port=16443",
                "--insecure-port=0",
                "--authorization-mode=RBAC",
            ])
            .args([
                "--service-cluster-ip-range=10.96.0.0/24",
                "--service-account-issuer=https://test.local",
            ])
            .args(["--disable-admission-plugins=ServiceAccount"]);
        for (option, path) in [("--cert-dir", "certs"), ("--token-auth-file", "tokens.csv")] {
            server.arg(option).arg(self.path(path));
        }
        server.arg("--service-account-key-file").arg(&key);
        server.arg("--service-account-signing-key-file").arg(&key);
        self.spawn("kube-apiserver", &mut server);
    }

    pub(crate) fn wait_for_api_server(&self) {
        self.wait_for("the API server", || {
            let ready = self
                .kubectl_command(&["get", "--raw", "/readyz"])
                .output()
                .unwrap();
            ready.status.success()
        });
        self.wait_for("the default namespace", || {
            let there = self
                .kubectl_command(&["get", "namespace", "default"])
                .output()
                .unwrap();
            there.status.success()
        });
    }

    /// Kills the API server, as a machine that fails does.
    pub(crate) fn kill_api_server(&mut self) {
        let idx = self
            .processes
            .iter()
            .position(|(name, _)| *name == "kube-apiserver");
        let (_, mut server) = self.processes.remove(idx.unwrap());
        server.kill().unwrap();
        server.wait().unwrap();
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str, is_there: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_mins(1);
        while !is_there() {
            assert!(
                Instant::now() < end,
                "{what} is not there in time\n{}",
                self.logs()
            );
            sleep(Duration::from_millis(200));
        }
    }

    /// The ends of all logs.
    pub(crate) fn logs(&self) -> String {
        let logs = self.processes.iter().map(|(name, _)| {
            let text = fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default();
            let lines: Vec<&str> = text.lines().rev().take(10).collect();
            format!("{name}: {}\n", lines.join("\n"))
        });
        logs.collect()
    }

    fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.inside("kubectl");
        command
            .arg("--kubeconfig")
            .arg(self.path("kubeconfig"))
            .args(arguments);
        command
    }

    #[track_caller]
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        run(&mut self.kubectl_command(arguments))
    }

    /// Creates or changes objects, as a user does.
    #[track_caller]
    pub(crate) fn apply(&self, object: &Value) {
        let path = self.path("object.json");
        fs::write(&path, object.to_string()).unwrap();
        self.kubectl(&["apply", "--filename", path.to_str().unwrap()]);
    }

    #[track_caller]
    pub(crate) fn object(&self, kind: &str, namespace: &str, name: &str) -> Value {
        let text = self.kubectl(&[
            "get",
            kind,
            name,
            "--namespace",
            namespace,
            "--output",
            "json",
        ]);
        serde_json::from_str(&text).unwrap()
    }

    /// Names of the objects of a kind.
    #[track_caller]
    pub(crate) fn names(&self, kind: &str, namespace: &str) -> Vec<String> {
        let text = self.kubectl(&["get", kind, "--namespace", namespace, "--output", "name"]);
        text.lines()
            .map(|line| line.split('/').next_back().unwrap().to_owned())
            .collect()
    }

    /// From now on this image can be pulled, and holds this model.
    pub(crate) fn offer(&self, image: &str, model: &Path) {
        self.change("images.json", image, json!(model));
    }

    /// From now on this image cannot be pulled.
    pub(crate) fn withdraw(&self, image: &str) {
        self.change("images.json", image, Value::Null);
    }

    /// Clients of an app of a namespace send so many requests a second.
    pub(crate) fn send(
        &self,
        namespace: &str,
        app: &str,
        model: &str,
        request: &Path,
        per_second: u32,
    ) {
        let wanted = json!({ "model": model, "request": request, "per_second": per_second });
        self.change("traffic.json", &format!("{namespace}/{app}"), wanted);
    }

    fn change(&self, file: &str, key: &str, value: Value) {
        let path = self.path(file);
        let mut all: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        all[key] = value;
        if all[key].is_null() {
            all.as_object_mut().unwrap().remove(key);
        }
        let new = path.with_extension("new");
        fs::write(&new, all.to_string()).unwrap();
        fs::rename(new, path).unwrap();
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // The node last but one: it ends its pods' servers with it by their namespace.
        for (_, child) in self.processes.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let pids = program("ip")
            .args(["netns", "pids", &self.network])
            .output();
        if let Ok(pids) = pids {
            for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
                let _ = Command::new("kill").args(["-9", pid]).status();
            }
        }
        let _ = program("ip")
            .args(["netns", "delete", &self.network])
            .status();
    }
}
