//! A client of HTTP/1.1 that costs the machine little: it sends bytes which were made before, and reads of an answer what it needs to
//! find its end. One connection, kept for as long as the server keeps it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// A server that takes longer than this for an answer has lost the request.
const PATIENCE: Duration = Duration::from_mins(1);

/// The head and body of a request that keeps its connection.
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Bytes of its body, as they were sent.
    pub n_body_bytes: usize,
    /// Whether the server ends the connection behind it.
    is_last: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Lost {
    /// There is no connection: nothing was sent.
    NotConnected(io::Error),
    /// The connection ended before the answer did.
    CutOff(io::Error),
    /// A minute has passed.
    Silent,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(error) => write!(f, "not connected: {}", error.kind()),
            Self::CutOff(error) => write!(f, "cut off: {}", error.kind()),
            Self::Silent => write!(f, "no answer within {} s", PATIENCE.as_secs()),
        }
    }
}

/// One client.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    received: Vec<u8>,
}

impl Client {
    /// Connects with the first request.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            stream: None,
            received: Vec::with_capacity(64 << 10),
        }
    }

    /// Makes a new connection for the next request.
    pub fn disconnect(&mut self) {
        self.stream = None;
    }

    /// Sends `request` and waits for its answer.
    pub async fn ask(&mut self, request: &[u8]) -> Result<Answer, Lost> {
        let asked = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        let answer = asked.unwrap_or(Err(Lost::Silent));
        if !answer.as_ref().is_ok_and(|answer| !answer.is_last) {
            self.stream = None;
        }
        answer
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<Answer, Lost> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(self.address).await;
                let stream = stream.map_err(Lost::NotConnected)?;
                // A request is one piece; nothing is gained by waiting for more.
                let _ = stream.set_nodelay(true);
                none.insert(stream)
            }
        };
        self.received.clear();
        let (mut from, mut to) = stream.split();
        // Most requests fit into the socket's buffer. While a longer one is on its way, its answer may come: a server that refuses it
        // does not wait for its end, and ends the connection.
        let n_sent = to.try_write(request).unwrap_or(0);
        let answer = read_answer(&mut from, &mut self.received);
        let answer = if n_sent == request.len() {
            answer.await
        } else {
            send_and_read(&mut to, &request[n_sent..], answer).await
        };
        answer.map_err(Lost::CutOff)
    }
}

async fn send_and_read(
    to: &mut WriteHalf<'_>,
    request: &[u8],
    answer: impl Future<Output = io::Result<Answer>>,
) -> io::Result<Answer> {
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => return answer.map(|answer| Answer { is_last: true, ..answer }),
        _ = to.write_all(request) => {}
    }
    // If sending failed, the answer may be there all the same.
    answer.await
}

async fn read_answer(from: &mut ReadHalf<'_>, received: &mut Vec<u8>) -> io::Result<Answer> {
    let n_head_bytes = loop {
        read_more(from, received).await?;
        if let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&received[..n_head_bytes]);
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    let status: u16 = status.ok_or_else(|| invalid("no status"))?;
    let header = |wanted: &str| {
        let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
        let found = lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    let is_last = header("connection").is_some_and(|value| value == "close");
    let is_chunked = header("transfer-encoding").is_some();
    let length = header("content-length").map(|length| length.parse::<usize>());
    drop(head);
    match length {
        Some(Ok(length)) => {
            while received.len() < n_head_bytes + length {
                read_more(from, received).await?;
            }
        }
        // JSON has no such line, so that this is the last chunk.
        None if is_chunked => {
            while !received.ends_with(b"0\r\n\r\n") {
                read_more(from, received).await?;
            }
        }
        _ => return Err(invalid("an answer of unknown length")),
    }
    Ok(Answer {
        status,
        n_body_bytes: received.len() - n_head_bytes,
        is_last,
    })
}

async fn read_more(from: &mut ReadHalf<'_>, received: &mut Vec<u8>) -> io::Result<()> {
    match from.read_buf(received).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    /// A server that reads one request and answers so, over one connection.
    fn serving(answers: &'static [&'static [u8]]) -> SocketAddr {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let _ = stream.read(&mut [0; 1024]);
                for piece in answer.chunks(7) {
                    let _ = stream.write_all(piece);
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn answers_are_read_to_their_end_over_one_connection() {
        let address = serving(&[
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
            b"HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ]);
        let mut client = Client::new(address);
        let asked = request("GET", "/", &[], b"");
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(client.ask(&asked).await.unwrap().status);
        }
        assert_eq!(statuses, [200, 503, 404]);
        assert!(client.stream.is_none());
    }

    #[tokio::test]
    async fn half_an_answer_is_lost() {
        let address = serving(&[b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"]);
        let lost = Client::new(address).ask(b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(matches!(lost, Err(Lost::CutOff(_))), "{lost:?}");
        let lost = Client::new(address).ask(b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(matches!(lost, Err(Lost::NotConnected(_))), "{lost:?}");
    }
}
