//! Uploads that break off are gone on with, by the next attempt and by the next push.

use super::*;

/// An image whose model has this many bytes, times four.
fn large(folder: &std::path::Path) -> (Layout, Descriptor) {
    layout(folder, &large_model(1_300_000))
}

/// The bytes of all its blobs.
fn size(layout: &Layout, manifest: &Descriptor) -> u64 {
    let document = layout.manifest(manifest).unwrap();
    let blobs = document.layers.iter().chain([&document.config]);
    blobs.map(|blob| blob.size).sum()
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_sends_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = large(folder.path());
    let size = size(&layout, &manifest);
    for (keeps_uploads, n_twice) in [(true, 0), (false, 4 << 20)] {
        let fake = Fake::start(Behaviour {
            keeps_uploads,
            cuts: [4 << 20].into(),
            ..Behaviour::default()
        });
        let image = (&layout, &manifest);
        let (pushed, steps) = push_image(&fake, options(fake.address()), image).await;
        pushed.unwrap();
        assert_eq!(waits(&steps).len(), 1);
        assert_eq!(fake.uploaded_bytes() as u64, size + n_twice, "{steps:?}");
        assert_whole(&fake, REPOSITORY);
    }
}

/// docker-registry forgets what broke off, and a proxy that ends each long request would end every attempt. What is sent again is what
/// the first request sent.
#[tokio::test(start_paused = true)]
async fn what_the_registry_forgot_is_sent_in_short_requests() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = large(folder.path());
    let most = (4 << 20) + 1;
    let fake = Fake::start(Behaviour {
        keeps_uploads: false,
        longest_request: Some(most),
        ..Behaviour::default()
    });
    let image = (&layout, &manifest);
    let (pushed, steps) = push_image(&fake, options(fake.address()), image).await;
    pushed.unwrap();
    assert_eq!(waits(&steps).len(), 1);
    assert_whole(&fake, REPOSITORY);
    let sent = fake.uploaded_bytes() as u64;
    assert_eq!(sent, size(&layout, &manifest) + most as u64);
}

/// One that takes no chunks gets the blob whole again, as Elastic Container Registry and Artifact Registry must.
#[tokio::test(start_paused = true)]
async fn what_a_registry_without_chunks_forgot_is_sent_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = large(folder.path());
    let no_chunks = ("PATCH /v2/", fake::says("405 Method Not Allowed", ""));
    for (chunk_taken, faults) in [("201 Created", vec![]), ("202 Accepted", vec![no_chunks])] {
        let fake = Fake::start(Behaviour {
            keeps_uploads: false,
            cuts: [4 << 20].into(),
            chunk_taken,
            faults,
            ..Behaviour::default()
        });
        let image = (&layout, &manifest);
        let (pushed, steps) = push_image(&fake, options(fake.address()), image).await;
        pushed.unwrap_or_else(|error| panic!("{chunk_taken}: {error}"));
        assert_eq!(waits(&steps).len(), 1);
        assert_whole(&fake, REPOSITORY);
    }
}

/// A push that is killed, and another one after it.
#[tokio::test]
async fn the_next_push_sends_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = large(folder.path());
    let state = tempfile::tempdir().unwrap();
    let fake = Fake::start(Behaviour {
        cuts: [4 << 20].into(),
        ..Behaviour::default()
    });
    let of = |n_attempts| ConnectOptions {
        unfinished: Some(state.path().to_owned()),
        retry: RetryPolicy {
            n_attempts,
            ..RetryPolicy::default()
        },
        ..options(fake.address())
    };
    let image = (&layout, &manifest);
    push_image(&fake, of(1), image).await.0.unwrap_err();
    assert!(fake.state().tags.is_empty());
    let first = fake.uploaded_bytes();
    let kept = || std::fs::read_dir(state.path()).unwrap().count();
    assert_eq!(kept(), 1);
    push_image(&fake, of(1), image).await.0.unwrap();
    assert_eq!(kept(), 0);
    let layer = layout.manifest(&manifest).unwrap().layers[1].size as usize;
    assert!(first >= 4 << 20);
    assert!(fake.uploaded_bytes() - first <= layer - (4 << 20) + 4096);
    assert_whole(&fake, REPOSITORY);
}

/// An upload that the registry has forgotten, or has more of than the blob is long, is begun anew.
#[tokio::test(start_paused = true)]
async fn an_upload_that_cannot_be_gone_on_with_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = large(folder.path());
    for answer in [
        fake::says("404 Not Found", ""),
        fake::says("204 No Content", "Range: 0-99999999\r\n"),
        fake::says(
            "204 No Content",
            "Range: 0-4999\r\nLocation: /v2/acme/m/blobs/uploads/99\r\n",
        ),
        fake::says("204 No Content", "Range: 0-4999\r\n"),
        fake::says("204 No Content", ""),
    ] {
        let fake = Fake::start(Behaviour {
            cuts: [4 << 20].into(),
            faults: vec![("GET /v2/acme/m/blobs/uploads/", answer.clone())],
            ..Behaviour::default()
        });
        let image = (&layout, &manifest);
        let (pushed, _) = push_image(&fake, options(fake.address()), image).await;
        pushed.unwrap_or_else(|error| panic!("{answer:?}: {error}"));
        assert_whole(&fake, REPOSITORY);
    }
}

/// publishing.md row 1: however slow, as long as something moves.
#[tokio::test]
async fn a_slow_upload_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), &large_model(10_000_000));
    let fake = Fake::start(Behaviour {
        // 40 MB in 610 parts take over 3 s, twice the time-out; what the system buffers, some megabytes, takes less.
        per_64_kib: Duration::from_millis(5),
        ..Behaviour::default()
    });
    let options = ConnectOptions {
        client: ClientOptions {
            read_timeout: Some(Duration::from_millis(1500)),
            ..ClientOptions::default()
        },
        ..options(fake.address())
    };
    let (pushed, steps) = push_image(&fake, options, (&layout, &manifest)).await;
    pushed.unwrap();
    assert_eq!(waits(&steps), []);
    assert_whole(&fake, REPOSITORY);
}
