//! A push against a registry of this process, which misbehaves in one way a test.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::layout::tests::small_layout;

/// An answer: the status line, headers that each end with a line break, and the body.
#[derive(Clone)]
struct Answer(&'static str, String, String);

fn says(status: &'static str, headers: impl Into<String>) -> Answer {
    Answer(status, headers.into(), String::new())
}

/// What the registry knows.
#[derive(Default)]
struct State {
    /// `METHOD path` of each request, without its query.
    requests: Vec<String>,
    blobs: BTreeSet<String>,
    tags: BTreeMap<String, Vec<u8>>,
    /// Answers in place of the usual ones, by what a request begins with; each is given once.
    faults: Vec<(&'static str, Answer)>,
    /// Tokens are wanted where this is set; each login gives the next number.
    n_tokens: Option<u32>,
    /// The token that holds now.
    valid_token: u32,
    /// Uploads are sent on to another address.
    is_redirecting: bool,
}

/// A registry that speaks as much of the protocol as a push needs.
struct Fake {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Fake {
    fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(state));
        let (shared, named) = (state.clone(), address.clone());
        std::thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                // A client that is gone before the answer is the client's business.
                let _ = answer(stream, &named, &mut shared.lock().unwrap());
            }
        });
        Self { address, state }
    }

    fn count(&self, request: &str) -> usize {
        let state = self.state.lock().unwrap();
        let fits = |made: &&String| made.starts_with(request);
        state.requests.iter().filter(fits).count()
    }
}

fn answer(mut stream: TcpStream, address: &str, state: &mut State) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let size = headers.get("content-length");
    let mut body = vec![0; size.map_or(0, |size| size.parse().unwrap())];
    reader.read_exact(&mut body)?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let request = format!("{method} {path}");
    let Answer(status, headers, body) = respond(&request, query, &headers, body, address, state);
    state.requests.push(request);
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn respond(
    request: &str,
    query: &str,
    headers: &BTreeMap<String, String>,
    body: Vec<u8>,
    address: &str,
    state: &mut State,
) -> Answer {
    let fault = state
        .faults
        .iter()
        .position(|(start, _)| request.starts_with(start));
    if let Some(idx) = fault {
        return state.faults.remove(idx).1;
    }
    if request == "GET /token" {
        assert!(
            query.contains("scope=repository%3Aacme%2Fm%3Apull%2Cpush"),
            "{query}"
        );
        let token = state.n_tokens.get_or_insert(0);
        *token += 1;
        state.valid_token = *token;
        let answer = format!("{{\"token\":\"t{token}\",\"expires_in\":300}}");
        return Answer("200 OK", String::new(), answer);
    }
    let token = format!("Bearer t{}", state.valid_token);
    if state.n_tokens.is_some() && headers.get("authorization") != Some(&token) {
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"fake\"\r\n"
        );
        return says("401 Unauthorized", challenge);
    }
    let last = request.rsplit('/').next().unwrap_or_default().to_owned();
    match request.split_once("/v2/acme/m/") {
        Some(("HEAD ", rest)) if rest.starts_with("blobs/") => {
            let is_there = state.blobs.contains(&last);
            says(if is_there { "200 OK" } else { "404 Not Found" }, "")
        }
        Some(("POST ", _)) => says(
            "202 Accepted",
            "Location: /v2/acme/m/blobs/uploads/1?_state=s3cret\r\n",
        ),
        Some(("PUT ", "blobs/uploads/1")) if state.is_redirecting => says(
            "307 Temporary Redirect",
            format!("Location: /v2/acme/m/blobs/uploads/2?{query}\r\n"),
        ),
        Some(("PUT ", rest)) if rest.starts_with("blobs/") => {
            let digest = Sha256Digest::of(&body).to_string();
            let named = digest.replace(':', "%3A");
            if !query.ends_with(&format!("&digest={named}")) {
                return says("400 Bad Request", "");
            }
            state.blobs.insert(digest);
            says("201 Created", "")
        }
        Some(("PUT ", _)) => {
            state.tags.insert(last, body);
            says("201 Created", "")
        }
        Some(("HEAD ", _)) => match state.tags.get(&last) {
            Some(manifest) => {
                let digest = Sha256Digest::of(manifest);
                says("200 OK", format!("Docker-Content-Digest: {digest}\r\n"))
            }
            None => says("404 Not Found", ""),
        },
        _ => says("200 OK", ""),
    }
}

