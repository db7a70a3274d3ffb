//! Steps of a connection, as lines of the log.

use std::collections::BTreeMap;

use trainyard_core::digest::Sha256Digest;
use trainyard_oci::Progress;

/// Turns steps into log lines, a large upload into one each quarter.
#[derive(Default)]
pub(crate) struct Shown {
    quarters: BTreeMap<Sha256Digest, u64>,
}

/// Uploads of fewer bytes are over before a user wonders.
const LARGE_BYTES: u64 = 64 << 20;

impl Shown {
    /// The quarter of a large upload that was reached since the last step.
    fn new_quarter(&mut self, digest: &Sha256Digest, sent: u64, size: u64) -> Option<u64> {
        let quarter = u64::try_from(4 * u128::from(sent) / u128::from(size.max(1))).ok()?;
        let before = self.quarters.insert(digest.clone(), quarter);
        let is_new = before.is_some_and(|before| before != quarter);
        (is_new && quarter < 4 && size > LARGE_BYTES).then_some(quarter)
    }

    pub(crate) fn show(&mut self, step: Progress) {
        match step {
            Progress::Present { digest, size } => {
                tracing::info!("{}  {size} bytes, there already", digest.short());
            }
            Progress::Mounted { digest, size, from } => {
                tracing::info!("{}  {size} bytes, taken from `{from}`", digest.short());
            }
            Progress::Uploading { digest, sent, size } => {
                if let Some(quarter) = self.new_quarter(&digest, sent, size) {
                    tracing::info!("{}  {} % of {size} bytes", digest.short(), 25 * quarter);
                }
            }
            Progress::Uploaded { digest, size } => {
                tracing::info!("{}  {size} bytes, sent", digest.short());
            }
            Progress::Attached { manifest, subject } => {
                tracing::info!("{}  attached to {}", manifest.short(), subject.short());
            }
            Progress::Tagged(image) => tracing::info!("tagged `{image}`"),
            Progress::Unchanged(image) => tracing::info!("`{image}` is this image already"),
            Progress::Left { image, names } => {
                tracing::info!("`{image}` is left: it names {names}");
            }
            Progress::Quirk(text) => tracing::warn!("{text}"),
            Progress::Retrying {
                during,
                n_attempts,
                wait,
                reason,
            } => tracing::warn!(
                "{during} failed ({reason}); attempt {} follows in {:.1} s",
                n_attempts + 1,
                wait.as_secs_f64()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_upload_is_a_line_each_quarter_and_two_do_not_mix() {
        let mut shown = Shown::default();
        let (one, other) = (Sha256Digest::of(b"1"), Sha256Digest::of(b"2"));
        let size = 100 << 20;
        let mut quarters = (Vec::new(), Vec::new());
        for percent in 0..=100 {
            let sent = size / 100 * percent;
            quarters.0.extend(shown.new_quarter(&one, sent, size));
            quarters
                .1
                .extend(shown.new_quarter(&other, sent, LARGE_BYTES));
        }
        assert_eq!(quarters, (vec![1, 2, 3], Vec::new()));
        // An upload that is gone on with begins where it broke off.
        let resumed = Sha256Digest::of(b"3");
        assert_eq!(shown.new_quarter(&resumed, size / 2, size), None);
        assert_eq!(shown.new_quarter(&resumed, size / 4 * 3, size), Some(3));
        // A size that no upload has, and one of nothing.
        assert_eq!(shown.new_quarter(&resumed, u64::MAX, u64::MAX), None);
        assert_eq!(shown.new_quarter(&resumed, 0, 0), None);
    }
}
