use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trainyard_core::digest::Sha256Digest;

use super::*;

/// What the server does with one request.
#[derive(Clone, Copy)]
enum Answer {
    /// All of the content, whatever part was asked for.
    Whole,
    /// The part that was asked for.
    Part,
    /// A part that begins elsewhere.
    WrongPart,
    /// Only the first bytes of what was promised, then the connection ends.
    CutOff(usize),
    /// This status line, with these headers.
    Status(&'static str, &'static str),
}

/// An HTTP server that gives one answer after the other, each on a connection of its own.
struct Server {
    url: String,
    /// The `Range` of each request.
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    fn start(content: &[u8], answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "http://{}/data.npy?signature=s3cret",
            listener.local_addr().unwrap()
        );
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let (content, answers, seen) =
            (content.to_owned(), answers.to_owned(), Arc::clone(&ranges));
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let range = BufReader::new(&stream)
                    .lines()
                    .map_while(Result::ok)
                    .take_while(|line| !line.is_empty())
                    .filter_map(|line| {
                        let range = line.to_lowercase();
                        range
                            .strip_prefix("range: bytes=")?
                            .strip_suffix('-')?
                            .parse()
                            .ok()
                    })
                    .last();
                seen.lock().unwrap().push(range);
                let (start, n_sent) = match answer {
                    Answer::Part => (range.unwrap_or(0), content.len()),
                    Answer::WrongPart => (1, content.len()),
                    Answer::CutOff(n_sent) => (range.unwrap_or(0), n_sent),
                    Answer::Whole | Answer::Status(..) => (0, content.len()),
                };
                let body = &content[start..];
                let head = match answer {
                    Answer::Status(status, headers) => {
                        format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n")
                    }
                    _ if start > 0 => {
                        let (last, total) = (content.len() - 1, content.len());
                        let n = body.len();
                        format!(
                            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{last}/{total}\r\nContent-Length: {n}\r\n\r\n"
                        )
                    }
                    _ => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()),
                };
                stream.write_all(head.as_bytes()).unwrap();
                if !matches!(answer, Answer::Status(..)) {
                    let _ = stream.write_all(&body[..n_sent.min(body.len())]);
                }
            }
        });
        Self { url, ranges }
    }

    fn remote(&self, content: &[u8]) -> Remote {
        Remote {
            url: self.url.clone(),
            sha256: Sha256Digest::of(content),
        }
    }

    fn ranges(&self) -> Vec<Option<usize>> {
        self.ranges.lock().unwrap().clone()
    }
}

fn downloads(folder: &tempfile::TempDir) -> Downloads {
    Downloads::to(folder.path()).with_first_delay(Duration::from_millis(1))
}

fn content() -> Vec<u8> {
    (0..200_000_u32)
        .map(|value| (value.wrapping_mul(value) >> 7) as u8)
        .collect()
}

#[test]
fn a_file_is_downloaded_once_and_a_damaged_one_again() {
    let content = content();
    let server = Server::start(&content, &[Answer::Whole, Answer::Whole]);
    let folder = tempfile::tempdir().unwrap();
    let remote = server.remote(&content);
    for _ in 0..3 {
        let path = downloads(&folder).fetch(&remote).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
    assert_eq!(server.ranges().len(), 1);
    std::fs::write(remote.locate(folder.path()), b"damaged").unwrap();
    let path = downloads(&folder).fetch(&remote).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_download_that_was_cut_off_goes_on_where_it_stopped() {
    let content = content();
    let answers = [
        Answer::CutOff(70_000),
        Answer::Status("503 Service Unavailable", "Retry-After: 0\r\n"),
        Answer::CutOff(50_000),
        Answer::Part,
    ];
    let server = Server::start(&content, &answers);
    let folder = tempfile::tempdir().unwrap();
    let path = downloads(&folder).fetch(&server.remote(&content)).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content);
    assert_eq!(
        server.ranges(),
        [None, Some(70_000), Some(70_000), Some(120_000)]
    );
}

#[test]
fn what_does_not_fit_what_was_there_is_thrown_away() {
    let content = content();
    for second in [Answer::Whole, Answer::WrongPart] {
        let answers = [Answer::CutOff(70_000), second, Answer::Whole];
        let server = Server::start(&content, &answers);
        let folder = tempfile::tempdir().unwrap();
        let path = downloads(&folder).fetch(&server.remote(&content)).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), content);
    }
    // A part of an older file, whose rest is of the new one.
    let server = Server::start(&content, &[Answer::Part, Answer::Whole]);
    let folder = tempfile::tempdir().unwrap();
    let remote = server.remote(&content);
    std::fs::write(remote.locate(folder.path()).with_extension("part"), b"old").unwrap();
    let path = downloads(&folder).fetch(&remote).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content);
    assert_eq!(server.ranges(), [Some(3), None]);
}

