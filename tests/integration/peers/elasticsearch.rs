//! Results of stages in Elasticsearch: the binaries against `osmem-server`, which answers as Elasticsearch does, looked at by its API
//! and by the official Python client. Elasticsearch itself is in no package registry.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::osmem::Osmem;
use super::prometheus::{Killed, free_address};
use super::python_with;
use crate::http::exchange;
use crate::project::{Project, Said};
use crate::support::{repository, run};

const KINDS: [&str; 6] = [
    "runs",
    "epochs",
    "evaluations",
    "measurements",
    "verdicts",
    "rules",
];

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// The example, whose results go to `address`.
fn project(address: &str) -> Project {
    let project = Project::new();
    project.edit("epochs = 1", "epochs = 2");
    let report = format!(
        "\n[report]\nelasticsearch = \"http://{address}\"\nlabels = {{ team = \"vision\" }}\n"
    );
    let config = fs::read_to_string(project.path("trainyard.toml")).unwrap();
    project.write("trainyard.toml", config + &report);
    project
}

/// The stage's command, as a build of Travis of a commit on main runs it, with a folder for the user's state of its own.
fn stage(project: &Project, name: &str) -> Command {
    let mut command = project.stage(name, &[]);
    command.envs([
        ("TRAVIS", "true"),
        ("TRAVIS_EVENT_TYPE", "push"),
        ("TRAVIS_COMMIT", COMMIT),
        ("TRAVIS_BRANCH", "main"),
        ("TRAVIS_REPO_SLUG", "acme/digits"),
        ("TRAVIS_BUILD_ID", "42"),
    ]);
    command.env("XDG_STATE_HOME", project.path("state"));
    command
}

#[track_caller]
fn run_stage(project: &Project, name: &str) -> Said {
    Said::of(&mut stage(project, name), 0)
}

/// The bodies that wait to be sent.
fn waiting(project: &Project) -> Vec<PathBuf> {
    let folders = fs::read_dir(project.path("state/trainyard/documents"));
    let folders = folders.into_iter().flatten().flatten();
    let files = folders.flat_map(|folder| fs::read_dir(folder.path()).unwrap().flatten());
    let files = files.map(|file| file.path());
    files
        .filter(|path| path.extension().is_some_and(|it| it == "ndjson"))
        .collect()
}

/// How many documents of each kind there are, by the official client.
fn counts(address: &str) -> Value {
    let script = "import json, sys; from elasticsearch import Elasticsearch; es = Elasticsearch('http://' + sys.argv[1]); \
                  print(json.dumps({kind: es.count(index='trainyard-' + kind)['count'] for kind in sys.argv[2:]}))";
    let found = run(python_with("elasticsearch", "elasticsearch")
        .args(["-c", script, address])
        .args(KINDS));
    serde_json::from_str(&found).unwrap()
}

/// How many there should be after train, evaluate and gate.
fn expected(project: &Project) -> Value {
    let evaluation = project.json("evaluation/evaluation.json");
    let verdict = project.json("verdict/verdict.json");
    let n = |value: &Value| value.as_array().unwrap().len();
    let history = fs::read_to_string(project.path("trainyard-out/model/history.tsv")).unwrap();
    json!({
        "runs": 1,
        "epochs": history.lines().count() - 1,
        "evaluations": 1,
        "measurements": n(&evaluation["measurements"]),
        "verdicts": 1,
        "rules": n(&verdict["rules"]),
    })
}

/// The paths of all fields of a mapping, with their types.
fn fields(mapping: &Value, path: &str, found: &mut Vec<(String, String)>) {
    for (name, field) in mapping["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}{name}");
        match field["type"].as_str() {
            Some(kind) if !field["properties"].is_object() => found.push((path, kind.to_owned())),
            _ => fields(field, &format!("{path}."), found),
        }
    }
}

fn fields_of(mapping: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    fields(mapping, "", &mut found);
    found.sort();
    found
}

