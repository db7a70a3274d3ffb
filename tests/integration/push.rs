//! Pushes that end before a registry is reached; those to a real one are in `peers::push`.

use std::net::TcpListener;

use trainyard_oci::{Credentials, RegistryError};

use crate::peers::push::{layout, push_as, tag};
use crate::project::Project;

#[test]
fn an_absent_registry_is_named_after_the_retries() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), b"model");
    // Bound and given up at once: nothing listens there.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let to = format!("{address}/model").parse().unwrap();
    let (result, steps) = push_as(
        Credentials::Anonymous,
        &to,
        (&layout, &manifest),
        &[tag("v1")],
    );
    let error = result.unwrap_err();
    assert!(
        matches!(error, RegistryError::Unreachable { n_attempts: 3, .. }),
        "{error}"
    );
    assert_eq!(steps.len(), 2);
}

#[test]
fn an_unreachable_registry_and_a_wrong_reference_are_told_apart() {
    let project = Project::passed();
    project
        .run("publish-image", &["--push", "acme/digits"], 2)
        .has_error("names no registry");
    project
        .run("publish-image", &["--server", "/bin/sh"], 2)
        .has_error("linked dynamically");
}
