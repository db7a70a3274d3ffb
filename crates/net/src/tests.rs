//! The client against servers of its own machine that fail in each way.

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::{
    ClientOptions, Failure, GivenUp, Jitter, PermanentCause, RetryPolicy, Trouble, is_transient,
    retry_after,
};

/// What a server does with a connection.
#[derive(Clone, Copy)]
enum Answer {
    /// This status line, with these headers.
    Status(&'static str, &'static str),
    /// Ends the connection without a word.
    Cut,
}

const OK: Answer = Answer::Status("200 OK", "");

/// Reads a request's head and answers.
fn answer(mut stream: impl Read + Write, answer: Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(&mut stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    if let Answer::Status(status, headers) = answer {
        write!(
            stream,
            "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: 0\r\n\r\n"
        )?;
    }
    stream.flush()
}

/// A server that gives one answer a connection, and its port.
fn serve(answers: &'static [Answer], tls: Option<Arc<ServerConfig>>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for said in answers {
            let (stream, _): (TcpStream, _) = listener.accept().unwrap();
            // A client that does not trust the certificate ends the connection.
            let _ = match &tls {
                None => answer(stream, *said),
                Some(config) => {
                    let connection = ServerConnection::new(config.clone()).unwrap();
                    answer(StreamOwned::new(connection, stream), *said)
                }
            };
        }
    });
    port
}

fn tls() -> Arc<ServerConfig> {
    tls_of(
        include_bytes!("fixtures/server.pem"),
        include_bytes!("fixtures/server.key"),
    )
}

fn tls_of(certificate: &[u8], key: &[u8]) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_slice(certificate);
    let key = PrivateKeyDer::from_pem_slice(key);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.unwrap()], key.unwrap());
    Arc::new(config.unwrap())
}

/// A server that answers a greeting of TLS as servers of HTTP do.
fn without_tls() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        // To close with bytes unread would reset the connection, maybe before the answer is read.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    port
}

type Outcome = (Result<u16, GivenUp<Failure>>, Vec<Duration>);

/// Gets `url` until it has an answer. The time is paused, so nothing may wait but the policy.
async fn get(url: &str, ca: Option<&Path>) -> Outcome {
    let options = ClientOptions {
        connect_timeout: None,
        read_timeout: None,
        ..ClientOptions::default().with_ca(ca)
    };
    let client = options.build().unwrap();
    let waits = RefCell::new(Vec::new());
    let attempt = async || {
        let response =
            client
                .get(url)
                .send()
                .await
                .map_err(|error| match Failure::of_request(error) {
                    failure @ Failure::Permanent(_) => Trouble::Permanent(failure),
                    failure @ Failure::Transient(_) => Trouble::transient(failure),
                })?;
        let status = response.status();
        if is_transient(status) {
            return Err(Trouble::Transient {
                error: Failure::Transient(status.to_string()),
                retry_after: retry_after(response.headers(), SystemTime::UNIX_EPOCH),
            });
        }
        Ok(status.as_u16())
    };
    let result = RetryPolicy::default()
        .run(Jitter::seeded(1), attempt, |retrying| {
            waits.borrow_mut().push(retrying.wait);
        })
        .await;
    (result, waits.into_inner())
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_asked_again_when_it_says_and_a_cut_one_after_a_while() {
    const ANSWERS: &[Answer] = &[
        Answer::Status("429 Too Many Requests", "Retry-After: 7\r\n"),
        Answer::Status(
            "503 Service Unavailable",
            "Date: Sun, 06 Nov 1994 08:00:00 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:01:30 GMT\r\n",
        ),
        Answer::Status("502 Bad Gateway", ""),
        Answer::Cut,
        OK,
    ];
    let port = serve(ANSWERS, None);
    let (result, waits) = get(&format!("http://127.0.0.1:{port}/"), None).await;
    assert_eq!(result.unwrap(), 200);
    assert_eq!(waits[..2], [7, 90].map(Duration::from_secs));
    assert_eq!(waits.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_an_answer() {
    let port = serve(
        &[Answer::Status("403 Forbidden", "Retry-After: 7\r\n")],
        None,
    );
    let (result, waits) = get(&format!("http://127.0.0.1:{port}/"), None).await;
    assert_eq!((result.unwrap(), waits.len()), (403, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_not_there_is_tried_again_and_named_without_its_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let (result, waits) = get(&format!("http://127.0.0.1:{port}/x?sig=s3cret"), None).await;
    let given_up = result.unwrap_err();
    assert_eq!((given_up.n_attempts, waits.len()), (6, 5));
    let text = given_up.error.to_string();
    assert!(text.contains("onnection refused"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

/// publishing.md row 13: not retried, and the cause is named with what to do.
#[tokio::test(start_paused = true)]
async fn what_will_fail_again_is_said_at_once() {
    let permanent = async |url: &str, ca: Option<&Path>| {
        let (result, waits) = get(url, ca).await;
        let given_up = result.unwrap_err();
        assert!(waits.is_empty() && !given_up.is_transient, "{given_up:?}");
        match given_up.error {
            Failure::Permanent(cause) => cause,
            Failure::Transient(text) => panic!("{text}"),
        }
    };
    let port = serve(&[OK, OK, OK], Some(tls()));
    let https = format!("https://localhost:{port}/");
    let unknown = permanent(&https, None).await;
    assert_eq!(unknown, PermanentCause::UnknownAuthority);
    let text = unknown.to_string();
    assert!(
        text.contains("`--ca FILE`") && text.contains("`SSL_CERT_FILE`"),
        "{text}"
    );

    // With its authority the same server is trusted, by its own name alone.
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, include_str!("fixtures/ca.pem")).unwrap();
    let (result, _) = get(&https, Some(&ca)).await;
    assert_eq!(result.unwrap(), 200);
    let by_number = format!("https://127.0.0.1:{port}/");
    assert_eq!(
        permanent(&by_number, Some(&ca)).await,
        PermanentCause::OtherHost
    );

    let plain = without_tls();
    let to_plain = format!("https://localhost:{plain}/");
    assert_eq!(permanent(&to_plain, None).await, PermanentCause::NotTls);

    let no_address = permanent("http://", None).await;
    assert!(
        matches!(no_address, PermanentCause::Request(_)),
        "{no_address}"
    );
}

/// The certificate that the documentation of docker-registry makes, which is its own authority.
#[tokio::test(start_paused = true)]
async fn a_certificate_that_signs_itself_is_accepted_where_it_is_named() {
    let own = include_bytes!("fixtures/own.pem");
    let port = serve(
        &[OK, OK, OK],
        Some(tls_of(own, include_bytes!("fixtures/own.key"))),
    );
    let https = format!("https://localhost:{port}/");
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("own.pem");
    std::fs::write(&named, own).unwrap();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, include_bytes!("fixtures/ca.pem")).unwrap();
    for ca in [None, Some(other.as_path())] {
        let given_up = get(&https, ca).await.0.unwrap_err();
        let expected = Failure::Permanent(PermanentCause::OfAuthority);
        assert_eq!(given_up.error, expected);
        let text = given_up.error.to_string();
        assert!(text.contains("`--ca FILE`"), "{text}");
    }
    assert_eq!(get(&https, Some(&named)).await.0.unwrap(), 200);
}
