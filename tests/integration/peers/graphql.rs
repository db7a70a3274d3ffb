//! What is asked of GitHub's GraphQL API, against its published schema.

use std::env;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Stdio;

use super::program;
use crate::support::repository;

#[test]
fn every_query_fits_githubs_schema() {
    let modules =
        PathBuf::from(env::var("TRAINYARD_NODE_MODULES").expect("use `cargo xtask test`"));
    let check = |query: &str| {
        let mut node = program("node")
            .arg(repository().join("tests/fixtures/github/check-query.mjs"))
            .arg(modules.join("@octokit/graphql-schema/schema.graphql"))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        node.stdin
            .take()
            .unwrap()
            .write_all(query.as_bytes())
            .unwrap();
        let output = node.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    for query in trainyard_github::QUERIES {
        let (fits, said) = check(query);
        assert!(fits, "{said}");
        // The check can fail.
        let (fits, said) = check(&query.replace("login", "loginName"));
        assert!(!fits && said.contains("loginName"), "{said}");
    }
}
