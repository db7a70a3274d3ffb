//! What holds these tests themselves to their rules.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use crate::peers;
use crate::support::{files, repository};

/// Programs that every machine has on which the workspace is built; any other is a peer.
const BASE: [&str; 6] = ["git", "kill", "rustc", "sh", "sha256sum", "tar"];

/// So without peers no test needs one, and with peers a test says which one is missing.
#[test]
fn third_party_programs_are_started_among_the_peers_alone() {
    let is_test = |path: &PathBuf| path.starts_with("tests/integration");
    let mut n_peers = 0;
    for file in files().into_iter().filter(is_test) {
        let Ok(text) = fs::read_to_string(repository().join(&file)) else {
            continue;
        };
        let named = |start: &str| -> BTreeSet<String> {
            let rest = text.split(start).skip(1);
            rest.filter_map(|rest| rest.split('"').next())
                .map(str::to_owned)
                .collect()
        };
        for name in named("Command::new(\"") {
            assert!(
                BASE.contains(&&*name),
                "{}: start `{name}` by `peers::program`",
                file.display()
            );
        }
        let found = named("program(\"");
        let is_peer = file.starts_with("tests/integration/peers");
        let is_harness = file.ends_with("peers.rs") || file.ends_with("harness.rs");
        if is_peer || is_harness {
            n_peers += found.len();
        } else {
            assert!(
                found.is_empty(),
                "{}: {found:?} belong below `peers`",
                file.display()
            );
        }
    }
    assert!(n_peers >= 8, "{n_peers}");
}

#[test]
#[should_panic(
    expected = "`no-such-program` is not installed: run `apt-get install no-such-program`, or `cargo"
)]
fn a_peer_that_is_missing_fails_the_test_that_needs_it() {
    peers::program("no-such-program");
}
