//! Pushes to a registry of this process, which misbehaves in one way a test: the quirks of real registries, and the faults of
//! networks, that no real registry shows on demand.

mod attached;
mod fake;
mod faults;
mod logins;
mod releases;
mod resumed;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use trainyard_core::digest::Sha256Digest;
use trainyard_oci::spec::Descriptor;
use trainyard_oci::tags::TagPlan;
use trainyard_oci::{
    Access, Attachment, ClientOptions, ConnectOptions, Credentials, ImageReference, Layout,
    Progress, ProgressFn, PushOptions, PushSource, Pushed, Registry, RegistryError, RetryPolicy,
};

use crate::peers::push::layout;
pub(crate) use fake::{Behaviour, Fake, Login, says};

/// The repository of most tests.
const REPOSITORY: &str = "acme/m";

/// An image and how it is pushed.
struct Push<'a> {
    address: &'a str,
    repository: &'a str,
    image: (&'a Layout, &'a Descriptor),
    tags: &'a [TagPlan],
    mount_from: &'a [String],
    attached: &'a [Attachment],
    overwrites: bool,
    options: ConnectOptions,
}

/// What came out, and each step.
pub(crate) type Outcome = (Result<Pushed, RegistryError>, Vec<Progress>);

/// Everything that a test may ask to be otherwise.
fn options(address: &str) -> ConnectOptions {
    ConnectOptions {
        credentials: Credentials::Basic {
            username: "ci".to_owned(),
            password: "s3cret".to_owned(),
        },
        access: Access::Push,
        plain_http: vec![address.to_owned()],
        // Where the time is paused, only the policy may wait.
        client: ClientOptions {
            connect_timeout: None,
            read_timeout: None,
            ..ClientOptions::default()
        },
        retry: RetryPolicy::default(),
        unfinished: None,
    }
}

fn connect(address: &str, repository: &str, options: ConnectOptions) -> (Registry, Steps) {
    let steps = Steps::default();
    let recorded = steps.clone();
    let progress: ProgressFn = Arc::new(move |step| recorded.0.lock().unwrap().push(step));
    let to: ImageReference = format!("{address}/{repository}").parse().unwrap();
    (Registry::connect(&to, options, progress).unwrap(), steps)
}

/// The steps of a connection.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<Progress>>>);

impl Steps {
    fn take(&self) -> Vec<Progress> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Push<'_> {
    async fn run(self) -> Outcome {
        let (registry, steps) = connect(self.address, self.repository, self.options);
        let (layout, manifest) = self.image;
        let source = PushSource {
            layout,
            manifest,
            mount_from: self.mount_from,
            attached: self.attached,
        };
        let overwrites = self.overwrites;
        let result = registry
            .push(source, self.tags, PushOptions { overwrites })
            .await;
        (result, steps.take())
    }
}

/// Pushes a small image of three blobs under `1.0.0` and `1.0`.
pub(crate) async fn push(fake: &Fake) -> Outcome {
    push_with(fake, options(fake.address())).await
}

async fn push_with(fake: &Fake, options: ConnectOptions) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), b"model");
    push_image(fake, options, (&layout, &manifest)).await
}

async fn push_image(
    fake: &Fake,
    options: ConnectOptions,
    image: (&Layout, &Descriptor),
) -> Outcome {
    let push = Push {
        address: fake.address(),
        repository: REPOSITORY,
        image,
        tags: &[TagPlan::version("1.0.0"), TagPlan::floating("1.0")],
        mount_from: &[],
        attached: &[],
        overwrites: false,
        options,
    };
    push.run().await
}

/// How long was waited before each repetition, and why.
fn waits(steps: &[Progress]) -> Vec<(Duration, String)> {
    let retried = steps.iter().filter_map(|step| match step {
        Progress::Retrying { wait, reason, .. } => Some((*wait, reason.clone())),
        _ => None,
    });
    retried.collect()
}

fn quirks(steps: &[Progress]) -> usize {
    let is_quirk = |step: &&Progress| matches!(step, Progress::Quirk(_));
    steps.iter().filter(is_quirk).count()
}

/// That what the tags name is whole: a runtime that pulls the image gets every blob.
fn assert_whole(fake: &Fake, repository: &str) {
    let state = fake.state();
    for ((of, tag), digest) in &state.tags {
        let (_, bytes) = &state.manifests[&(of.clone(), digest.clone())];
        let document: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let layers = document["layers"].as_array().unwrap().iter();
        for blob in layers.chain([&document["config"]]) {
            let digest = blob["digest"].as_str().unwrap();
            let bytes = &state.blobs[&(repository.to_owned(), digest.to_owned())];
            assert_eq!(Sha256Digest::of(bytes).as_str(), digest, "{tag}");
        }
    }
}

/// Bytes without a pattern that would let a misplaced part go unseen.
fn large_model(n_words: u32) -> Vec<u8> {
    (0..n_words)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}
