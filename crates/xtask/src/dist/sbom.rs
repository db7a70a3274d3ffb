//! The bill of materials of an archive, as CycloneDX 1.6 (<https://cyclonedx.org/docs/1.6/json/>).
//!
//! Without a serial number and a time, which the format leaves open: they would differ from build to build.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::components::{Component, Key};
use super::target::Target;

/// Describes the archive of `target`, which has this name and digest, and the crates in it.
pub(crate) fn json(
    target: &Target,
    version: &str,
    archive: &str,
    sha256: &str,
    components: &BTreeMap<Key, Component>,
) -> Value {
    let root = format!("trainyard-{version}-{}", target.triple());
    let ours = components.iter().filter(|(_, component)| component.is_ours);
    let mut dependencies = vec![json!({
        "ref": root,
        "dependsOn": ours.map(|(key, _)| reference(key)).collect::<Vec<_>>(),
    })];
    dependencies.extend(components.iter().map(|(key, component)| {
        let on: Vec<_> = component.dependencies.iter().map(reference).collect();
        json!({"ref": reference(key), "dependsOn": on})
    }));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "trainyard",
                "version": version,
                "licenses": [{"expression": "MIT OR Apache-2.0"}],
                "hashes": [{"alg": "SHA-256", "content": sha256}],
                "properties": [
                    {"name": "trainyard:archive", "value": archive},
                    {"name": "trainyard:target", "value": target.triple()},
                ],
            },
        },
        "components": components.iter().map(|(key, crate_)| library(key, crate_)).collect::<Vec<_>>(),
        "dependencies": dependencies,
    })
}

fn library(key: &Key, component: &Component) -> Value {
    let (name, version) = key;
    let mut library = Map::new();
    let mut set = |key: &str, value: Value| library.insert(key.to_owned(), value);
    set("type", json!("library"));
    set("bom-ref", json!(reference(key)));
    set("name", json!(name));
    set("version", json!(version));
    if let Some(license) = &component.license {
        set("licenses", json!([{"expression": license}]));
    }
    if !component.is_ours {
        set("purl", json!(reference(key)));
    }
    if let Some(sha256) = &component.sha256 {
        set("hashes", json!([{"alg": "SHA-256", "content": sha256}]));
    }
    if let Some(repository) = &component.repository {
        let reference = json!({"type": "vcs", "url": repository});
        set("externalReferences", json!([reference]));
    }
    Value::Object(library)
}

/// A package URL, <https://github.com/package-url/purl-spec>; a plus must not stand in it as it is.
fn reference((name, version): &Key) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A bill of one crate of ours and one of others.
    fn bill() -> Value {
        let key = |name: &str| (name.to_owned(), "1.0.0+build".to_owned());
        let component = |is_ours: bool, dependencies: &[Key]| Component {
            license: Some("MIT OR Apache-2.0 WITH LLVM-exception".to_owned()),
            repository: (!is_ours).then(|| "https://example.org/theirs".to_owned()),
            sha256: (!is_ours).then(|| "00".repeat(32)),
            folder: PathBuf::new(),
            is_ours,
            dependencies: dependencies.iter().cloned().collect(),
        };
        let components = BTreeMap::from([
            (key("ours"), component(true, &[key("theirs")])),
            (key("theirs"), component(false, &[])),
        ]);
        let target = Target::new("x86_64-unknown-linux-gnu").unwrap();
        json(&target, "1.2.3", "a.tar.gz", &"11".repeat(32), &components)
    }

    #[test]
    fn the_archive_leads_to_every_crate() {
        let bill = bill();
        let theirs = json!("pkg:cargo/theirs@1.0.0%2Bbuild");
        assert_eq!(bill["components"][1]["bom-ref"], theirs);
        let root = &bill["metadata"]["component"]["bom-ref"];
        assert_eq!(&bill["dependencies"][0]["ref"], root);
        assert_eq!(
            bill["dependencies"][0]["dependsOn"],
            json!(["pkg:cargo/ours@1.0.0%2Bbuild"])
        );
        assert_eq!(bill["dependencies"][1]["dependsOn"], json!([theirs]));
        // Ours are in no registry, so a package URL would lead nowhere.
        assert_eq!(bill["components"][0].get("purl"), None);
        assert_eq!(
            bill["components"][1]["hashes"][0]["content"],
            "00".repeat(32)
        );
    }

    /// The fixture is what cyclonedx-python-lib accepts, in `tests/integration/peers/attest/ml_bom.rs`.
    #[test]
    fn a_bill_is_written_as_the_one_that_was_validated() {
        let validated = include_str!("../../../../tests/fixtures/dist/bill.cdx.json");
        assert_eq!(format!("{:#}\n", bill()), validated);
    }
}
