//! Kibana's saved objects, which cannot be tried here: what they refer to is in the file, and what they show is in the documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::Value;

use crate::support::repository;

fn objects() -> Vec<Value> {
    let path = repository().join("examples/monitoring/kibana/trainyard.ndjson");
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Every value below `value` that has the key `key`.
fn all<'a>(value: &'a Value, key: &str, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get(key));
            fields.values().for_each(|value| all(value, key, found));
        }
        Value::Array(values) => values.iter().for_each(|value| all(value, key, found)),
        _ => {}
    }
}

/// The fields that the index template of `alias` has.
fn fields(alias: &str) -> BTreeSet<String> {
    let path = format!("examples/monitoring/elasticsearch/results/{alias}.json");
    let text = fs::read_to_string(repository().join(path)).unwrap();
    let template: Value = serde_json::from_str(&text).unwrap();
    let mut found = BTreeSet::new();
    collect(&template["template"]["mappings"], "", &mut found);
    found
}

fn collect(mapping: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, field) in mapping["properties"].as_object().into_iter().flatten() {
        found.insert(format!("{path}{name}"));
        collect(field, &format!("{path}{name}."), found);
    }
}

#[test]
fn what_kibanas_objects_refer_to_is_there() {
    let objects = objects();
    let ids: BTreeSet<(&str, &str)> = objects
        .iter()
        .map(|object| {
            (
                object["type"].as_str().unwrap(),
                object["id"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(ids.len(), objects.len(), "two objects have one name");
    let mut n_references = 0;
    for object in &objects {
        for reference in object["references"].as_array().unwrap() {
            let target = (
                reference["type"].as_str().unwrap(),
                reference["id"].as_str().unwrap(),
            );
            assert!(ids.contains(&target), "{object}: {target:?}");
            n_references += 1;
        }
    }
    assert!(n_references >= 10, "{n_references}");

    let dashboard = objects
        .iter()
        .find(|object| object["type"] == "dashboard")
        .unwrap();
    let names: BTreeMap<&str, &Value> = dashboard["references"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reference| (reference["name"].as_str().unwrap(), reference))
        .collect();
    let panels = dashboard["attributes"]["panelsJSON"].as_str().unwrap();
    let panels: Vec<Value> = serde_json::from_str(panels).unwrap();
    assert_eq!(panels.len(), names.len());
    let mut taken = BTreeSet::new();
    for panel in &panels {
        let index = panel["panelIndex"].as_str().unwrap();
        let name = format!("{index}:{}", panel["panelRefName"].as_str().unwrap());
        assert_eq!(names[&*name]["type"], panel["type"], "{panel}");
        let place = |key: &str| panel["gridData"][key].as_u64().unwrap();
        assert!(place("x") + place("w") <= 48, "{panel}");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{panel} lies on another one");
            }
        }
    }
    for text in ["optionsJSON", "kibanaSavedObjectMeta"] {
        let value = &dashboard["attributes"][text];
        let text = value
            .as_str()
            .or(value["searchSourceJSON"].as_str())
            .unwrap();
        serde_json::from_str::<Value>(text).unwrap();
    }
}

#[test]
fn what_kibanas_charts_show_are_fields_of_the_documents() {
    let mut n_fields = 0;
    let objects = objects();
    for chart in objects.iter().filter(|object| object["type"] == "lens") {
        let view = chart["references"][0]["id"].as_str().unwrap();
        let known = fields(view);
        let mut named = Vec::new();
        all(chart, "sourceField", &mut named);
        let named = named.iter().filter_map(|field| field.as_str());
        let query = chart["attributes"]["state"]["query"]["query"]
            .as_str()
            .unwrap();
        let in_query = query
            .split_whitespace()
            .filter(|word| word.starts_with("trainyard."));
        for field in named
            .filter(|field| *field != "___records___")
            .chain(in_query)
        {
            assert!(known.contains(field), "{view} has no `{field}`");
            n_fields += 1;
        }
        // The columns that are drawn are columns of the table.
        let state = &chart["attributes"]["state"];
        let layer = &state["datasourceStates"]["formBased"]["layers"]["documents"];
        let columns = layer["columns"].as_object().unwrap();
        let order: Vec<&str> = layer["columnOrder"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        assert!(
            order.iter().all(|name| columns.contains_key(*name)) && order.len() == columns.len()
        );
        let mut drawn = Vec::new();
        for key in ["xAccessor", "splitAccessor", "columnId", "accessors"] {
            all(&state["visualization"], key, &mut drawn);
        }
        let drawn = drawn.into_iter().flat_map(|value| match value {
            Value::Array(values) => values.iter().collect(),
            value => vec![value],
        });
        let drawn: BTreeSet<&str> = drawn.filter_map(Value::as_str).collect();
        assert_eq!(drawn, order.into_iter().collect(), "{view}");
    }
    assert!(n_fields >= 15, "{n_fields}");
    // A view finds what its template makes.
    for view in objects
        .iter()
        .filter(|object| object["type"] == "index-pattern")
    {
        let alias = view["id"].as_str().unwrap();
        assert_eq!(view["attributes"]["title"], format!("{alias}-*"));
        assert!(fields(alias).contains("@timestamp"));
    }
}
