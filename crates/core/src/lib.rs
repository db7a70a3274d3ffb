//! Values and arithmetic of Trainyard, in the order in which data flows through them.
//!
//! No network, no clock, no environment, no async runtime and no tensor library: only [`files`] touches the disk.

pub mod csv_text;
pub mod digest;
pub mod error_chain;
pub mod figure;
pub mod files;
pub mod pattern;
pub mod random;
pub mod results;
pub mod table;
pub mod threshold;

pub mod config;
pub mod drift;
pub mod model;
pub mod prediction_task;

pub mod folds;

pub mod measurement;
pub mod statistics;

pub mod metrics;
pub mod row_mask;
pub mod row_set;
pub mod scored_rows;

pub mod evaluation;
pub mod fold_scores;
pub mod numeric_columns;
pub mod recomputed;
pub mod seed_scores;
pub mod slices;

pub mod gate;
pub mod held_out_sample;
pub mod publication;
pub mod release_tag;

pub mod canary;
pub mod deployment;

pub mod report;
