//! TLS, where the server has a certificate, and clients that show one of theirs.
//!
//! Files that change, as a certificate does that is renewed, hold for the connections after that.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, anyhow, ensure};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

/// Between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(10);

/// The options of TLS.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct TlsArgs {
    /// Speak TLS 1.3 with the certificates in this PEM file, the server's first.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the first certificate, as PEM.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Answer only clients with a certificate of one of the authorities in this PEM file. Health is told to all.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
}

/// The files.
#[derive(Debug, Clone)]
struct Files {
    certificates: PathBuf,
    key: PathBuf,
    authorities: Option<PathBuf>,
}

/// What connections are encrypted by.
#[derive(Debug)]
pub(crate) struct Tls {
    files: Files,
    current: Mutex<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    modified: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl std::fmt::Debug for Current {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

impl TlsArgs {
    /// What they ask for; `None` for connections in the clear.
    pub(crate) fn open(&self) -> anyhow::Result<Option<Tls>> {
        let (Some(certificates), Some(key)) = (&self.tls_cert, &self.tls_key) else {
            return Ok(None);
        };
        let files = Files {
            certificates: certificates.clone(),
            key: key.clone(),
            authorities: self.tls_client_ca.clone(),
        };
        let current = Current {
            modified: files.modified(),
            config: files.config()?,
            looked: Instant::now(),
        };
        Ok(Some(Tls {
            files,
            current: Mutex::new(current),
        }))
    }
}

impl Tls {
    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= INTERVAL {
            current.looked = Instant::now();
            let modified = self.files.modified();
            if modified != current.modified {
                current.modified = modified;
                match self.files.config() {
                    Ok(config) => {
                        current.config = config;
                        tracing::info!("the files of TLS have changed and are in use");
                    }
                    Err(error) => {
                        tracing::error!("{error:#}; the certificate before it is still in use");
                    }
                }
            }
        }
        TlsAcceptor::from(Arc::clone(&current.config))
    }

    /// Whether clients must show a certificate.
    pub(crate) const fn asks_clients(&self) -> bool {
        self.files.authorities.is_some()
    }
}

impl Files {
    fn modified(&self) -> Vec<Option<SystemTime>> {
        let files = [&self.certificates, &self.key].into_iter();
        let files = files.chain(&self.authorities);
        let modified = |path: &PathBuf| std::fs::metadata(path).ok()?.modified().ok();
        files.map(modified).collect()
    }

    fn config(&self) -> anyhow::Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = match &self.authorities {
            None => builder.with_no_client_auth(),
            Some(file) => builder.with_client_cert_verifier(verifier(file, provider)?),
        };
        let certificates = certificates(&self.certificates)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| {
            anyhow!(
                "cannot use the private key in `{}`: {error}",
                self.key.display()
            )
        })?;
        let mut config = builder
            .with_single_cert(certificates, key)
            .with_context(|| {
                format!(
                    "the key in `{}` and the certificate in `{}` do not go together",
                    self.key.display(),
                    self.certificates.display()
                )
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Those who show no certificate are let in, and told of nothing but health.
fn verifier(
    file: &Path,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(file)? {
        authorities
            .add(certificate)
            .with_context(|| format!("cannot use an authority in `{}`", file.display()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider)
        .allow_unauthenticated()
        .build()
        .with_context(|| format!("cannot use the authorities in `{}`", file.display()))
}

fn certificates(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| anyhow!("cannot read `{}`: {error}", file.display()))?;
    ensure!(
        !found.is_empty(),
        "there is no certificate in `{}`; it should be a PEM file",
        file.display()
    );
    Ok(found)
}
