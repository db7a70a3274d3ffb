//! A server that gives out docker-registry's tokens (distribution specification, "Token Authentication"): JSON web tokens that openssl
//! signs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::program;
use crate::support::run;

/// Seconds that a token lasts.
const LIFETIME_S: u64 = 3;

/// What the registry must be told of the server.
pub(super) fn start(folder: &Path) -> Value {
    let (key, certificate) = (folder.join("token.key"), folder.join("token.pem"));
    run(program("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=tokens",
            "-keyout",
        ])
        .arg(&key)
        .arg("-out")
        .arg(&certificate));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (signer, bundle) = (key.clone(), certificate.clone());
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let _ = answer(stream, &signer, &bundle);
        }
    });
    json!({"token": {
        "realm": format!("http://{address}/token"),
        "service": "tests",
        "issuer": "tests",
        "rootcertbundle": certificate,
    }})
}

fn answer(mut stream: TcpStream, key: &Path, certificate: &Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut is_known = false;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let header = header.trim();
        if header.is_empty() {
            break;
        }
        // `ci:s3cret`.
        is_known |= header.to_ascii_lowercase().starts_with("authorization:")
            && header.ends_with("Basic Y2k6czNjcmV0");
    }
    let (status, body) = if is_known {
        let query = line.split(['?', ' ']).nth(2).unwrap_or_default();
        (
            "200 OK",
            json!({"token": token(query, key, certificate), "expires_in": LIFETIME_S}),
        )
    } else {
        ("401 Unauthorized", json!({}))
    };
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A token for the scopes in `query`.
fn token(query: &str, key: &Path, certificate: &Path) -> String {
    let scopes = query
        .split('&')
        .filter_map(|pair| pair.strip_prefix("scope="));
    let access: Vec<Value> = scopes
        .filter_map(|scope| {
            let scope = scope
                .replace("%3A", ":")
                .replace("%2F", "/")
                .replace("%2C", ",");
            let (kind, rest) = scope.split_once(':')?;
            let (name, actions) = rest.rsplit_once(':')?;
            let actions: Vec<&str> = actions.split(',').collect();
            Some(json!({"type": kind, "name": name, "actions": actions}))
        })
        .collect();
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let der = run_bytes(
        program("openssl")
            .args(["x509", "-outform", "der", "-in"])
            .arg(certificate),
    );
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [BASE64_STANDARD.encode(der)]});
    let claims = json!({
        "iss": "tests", "sub": "ci", "aud": "tests", "jti": now.to_string(),
        "iat": now, "nbf": now - 5, "exp": now + LIFETIME_S, "access": access,
    });
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let mut payload = tempfile::NamedTempFile::new().unwrap();
    payload.write_all(signed.as_bytes()).unwrap();
    let signature = run_bytes(
        program("openssl")
            .args(["dgst", "-sha256", "-sign"])
            .arg(key)
            .arg(payload.path()),
    );
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn run_bytes(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    output.stdout
}
