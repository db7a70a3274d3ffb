//! Layouts and pushes against real peers: skopeo reads, docker-registry takes.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use trainyard_oci::annotation::Description;
use trainyard_oci::spec::Descriptor;
use trainyard_oci::tags::TagPlan;
use trainyard_oci::{
    Access, ClientOptions, Compression, ConnectOptions, Credentials, Image, ImageReference,
    LayerFile, LayerPlan, Layout, Platform, Progress, PushOptions, PushSource, Pushed,
    RegistryError, RetryPolicy, RuntimeConfig,
};

use super::program;
use super::registry::Registry;
use crate::registry::{Behaviour, Fake};
use crate::support::run;

/// A layout of one image under the name `v1`, whose model layer holds `model`.
pub(crate) fn layout(folder: &Path, model: &[u8]) -> (Layout, Descriptor) {
    layout_at("/model", folder, model)
}

/// The same, with the model as the file `target`.
pub(crate) fn layout_at(target: &str, folder: &Path, model: &[u8]) -> (Layout, Descriptor) {
    let sources = tempfile::tempdir().unwrap();
    let file = |target: &str, content: &[u8], is_executable| {
        let source = sources.path().join(target.replace('/', "-"));
        fs::write(&source, content).unwrap();
        LayerFile {
            source,
            target: target.to_owned(),
            is_executable,
        }
    };
    let layout = Layout::create(folder).unwrap();
    let plan = |file, compression| LayerPlan {
        created_by: "test".to_owned(),
        files: vec![file],
        compression,
        user_id: 0,
        group_id: 0,
    };
    let server = plan(file("/serve", b"#!/bin/sh", true), Compression::Gzip);
    let model = plan(file(target, model, false), Compression::None);
    let image = Image {
        layers: [server, model]
            .iter()
            .map(|plan| plan.build(&layout.blobs()).unwrap())
            .collect(),
        platform: Platform::linux_amd64(),
        runtime: RuntimeConfig {
            entrypoint: vec!["/serve".to_owned()],
            ports: vec![8080],
            ..RuntimeConfig::default()
        },
        description: Description {
            title: Some("a test".to_owned()),
            ..Description::default()
        },
        created_s: 1_700_000_000,
    };
    let manifest = layout.add_image(&image).unwrap();
    layout.finish(&manifest, &["v1".to_owned()], &[]).unwrap();
    (layout, manifest)
}

