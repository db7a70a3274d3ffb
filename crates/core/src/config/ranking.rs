//! `[evaluate.ranking]`: rows that are ranked within their groups.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Problem;

/// `[evaluate.ranking]`: the rows of a predictions file are items to be ranked within groups, such as the results of a query.
/// `label` is how relevant each is, 0 for not at all; `predicted`, or one score column, is what they are ranked by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RankingConfig {
    /// Column of the predictions file that names each row's group.
    pub group: String,
    /// Number of first places that `ndcg` and `hit_rate` look at.
    pub k: u32,
}

impl Default for RankingConfig {
    fn default() -> Self {
        Self {
            group: "group".to_owned(),
            k: 10,
        }
    }
}

impl RankingConfig {
    pub(super) fn validate(&self) -> Result<(), Problem> {
        let place = |key| ["evaluate", "ranking", key];
        if self.k == 0 {
            return Err(Problem::at(&place("k"), "must be at least 1"));
        }
        let is_taken = ["label", "predicted", "weight", "fold", "row_id"];
        if self.group.trim().is_empty() || is_taken.contains(&self.group.as_str()) {
            return Err(
                Problem::at(&place("group"), "must name the column of the groups")
                    .hint("write the column by which rows belong together, such as `group = \"query_id\"`"),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::JudgingConfig;

    #[test]
    fn a_mistake_is_named_with_what_to_write() {
        let parsed = |text: &str| {
            JudgingConfig::parse(text, Path::new("trainyard.toml"))
                .map_err(|error| error.to_string())
        };
        let config = parsed("[evaluate.ranking]\nk = 5\n").unwrap();
        let ranking = config.evaluate.ranking.unwrap();
        assert_eq!((ranking.group.as_str(), ranking.k), ("group", 5));
        for (text, part) in [
            ("[evaluate.ranking]\nk = 0", "at least 1"),
            ("[evaluate.ranking]\ngroup = \"label\"", "query_id"),
            ("[evaluate.ranking]\nplaces = 3", "places"),
            (
                "[evaluate]\npositive_class = \"a\"\n[evaluate.ranking]\nk = 1",
                "no classes",
            ),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(part), "{text}\n{error}");
        }
    }
}
