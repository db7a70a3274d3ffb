//! A registry of this process that keeps to the distribution specification, and misbehaves in the ways that a test asks for.
//!
//! That it is one where nothing is asked for is shown by skopeo, in `peers::push`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use trainyard_core::digest::Sha256Digest;
use trainyard_oci::spec::INDEX;

/// Headers by their names in small letters.
type Headers = BTreeMap<String, String>;

/// An answer: the status line, headers that each end with a line break, and the body.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) status: &'static str,
    pub(crate) headers: String,
    pub(crate) body: Vec<u8>,
}

/// An answer without a body.
pub(crate) fn says(status: &'static str, headers: impl Into<String>) -> Answer {
    Answer {
        status,
        headers: headers.into(),
        body: Vec::new(),
    }
}

/// How users are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Login {
    /// Everybody is let in.
    None,
    /// By a password with each request.
    Basic,
    /// By a token that holds for this many requests.
    Token { n_uses: usize },
}

/// What the registry does; by default what the specification says.
#[derive(Debug, Clone)]
pub(crate) struct Behaviour {
    pub(crate) login: Login,
    /// Answers in place of the usual ones, by what a request begins with; each is given once.
    pub(crate) faults: Vec<(&'static str, Answer)>,
    /// Uploads are sent on to another address.
    pub(crate) redirects_uploads: bool,
    /// What lies before the registry takes no larger body.
    pub(crate) max_body: Option<usize>,
    /// What is answered to an upload that was taken.
    pub(crate) uploaded: &'static str,
    /// What is answered to a chunk that was taken.
    pub(crate) chunk_taken: &'static str,
    /// Whether an upload that broke off can be gone on with.
    pub(crate) keeps_uploads: bool,
    /// Whether blobs are taken from other repositories.
    pub(crate) mounts: bool,
    /// Whether what refers to a manifest is listed.
    pub(crate) lists_referrers: bool,
    /// Whether digests are named in answers.
    pub(crate) names_digests: bool,
    /// Connections that are cut after this many bytes of a body of over a megabyte, the next ones first.
    pub(crate) cuts: VecDeque<usize>,
    /// Each connection is cut after this many bytes of a longer body, as by a proxy that lets no request last longer.
    pub(crate) longest_request: Option<usize>,
    /// Blobs that are said to be there and are not.
    pub(crate) phantoms: BTreeSet<String>,
    /// Tags in a page of the list at most.
    pub(crate) tags_per_page: usize,
    /// Time that each 64 KiB of a body takes.
    pub(crate) per_64_kib: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            login: Login::None,
            faults: Vec::new(),
            redirects_uploads: false,
            max_body: None,
            uploaded: "201 Created",
            chunk_taken: "202 Accepted",
            keeps_uploads: true,
            mounts: true,
            lists_referrers: true,
            names_digests: true,
            cuts: VecDeque::new(),
            longest_request: None,
            phantoms: BTreeSet::new(),
            tags_per_page: usize::MAX,
            per_64_kib: Duration::ZERO,
        }
    }
}

/// A request that was made.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    /// `METHOD path`, without the query.
    pub(crate) line: String,
    pub(crate) query: String,
    /// Bytes of the body that arrived.
    pub(crate) n_bytes: usize,
}

/// What the registry holds.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) behaviour: Behaviour,
    pub(crate) requests: Vec<Recorded>,
    /// Repository and digest.
    pub(crate) blobs: BTreeMap<(String, String), Vec<u8>>,
    /// Media type and bytes, by repository and digest.
    pub(crate) manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    /// Digest by repository and tag.
    pub(crate) tags: BTreeMap<(String, String), String>,
    /// Bytes so far, by number.
    uploads: BTreeMap<usize, Vec<u8>>,
    n_uploads: usize,
    /// How often each token was shown.
    tokens: BTreeMap<String, usize>,
    /// Whose turn it is at each event that [`is_event`] names; nobody waits where it is empty.
    turns: VecDeque<usize>,
    ended: BTreeSet<usize>,
}

/// A registry of this process.
pub(crate) struct Fake {
    /// `127.0.0.1:PORT` for each client.
    pub(crate) addresses: Vec<String>,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl Fake {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        Self::start_for(1, behaviour)
    }

