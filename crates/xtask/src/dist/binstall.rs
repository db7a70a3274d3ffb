//! What `[package.metadata.binstall]` of each binary's `Cargo.toml` says, held against the archives that are packed.
//!
//! Keys and template variables are those of <https://github.com/cargo-bins/cargo-binstall/blob/main/SUPPORT.md>. Cargo
//! inherits no metadata from the workspace, so each package repeats them.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use super::target::Target;
use super::{VERSION, archive_name, build, release_name};
use crate::process;
use crate::workspace::Workspace;

/// The template with its variables filled in, as cargo-binstall does for one binary on one target.
fn expanded(template: &Value, program: &str, target: &Target) -> String {
    let extension = if target.is_windows() { ".exe" } else { "" };
    let variables = [
        ("name", program),
        ("bin", program),
        ("version", VERSION),
        ("target", target.triple()),
        ("binary-ext", extension),
    ];
    let template = template.as_str().unwrap().to_owned();
    let text = variables.into_iter().fold(template, |text, (name, value)| {
        text.replace(&format!("{{ {name} }}"), value)
    });
    assert!(!text.contains(['{', '}']), "an unknown variable: {text}");
    text
}

/// Where `run.sh` downloads from.
fn releases(workspace: &Workspace) -> String {
    let script = workspace.root.join("actions/support/run.sh");
    let script = fs::read_to_string(script).unwrap();
    let (_, rest) = script.split_once("${TRAINYARD_RELEASES:-").unwrap();
    rest.split('}').next().unwrap().to_owned()
}

#[test]
fn binstall_finds_each_program_in_the_archive_of_its_target() {
    let workspace = Workspace::locate().unwrap();
    let mut metadata =
        workspace.plain_cargo(&["metadata", "--no-deps", "--format-version", "1", "--locked"]);
    let metadata: Value = serde_json::from_str(&process::stdout(&mut metadata).unwrap()).unwrap();
    let releases = releases(&workspace);
    let mut described = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let binstall = &package["metadata"]["binstall"];
        if binstall.is_null() {
            continue;
        }
        let program = package["name"].as_str().unwrap();
        described.insert(program);
        assert_eq!(package["version"], VERSION);
        // Those of others are built from other sources; a build from ours is what the user asked for.
        assert_eq!(binstall["disabled-strategies"], json!(["quick-install"]));
        assert_eq!(binstall["pkg-fmt"], "tgz");
        let keys = binstall.as_object().unwrap().len();
        assert_eq!(keys, 4, "{binstall}");
        for target in Target::all() {
            let url = expanded(&binstall["pkg-url"], program, &target);
            assert_eq!(
                url,
                format!("{releases}/v{VERSION}/{}", archive_name(&target))
            );
            let path = expanded(&binstall["bin-dir"], program, &target);
            let file = target.file_name(program);
            assert_eq!(path, format!("{}/{file}", release_name(&target)));
        }
    }
    assert_eq!(described, build::programs().collect());
}
