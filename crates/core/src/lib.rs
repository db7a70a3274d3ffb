//! Values and arithmetic of Trainyard, in the order in which data flows through them.
//!
//! No network, no clock, no environment, no async runtime and no tensor library: only [`files`] touches the disk.

pub mod config;
pub mod model;

pub mod evaluation;
pub mod metrics;
pub mod statistics;

pub mod gate;
pub mod publication;
pub mod release_tag;
pub mod verdict;

pub mod report;

pub mod digest;
pub mod error_chain;
pub mod files;