    /// One registry under several addresses, by which it tells clients apart.
    pub(crate) fn start_for(n_clients: usize, behaviour: Behaviour) -> Self {
        let state = State {
            behaviour,
            ..State::default()
        };
        let state = Arc::new((Mutex::new(state), Condvar::new()));
        let addresses = (0..n_clients).map(|client| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let (state, named) = (state.clone(), address.clone());
            thread::spawn(move || {
                while let Ok((stream, _)) = listener.accept() {
                    let (state, named) = (state.clone(), named.clone());
                    // A client that is gone before the answer is the client's business.
                    thread::spawn(move || serve(stream, &named, client, &state));
                }
            });
            address
        });
        Self {
            addresses: addresses.collect(),
            state,
        }
    }

    pub(crate) fn address(&self) -> &str {
        &self.addresses[0]
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number of requests whose line begins so.
    pub(crate) fn count(&self, start: &str) -> usize {
        let state = self.state();
        let fits = |made: &&Recorded| made.line.starts_with(start);
        state.requests.iter().filter(fits).count()
    }

    /// Bytes of bodies that arrived at addresses of uploads.
    pub(crate) fn uploaded_bytes(&self) -> usize {
        let state = self.state();
        let uploads = state.requests.iter();
        uploads
            .filter(|made| made.line.contains("/blobs/uploads/"))
            .map(|made| made.n_bytes)
            .sum()
    }

    /// The digest that a tag names.
    pub(crate) fn tag(&self, repository: &str, tag: &str) -> Option<String> {
        let key = (repository.to_owned(), tag.to_owned());
        self.state().tags.get(&key).cloned()
    }

    /// Whose turn it is at each event, in order.
    pub(crate) fn take_turns(&self, turns: &[usize]) {
        let mut state = self.state();
        state.turns = turns.iter().copied().collect();
        state.ended.clear();
    }

    /// Nobody waits for this client any more.
    pub(crate) fn has_ended(&self, client: usize) {
        self.state().ended.insert(client);
        self.state.1.notify_all();
    }
}

fn serve(
    stream: TcpStream,
    address: &str,
    client: usize,
    state: &(Mutex<State>, Condvar),
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    // One request a connection: where a test pauses the time, an idle connection would let it run.
    answer(&mut reader, &mut stream, address, client, state)
}

/// One request.
fn answer(
    reader: &mut BufReader<TcpStream>,
    stream: &mut TcpStream,
    address: &str,
    client: usize,
    shared: &(Mutex<State>, Condvar),
) -> io::Result<()> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(());
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut headers = Headers::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let line = format!("{method} {path}");
    let size: usize = headers
        .get("content-length")
        .map_or(0, |size| size.parse().unwrap_or(0));
    let lock = || shared.0.lock().unwrap_or_else(PoisonError::into_inner);
    let (cut, delay, is_too_large) = {
        let mut state = lock();
        let behaviour = &mut state.behaviour;
        let cut = (size > 1 << 20)
            .then(|| behaviour.cuts.pop_front())
            .flatten()
            .or_else(|| behaviour.longest_request.filter(|most| size > *most));
        let is_too_large = behaviour.max_body.is_some_and(|most| size > most);
        (cut, behaviour.per_64_kib, is_too_large)
    };
    let mut body = vec![0; size.min(cut.unwrap_or(size))];
    if is_too_large {
        // As nginx does: the body is not read.
        body.clear();
    }
    let wanted = body.len();
    let mut n_read = 0;
    let mut since_pause = 0;
    while n_read < wanted {
        match reader.read(&mut body[n_read..wanted.min(n_read + (64 << 10))]) {
            // The client is gone; what arrived has arrived.
            Ok(0) | Err(_) => break,
            Ok(n) => {
                n_read += n;
                since_pause += n;
            }
        }
        if since_pause >= 64 << 10 {
            since_pause = 0;
            thread::sleep(delay);
        }
    }
    body.truncate(n_read);
    let is_broken = n_read < wanted;
    let request = Request {
        line: &line,
        query,
        headers: &headers,
        address,
    };
    let mut state = lock();
    if is_event(&line) && !is_broken {
        while !is_turn(&mut state, client) {
            state = shared.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
    state.requests.push(Recorded {
        line: line.clone(),
        query: query.to_owned(),
        n_bytes: body.len(),
    });
    let is_cut = cut.is_some_and(|cut| cut < size);
    if is_cut || is_broken {
        state.keep_part(&request, &body);
        return Ok(());
    }
    let answer = if is_too_large {
        says("413 Payload Too Large", "")
    } else {
        state.respond(&request, body)
    };
    drop(state);
    shared.1.notify_all();
    let Answer {
        status,
        headers,
        body,
    } = answer;
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    // What answers HEAD has no body.
    if method != "HEAD" {
        stream.write_all(&body)?;
    }
    if is_too_large {
        // What is still sent is read, or the connection would be reset before the answer is.
        stream.shutdown(std::net::Shutdown::Write)?;
        let _ = io::copy(reader, &mut io::sink());
        return Ok(());
    }
    Ok(())
}

/// What decides how two releases at once end: the version, the look at the tags, and `latest`.
fn is_event(line: &str) -> bool {
    let is_version = |tag: &str| tag.split('.').count() == 3;
    match line.split_once(' ') {
        Some(("PUT", path)) => path
            .rsplit_once("/manifests/")
            .is_some_and(|(_, tag)| tag == "latest" || is_version(tag)),
        Some(("GET", path)) => path.ends_with("/tags/list"),
        _ => false,
    }
}

fn is_turn(state: &mut State, client: usize) -> bool {
    while let Some(next) = state.turns.front()
        && state.ended.contains(next)
    {
        state.turns.pop_front();
    }
    match state.turns.front() {
        None => true,
        Some(next) if *next == client => {
            state.turns.pop_front();
            true
        }
        Some(_) => false,
    }
}

struct Request<'a> {
    line: &'a str,
    query: &'a str,
    headers: &'a Headers,
    address: &'a str,
}

