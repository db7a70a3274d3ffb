//! A load: so many clients that send the same request over and over, and what came of each.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::task::JoinSet;

use super::client::Client;

/// What is sent, by how many, and for how long.
#[derive(Debug, Clone)]
pub struct Load {
    /// Where to.
    pub address: SocketAddr,
    /// Head and body.
    pub request: Arc<[u8]>,
    /// Clients, each with a connection of its own and one request at a time.
    pub n_clients: usize,
    /// Before anything is counted.
    pub warm_up: Duration,
    /// What is counted.
    pub duration: Duration,
    /// Requests a second of all clients together; without it each client sends as soon as it is answered.
    pub rate: Option<f64>,
}

/// What came of a load.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// From the first request that counts to the end.
    pub seconds: f64,
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer, by reason.
    pub lost: BTreeMap<String, u64>,
    /// How many answers took so many microseconds, by status.
    pub latency_us: BTreeMap<u16, BTreeMap<u32, u64>>,
}

impl Load {
    /// Runs it on this thread.
    pub async fn run(&self) -> Report {
        let begins = Instant::now() + self.warm_up;
        let ends = begins + self.duration;
        let mut clients = JoinSet::new();
        for idx in 0..self.n_clients {
            clients.spawn(self.clone().client(idx, begins, ends));
        }
        let mut report = Report::default();
        while let Some(counted) = clients.join_next().await {
            report.add(counted.expect("a client does not panic"));
        }
        report.seconds = begins.elapsed().as_secs_f64();
        report
    }

    async fn client(self, idx: usize, begins: Instant, ends: Instant) -> Counted {
        let mut client = Client::new(self.address);
        let mut counted = Counted::default();
        let interval = self
            .rate
            .map(|rate| Duration::from_secs_f64(self.n_clients as f64 / rate));
        // Clients with a rate start one after the other.
        let mut next = Instant::now()
            + interval
                .unwrap_or_default()
                .mul_f64(idx as f64 / self.n_clients as f64);
        loop {
            if let Some(interval) = interval {
                tokio::time::sleep_until(next.into()).await;
                // One that was held up does not make up for it by a burst.
                next = (next + interval).max(Instant::now());
            }
            let started = Instant::now();
            if started >= ends {
                return counted;
            }
            let outcome = client.ask(&self.request).await;
            let took = started.elapsed();
            if started < begins {
                continue;
            }
            match outcome {
                Ok(answer) => {
                    let us = u32::try_from(took.as_micros()).unwrap_or(u32::MAX);
                    counted
                        .latency_us
                        .entry(answer.status)
                        .or_default()
                        .push(us);
                }
                Err(lost) => {
                    *counted.lost.entry(lost.to_string()).or_default() += 1;
                    // A server that takes no connection is not asked again at once.
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
    }
}

/// What one client has counted.
#[derive(Debug, Default)]
struct Counted {
    latency_us: BTreeMap<u16, Vec<u32>>,
    lost: BTreeMap<String, u64>,
}

impl Report {
    fn add(&mut self, Counted { latency_us, lost }: Counted) {
        for (reason, n) in lost {
            *self.lost.entry(reason).or_default() += n;
        }
        for (status, took) in latency_us {
            *self.statuses.entry(status).or_default() += took.len() as u64;
            let counts = self.latency_us.entry(status).or_default();
            for us in took {
                *counts.entry(us).or_default() += 1;
            }
        }
    }

    /// Requests, with an answer or without.
    pub fn n_requests(&self) -> u64 {
        self.statuses.values().sum::<u64>() + self.lost.values().sum::<u64>()
    }

    /// The latency in milliseconds below or at which a share `q` of the answers with this status lies; `None` without any.
    pub fn quantile_ms(&self, status: u16, q: f64) -> Option<f64> {
        let counts = self.latency_us.get(&status)?;
        let n = counts.values().sum::<u64>();
        let wanted = (q * n as f64).ceil().max(1.0) as u64;
        let mut n_below = 0;
        let found = counts.iter().find(|(_, count)| {
            n_below += **count;
            n_below >= wanted
        });
        found.map(|(us, _)| f64::from(*us) / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_counts() {
        let mut report = Report::default();
        let latency_us = BTreeMap::from([(200, vec![4000, 1000, 2000, 3000]), (503, vec![9])]);
        let lost = BTreeMap::from([("silent".to_owned(), 2)]);
        report.add(Counted { latency_us, lost });
        for (q, expected) in [(0.0, 1.0), (0.5, 2.0), (0.51, 3.0), (1.0, 4.0)] {
            assert_eq!(report.quantile_ms(200, q), Some(expected), "{q}");
        }
        assert_eq!(report.quantile_ms(404, 0.5), None);
        assert_eq!(report.n_requests(), 7);
    }
}
