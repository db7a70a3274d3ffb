//! The server's TLS against OpenSSL: its certificates, and Python's client over it.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{program, python_with};
use crate::http::Server;
use crate::project::{Project, Said};
use crate::support::{repository, run, stage};

/// An authority `NAME.pem`.
fn authority(folder: &Path, name: &str) {
    let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
    let subject = format!("/CN={name}");
    let arguments = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    run(openssl(folder).args(arguments).args([
        "-days", "2", "-subj", &subject, "-keyout", &key, "-out", &pem,
    ]));
}

/// A certificate `NAME.pem` of the authority, for this machine.
fn certificate(folder: &Path, authority: &str, name: &str) {
    let subject = format!("/CN={name}");
    let arguments = [
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    run(openssl(folder).args(arguments).args([
        "-subj",
        &subject,
        "-keyout",
        &format!("{name}.key"),
        "-out",
        "request",
    ]));
    let extensions = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n";
    fs::write(folder.join("extensions"), extensions).unwrap();
    run(openssl(folder)
        .args([
            "x509",
            "-req",
            "-in",
            "request",
            "-days",
            "2",
            "-CAcreateserial",
        ])
        .args([
            "-CA",
            &format!("{authority}.pem"),
            "-CAkey",
            &format!("{authority}.key"),
        ])
        .args(["-extfile", "extensions", "-out", &format!("{name}.pem")]));
}

fn openssl(folder: &Path) -> Command {
    let mut openssl = program("openssl");
    openssl.current_dir(folder);
    openssl
}

fn serve(project: &Project, options: &[&str]) -> Command {
    let mut serve = stage("serve");
    serve
        .current_dir(project.path(""))
        .args([
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--model",
            "trainyard-out/model",
        ])
        .args(options);
    serve
}

#[test]
fn clients_show_a_certificate_and_health_is_told_to_all() {
    let project = Project::new();
    project.run("train", &[], 0);
    let folder = project.path("");
    for name in ["ours", "theirs"] {
        authority(&folder, name);
    }
    certificate(&folder, "ours", "server");
    certificate(&folder, "ours", "client");
    certificate(&folder, "theirs", "stranger");
    let options = [
        "--tls-cert",
        "server.pem",
        "--tls-key",
        "server.key",
        "--tls-client-ca",
        "ours.pem",
    ];
    let server = Server::spawn(&mut serve(&project, &options));
    let said = run(python_with("ssl", "ssl")
        .arg(repository().join("tests/fixtures/serving/tls.py"))
        .arg(&server.address)
        .current_dir(&folder));
    let expected = "\
        client /v2/health/ready 200\n\
        client /v2/models/mnist 200\n\
        nobody /v2/health/ready 200\n\
        nobody /v2/models/mnist 403\n\
        stranger /v2/health/ready refused\n\
        plain refused\n";
    assert_eq!(said, expected);
    // The health check of a container knows nothing of TLS.
    let (_, port) = server.address.rsplit_once(':').unwrap();
    run(stage("serve").args(["--probe", "--port", port]));

    // A check asks in its own process, whoever else must show what.
    run(&mut serve(&project, &[&options[..], &["--check"]].concat()));
    let wrong = ["--tls-cert", "server.pem", "--tls-key", "client.key"];
    Said::of(&mut serve(&project, &wrong), 2).has_error("do not go together");
    let missing = ["--tls-cert", "trainyard.toml", "--tls-key", "server.key"];
    Said::of(&mut serve(&project, &missing), 2)
        .has_error("there is no certificate in `trainyard.toml`");
}
