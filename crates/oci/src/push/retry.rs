//! Doing a request again after a transient failure, with growing waits.

use std::time::Duration;

use oci_distribution::errors::OciDistributionError;

use super::error::is_transient;

/// How often a request is made, and how long to wait between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least one.
    pub n_attempts: u32,
    /// Before the second attempt; doubles before each further one.
    pub first_wait: Duration,
}

impl Default for RetryPolicy {
    /// Six attempts over half a minute, about as long as a registry's rate limit or restart takes.
    fn default() -> Self {
        Self {
            n_attempts: 6,
            first_wait: Duration::from_secs(1),
        }
    }
}

impl RetryPolicy {
    /// Runs `request` until it succeeds, fails for good or the attempts are used up.
    ///
    /// The error comes with the number of attempts. `on_retry` is told of each wait.
    pub(super) async fn run<T>(
        self,
        mut request: impl AsyncFnMut() -> Result<T, OciDistributionError>,
        on_retry: impl Fn(u32, Duration, &OciDistributionError),
    ) -> Result<T, (OciDistributionError, u32)> {
        let mut wait = self.first_wait;
        let mut attempt = 1;
        loop {
            match request().await {
                Ok(value) => return Ok(value),
                Err(error) if attempt < self.n_attempts && is_transient(&error) => {
                    on_retry(attempt, wait, &error);
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                    attempt += 1;
                }
                Err(error) => return Err((error, attempt)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    fn answered(code: u16) -> OciDistributionError {
        OciDistributionError::ServerError {
            code,
            url: String::new(),
            message: String::new(),
        }
    }

    async fn run(codes: &[u16]) -> (Result<u32, (u16, u32)>, Vec<u128>) {
        let policy = RetryPolicy {
            n_attempts: 4,
            first_wait: Duration::from_millis(1),
        };
        let made = Cell::new(0);
        let waits = RefCell::new(Vec::new());
        let result = policy
            .run(
                async || {
                    made.set(made.get() + 1);
                    match codes.get(made.get() as usize - 1) {
                        Some(code) => Err(answered(*code)),
                        None => Ok(made.get()),
                    }
                },
                |_, wait, _| waits.borrow_mut().push(wait.as_millis()),
            )
            .await;
        let result = result.map_err(|(error, n_attempts)| {
            (super::super::error::status(&error).unwrap(), n_attempts)
        });
        (result, waits.into_inner())
    }

    #[tokio::test]
    async fn transient_failures_are_tried_again_with_growing_waits() {
        assert_eq!(run(&[503, 429]).await, (Ok(3), vec![1, 2]));
    }

    #[tokio::test]
    async fn attempts_are_limited_and_refusals_are_final() {
        assert_eq!(run(&[503; 9]).await, (Err((503, 4)), vec![1, 2, 4]));
        assert_eq!(run(&[503, 403]).await, (Err((403, 2)), vec![1]));
    }
}
