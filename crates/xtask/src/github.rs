//! The stand-in for GitHub's API with GitHub's own description before it, running while the tests do.
//!
//! Prism reads the description from npm's `@octokit/openapi` and refuses every request and every answer that does not
//! fit it, so neither we nor our stand-in can drift from the real API.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::peers::Toolbox;
use crate::process;
use crate::workspace::Workspace;

/// The node packages, pinned; a dependency bot keeps this file fresh.
const PACKAGES: &str = include_str!("../package.json");

/// Reading the description takes seconds, on a busy machine half a minute.
const START_LIMIT: Duration = Duration::from_mins(3);

/// Running servers, which end with this value.
pub(crate) struct GitHubApi {
    servers: Vec<Child>,
    /// Address of the stand-in itself.
    fake: String,
    /// Address of Prism.
    checked: String,
    /// GitHub's own examples of events.
    webhooks: PathBuf,
    /// The node packages.
    modules: PathBuf,
}

impl Drop for GitHubApi {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
    }
}

impl GitHubApi {
    /// Installs what is missing and starts both servers.
    pub(crate) fn start(toolbox: &Toolbox, workspace: &Workspace) -> Result<Self> {
        let folder = install(toolbox)?;
        let modules = folder.join("node_modules");
        let description = folder.join("github.json");
        process::run(
            Command::new("node")
                .arg(workspace.root.join("tests/fixtures/github/trim.mjs"))
                .arg(modules.join("@octokit/openapi/generated/api.github.com.json"))
                .arg(&description),
        )?;
        process::run(&mut workspace.cargo(&[
            "build",
            "--package",
            "trainyard-tests",
            "--bin",
            "github-api",
        ]))?;
        let mut fake = Command::new(workspace.binaries().join("github-api"))
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the stand-in for GitHub's API")?;
        let mut line = String::new();
        if let Some(output) = fake.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .context("reading the stand-in's address")?;
        }
        let mut api = Self {
            servers: vec![fake],
            fake: line.trim().to_owned(),
            checked: String::new(),
            webhooks: modules.join("@octokit/webhooks-examples/api.github.com/index.json"),
            modules: modules.clone(),
        };
        let port = free_port()?;
        let log = fs::File::create(folder.join("prism.log")).context("making Prism's log")?;
        let prism = Command::new("node")
            .arg(modules.join("@stoplight/prism-cli/dist/index.js"))
            .args([
                "proxy",
                "--errors",
                "--host",
                "127.0.0.1",
                "--port",
                &port.to_string(),
            ])
            .arg(&description)
            .arg(&api.fake)
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .context("starting Prism")?;
        api.servers.push(prism);
        api.checked = format!("http://127.0.0.1:{port}");
        wait_for(port, &folder)?;
        Ok(api)
    }

    /// Tells the tests where the servers are.
    pub(crate) fn announce(&self, tests: &mut Command) {
        tests
            .env("TRAINYARD_GITHUB_CHECKED", &self.checked)
            .env("TRAINYARD_GITHUB_FAKE", &self.fake)
            .env("TRAINYARD_GITHUB_WEBHOOKS", &self.webhooks)
            .env("TRAINYARD_NODE_MODULES", &self.modules);
    }
}

/// Sees to it that the node packages are there.
fn install(toolbox: &Toolbox) -> Result<PathBuf> {
    let folder = toolbox.cache().join("node");
    // Written last, so an installation that broke off is done again.
    let stamp = folder.join("installed.json");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == PACKAGES) {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).with_context(|| format!("creating `{}`", folder.display()))?;
    fs::write(folder.join("package.json"), PACKAGES).context("writing `package.json`")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&folder);
    process::run_with_retries(&mut npm, 4).context(
        "installing Prism; install Node 20 or newer with npm, or leave the peers out with `cargo xtask test --no-peers`",
    )?;
    fs::write(&stamp, PACKAGES).with_context(|| format!("writing `{}`", stamp.display()))?;
    Ok(folder)
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    Ok(listener.local_addr()?.port())
}

fn wait_for(port: u16, folder: &Path) -> Result<()> {
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if start.elapsed() > START_LIMIT {
            bail!(
                "Prism does not answer; see `{}`",
                folder.join("prism.log").display()
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}
