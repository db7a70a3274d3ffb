//! Requests that are almost right: valid ones of every kind, each changed in a few places, the same for the same seed.

use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

/// What stands where something else belongs.
const TOKENS: [&str; 40] = [
    "0",
    "-1",
    "1e999",
    "-1e-400",
    "NaN",
    "Infinity",
    "-0.0",
    "1e39",
    "9223372036854775808",
    "18446744073709551616",
    "null",
    "true",
    "false",
    "\"",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    "[[[[[[[[[[[[",
    ",",
    ":",
    "{}",
    "[]",
    "\"\"",
    "\u{feff}",
    "é",
    "/*",
    "\0",
    "FP16",
    "BF16",
    "BYTES",
    "BOOL",
    "INT8",
    "\"binary_data_size\":4",
    "\"classification\":-1",
    "\"sequence_id\":1",
    "b64",
    "%00",
];

/// Headers that a server reads, with values that it may not expect.
const HEADERS: [(&str, &str); 22] = [
    ("Content-Length", "0"),
    ("Content-Length", "18446744073709551615"),
    ("Content-Length", "-1"),
    ("Content-Length", "1, 1"),
    ("Transfer-Encoding", "chunked"),
    ("Transfer-Encoding", "gzip, chunked"),
    ("Content-Encoding", "gzip"),
    ("Content-Encoding", "deflate"),
    ("Content-Encoding", "zstd"),
    ("Content-Encoding", "br"),
    ("Content-Encoding", "gzip, gzip"),
    ("Accept-Encoding", "gzip;q=nan, deflate;q=-1"),
    ("Accept-Encoding", "*"),
    ("Expect", "100-continue"),
    ("Expect", "200-ok"),
    ("Inference-Header-Content-Length", "0"),
    ("Inference-Header-Content-Length", "7"),
    ("Inference-Header-Content-Length", "99999999999999999999"),
    ("Inference-Header-Content-Length", "1e3"),
    ("Connection", "upgrade, close"),
    ("Host", ""),
    ("Content-Type", "text/plain; charset=\"é\""),
];

const METHODS: [&str; 10] = [
    "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "PATCH", "CONNECT", "get",
];

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    Plain,
    Gzip,
    Deflate,
}

/// A valid request in its parts.
#[derive(Debug, Clone)]
struct Request {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    coding: Coding,
    is_chunked: bool,
}

/// Makes requests.
#[derive(Debug)]
pub struct Mutator {
    random: Random,
    valid: Vec<Request>,
}

impl Mutator {
    /// Of requests to the model `name`, whose rows have this shape.
    pub fn new(seed: u64, name: &str, row_shape: &[usize]) -> Self {
        Self {
            random: Random(seed),
            valid: valid(name, row_shape),
        }
    }

    /// The requests as they are, each of which is answered by 200.
    pub fn valid(&mut self) -> Vec<Vec<u8>> {
        let Self { random, valid } = self;
        let wire = valid.iter().map(|request| request.to_bytes(random, false));
        wire.collect()
    }

    /// One of them, changed.
    pub fn next_request(&mut self) -> Vec<u8> {
        let Self { random, valid } = self;
        let mut request = random.choose(valid).clone();
        for _ in 0..=random.below(3) {
            match random.below(12) {
                0..=6 => random.change(&mut request.body),
                7 => {
                    let (name, value) = *random.choose(&HEADERS);
                    request.headers.push((name.to_owned(), value.to_owned()));
                }
                8 => {
                    if !request.headers.is_empty() {
                        let idx = random.below(request.headers.len());
                        request.headers.remove(idx);
                    }
                }
                9 => {
                    let mut path = request.path.into_bytes();
                    random.change(&mut path);
                    request.path = String::from_utf8_lossy(&path).into_owned();
                }
                10 => request.method = (*random.choose(&METHODS)).to_owned(),
                _ => {
                    if !request.headers.is_empty() {
                        let idx = random.below(request.headers.len());
                        let mut value = std::mem::take(&mut request.headers[idx].1).into_bytes();
                        random.change(&mut value);
                        request.headers[idx].1 = String::from_utf8_lossy(&value).into_owned();
                    }
                }
            }
        }
        let changes_encoded = random.below(4) == 0;
        let mut wire = request.to_bytes(random, changes_encoded);
        // The length, the chunks and the head are right so far.
        if random.below(4) == 0 {
            random.change(&mut wire);
        }
        wire
    }
}

