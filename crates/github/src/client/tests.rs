//! Requests against a server of this machine that answers as it is told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use super::*;

/// Status line and headers of each answer, in order, and a body of its own behind `|`; an empty one cuts the connection.
fn serve(answers: &'static [&'static str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = requests.clone();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut size) = (String::new(), 0);
            while reader.read_line(&mut head).unwrap() > 2 {
                let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                if let Some(text) = line.strip_prefix("content-length: ") {
                    size = text.parse().unwrap();
                }
            }
            reader.read_exact(&mut vec![0; size]).unwrap();
            seen.lock().unwrap().push(head);
            if !answer.is_empty() {
                let usual = "{\"login\":\"maria\",\"message\":\"words\"}";
                let (answer, body) = answer.split_once('|').unwrap_or((answer, usual));
                let n = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {answer}\r\nConnection: close\r\nContent-Length: {n}\r\n\r\n{body}"
                )
                .unwrap();
            }
        }
    });
    (url, requests)
}

/// The time is paused, so only the policy may wait.
fn options() -> Options {
    Options {
        client: ClientOptions {
            connect_timeout: None,
            read_timeout: None,
            ..ClientOptions::default()
        },
        ..Options::default()
    }
}

fn connect(url: &str) -> GitHub {
    GitHub::connect(url, "acme/digits", "ghs_s3cret", &options()).unwrap()
}

fn request(method: Method) -> Request {
    Request {
        body: (method == Method::POST).then(|| serde_json::json!({ "a": 1 })),
        method,
        route: "/user".to_owned(),
        doing: "ask",
        permission: Permission::ChecksRead,
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_github_is_asked_again_when_it_says() {
    let (url, requests) = serve(&[
        "429 Too Many Requests\r\nRetry-After: 7",
        "403 Forbidden\r\nX-RateLimit-Remaining: 0\r\nRetry-After: 20",
        "",
        "502 Bad Gateway",
        "200 OK",
    ]);
    let github = connect(&url);
    let started = tokio::time::Instant::now();
    let answer = github.send_for_value(&request(Method::GET)).await.unwrap();
    assert_eq!(answer["login"], "maria");
    let took = started.elapsed();
    assert!(took >= Duration::from_secs(27 + 2), "{took:?}");
    assert!(took <= Duration::from_secs(27 + 12), "{took:?}");
    let requests = requests.lock().unwrap();
    assert_eq!((requests.len(), github.n_calls()), (5, 5));
    assert!(
        requests[4]
            .to_ascii_lowercase()
            .contains("authorization: bearer ghs_s3cret")
    );
}

/// GraphQL answers 200 where REST answers 502.
#[tokio::test(start_paused = true)]
async fn a_query_that_went_wrong_within_github_is_repeated_and_a_wrong_query_is_not() {
    let trouble = "200 OK|{\"errors\":[{\"message\":\"Something went wrong while executing your query. Please include `A:1` when reporting this issue.\"}]}";
    let query = async |url: &str| {
        let github = GitHub::connect(
            url,
            "acme/digits",
            "ghs_s3cret",
            &Options {
                graphql_url: Some(url.to_owned()),
                ..options()
            },
        );
        github
            .unwrap()
            .query::<Value>("query", json!({}), "ask", Permission::ChecksRead)
            .await
    };
    let (url, requests) = serve(Vec::leak(vec![
        trouble,
        trouble,
        "200 OK|{\"data\":{\"a\":1}}",
    ]));
    assert_eq!(query(&url).await.unwrap(), json!({ "a": 1 }));
    assert_eq!(requests.lock().unwrap().len(), 3);

    let (url, requests) = serve(Vec::leak(vec![trouble; 5]));
    let error = query(&url).await.unwrap_err().to_string();
    assert!(
        error.contains("Something went wrong") && error.contains("5 attempts"),
        "{error}"
    );
    assert_eq!(requests.lock().unwrap().len(), 5);

    let (url, requests) =
        serve(&["200 OK|{\"errors\":[{\"message\":\"Field 'a' doesn't exist on type 'Query'\"}]}"]);
    let error = query(&url).await.unwrap_err();
    assert!(matches!(error, GitHubError::Malformed { .. }), "{error}");
    assert_eq!(requests.lock().unwrap().len(), 1);
}

/// It may have been carried out: the caller must check.
#[tokio::test(start_paused = true)]
async fn a_post_is_repeated_only_where_nothing_was_done() {
    for lost in [&["", "200 OK"], &["502 Bad Gateway", "200 OK"]] {
        let (url, requests) = serve(lost);
        let error = connect(&url).send_for_value(&request(Method::POST)).await;
        let error = error.unwrap_err();
        assert!(error.is_uncertain(), "{error}");
        assert_eq!(requests.lock().unwrap().len(), 1);
    }
    let (url, requests) = serve(&["429 Too Many Requests\r\nRetry-After: 7", "201 Created"]);
    let answer = connect(&url).send_for_value(&request(Method::POST)).await;
    assert_eq!(answer.unwrap()["login"], "maria");
    assert_eq!(requests.lock().unwrap().len(), 2);
}

/// A lost POST says nothing about the next request.
#[tokio::test(start_paused = true)]
async fn a_post_whose_connection_is_cut_ends_nothing_else() {
    let (url, requests) = serve(&["", "200 OK"]);
    let github = connect(&url);
    github
        .send_for_value(&request(Method::POST))
        .await
        .unwrap_err();
    github.send_for_value(&request(Method::GET)).await.unwrap();
    let requests = requests.lock().unwrap();
    let lines: Vec<_> = requests
        .iter()
        .filter_map(|head| head.lines().next())
        .collect();
    assert_eq!(lines, ["POST /user HTTP/1.1", "GET /user HTTP/1.1"]);
}

/// A dozen calls once took a dozen deadlines.
#[tokio::test]
async fn a_host_that_never_answers_costs_one_deadline() {
    // Connections are taken in, and nothing is said.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options();
    options.client.read_timeout = Some(Duration::from_millis(50));
    options.retry = RetryPolicy {
        n_attempts: 2,
        first_delay: Duration::from_millis(1),
        ..options.retry
    };
    let url = format!("http://{}", listener.local_addr().unwrap());
    let github = GitHub::connect(&url, "acme/digits", "ghs_s3cret", &options).unwrap();
    for method in [Method::GET, Method::PATCH, Method::POST, Method::GET] {
        let error = github.send_for_value(&request(method)).await.unwrap_err();
        assert!(matches!(error, GitHubError::Unreachable { .. }), "{error}");
    }
    assert_eq!(github.n_calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_lasts_longer_than_a_report_is_worth_is_said() {
    let (url, requests) = serve(&["403 Forbidden\r\nRetry-After: 3000"]);
    let error = connect(&url).send_for_value(&request(Method::GET)).await;
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("403 Forbidden: words; the limit ends in 3000 s (1 attempt)"),
        "{text}"
    );
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_will_fail_again_is_said_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        // To close with bytes unread would reset the connection, maybe before the answer is read.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let github = connect(&format!("https://{address}"));
    let error = github.send_for_value(&request(Method::GET)).await;
    let error = error.unwrap_err();
    assert!(matches!(error, GitHubError::Permanent { .. }), "{error}");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    assert_eq!(github.n_calls(), 1);
}
