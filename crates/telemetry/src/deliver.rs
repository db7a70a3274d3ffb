//! Documents kept, sent and removed, within a time; what goes wrong in sentences.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use trainyard_core::figure::count;
use trainyard_net::in_one_line;

use crate::bulk::{Entry, MAX_BODY_BYTES, Refusal, requests};
use crate::document::Document;
use crate::server::{Sent, Server, ServerError};
use crate::spool::{Batch, MAX_BYTES, Spool};
use crate::target::Target;

/// The longest that a stage waits for the server, whatever it does.
pub const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Reasons that are told of documents that were refused.
const MAX_REASONS: usize = 3;

/// The way of documents to a server.
pub(crate) struct Delivery<'a> {
    target: Target,
    ca: Option<&'a Path>,
    spool: Option<Spool>,
    time_limit: Duration,
}

/// How far it came.
#[derive(Default)]
struct Tally {
    n_created: usize,
    n_known: usize,
    n_refused: usize,
    reasons: Vec<Refusal>,
    /// Where those are that were refused.
    aside: Option<PathBuf>,
    /// What a person has to do about the server.
    to_do: Option<String>,
    /// What the disk said.
    disk: Option<std::io::Error>,
}

impl<'a> Delivery<'a> {
    pub(crate) const fn new(target: Target, ca: Option<&'a Path>, spool: Option<Spool>) -> Self {
        Self {
            target,
            ca,
            spool,
            time_limit: TIME_LIMIT,
        }
    }

    /// Sends the documents and those that are kept. Returns what went wrong.
    pub(crate) fn run(&self, documents: &[Document]) -> Vec<String> {
        let mut warnings = Vec::new();
        let batches = self.batches(documents, &mut warnings);
        if batches.is_empty() {
            return warnings;
        }
        let mut tally = Tally::default();
        let ended = self.send_in_time(batches, &mut tally);
        let (n_created, n_known) = (tally.n_created, tally.n_known);
        if n_created + n_known > 0 {
            tracing::info!(
                "indexed {} in Elasticsearch at {} ({n_known} there already)",
                count((n_created + n_known) as u64, "document"),
                self.target
            );
        }
        warnings.extend(tally.to_do.take());
        warnings.extend(self.of_refused(&tally));
        if let Err(problem) = ended {
            warnings.push(format!(
                "Elasticsearch at {} is missing documents{}: {problem}",
                self.target,
                self.what_is_kept()
            ));
        }
        if let Some(error) = tally.disk {
            warnings.push(format!(
                "the folder of documents that are not sent yet cannot be written: {error}"
            ));
        }
        warnings
    }

    /// What is to be sent: what is kept, after the documents were added to it. Those that cannot be kept are sent all the same.
    fn batches(&self, documents: &[Document], warnings: &mut Vec<String>) -> Vec<Batch> {
        let in_memory = || Batch {
            path: None,
            entries: documents.iter().map(Entry::of).collect(),
        };
        let Some(spool) = &self.spool else {
            return vec![in_memory()];
        };
        let kept = spool.keep(documents, SystemTime::now());
        let n_dropped = spool.trim();
        if n_dropped > 0 {
            warnings.push(format!(
                "{} dropped that Elasticsearch at {} never took: more than {} MiB were waiting in `{}`",
                count(n_dropped as u64, "document"),
                self.target,
                MAX_BYTES >> 20,
                spool.folder().display()
            ));
        }
        let (mut batches, damaged) = spool.batches();
        for path in damaged {
            warnings.push(format!(
                "`{}` was damaged, so its documents are lost",
                path.display()
            ));
        }
        if let Err(error) = kept {
            tracing::debug!("the documents are not kept: {error}");
            batches.push(in_memory());
        }
        batches
    }