impl Request {
    fn to_bytes(&self, random: &mut Random, changes_encoded: bool) -> Vec<u8> {
        // Writing to memory does not fail.
        let encoded = match self.coding {
            Coding::Plain => Ok(self.body.clone()),
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder
                    .write_all(&self.body)
                    .and_then(|()| encoder.finish())
            }
            Coding::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
                encoder
                    .write_all(&self.body)
                    .and_then(|()| encoder.finish())
            }
        };
        let mut body = encoded.expect("memory takes everything");
        if changes_encoded {
            random.change(&mut body);
        }
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
            self.method, self.path
        );
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        let coding = match self.coding {
            Coding::Plain => "",
            Coding::Gzip => "Content-Encoding: gzip\r\n",
            Coding::Deflate => "Content-Encoding: deflate\r\n",
        };
        head.push_str(coding);
        if self.is_chunked {
            let mut wire = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
            let mut rest = body.as_slice();
            while !rest.is_empty() {
                let (chunk, after) = rest.split_at(1 + random.below(rest.len().min(300)));
                let _ = write!(wire, "{:x}\r\n", chunk.len());
                wire.extend(chunk);
                wire.extend(b"\r\n");
                rest = after;
            }
            wire.extend(b"0\r\n\r\n");
            return wire;
        }
        let length = match self.method.as_str() {
            "GET" if body.is_empty() => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let mut wire = format!("{head}{length}\r\n").into_bytes();
        wire.extend(body);
        wire
    }
}

/// Requests of every kind.
fn valid(name: &str, row_shape: &[usize]) -> Vec<Request> {
    let n_values: usize = row_shape.iter().product();
    let infer = format!("/v2/models/{name}/infer");
    let predict = format!("/v1/models/{name}:predict");
    let flat: Vec<String> = (0..2 * n_values).map(|at| (at % 7).to_string()).collect();
    let flat = flat.join(",");
    let row = nested(row_shape, &mut 0);
    let shape: Vec<String> = row_shape.iter().map(usize::to_string).collect();
    let shape = format!("[2,{}]", shape.join(","));
    let input = |datatype: &str, rest: &str| {
        format!("{{\"name\":\"input\",\"shape\":{shape},\"datatype\":\"{datatype}\",{rest}}}")
    };
    let data = format!("\"data\":[{flat}]");
    let classes = "\"outputs\":[{\"name\":\"class\"},{\"name\":\"output\",\"parameters\":{\"classification\":2}}]";
    let post = |path: &str, body: String| Request {
        method: "POST".to_owned(),
        path: path.to_owned(),
        headers: vec![("Content-Type".to_owned(), "application/json".to_owned())],
        body: body.into_bytes(),
        coding: Coding::Plain,
        is_chunked: false,
    };
    let json = [
        post(
            &infer,
            format!("{{\"id\":\"1\",\"inputs\":[{}]}}", input("FP32", &data)),
        ),
        post(
            &infer,
            format!(
                "{{\"inputs\":[{}]}}",
                input("FP64", &format!("\"data\":[{row},{row}]"))
            ),
        ),
        post(
            &infer,
            format!("{{\"inputs\":[{}],{classes}}}", input("UINT8", &data)),
        ),
        post(&predict, format!("{{\"instances\":[{row},{row}]}}")),
        post(&predict, format!("{{\"instances\":[{{\"input\":{row}}}]}}")),
        post(
            &predict,
            format!("{{\"signature_name\":\"serving_default\",\"inputs\":[{row}]}}"),
        ),
    ];
    let mut all = Vec::new();
    for request in json {
        for (coding, is_chunked) in [
            (Coding::Plain, false),
            (Coding::Plain, true),
            (Coding::Gzip, false),
            (Coding::Deflate, true),
        ] {
            all.push(Request {
                coding,
                is_chunked,
                ..request.clone()
            });
        }
    }
    for (datatype, n_bytes) in [("FP32", 4), ("UINT8", 1), ("FP16", 2), ("INT64", 8)] {
        let size = format!(
            "\"parameters\":{{\"binary_data_size\":{}}}",
            2 * n_values * n_bytes
        );
        let asked = "\"parameters\":{\"binary_data_output\":true}";
        let mut request = post(
            &infer,
            format!("{{\"inputs\":[{}],{asked}}}", input(datatype, &size)),
        );
        let length = request.body.len().to_string();
        request
            .headers
            .push(("Inference-Header-Content-Length".to_owned(), length));
        // Zeros are values of every type.
        request.body.extend(vec![0; 2 * n_values * n_bytes]);
        all.push(Request {
            is_chunked: true,
            ..request.clone()
        });
        all.push(Request {
            coding: Coding::Gzip,
            ..request.clone()
        });
        all.push(request);
    }
    let get = |path: &str| Request {
        method: "GET".to_owned(),
        headers: vec![("Accept-Encoding".to_owned(), "gzip, deflate".to_owned())],
        ..post(path, String::new())
    };
    let paths = [
        "/",
        "/metrics",
        "/v2",
        "/v2/health/ready",
        "/v2/models/stats",
        "/v1/models",
    ];
    all.extend(paths.map(get));
    let of_model = ["", "/ready", "/config", "/stats", "/versions/1"];
    all.extend(of_model.map(|path| get(&format!("/v2/models/{name}{path}"))));
    let of_model = ["", "/metadata", "/versions/1/metadata", "/labels/stable"];
    all.extend(of_model.map(|path| get(&format!("/v1/models/{name}{path}"))));
    all.push(post("/v2/repository/index", "{}".to_owned()));
    all
}

