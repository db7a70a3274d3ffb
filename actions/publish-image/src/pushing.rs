//! The push to each repository, in two parts: blobs are sent while the packed server is tried, and named once it answers.

use std::panic;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use trainyard_core::publication::Destination;
use trainyard_oci::spec::Descriptor;
use trainyard_oci::tags::TagPlan;
use trainyard_oci::{
    Access, Attachment, ImageReference, Layout, PushOptions, PushSource, Registry, RegistryError,
    Uploaded,
};
use trainyard_registry::Reach;
use trainyard_runner::{ExitCode, WithExitCode as _};

use crate::naming::Naming;

/// What is pushed, and where to.
pub(crate) struct Pushing<'a> {
    pub(crate) reach: &'a Reach<'a>,
    pub(crate) naming: &'a Naming<'a>,
    pub(crate) layout: &'a Layout,
    pub(crate) manifest: &'a Descriptor,
    pub(crate) attachments: &'a [Attachment],
    /// May be none.
    pub(crate) targets: &'a [ImageReference],
}

/// Blobs of the image in one repository, where nothing names them yet.
pub(crate) struct Sent {
    registry: Registry,
    tags: Vec<TagPlan>,
    /// Repositories of the same registry that have the blobs too.
    mount_from: Vec<String>,
    uploaded: Uploaded,
    took: Duration,
}

impl Pushing<'_> {
    /// Sends the blobs to all targets while `test` runs; nothing that fails the test is named anywhere, and its upload is broken off.
    pub(crate) fn upload_during<T>(
        &self,
        runtime: &Runtime,
        test: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<(T, Vec<Sent>)> {
        // Dropped where the test fails, which breaks the upload off.
        let (wanted, unwanted) = oneshot::channel::<()>();
        let (tested, uploaded) = thread::scope(|scope| {
            let uploading = scope.spawn(|| {
                runtime.block_on(async {
                    tokio::select! {
                        sent = self.upload() => sent,
                        Err(_) = unwanted => bail!("the upload was broken off"),
                    }
                })
            });
            let tested = test();
            let _wanted = tested.is_ok().then_some(wanted);
            let uploaded = uploading.join();
            (
                tested,
                uploaded.unwrap_or_else(|payload| panic::resume_unwind(payload)),
            )
        });
        Ok((tested?, uploaded?))
    }

    /// Sends the blobs; a later repository of the same registry takes them from an earlier one.
    async fn upload(&self) -> anyhow::Result<Vec<Sent>> {
        let mut sent = Vec::new();
        for (idx, to) in self.targets.iter().enumerate() {
            let started = Instant::now();
            let mount_from: Vec<String> = self.targets[..idx]
                .iter()
                .filter(|earlier| earlier.registry() == to.registry())
                .map(|earlier| earlier.repository().to_owned())
                .collect();
            let options = PushOptions {
                overwrites: self.naming.inputs.overwrite,
            };
            let tags = self.naming.tags(Some(to))?;
            let registry = self.reach.connect(to, Access::Push)?;
            let source = self.source(&mount_from);
            let uploaded = registry.upload_image(source, &tags, options).await;
            let uploaded = coded(uploaded)?;
            sent.push(Sent {
                registry,
                tags,
                mount_from,
                uploaded,
                took: started.elapsed(),
            });
        }
        Ok(sent)
    }

    /// Writes manifests and tags over what was `sent`, and returns where the image is now.
    pub(crate) async fn name(&self, sent: Vec<Sent>) -> anyhow::Result<Vec<Destination>> {
        let mut destinations = Vec::new();
        for Sent {
            registry,
            tags,
            mount_from,
            uploaded,
            took,
        } in sent
        {
            let started = Instant::now();
            let source = self.source(&mount_from);
            let pushed = registry.name_image(source, &tags, uploaded).await;
            let pushed = coded(pushed)?;
            tracing::info!(
                "pushed `{}`: {} blobs sent ({:.1} MB), {} there already, in {:.0} ms",
                pushed.image,
                pushed.n_uploaded,
                pushed.uploaded_bytes as f64 / 1e6,
                pushed.n_present,
                (took + started.elapsed()).as_secs_f64() * 1e3
            );
            destinations.push(Destination {
                image: pushed.image.to_string(),
                tags: pushed.tags,
                left_tags: pushed.left,
            });
        }
        Ok(destinations)
    }

    const fn source<'b>(&'b self, mount_from: &'b [String]) -> PushSource<'b> {
        PushSource {
            layout: self.layout,
            manifest: self.manifest,
            mount_from,
            attached: self.attachments,
        }
    }
}

/// A file of the layout that cannot be read is ours, all else the registry's.
fn coded<T>(done: Result<T, RegistryError>) -> anyhow::Result<T> {
    let code = match &done {
        Err(RegistryError::Layout(_)) => ExitCode::Data,
        _ => ExitCode::Service,
    };
    done.exit_code(code)
}
