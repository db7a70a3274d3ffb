//! RFC 3339 in UTC with milliseconds, the one form that our logs need.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat, Utc};

/// `2026-11-24T09:30:00.123Z`. Fractions of a millisecond are dropped.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: i64) -> String {
        let span = Duration::from_millis(millis.unsigned_abs());
        rfc3339(if millis < 0 {
            SystemTime::UNIX_EPOCH - span
        } else {
            SystemTime::UNIX_EPOCH + span
        })
    }

    /// Expected values: GNU `date --utc --date=@SECONDS`.
    #[test]
    fn known_instants() {
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(at(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(at(1_795_512_600_123), "2026-11-24T09:30:00.123Z");
        assert_eq!(at(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(at(-1), "1969-12-31T23:59:59.999Z");
    }
}
