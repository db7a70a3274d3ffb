//! Whether the server that runs here is ready: what a container's health check runs, since nothing else is in the image.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, SignatureScheme, StreamOwned};

/// A server that takes longer for so small an answer is not well.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The first byte of a record by which TLS refuses (RFC 8446, section 5.1).
const TLS_ALERT: u8 = 21;

/// Asks at `port` of this machine; the error says what came instead, in words.
pub(crate) fn is_ready(port: u16) -> Result<(), String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let answer = ask(address).map_err(|error| format!("{address}: {error}"))?;
    let status = answer.split_once(' ').map_or("", |(_, rest)| rest);
    if status.starts_with("200 ") {
        Ok(())
    } else {
        Err(format!("{address} answers `{}`", answer.trim()))
    }
}

/// The first line of the answer. A server that speaks TLS alone says so by an alert, and is asked again.
fn ask(address: SocketAddr) -> io::Result<String> {
    let mut answer = exchange(&mut connect(address)?)?;
    if answer.first() == Some(&TLS_ALERT) {
        let mut stream = StreamOwned::new(local_tls()?, connect(address)?);
        answer = exchange(&mut stream)?;
    }
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn exchange(stream: &mut (impl Read + Write)) -> io::Result<Vec<u8>> {
    stream.write_all(
        b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    // The line is short; what follows it does not matter.
    let read = stream.take(1 << 10).read_to_end(&mut answer);
    // A connection that ends without a word of farewell has answered all the same.
    if answer.is_empty() {
        read?;
    }
    Ok(answer)
}

fn local_tls() -> io::Result<ClientConnection> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(OfThisMachine(provider)))
        .with_no_client_auth();
    let name = ServerName::IpAddress(Ipv4Addr::LOCALHOST.into());
    ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)
}

/// Takes any certificate: what listens on this machine is asked whether it is ready, and told nothing.
#[derive(Debug)]
struct OfThisMachine(Arc<CryptoProvider>);

impl ServerCertVerifier for OfThisMachine {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answered(answer: &'static [u8]) -> Result<(), String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(answer);
        });
        let ready = is_ready(port);
        server.join().unwrap();
        ready
    }

    #[test]
    fn only_a_server_that_says_so_is_ready() {
        answered(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        for answer in [
            &b"HTTP/1.1 503 Service Unavailable\r\n\r\n"[..],
            b"",
            b"200 OK",
        ] {
            answered(answer).unwrap_err();
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        assert!(is_ready(port).unwrap_err().contains("127.0.0.1"));
    }
}
