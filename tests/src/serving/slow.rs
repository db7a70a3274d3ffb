//! Clients that send half a request and stay: whether others are served beside them.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::bounds::{Bound, Figure};
use super::client::Client;
use super::process::{Server, Setup};

/// Of a request beside them.
const MAX_SERVED_MS: f64 = 1000.0;

/// `n_slow` clients that connect again as soon as they are cut, and beside them one after the other `request`, each over a new
/// connection.
pub fn run(
    setup: &Setup,
    n_slow: usize,
    request: &[u8],
    duration: Duration,
) -> io::Result<Vec<Figure>> {
    let mut server = Server::start(setup)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let address = server.address;
    let (n_served, n_others, longest_ms) = runtime.block_on(async {
        let mut slow = JoinSet::new();
        for idx in 0..n_slow {
            slow.spawn(half_sent(address, idx));
        }
        // Until all of them are there.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let ends = Instant::now() + duration;
        let (mut n_served, mut n_others, mut longest) = (0_u32, 0_u32, Duration::ZERO);
        while Instant::now() < ends {
            let started = Instant::now();
            match Client::new(address).ask(request).await {
                Ok(answer) if answer.status == 200 => {
                    n_served += 1;
                    longest = longest.max(started.elapsed());
                }
                _ => n_others += 1,
            }
        }
        (n_served, n_others, longest.as_secs_f64() * 1e3)
    });
    let name = |figure: &str| format!("{n_slow} slow clients, {} files: {figure}", setup.n_files);
    Ok(vec![
        Figure::new(
            name("others served"),
            n_served.into(),
            "",
            Bound::AtLeast(3.0),
        ),
        Figure::new(
            name("others not served"),
            n_others.into(),
            "",
            Bound::AtMost(0.0),
        ),
        Figure::new(
            name("longest time of another"),
            longest_ms,
            "ms",
            Bound::AtMost(MAX_SERVED_MS),
        ),
        Figure::new(
            name("the server runs"),
            f64::from(u8::from(server.is_running()?)),
            "",
            Bound::AtLeast(1.0),
        ),
    ])
}

/// Every second one sends half a head, the others half a body, a byte a second.
async fn half_sent(address: SocketAddr, idx: usize) {
    let start: &[u8] = if idx.is_multiple_of(2) {
        b"POST /v2/models/x/infer HTTP/1.1\r\nHost: x\r\nX-Slow: "
    } else {
        b"POST /v1/models/mnist:predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"
    };
    loop {
        let Ok(mut stream) = TcpStream::connect(address).await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        if stream.write_all(start).await.is_err() {
            continue;
        }
        loop {
            let mut byte = [0];
            let read = tokio::time::timeout(Duration::from_secs(1), stream.read(&mut byte)).await;
            // Nothing came within a second: one byte more. What came is the end, or an answer before it.
            if read.is_ok() || stream.write_all(b" ").await.is_err() {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
