//! Lines of the log on their way into Elasticsearch: rsyslog with the shipped configuration, and `osmem-server`, which answers as
//! Elasticsearch does, with the shipped index template. Filebeat and Logstash are in no package registry; their files are parsed alone.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::osmem::Osmem;
use super::prometheus::Killed;
use super::{program, python_with};
use crate::support::{repository, run};

fn example(path: &str) -> String {
    fs::read_to_string(repository().join("examples/monitoring").join(path)).unwrap()
}

/// Lines as `--log-format json` writes them.
const LINES: &str = include_str!("../../fixtures/serving/ecs.jsonl");

/// Elastic's `ecs-logging/spec/spec.json`: the required fields, the order of the first two, and their types. `log.level` and `ecs.version`
/// stand at the top with a dot in their names.
#[test]
fn the_lines_of_the_fixture_are_ecs() {
    for line in LINES.lines() {
        assert!(line.starts_with("{\"@timestamp\":\""), "{line}");
        let (_, rest) = line.split_once("\",\"").unwrap();
        assert!(rest.starts_with("log.level\":\""), "{line}");
        let found: Value = serde_json::from_str(line).unwrap();
        for field in [
            "@timestamp",
            "log.level",
            "ecs.version",
            "message",
            "service.name",
        ] {
            assert!(found[field].is_string(), "{field} in {line}");
        }
        for (field, value) in found.as_object().unwrap() {
            let is_number = ["event.duration", "http.response.status_code"].contains(&&**field);
            assert_eq!(value.is_u64(), is_number, "{field} in {line}");
        }
    }
}

#[test]
fn rsyslog_ships_the_lines_to_where_they_are_found_by_query() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let server = Osmem::start();
    let template: Value = serde_json::from_str(&example("elasticsearch/template.json")).unwrap();
    let stored = server.put("/_index_template/trainyard", &template);
    assert_eq!(stored.status, 200, "{}", stored.json());

    fs::write(path("serve.json"), LINES).unwrap();
    let (_, port) = server.address.split_once(':').unwrap();
    let place = folder.path().display().to_string();
    let shipped = example("rsyslog/trainyard.conf")
        .replace("/var/log/trainyard", &place)
        .replace("serverport=\"9200\"", &format!("serverport=\"{port}\""));
    assert_eq!(shipped.matches(&place).count(), 2, "{shipped}");
    assert!(shipped.contains(port), "{shipped}");
    let config = format!("global(workDirectory=\"{place}\")\n{shipped}");
    fs::write(path("rsyslog.conf"), config).unwrap();
    run(program("rsyslogd")
        .args(["-N1", "-f"])
        .arg(path("rsyslog.conf")));
    let rsyslog = program("rsyslogd")
        .args(["-n", "-f"])
        .arg(path("rsyslog.conf"))
        .arg("-i")
        .arg(path("rsyslog.pid"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let _rsyslog = Killed(rsyslog);

    let search = |query: &Value| server.search("trainyard-*", query);
    let deadline = Instant::now() + Duration::from_mins(1);
    while search(&json!({"match_all": {}})).len() < LINES.lines().count() {
        assert!(Instant::now() < deadline, "the lines have not arrived");
        thread::sleep(Duration::from_millis(200));
    }
    assert!(!path("not-indexed.json").exists());
    for (query, message) in [
        // Only with the template is a text one term, and a duration a number.
        (
            json!({"term": {"log.level": "error"}}),
            "a request failed: internal \"error\"\nof two lines",
        ),
        (
            json!({"range": {"event.duration": {"gte": 1_000_000}}}),
            "POST /v1/models/mnist:predict 200",
        ),
        (
            json!({"term": {"trace.id": "0af7651916cd43dd8448eb211c80319c"}}),
            "POST /v1/models/mnist:predict 200",
        ),
        (
            json!({"match": {"message": "serving"}}),
            "serving `mnist` on http://0.0.0.0:8080",
        ),
    ] {
        let found = search(&query);
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        assert_eq!(found[0]["_source"]["message"], message, "{query}");
    }
    let mapping = server.get("/trainyard-*/_mapping");
    let mapping = mapping.as_object().unwrap().values().next().unwrap();
    let fields = &mapping["mappings"]["properties"];
    assert_eq!(fields["@timestamp"]["type"], "date", "{mapping}");
    assert_eq!(
        fields["http"]["properties"]["response"]["properties"]["status_code"]["type"],
        "long"
    );
}

#[test]
fn the_pipelines_of_logstash_and_filebeat_are_read() {
    let parse = "import sys; from logstash_pipeline_parser import Pipeline; print([part[0] for part in Pipeline(sys.argv[1]).parse()])";
    let pipeline = example("logstash/pipeline/trainyard.conf");
    let parts = run(
        python_with("logstash_pipeline_parser", "logstash-pipeline-parser")
            .args(["-c", parse, &pipeline]),
    );
    assert_eq!(parts.trim(), "['input', 'filter', 'output']");
    // Every file that the containers mount is there, and the YAML is YAML.
    let read = "import json, sys; from ruamel.yaml import YAML; json.dump(YAML(typ='safe').load(open(sys.argv[1])), sys.stdout)";
    let yaml = |path: &str| -> Value {
        let path = repository().join("examples/monitoring").join(path);
        let text = run(python_with("ruamel.yaml", "ruamel.yaml")
            .args(["-c", read])
            .arg(path));
        serde_json::from_str(&text).unwrap()
    };
    let compose = yaml("compose.yaml");
    for (name, service) in compose["services"].as_object().unwrap() {
        let image = service["image"].as_str().unwrap();
        let is_pinned = image.starts_with("${IMAGE")
            || image
                .rsplit_once(':')
                .is_some_and(|(_, tag)| tag.contains('.') && tag != "latest");
        assert!(is_pinned, "{name}: {image}");
        let volumes = service["volumes"].as_array().into_iter().flatten();
        for volume in volumes.filter_map(Value::as_str) {
            let (from, _) = volume.split_once(':').unwrap();
            if let Some(from) = from.strip_prefix("./") {
                let path = repository().join("examples/monitoring").join(from);
                assert!(path.exists(), "{name} mounts {from}");
            }
        }
        // Without passwords, so of this machine alone.
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(
                port.as_str().unwrap().starts_with("127.0.0.1:"),
                "{name}: {port}"
            );
        }
    }
    let filebeat = yaml("filebeat/filebeat.yaml");
    let provider = &filebeat["filebeat.autodiscover"]["providers"][0];
    let parsers = &provider["hints.default_config"]["parsers"];
    assert_eq!(parsers[1]["ndjson"]["expand_keys"], true, "{parsers}");
    assert_eq!(
        filebeat["output.logstash"]["hosts"],
        json!(["logstash:5044"])
    );
    for path in [
        "grafana/provisioning/datasources/prometheus.yaml",
        "grafana/provisioning/dashboards/trainyard.yaml",
    ] {
        assert!(yaml(path)["apiVersion"].is_u64(), "{path}");
    }
}
