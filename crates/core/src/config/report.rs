//! `[report]`: where documents about runs are indexed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::error::Problem;

/// `[report]`: where each stage's results are indexed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReportConfig {
    /// Elasticsearch or OpenSearch, as `https://host:9200`: runs, epochs, evaluations and verdicts are indexed there.
    /// `TRAINYARD_ELASTICSEARCH` names another address. The key comes from `TRAINYARD_ELASTICSEARCH_API_KEY`, never from this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elasticsearch: Option<String>,
    /// Labels of every document: `{ team = "vision" }`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl ReportConfig {
    pub(super) fn validate(&self) -> Result<(), Problem> {
        if let Some(address) = &self.elasticsearch {
            validate_address(address)?;
        }
        // Elastic's `labels` hold no nested objects, and a dot in a name makes one.
        let is_odd = |name: &&String| name.is_empty() || name.contains(['.', '*', '\\']);
        match self.labels.keys().find(is_odd) {
            Some(name) => {
                let problem = "the name of a label is not empty and holds no `.`, `*` or `\\`";
                Err(Problem::at(&["report", "labels", name], problem).hint("write `_` instead"))
            }
            None => Ok(()),
        }
    }
}

fn validate_address(address: &str) -> Result<(), Problem> {
    let place = ["report", "elasticsearch"];
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| address.strip_prefix(scheme));
    let authority = rest.and_then(|rest| rest.split('/').next());
    let authority = authority.filter(|authority| !authority.is_empty());
    let Some(authority) = authority else {
        return Err(
            Problem::at(&place, "is not the address of a server").hint("write `https://host:9200`")
        );
    };
    if authority.contains('@') {
        return Err(
            Problem::at(&place, "holds a user name or a password, which this file must not").hint(
                "set `TRAINYARD_ELASTICSEARCH_API_KEY`, or `TRAINYARD_ELASTICSEARCH_USERNAME` and `TRAINYARD_ELASTICSEARCH_PASSWORD`, in the environment",
            ),
        );
    }
    if address.contains(['?', '#']) || address.contains(char::is_whitespace) {
        return Err(Problem::at(&place, "has a query, a fragment or a blank")
            .hint("write `https://host:9200`, or `https://host/path` behind a proxy"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(address: &str) -> Option<String> {
        let config = ReportConfig {
            elasticsearch: Some(address.to_owned()),
            ..ReportConfig::default()
        };
        config
            .validate()
            .err()
            .map(|problem| format!("{problem:?}"))
    }

    #[test]
    fn an_address_is_that_of_a_server_and_holds_no_secret() {
        for address in [
            "https://search.example.org:9200",
            "http://127.0.0.1:9200/",
            "https://[::1]:9200",
            "https://example.org/elastic",
        ] {
            assert_eq!(problem(address), None, "{address}");
        }
        for address in [
            "",
            "search.example.org",
            "https://",
            "https:///index",
            "ftp://h",
        ] {
            let problem = problem(address).unwrap();
            assert!(problem.contains("not the address"), "{address}: {problem}");
        }
        for address in ["https://a?b=c", "https://a#b", "https://a b"] {
            assert!(problem(address).unwrap().contains("a query"), "{address}");
        }
        let problem = problem("https://elastic:s3cret@search.example.org").unwrap();
        assert!(problem.contains("TRAINYARD_ELASTICSEARCH_API_KEY"));
        assert!(!problem.contains("s3cret"), "{problem}");
    }

    #[test]
    fn a_label_is_one_field() {
        let of = |name: &str| {
            let labels = [(name.to_owned(), "x".to_owned())].into();
            let config = ReportConfig {
                labels,
                ..ReportConfig::default()
            };
            config.validate().is_ok()
        };
        assert!(of("team") && of("cost-centre"));
        assert!(!of("") && !of("team.name") && !of("a*"));
    }
}