    /// Sends within the time limit. The error says why not all was sent.
    fn send_in_time(&self, batches: Vec<Batch>, tally: &mut Tally) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let sending =
            async { tokio::time::timeout(self.time_limit, self.send(batches, tally)).await };
        let ended = runtime.block_on(sending);
        // A name that is still being looked up does not hold the stage up.
        runtime.shutdown_background();
        match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(in_one_line(&error)),
            Err(_) => Err(format!(
                "it did not take them within {} s",
                self.time_limit.as_secs()
            )),
        }
    }

    async fn send(&self, batches: Vec<Batch>, tally: &mut Tally) -> Result<(), ServerError> {
        let server = Server::open(&self.target, self.ca)?;
        tally.to_do = server.prepare().await?;
        for Batch { path, entries } in batches {
            let sent = send_batch(&server, entries).await;
            tally.n_created += sent.n_created;
            tally.n_known += sent.n_known;
            tally.n_refused += sent.refused.len();
            let (refused, reasons): (Vec<_>, Vec<_>) = sent.refused.into_iter().unzip();
            tally.reasons.extend(reasons);
            if let (Some(spool), Some(path)) = (&self.spool, &path) {
                match spool.settle(path, &sent.rest, &refused) {
                    Ok(aside) => tally.aside = aside.or(tally.aside.take()),
                    Err(error) => tally.disk = Some(error),
                }
            }
            if let Some(error) = sent.trouble {
                return Err(error);
            }
        }
        Ok(())
    }

    fn of_refused(&self, tally: &Tally) -> Option<String> {
        let Tally {
            n_refused,
            reasons,
            aside,
            ..
        } = tally;
        if *n_refused == 0 {
            return None;
        }
        let mut told: Vec<String> = Vec::new();
        for reason in reasons.iter().map(ToString::to_string) {
            if !told.contains(&reason) && told.len() < MAX_REASONS {
                told.push(reason);
            }
        }
        let aside = aside.as_ref().and_then(|path| path.parent());
        let aside = aside.map(|folder| format!("; they are kept in `{}`", folder.display()));
        Some(format!(
            "Elasticsearch at {} refused {}{}: {}\nhint: the fields' types in these indices are not those of the index templates, as the guide to Elasticsearch says",
            self.target,
            count(*n_refused as u64, "document"),
            aside.unwrap_or_default(),
            told.join("; ")
        ))
    }

    /// How many documents wait, and where.
    fn what_is_kept(&self) -> String {
        let Some(spool) = &self.spool else {
            return ", and nothing says where to keep them (`HOME` is not set)".to_owned();
        };
        let n_kept: usize = spool
            .batches()
            .0
            .iter()
            .map(|batch| batch.entries.len())
            .sum();
        match n_kept {
            0 => String::new(),
            n => format!(
                "; {} kept in `{}` for the next stage or run on this machine",
                match n {
                    1 => "1 is".to_owned(),
                    n => format!("{n} are"),
                },
                spool.folder().display()
            ),
        }
    }
}

/// Sends the entries in as many requests as it takes; where one is too large for what lies before the server, in smaller ones.
async fn send_batch(server: &Server<'_>, entries: Vec<Entry>) -> Sent {
    let mut queue = VecDeque::from(requests(entries, MAX_BODY_BYTES));
    let mut all = Sent::default();
    while let Some(request) = queue.pop_front() {
        let sent = server.send(request).await;
        all.n_created += sent.n_created;
        all.n_known += sent.n_known;
        all.refused.extend(sent.refused);
        match sent.trouble {
            None => {}
            Some(error) if error.is_too_large() && sent.rest.len() > 1 => {
                let mut first = sent.rest;
                let second = first.split_off(first.len() / 2);
                queue.push_front(second);
                queue.push_front(first);
            }
            Some(error) => {
                all.rest.extend(sent.rest);
                all.rest.extend(queue.into_iter().flatten());
                all.trouble = Some(error);
                return all;
            }
        }
    }
    all
}

#[cfg(test)]
mod tests;
