//! Steps of a connection, as lines of the log.

use std::collections::BTreeMap;

use trainyard_core::digest::Sha256Digest;
use trainyard_oci::Progress;

/// Turns steps into log lines, a large upload into one each quarter.
#[derive(Default)]
pub(crate) struct Shown {
    quarters: BTreeMap<Sha256Digest, u64>,
}

impl Shown {
    pub(crate) fn show(&mut self, step: Progress) {
        match step {
            Progress::Present { digest, size } => {
                tracing::info!("{}  {size} bytes, there already", digest.short());
            }
            Progress::Mounted { digest, size, from } => {
                tracing::info!("{}  {size} bytes, taken from `{from}`", digest.short());
            }
            Progress::Uploading { digest, sent, size } => {
                let quarter = 4 * sent / size.max(1);
                let before = self.quarters.insert(digest.clone(), quarter);
                if before.is_some_and(|before| before != quarter) && quarter < 4 && size > 64 << 20
                {
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
