//! Manifests that refer to another one by `subject`: signatures and other evidence (distribution specification, "Referrers").
//!
//! Where the registry keeps no list of them, it is an index under the tag `sha256-<hex>` of the subject, which the client that
//! attaches something has to write.

use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, LINK};
use trainyard_core::digest::Sha256Digest;
use trainyard_net::Jitter;

use super::answer::{Server, malformed};
use super::{Progress, Registry, RegistryError, unless_missing};
use crate::spec::{Descriptor, INDEX, Index};

/// How often the list under the fallback tag is written again, because another attachment replaced it.
const MAX_ROUNDS: u32 = 12;

/// The longest wait before the list is written once more; it doubles each time, and part of it is drawn, so that two
/// pushes that write at once do not go on doing so.
const FIRST_WAIT: Duration = Duration::from_millis(40);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// A list of more is not what evidence of an image looks like.
const MAX_LIST_BYTES: u64 = 4 << 20;

impl Registry {
    /// Writes `manifest`, whose `subject` is `subject`, and lists it among what refers to that.
    pub async fn attach(
        &self,
        subject: &Sha256Digest,
        manifest: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), RegistryError> {
        self.write_attachment(manifest, bytes).await?;
        self.list_attached(subject, &[manifest]).await
    }

    /// Writes a manifest that refers to another one. It is to be listed by [`Self::list_attached`] then.
    pub(crate) async fn write_attachment(
        &self,
        manifest: &Descriptor,
        bytes: &Bytes,
    ) -> Result<(), RegistryError> {
        let digest = manifest.digest.as_str();
        let written = self
            .write_manifest(digest, &manifest.media_type, bytes)
            .await?;
        if written.keeps_referrers {
            self.keeps_referrers.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Sees to it that these manifests stand in the list of what refers to `subject`, where the registry keeps none itself. The list is
    /// read and written as a whole, and another push that writes it at the same time may lose an entry: it is looked at again until all are there.
    pub(crate) async fn list_attached(
        &self,
        subject: &Sha256Digest,
        manifests: &[&Descriptor],
    ) -> Result<(), RegistryError> {
        if self.keeps_referrers.load(Ordering::Relaxed) {
            return Ok(());
        }
        let tag = fallback_tag(subject);
        // Entries of others that were seen and are gone were lost to the same race.
        let mut wanted: Vec<Descriptor> = manifests.iter().copied().cloned().collect();
        let mut jitter = Jitter::default();
        for round in 0..MAX_ROUNDS {
            // The first look follows the first writing at once.
            if let Some(n_lost) = round.checked_sub(2) {
                let longest = FIRST_WAIT.saturating_mul(1 << n_lost).min(LONGEST_WAIT);
                tokio::time::sleep(jitter.shorten(longest)).await;
            }
            let mut index = self.fallback_list(&tag).await?;
            let is_in = |list: &[Descriptor], entry: &Descriptor| {
                list.iter().any(|it| it.digest == entry.digest)
            };
            let missing: Vec<Descriptor> = (wanted.iter())
                .filter(|entry| !is_in(&index.manifests, entry))
                .cloned()
                .collect();
            if missing.is_empty() {
                return Ok(());
            }
            for entry in &index.manifests {
                if !is_in(&wanted, entry) {
                    wanted.push(entry.clone());
                }
            }
            index.manifests.extend(missing);
            let list = serde_json::to_vec(&index).map_err(|_| RegistryError::Fallback {
                image: self.repository.clone().into(),
                tag: tag.clone(),
            })?;
            self.write_manifest(&tag, INDEX, &list.into()).await?;
        }
        Err(RegistryError::Fallback {
            image: self.repository.clone().into(),
            tag,
        })
    }

    /// What refers to `subject`, of any type: lists that tools write name wrong types, so the manifests themselves say it.
    pub async fn referrers(
        &self,
        subject: &Sha256Digest,
    ) -> Result<Vec<Descriptor>, RegistryError> {
        let listed = self
            .request("listing what is attached to the image", async || {
                let mut found = Vec::new();
                let mut url = self.session.url(&format!("referrers/{subject}"))?;
                loop {
                    let asked = url.clone();
                    let answer = self
                        .session
                        .send(|client| client.get(asked).header(ACCEPT, INDEX))
                        .await;
                    let Some(answer) = unless_missing(answer)? else {
                        return Ok(None);
                    };
                    let next = answer
                        .headers()
                        .get(LINK)
                        .and_then(|link| link.to_str().ok());
                    let next = next.and_then(next_page).map(|next| url.join(&next));
                    let bytes = self.bounded(answer, MAX_LIST_BYTES).await?;
                    let page: Index = serde_json::from_slice(&bytes).map_err(|error| {
                        malformed(Server::Registry, &format!("a list of referrers ({error})"))
                    })?;
                    found.extend(page.manifests);
                    match next {
                        Some(Ok(next)) if next != url => url = next,
                        _ => return Ok(Some(found)),
                    }
                }
            })
            .await?;
        // A registry that keeps a list may have begun to after the fallback tag was written.
        let mut found = listed.unwrap_or_default();
        let fallback = self.fallback_list(&fallback_tag(subject)).await?;
        for descriptor in fallback.manifests {
            if !found
                .iter()
                .any(|it: &Descriptor| it.digest == descriptor.digest)
            {
                found.push(descriptor);
            }
        }
        Ok(found)
    }

    async fn fallback_list(&self, tag: &str) -> Result<Index, RegistryError> {
        let unreadable = || RegistryError::Fallback {
            image: self.repository.clone().into(),
            tag: tag.to_owned(),
        };
        match self.read_manifest(tag).await? {
            Some(found) => serde_json::from_slice(&found.bytes).map_err(|_| unreadable()),
            None => Ok(Index {
                schema_version: 2,
                media_type: INDEX.to_owned(),
                manifests: Vec::new(),
            }),
        }
    }

    /// Says that the registry does not do as the specification asks.
    pub(crate) fn quirk(&self, text: impl Into<String>) {
        self.report(Progress::Quirk(text.into()));
    }
}

/// The tag under which what refers to `subject` is listed where the registry does not keep a list.
pub(crate) fn fallback_tag(subject: &Sha256Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// The address in `<…>; rel="next"` (RFC 8288).
fn next_page(link: &str) -> Option<String> {
    let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_named_by_its_link() {
        let link = "</v2/a/referrers/sha256:1?last=2>; rel=\"next\"";
        let expected = Some("/v2/a/referrers/sha256:1?last=2".to_owned());
        assert_eq!(next_page(link), expected);
        assert_eq!(next_page("<x>; rel=\"prev\""), None);
        assert_eq!(next_page(""), None);
    }
}
