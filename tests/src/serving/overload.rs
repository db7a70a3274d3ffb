//! More than the server can do: what it answers then, how much memory it takes, and whether its health is answered beside it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::bounds::{Bound, Figure};
use super::client::request;
use super::load::{Load, Report};
use super::process::{Server, Setup};

/// Of the server beside its model.
const MAX_MEMORY_MB: f64 = 128.0;

/// Of a health check.
const MAX_PROBE_MS: f64 = 50.0;

/// Seconds that a request waits for its share of the memory by default, and as many to read, compute and answer it.
const MAX_SERVED_MS: f64 = 10_000.0;

/// Between two health checks.
const PROBE_INTERVAL: Duration = Duration::from_millis(10);

/// A traffic that is too much.
#[derive(Debug, Clone)]
pub struct Traffic {
    /// In words.
    pub name: String,
    /// What each client sends.
    pub request: Vec<u8>,
    /// Clients at a time.
    pub n_clients: usize,
    /// How many times the requests that are answered without overload; `None` for as many as the clients send.
    pub times_capacity: Option<f64>,
}

/// A `predict` of `n_rows` images of 28 × 28 in JSON.
pub fn json_images(path: &str, n_rows: usize) -> Vec<u8> {
    // Numbers of one, two and three digits, like those of images; most pixels are 0.
    let row: Vec<String> = (0..784)
        .map(|at| ((at % 4 / 3) * (at % 256)).to_string())
        .collect();
    let lines: Vec<String> = row
        .chunks(28)
        .map(|line| format!("[[{}]]", line.join("],[")))
        .collect();
    let image = format!("[{}]", lines.join(","));
    let body = format!(
        "{{\"instances\":[{}]}}",
        vec![image.as_str(); n_rows].join(",")
    );
    request(
        "POST",
        path,
        &[("Content-Type", "application/json")],
        body.as_bytes(),
    )
}

/// An `infer` of `n_rows` images of 28 × 28 as binary data, a byte each pixel.
pub fn binary_images(path: &str, n_rows: usize) -> Vec<u8> {
    let n_bytes = n_rows * 784;
    let json = format!(
        "{{\"inputs\":[{{\"name\":\"input\",\"shape\":[{n_rows},28,28,1],\"datatype\":\"UINT8\",\
         \"parameters\":{{\"binary_data_size\":{n_bytes}}}}}]}}"
    );
    let length = json.len().to_string();
    let pixels = (0..n_bytes).map(|at| (at % 251) as u8);
    let body: Vec<u8> = json.bytes().chain(pixels).collect();
    let headers = [("Inference-Header-Content-Length", length.as_str())];
    request("POST", path, &headers, &body)
}

/// Loads a server of its own for `duration`.
pub fn run(setup: &Setup, traffic: &Traffic, duration: Duration) -> io::Result<Vec<Figure>> {
    let mut server = Server::start(setup)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut load = Load {
        address: server.address,
        request: traffic.request.as_slice().into(),
        n_clients: 4,
        warm_up: Duration::from_millis(200),
        duration: Duration::from_secs(2),
        rate: None,
    };
    let capacity = match traffic.times_capacity {
        None => None,
        Some(times) => {
            let report = runtime.block_on(load.run());
            let answered = report.statuses.get(&200).copied().unwrap_or(0);
            Some((answered as f64 / report.seconds, times))
        }
    };
    load.n_clients = traffic.n_clients;
    load.warm_up = Duration::ZERO;
    load.duration = duration;
    load.rate = capacity.map(|(rate, times)| rate * times);
    let probes = Probes::start(server.address);
    let report = runtime.block_on(load.run());
    let probes = probes.stop();
    let model_mb = folder_mb(&setup.model)?;
    let (memory_mb, ended) = if server.is_running()? {
        (server.peak_memory_mb()? - model_mb, None)
    } else {
        let log = server.log()?;
        (
            f64::NAN,
            Some(log.lines().last().unwrap_or_default().to_owned()),
        )
    };
    let mut found = figures(traffic, capacity, duration, &report, &probes, memory_mb);
    if let Some(last) = ended {
        let name = format!("{}: the server has ended: {last}", traffic.name);
        found.push(Figure::new(name, 1.0, "", Bound::AtMost(0.0)));
    }
    Ok(found)
}

