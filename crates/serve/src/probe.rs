//! Whether the server that runs here is ready: what a container's health check runs, since nothing else is in the image.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A server that takes longer for so small an answer is not well.
const TIMEOUT: Duration = Duration::from_secs(2);

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

/// The first line of the answer.
fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(
        b"GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    // The line is short; what follows it does not matter.
    stream.take(1 << 10).read_to_end(&mut answer)?;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.lines().next().unwrap_or_default().to_owned())
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
