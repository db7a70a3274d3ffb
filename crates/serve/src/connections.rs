//! The connections that are open: how many there may be, which one gives way, and how all of them end.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::tls::Tls;

/// Descriptors that are not for connections: the listener, standard streams, the model's files.
const OTHER_DESCRIPTORS: usize = 32;

/// Where the system allows more, memory does not.
const MAX_CONNECTIONS: usize = 4096;

/// What one connection reads ahead, and so the longest head of a request. hyper would grow it to 400 kB where bodies are large: for
/// thousands of clients that are refused, and whose bodies are thrown away, more than all admitted requests take.
const READ_BYTES: usize = 16 << 10;

/// How connections are kept and ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConnectionLimits {
    /// At a time.
    pub(crate) max_connections: usize,
    /// For a request's head to come, from the moment that one may.
    pub(crate) head: Duration,
    /// After the signal to end, during which new connections are still taken, since not everybody knows of it yet.
    pub(crate) notice: Duration,
    /// After that, for all that is under way.
    pub(crate) drain: Duration,
}

/// As many connections as the limit of open files leaves.
pub(crate) fn default_max_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = files.and_then(|limits| limits.split_whitespace().next()?.parse::<usize>().ok());
    soft.map_or(MAX_CONNECTIONS, |soft| {
        soft.saturating_sub(OTHER_DESCRIPTORS)
            .clamp(4, MAX_CONNECTIONS)
    })
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    opened: Instant,
    client: IpAddr,
    /// Whether the client has shown a certificate that is trusted.
    is_certified: AtomicBool,
    /// Since when no request of it is computed, in milliseconds after `opened`; [`BUSY`] while one is.
    idle_since: AtomicU64,
    gives_way: Notify,
}

const BUSY: u64 = u64::MAX;

/// Time for a request that was sent before its client could know that the server ends.
const LINGER: Duration = Duration::from_millis(500);

impl Connection {
    fn new(client: IpAddr) -> Self {
        Self {
            opened: Instant::now(),
            client,
            is_certified: AtomicBool::new(false),
            idle_since: AtomicU64::new(0),
            gives_way: Notify::new(),
        }
    }

    /// The other end.
    pub(crate) const fn client(&self) -> IpAddr {
        self.client
    }

    /// Whether the client has shown a certificate that is trusted.
    pub(crate) fn is_certified(&self) -> bool {
        self.is_certified.load(Ordering::Relaxed)
    }

    /// A whole request has come.
    pub(crate) fn begin(&self) {
        self.idle_since.store(BUSY, Ordering::Relaxed);
    }

    /// It has been answered.
    pub(crate) fn end(&self) {
        let since = self.opened.elapsed().as_millis() as u64;
        self.idle_since.store(since, Ordering::Relaxed);
    }

    /// How long it has not been of use; `None` while it is.
    fn idle(&self) -> Option<Duration> {
        match self.idle_since.load(Ordering::Relaxed) {
            BUSY => None,
            since => Some(
                self.opened
                    .elapsed()
                    .saturating_sub(Duration::from_millis(since)),
            ),
        }
    }
}

/// All that are open.
#[derive(Debug, Default)]
struct Open {
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
    one_ended: Notify,
}

impl Open {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Connection>>> {
        self.connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_full(&self, limits: &ConnectionLimits) -> bool {
        self.lock().len() >= limits.max_connections
    }

    /// Ends the connection that has not been of use for longest: idle ones, and those whose request does not come.
    fn make_room(&self) {
        let open = self.lock();
        let longest = open.values().filter_map(|it| Some((it.idle()?, it)));
        if let Some((_, connection)) = longest.max_by_key(|(idle, _)| *idle) {
            connection.gives_way.notify_one();
        }
    }
}

/// How the server has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All that was accepted is answered.
    Drained,
    /// Some were cut off, at the deadline or at the second signal.
    CutOff,
}

