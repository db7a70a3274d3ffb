//! The Ansible collection on this machine, in folders of its own: ansible-lint, molecule, and the playbook as the installed
//! collection has it, with images of real models, podman, and runit in the place of systemd.
#![cfg(unix)]

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::{env, iter};

use serde_json::Value;
use tempfile::TempDir;

use super::program;
use super::registry::Registry;
use crate::http::request;
use crate::project::Project;
use crate::support::{output, repository, run};

/// Images of two models, and of one whose server does not start, by digest.
struct Images {
    _registry: Registry,
    first: String,
    second: String,
    broken: String,
    /// The second one's model.
    model_digest: String,
}

impl Images {
    fn publish() -> Self {
        let registry = Registry::start();
        let repository = format!("{}/acme/digits", registry.address);
        let project = Project::new();
        let publish = |seed: &str| -> (String, Value) {
            project.run("train", &["--seed", seed], 0);
            project.run("evaluate", &[], 0);
            project.run("gate", &[], 0);
            let tag = format!("1.0.{seed}");
            project.run("publish-image", &["--push", &repository, "--tag", &tag], 0);
            let publication = project.json("image/publication.json");
            let image = publication["destinations"][0]["image"].as_str().unwrap();
            (image.to_owned(), publication)
        };
        let (first, _) = publish("1");
        let (second, publication) = publish("2");
        let layout = project.path("broken");
        let remote = |tag: &str| format!("docker://{repository}:{tag}");
        let local = format!("oci:{}:broken", layout.display());
        run(program("skopeo")
            .args(["copy", "--quiet", "--src-tls-verify=false"])
            .args([&remote("1.0.1"), &local]));
        // The server looks for a model that is not there.
        run(program("umoci")
            .args(["config", "--image"])
            .arg(format!("{}:broken", layout.display()))
            .args(["--config.cmd", "--model", "--config.cmd", "/nowhere"]));
        run(program("skopeo")
            .args(["copy", "--quiet", "--dest-tls-verify=false"])
            .args([&local, &remote("broken")]));
        let broken = registry.digest("acme/digits", "broken");
        Self {
            _registry: registry,
            first,
            second,
            broken: format!("{repository}@{broken}"),
            model_digest: publication["model_digest"].as_str().unwrap().to_owned(),
        }
    }
}

/// A host: its folders, and the port of its server.
struct Host {
    folder: TempDir,
    port: u16,
    runit: Option<Child>,
}

impl Host {
    fn new() -> Self {
        program("runc");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            port: listener.local_addr().unwrap().port(),
            runit: None,
        }
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// runit over the folder of services.
    fn start_runit(&mut self) {
        let services = self.path("service");
        fs::create_dir(&services).unwrap();
        program("sv");
        let mut runsvdir = program("runsvdir");
        runsvdir.arg(&services).stdout(Stdio::null());
        self.runit = Some(runsvdir.stderr(Stdio::null()).spawn().unwrap());
    }

    /// A program of Ansible's, which finds the collection as it is installed from this repository.
    fn ansible(&self, name: &str) -> Command {
        let collections = self.path("collections");
        let own = repository().join("deploy/ansible");
        if !collections.exists() {
            run(self
                .plain("ansible-galaxy")
                .args(["collection", "install", "--offline", "--collections-path"])
                .arg(&collections)
                .arg(&own));
        }
        let mut command = self.plain(name);
        command.env("ANSIBLE_COLLECTIONS_PATH", &collections);
        command.env("ANSIBLE_ROLES_PATH", own.join("roles"));
        command
    }

    fn plain(&self, name: &str) -> Command {
        let mut command = program(name);
        let home = self.path("home");
        fs::create_dir_all(&home).unwrap();
        // Ansible's own programs stand before other Pythons for what it starts itself.
        let path = env::var_os("PATH").unwrap();
        let own = env::split_paths(&path).find(|folder| folder.join("ansible-playbook").is_file());
        let path = own.into_iter().chain(env::split_paths(&path));
        command
            .env("PATH", env::join_paths(path).unwrap())
            .env("HOME", home)
            .env("ANSIBLE_NOCOLOR", "1")
            .env("NO_COLOR", "1")
            .env("LANG", "C.UTF-8")
            .current_dir(self.folder.path());
        command
    }

