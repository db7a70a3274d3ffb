//! The tags of a repository.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::answer::{Server, failed, malformed};
use super::{Registry, RegistryError, unless_missing};

/// Tags asked for at a time; registries may give fewer.
const TAGS_PER_PAGE: usize = 1000;

/// A shorter page that names no next one is the last; registries that cap pages without saying so cap them higher.
const SURELY_WHOLE: usize = 50;

impl Registry {
    /// All tags of the repository, sorted; none where it does not exist yet.
    pub async fn list_tags(&self) -> Result<Vec<String>, RegistryError> {
        #[derive(Deserialize)]
        struct Page {
            /// `null` where there are none.
            tags: Option<Vec<String>>,
        }
        let mut tags = BTreeSet::new();
        loop {
            let last = tags.last().cloned();
            let (page, is_last) = self
                .request("listing the tags", async || {
                    let mut url = self.session.url("tags/list")?;
                    url.query_pairs_mut()
                        .append_pair("n", &TAGS_PER_PAGE.to_string())
                        .extend_pairs(last.iter().map(|last| ("last", last)));
                    let response = self.session.send(|client| client.get(url)).await;
                    let Some(response) = unless_missing(response)? else {
                        return Ok((Vec::new(), true));
                    };
                    let has_next = response.headers().contains_key(reqwest::header::LINK);
                    let bytes = response.bytes().await.map_err(failed)?;
                    let page: Page = serde_json::from_slice(&bytes)
                        .map_err(|error| malformed(Server::Registry, &format!("tags ({error})")))?;
                    let page = page.tags.unwrap_or_default();
                    let is_last = !has_next && page.len() < SURELY_WHOLE;
                    Ok((page, is_last))
                })
                .await?;
            // One that gives everything and ignores `last` would never end: a page without news is the end.
            let n_before = tags.len();
            tags.extend(page);
            if is_last || tags.len() == n_before {
                return Ok(tags.into_iter().collect());
            }
        }
    }
}
