//! The HTTP client: proxies, certificate authorities and time-outs, the same for every service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::trust;

/// How servers are reached.
///
/// Proxies are those of `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`. Certificate authorities are the
/// system's, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR` where these are set, and those of [`ClientOptions::ca`]. A server may
/// also show one of the certificates in these files itself, for the names that it lists.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// A PEM file with more certificates to trust: of authorities, or of servers themselves.
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
    /// A certificate cannot be trusted, whatever it is shown for.
    #[error("a certificate to trust cannot be used")]
    Trust(#[source] rustls::Error),
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
        self.build_tls(|builder| builder)
    }

    /// A client that follows no redirection, so that what is sent, and the credentials beside it, reach no other server than the one
    /// that was named; the answer is then that redirection. For addresses without TLS, it reads no authority.
    pub fn build_without_redirects(&self, has_tls: bool) -> Result<Client, ClientError> {
        if has_tls {
            return self.build_tls(|builder| builder.redirect(Policy::none()));
        }
        self.build_with(|builder| builder.tls_certs_only([]).redirect(Policy::none()))
    }

    fn build_tls(
        &self,
        further: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, ClientError> {
        let authorities = self.authorities()?;
        let named: Vec<_> = (authorities.iter().cloned())
            .chain(named_by_environment())
            .collect();
        if named.is_empty() {
            return self.build_with(further);
        }
        let tls = trust::tls(authorities, named).map_err(ClientError::Trust)?;
        self.build_with(|builder| further(builder.tls_backend_preconfigured(tls)))
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

    /// The certificates of the CA file.
    fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, ClientError> {
        let Some(path) = &self.ca else {
            return Ok(Vec::new());
        };
        let bytes = std::fs::read(path).map_err(|source| ClientError::ReadCa {
            path: path.clone(),
            source,
        })?;
        let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
        let found = found.unwrap_or_default();
        if found.is_empty() {
            return Err(ClientError::NoCertificate { path: path.clone() });
        }
        Ok(found)
    }
}

/// The certificates that the environment names in place of the system's. What cannot be read there is no certificate, as for the
/// verifier of the system, which says so.
fn named_by_environment() -> Vec<CertificateDer<'static>> {
    let file = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let folders = std::env::var_os("SSL_CERT_DIR");
    let folders = folders.iter().flat_map(std::env::split_paths);
    let of_folders = folders
        .filter_map(|folder| std::fs::read_dir(folder).ok())
        .flat_map(|entries| entries.flatten().map(|entry| entry.path()));
    let certificates = |path: PathBuf| CertificateDer::pem_file_iter(path).into_iter().flatten();
    file.into_iter()
        .chain(of_folders)
        .flat_map(certificates)
        .flatten()
        .collect()
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
        assert_eq!(options.authorities().unwrap().len(), 2);
        options.build().unwrap();
        // One that is cut off is not left out in silence.
        std::fs::write(&path, format!("{one}{}", one.replace("-----END", "---END"))).unwrap();
        assert!(options.authorities().is_err());
    }
}
