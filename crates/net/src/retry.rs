//! When a request is made again.
//!
//! Waits grow exponentially with jitter, so that the legs of a matrix that failed together do not come back together. A
//! server that names a time is obeyed as long as that fits the deadline. Attempts are bounded in number and in time.
//! Whether a request may be repeated at all is decided by the caller.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use http::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;

/// How often, and after which time, a request is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts in all, at least one.
    pub n_attempts: u32,
    /// Before the second attempt; doubles before each further one, half of it drawn.
    pub first_delay: Duration,
    /// The longest wait of our own choice.
    pub max_delay: Duration,
    /// No attempt begins later than this after the first one has failed; so also the longest wait that a server may ask for.
    pub deadline: Duration,
}

impl Default for RetryPolicy {
    /// Six attempts over at least a quarter of a minute, about as long as a rate limit or a restart takes.
    fn default() -> Self {
        Self {
            n_attempts: 6,
            first_delay: Duration::from_secs(1),
            max_delay: Duration::from_mins(1),
            deadline: Duration::from_mins(10),
        }
    }
}

/// How one attempt went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble<E> {
    /// The same request may succeed, after this time if the server named one.
    Transient {
        /// What happened.
        error: E,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// It will fail again, or must not be repeated.
    Permanent(E),
}

/// A wait before another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retrying<'a, E> {
    /// Attempts made.
    pub n_attempts: u32,
    /// Time until the next one.
    pub wait: Duration,
    /// What happened.
    pub error: &'a E,
}

/// What happened last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenUp<E> {
    /// The error of the last attempt.
    pub error: E,
    /// Attempts made.
    pub n_attempts: u32,
    /// Whether another attempt might have succeeded.
    pub is_transient: bool,
}

impl<E> Trouble<E> {
    /// Transient, and the server named no time.
    pub const fn transient(error: E) -> Self {
        Self::Transient {
            error,
            retry_after: None,
        }
    }
}