#[test]
fn the_whole_road_is_indexed_and_a_second_time_doubles_nothing() {
    let server = Osmem::start();
    let project = project(&server.address);
    for stage in ["train", "evaluate", "gate"] {
        let said = run_stage(&project, stage);
        assert!(
            said.stderr.contains("in Elasticsearch at 127.0.0.1:"),
            "{}",
            said.stderr
        );
        assert!(!said.stderr.contains("WARN"), "{}", said.stderr);
    }
    assert_eq!(counts(&server.address), expected(&project));
    assert!(waiting(&project).is_empty());

    // Every field has the type that its template gives it: none was guessed.
    for kind in KINDS {
        let path = format!("examples/monitoring/elasticsearch/results/trainyard-{kind}.json");
        let template = fs::read_to_string(repository().join(path)).unwrap();
        let template: Value = serde_json::from_str(&template).unwrap();
        let planned = fields_of(&template["template"]["mappings"]);
        let mapping = server.get(&format!("/trainyard-{kind}/_mapping"));
        let mapping = mapping.as_object().unwrap().values().next().unwrap();
        let found = fields_of(&mapping["mappings"]);
        let guessed: Vec<_> = found
            .iter()
            .filter(|field| !planned.contains(field))
            .collect();
        for (name, found) in guessed {
            let is_metric = name.starts_with("trainyard.metrics.") && found == "double";
            let is_label = name == "labels.team" && found == "keyword";
            assert!(is_metric || is_label, "{kind}: `{name}` is a {found}");
        }
    }

    // What the documents say is what the files say.
    let evaluation = project.json("evaluation/evaluation.json");
    let accuracy = evaluation["measurements"].as_array().unwrap().iter();
    let accuracy = accuracy
        .clone()
        .find(|found| found["key"] == json!({ "metric": "accuracy" }))
        .unwrap();
    let query = json!({ "bool": { "filter": [
        { "term": { "trainyard.metric.name": "accuracy" } },
        { "term": { "trainyard.metric.scope": "overall" } },
        { "term": { "trainyard.commit_short": "0123456789ab" } },
        { "term": { "labels.team": "vision" } },
        { "range": { "trainyard.metric.value": { "gte": 0.5, "lte": 1.0 } } },
    ] } });
    let found = server.search("trainyard-measurements", &query);
    assert_eq!(found.len(), 1, "{found:?}");
    let metric = &found[0]["_source"]["trainyard"]["metric"];
    assert_eq!(metric["value"], accuracy["value"]);
    assert_eq!(metric["lower"], accuracy["interval"]["lower"]);
    assert_eq!(metric["method"], "clopper_pearson");
    let all = |kind: &str| server.search(&format!("trainyard-{kind}"), &json!({ "match_all": {} }));
    let whole = &all("evaluations")[0]["_source"]["trainyard"];
    assert_eq!(whole["metrics"]["accuracy"], accuracy["value"]);
    let training = &all("runs")[0]["_source"];
    assert_eq!(training["trainyard"]["run"]["n_epochs"], 2);
    assert_eq!(training["trainyard"]["branch"], "main");
    assert_eq!(training["trainyard"]["ci"]["provider"], "travis");
    assert_eq!(training["service"]["name"], "trainyard-train");
    assert_eq!(
        training["trainyard"]["model"]["digest"],
        evaluation["model"]["digest"]
    );
    let mut epochs = all("epochs");
    epochs.sort_by_key(|hit| hit["_source"]["trainyard"]["epoch"]["number"].as_u64());
    let history = fs::read_to_string(project.path("trainyard-out/model/history.tsv")).unwrap();
    for (hit, row) in epochs.iter().zip(history.lines().skip(1)) {
        let epoch = &hit["_source"]["trainyard"]["epoch"];
        let loss: f64 = row.split('\t').nth(1).unwrap().parse().unwrap();
        assert_eq!(epoch["loss"], loss);
        assert_eq!(epoch["learning_rate"], 0.001);
        assert!(epoch["duration_s"].as_f64().unwrap() > 0.0, "{epoch}");
    }
    let verdict = project.json("verdict/verdict.json");
    let decision = &all("verdicts")[0]["_source"];
    assert_eq!(
        decision["trainyard"]["verdict"]["decision"],
        verdict["verdict"]
    );
    assert_eq!(decision["event"]["outcome"], "success");
    assert_eq!(
        decision["trainyard"]["evaluation"]["digest"],
        whole["evaluation"]["digest"]
    );

    // The official client finds the metric over commits as a chart asks for it. For requests with a body it names a media type of
    // Elasticsearch 9 that osmem does not know.
    let script = "import json, sys; import elasticsearch._sync.client._base as base; base._COMPAT_MIMETYPE_SUB = r'application/\\g<1>'; \
                  from elasticsearch import Elasticsearch; es = Elasticsearch('http://' + sys.argv[1]); \
                  answer = es.search(index='trainyard-measurements-*', size=0, query={'term': {'trainyard.metric.is_headline': True}}, \
                  aggs={'commit': {'terms': {'field': 'trainyard.commit_short'}, 'aggs': {'metric': {'terms': {'field': 'trainyard.metric.name', 'size': 50}, \
                  'aggs': {'value': {'avg': {'field': 'trainyard.metric.value'}}}}}}}); \
                  bucket, = answer['aggregations']['commit']['buckets']; \
                  print(json.dumps([bucket['key'], {one['key']: one['value']['value'] for one in bucket['metric']['buckets']}]))";
    let found =
        run(python_with("elasticsearch", "elasticsearch").args(["-c", script, &server.address]));
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found[0], "0123456789ab");
    assert_eq!(found[1]["accuracy"], accuracy["value"], "{found}");

    // Again: the model is restored, and everything else is found out anew.
    for stage in ["train", "evaluate", "gate"] {
        let said = run_stage(&project, stage);
        assert!(!said.stderr.contains("WARN"), "{}", said.stderr);
    }
    assert_eq!(counts(&server.address), expected(&project));
    // Another build of the same commit has documents of its own.
    let mut train = stage(&project, "train");
    Said::of(train.env("TRAVIS_BUILD_ID", "43"), 0);
    assert_eq!(counts(&server.address)["runs"], 2);
}

