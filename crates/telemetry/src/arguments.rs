//! Where documents go, as options of a stage.

use clap::Args;

/// Elasticsearch, as options of a stage.
#[derive(Debug, Clone, Default, Args)]
pub struct ElasticsearchArgs {
    /// Elasticsearch or OpenSearch to index the results in, instead of `[report] elasticsearch`: `https://host:9200`.
    #[arg(
        long,
        value_name = "URL",
        env = "TRAINYARD_ELASTICSEARCH",
        hide_env_values = true
    )]
    pub elasticsearch: Option<String>,
    /// API key for Elasticsearch, as Kibana shows it (encoded). Prefer the environment variable: arguments are visible to other
    /// processes.
    #[arg(
        long,
        value_name = "KEY",
        env = "TRAINYARD_ELASTICSEARCH_API_KEY",
        hide_env_values = true
    )]
    pub elasticsearch_api_key: Option<String>,
    /// User name for Elasticsearch, if it takes no API key.
    #[arg(
        long,
        value_name = "NAME",
        env = "TRAINYARD_ELASTICSEARCH_USERNAME",
        requires = "elasticsearch_password"
    )]
    pub elasticsearch_username: Option<String>,
    /// Password of that user. Prefer the environment variable.
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "TRAINYARD_ELASTICSEARCH_PASSWORD",
        hide_env_values = true,
        requires = "elasticsearch_username"
    )]
    pub elasticsearch_password: Option<String>,
}
