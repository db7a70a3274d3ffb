//! A request without an answer: what happened, and whether the same request may succeed later.

use std::error::Error;
use std::io;

use rustls::{CertificateError, InvalidMessage};
use trainyard_core::error_chain::in_one_line;

use crate::trust;

/// What the next attempt will not change, and what the user can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PermanentCause {
    /// The server's certificate is signed by an authority this machine does not know.
    #[error(
        "the server's certificate is signed by an unknown authority\nhint: name the PEM file of that authority by `--ca FILE` (or `TRAINYARD_CA`), or all authorities by `SSL_CERT_FILE`"
    )]
    UnknownAuthority,
    /// The server shows the certificate of an authority, such as one that signs itself.
    #[error(
        "the server's certificate is an authority's own, and not one that is named here\nhint: name that very certificate by `--ca FILE` (or `TRAINYARD_CA`), or by `SSL_CERT_FILE`; `openssl s_client -connect HOST:PORT -showcerts </dev/null` prints it"
    )]
    OfAuthority,
    /// The certificate is of another host.
    #[error(
        "the server's certificate is not for this host name\nhint: use a name that the certificate lists"
    )]
    OtherHost,
    /// The certificate is too old, or not valid yet.
    #[error(
        "the server's certificate has expired, or is not valid yet\nhint: renew it, or set this machine's clock"
    )]
    Expired,
    /// Any other fault of the certificate.
    #[error("the server's certificate is not accepted ({0})")]
    Certificate(String),
    /// There is no TLS at that address.
    #[error(
        "the server does not speak TLS at this address\nhint: use the port that serves HTTPS; a server without TLS has to be named as one"
    )]
    NotTls,
    /// No version of TLS that both sides accept.
    #[error("the server and this machine have no TLS version or cipher in common ({0})")]
    Incompatible(String),
    /// No host has this name.
    #[error(
        "the host name is unknown\nhint: check its spelling; where only a proxy may reach it, set `HTTPS_PROXY`"
    )]
    UnknownHost,
    /// The address is none, or leads round in a circle.
    #[error("{0}")]
    Request(String),
}

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It will fail again.
    #[error(transparent)]
    Permanent(PermanentCause),
    /// It may succeed later: refused, cut or silent connections.
    #[error("{0}")]
    Transient(String),
}

impl Failure {
    /// Reads the failure of a request, whatever other errors it is wrapped in. Addresses are left out: their queries hold
    /// signatures.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        match permanent_cause(error) {
            Some(cause) => Self::Permanent(cause),
            None => Self::Transient(words(error)),
        }
    }

    /// The same for a request of this crate's client.
    pub fn of_request(error: reqwest::Error) -> Self {
        Self::of(&error.without_url())
    }
}

