//! One fault or quirk a test: the push ends right, or with an error that names it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::fake::says;
use super::*;

fn with_faults(faults: &[(&'static str, fake::Answer)]) -> Behaviour {
    Behaviour {
        faults: faults.to_vec(),
        ..Behaviour::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_sends_each_blob_once_and_tags_last() {
    let fake = Fake::start(Behaviour::default());
    let (pushed, steps) = push(&fake).await;
    let pushed = pushed.unwrap();
    assert_eq!(pushed.tags, ["1.0.0", "1.0"]);
    assert_eq!(waits(&steps), []);
    assert_eq!(
        (pushed.n_uploaded, fake.count("PUT /v2/acme/m/blobs/")),
        (3, 3)
    );
    let lines: Vec<String> = fake
        .state()
        .requests
        .iter()
        .map(|it| it.line.clone())
        .collect();
    let is_write = |line: &&String| line.starts_with("PUT");
    let written: Vec<&String> = lines.iter().filter(is_write).collect();
    assert!(written[3].ends_with("/manifests/1.0.0") && written[4].ends_with("/manifests/1.0"));
    // publishing.md row 18: nobody is asked how to log in where no login is wanted.
    assert_eq!(fake.count("GET /v2/"), 0);
    assert_whole(&fake, REPOSITORY);

    fake.state().requests.clear();
    let again = push(&fake).await.0.unwrap();
    assert_eq!((again.n_uploaded, again.n_present), (0, 3));
    // Each tag is looked at, and nothing else asked or written.
    assert_eq!(fake.state().requests.len(), 2);
}

/// publishing.md rows 8 and 16, on each kind of request.
#[tokio::test(start_paused = true)]
async fn a_busy_registry_is_asked_again_when_it_says() {
    for request in [
        "HEAD /v2/acme/m/blobs/",
        "POST /v2/acme/m/blobs/uploads/",
        "PUT /v2/acme/m/blobs/uploads/",
        "PUT /v2/acme/m/manifests/",
        "HEAD /v2/acme/m/manifests/",
    ] {
        let fake = Fake::start(with_faults(&[
            (request, says("429 Too Many Requests", "Retry-After: 7\r\n")),
            (request, says("503 Service Unavailable", "")),
        ]));
        let (pushed, steps) = push(&fake).await;
        pushed.unwrap();
        let mut waits = waits(&steps);
        assert_eq!(waits.len(), 2, "{request}: {waits:?}");
        // Two uploads run at a time, so either may meet the first fault.
        waits.sort();
        assert_eq!(waits[1].0, Duration::from_secs(7), "{request}");
        assert!(waits[0].0 <= Duration::from_secs(2), "{request}");
        for (_, reason) in waits {
            // Row 14: an upload's address is signed.
            assert!(
                !reason.contains("s3cret") && !reason.contains("http"),
                "{reason}"
            );
        }
        assert_whole(&fake, REPOSITORY);
    }
}

/// publishing.md row 17: the body is sent again to where the registry points, and what is answered is believed if the blob is there.
#[tokio::test(start_paused = true)]
async fn a_redirected_upload_is_followed_and_another_success_is_checked() {
    let fake = Fake::start(Behaviour {
        redirects_uploads: true,
        ..Behaviour::default()
    });
    push(&fake).await.0.unwrap();
    assert_eq!(fake.count("PUT /v2/acme/m/blobs/uploads/"), 6);
    assert_whole(&fake, REPOSITORY);

    for uploaded in ["200 OK", "202 Accepted", "204 No Content"] {
        let fake = Fake::start(Behaviour {
            uploaded,
            ..Behaviour::default()
        });
        push(&fake).await.0.expect(uploaded);
        assert_whole(&fake, REPOSITORY);
    }
    // Answered so without taking the blob.
    let lies = ("PUT /v2/acme/m/blobs/", says("200 OK", ""));
    let fake = Fake::start(with_faults(&[lies]));
    let error = push(&fake).await.0.unwrap_err();
    let text = trainyard_core::error_chain::in_one_line(&error);
    assert!(text.contains("does not have the blob"), "{text}");
    assert!(fake.state().tags.is_empty());
}

/// publishing.md row 13: at once, with the cause first.
#[tokio::test(start_paused = true)]
async fn what_will_fail_again_is_not_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            // To close with bytes unread would reset the connection, maybe before the answer is read.
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    // Not one of the names by which this machine is taken for a registry that may be without TLS.
    let address = format!("0.0.0.0:{port}");
    let (registry, steps) = connect(&address, REPOSITORY, options("elsewhere"));
    let error = registry.list_tags().await.unwrap_err();
    assert_eq!(waits(&steps.take()), []);
    assert!(matches!(error, RegistryError::NotTls { .. }), "{error}");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    assert!(error.to_string().contains("--plain-http"), "{error}");
}

/// What lies before a registry may take no large body (Cloudflare: 100 MB).
#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_goes_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), &large_model(1_300_000));
    let image = (&layout, &manifest);
    let fake = Fake::start(Behaviour {
        max_body: Some(3 << 20),
        ..Behaviour::default()
    });
    let (pushed, steps) = push_image(&fake, options(fake.address()), image).await;
    pushed.unwrap();
    assert_eq!(quirks(&steps), 1);
    // 5.2 MB in chunks of 2 MiB, after 16, 8 and 4 were refused.
    let n_chunks = {
        let state = fake.state();
        let taken = |it: &&fake::Recorded| it.line.starts_with("PATCH") && it.n_bytes > 0;
        state.requests.iter().filter(taken).count()
    };
    assert_eq!(n_chunks, 3);
    assert_whole(&fake, REPOSITORY);

    // Elastic Container Registry answers a chunk with 201 and drops those after the first.
    let fake = Fake::start(Behaviour {
        max_body: Some(3 << 20),
        chunk_taken: "201 Created",
        ..Behaviour::default()
    });
    let error = push_image(&fake, options(fake.address()), image).await.0;
    let text = trainyard_core::error_chain::in_one_line(&error.unwrap_err());
    assert!(text.contains("201 Created for a chunk"), "{text}");
    assert!(fake.state().tags.is_empty());
}

/// A registry that cleans up may say that it has a blob, and find out otherwise when the manifest comes.
#[tokio::test(start_paused = true)]
async fn a_blob_that_is_not_there_after_all_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), b"model");
    let layer = layout.manifest(&manifest).unwrap().layers[1].clone();
    let fake = Fake::start(Behaviour {
        phantoms: [layer.digest.to_string()].into(),
        ..Behaviour::default()
    });
    let image = (&layout, &manifest);
    let (pushed, steps) = push_image(&fake, options(fake.address()), image).await;
    pushed.unwrap();
    assert_eq!(quirks(&steps), 1);
    assert_whole(&fake, REPOSITORY);
}

