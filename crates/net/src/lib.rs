//! What every client of the network shares: one HTTP client, one retry policy, one reading of failures.
//!
//! In come addresses and requests, out go answers or failures that say what to change. It knows no service: what a
//! status means to GitHub or to a registry is decided there, and whether a request may be repeated at all by the
//! caller.

mod client;
mod encode;
mod failure;
mod retry;
#[cfg(test)]
mod tests;
mod trust;

pub use client::{ClientError, ClientOptions};
pub use encode::encode;
pub use failure::{Failure, PermanentCause};
pub use reqwest::Client;
pub use retry::{
    GivenUp, Jitter, RetryPolicy, Retrying, Trouble, attempts, is_transient, retry_after,
};
pub use trainyard_core::error_chain::in_one_line;
