//! Seconds since 1970 as the RFC 3339 text that OCI documents hold.

use chrono::{DateTime, SecondsFormat};

/// The last second of the year 9999: RFC 3339 writes years with four digits.
pub const MAX_SECONDS: u64 = 253_402_300_799;

/// `seconds` since 1970-01-01T00:00:00Z as `2026-03-04T05:06:07Z`; a later time than [`MAX_SECONDS`] as that one.
pub fn rfc3339(seconds: u64) -> String {
    let seconds = seconds.min(MAX_SECONDS) as i64;
    DateTime::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Independent source: `date --utc --date=@SECONDS +%FT%TZ` of the coreutils.
    #[test]
    fn matches_the_coreutils() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_234_567_890, "2009-02-13T23:31:30Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(seconds), text);
        }
    }
}
