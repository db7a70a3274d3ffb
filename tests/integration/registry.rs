//! A real registry, docker-registry, on a free port.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::support::run;

/// A registry of this test alone, gone when it is dropped.
pub(crate) struct Registry {
    process: Child,
    pub(crate) address: String,
    _folder: TempDir,
}

impl Registry {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let config = json!({
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": folder.path().join("data")}},
            "http": {"addr": &address},
        });
        let path = folder.path().join("config.yml");
        fs::write(&path, config.to_string()).unwrap();
        let mut serve = Command::new("docker-registry");
        serve
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = serve.spawn().expect("docker-registry should start");
        let registry = Self {
            process,
            address,
            _folder: folder,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&registry.address).is_err() {
            assert!(Instant::now() < deadline, "docker-registry does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    pub(crate) fn digest(&self, repository: &str, tag: &str) -> String {
        let image = format!("docker://{}/{repository}:{tag}", self.address);
        let format = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}"];
        run(Command::new("skopeo").args(format).arg(image))
            .trim()
            .to_owned()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
