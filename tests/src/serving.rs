//! Clients that load the inference server.

pub mod client;
pub mod load;
