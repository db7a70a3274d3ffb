//! How an object in the cluster differs from what it would be.

use serde_json::Value;
use similar::TextDiff;
use trainyard_core::deployment::ObjectChange;

use crate::yaml;

/// Fields of `metadata` that the API server writes.
const SERVERS: [&str; 6] = [
    "managedFields",
    "resourceVersion",
    "uid",
    "generation",
    "creationTimestamp",
    "selfLink",
];

/// Annotation that the controller of Deployments writes.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// An object without what the cluster itself writes.
pub(crate) fn wanted_state(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(all) = object.as_object_mut() {
        all.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in SERVERS {
            metadata.remove(key);
        }
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.remove(REVISION);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    object
}

/// What applying does to an object, and the lines of its YAML that change.
pub(crate) fn compare(live: Option<&Value>, applied: &Value) -> (ObjectChange, String) {
    let before = live.map(wanted_state);
    let after = wanted_state(applied);
    if before.as_ref() == Some(&after) {
        return (ObjectChange::None, String::new());
    }
    let name = |object: &Value| {
        let name = object.pointer("/metadata/name").and_then(Value::as_str);
        let kind = object["kind"].as_str().unwrap_or_default();
        format!("{kind}/{}", name.unwrap_or_default())
    };
    let (old, new) = (before.as_ref().map(sorted), sorted(&after));
    let old_text = old.as_ref().map(yaml::text).unwrap_or_default();
    let new_text = yaml::text(&new);
    let old_name = old.as_ref().map_or_else(|| "/dev/null".to_owned(), name);
    let text = TextDiff::from_lines(&old_text, &new_text)
        .unified_diff()
        .header(&old_name, &name(&new))
        .to_string();
    let change = match before {
        None => ObjectChange::Create,
        Some(_) => ObjectChange::Update,
    };
    (change, text)
}

/// With the keys of all objects in one order, whatever the server's.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut pairs: Vec<_> = object.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            let pairs = pairs
                .into_iter()
                .map(|(key, value)| (key.clone(), sorted(value)));
            Value::Object(pairs.collect())
        }
        Value::Array(elements) => elements.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(image: &str, generation: u32) -> Value {
        json!({
            "kind": "Deployment",
            "metadata": {
                "name": "digits", "generation": generation, "resourceVersion": generation.to_string(),
                "annotations": { REVISION: generation.to_string() },
            },
            "spec": { "image": image },
            "status": { "replicas": generation },
        })
    }

    #[test]
    fn what_the_cluster_writes_is_no_change() {
        let (change, text) = compare(Some(&object("a", 1)), &object("a", 2));
        assert_eq!((change, text.as_str()), (ObjectChange::None, ""));
    }

    #[test]
    fn the_lines_that_change_are_shown() {
        let (change, text) = compare(Some(&object("a", 1)), &object("b", 1));
        assert_eq!(change, ObjectChange::Update);
        assert!(text.contains("-  image: a\n+  image: b\n"), "{text}");
        let (change, text) = compare(None, &object("b", 1));
        assert_eq!(change, ObjectChange::Create);
        assert!(
            text.starts_with("--- /dev/null\n+++ Deployment/digits\n"),
            "{text}"
        );
    }
}