/// Elastic Container Registry and others leave headers out that help.
#[tokio::test(start_paused = true)]
async fn a_registry_need_not_name_digests() {
    let fake = Fake::start(Behaviour {
        names_digests: false,
        ..Behaviour::default()
    });
    push(&fake).await.0.unwrap();
    let again = push(&fake).await.0.unwrap();
    assert_eq!((again.n_uploaded, again.tags.len()), (0, 2));
}

/// Two repositories of one registry: the second takes the blobs from the first, where the registry can.
#[tokio::test(start_paused = true)]
async fn blobs_are_taken_from_another_repository() {
    for (mounts, login, n_sent) in [
        (true, fake::Login::None, 0),
        (false, fake::Login::None, 3),
        (true, fake::Login::Basic, 0),
        (true, fake::Login::Token { n_uses: 1000 }, 0),
    ] {
        let fake = Fake::start(Behaviour {
            login,
            mounts,
            ..Behaviour::default()
        });
        let folder = tempfile::tempdir().unwrap();
        let (layout, manifest) = layout(folder.path(), b"model");
        push_image(&fake, options(fake.address()), (&layout, &manifest))
            .await
            .0
            .unwrap();
        let before = fake.uploaded_bytes();
        let push = Push {
            address: fake.address(),
            repository: "other/m",
            image: (&layout, &manifest),
            tags: &[TagPlan::version("1.0.0")],
            mount_from: &[REPOSITORY.to_owned()],
            attached: &[],
            overwrites: false,
            options: options(fake.address()),
        };
        let (pushed, steps) = push.run().await;
        assert_eq!(pushed.unwrap().n_uploaded, n_sent, "{steps:?}");
        assert_eq!(fake.uploaded_bytes() == before, n_sent == 0);
        if login == (fake::Login::Token { n_uses: 1000 }) {
            // A token for both repositories.
            let state = fake.state();
            let asks = |it: &fake::Recorded| {
                it.query.contains("scope=repository%3Aacme%2Fm%3Apull&")
                    || it.query.ends_with("scope=repository%3Aacme%2Fm%3Apull")
            };
            assert!(state.requests.iter().any(asks));
        }
        // A upload that was begun in place of a mount is given up.
        assert_eq!(fake.count("DELETE"), if mounts { 0 } else { 3 });
    }
}

/// publishing.md row 10.
#[tokio::test(start_paused = true)]
async fn a_version_is_moved_only_where_that_is_asked_for() {
    let fake = Fake::start(Behaviour::default());
    push(&fake).await.0.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), b"other");
    let tags = [TagPlan::version("1.0.0")];
    let of = |overwrites| Push {
        address: fake.address(),
        repository: REPOSITORY,
        image: (&layout, &manifest),
        tags: &tags,
        mount_from: &[],
        attached: &[],
        overwrites,
        options: options(fake.address()),
    };
    let before = fake.uploaded_bytes();
    let error = of(false).run().await.0.unwrap_err();
    assert!(error.to_string().contains("--overwrite"), "{error}");
    assert_eq!(fake.uploaded_bytes(), before);
    of(true).run().await.0.unwrap();
    let digest = fake.tag(REPOSITORY, "1.0.0");
    assert_eq!(digest.as_deref(), Some(manifest.digest.as_str()));
}

/// A registry that will soon be read-only, or is near its quota, says so.
#[tokio::test(start_paused = true)]
async fn what_a_registry_warns_of_is_shown() {
    let warning = "Warning: 299 - \"this registry closes in May\"\r\n";
    let taken = (
        "PUT /v2/acme/m/manifests/1.0.0",
        says("201 Created", warning),
    );
    let fake = Fake::start(with_faults(&[taken]));
    let (_, steps) = push(&fake).await;
    let is_shown =
        |step: &Progress| matches!(step, Progress::Quirk(text) if text.contains("closes in May"));
    assert!(steps.iter().any(is_shown), "{steps:?}");
}

/// A registry caps the pages of a list.
#[tokio::test(start_paused = true)]
async fn all_tags_are_listed_page_by_page() {
    let fake = Fake::start(Behaviour {
        tags_per_page: 2,
        ..Behaviour::default()
    });
    for patch in 0..7 {
        let key = (REPOSITORY.to_owned(), format!("1.0.{patch}"));
        fake.state().tags.insert(key, "sha256:0".to_owned());
    }
    let (registry, _) = connect(fake.address(), REPOSITORY, options(fake.address()));
    assert_eq!(registry.list_tags().await.unwrap().len(), 7);
}