/// The server is killed between two stages and loses nothing that was on its disk, which the test plays: osmem has none.
#[test]
fn a_server_that_is_killed_and_comes_back_has_everything_once() {
    let address = free_address();
    let project = project(&address);
    let server = Osmem::start_at(&address);
    run_stage(&project, "train");
    let on_disk = server.dump("trainyard-*");
    let templates = server.get("/_index_template/trainyard-*");
    assert_eq!(on_disk.lines().count(), 2 * 3);
    drop(server);

    let started = Instant::now();
    let said = run_stage(&project, "evaluate");
    assert!(started.elapsed() < Duration::from_mins(1));
    let warning = said
        .stderr
        .lines()
        .find(|line| line.contains("is missing documents"));
    let warning = warning.unwrap_or_else(|| panic!("{}", said.stderr));
    assert!(
        warning.contains("WARN") && warning.contains("are kept in `"),
        "{warning}"
    );
    // As if it had not been asked: what the stage made is whole.
    assert!(project.json("evaluation/evaluation.json")["measurements"].is_array());
    // A second attempt while the server is away keeps nothing twice.
    run_stage(&project, "evaluate");
    assert_eq!(waiting(&project).len(), 1);
    // A red verdict stays red.
    project.edit("min = 0.5", "min = 0.9999");
    let said = Said::of(&mut stage(&project, "gate"), 1);
    assert!(
        said.stderr.contains("is missing documents"),
        "{}",
        said.stderr
    );
    assert_eq!(project.json("verdict/verdict.json")["verdict"], "fail");
    assert_eq!(waiting(&project).len(), 2);

    let server = Osmem::start_at(&address);
    for template in templates["index_templates"].as_array().unwrap() {
        let place = format!("/_index_template/{}", template["name"].as_str().unwrap());
        assert_eq!(server.put(&place, &template["index_template"]).status, 200);
    }
    server.load(&on_disk);
    // The next stage brings what the earlier ones could not.
    let said = run_stage(&project, "train");
    assert!(
        !said.stderr.contains("is missing documents"),
        "{}",
        said.stderr
    );
    assert_eq!(counts(&address), expected(&project));
    assert!(waiting(&project).is_empty());
}

/// What lies between stage and server, and treats the first `_bulk` as it says.
enum Between {
    /// The server has the documents, and the answer is lost.
    Lost,
    /// Too many requests, as Elasticsearch's reference has it.
    Busy,
}

/// A proxy to the server at `to`; returns its address and the number of `_bulk` requests so far.
fn proxy(to: &str, between: Between) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let n_bulk = Arc::new(AtomicUsize::new(0));
    let counter = n_bulk.clone();
    let to = to.to_owned();
    thread::spawn(move || {
        for stream in listener.incoming() {
            forward(&mut stream.unwrap(), &to, &between, &counter);
        }
    });
    (address, n_bulk)
}

/// The head of a request, and its body.
fn read_request(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut n_bytes) = (String::new(), 0);
    loop {
        let start = head.len();
        reader.read_line(&mut head).unwrap();
        let line = head[start..].trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            n_bytes = value.parse().unwrap();
        }
    }
    let mut body = vec![0; n_bytes];
    reader.read_exact(&mut body).unwrap();
    (head, body)
}

