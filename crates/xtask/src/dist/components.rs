//! The crates that are linked into the binaries of a target.
//!
//! `cargo tree` says which they are, command by command as they are built; in `cargo metadata`, what one package of the
//! workspace switches on would count for all. The metadata then describe them, and `Cargo.lock` has their digests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use super::target::Target;
use crate::process;
use crate::workspace::{BINARY_PACKAGES, Workspace};

/// Name and version, which no two crates of our lock file share.
pub(crate) type Key = (String, String);

/// A linked crate.
pub(crate) struct Component {
    /// SPDX expression; absent where the crate gives none.
    pub(crate) license: Option<String>,
    pub(crate) repository: Option<String>,
    /// Of the `.crate` file in the registry, in hexadecimal; absent for our own.
    pub(crate) sha256: Option<String>,
    /// Where its sources are.
    pub(crate) folder: PathBuf,
    pub(crate) is_ours: bool,
    /// Crates that it is linked with.
    pub(crate) dependencies: BTreeSet<Key>,
}

/// All that are linked into any binary, without what only runs while building.
pub(crate) fn linked(target: &Target, workspace: &Workspace) -> Result<BTreeMap<Key, Component>> {
    let mut keys = BTreeSet::new();
    for group in BINARY_PACKAGES {
        let mut tree = workspace.plain_cargo(&["tree", "--locked", "--prefix", "none"]);
        tree.args(["--edges", "normal,no-proc-macro", "--format", "{p}"]);
        tree.args(["--target", target.triple()]);
        for package in group {
            tree.args(["--package", package]);
        }
        keys.extend(process::stdout(&mut tree)?.lines().filter_map(key_of_line));
    }
    let mut metadata = workspace.plain_cargo(&["metadata", "--locked", "--format-version", "1"]);
    metadata.args(["--filter-platform", target.triple()]);
    let metadata = process::stdout(&mut metadata)?;
    let metadata: Value = serde_json::from_str(&metadata).context("reading `cargo metadata`")?;
    let path = workspace.root.join("Cargo.lock");
    let lock =
        fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))?;
    described(&keys, &metadata, &digests(&lock))
}

/// Of `serde v1.0.229 (proc-macro)`, name and version.
fn key_of_line(line: &str) -> Option<Key> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some((name.to_owned(), version.to_owned()))
}

/// The digests of a lock file.
fn digests(lock: &str) -> BTreeMap<Key, String> {
    let entry = |text: &str| {
        let value = |key: &str| {
            let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
            Some(rest.trim_matches('"').to_owned())
        };
        let key = (value("name = ")?, value("version = ")?);
        Some((key, value("checksum = ")?))
    };
    lock.split("[[package]]").filter_map(entry).collect()
}

/// What the metadata say of the crates `keys`, in their order.
fn described(
    keys: &BTreeSet<Key>,
    metadata: &Value,
    digests: &BTreeMap<Key, String>,
) -> Result<BTreeMap<Key, Component>> {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut ids = BTreeMap::new();
    let mut components = BTreeMap::new();
    for package in items(&metadata["packages"]) {
        let key = text(&package["name"]).zip(text(&package["version"]));
        let key = key.context("a package of `cargo metadata` has no name or version")?;
        let id = text(&package["id"]).context("a package of `cargo metadata` has no id")?;
        ids.insert(id, key.clone());
        if !keys.contains(&key) {
            continue;
        }
        let manifest = text(&package["manifest_path"]).map(PathBuf::from);
        let folder = manifest.as_deref().and_then(|path| path.parent());
        let component = Component {
            // Before SPDX, a slash stood between licences to choose from.
            license: text(&package["license"]).map(|license| license.replace('/', " OR ")),
            repository: text(&package["repository"]),
            sha256: digests.get(&key).cloned(),
            folder: folder.context("a package has no folder")?.to_owned(),
            is_ours: package["source"].is_null(),
            dependencies: BTreeSet::new(),
        };
        components.insert(key, component);
    }
    for key in keys {
        let (name, version) = key;
        components
            .get(key)
            .with_context(|| format!("`cargo metadata` knows no {name} {version}"))?;
    }
    for node in items(&metadata["resolve"]["nodes"]) {
        let key = node["id"].as_str().and_then(|id| ids.get(id));
        let Some(component) = key.and_then(|key| components.get_mut(key)) else {
            continue;
        };
        for dependency in items(&node["deps"]) {
            // Those of tests and of build scripts have a kind.
            let mut kinds = items(&dependency["dep_kinds"]).into_iter();
            let is_linked = kinds.any(|kind| kind["kind"].is_null());
            let key = dependency["pkg"].as_str().and_then(|id| ids.get(id));
            let key = key.filter(|key| is_linked && keys.contains(*key));
            component.dependencies.extend(key.cloned());
        }
    }
    Ok(components)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(name: &str) -> Key {
        (name.to_owned(), "1.0.0".to_owned())
    }

    #[test]
    fn only_what_is_linked_is_listed_and_joined() {
        let package = |name: &str, source: Value| {
            json!({
                "name": name, "version": "1.0.0", "id": format!("id of {name}"), "source": source,
                "license": "MIT/Apache-2.0", "manifest_path": format!("/crates/{name}/Cargo.toml"),
            })
        };
        let edge = |name: &str, kind: Value| json!({"pkg": format!("id of {name}"), "dep_kinds": [{"kind": kind}]});
        let registry = json!("registry+https://github.com/rust-lang/crates.io-index");
        let metadata = json!({
            "packages": [
                package("ours", Value::Null), package("linked", registry.clone()),
                package("builds", registry.clone()), package("tests", registry),
            ],
            "resolve": {"nodes": [{
                "id": "id of ours",
                "deps": [edge("linked", Value::Null), edge("builds", json!("build")), edge("tests", json!("dev"))],
            }]},
        });
        let keys = BTreeSet::from([key("ours"), key("linked")]);
        let lock = "version = 4\n\n[[package]]\nname = \"linked\"\nversion = \"1.0.0\"\nchecksum = \"abc\"\n";
        let found = described(&keys, &metadata, &digests(lock)).unwrap();
        assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), keys);
        let ours = &found[&key("ours")];
        assert!(ours.is_ours && ours.sha256.is_none());
        assert_eq!(ours.dependencies, BTreeSet::from([key("linked")]));
        let linked = &found[&key("linked")];
        assert_eq!(linked.sha256.as_deref(), Some("abc"));
        assert_eq!(linked.license.as_deref(), Some("MIT OR Apache-2.0"));
        assert_eq!(linked.folder, PathBuf::from("/crates/linked"));
    }

    #[test]
    fn a_line_of_cargo_tree_names_a_crate() {
        let line = "serde v1.0.0 (/home/me/serde) (*)";
        assert_eq!(key_of_line(line), Some(key("serde")));
        assert_eq!(key_of_line(""), None);
    }
}
