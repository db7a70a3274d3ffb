//! Requests that are almost right, many at a time: none is answered by 5xx, and nothing panics.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::bounds::{Bound, Figure};
use super::mutation::Mutator;
use super::process::{Server, Setup};

/// Connections at a time.
const N_AT_A_TIME: usize = 64;

/// Whoever has no answer by then has sent half a request, and says that nothing more comes.
const ANSWERED_WITHIN: Duration = Duration::from_millis(300);

/// Then the server ends the connection.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// Options under which so many half requests do not make the server busy, which is a 503 of its own.
pub const OPTIONS: [&str; 8] = [
    "--max-request-mib",
    "4096",
    "--queue-timeout",
    "60",
    "--head-timeout",
    "5",
    "--body-idle-timeout",
    "5",
];

/// What came of all requests.
#[derive(Debug, Default)]
struct Counted {
    /// By status.
    statuses: BTreeMap<u16, u64>,
    /// Ended without an answer: not HTTP, or half a request.
    n_unanswered: u64,
    /// Neither answered nor ended.
    n_stuck: u64,
    /// The first request that was answered by 5xx.
    culprit: Option<Vec<u8>>,
}

/// Sends every valid request as it is, and then `n_requests` that are changed.
pub fn run(
    setup: &Setup,
    name: &str,
    row_shape: &[usize],
    n_requests: usize,
    seed: u64,
) -> io::Result<Vec<Figure>> {
    let mut server = Server::start(setup)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut mutator = Mutator::new(seed, name, row_shape);
    let valid = mutator.valid();
    let n_valid = valid.len();
    let as_they_are = runtime.block_on(send_all(server.address, valid.into_iter()));
    let mutated = (0..n_requests).map(|_| mutator.next_request());
    let changed = runtime.block_on(send_all(server.address, mutated));
    let is_running = server.is_running()?;
    let log = server.log()?;
    let n_panics = log.matches("panicked at").count();
    let of = |range: std::ops::Range<u16>| {
        changed.statuses.range(range).map(|(_, n)| *n).sum::<u64>() as f64
    };
    let n_valid_answered = as_they_are.statuses.get(&200).copied().unwrap_or(0);
    let name = |figure: &str| format!("{n_requests} mutated requests, seed {seed}: {figure}");
    let mut figures = vec![
        Figure::new(
            name("valid ones answered by 200"),
            n_valid_answered as f64,
            "",
            Bound::AtLeast(n_valid as f64),
        ),
        Figure::new(name("answered by 2xx"), of(200..300), "", Bound::None),
        Figure::new(
            name("answered by 4xx"),
            of(400..500),
            "",
            Bound::AtLeast(n_requests as f64 / 4.0),
        ),
        Figure::new(
            name("answered by 5xx"),
            of(500..600),
            "",
            Bound::AtMost(0.0),
        ),
        Figure::new(
            name("ended without an answer"),
            changed.n_unanswered as f64,
            "",
            Bound::None,
        ),
        Figure::new(
            name("neither answered nor ended"),
            changed.n_stuck as f64,
            "",
            Bound::AtMost(0.0),
        ),
        Figure::new(name("panics"), n_panics as f64, "", Bound::AtMost(0.0)),
        Figure::new(
            name("the server runs"),
            f64::from(u8::from(is_running)),
            "",
            Bound::AtLeast(1.0),
        ),
    ];
    if let Some(culprit) = changed.culprit {
        let shown: String = String::from_utf8_lossy(&culprit)
            .escape_debug()
            .take(600)
            .collect();
        figures.push(Figure::new(
            name(&format!("the first of 5xx: {shown}")),
            1.0,
            "",
            Bound::None,
        ));
    }
    Ok(figures)
}

async fn send_all(address: SocketAddr, requests: impl Iterator<Item = Vec<u8>>) -> Counted {
    let mut counted = Counted::default();
    let mut sending = JoinSet::new();
    for request in requests {
        if sending.len() >= N_AT_A_TIME
            && let Some(sent) = sending.join_next().await
        {
            counted.add(sent.expect("a client does not panic"));
        }
        sending.spawn(send(address, request));
    }
    while let Some(sent) = sending.join_next().await {
        counted.add(sent.expect("a client does not panic"));
    }
    counted
}

impl Counted {
    fn add(&mut self, (request, outcome): (Vec<u8>, Outcome)) {
        match outcome {
            Outcome::Answered(status) => {
                *self.statuses.entry(status).or_default() += 1;
                if status >= 500 {
                    self.culprit.get_or_insert(request);
                }
            }
            Outcome::Unanswered => self.n_unanswered += 1,
            Outcome::Stuck => self.n_stuck += 1,
        }
    }
}

enum Outcome {
    Answered(u16),
    Unanswered,
    Stuck,
}

async fn send(address: SocketAddr, request: Vec<u8>) -> (Vec<u8>, Outcome) {
    let exchanged = tokio::time::timeout(ENDED_WITHIN, exchange(address, &request)).await;
    let outcome = match exchanged {
        Err(_) => Outcome::Stuck,
        Ok(received) => status(&received).map_or(Outcome::Unanswered, Outcome::Answered),
    };
    (request, outcome)
}

/// All that comes back until the connection ends, by whichever side.
async fn exchange(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut received = Vec::new();
    let Ok(mut stream) = TcpStream::connect(address).await else {
        return received;
    };
    // A server that refuses it may end the connection before it has all.
    let _ = stream.write_all(request).await;
    let first = tokio::time::timeout(ANSWERED_WITHIN, stream.read_buf(&mut received)).await;
    if first.is_err() {
        let _ = stream.shutdown().await;
    }
    let _ = stream.read_to_end(&mut received).await;
    received
}

/// The status of the answer. Behind "100 Continue" comes another one.
fn status(received: &[u8]) -> Option<u16> {
    let text = String::from_utf8_lossy(received);
    let text = text
        .strip_prefix("HTTP/1.1 100 Continue\r\n\r\n")
        .unwrap_or(&text);
    let rest = text
        .strip_prefix("HTTP/1.1 ")
        .or(text.strip_prefix("HTTP/1.0 "))?;
    rest.get(..3)?.parse().ok()
}
