//! A node of a Kubernetes cluster, as far as tests need one: runs the pods' servers as processes and reports on them, as the kubelet does, and
//! sends requests to those that are ready, as clients behind a Service do.
//!
//! It must run in a network namespace in which every address of the pods is one of this machine, beside a `kubectl proxy`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};

/// Run pods and send them requests.
#[derive(Debug, Parser)]
struct Args {
    /// JSON: the model's folder of each image that can be pulled. Read again for each pod.
    images: PathBuf,
    /// `trainyard-serve`.
    server: PathBuf,
    /// JSON: for each app (the label `app.kubernetes.io/instance`) the model that is asked, a file with the request and how many a second.
    traffic: PathBuf,
}

/// A pod that was given an address.
struct Pod {
    address: String,
    server: Option<Child>,
    n_restarts: u32,
    start_again_at: Option<Instant>,
    is_ready: bool,
    /// What was reported last.
    reported: Value,
}

/// Addresses of ready pods, by app.
type Ready = Arc<Mutex<BTreeMap<String, Vec<SocketAddr>>>>;

fn main() {
    let args = Args::parse();
    let ready: Ready = Arc::default();
    let sender = (args.traffic.clone(), Arc::clone(&ready));
    thread::spawn(move || send(&sender.0, &sender.1));
    let mut pods: BTreeMap<String, Pod> = BTreeMap::new();
    let mut next_address = 10_u32;
    loop {
        // The API server may be away.
        if let Some(list) = ask("GET", "/api/v1/pods", None) {
            let mut addresses: BTreeMap<String, Vec<SocketAddr>> = BTreeMap::new();
            for object in list["items"].as_array().into_iter().flatten() {
                let uid = text(object, "/metadata/uid");
                if object.pointer("/metadata/deletionTimestamp").is_some() {
                    if let Some(mut pod) = pods.remove(&uid) {
                        pod.stop();
                    }
                    let path = path(object);
                    let now = json!({ "gracePeriodSeconds": 0 });
                    ask("DELETE", &path, Some(&now));
                    continue;
                }
                let pod = pods.entry(uid).or_insert_with(|| {
                    next_address += 1;
                    Pod {
                        address: format!(
                            "10.244.{}.{}",
                            next_address / 250,
                            next_address % 250 + 1
                        ),
                        server: None,
                        n_restarts: 0,
                        start_again_at: None,
                        is_ready: false,
                        reported: Value::Null,
                    }
                });
                let status = pod.run(object, &args);
                if status != pod.reported {
                    let path = path(object) + "/status";
                    if ask("PATCH", &path, Some(&json!({ "status": status }))).is_some() {
                        pod.reported = status;
                    }
                }
                if pod.is_ready {
                    let app = text(object, "/metadata/labels/app.kubernetes.io~1instance");
                    let namespace = text(object, "/metadata/namespace");
                    let address = format!("{}:8080", pod.address)
                        .parse()
                        .expect("it is an address");
                    addresses
                        .entry(format!("{namespace}/{app}"))
                        .or_default()
                        .push(address);
                }
            }
            *ready.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
        }
        thread::sleep(Duration::from_millis(150));
    }
}

impl Pod {
    /// Starts what is not running, and returns the status.
    fn run(&mut self, object: &Value, args: &Args) -> Value {
        let container = &object["spec"]["containers"][0];
        let image = text(container, "/image");
        let images = fs::read(&args.images).ok();
        let images: Option<Value> = images.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let model = images
            .as_ref()
            .and_then(|images| images.get(&image)?.as_str());
        if self.server.is_none() && self.start_again_at.is_none() {
            let Some(model) = model else {
                self.is_ready = false;
                let waiting =
                    json!({ "waiting": { "reason": "ErrImagePull", "message": "no such image" } });
                return self.status(container, &waiting, "Pending");
            };
            self.start(model, container, args);
        }
        if let Some(at) = self.start_again_at {
            if Instant::now() >= at
                && let Some(model) = model
            {
                self.n_restarts += 1;
                self.start_again_at = None;
                self.start(model, container, args);
            }
        } else if let Some(Ok(Some(ended))) = self.server.as_mut().map(Child::try_wait) {
            self.server = None;
            self.is_ready = false;
            self.start_again_at = Some(Instant::now() + Duration::from_secs(1));
            let code = ended.code().unwrap_or(137);
            let mut status = self.status(
                container,
                &json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 1s" } }),
                "Running",
            );
            status["containerStatuses"][0]["lastState"] =
                json!({ "terminated": { "exitCode": code } });
            return status;
        }
        if self.server.is_none() {
            return self.reported.clone();
        }
        let probe = text(container, "/readinessProbe/httpGet/path");
        self.is_ready = answers(&self.address, &probe);
        let running = json!({ "running": { "startedAt": "2026-01-01T00:00:00Z" } });
        self.status(container, &running, "Running")
    }

