//! Two commits compared.

use http::Method;
use serde::Deserialize;
use trainyard_net::encode;

use crate::client::{GitHub, Request};
use crate::error::{GitHubError, Permission};

/// Files that GitHub lists at most: with as many there may be more.
const MAX_FILES: usize = 300;

#[derive(Deserialize)]
pub(crate) struct Comparison {
    pub(crate) merge_base_commit: Sha,
    status: String,
    #[serde(default)]
    files: Vec<File>,
}

#[derive(Deserialize)]
pub(crate) struct Sha {
    pub(crate) sha: String,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    previous_filename: Option<String>,
}

impl Comparison {
    /// Whether the newer commit holds everything that the older does.
    fn is_ahead(&self) -> bool {
        matches!(&*self.status, "ahead" | "identical")
    }
}

impl GitHub {
    /// Whether `newer` holds everything that `older` does.
    pub(crate) async fn is_ancestor(&self, older: &str, newer: &str) -> Result<bool, GitHubError> {
        match self.compare(older, newer).await {
            Ok(found) => Ok(found.is_ahead()),
            // A commit that was pushed away is soon forgotten.
            Err(error) if error.status() == Some(404) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The files that differ between `older` and `newer`, under both names where one was moved; `None` where there are too
    /// many to be listed, or `newer` does not follow `older`.
    pub async fn changed_files(
        &self,
        older: &str,
        newer: &str,
    ) -> Result<Option<Vec<String>>, GitHubError> {
        let found = self.compare(older, newer).await?;
        if !found.is_ahead() || found.files.len() >= MAX_FILES {
            return Ok(None);
        }
        let names = found
            .files
            .into_iter()
            .flat_map(|file| [Some(file.filename), file.previous_filename]);
        Ok(Some(names.flatten().collect()))
    }

    /// Files are listed whole on the first page, whatever its length.
    pub(crate) async fn compare(&self, base: &str, head: &str) -> Result<Comparison, GitHubError> {
        let request = Request {
            method: Method::GET,
            route: self.path(&format!(
                "/compare/{}...{}?per_page=1",
                encode(base),
                encode(head)
            )),
            body: None,
            doing: "compare two commits",
            permission: Permission::ContentsRead,
        };
        self.send(&request).await
    }
}
