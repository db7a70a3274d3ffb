//! One integration binary: the real binaries, files and third-party peers.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that fails says where; helpers of tests are not known to clippy as such"
)]

mod act;
mod chain;
mod examples;
mod foreign;
mod github;
mod http;
mod image;
mod project;
mod registry;
mod reported_data;
mod run_sh;
mod serve;
mod support;
mod workspace;
mod yaml;