/// A nested list of this shape.
fn nested(shape: &[usize], next: &mut usize) -> String {
    let Some((n, rest)) = shape.split_first() else {
        *next += 1;
        return (*next % 7).to_string();
    };
    let items: Vec<String> = (0..*n).map(|_| nested(rest, next)).collect();
    format!("[{}]", items.join(","))
}

/// SplitMix64 (Steele, Lea and Flood, 2014): small, and the same everywhere.
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..n`. The few numbers that are likelier by 2^-50 do not matter here.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn choose<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A range of `bytes`, mostly a short one.
    fn range(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(bytes.len() + 1);
        let longest = if self.below(4) == 0 { bytes.len() } else { 8 };
        start..(start + self.below(longest + 1)).min(bytes.len())
    }

    /// Changes one place.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        let range = self.range(bytes);
        match self.below(7) {
            0 => {
                if let Some(byte) = bytes.get_mut(range.start) {
                    *byte ^= 1 << self.below(8);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(range.start) {
                    *byte = self.next() as u8;
                }
            }
            2 => drop(bytes.drain(range)),
            3 => {
                let copied = bytes[range.clone()].to_vec();
                bytes.splice(range.start..range.start, copied);
            }
            4 => {
                let token = self.choose(&TOKENS).bytes();
                bytes.splice(range.start..range.start, token);
            }
            5 => {
                // In the place of a number or a word.
                let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
                let start = range.start
                    + bytes[range.start..]
                        .iter()
                        .take_while(|byte| !is_word(byte))
                        .count();
                let end = start
                    + bytes[start..]
                        .iter()
                        .take_while(|byte| is_word(byte))
                        .count();
                let token = self.choose(&TOKENS).bytes();
                bytes.splice(start..end, token);
            }
            _ => bytes.truncate(range.start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_requests() {
        let requests = |seed| {
            let mut mutator = Mutator::new(seed, "mnist", &[2, 2]);
            [(); 200].map(|()| mutator.next_request())
        };
        assert_eq!(requests(1), requests(1));
        assert_ne!(requests(1), requests(2));
        let n_valid = Mutator::new(1, "mnist", &[2, 2]).valid().len();
        assert!(n_valid >= 50, "{n_valid}");
    }
}
