//! The HTTP client: proxies, certificate authorities and time-outs, the same for every service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, ClientBuilder};

/// How servers are reached.
///
/// Proxies are those of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`. Certificate authorities are the
/// system's, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR` where these are set, and those of [`ClientOptions::ca`].
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// A PEM file with more certificate authorities to trust.
    pub ca: Option<PathBuf>,
    /// Time to open a connection; no limit where absent.
    pub connect_timeout: Option<Duration>,
    /// A connection that is silent for so long is taken for dead; no limit where absent.
    pub read_timeout: Option<Duration>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            ca: None,
            connect_timeout: Some(Duration::from_secs(20)),
            read_timeout: Some(Duration::from_mins(1)),
        }
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of authorities cannot be read.
    #[error("cannot read the certificate authorities in `{}`", path.display())]
    ReadCa {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no certificate.
    #[error(
        "`{}` holds no certificate in PEM form\nhint: a certificate begins with `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE -out ca.pem` makes one of a binary file",
        path.display()
    )]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// The client cannot be made, of what the system or the environment says.
    #[error("cannot set up the connection")]
    Setup(#[source] reqwest::Error),
}

impl ClientOptions {
    /// The same, with the certificate authorities in this PEM file too.
    #[must_use]
    pub fn with_ca(mut self, ca: Option<&Path>) -> Self {
        self.ca = ca.map(Path::to_owned);
        self
    }

    /// The client.
    pub fn build(&self) -> Result<Client, ClientError> {
        let authorities = self.authorities()?;
        self.build_with(|builder| builder.tls_certs_merge(authorities))
    }

    /// A client for addresses without TLS, which trusts no authority: those of the system need not be read, which takes longer than many
    /// a request. It follows no redirection to TLS; the answer is then that redirection.
    pub fn build_plain(&self) -> Result<Client, ClientError> {
        let redirects = Policy::custom(|attempt| {
            if attempt.url().scheme() == "https" {
                attempt.stop()
            } else {
                Policy::default().redirect(attempt)
            }
        });
        self.build_with(|builder| builder.tls_certs_only([]).redirect(redirects))
    }

    fn build_with(
        &self,
        trust: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, ClientError> {
        let agent = concat!("trainyard/", env!("CARGO_PKG_VERSION"));
        let mut builder = trust(Client::builder().user_agent(agent));
        // How long a connection may be silent is decided here; the library's 30 s would cut a slow store behind a registry off.
        #[cfg(target_os = "linux")]
        {
            builder = builder.tcp_user_timeout(None);
        }
        if let Some(timeout) = self.connect_timeout {
            builder = builder.connect_timeout(timeout);
        }
        if let Some(timeout) = self.read_timeout {
            builder = builder.read_timeout(timeout);
        }
        builder.build().map_err(ClientError::Setup)
    }

    /// The certificates of the CA file, each as PEM, for a client that is not made here.
    pub fn ca_certificates(&self) -> Result<Vec<String>, ClientError> {
        const END: &str = "-----END CERTIFICATE-----";
        let Some(path) = &self.ca else {
            return Ok(Vec::new());
        };
        let bytes = std::fs::read(path).map_err(|source| ClientError::ReadCa {
            path: path.clone(),
            source,
        })?;
        // Between certificates a bundle may hold comments in any encoding.
        let text = String::from_utf8_lossy(&bytes);
        let found: Vec<String> = text
            .split_inclusive(END)
            .filter_map(|part| Some(part[part.find("-----BEGIN CERTIFICATE-----")?..].to_owned()))
            .collect();
        let are_whole = found.iter().all(|part| part.ends_with(END));
        if found.is_empty() || !are_whole {
            return Err(ClientError::NoCertificate { path: path.clone() });
        }
        Ok(found)
    }

    fn authorities(&self) -> Result<Vec<Certificate>, ClientError> {
        let found = self.ca_certificates()?;
        found
            .iter()
            .map(|text| Certificate::from_pem(text.as_bytes()))
            .collect::<Result<_, _>>()
            .map_err(ClientError::Setup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_authorities_that_holds_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let build = || ClientOptions::default().with_ca(Some(&path)).build();
        let text = |result: Result<Client, ClientError>| {
            trainyard_core::error_chain::in_one_line(&result.unwrap_err())
        };
        let missing = text(build());
        assert!(missing.contains("ca.pem`: No such file"), "{missing}");
        for content in [
            &b""[..],
            &[0x30, 0x82],
            b"-----BEGIN CERTIFICATE-----\nAAAA\n",
        ] {
            std::fs::write(&path, content).unwrap();
            let text = text(build());
            assert!(text.contains("ca.pem` holds no certificate"), "{text}");
        }
        let broken = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        std::fs::write(&path, broken).unwrap();
        assert!(build().is_err());
    }

    #[test]
    fn a_bundle_is_read_certificate_by_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let one = include_str!("fixtures/ca.pem");
        std::fs::write(&path, format!("# first\n{one}# second\n{one}")).unwrap();
        let options = ClientOptions::default().with_ca(Some(&path));
        assert_eq!(options.ca_certificates().unwrap(), [one.trim(); 2]);
        options.build().unwrap();
    }
}
