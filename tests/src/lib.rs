//! What the integration tests, the benchmarks and the soak share.

pub mod github;
pub mod serving;