/// Five megabytes without a pattern that would let a misplaced chunk go unseen.
fn large_model() -> Vec<u8> {
    (0..1_300_000_u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

pub(crate) fn tag(name: &str) -> TagPlan {
    TagPlan::floating(name)
}

fn options(credentials: Credentials) -> ConnectOptions {
    ConnectOptions {
        credentials,
        access: Access::Push,
        plain_http: Vec::new(),
        client: ClientOptions::default(),
        retry: RetryPolicy::default(),
        unfinished: None,
    }
}

pub(crate) fn push_as(
    credentials: Credentials,
    to: &ImageReference,
    image: (&Layout, &Descriptor),
    tags: &[TagPlan],
) -> (Result<Pushed, RegistryError>, Vec<Progress>) {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let recorded = steps.clone();
    let options = ConnectOptions {
        retry: RetryPolicy {
            n_attempts: 3,
            first_delay: Duration::from_millis(1),
            ..RetryPolicy::default()
        },
        ..options(credentials)
    };
    let progress = Arc::new(move |step| recorded.lock().unwrap().push(step));
    let registry = trainyard_oci::Registry::connect(to, options, progress).unwrap();
    let (layout, manifest) = image;
    let source = PushSource {
        layout,
        manifest,
        mount_from: &[],
        attached: &[],
    };
    let result = block_on(registry.push(source, tags, PushOptions::default()));
    let steps = steps.lock().unwrap().clone();
    (result, steps)
}

fn push(
    to: &ImageReference,
    image: (&Layout, &Descriptor),
    tags: &[TagPlan],
) -> Result<Pushed, RegistryError> {
    push_as(Credentials::Anonymous, to, image, tags).0
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn skopeo_reads_our_layout() {
    let folder = tempfile::tempdir().unwrap();
    let (_, manifest) = layout(folder.path(), &large_model());
    let image = format!("oci:{}:v1", folder.path().display());
    let inspect = |arguments: &[&str]| {
        let mut skopeo = program("skopeo");
        run(skopeo.arg("inspect").args(arguments).arg(&image))
    };
    let found: Value = serde_json::from_str(&inspect(&[])).unwrap();
    assert_eq!(found["Digest"], manifest.digest.as_str());
    assert_eq!(found["Architecture"], "amd64");
    assert_eq!(found["Created"], "2023-11-14T22:13:20Z");
    assert_eq!(found["Labels"]["org.opencontainers.image.title"], "a test");
    let config: Value = serde_json::from_str(&inspect(&["--config"])).unwrap();
    assert_eq!(config["config"]["User"], "65532:65532");
    assert_eq!(config["config"]["Entrypoint"], json!(["/serve"]));
    assert_eq!(config["config"]["ExposedPorts"], json!({"8080/tcp": {}}));

    // A copy makes skopeo read and check every blob.
    let copy = tempfile::tempdir().unwrap();
    let target = format!("dir:{}", copy.path().display());
    run(program("skopeo").args(["copy", "--quiet", &image, &target]));
}

#[test]
fn a_pushed_image_is_the_one_that_skopeo_pulls() {
    let registry = Registry::start();
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), &large_model());
    let to = registry.reference("some/model");
    let (pushed, steps) = push_as(
        Credentials::Anonymous,
        &to,
        (&layout, &manifest),
        &[TagPlan::version("1.2.3"), tag("latest")],
    );
    let pushed = pushed.unwrap();
    assert_eq!(pushed.tags, ["1.2.3", "latest"]);
    assert_eq!(pushed.n_uploaded, 3);
    assert_eq!(
        pushed.image.to_string(),
        format!("{}@{}", to.name(), manifest.digest)
    );
    for tag in ["1.2.3", "latest"] {
        assert_eq!(registry.digest("some/model", tag), manifest.digest.as_str());
    }
    // The model went in many small reads, whose progress only grows.
    let layers = layout.manifest(&manifest).unwrap().layers;
    let sent: Vec<u64> = steps
        .iter()
        .filter_map(|step| match step {
            Progress::Uploading { digest, sent, .. } if *digest == layers[1].digest => Some(*sent),
            _ => None,
        })
        .collect();
    assert!(sent.len() > 10 && sent.is_sorted(), "{sent:?}");
    assert_eq!(sent.last(), Some(&layers[1].size));

    let copy = tempfile::tempdir().unwrap();
    let target = format!("oci:{}:copy", copy.path().display());
    let mut skopeo = program("skopeo");
    // Without this, skopeo compresses the model layer on its way.
    skopeo.args([
        "copy",
        "--quiet",
        "--preserve-digests",
        "--src-tls-verify=false",
    ]);
    run(skopeo.arg(format!("docker://{}", pushed.image)).arg(target));
    let copied = Layout::open(copy.path()).unwrap();
    copied.verify(&manifest).unwrap();
}

#[test]
fn a_second_push_sends_nothing() {
    let registry = Registry::start();
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), b"model");
    let to = registry.reference("model");
    push(&to, (&layout, &manifest), &[TagPlan::version("1.0.0")]).unwrap();
    let (again, steps) = push_as(
        Credentials::Anonymous,
        &to,
        (&layout, &manifest),
        &[TagPlan::version("1.0.0"), tag("1.0")],
    );
    let again = again.unwrap();
    assert_eq!((again.n_uploaded, again.uploaded_bytes), (0, 0));
    assert_eq!(again.n_present, 3);
    let is_upload = |step: &Progress| matches!(step, Progress::Uploading { .. });
    assert!(!steps.iter().any(is_upload), "{steps:?}");
    let options = options(Credentials::Anonymous);
    let connection = trainyard_oci::Registry::connect(&to, options, Arc::new(|_| {})).unwrap();
    assert_eq!(block_on(connection.list_tags()).unwrap(), ["1.0", "1.0.0"]);
}

#[test]
fn a_version_is_never_overwritten() {
    let registry = Registry::start();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, first_manifest) = layout(one.path(), b"one");
    let (second, second_manifest) = layout(two.path(), b"two");
    let to = registry.reference("model");
    let tags = [TagPlan::version("1.0.0"), tag("latest")];
    push(&to, (&first, &first_manifest), &tags).unwrap();
    let error = push(&to, (&second, &second_manifest), &tags).unwrap_err();
    assert!(
        matches!(error, RegistryError::VersionTaken { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("release the next one"),
        "{error}"
    );
    for tag in ["1.0.0", "latest"] {
        let digest = registry.digest("model", tag);
        assert_eq!(digest, first_manifest.digest.as_str(), "{tag}");
    }
    push(&to, (&second, &second_manifest), &[tag("latest")]).unwrap();
    let digest = registry.digest("model", "latest");
    assert_eq!(digest, second_manifest.digest.as_str());
}

#[test]
fn a_login_is_needed_where_the_registry_wants_one() {
    let registry = Registry::start_with_login();
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), b"model");
    let to = registry.reference("model");
    let login = |password: &str| Credentials::Basic {
        username: "ci".to_owned(),
        password: password.to_owned(),
    };
    let push = |credentials| push_as(credentials, &to, (&layout, &manifest), &[tag("v1")]).0;

    for (credentials, who) in [
        (login("wrong"), "the user `ci` with this password"),
        (
            Credentials::Anonymous,
            "an unknown user (no credentials were given)",
        ),
    ] {
        let error = push(credentials).unwrap_err();
        assert!(
            matches!(error, RegistryError::Unauthorized { .. }),
            "{error}"
        );
        assert_eq!(
            error.to_string(),
            format!(
                "`{address}` does not accept {who}: set `TRAINYARD_REGISTRY_USERNAME` and \
                 `TRAINYARD_REGISTRY_PASSWORD`, or log in with `docker login {address}`",
                address = registry.address
            )
        );
    }
    push(login("s3cret")).unwrap();

    // What `skopeo login` writes is what `docker login` writes.
    let config = registry.folder.path().join("config.json");
    let mut skopeo = program("skopeo");
    skopeo.args(["login", "--tls-verify=false", "--username=ci"]);
    skopeo.args(["--password=s3cret", "--authfile"]);
    run(skopeo.arg(&config).arg(&registry.address));
    let found = Credentials::find_in_file(&config, &to);
    push(found.unwrap()).unwrap();
}

