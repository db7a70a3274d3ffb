//! A running server and requests to it.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::stage;

/// A server of this test alone, gone when it is dropped.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) address: String,
}

impl Server {
    /// Serves the model in `folder` on a free port.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &["--max-body-mib", "1"])
    }

    /// The same with these options.
    pub(crate) fn start_with(folder: &Path, options: &[&str]) -> Self {
        let mut serve = stage("serve");
        serve
            .args(["--host", "127.0.0.1", "--port", "0", "--model"])
            .arg(folder)
            .args(options);
        Self::spawn(&mut serve)
    }

    /// The same, with its log in a file.
    pub(crate) fn start_logging(folder: &Path, options: &[&str], log: &Path) -> Self {
        let mut serve = stage("serve");
        serve
            .args(["--host", "127.0.0.1", "--port", "0", "--model"])
            .arg(folder)
            .args(options)
            .stderr(File::create(log).unwrap());
        Self::listening(&mut serve)
    }

    /// Runs `serve`, which says its address.
    pub(crate) fn spawn(serve: &mut Command) -> Self {
        Self::listening(serve.stderr(Stdio::null()))
    }

    fn listening(serve: &mut Command) -> Self {
        let mut process = serve.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let (_scheme, address) = line.trim().split_once("://").expect(&line);
        let address = address.to_owned();
        Self { process, address }
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        request(&self.address, "GET", path, b"").unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_text(path, &body.to_string())
    }

    pub(crate) fn post_text(&self, path: &str, body: &str) -> (u16, Value) {
        request(&self.address, "POST", path, body.as_bytes()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in small letters.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Reads from `stream` until the server closes it.
    pub(crate) fn read(stream: &mut TcpStream) -> std::io::Result<Self> {
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let Some(end) = end else {
            read?;
            let text = String::from_utf8_lossy(&answer);
            return Err(std::io::Error::other(format!("no answer: {text:?}")));
        };
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Ok(Self {
            status: status.ok_or_else(|| std::io::Error::other(head.clone()))?,
            headers: lines.filter_map(header).collect(),
            body: answer[end + 4..].to_vec(),
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(it, _)| it == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

/// One exchange over a connection of its own.
pub(crate) fn exchange(
    address: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let headers: String = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    // A server that refuses a body may answer before it has all of it.
    let _ = stream.write_all(body);
    Answer::read(&mut stream)
}

/// One exchange over a connection of its own: the status and the JSON.
pub(crate) fn request(
    address: &str,
    method: &str,
    path: &str,
    body: &[u8],
) -> std::io::Result<(u16, Value)> {
    let answer = exchange(address, method, path, &[], body)?;
    Ok((answer.status, answer.json()))
}