    /// podman with storage of its own, as the role is told to call it.
    fn engine_options(&self) -> Vec<String> {
        let folder = self.folder.path().display();
        [
            format!("--root={folder}/root"),
            format!("--runroot={folder}/run"),
            "--storage-driver=vfs".to_owned(),
            "--cgroup-manager=cgroupfs".to_owned(),
            "--events-backend=file".to_owned(),
            "--runtime=runc".to_owned(),
        ]
        .to_vec()
    }

    fn container_id(&self) -> String {
        let format = [
            "container",
            "inspect",
            "--format",
            "{{.Id}}",
            "trainyard-serve",
        ];
        run(program("podman").args(self.engine_options()).args(format))
    }

    /// Runs the collection's playbook for `image` and returns its exit code and log.
    fn play(&self, image: &str, options: &[&str]) -> (Option<i32>, String) {
        let variables = serde_json::json!({
            "ansible_become": false,
            "ansible_connection": "local",
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "trainyard_serve_image": image,
            "trainyard_serve_service_manager": "runit",
            "trainyard_serve_runit_folder": self.path("service"),
            "trainyard_serve_network": "host",
            "trainyard_serve_port": self.port,
            "trainyard_serve_engine_options": self.engine_options(),
            "trainyard_serve_run_options": ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"],
            "trainyard_serve_pull_options": ["--quiet", "--tls-verify=false"],
        });
        fs::write(self.path("hosts"), "[trainyard_servers]\nlocalhost\n").unwrap();
        let mut play = self.ansible("ansible-playbook");
        play.args(["-i", "hosts", "trainyard.serve.site", "--extra-vars"])
            .arg(variables.to_string())
            .args(options);
        let done = output(&mut play);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (done.status.code(), text(&done.stdout) + &text(&done.stderr))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut runit) = self.runit.take() {
            // On SIGHUP it ends what it supervises, too.
            let hangs_up = ["-HUP".to_owned(), runit.id().to_string()];
            let _ = Command::new("kill").args(hangs_up).status();
            let _ = runit.wait();
        }
        let options = self.engine_options();
        let remove = ["rm", "--force", "--ignore", "trainyard-serve"];
        let _ = program("podman").args(options).args(remove).output();
    }
}

#[test]
fn ansible_lint_finds_nothing_in_the_collection() {
    let host = Host::new();
    let mut lint = host.ansible("ansible-lint");
    lint.args(["--offline", "--nocolor", "--profile", "production", "."]);
    run(lint.current_dir(repository().join("deploy/ansible")));
}

/// Converged twice, the second time without a change; an image that does not get ready, and an upgrade: see
/// `molecule/default/side_effect.yml`.
#[test]
fn molecule_converges_restores_and_upgrades() {
    let images = Images::publish();
    let host = Host::new();
    let mut molecule = host.ansible("molecule");
    for (name, value) in [
        ("SERVE_IMAGE", &images.first),
        ("SERVE_UPGRADE", &images.second),
        ("SERVE_BROKEN", &images.broken),
        ("SERVE_UPGRADE_MODEL", &images.model_digest),
    ] {
        molecule.env(name, value);
    }
    let serve = host.path("serve");
    fs::create_dir(&serve).unwrap();
    molecule
        .env("SERVE_FOLDER", serve)
        .env("SERVE_PORT", host.port.to_string());
    let role = repository().join("deploy/ansible/roles/trainyard_serve");
    run(molecule.arg("test").current_dir(role));
}

