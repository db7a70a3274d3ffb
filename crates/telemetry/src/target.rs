//! The server that documents go to, and by what it knows us.

use std::fmt;

use percent_encoding::percent_decode_str;
use reqwest::{RequestBuilder, Url};
use trainyard_core::config::ReportConfig;
use trainyard_runner::Context;

use crate::arguments::ElasticsearchArgs;

/// A server, and what it is shown. Its address holds no secret.
pub(crate) struct Target {
    url: Url,
    credentials: Credentials,
}

enum Credentials {
    None,
    ApiKey(String),
    User { name: String, password: String },
}

/// Why the server cannot be named. The message leaves the address out: it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TargetError {
    /// It is not an address.
    #[error(
        "`--elasticsearch` (or `TRAINYARD_ELASTICSEARCH`) is not the address of a server, so nothing is indexed\nhint: write `https://host:9200`"
    )]
    Address,
}

impl Target {
    /// The server that the options name, else that of the configuration; `None` where there is none.
    ///
    /// In a run of a fork the configuration is the fork's, and could lead the credentials anywhere: there only the options count.
    pub(crate) fn find(
        args: &ElasticsearchArgs,
        config: &ReportConfig,
        context: &Context,
    ) -> Result<Option<Self>, TargetError> {
        let written = match (&args.elasticsearch, &config.elasticsearch) {
            (Some(url), _) => url,
            (None, Some(_)) if context.is_unverified() => {
                tracing::info!(
                    "nothing is indexed in Elasticsearch: this is a fork's run, in which `[report] elasticsearch` could lead anywhere; \
                     `TRAINYARD_ELASTICSEARCH` names the server here"
                );
                return Ok(None);
            }
            (None, Some(url)) => url,
            (None, None) => return Ok(None),
        };
        let mut url = Url::parse(written.trim()).map_err(|_| TargetError::Address)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(TargetError::Address);
        }
        let of_url = (!url.username().is_empty()).then(|| {
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            Credentials::User {
                name: decoded(url.username()),
                password: decoded(url.password().unwrap_or_default()),
            }
        });
        url.set_username("").map_err(|()| TargetError::Address)?;
        url.set_password(None).map_err(|()| TargetError::Address)?;
        url.set_query(None);
        url.set_fragment(None);
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        let name = args.elasticsearch_username.as_ref();
        let user = name.zip(args.elasticsearch_password.as_ref());
        let credentials = match (&args.elasticsearch_api_key, user) {
            (Some(key), _) => Credentials::ApiKey(key.trim().to_owned()),
            (None, Some((name, password))) => Credentials::User {
                name: name.clone(),
                password: password.clone(),
            },
            (None, None) => of_url.unwrap_or(Credentials::None),
        };
        Ok(Some(Self { url, credentials }))
    }

    /// Where it is; ends with a slash.
    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it is reached by TLS.
    pub(crate) fn has_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether it is shown anything.
    pub(crate) const fn has_credentials(&self) -> bool {
        !matches!(self.credentials, Credentials::None)
    }

    /// The request, with what shows who we are.
    pub(crate) fn authorise(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Credentials::None => request,
            Credentials::ApiKey(key) => {
                request.header(http::header::AUTHORIZATION, format!("ApiKey {key}"))
            }
            Credentials::User { name, password } => request.basic_auth(name, Some(password)),
        }
    }
}

/// Host and port.
impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.url.host_str().unwrap_or_default())?;
        match self.url.port() {
            Some(port) => write!(formatter, ":{port}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use trainyard_runner::Event;

    use super::*;

    fn config(url: &str) -> ReportConfig {
        ReportConfig {
            elasticsearch: Some(url.to_owned()),
            ..ReportConfig::default()
        }
    }

    fn args(url: Option<&str>) -> ElasticsearchArgs {
        ElasticsearchArgs {
            elasticsearch: url.map(str::to_owned),
            ..ElasticsearchArgs::default()
        }
    }

    /// The value of `Authorization` that `target` sends.
    fn shown(target: &Target) -> Option<String> {
        let client = reqwest::Client::builder()
            .tls_certs_only([])
            .build()
            .unwrap();
        let request = target.authorise(client.get(target.url().clone()));
        let request = request.build().unwrap();
        let value = request.headers().get(http::header::AUTHORIZATION)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn an_option_goes_before_the_configuration() {
        let context = Context::default();
        let find = |args: &ElasticsearchArgs, config: &ReportConfig| {
            let target = Target::find(args, config, &context).unwrap();
            target.map(|target| target.url().to_string())
        };
        let none = ReportConfig::default();
        assert_eq!(find(&args(None), &none), None);
        let of_file = config("https://a.example/elastic");
        assert_eq!(
            find(&args(None), &of_file).as_deref(),
            Some("https://a.example/elastic/")
        );
        let of_option = args(Some("https://b.example:9200/?pretty"));
        assert_eq!(
            find(&of_option, &of_file).as_deref(),
            Some("https://b.example:9200/")
        );
        for url in ["b.example", "ftp://b.example", "https://", "s3cret"] {
            let error = Target::find(&args(Some(url)), &none, &context).unwrap_err();
            assert!(!error.to_string().contains("s3cret"));
        }
    }

    /// A pull request of a fork can write any address into its configuration.
    #[test]
    fn a_forks_configuration_leads_nowhere() {
        for event in [
            Event::PullRequest,
            Event::PullRequestTarget,
            Event::WorkflowRun,
        ] {
            let context = Context {
                event,
                is_fork: true,
                ..Context::default()
            };
            let of_file = config("https://evil.example");
            assert!(
                Target::find(&args(None), &of_file, &context)
                    .unwrap()
                    .is_none()
            );
            let named = Target::find(&args(Some("https://a.example")), &of_file, &context);
            assert_eq!(named.unwrap().unwrap().to_string(), "a.example");
        }
    }

    #[test]
    fn what_shows_who_we_are_is_in_no_address_and_no_message() {
        let context = Context::default();
        let none = ReportConfig::default();
        let mut given = args(Some("https://elastic:s3cr%40t@a.example:9200"));
        let of = |given: &ElasticsearchArgs| Target::find(given, &none, &context).unwrap().unwrap();
        // By `printf elastic:s3cr@t | base64`.
        let target = of(&given);
        assert_eq!(
            shown(&target).as_deref(),
            Some("Basic ZWxhc3RpYzpzM2NyQHQ=")
        );
        for text in [
            target.to_string(),
            format!("{target:?}"),
            target.url().to_string(),
        ] {
            assert!(
                !text.contains("s3cr") && !text.contains("elastic"),
                "{text}"
            );
        }
        given.elasticsearch_username = Some("ann".to_owned());
        given.elasticsearch_password = Some("pw".to_owned());
        assert_eq!(shown(&of(&given)).as_deref(), Some("Basic YW5uOnB3"));
        given.elasticsearch_api_key = Some("a2V5\n".to_owned());
        assert_eq!(shown(&of(&given)).as_deref(), Some("ApiKey a2V5"));
        assert_eq!(shown(&of(&args(Some("http://a.example")))), None);
    }
}
