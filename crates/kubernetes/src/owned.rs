//! The part of an object that a manager of fields has applied: what applying it again restores.

use serde_json::{Map, Value};

/// Fields of `live` that `manager` has applied, as an object that can be applied. `None` where it has applied none.
///
/// `managedFields` holds them as a tree (`FieldsV1`, structured-merge-diff): `f:` a field, `k:` an element of a list by its keys, `v:` an element
/// of a set, `.` the thing itself.
pub(crate) fn applied_by(live: &Value, manager: &str) -> Option<Value> {
    let managers = live.pointer("/metadata/managedFields")?.as_array()?;
    let ours = managers
        .iter()
        .find(|it| it["manager"] == manager && it["operation"] == "Apply")?;
    let mut object = pick(live, ours.get("fieldsV1")?)?;
    let metadata = live.get("metadata")?;
    object["apiVersion"] = live.get("apiVersion")?.clone();
    object["kind"] = live.get("kind")?.clone();
    for key in ["name", "namespace"] {
        if let Some(value) = metadata.get(key) {
            object["metadata"][key] = value.clone();
        }
    }
    Some(object)
}

/// Whether the manager, by any operation, holds the field at the path.
pub(crate) fn manages(live: &Value, manager: &str, path: &[&str]) -> bool {
    let managers = live.pointer("/metadata/managedFields");
    let managers = managers.and_then(Value::as_array).into_iter().flatten();
    managers.filter(|it| it["manager"] == manager).any(|it| {
        let mut fields = &it["fieldsV1"];
        for key in path {
            fields = &fields[format!("f:{key}")];
        }
        fields.is_object()
    })
}

fn pick(value: &Value, fields: &Value) -> Option<Value> {
    let fields = fields.as_object()?;
    if fields.is_empty() {
        return Some(value.clone());
    }
    match value {
        Value::Object(object) => {
            let mut picked = Map::new();
            for (key, below) in fields {
                if let Some(name) = key.strip_prefix("f:")
                    && let Some(found) = object.get(name).and_then(|it| pick(it, below))
                {
                    picked.insert(name.to_owned(), found);
                }
            }
            Some(Value::Object(picked))
        }
        Value::Array(elements) => Some(Value::Array(
            elements
                .iter()
                .filter_map(|element| pick_element(element, fields))
                .collect(),
        )),
        // A value that has become another kind of thing since.
        _ => Some(value.clone()),
    }
}

fn pick_element(element: &Value, fields: &Map<String, Value>) -> Option<Value> {
    fields.iter().find_map(|(key, below)| {
        if let Some(keys) = key.strip_prefix("k:") {
            let keys: Map<String, Value> = serde_json::from_str(keys).ok()?;
            let is_it = keys
                .iter()
                .all(|(key, value)| element.get(key) == Some(value));
            let mut picked = pick(element, below).filter(|_| is_it)?;
            for (key, value) in keys {
                picked[key] = value;
            }
            return Some(picked);
        }
        let wanted: Value = serde_json::from_str(key.strip_prefix("v:")?).ok()?;
        (*element == wanted).then_some(wanted)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn live() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": "digits", "namespace": "ml", "uid": "1",
                "labels": { "ours": "1", "theirs": "2" },
                "finalizers": ["a", "b"],
                "managedFields": [
                    { "manager": "kubectl", "operation": "Apply", "fieldsV1": { "f:metadata": { "f:labels": { "f:theirs": {} } } } },
                    { "manager": "trainyard", "operation": "Apply", "fieldsV1": {
                        "f:metadata": { "f:labels": { "f:ours": {} }, "f:finalizers": { "v:\"b\"": {} } },
                        "f:spec": { "f:template": { "f:spec": { "f:containers": {
                            "k:{\"name\":\"server\"}": { ".": {}, "f:image": {}, "f:name": {}, "f:resources": {
                                "f:limits": { ".": {}, "f:memory": {} } } }
                        } } } },
                    } },
                    { "manager": "kube-controller-manager", "operation": "Update", "fieldsV1": { "f:spec": { "f:replicas": {} } } },
                ],
            },
            "spec": { "replicas": 3, "template": { "spec": {
                "restartPolicy": "Always",
                "containers": [
                    { "name": "proxy", "image": "other" },
                    { "name": "server", "image": "old", "imagePullPolicy": "Always",
                      "resources": { "limits": { "memory": "1Gi", "cpu": "1" } } },
                ],
            } } },
            "status": { "replicas": 3 },
        })
    }

    #[test]
    fn only_what_was_applied_is_picked() {
        let applied = applied_by(&live(), "trainyard").unwrap();
        assert_eq!(
            applied,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": { "name": "digits", "namespace": "ml", "labels": { "ours": "1" }, "finalizers": ["b"] },
                "spec": { "template": { "spec": { "containers": [
                    { "name": "server", "image": "old", "resources": { "limits": { "memory": "1Gi" } } },
                ] } } },
            })
        );
        assert_eq!(applied_by(&live(), "argocd"), None);
    }

    #[test]
    fn who_manages_a_field_is_told() {
        assert!(manages(
            &live(),
            "kube-controller-manager",
            &["spec", "replicas"]
        ));
        assert!(!manages(&live(), "trainyard", &["spec", "replicas"]));
        assert!(!manages(&json!({}), "trainyard", &["spec", "replicas"]));
    }
}