/// The registry of the tests' own process is a registry to others too.
#[test]
fn skopeo_takes_the_tests_own_registry_for_one() {
    let fake = Fake::start(Behaviour::default());
    let folder = tempfile::tempdir().unwrap();
    let (_, manifest) = layout(folder.path(), &large_model());
    let there = format!("docker://{}/acme/m:1", fake.address());
    let mut copy = program("skopeo");
    copy.args([
        "copy",
        "--quiet",
        "--preserve-digests",
        "--dest-tls-verify=false",
    ]);
    run(copy
        .arg(format!("oci:{}:v1", folder.path().display()))
        .arg(&there));
    assert_eq!(
        fake.tag("acme/m", "1").as_deref(),
        Some(manifest.digest.as_str())
    );
    let back = tempfile::tempdir().unwrap();
    let mut copy = program("skopeo");
    copy.args([
        "copy",
        "--quiet",
        "--preserve-digests",
        "--src-tls-verify=false",
    ]);
    run(copy
        .arg(&there)
        .arg(format!("oci:{}:v1", back.path().display())));
    Layout::open(back.path())
        .unwrap()
        .verify(&manifest)
        .unwrap();
}

/// publishing.md row 6: TLS at `localhost`, by an authority that is named.
#[test]
fn a_registry_with_tls_on_this_machine_is_spoken_to_by_tls() {
    let registry = Registry::start_with_tls();
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), b"model");
    let to = registry.reference("model");
    let connect = |ca: Option<&Path>| {
        let options = ConnectOptions {
            client: ClientOptions::default().with_ca(ca),
            ..options(Credentials::Anonymous)
        };
        trainyard_oci::Registry::connect(&to, options, Arc::new(|_| {})).unwrap()
    };
    let source = PushSource {
        layout: &layout,
        manifest: &manifest,
        attached: &[],
        mount_from: &[],
    };
    let push = |ca| {
        let registry = connect(ca);
        block_on(registry.push(source, &[tag("v1")], PushOptions::default()))
    };
    let error = push(None).unwrap_err();
    assert!(error.to_string().contains("`--ca FILE`"), "{error}");
    let ca = registry.folder.path().join("ca.pem");
    push(Some(&ca)).unwrap();
    let mut inspect = program("skopeo");
    inspect
        .args(["inspect", "--format", "{{.Digest}}", "--cert-dir"])
        .arg(registry.folder.path().join("certs"));
    let found = run(inspect.arg(format!("docker://{to}:v1")));
    assert_eq!(found.trim(), manifest.digest.as_str());
}

/// A registry whose tokens another server gives out, each for three seconds.
#[test]
fn a_registry_with_a_token_server_takes_a_push() {
    let registry = Registry::start_with_tokens();
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), &large_model());
    let to = registry.reference("some/model");
    let login = |password: &str| Credentials::Basic {
        username: "ci".to_owned(),
        password: password.to_owned(),
    };
    let image = (&layout, &manifest);
    let error = push_as(login("wrong"), &to, image, &[tag("v1")])
        .0
        .unwrap_err();
    assert!(
        matches!(error, RegistryError::Unauthorized { .. }),
        "{error}"
    );
    push_as(login("s3cret"), &to, image, &[tag("v1")])
        .0
        .unwrap();
    let mut inspect = program("skopeo");
    inspect.args([
        "inspect",
        "--tls-verify=false",
        "--creds=ci:s3cret",
        "--format",
        "{{.Digest}}",
    ]);
    let found = run(inspect.arg(format!("docker://{to}:v1")));
    assert_eq!(found.trim(), manifest.digest.as_str());
}
