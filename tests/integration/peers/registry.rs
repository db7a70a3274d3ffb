//! A real registry, docker-registry, on a free port.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use trainyard_oci::ImageReference;

use super::program;
use crate::support::run;

/// A registry of this test alone, gone when it is dropped.
pub(crate) struct Registry {
    process: Child,
    pub(crate) address: String,
    pub(super) folder: TempDir,
}

impl Registry {
    /// A registry that lets everybody in.
    pub(crate) fn start() -> Self {
        Self::start_with(|_| json!({}))
    }

    /// A registry for the user `ci` with the password `s3cret`.
    pub(crate) fn start_with_login() -> Self {
        Self::start_with(|folder| {
            let users = run(program("htpasswd").args(["-Bbn", "ci", "s3cret"]));
            let path = folder.join("htpasswd");
            fs::write(&path, users).unwrap();
            json!({"htpasswd": {"realm": "test", "path": path}})
        })
    }

    /// A registry for the user `ci` with the password `s3cret`, who shows them to a token server.
    pub(crate) fn start_with_tokens() -> Self {
        Self::start_with(super::tokens::start)
    }

    /// A registry at `localhost` that speaks TLS, by an authority whose certificate is `ca.pem` in its folder.
    pub(crate) fn start_with_tls() -> Self {
        let mut registry = Self::start_as(|folder, config| {
            let file = |name: &str| folder.join(name);
            let openssl = |arguments: &[&str]| {
                run(program("openssl").args(arguments).current_dir(folder));
            };
            // As organisations have it: an authority, and a certificate of it.
            openssl(&[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=tests",
                "-keyout",
                "ca.key",
                "-out",
                "ca.pem",
            ]);
            openssl(&[
                "req",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=localhost",
                "-keyout",
                "tls.key",
                "-out",
                "tls.csr",
            ]);
            fs::write(
                file("names"),
                "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n",
            )
            .unwrap();
            openssl(&[
                "x509",
                "-req",
                "-in",
                "tls.csr",
                "-CA",
                "ca.pem",
                "-CAkey",
                "ca.key",
                "-CAcreateserial",
                "-days",
                "2",
                "-extfile",
                "names",
                "-out",
                "tls.pem",
            ]);
            fs::create_dir(file("certs")).unwrap();
            fs::copy(file("ca.pem"), file("certs/ca.crt")).unwrap();
            config["http"]["tls"] = json!({"certificate": file("tls.pem"), "key": file("tls.key")});
        });
        registry.address = registry.address.replace("127.0.0.1", "localhost");
        registry
    }

    fn start_with(auth: impl FnOnce(&Path) -> Value) -> Self {
        Self::start_as(|folder, config| {
            let auth = auth(folder);
            if auth != json!({}) {
                config["auth"] = auth;
            }
        })
    }

    fn start_as(configure: impl FnOnce(&Path, &mut Value)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .to_string();
        let mut config = json!({
            "version": 0.1,
            "log": {"level": "error"},
            "storage": {"filesystem": {"rootdirectory": folder.path().join("data")}},
            "http": {"addr": &address},
        });
        configure(folder.path(), &mut config);
        let path = folder.path().join("config.yml");
        fs::write(&path, config.to_string()).unwrap();
        let mut serve = program("docker-registry");
        serve
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = serve.spawn().unwrap();
        let registry = Self {
            process,
            address,
            folder,
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&registry.address).is_err() {
            assert!(Instant::now() < deadline, "docker-registry does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        registry
    }

    /// The digest that skopeo finds under a tag.
    pub(crate) fn digest(&self, repository: &str, tag: &str) -> String {
        let image = format!("docker://{}/{repository}:{tag}", self.address);
        let format = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}"];
        run(program("skopeo").args(format).arg(image))
            .trim()
            .to_owned()
    }

    pub(super) fn reference(&self, repository: &str) -> ImageReference {
        format!("{}/{repository}", self.address).parse().unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
