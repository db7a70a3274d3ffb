//! Asks which account the token writes as.

use serde::Deserialize;
use serde_json::json;

use crate::author::{Author, Viewer};
use crate::client::GitHub;
use crate::error::{GitHubError, Permission};

pub(crate) const QUERY: &str = "query Viewer { viewer { login } }";

#[derive(Deserialize)]
struct Data {
    viewer: Viewer,
}

impl GitHub {
    /// The account that the token writes as, which is asked for once.
    pub(crate) async fn author(&self) -> Result<Author, GitHubError> {
        if let Some(author) = self.known_author() {
            return Ok(author);
        }
        let data: Data = self
            .query(
                QUERY,
                json!({}),
                "ask whose token this is",
                Permission::PullRequestsWrite,
            )
            .await?;
        Ok(self.learn_author(data.viewer))
    }
}
