//! Architectures as Keras writes them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use trainyard_core::config::Config;

const TEXT: &str = "[model]\nname = 'm'\nkeras = 'keras.json'\n[data]\nformat = 'csv'\nclasses = ['a', 'b']\n\
    train = { path = 't' }\ntest = { path = 't' }\n[data.csv]\nlabel = 'y'\n";

fuzz_target!(|bytes: &[u8]| {
    trainyard_fuzz::with_file("keras.json", bytes, |base| {
        let _ = Config::parse(TEXT, &base.join("trainyard.toml"));
    });
});
