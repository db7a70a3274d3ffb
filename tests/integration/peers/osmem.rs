//! `osmem-server`, which answers as Elasticsearch does and keeps everything in memory.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::prometheus::{Killed, free_address};
use super::python_with;
use crate::http::{Answer, exchange};
use crate::support::run;

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

/// A server of this test alone, gone when it is dropped.
pub(crate) struct Osmem {
    pub(crate) address: String,
    _process: Killed,
}

impl Osmem {
    /// A server on a free port.
    pub(crate) fn start() -> Self {
        Self::start_at(&free_address())
    }

    /// A server at `address`, once it answers.
    pub(crate) fn start_at(address: &str) -> Self {
        let place = "import osmem_server, pathlib; print(pathlib.Path(osmem_server.__file__).parent / 'bin' / 'osmem-server')";
        let program = run(python_with("osmem_server", "osmem-server").args(["-c", place]));
        let process = Command::new(program.trim())
            .args(["-addr", address, "-no-stdin-watch"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            address: address.to_owned(),
            _process: Killed(process),
        };
        let deadline = Instant::now() + Duration::from_mins(1);
        while exchange(address, "GET", "/", &[], b"").is_err() {
            assert!(Instant::now() < deadline, "osmem-server does not answer");
            thread::sleep(Duration::from_millis(100));
        }
        server
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        exchange(&self.address, "PUT", path, &JSON, body.as_bytes()).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let answer = exchange(&self.address, "GET", path, &[], b"").unwrap();
        answer.json()
    }

    /// What `query` finds in `index`.
    pub(crate) fn search(&self, index: &str, query: &Value) -> Vec<Value> {
        let body = json!({ "query": query, "size": 10_000 }).to_string();
        let place = format!("/{index}/_search");
        let answer = exchange(&self.address, "POST", &place, &JSON, body.as_bytes()).unwrap();
        let found = answer.json()["hits"]["hits"].as_array().cloned();
        found.unwrap_or_default()
    }

    /// Everything in `index`, as a body of `_bulk` that writes it.
    pub(crate) fn dump(&self, index: &str) -> String {
        let lines = self.search(index, &json!({ "match_all": {} })).into_iter();
        let lines = lines.map(|hit| {
            let action = json!({ "create": { "_index": hit["_index"], "_id": hit["_id"] } });
            format!("{action}\n{}\n", hit["_source"])
        });
        lines.collect()
    }

    /// Writes such a body.
    pub(crate) fn load(&self, dump: &str) {
        let headers = [("Content-Type", "application/x-ndjson")];
        let answer = exchange(&self.address, "POST", "/_bulk", &headers, dump.as_bytes());
        assert_eq!(answer.unwrap().json()["errors"], false);
    }
}
