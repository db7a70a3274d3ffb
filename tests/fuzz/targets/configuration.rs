//! `trainyard.toml`.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use trainyard_core::config::Config;

fuzz_target!(|text: &str| {
    if let Ok(config) = Config::parse(text, Path::new("/nowhere/trainyard.toml")) {
        config.training_digest().expect("a configuration that parses has a digest");
    }
});
