//! Which certificates a server may show: those that lead to an authority, and those that the user names themselves.
//!
//! `openssl req -x509` makes a certificate that is its own authority. webpki takes none of an authority for a server's, while curl
//! and Go's programs take one that is among those they trust, so that one is compared here first, byte by byte. Its names and its
//! time are checked as those of any other.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::Verifier;

/// TLS as reqwest sets it up, which trusts the system's authorities and `authorities`, and each of `named` by itself.
pub(crate) fn tls(
    authorities: Vec<CertificateDer<'static>>,
    named: Vec<CertificateDer<'static>>,
) -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = NamedOrKnown {
        known: Verifier::new_with_extra_roots(authorities, provider.clone())?,
        named,
        provider: provider.clone(),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Whether the fault is that a certificate is an authority's, shown as a server's.
pub(crate) fn is_of_authority(fault: &CertificateError) -> bool {
    // webpki's own error, for which rustls has no type; it is written as it is called.
    matches!(fault, CertificateError::Other(cause) if cause.0.to_string() == "CaUsedAsEndEntity")
}

#[derive(Debug)]
struct NamedOrKnown {
    known: Verifier,
    named: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl NamedOrKnown {
    /// Checks a certificate that needs no authority: everything but who signed it.
    fn verify_named(
        &self,
        certificate: &CertificateDer<'_>,
        server_name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let certificate = ParsedCertificate::try_from(certificate)?;
        // Without authorities this ends with an error, and with one of these two once the time holds.
        let judged = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            &RootCertStore::empty(),
            &[],
            now,
            algorithms,
        );
        match judged {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {}
            Err(Error::InvalidCertificate(fault)) if is_of_authority(&fault) => {}
            judged => judged?,
        }
        verify_server_name(&certificate, server_name)
    }
}

impl ServerCertVerifier for NamedOrKnown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.named.iter().any(|named| named == end_entity) {
            self.verify_named(end_entity, server_name, now)?;
            return Ok(ServerCertVerified::assertion());
        }
        let known = &self.known;
        known.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.known.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.known.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.known.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::pki_types::pem::PemObject as _;

    use super::*;

    /// One that is its own authority, and one whose authority is not named.
    const NAMED: [&[u8]; 2] = [
        include_bytes!("fixtures/own.pem"),
        include_bytes!("fixtures/server.pem"),
    ];

    /// What becomes of `shown` in the year `year`, where `named` is named.
    fn verify(shown: &[u8], named: &[u8], host: &'static str, year: u64) -> Result<(), Error> {
        let read = |pem: &[u8]| CertificateDer::from_pem_slice(pem).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let named = vec![read(named)];
        let verifier = NamedOrKnown {
            known: Verifier::new_with_extra_roots(named.clone(), provider.clone()).unwrap(),
            named,
            provider,
        };
        let now = Duration::from_secs((year - 1970) * 31_556_952);
        let name = ServerName::try_from(host).unwrap();
        let shown = read(shown);
        let now = UnixTime::since_unix_epoch(now);
        let verified = verifier.verify_server_cert(&shown, &[], &name, &[], now);
        verified.map(|_| ())
    }

    /// curl 7.88 with `--cacert` and skopeo 1.9 with `--dest-cert-dir` take both at `localhost`.
    #[test]
    fn a_certificate_that_is_named_itself_is_accepted_for_its_names_and_its_time() {
        use CertificateError as E;
        for named in NAMED {
            assert_eq!(verify(named, named, "localhost", 2030), Ok(()));
            let fault = |host, year| match verify(named, named, host, year) {
                Err(Error::InvalidCertificate(fault)) => fault,
                other => panic!("{other:?}"),
            };
            let other_host = fault("example.org", 2030);
            assert!(
                matches!(other_host, E::NotValidForNameContext { .. }),
                "{other_host:?}"
            );
            let early = fault("localhost", 2020);
            assert!(matches!(early, E::NotValidYetContext { .. }), "{early:?}");
            let late = fault("localhost", 2200);
            assert!(matches!(late, E::ExpiredContext { .. }), "{late:?}");
        }
    }

    #[test]
    fn another_certificate_is_not_accepted_for_the_one_that_is_named() {
        let [own, server] = NAMED;
        for (shown, named) in [(own, server), (server, own)] {
            assert!(verify(shown, named, "localhost", 2030).is_err());
        }
        let Err(Error::InvalidCertificate(fault)) = verify(own, server, "localhost", 2030) else {
            panic!("accepted");
        };
        assert!(is_of_authority(&fault), "{fault:?}");
    }
}
