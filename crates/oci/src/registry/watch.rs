//! An upload takes any time, so it is watched for silence alone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use trainyard_net::{Failure, Trouble};

use super::answer::Attempt;

/// Ends `work` where nothing has moved for `limit`. `moved` holds when something did.
pub(super) async fn watched<T>(
    work: impl Future<Output = Attempt<T>>,
    moved: Arc<Mutex<tokio::time::Instant>>,
    limit: Option<Duration>,
) -> Attempt<T> {
    let Some(limit) = limit else {
        return work.await;
    };
    let silence = async {
        loop {
            let last = *moved.lock().unwrap_or_else(PoisonError::into_inner);
            if last.elapsed() >= limit {
                return;
            }
            tokio::time::sleep_until(last + limit).await;
        }
    };
    tokio::select! {
        done = work => done,
        () = silence => {
            let text = format!("nothing has moved for {} s", limit.as_secs());
            Err(Trouble::transient(Failure::Transient(text).into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_ends_an_upload_and_slowness_does_not() {
        let limit = Some(Duration::from_mins(1));
        let moved = Arc::new(Mutex::new(tokio::time::Instant::now()));
        let slow = {
            let moved = moved.clone();
            async move {
                for _ in 0..100 {
                    tokio::time::sleep(Duration::from_secs(50)).await;
                    *moved.lock().unwrap() = tokio::time::Instant::now();
                }
                Ok(1)
            }
        };
        assert!(watched(slow, moved.clone(), limit).await.is_ok());
        let dead = std::future::pending::<Attempt<()>>();
        let error = watched(dead, moved, limit).await.unwrap_err();
        assert!(matches!(error, Trouble::Transient { .. }));
    }
}
