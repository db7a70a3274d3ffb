//! Requests to the server. The first bytes choose the path, how the body is encoded and where it is cut in two; the rest is the body. No
//! request is answered by 5xx, and the model is small, so that the readers are what is tried.

#![no_main]

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::Request;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use trainyard_serve::{Limits, Model, router};

const PATHS: [&str; 4] = [
    "/v2/models/plants/infer",
    "/v1/models/plants:predict",
    "/v1/models/plants/labels/stable:predict",
    "/v2/repository/index",
];

const ENCODINGS: [&str; 4] = ["identity", "gzip", "deflate", "zstd"];

thread_local! {
    static SERVER: (Runtime, Router) = {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/serving/model");
        let model = Model::open(&folder).expect("the tests' model");
        let limits = Limits {
            max_body_bytes: 1 << 20,
            max_request_bytes: 64 << 20,
            patience: Duration::from_secs(5),
            body_idle: Duration::from_secs(5),
            body_total: Duration::from_secs(5),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let router = router(model, limits, Arc::default()).expect("threads");
        (runtime.expect("a runtime"), router)
    };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&[choice, encoding, cut, header], body)) = bytes.split_first_chunk::<4>() else {
        return;
    };
    let path = PATHS[usize::from(choice) % PATHS.len()];
    let mut request = Request::post(path)
        .header("content-encoding", ENCODINGS[usize::from(encoding) % ENCODINGS.len()]);
    if choice >= 128 {
        // As many bytes of JSON, and binary data behind them.
        request = request.header("inference-header-content-length", usize::from(header));
    }
    let (first, second) = body.split_at(body.len() * usize::from(cut) / 255);
    let pieces = [first, second].map(|piece| Ok::<_, Infallible>(Bytes::copy_from_slice(piece)));
    let request = request.body(Body::from_stream(futures_util::stream::iter(pieces)));
    let request = request.expect("a request");
    SERVER.with(|(runtime, router)| {
        let answer = runtime.block_on(router.clone().oneshot(request));
        let status = answer.unwrap_or_else(|never| match never {}).status();
        assert!(!status.is_server_error(), "{status}");
    });
});