/// Answers by `router` until `stop` has come, and then until all is answered, or `drain` is over, or `stop` has come again.
pub(crate) async fn serve<F: Future<Output = ()>>(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: ConnectionLimits,
    is_draining: Arc<AtomicBool>,
    mut stop: impl FnMut() -> F,
) -> Ended {
    let (closing, closed) = watch::channel(false);
    let open = Arc::new(Open::default());
    let mut tasks = JoinSet::new();
    let mut next_id = 0;
    let mut take = |stream: TcpStream, tasks: &mut JoinSet<()>| {
        next_id += 1;
        let task = one(
            stream,
            tls.as_ref().map(|tls| tls.acceptor()),
            router.clone(),
            limits,
            closed.clone(),
            Arc::clone(&open),
            next_id,
        );
        tasks.spawn(task);
    };
    let mut notice_ends = None;
    loop {
        while tasks.try_join_next().is_some() {}
        let ended = async {
            match notice_ends {
                None => stop().await,
                Some(at) => tokio::time::sleep_until(at).await,
            }
        };
        tokio::select! {
            accepted = accept(&listener, &open, &limits) => match accepted {
                Ok(stream) => take(stream, &mut tasks),
                Err(error) => {
                    // Of one connection that is gone, or of no descriptor for another.
                    tracing::debug!("a connection could not be taken: {error}");
                    open.make_room();
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
            () = ended => {
                if notice_ends.is_some() {
                    break;
                }
                tracing::info!("asked to end: not ready any more");
                is_draining.store(true, Ordering::Relaxed);
                notice_ends = Some(tokio::time::Instant::now() + limits.notice);
            }
        }
    }
    // Who is connected already has been accepted by the system, whether the runtime has heard of it or not.
    if let Ok(listener) = listener.into_std() {
        while let Ok((stream, _)) = listener.accept() {
            if let Ok(stream) = unblocked(stream) {
                take(stream, &mut tasks);
            }
        }
    }
    let _ = closing.send(true);
    let all = async { while tasks.join_next().await.is_some() {} };
    tokio::select! {
        () = all => Ended::Drained,
        () = tokio::time::sleep(limits.drain) => Ended::CutOff,
        () = stop() => Ended::CutOff,
    }
}

fn unblocked(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    open: &Open,
    limits: &ConnectionLimits,
) -> io::Result<TcpStream> {
    // Accepted before there is room: only a connection at the door makes another one give way.
    let (stream, _) = listener.accept().await?;
    while open.is_full(limits) {
        let ended = open.one_ended.notified();
        open.make_room();
        // All may be busy: the first that ends makes room.
        let _ = tokio::time::timeout(Duration::from_millis(100), ended).await;
    }
    Ok(stream)
}

/// Completes a moment after no connection is taken any more: a request may be on its way, and its answer ends the connection.
async fn until_closed(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
    tokio::time::sleep(LINGER).await;
}

/// One connection to its end.
async fn one(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    router: Router,
    limits: ConnectionLimits,
    closing: watch::Receiver<bool>,
    open: Arc<Open>,
    id: u64,
) {
    // An answer is one piece; nothing is gained by waiting for more.
    let _ = stream.set_nodelay(true);
    let client = stream.peer_addr().map(|address| address.ip());
    let client = client.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let connection = Arc::new(Connection::new(client));
    open.lock().insert(id, Arc::clone(&connection));
    match tls {
        None => answer(stream, &connection, router, limits, closing).await,
        Some(tls) => {
            let greeted = tokio::time::timeout(limits.head, tls.accept(stream));
            let greeted = tokio::select! {
                greeted = greeted => greeted,
                () = connection.gives_way.notified() => Ok(Err(io::ErrorKind::ConnectionAborted.into())),
            };
            match greeted {
                Ok(Ok(stream)) => {
                    let is_certified = stream.get_ref().1.peer_certificates().is_some();
                    let it = &connection.is_certified;
                    it.store(is_certified, Ordering::Relaxed);
                    answer(stream, &connection, router, limits, closing).await;
                }
                Ok(Err(error)) => tracing::debug!("a connection was not encrypted: {error}"),
                Err(_) => tracing::debug!("a connection was not encrypted in time"),
            }
        }
    }
    open.lock().remove(&id);
    open.one_ended.notify_waiters();
}

/// Answers the requests of a connection.
async fn answer<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    connection: &Arc<Connection>,
    router: Router,
    limits: ConnectionLimits,
    mut closing: watch::Receiver<bool>,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Arc::clone(connection));
        router.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(READ_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let mut is_closing = false;
    loop {
        tokio::select! {
            // What broke it off is the client's business.
            _ = served.as_mut() => break,
            () = connection.gives_way.notified() => break,
            () = until_closed(&mut closing), if !is_closing => {
                is_closing = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}
