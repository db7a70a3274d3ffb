//! The files of a release on GitHub.
//!
//! A file of the same name cannot be overwritten. So the new one is uploaded under another name first, takes the place of the old one
//! once it is whole, and nothing is lost where that breaks off: the next run goes on from there.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, Uri};
use octocrab::Octocrab;
use serde::Deserialize;
use serde_json::json;
use trainyard_core::digest::Sha256Digest;
use trainyard_net::encode;

use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};
use crate::release_page::ReleasePage;

/// Behind the name of a file that is not in its place yet.
const NEW: &str = ".new";

/// GitHub keeps at most a thousand.
const MAX_PAGES: usize = 10;

/// The one type that GitHub's description of the API names. Browsers save a file of a release, whatever its type.
const MEDIA_TYPE: &str = "application/octet-stream";

/// Uploads that an asset is worth.
const MAX_UPLOADS: u32 = 3;

/// What became of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssetOutcome {
    /// There was none of this name.
    Added,
    /// It took the place of another one.
    Replaced,
    /// The very file was there.
    Unchanged,
}

/// A file of a release.
#[derive(Debug, Clone, Deserialize)]
struct Asset {
    id: u64,
    name: String,
    /// `uploaded`, or `starter` where an upload broke off.
    state: String,
    /// Older servers give none.
    #[serde(default)]
    digest: Option<String>,
}

impl Asset {
    fn is_whole(&self) -> bool {
        self.state == "uploaded"
    }

    fn has(&self, digest: &Sha256Digest) -> bool {
        self.is_whole() && self.digest.as_deref() == Some(digest.as_str())
    }
}

impl GitHub {
    /// Sees to it that the release has the file `name` with these `bytes`. `name` holds letters, digits, `-`, `_` and `.` only: GitHub
    /// renames others.
    pub async fn put_release_asset(
        &self,
        page: &ReleasePage,
        name: &str,
        bytes: Vec<u8>,
    ) -> Result<AssetOutcome, GitHubError> {
        let (digest, bytes) = (Sha256Digest::of(&bytes), &Bytes::from(bytes));
        let new = format!("{name}{NEW}");
        let assets = self.release_assets(page.id).await?;
        let old = assets.iter().find(|asset| asset.name == name);
        for left in assets.iter().filter(|asset| asset.name == new) {
            self.delete_asset(left.id).await?;
        }
        let Some(old) = old else {
            self.upload_asset(page, name, bytes, &digest).await?;
            return Ok(AssetOutcome::Added);
        };
        if old.has(&digest) {
            return Ok(AssetOutcome::Unchanged);
        }
        if !old.is_whole() {
            self.delete_asset(old.id).await?;
            self.upload_asset(page, name, bytes, &digest).await?;
            return Ok(AssetOutcome::Added);
        }
        let uploaded = self.upload_asset(page, &new, bytes, &digest).await?;
        self.delete_asset(old.id).await?;
        self.rename_asset(uploaded.id, name).await?;
        Ok(AssetOutcome::Replaced)
    }

    async fn release_assets(&self, release: u64) -> Result<Vec<Asset>, GitHubError> {
        self.all_pages(
            &format!("/releases/{release}/assets"),
            MAX_PAGES,
            "read the release's files",
            Permission::ContentsRead,
        )
        .await
    }

    /// Uploads under a name that is free; after an uncertain end it looks what is there before it uploads again.
    async fn upload_asset(
        &self,
        page: &ReleasePage,
        name: &str,
        bytes: &Bytes,
        digest: &Sha256Digest,
    ) -> Result<Asset, GitHubError> {
        let mut n_uploads = 0;
        loop {
            n_uploads += 1;
            let error = match self.upload(page, name, bytes).await {
                Ok(asset) => return Ok(asset),
                // What a lost answer made is in the way of the second upload.
                Err(error) if error.is_uncertain() || error.status() == Some(422) => error,
                Err(error) => return Err(error),
            };
            tokio::time::sleep(self.settle_time(n_uploads)).await;
            let found = self.release_assets(page.id).await?;
            match found.into_iter().find(|asset| asset.name == name) {
                Some(asset) if asset.has(digest) => return Ok(asset),
                Some(asset) if n_uploads < MAX_UPLOADS => self.delete_asset(asset.id).await?,
                None if n_uploads < MAX_UPLOADS && error.is_uncertain() => {}
                _ => return Err(error),
            }
            tracing::debug!("{error}; uploading again");
        }
    }

    async fn upload(
        &self,
        page: &ReleasePage,
        name: &str,
        bytes: &Bytes,
    ) -> Result<Asset, GitHubError> {
        // A template of RFC 6570: `https://uploads.github.com/…/assets{?name,label}`.
        let base = page.upload_url.split('{').next().unwrap_or_default();
        let request = Request {
            method: Method::POST,
            route: format!("{base}?name={}", encode(name)),
            body: None,
            doing: "upload a file of the release",
            permission: Permission::ContentsWrite,
        };
        let malformed = |problem: String| GitHubError::Malformed {
            doing: request.doing,
            problem,
        };
        let uri: Uri = (request.route.parse())
            .map_err(|_| malformed(format!("`{base}` is not an address to upload to")))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(malformed(format!("`{base}` names no host to upload to")));
        };
        // Another host than the API's, which octocrab would not show the token to.
        let uploads = self.at(&format!("{scheme}://{authority}"))?;
        let sent = async |octocrab: &Octocrab| {
            let upload = http::Request::builder()
                .method(Method::POST)
                .uri(uri.clone())
                .header(CONTENT_TYPE, MEDIA_TYPE)
                .header(CONTENT_LENGTH, bytes.len())
                .body(bytes.clone());
            let upload = upload.expect("method, address and headers were parsed before");
            octocrab.execute(upload).await
        };
        let answer = self.send_by(&uploads, &request, false, sent).await?;
        serde_json::from_value(answer).map_err(|error| malformed(error.to_string()))
    }

    /// A file that is gone already is as good as deleted.
    async fn delete_asset(&self, id: u64) -> Result<(), GitHubError> {
        let request = Request {
            method: Method::DELETE,
            route: self.path(&format!("/releases/assets/{id}")),
            body: None,
            doing: "remove an old file of the release",
            permission: Permission::ContentsWrite,
        };
        match self.send_for_value(&request).await {
            Err(error) if error.status() != Some(404) => Err(error),
            _ => Ok(()),
        }
    }

    async fn rename_asset(&self, id: u64, name: &str) -> Result<Asset, GitHubError> {
        self.send(&Request {
            method: Method::PATCH,
            route: self.path(&format!("/releases/assets/{id}")),
            body: Some(json!({ "name": name })),
            doing: "rename a file of the release",
            permission: Permission::ContentsWrite,
        })
        .await
    }
}
