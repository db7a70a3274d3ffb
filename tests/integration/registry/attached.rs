//! What is attached to an image is found again, whether the registry keeps the list or not.

use serde_json::json;

use super::*;

/// A manifest that refers to `subject`, with nothing but an empty configuration.
fn evidence(subject: &Descriptor, name: &str) -> (Descriptor, bytes::Bytes) {
    let document = json!({
        "schemaVersion": 2,
        "mediaType": trainyard_oci::spec::MANIFEST,
        "artifactType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "config": Descriptor::of("application/vnd.oci.empty.v1+json", b"{}"),
        "layers": [],
        "subject": subject,
        "annotations": {"name": name},
    });
    let bytes = serde_json::to_vec(&document).unwrap();
    let descriptor = Descriptor::of(trainyard_oci::spec::MANIFEST, &bytes);
    (descriptor, bytes.into())
}

#[tokio::test(start_paused = true)]
async fn what_is_attached_is_found_again() {
    for lists_referrers in [true, false] {
        let fake = Fake::start(Behaviour {
            lists_referrers,
            ..Behaviour::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let (layout, manifest) = layout(folder.path(), b"model");
        let image = (&layout, &manifest);
        push_image(&fake, options(fake.address()), image)
            .await
            .0
            .unwrap();
        let key = (
            REPOSITORY.to_owned(),
            trainyard_core::digest::Sha256Digest::of(b"{}").to_string(),
        );
        fake.state().blobs.insert(key, b"{}".to_vec());
        let (registry, _) = connect(fake.address(), REPOSITORY, options(fake.address()));
        assert_eq!(registry.referrers(&manifest.digest).await.unwrap(), []);
        let (first, second) = (evidence(&manifest, "a"), evidence(&manifest, "b"));
        for (descriptor, bytes) in [&first, &second, &first] {
            registry
                .attach(&manifest.digest, descriptor, bytes)
                .await
                .unwrap();
        }
        let found = registry.referrers(&manifest.digest).await.unwrap();
        let mut found: Vec<&str> = found.iter().map(|it| it.digest.as_str()).collect();
        found.sort_unstable();
        let mut expected = [first.0.digest.as_str(), second.0.digest.as_str()];
        expected.sort_unstable();
        assert_eq!(found, expected, "lists_referrers: {lists_referrers}");
        let fallback = format!("sha256-{}", manifest.digest.hex());
        assert_eq!(fake.tag(REPOSITORY, &fallback).is_some(), !lists_referrers);
    }
}

/// Where the list is a tag, each writes all of it: what the other one adds in between must not be lost.
#[test]
fn two_that_attach_at_once_lose_nothing() {
    for _ in 0..10 {
        let fake = Fake::start(Behaviour {
            lists_referrers: false,
            ..Behaviour::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let (layout, manifest) = layout(folder.path(), b"model");
        let push = || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let (registry, _) = connect(fake.address(), REPOSITORY, options(fake.address()));
            (runtime, registry)
        };
        let image = (&layout, &manifest);
        let pushed = push_image(&fake, options(fake.address()), image);
        push().0.block_on(pushed).0.unwrap();
        let key = (
            REPOSITORY.to_owned(),
            trainyard_core::digest::Sha256Digest::of(b"{}").to_string(),
        );
        fake.state().blobs.insert(key, b"{}".to_vec());
        std::thread::scope(|scope| {
            for name in ["a", "b", "c"] {
                let (push, manifest) = (&push, &manifest);
                scope.spawn(move || {
                    let (runtime, registry) = push();
                    let all: Vec<_> = (0..4)
                        .map(|idx| evidence(manifest, &format!("{name}{idx}")))
                        .collect();
                    runtime.block_on(async {
                        for (descriptor, bytes) in &all {
                            registry
                                .attach(&manifest.digest, descriptor, bytes)
                                .await
                                .unwrap();
                        }
                    });
                });
            }
        });
        let (runtime, registry) = push();
        // What each push does once more at its end: what was lost is listed again.
        for name in ["a", "b", "c"] {
            for idx in 0..4 {
                let (descriptor, bytes) = evidence(&manifest, &format!("{name}{idx}"));
                let attached = registry.attach(&manifest.digest, &descriptor, &bytes);
                runtime.block_on(attached).unwrap();
            }
        }
        let found = runtime
            .block_on(registry.referrers(&manifest.digest))
            .unwrap();
        assert_eq!(found.len(), 12);
    }
}
