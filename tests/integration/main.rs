//! One integration binary: the real binaries, files and third-party peers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails says where; helpers of tests are not known to clippy as such"
)]

mod chain;
mod common_rows;
mod cross_validation;
mod evidence;
mod examples;
mod explained;
mod first_use;
mod folder;
mod foreign;
mod fresh_rows;
mod github;
mod guides;
mod harness;
mod http;
mod imports;
mod inputs;
mod keyless;
mod operating;
mod peer_failures;
mod peers;
mod project;
mod publish;
mod published_baseline;
mod push;
mod registry;
mod release;
mod release_notes;
mod reported_data;
mod reported_judging;
mod run_sh;
mod saved_model;
mod saved_objects;
mod seeds;
mod serve;
mod serving;
mod several_labels;
#[cfg(target_os = "linux")]
mod soaked;
mod support;
mod thresholds;
mod why;
mod workspace;
mod wrong_subject;