#[test]
fn another_file_than_the_configuration_names_is_refused_and_not_kept() {
    let server = Server::start(b"other", &[Answer::Whole]);
    let folder = tempfile::tempdir().unwrap();
    let error = downloads(&folder)
        .fetch(&server.remote(b"expected"))
        .unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, FetchError::Digest { size_bytes: 5, .. }),
        "{text}"
    );
    assert!(text.contains(Sha256Digest::of(b"other").as_str()), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
    assert_eq!(error.exit_code(), ExitCode::Data);
    assert!(!server.remote(b"expected").locate(folder.path()).exists());
}

#[test]
fn a_refusal_is_final_and_trouble_ends_after_five_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(b"", &[Answer::Status("404 Not Found", "")]);
    let error = downloads(&folder).fetch(&server.remote(b"x")).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("the server answers 404 Not Found"),
        "{error}"
    );
    assert_eq!(error.exit_code(), ExitCode::Service);

    let server = Server::start(b"", &[Answer::Status("502 Bad Gateway", ""); 5]);
    let error = downloads(&folder).fetch(&server.remote(b"x")).unwrap_err();
    assert!(
        error.to_string().ends_with("502 Bad Gateway (5 attempts)"),
        "{error}"
    );
    assert!(!error.to_string().contains("s3cret"), "{error}");
    assert_eq!(server.ranges().len(), 5);
}

#[test]
fn a_server_that_is_not_there_is_named_without_the_query() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let remote = Remote {
        url: format!("http://127.0.0.1:{port}/x?signature=s3cret"),
        sha256: Sha256Digest::of(b"x"),
    };
    let folder = tempfile::tempdir().unwrap();
    let text = downloads(&folder).fetch(&remote).unwrap_err().to_string();
    assert!(text.contains("Connection refused"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn what_will_fail_again_is_said_at_once_with_its_cause() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        // To close with bytes unread would reset the connection, maybe before the answer is read.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let remote = Remote {
        url: format!("https://{address}/x?signature=s3cret"),
        sha256: Sha256Digest::of(b"x"),
    };
    // With the usual waits, which would be noticed.
    let error = Downloads::to(folder.path()).fetch(&remote).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("does not speak TLS"), "{text}");
    assert!(
        !text.contains("attempts") && !text.contains("s3cret"),
        "{text}"
    );
    assert_eq!(error.exit_code(), ExitCode::Service);
}

#[test]
fn a_file_of_authorities_that_is_not_there_is_a_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(b"x", &[]);
    let ca = folder.path().join("ca.pem");
    let error = downloads(&folder)
        .with_ca(Some(&ca))
        .fetch(&server.remote(b"x"))
        .unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Usage);
    let text = trainyard_net::in_one_line(&error);
    assert!(
        text.contains("authorities in") && text.contains("ca.pem"),
        "{text}"
    );
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn two_at_once_download_once() {
    let content = content();
    let server = Server::start(&content, &[Answer::Whole]);
    let folder = tempfile::tempdir().unwrap();
    let (downloads, remote) = (downloads(&folder), server.remote(&content));
    std::thread::scope(|scope| {
        let both = [0, 1].map(|_| scope.spawn(|| downloads.fetch(&remote).unwrap()));
        for path in both {
            assert_eq!(std::fs::read(path.join().unwrap()).unwrap(), content);
        }
    });
    assert_eq!(server.ranges().len(), 1);
}

#[test]
fn the_cache_is_where_the_user_says_or_the_system_keeps_caches() {
    let of = |cache: Option<&str>, variables: &[(&str, &str)]| {
        let args = DataArgs {
            cache: cache.map(PathBuf::from),
            ca: None,
        };
        args.folder(&variables.iter().copied().collect())
    };
    let variables = [("XDG_CACHE_HOME", "/x"), ("HOME", "/home/u")];
    assert_eq!(of(Some("c"), &variables).unwrap(), Path::new("c/downloads"));
    assert_eq!(
        of(None, &variables).unwrap(),
        Path::new("/x/trainyard/downloads")
    );
    assert_eq!(
        of(None, &variables[1..]).unwrap(),
        Path::new("/home/u/.cache/trainyard/downloads")
    );
    assert_eq!(of(None, &[]), None);
}