impl RetryPolicy {
    /// Makes the request until it succeeds, fails for good, or attempts or time are used up. `on_retry` is told of each
    /// wait. Needs a tokio runtime with time.
    pub async fn run<T, E>(
        self,
        jitter: Jitter,
        mut attempt: impl AsyncFnMut() -> Result<T, Trouble<E>>,
        mut on_retry: impl FnMut(Retrying<'_, E>),
    ) -> Result<T, GivenUp<E>> {
        let mut waits = self.waits(jitter);
        loop {
            let (error, retry_after) = match attempt().await {
                Ok(value) => return Ok(value),
                Err(Trouble::Permanent(error)) => {
                    return Err(GivenUp {
                        error,
                        n_attempts: waits.n_attempts,
                        is_transient: false,
                    });
                }
                Err(Trouble::Transient { error, retry_after }) => (error, retry_after),
            };
            let n_attempts = waits.n_attempts;
            let Some(wait) = waits.next(retry_after) else {
                return Err(GivenUp {
                    error,
                    n_attempts,
                    is_transient: true,
                });
            };
            on_retry(Retrying {
                n_attempts,
                wait,
                error: &error,
            });
            tokio::time::sleep(wait).await;
        }
    }

    const fn waits(self, jitter: Jitter) -> Waits {
        Waits {
            policy: self,
            jitter,
            n_attempts: 1,
            first_failure: None,
        }
    }
}

/// The waits of one request.
struct Waits {
    policy: RetryPolicy,
    jitter: Jitter,
    n_attempts: u32,
    first_failure: Option<Instant>,
}

impl Waits {
    /// How long to wait now that an attempt has failed; `None` where it was the last one.
    fn next(&mut self, retry_after: Option<Duration>) -> Option<Duration> {
        let Self {
            policy,
            jitter,
            n_attempts,
            first_failure,
        } = self;
        let now = Instant::now();
        let elapsed = now - *first_failure.get_or_insert(now);
        let backoff = || {
            let doubled = 2_u32.saturating_pow(n_attempts.saturating_sub(1));
            let longest = policy.first_delay.saturating_mul(doubled);
            jitter.shorten(longest.min(policy.max_delay))
        };
        let wait = retry_after.unwrap_or_else(backoff);
        let is_allowed = *n_attempts < policy.n_attempts
            && elapsed
                .checked_add(wait)
                .is_some_and(|at| at <= policy.deadline);
        *n_attempts += 1;
        is_allowed.then_some(wait)
    }
}

/// Draws by which waits differ: SplitMix64 (Steele, Lea, Flood 2014), which needs no more state than its seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(u64);

impl Default for Jitter {
    /// Another one for each request, from the system's random numbers.
    fn default() -> Self {
        Self(RandomState::new().hash_one(std::process::id()))
    }
}

impl Jitter {
    /// The same draws each time.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Between half of `longest` and all of it.
    pub fn shorten(&mut self, longest: Duration) -> Duration {
        // The upper 53 bits are a fraction below 1 that f64 holds exactly.
        let drawn = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        longest.mul_f64(0.5 + 0.5 * drawn)
    }
}

/// How often something was tried, in words.
pub fn attempts(n_attempts: u32) -> String {
    match n_attempts {
        1 => "1 attempt".to_owned(),
        n => format!("{n} attempts"),
    }
}

/// Whether a server that answers so may answer otherwise later.
pub fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

/// How long the server asks to wait, in seconds or until an HTTP date (RFC 9110 section 10.2.3). `now` is what the clock
/// shows; the server's own `Date` is preferred, since clocks differ.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text: &str| httpdate::parse_http_date(text).ok();
    let at = date(text)?;
    let now = headers
        .get(http::header::DATE)
        .and_then(|text| date(text.to_str().ok()?))
        .unwrap_or(now);
    // A time that has passed: at once.
    Some(at.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// What came out, the waits, and the time it took.
    async fn run(
        policy: RetryPolicy,
        answers: &[Trouble<u16>],
    ) -> (Result<u32, GivenUp<u16>>, Vec<Duration>, Duration) {
        let waits = RefCell::new(Vec::new());
        let started = Instant::now();
        let mut n_made = 0;
        let result = policy
            .run(
                Jitter::seeded(1),
                async || {
                    n_made += 1;
                    match answers.get(n_made as usize - 1) {
                        Some(trouble) => Err(trouble.clone()),
                        None => Ok(n_made),
                    }
                },
                |retrying| waits.borrow_mut().push(retrying.wait),
            )
            .await;
        (result, waits.into_inner(), started.elapsed())
    }

    fn asked(seconds: u64) -> Trouble<u16> {
        Trouble::Transient {
            error: 429,
            retry_after: Some(Duration::from_secs(seconds)),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_with_jitter_up_to_the_longest() {
        let policy = RetryPolicy {
            n_attempts: 9,
            max_delay: 10 * SECOND,
            ..RetryPolicy::default()
        };
        let (result, waits, _) = run(policy, &vec![Trouble::transient(503); 20]).await;
        let given_up = result.unwrap_err();
        assert_eq!((given_up.error, given_up.n_attempts), (503, 9));
        assert!(given_up.is_transient);
        for (wait, longest) in waits.iter().zip([1, 2, 4, 8, 10, 10, 10, 10]) {
            let longest = longest * SECOND;
            assert!(*wait >= longest / 2 && *wait <= longest, "{waits:?}");
        }
        assert_eq!(waits.len(), 8);
        assert!(
            waits.iter().all(|wait| wait.subsec_nanos() > 0),
            "{waits:?}"
        );
    }

    /// publishing.md row 8: `Retry-After: 7` is waited as told, to the millisecond that tokio's timer knows.
    #[tokio::test(start_paused = true)]
    async fn a_server_that_names_a_time_is_obeyed() {
        let (result, waits, took) = run(RetryPolicy::default(), &[asked(7), asked(0)]).await;
        assert_eq!(result, Ok(3));
        assert_eq!(waits, [7 * SECOND, Duration::ZERO]);
        assert!(took >= 7 * SECOND && took < 8 * SECOND, "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_attempt_begins_after_the_deadline() {
        let policy = RetryPolicy {
            deadline: 30 * SECOND,
            ..RetryPolicy::default()
        };
        let (result, waits, took) = run(policy, &[asked(20), asked(20)]).await;
        assert_eq!(result.unwrap_err().n_attempts, 2);
        assert_eq!(waits, [20 * SECOND]);
        assert!(took < 21 * SECOND, "{took:?}");
        // Longer than all there is: not waited for at all.
        let (result, waits, _) = run(policy, &[asked(u64::MAX)]).await;
        assert_eq!(result.unwrap_err().n_attempts, 1);
        assert_eq!(waits, []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_permanent_failure_is_final() {
        let answers = [Trouble::transient(503), Trouble::Permanent(403)];
        let (result, waits, _) = run(RetryPolicy::default(), &answers).await;
        let expected = GivenUp {
            error: 403,
            n_attempts: 2,
            is_transient: false,
        };
        assert_eq!(result, Err(expected));
        assert_eq!(waits.len(), 1);
    }

    #[test]
    fn the_draws_are_splitmix64s() {
        // Vigna's reference implementation from seed 1234567.
        let mut jitter = Jitter::seeded(1_234_567);
        let drawn = [0; 3].map(|_: u8| jitter.next());
        assert_eq!(
            drawn,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_time_is_named_in_seconds_or_by_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let of = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            retry_after(&headers, now)
        };
        let after = |value| of(&[("retry-after", value)]);
        assert_eq!(after("7"), Some(7 * SECOND));
        assert_eq!(after(" 0 "), Some(Duration::ZERO));
        // The examples of RFC 9110 section 5.6.7; `now` is 08:49:37.
        for date in [
            "Sun, 06 Nov 1994 08:49:47 GMT",
            "Sunday, 06-Nov-94 08:49:47 GMT",
            "Sun Nov  6 08:49:47 1994",
        ] {
            assert_eq!(after(date), Some(10 * SECOND), "{date}");
        }
        assert_eq!(after("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        let by_its_own_clock = [
            ("retry-after", "Sun, 06 Nov 1994 08:00:30 GMT"),
            ("date", "Sun, 06 Nov 1994 08:00:00 GMT"),
        ];
        assert_eq!(of(&by_its_own_clock), Some(30 * SECOND));
        for text in ["", "soon", "-1", "1.5", "99999999999999999999999"] {
            assert_eq!(after(text), None, "{text}");
        }
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn overload_is_transient_and_refusal_is_not() {
        for code in [408, 429, 500, 502, 503, 504] {
            assert!(is_transient(StatusCode::from_u16(code).unwrap()), "{code}");
        }
        for code in [200, 304, 400, 401, 403, 404, 413, 422, 501] {
            assert!(!is_transient(StatusCode::from_u16(code).unwrap()), "{code}");
        }
    }

    proptest! {
        #[test]
        fn a_wait_is_never_longer_than_it_may_be(
            seed in any::<u64>(),
            n_attempts in 1_u32..200,
            first_ms in 0_u64..100_000,
            max_ms in 0_u64..100_000,
        ) {
            let policy = RetryPolicy {
                n_attempts: u32::MAX,
                first_delay: Duration::from_millis(first_ms),
                max_delay: Duration::from_millis(max_ms),
                deadline: Duration::MAX,
            };
            let mut waits = policy.waits(Jitter::seeded(seed));
            waits.n_attempts = n_attempts;
            let wait = waits.next(None).unwrap();
            prop_assert!(wait <= policy.max_delay);
            prop_assert!(wait >= policy.first_delay.min(policy.max_delay) / 2);
        }
    }
}