fn figures(
    traffic: &Traffic,
    capacity: Option<(f64, f64)>,
    duration: Duration,
    report: &Report,
    probes: &Probed,
    memory_mb: f64,
) -> Vec<Figure> {
    let name = |figure: &str| format!("{}: {figure}", traffic.name);
    let count = |status: u16| report.statuses.get(&status).copied().unwrap_or(0) as f64;
    let n_refused = count(429) + count(503);
    let n_answered: u64 = report.statuses.values().sum();
    let n_lost: u64 = report.lost.values().sum();
    let mut figures = vec![
        Figure::new(name("served"), count(200), "", Bound::AtLeast(1.0)),
        Figure::new(name("refused by 429"), count(429), "", Bound::None),
        Figure::new(name("refused by 503"), count(503), "", Bound::None),
        Figure::new(
            name("answered by another status"),
            n_answered as f64 - count(200) - n_refused,
            "",
            Bound::AtMost(0.0),
        ),
        Figure::new(
            name(&format!("without an answer {:?}", report.lost)),
            n_lost as f64,
            "",
            Bound::AtMost(0.0),
        ),
        Figure::new(
            name("longest time of a served request"),
            report.quantile_ms(200, 1.0).unwrap_or(f64::NAN),
            "ms",
            Bound::AtMost(MAX_SERVED_MS),
        ),
        Figure::new(
            name("peak memory beside the model"),
            memory_mb,
            "MB",
            Bound::AtMost(MAX_MEMORY_MB),
        ),
        Figure::new(
            name("health checks"),
            probes.took_ms.len() as f64,
            "",
            Bound::AtLeast(duration.as_secs_f64()),
        ),
        Figure::new(
            name("health checks that failed"),
            probes.n_failed as f64,
            "",
            Bound::AtMost(0.0),
        ),
        Figure::new(
            name("99th percentile of a health check"),
            probes.quantile_ms(0.99),
            "ms",
            Bound::AtMost(MAX_PROBE_MS),
        ),
    ];
    if let Some((rate, times)) = capacity {
        let offered = report.n_requests() as f64 / duration.as_secs_f64() / rate;
        figures.push(Figure::new(name("capacity"), rate, "/s", Bound::None));
        // The clients pace themselves, so that a little is lost to their own time.
        figures.push(Figure::new(
            name("offered, in capacities"),
            offered,
            "",
            Bound::AtLeast(0.9 * times),
        ));
    }
    figures
}

/// Health checks from a thread of their own, each over a new connection as Kubernetes makes them.
struct Probes {
    stop: std::sync::Arc<AtomicBool>,
    thread: thread::JoinHandle<Probed>,
}

/// How they went.
struct Probed {
    /// Sorted.
    took_ms: Vec<f64>,
    n_failed: u64,
}

impl Probes {
    fn start(address: SocketAddr) -> Self {
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let stopped = std::sync::Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let (mut took_ms, mut n_failed) = (Vec::new(), 0);
            while !stopped.load(Ordering::Relaxed) {
                let started = Instant::now();
                match probe(address) {
                    Ok(()) => took_ms.push(started.elapsed().as_secs_f64() * 1e3),
                    Err(_) => n_failed += 1,
                }
                thread::sleep(PROBE_INTERVAL);
            }
            took_ms.sort_by(f64::total_cmp);
            Probed { took_ms, n_failed }
        });
        Self { stop, thread }
    }

    fn stop(self) -> Probed {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("a probe does not panic")
    }
}

impl Probed {
    fn quantile_ms(&self, q: f64) -> f64 {
        let last = self.took_ms.len().saturating_sub(1);
        let idx = (q * last as f64).ceil() as usize;
        self.took_ms.get(idx).copied().unwrap_or(f64::NAN)
    }
}

fn probe(address: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200 ") {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}

fn folder_mb(folder: &std::path::Path) -> io::Result<f64> {
    let mut n_bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        n_bytes += entry?.metadata()?.len();
    }
    Ok(n_bytes as f64 / 1e6)
}
