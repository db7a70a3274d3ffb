//! Small requests that are computed together: the weights are then read once for all of their rows.
//!
//! No request waits for others to come. Those that have been parsed while all threads were busy are taken together by the first thread
//! that is free, so that the wait is bounded by the jobs that are before it in the queue anyway.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::answer::Refusal;

/// Takes the scores `[n_rows, n_outputs]` of a request's rows.
pub(crate) type Deliver = Box<dyn FnOnce(Result<&[f32], Refusal>) + Send>;

/// A request that has been parsed.
pub(crate) struct Waiting {
    pub(crate) values: Vec<f32>,
    pub(crate) n_rows: usize,
    pub(crate) deliver: Deliver,
}

/// The requests of one model that wait to be computed.
#[derive(Default)]
pub(crate) struct Batches {
    waiting: Mutex<VecDeque<Waiting>>,
    /// Whether a job that will take them is in the pool's queue.
    is_scheduled: AtomicBool,
}

impl std::fmt::Debug for Batches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batches")
            .field("n_waiting", &self.lock().len())
            .finish_non_exhaustive()
    }
}

impl Batches {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a request.
    pub(crate) fn push(&self, request: Waiting) {
        self.lock().push_back(request);
    }

    /// Whether the caller is to schedule a job that calls [`Self::compute`]: not where one is in the queue already.
    pub(crate) fn must_schedule(&self) -> bool {
        !self.is_scheduled.swap(true, Ordering::AcqRel)
    }

    /// The job that was scheduled has begun.
    pub(crate) fn begin_scheduled(&self) {
        self.is_scheduled.store(false, Ordering::Release);
    }

    /// Takes the requests that have waited for longest, of `max_rows` rows together, and computes all of them at once: by
    /// `score(values, n_rows)`, which returns `[n_rows, n_outputs]`. Whether others are left.
    pub(crate) fn compute(
        &self,
        max_rows: usize,
        score: impl FnOnce(&[f32], usize) -> Result<Vec<f32>, Refusal>,
    ) -> bool {
        let (mut batch, is_left) = self.take(max_rows);
        let n_rows: usize = batch.iter().map(|it| it.n_rows).sum();
        let Some(first) = batch.first_mut() else {
            return false;
        };
        let mut values = std::mem::take(&mut first.values);
        for other in &batch[1..] {
            values.extend_from_slice(&other.values);
        }
        match score(&values, n_rows) {
            Ok(scores) => {
                let n_outputs = scores.len() / n_rows;
                let mut rest = scores.as_slice();
                for request in batch {
                    let (own, others) = rest.split_at(request.n_rows * n_outputs);
                    rest = others;
                    (request.deliver)(Ok(own));
                }
            }
            Err(error) => {
                for request in batch {
                    (request.deliver)(Err(error.clone()));
                }
            }
        }
        is_left
    }

    fn take(&self, max_rows: usize) -> (Vec<Waiting>, bool) {
        let mut waiting = self.lock();
        let mut n_rows = 0;
        let n_taken = waiting
            .iter()
            .take_while(|it| {
                n_rows += it.n_rows;
                n_rows <= max_rows
            })
            .count();
        // One that is larger by itself goes alone.
        let n_taken = n_taken.max(1).min(waiting.len());
        let batch = waiting.drain(..n_taken).collect();
        (batch, !waiting.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn waiting(values: &[f32]) -> (Waiting, mpsc::Receiver<Result<Vec<f32>, Refusal>>) {
        let (answer, answers) = mpsc::channel();
        let request = Waiting {
            values: values.to_vec(),
            n_rows: values.len() / 2,
            deliver: Box::new(move |scores| answer.send(scores.map(<[f32]>::to_vec)).unwrap()),
        };
        (request, answers)
    }

    /// Two values a row; the one output is their sum.
    fn sums(values: &[f32], n_rows: usize) -> Vec<f32> {
        assert_eq!(values.len(), 2 * n_rows);
        values.chunks(2).map(|row| row[0] + row[1]).collect()
    }

    #[test]
    fn requests_are_computed_together_and_each_gets_its_own_rows() {
        let batches = Batches::default();
        let (first, first_scores) = waiting(&[1.0, 2.0]);
        let (second, second_scores) = waiting(&[3.0, 4.0, 5.0, 6.0]);
        let (third, third_scores) = waiting(&[7.0, 8.0]);
        for request in [first, second, third] {
            batches.push(request);
        }
        let is_left = batches.compute(3, |values, n_rows| {
            assert_eq!(n_rows, 3);
            Ok(sums(values, n_rows))
        });
        assert!(is_left);
        assert_eq!(first_scores.try_recv().unwrap().unwrap(), [3.0]);
        assert_eq!(second_scores.try_recv().unwrap().unwrap(), [7.0, 11.0]);
        assert!(third_scores.try_recv().is_err());
        assert!(!batches.compute(3, |_, _| Err(Refusal::bad_request("broken"))));
        assert_eq!(
            third_scores.try_recv().unwrap().unwrap_err(),
            Refusal::bad_request("broken")
        );
        assert!(!batches.compute(3, |values, n_rows| Ok(sums(values, n_rows))));
    }

    #[test]
    fn a_request_of_more_rows_than_a_batch_goes_alone() {
        let batches = Batches::default();
        let (large, scores) = waiting(&[1.0; 8]);
        batches.push(large);
        batches.push(waiting(&[1.0, 2.0]).0);
        assert!(batches.compute(3, |values, n_rows| Ok(sums(values, n_rows))));
        assert_eq!(scores.try_recv().unwrap().unwrap(), [2.0; 4]);
    }

    #[test]
    fn one_job_is_scheduled_at_a_time() {
        let batches = Batches::default();
        assert!(batches.must_schedule() && !batches.must_schedule());
        batches.begin_scheduled();
        assert!(batches.must_schedule());
    }
}