/// The error in one line, without the addresses that reqwest writes into its own.
fn words(error: &(dyn Error + 'static)) -> String {
    let mut text = in_one_line(error);
    for url in causes(error).filter_map(|error| error.downcast_ref::<reqwest::Error>()?.url()) {
        text = text.replace(&format!(" for url ({url})"), "");
    }
    text
}

/// The error and all that it comes from. An I/O error does not name the error inside it as its source, so that is looked
/// up too.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let inner = |error: &'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> {
        let inside = error
            .downcast_ref::<io::Error>()
            .and_then(|error| Some(error.get_ref()? as &(dyn Error + 'static)));
        inside.or_else(|| error.source())
    };
    std::iter::successors(Some(error), move |error| inner(*error))
}

fn permanent_cause(error: &(dyn Error + 'static)) -> Option<PermanentCause> {
    let mut is_of_dns = false;
    for cause in causes(error) {
        if let Some(error) = cause.downcast_ref::<rustls::Error>() {
            return of_tls(error);
        }
        if let Some(error) = cause.downcast_ref::<reqwest::Error>()
            && (error.is_builder() || error.is_redirect())
        {
            return Some(PermanentCause::Request(words(error)));
        }
        let text = cause.to_string();
        // hyper has no type for it.
        is_of_dns |= text == "dns error";
        if is_of_dns && cause.source().is_none() {
            // EAI_AGAIN in the words of glibc and macOS, musl and Windows.
            let is_passing = ["emporary failure", "ry again", "os error 11002"]
                .iter()
                .any(|words| text.contains(words));
            return (!is_passing).then_some(PermanentCause::UnknownHost);
        }
    }
    None
}

fn of_tls(error: &rustls::Error) -> Option<PermanentCause> {
    use CertificateError as E;
    Some(match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            E::UnknownIssuer => PermanentCause::UnknownAuthority,
            E::NotValidForName | E::NotValidForNameContext { .. } => PermanentCause::OtherHost,
            E::Expired
            | E::ExpiredContext { .. }
            | E::NotValidYet
            | E::NotValidYetContext { .. } => PermanentCause::Expired,
            fault if trust::is_of_authority(fault) => PermanentCause::OfAuthority,
            fault => PermanentCause::Certificate(fault.to_string()),
        },
        // What a server without TLS answers is not a TLS record.
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => PermanentCause::NotTls,
        rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol => {
            PermanentCause::Incompatible(error.to_string())
        }
        // Alerts and broken records may be a connection that was cut.
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Wrapped {
        text: &'static str,
        source: Option<Box<dyn Error + 'static>>,
    }

    fn wrapped(text: &'static str, source: Option<Box<dyn Error>>) -> Box<dyn Error> {
        Box::new(Wrapped { text, source })
    }

    fn dns(words: &str) -> Failure {
        let system: Box<dyn Error> = Box::new(io::Error::other(words.to_owned()));
        let dns = wrapped("dns error", Some(system));
        Failure::of(&*wrapped("client error (Connect)", Some(dns)))
    }

    #[test]
    fn a_name_that_is_unknown_is_told_from_a_resolver_that_is_busy() {
        for words in [
            "failed to lookup address information: Name or service not known",
            "failed to lookup address information: Name does not resolve",
            "failed to lookup address information: nodename nor servname provided, or not known",
            "No such host is known. (os error 11001)",
        ] {
            let expected = Failure::Permanent(PermanentCause::UnknownHost);
            assert_eq!(dns(words), expected, "{words}");
        }
        for words in [
            "failed to lookup address information: Temporary failure in name resolution",
            "failed to lookup address information: Try again",
            "This is usually a temporary error. (os error 11002)",
        ] {
            assert!(matches!(dns(words), Failure::Transient(_)), "{words}");
        }
    }

    #[test]
    fn a_fault_of_tls_is_found_inside_an_io_error() {
        let of = |error: rustls::Error| {
            let io: Box<dyn Error> = Box::new(io::Error::other(error));
            Failure::of(&*wrapped("client error (Connect)", Some(io)))
        };
        let fault = |fault| of(rustls::Error::InvalidCertificate(fault));
        let permanent = Failure::Permanent;
        assert_eq!(
            fault(CertificateError::UnknownIssuer),
            permanent(PermanentCause::UnknownAuthority)
        );
        assert_eq!(
            fault(CertificateError::NotValidForName),
            permanent(PermanentCause::OtherHost)
        );
        assert_eq!(
            fault(CertificateError::Expired),
            permanent(PermanentCause::Expired)
        );
        assert_eq!(
            of(rustls::Error::InvalidMessage(
                InvalidMessage::InvalidContentType
            )),
            permanent(PermanentCause::NotTls)
        );
        let cut = of(rustls::Error::DecryptError);
        assert!(matches!(cut, Failure::Transient(_)), "{cut}");
    }

    #[test]
    fn a_cut_connection_may_work_later() {
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        let failure = Failure::of(&reset);
        assert_eq!(failure, Failure::Transient("connection reset".to_owned()));
    }
}