fn forward(stream: &mut TcpStream, to: &str, between: &Between, n_bulk: &AtomicUsize) {
    let (head, body) = read_request(stream);
    let mut words = head.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let is_first = path.starts_with("/_bulk") && n_bulk.fetch_add(1, Ordering::SeqCst) == 0;
    let header = |name: &str| {
        let mut lines = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "));
        let found = lines.find(|(found, _)| found.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_owned())
    };
    if is_first && matches!(between, Between::Busy) {
        let text = r#"{"error":{"type":"circuit_breaking_exception","reason":"[parent] Data too large"},"status":429}"#;
        let head = format!(
            "HTTP/1.1 429 Too Many Requests\r\nContent-Length: {}\r\nRetry-After: 1\r\nConnection: close\r\n\r\n",
            text.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        return;
    }
    let kind = header("content-type").unwrap_or_else(|| "application/json".to_owned());
    let answer = exchange(to, method, path, &[("Content-Type", &kind)], &body).unwrap();
    if is_first && matches!(between, Between::Lost) {
        return;
    }
    let head = format!(
        "HTTP/1.1 {} x\r\nContent-Length: {}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n",
        answer.status,
        answer.body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&answer.body).unwrap();
}

#[test]
fn an_answer_that_is_lost_and_one_that_asks_for_time_double_and_lose_nothing() {
    for between in [Between::Lost, Between::Busy] {
        let server = Osmem::start();
        let (address, n_bulk) = proxy(&server.address, between);
        let project = project(&address);
        let said = run_stage(&project, "train");
        assert!(!said.stderr.contains("WARN"), "{}", said.stderr);
        assert_eq!(n_bulk.load(Ordering::SeqCst), 2);
        let found = server.search("trainyard-*", &json!({ "match_all": {} }));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(waiting(&project).is_empty());
    }
}

/// A stage that is killed while it waits for the server has kept its documents first.
#[test]
fn a_stage_that_is_killed_while_it_sends_loses_nothing() {
    let address = free_address();
    let project = project(&address);
    // Takes connections and never answers.
    let silent = TcpListener::bind(&address).unwrap();
    let train = stage(&project, "train")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let train = Killed(train);
    let deadline = Instant::now() + Duration::from_mins(2);
    while waiting(&project).is_empty() {
        assert!(Instant::now() < deadline, "nothing is kept");
        thread::sleep(Duration::from_millis(20));
    }
    drop(train);
    drop(silent);
    let server = Osmem::start_at(&address);
    run_stage(&project, "evaluate");
    let found = counts_of(&server, ["runs", "epochs", "evaluations"]);
    assert_eq!(found, [1, 2, 1]);
    assert!(waiting(&project).is_empty());
}

fn counts_of<const N: usize>(server: &Osmem, kinds: [&str; N]) -> [usize; N] {
    kinds.map(|kind| {
        let index = format!("trainyard-{kind}");
        server.search(&index, &json!({ "match_all": {} })).len()
    })
}

#[test]
fn a_document_that_does_not_fit_is_told_with_its_reason_and_the_others_are_indexed() {
    let server = Osmem::start();
    // A template of the user's, which comes before ours.
    let mapping = json!({ "properties": { "trainyard": { "properties": { "epoch": { "properties": { "loss": { "type": "boolean" } } } } } } });
    let template = json!({
        "index_patterns": ["trainyard-epochs-*"],
        "priority": 900,
        "template": { "mappings": mapping },
    });
    assert_eq!(server.put("/_index_template/own", &template).status, 200);
    let project = project(&server.address);
    let said = run_stage(&project, "train");
    assert!(
        said.stderr
            .contains("refused 2 documents; they are kept in `"),
        "{}",
        said.stderr
    );
    assert!(
        said.stderr
            .contains("trainyard-epochs: mapper_parsing_exception: failed to parse"),
        "{}",
        said.stderr
    );
    assert_eq!(counts_of(&server, ["runs"]), [1]);
    assert!(waiting(&project).is_empty());
}

/// `TRAINYARD_ELASTICSEARCH` goes before the file, and what is secret is neither in the log nor in the files.
#[test]
fn the_environment_names_the_server_and_no_secret_is_written_anywhere() {
    let server = Osmem::start();
    let project = project("127.0.0.1:9");
    let mut train = stage(&project, "train");
    train.envs([
        (
            "TRAINYARD_ELASTICSEARCH",
            &*format!("http://elastic:s3cr3t-pw@{}", server.address),
        ),
        ("TRAINYARD_ELASTICSEARCH_API_KEY", "s3cr3t-key"),
        ("TRAINYARD_LOG", "trace"),
    ]);
    let said = Said::of(&mut train, 0);
    assert_eq!(counts_of(&server, ["runs"]), [1]);
    for text in [&said.stderr, &said.stdout] {
        assert!(!text.contains("s3cr3t"), "{text}");
    }
    let mut help = project.stage("train", &["--help"]);
    help.env("TRAINYARD_ELASTICSEARCH", "http://elastic:s3cr3t-pw@host");
    assert!(!Said::of(&mut help, 0).stdout.contains("s3cr3t"));
}
