//! SIGTERM under load: what was accepted is answered.

use std::io;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::bounds::{Bound, Figure};
use super::client::{Client, Lost};
use super::process::{Server, Setup};

/// How often, and under which load.
#[derive(Debug, Clone)]
pub struct Terminations {
    /// Servers that are started and ended.
    pub n_times: usize,
    /// Every second one keeps its connection, the others make a new one for each request.
    pub n_clients: usize,
    /// What they send.
    pub request: Vec<u8>,
    /// From SIGTERM to the end, the notice and the drain.
    pub deadline: Duration,
}

/// Starts a server, loads it, ends it, so many times.
pub fn run(setup: &Setup, terminations: &Terminations) -> io::Result<Vec<Figure>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut n_answered, mut n_lost, mut n_unclean) = (0, 0, 0_u32);
    let mut longest = Duration::ZERO;
    for _ in 0..terminations.n_times {
        let mut server = Server::start(setup)?;
        let (answered, lost, took) = runtime.block_on(async {
            let mut clients = JoinSet::new();
            for idx in 0..terminations.n_clients {
                let client = Client::new(server.address);
                clients.spawn(until_closed(
                    client,
                    terminations.request.clone(),
                    idx.is_multiple_of(2),
                ));
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
            server.terminate()?;
            let started = Instant::now();
            let (mut answered, mut lost) = (0, 0);
            while let Some(counted) = clients.join_next().await {
                let (n, n_lost) = counted.expect("a client does not panic");
                answered += n;
                lost += n_lost;
            }
            io::Result::Ok((answered, lost, started))
        })?;
        n_unclean += u32::from(!server.wait()?);
        longest = longest.max(took.elapsed());
        n_answered += answered;
        n_lost += lost;
    }
    let name = |figure: &str| {
        let Terminations {
            n_times, n_clients, ..
        } = terminations;
        format!("{n_times} times SIGTERM under {n_clients} clients: {figure}")
    };
    Ok(vec![
        Figure::new(
            name("answered"),
            n_answered as f64,
            "",
            Bound::AtLeast(terminations.n_clients as f64),
        ),
        Figure::new(
            name("accepted and not answered by 200"),
            n_lost as f64,
            "",
            Bound::AtMost(0.0),
        ),
        Figure::new(
            name("longest time to the end"),
            longest.as_secs_f64(),
            "s",
            Bound::AtMost(terminations.deadline.as_secs_f64()),
        ),
        Figure::new(
            name("ended without success"),
            n_unclean.into(),
            "",
            Bound::AtMost(0.0),
        ),
    ])
}

/// Requests until the port is closed: how many were answered by 200, and how many not though the connection was there.
async fn until_closed(mut client: Client, request: Vec<u8>, keeps: bool) -> (u64, u64) {
    let (mut n_answered, mut n_lost) = (0, 0);
    loop {
        match client.ask(&request).await {
            Ok(answer) if answer.status == 200 => n_answered += 1,
            Err(Lost::NotConnected(_)) => return (n_answered, n_lost),
            _ => n_lost += 1,
        }
        if !keeps {
            client.disconnect();
        }
    }
}