impl Request<'_> {
    fn parameter(&self, name: &str) -> Option<String> {
        let of = |pair: &str| {
            let (known, value) = pair.split_once('=')?;
            (known == name).then(|| value.replace("%3A", ":").replace("%2F", "/"))
        };
        self.query.split('&').find_map(of)
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl State {
    fn respond(&mut self, request: &Request<'_>, body: Vec<u8>) -> Answer {
        let faults = &mut self.behaviour.faults;
        if let Some(idx) = faults
            .iter()
            .position(|(start, _)| request.line.starts_with(start))
        {
            return faults.remove(idx).1;
        }
        if request.line.ends_with(" /token") {
            return self.token(request, &body);
        }
        if let Some(refusal) = self.refusal(request) {
            return refusal;
        }
        let Some((method, path)) = request.line.split_once(" /v2/") else {
            return says("404 Not Found", "");
        };
        for kind in [
            "/blobs/uploads/",
            "/blobs/",
            "/manifests/",
            "/tags/",
            "/referrers/",
        ] {
            if let Some((repository, rest)) = path.rsplit_once(kind) {
                let place = (repository.to_owned(), rest.to_owned());
                return match kind {
                    "/blobs/uploads/" => self.upload(method, place, request, &body),
                    "/blobs/" => self.blob(method, &place),
                    "/manifests/" => self.manifest(method, place, request, body),
                    "/tags/" => self.tag_list(repository, request),
                    _ => self.referrers(&place),
                };
            }
        }
        says("200 OK", "")
    }

    fn token(&mut self, request: &Request<'_>, body: &[u8]) -> Answer {
        let asked = String::from_utf8_lossy(body);
        let is_known = match request.header("authorization") {
            // `ci:s3cret`.
            "Basic Y2k6czNjcmV0" => true,
            "" => asked.contains("grant_type=refresh_token") && asked.contains("t0k3n"),
            _ => false,
        };
        if !is_known {
            return says("401 Unauthorized", "");
        }
        let scope = request.parameter("scope").unwrap_or_default();
        assert!(
            scope.starts_with("repository:") || asked.contains("scope=repository"),
            "{scope} {asked}"
        );
        let token = format!("t{}", self.tokens.len());
        self.tokens.insert(format!("Bearer {token}"), 0);
        let token = json!({"token": token, "expires_in": 3});
        Answer {
            status: "200 OK",
            headers: String::new(),
            body: token.to_string().into_bytes(),
        }
    }

    fn refusal(&mut self, request: &Request<'_>) -> Option<Answer> {
        let given = request.header("authorization");
        match self.behaviour.login {
            Login::None => None,
            Login::Basic => (given != "Basic Y2k6czNjcmV0").then(|| {
                says(
                    "401 Unauthorized",
                    "WWW-Authenticate: Basic realm=\"fake\"\r\n",
                )
            }),
            Login::Token { n_uses } => {
                let shown = self.tokens.get_mut(given);
                let is_valid = shown.is_some_and(|shown| {
                    *shown += 1;
                    *shown <= n_uses
                });
                (!is_valid).then(|| says("401 Unauthorized", challenge(request.address)))
            }
        }
    }

    fn blob(&self, method: &str, place: &(String, String)) -> Answer {
        let digest = format!("Docker-Content-Digest: {}\r\n", place.1);
        if self.behaviour.phantoms.contains(&place.1) {
            return says("200 OK", digest);
        }
        match self.blobs.get(place) {
            Some(bytes) if method == "GET" => Answer {
                status: "200 OK",
                headers: digest,
                body: bytes.clone(),
            },
            Some(_) => says("200 OK", digest),
            None => says("404 Not Found", ""),
        }
    }

    /// Keeps what arrived of a body that broke off.
    fn keep_part(&mut self, request: &Request<'_>, body: &[u8]) {
        let number = request.line.rsplit('/').next().unwrap_or_default();
        let upload = number.parse().ok().and_then(|it| self.uploads.get_mut(&it));
        if let Some(upload) = upload.filter(|_| self.behaviour.keeps_uploads) {
            upload.extend_from_slice(body);
        }
    }

    fn upload(
        &mut self,
        method: &str,
        (repository, rest): (String, String),
        request: &Request<'_>,
        body: &[u8],
    ) -> Answer {
        let location = |number: usize| {
            format!("Location: /v2/{repository}/blobs/uploads/{number}?_state=s3cret\r\n")
        };
        if method == "POST" {
            let mounted = request.parameter("mount").zip(request.parameter("from"));
            if let Some((digest, from)) = mounted.filter(|_| self.behaviour.mounts)
                && let Some(bytes) = self.blobs.get(&(from, digest.clone())).cloned()
            {
                self.blobs.insert((repository.clone(), digest), bytes);
                return says("201 Created", "");
            }
            self.n_uploads += 1;
            self.uploads.insert(self.n_uploads, Vec::new());
            return says("202 Accepted", location(self.n_uploads));
        }
        let number = rest.parse().unwrap_or(0);
        if !self.uploads.contains_key(&number) {
            return says("404 Not Found", "");
        }
        if self.behaviour.redirects_uploads && method == "PUT" && !request.query.contains("moved") {
            let moved = format!(
                "Location: /v2/{repository}/blobs/uploads/{number}?moved=1&{}\r\n",
                request.query
            );
            return says("307 Temporary Redirect", moved);
        }
        let Some(upload) = self.uploads.get_mut(&number) else {
            return says("404 Not Found", "");
        };
        let range = |upload: &[u8]| format!("Range: 0-{}\r\n", upload.len().saturating_sub(1));
        match method {
            "GET" if self.behaviour.keeps_uploads => {
                let range = range(upload);
                says("204 No Content", format!("{}{range}", location(number)))
            }
            "GET" => says("404 Not Found", ""),
            "DELETE" => {
                self.uploads.remove(&number);
                says("204 No Content", "")
            }
            _ => {
                let first = request.header("content-range").split('-').next();
                let first: Option<usize> = first.and_then(|first| first.parse().ok());
                if first.is_some_and(|first| first != upload.len()) {
                    return says("416 Range Not Satisfiable", "");
                }
                if first.is_none() && !body.is_empty() {
                    upload.clear();
                }
                upload.extend_from_slice(body);
                if method == "PATCH" {
                    let headers = format!("{}{}", location(number), range(upload));
                    return says(self.behaviour.chunk_taken, headers);
                }
                let bytes = std::mem::take(upload);
                let digest = Sha256Digest::of(&bytes).to_string();
                if request.parameter("digest").as_ref() != Some(&digest) {
                    return says("400 Bad Request", "");
                }
                self.uploads.remove(&number);
                self.behaviour.phantoms.remove(&digest);
                self.blobs.insert((repository, digest), bytes);
                says(self.behaviour.uploaded, "")
            }
        }
    }

    fn manifest(
        &mut self,
        method: &str,
        (repository, reference): (String, String),
        request: &Request<'_>,
        body: Vec<u8>,
    ) -> Answer {
        let named = |digest: &str, names_digests: bool| match names_digests {
            true => format!("Docker-Content-Digest: {digest}\r\n"),
            false => String::new(),
        };
        if method == "PUT" {
            let document: Value = serde_json::from_slice(&body).unwrap_or_default();
            let layers = document["layers"].as_array().into_iter().flatten();
            let blobs = layers.chain(document.get("config"));
            let has = |blob: &Value| {
                let digest = blob["digest"].as_str().unwrap_or_default().to_owned();
                self.blobs.contains_key(&(repository.clone(), digest))
            };
            let images = document["manifests"].as_array().into_iter().flatten();
            let has_image = |image: &Value| {
                let digest = image["digest"].as_str().unwrap_or_default().to_owned();
                self.manifests.contains_key(&(repository.clone(), digest))
            };
            if !blobs.into_iter().all(has) || !images.into_iter().all(has_image) {
                return Answer {
                    status: "404 Not Found",
                    headers: String::new(),
                    body:
                        br#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown"}]}"#
                            .to_vec(),
                };
            }
            let digest = Sha256Digest::of(&body).to_string();
            let media_type = request.header("content-type").to_owned();
            let key = (repository.clone(), digest.clone());
            self.manifests.insert(key, (media_type, body));
            if !reference.starts_with("sha256:") {
                self.tags.insert((repository, reference), digest.clone());
            }
            let mut headers = named(&digest, self.behaviour.names_digests);
            if let Some(subject) = document["subject"]["digest"].as_str()
                && self.behaviour.lists_referrers
            {
                let _ = write!(headers, "OCI-Subject: {subject}\r\n");
            }
            return says("201 Created", headers);
        }
        let key = (repository.clone(), reference.clone());
        let digest = self.tags.get(&key).cloned().unwrap_or(reference);
        match self.manifests.get(&(repository, digest.clone())) {
            Some((media_type, bytes)) => Answer {
                status: "200 OK",
                headers: format!(
                    "Content-Type: {media_type}\r\n{}",
                    named(&digest, self.behaviour.names_digests)
                ),
                body: bytes.clone(),
            },
            None => says("404 Not Found", ""),
        }
    }

    fn tag_list(&self, repository: &str, request: &Request<'_>) -> Answer {
        let last = request.parameter("last").unwrap_or_default();
        let asked = request.parameter("n").and_then(|n| n.parse().ok());
        let n = self
            .behaviour
            .tags_per_page
            .min(asked.unwrap_or(usize::MAX));
        let tags = self.tags.keys().filter(|(of, _)| of == repository);
        let mut tags = tags.map(|(_, tag)| tag).filter(|tag| **tag > last);
        let page: Vec<&String> = tags.by_ref().take(n).collect();
        let headers = match (tags.next(), page.last()) {
            (Some(_), Some(last)) => {
                format!("Link: </v2/{repository}/tags/list?n={n}&last={last}>; rel=\"next\"\r\n")
            }
            _ => String::new(),
        };
        Answer {
            status: "200 OK",
            headers,
            body: json!({"name": repository, "tags": page})
                .to_string()
                .into_bytes(),
        }
    }

    fn referrers(&self, (repository, subject): &(String, String)) -> Answer {
        if !self.behaviour.lists_referrers {
            return says("404 Not Found", "");
        }
        let refers =
            |((of, digest), (media_type, bytes)): (&(String, String), &(String, Vec<u8>))| {
                let document: Value = serde_json::from_slice(bytes).ok()?;
                let is_of = of == repository && document["subject"]["digest"] == subject.as_str();
                let descriptor = json!({
                    "mediaType": media_type, "digest": digest, "size": bytes.len(),
                    "artifactType": document["artifactType"],
                });
                is_of.then_some(descriptor)
            };
        let manifests: Vec<Value> = self.manifests.iter().filter_map(refers).collect();
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        Answer {
            status: "200 OK",
            headers: format!("Content-Type: {INDEX}\r\n"),
            body: index.to_string().into_bytes(),
        }
    }
}

/// How the registry at `address` wants to be logged in to.
pub(crate) fn challenge(address: &str) -> String {
    format!(
        "WWW-Authenticate: Bearer realm=\"http://{address}/token\",service=\"fake\",scope=\"repository:a:pull\"\r\n"
    )
}