/// What came out, the waits and what was said of each.
async fn push(fake: &Fake) -> (Result<Pushed, PushError>, Vec<(Duration, String)>) {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = small_layout(folder.path(), b"model");
    let waits = Arc::new(Mutex::new(Vec::new()));
    let recorded = waits.clone();
    let progress: ProgressFn = Arc::new(move |step| {
        if let Progress::Retrying { wait, reason, .. } = step {
            recorded.lock().unwrap().push((wait, reason));
        }
    });
    let options = ConnectOptions {
        credentials: Credentials::Basic {
            username: "ci".to_owned(),
            password: "pw".to_owned(),
        },
        plain_http: Vec::new(),
        // The time is paused, so only the policy may wait.
        client: ClientOptions {
            connect_timeout: None,
            read_timeout: None,
            ..ClientOptions::default()
        },
        retry: RetryPolicy::default(),
    };
    let to: ImageReference = format!("{}/acme/m", fake.address).parse().unwrap();
    let registry = Registry::connect(&to, options, progress).unwrap();
    let source = PushSource {
        layout: &layout,
        manifest: &manifest,
    };
    let tags = [TagPlan::immutable("1.0.0"), TagPlan::floating("1.0")];
    let result = registry.push(source, &tags).await;
    let waits = waits.lock().unwrap().clone();
    (result, waits)
}