#[test]
fn the_playbook_changes_nothing_twice_and_a_check_shows_the_digest_that_would_go() {
    let images = Images::publish();
    let mut host = Host::new();
    host.start_runit();
    let (code, log) = host.play(&images.first, &[]);
    assert_eq!(code, Some(0), "{log}");
    let address = format!("127.0.0.1:{}", host.port);
    let (status, _) = request(&address, "GET", "/v2/health/ready", b"").unwrap();
    assert_eq!(status, 200);
    let container = host.container_id();

    let (code, log) = host.play(&images.first, &[]);
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("changed=0"), "{log}");
    let (code, log) = host.play(&images.second, &["--check", "--diff"]);
    assert_eq!(code, Some(0), "{log}");
    for (mark, image) in [('-', &images.first), ('+', &images.second)] {
        let mut lines = log.lines();
        let is_shown = lines.any(|line| line.starts_with(mark) && line.contains(image.as_str()));
        assert!(is_shown, "{mark}{image} is not in\n{log}");
    }
    assert_eq!(host.container_id(), container, "nothing was restarted");
}

#[test]
fn an_image_by_tag_is_refused_and_one_that_is_not_there_changes_nothing() {
    let mut host = Host::new();
    host.start_runit();
    let (code, log) = host.play("registry.invalid/acme/digits:1.0.0", &[]);
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("write it by digest"), "{log}");
    let digest: String = iter::repeat_n('0', 64).collect();
    let (code, log) = host.play(&format!("127.0.0.1:9/digits@sha256:{digest}"), &[]);
    assert_eq!(code, Some(2), "{log}");
    let text = log.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("Nothing was changed"), "{log}");
    assert!(!host.path("service/trainyard-serve").exists());
}

/// Words that systemd would read otherwise: a percent sign, a dollar and a blank.
#[test]
fn systemd_reads_the_unit_and_the_quadlet_names_the_image_by_digest() {
    let host = Host::new();
    let role = repository().join("deploy/ansible/roles/trainyard_serve");
    let playbook = format!(
        "- hosts: localhost
  connection: local
  gather_facts: false
  vars_files: ['{role}/defaults/main.yml', '{role}/vars/main.yml']
  tasks:
    - ansible.builtin.template: {{src: '{role}/templates/quadlet.container.j2', dest: units/digits.container}}
      vars: {{trainyard_serve_with: quadlet}}
    - ansible.builtin.template: {{src: '{role}/templates/systemd.service.j2', dest: units/digits.service}}
      vars: {{trainyard_serve_with: docker}}
",
        role = role.display()
    );
    fs::write(host.path("render.yml"), playbook).unwrap();
    fs::create_dir(host.path("units")).unwrap();
    let image = "registry.example.org/team/digits@sha256:0123";
    let variables = serde_json::json!({
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "trainyard_serve_image": image,
        "trainyard_serve_arguments": ["--max-request-mib", "2%n $HOME"],
    });
    let mut render = host.ansible("ansible-playbook");
    render.args(["-i", "localhost,", "render.yml", "--extra-vars"]);
    run(render.arg(variables.to_string()));
    let read = |name: &str| fs::read_to_string(host.path("units").join(name)).unwrap();
    let quadlet = read("digits.container");
    assert!(quadlet.contains(&format!("\nImage={image}\n")), "{quadlet}");
    assert!(
        quadlet.contains("\nExec=\"--max-request-mib\" \"2%%n $$HOME\"\n"),
        "{quadlet}"
    );
    let unit = read("digits.service");
    let end = format!("\"{image}\" \"--max-request-mib\" \"2%%n $$HOME\"\n");
    assert!(unit.contains(&end), "{unit}");
    let verified = output(
        program("systemd-analyze")
            .arg("verify")
            .arg(host.path("units/digits.service")),
    );
    let words = String::from_utf8_lossy(&verified.stderr);
    // Of Docker's own unit it knows nothing where Docker is not installed.
    let words: Vec<&str> = words
        .lines()
        .filter(|line| line.contains("digits.service"))
        .collect();
    assert_eq!(
        (verified.status.code(), words.len()),
        (Some(0), 0),
        "{words:?}"
    );
}