    fn start(&mut self, model: &str, container: &Value, args: &Args) {
        let arguments = container["args"].as_array().into_iter().flatten();
        let server = Command::new(&args.server)
            .args(["--model", model, "--host", &self.address])
            .args(arguments.filter_map(Value::as_str))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.server = Some(server.expect("the server can be started"));
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    fn status(&self, container: &Value, state: &Value, phase: &str) -> Value {
        let ready = if self.is_ready { "True" } else { "False" };
        json!({
            "phase": phase,
            "podIP": self.address,
            "podIPs": [{ "ip": self.address }],
            "conditions": [
                { "type": "PodScheduled", "status": "True" },
                { "type": "ContainersReady", "status": ready },
                { "type": "Ready", "status": ready },
            ],
            "containerStatuses": [{
                "name": container["name"],
                "image": container["image"],
                "imageID": container["image"],
                "ready": self.is_ready,
                "restartCount": self.n_restarts,
                "state": state,
            }],
        })
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.stop();
    }
}

fn text(object: &Value, pointer: &str) -> String {
    let value = object.pointer(pointer).and_then(Value::as_str);
    value.unwrap_or_default().to_owned()
}

fn path(pod: &Value) -> String {
    let (namespace, name) = (
        text(pod, "/metadata/namespace"),
        text(pod, "/metadata/name"),
    );
    format!("/api/v1/namespaces/{namespace}/pods/{name}")
}

/// Asks the API server through `kubectl proxy`. In HTTP/1.0, an answer ends with its connection.
fn ask(method: &str, path: &str, body: Option<&Value>) -> Option<Value> {
    let content_type = match method {
        "PATCH" => "application/strategic-merge-patch+json",
        _ => "application/json",
    };
    let body = body.map_or_else(String::new, Value::to_string);
    let mut stream = TcpStream::connect(("127.0.0.1", 8001)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let is_success = head.split(' ').nth(1)?.starts_with('2');
    serde_json::from_str(body).ok().filter(|_| is_success)
}

/// Whether a GET is answered with 200.
fn answers(address: &str, path: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect((address, 8080)) else {
        return false;
    };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
    let request = format!("GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n");
    let mut start = [0; 12];
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_exact(&mut start).is_ok()
        && start.ends_with(b"200")
}

/// Clients: each request goes to the next ready pod of its app.
fn send(traffic: &PathBuf, ready: &Ready) {
    let mut next: BTreeMap<String, usize> = BTreeMap::new();
    let mut connections: BTreeMap<SocketAddr, TcpStream> = BTreeMap::new();
    loop {
        let apps = fs::read(traffic).ok();
        let apps: Option<BTreeMap<String, Value>> =
            apps.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let began = Instant::now();
        for (app, wanted) in apps.into_iter().flatten() {
            let body = fs::read(wanted["request"].as_str().unwrap_or_default()).unwrap_or_default();
            let path = format!("/v2/models/{}/infer", text(&wanted, "/model"));
            let addresses = ready.lock().unwrap_or_else(PoisonError::into_inner);
            let addresses = addresses.get(&app).cloned().unwrap_or_default();
            // Of a tenth of a second.
            for _ in 0..wanted["per_second"].as_u64().unwrap_or(0) / 10 {
                let idx = next.entry(app.clone()).or_default();
                *idx += 1;
                let Some(address) = addresses.get(*idx % addresses.len().max(1)) else {
                    break;
                };
                let stream = connections
                    .remove(address)
                    .or_else(|| TcpStream::connect(address).ok());
                if let Some(stream) = stream.and_then(|stream| post(stream, &path, &body)) {
                    connections.insert(*address, stream);
                }
            }
        }
        thread::sleep(Duration::from_millis(100).saturating_sub(began.elapsed()));
    }
}

/// One request over a connection, which is returned where it goes on.
fn post(mut stream: TcpStream, path: &str, body: &[u8]) -> Option<TcpStream> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.set_nodelay(true).ok()?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: pod\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let n = stream.read(&mut chunk).ok().filter(|n| *n > 0)?;
        answer.extend_from_slice(&chunk[..n]);
        let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length:"));
        let length: usize = length?.trim().parse().ok()?;
        if answer.len() >= end + 4 + length {
            return (!head.contains("connection: close")).then_some(stream);
        }
    }
}