fn with_faults(faults: &[(&'static str, Answer)]) -> State {
    State {
        faults: faults.to_vec(),
        ..State::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_sends_each_blob_once_and_tags_last() {
    let fake = Fake::start(State::default());
    let (pushed, waits) = push(&fake).await;
    let pushed = pushed.unwrap();
    assert_eq!(
        (pushed.tags, waits.len()),
        (vec!["1.0.0".to_owned(), "1.0".to_owned()], 0)
    );
    let n_blobs = fake.state.lock().unwrap().blobs.len();
    assert_eq!(
        (pushed.n_uploaded, fake.count("PUT /v2/acme/m/blobs/")),
        (n_blobs, n_blobs)
    );
    // publishing.md row 18: asked once how to log in.
    assert_eq!(fake.count("GET /v2/"), 1);
    let again = push(&fake).await.0.unwrap();
    assert_eq!((again.n_uploaded, again.n_present), (0, n_blobs));
}

/// publishing.md rows 8 and 16, on each kind of request.
#[tokio::test(start_paused = true)]
async fn a_busy_registry_is_asked_again_when_it_says() {
    for request in [
        "GET /v2/",
        "HEAD /v2/acme/m/blobs/",
        "POST /v2/acme/m/blobs/uploads/",
        "PUT /v2/acme/m/blobs/uploads/",
        "PUT /v2/acme/m/manifests/",
        "HEAD /v2/acme/m/manifests/",
    ] {
        let fake = Fake::start(with_faults(&[
            (request, says("429 Too Many Requests", "Retry-After: 7\r\n")),
            (request, says("503 Service Unavailable", "")),
        ]));
        let (pushed, waits) = push(&fake).await;
        pushed.unwrap();
        assert_eq!(waits.len(), 2, "{request}: {waits:?}");
        assert_eq!(waits[0].0, Duration::from_secs(7), "{request}");
        assert!(waits[1].0 <= Duration::from_secs(2), "{request}");
        for (_, reason) in waits {
            // Row 14: an upload's address is signed.
            assert!(
                !reason.contains("s3cret") && !reason.contains("http"),
                "{reason}"
            );
        }
    }
}

/// publishing.md row 9.
#[tokio::test(start_paused = true)]
async fn a_token_server_in_trouble_is_asked_again() {
    let busy = (
        "GET /token",
        says("503 Service Unavailable", "Retry-After: 3\r\n"),
    );
    let fake = Fake::start(State {
        n_tokens: Some(0),
        ..with_faults(&[busy])
    });
    let (pushed, waits) = push(&fake).await;
    pushed.unwrap();
    assert_eq!(waits[0].0, Duration::from_secs(3));
    assert_eq!(
        waits[0].1,
        "the registry's token server answers 503 Service Unavailable"
    );
    assert_eq!(fake.count("GET /token"), 2);

    // For good, it is said to be in trouble, not that the password is wrong.
    let busy = ("GET /token", says("503 Service Unavailable", ""));
    let fake = Fake::start(State {
        n_tokens: Some(0),
        ..with_faults(&vec![busy; 9])
    });
    let error = push(&fake).await.0.unwrap_err();
    assert!(
        matches!(error, PushError::Unreachable { n_attempts: 6, .. }),
        "{error}"
    );
    let text = trainyard_net::in_one_line(&error);
    assert!(text.contains("token server answers 503"), "{text}");
    assert!(!text.contains("password"), "{text}");

    let refused = ("GET /token", says("401 Unauthorized", ""));
    let fake = Fake::start(State {
        n_tokens: Some(0),
        ..with_faults(&[refused])
    });
    let (error, waits) = push(&fake).await;
    assert!(matches!(error, Err(PushError::Unauthorized { .. })) && waits.is_empty());
}

/// Both names are in use (distribution specification, "Token Authentication").
#[tokio::test(start_paused = true)]
async fn a_token_is_read_under_either_name() {
    let gives = |body: &str| {
        let answer = Answer("200 OK", String::new(), body.to_owned());
        Fake::start(State {
            n_tokens: Some(0),
            ..with_faults(&[("GET /token", answer)])
        })
    };
    for body in [
        r#"{"access_token":"t0"}"#,
        r#"{"token":null,"access_token":"t0","expires_in":300}"#,
        r#"{"token":"t0","access_token":"other"}"#,
    ] {
        push(&gives(body)).await.0.expect(body);
    }
    for body in ["{}", "<html>", r#"{"token":7}"#] {
        let text = trainyard_net::in_one_line(&push(&gives(body)).await.0.unwrap_err());
        assert!(
            text.contains("token server") && text.contains("no JSON object with a `token`"),
            "{text}"
        );
    }
}

/// publishing.md row 9: a token that ends in the middle of a push is renewed, once a request.
#[tokio::test(start_paused = true)]
async fn a_token_that_has_ended_is_renewed() {
    let fake = Fake::start(State {
        n_tokens: Some(0),
        ..State::default()
    });
    let ended = |state: &mut State| {
        let challenge = format!(
            "WWW-Authenticate: Bearer realm=\"http://{}/token\"\r\n",
            fake.address
        );
        state.faults = vec![
            (
                "POST /v2/acme/m/blobs/uploads/",
                says("401 Unauthorized", challenge.clone()),
            ),
            (
                "PUT /v2/acme/m/manifests/1.0.0",
                says("401 Unauthorized", challenge),
            ),
        ];
    };
    ended(&mut fake.state.lock().unwrap());
    let (pushed, waits) = push(&fake).await;
    pushed.unwrap();
    assert_eq!((waits.len(), fake.count("GET /token")), (0, 3));
}

/// publishing.md row 17: the body is sent again to where the registry points.
#[tokio::test(start_paused = true)]
async fn a_redirected_upload_is_followed() {
    let fake = Fake::start(State {
        is_redirecting: true,
        ..State::default()
    });
    let pushed = push(&fake).await.0.unwrap();
    assert_eq!(
        fake.count("PUT /v2/acme/m/blobs/uploads/2"),
        pushed.n_uploaded
    );
}

/// publishing.md row 13: at once, with the cause first.
#[tokio::test(start_paused = true)]
async fn what_will_fail_again_is_not_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            // To close with bytes unread would reset the connection, maybe before the answer is read.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    // Not one of the names by which this machine is taken for a registry without TLS.
    let fake = Fake {
        address: format!("0.0.0.0:{port}"),
        state: Arc::default(),
    };
    let (result, waits) = push(&fake).await;
    let error = result.unwrap_err();
    assert!(waits.is_empty(), "{waits:?}");
    assert!(matches!(error, PushError::Permanent { .. }), "{error}");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
}

#[test]
fn this_machine_is_known_by_its_names() {
    for registry in [
        "localhost",
        "localhost:5000",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:5000",
    ] {
        assert!(is_this_machine(registry), "{registry}");
    }
    for registry in [
        "ghcr.io",
        "localhost.example.org",
        "127.0.0.1.example.org:80",
    ] {
        assert!(!is_this_machine(registry), "{registry}");
    }
}
