//! Releases at once, and in any order: a floating tag ends on the highest version of its series.

use std::path::Path;
use std::thread;

use trainyard_oci::tags::{self, Event};
use trainyard_oci::{Layout, PushOptions, PushSource, Registry, RegistryError};

use super::*;

fn planned(version: &str) -> Vec<TagPlan> {
    let tag = format!("v{version}");
    let event = Event {
        tag: Some(&tag),
        model: "m",
        ..Event::default()
    };
    tags::plan(&event).unwrap()
}

/// Pushes a release through the address of `client`.
fn release(address: &str, version: &str) -> Pushed {
    let folder = tempfile::tempdir().unwrap();
    let (layout, manifest) = layout(folder.path(), version.as_bytes());
    let push = Push {
        address,
        repository: REPOSITORY,
        image: (&layout, &manifest),
        tags: &planned(version),
        mount_from: &[],
        attached: &[],
        overwrites: false,
        options: options(address),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(push.run()).0.unwrap()
}

/// All orders in which `n` events of each of two clients can come.
fn interleavings(n: usize) -> Vec<Vec<usize>> {
    let all = 0..1_u32 << (2 * n);
    all.filter(|bits| bits.count_ones() as usize == n)
        .map(|bits| (0..2 * n).map(|at| (bits >> at & 1) as usize).collect())
        .collect()
}

/// publishing.md row 3: v1.9.0 and v2.0.0 at once. What decides are the version, the look at the tags, `latest` and the second look.
#[test]
fn latest_is_the_higher_of_two_releases_at_once() {
    let all = interleavings(4);
    assert_eq!(all.len(), 70);
    for turns in all {
        let fake = Fake::start_for(2, Behaviour::default());
        fake.take_turns(&turns);
        thread::scope(|scope| {
            for (client, version) in ["1.9.0", "2.0.0"].into_iter().enumerate() {
                let fake = &fake;
                scope.spawn(move || {
                    release(&fake.addresses[client], version);
                    fake.has_ended(client);
                });
            }
        });
        let tag = |tag: &str| fake.tag(REPOSITORY, tag);
        assert_eq!(tag("latest"), tag("2.0.0"), "{turns:?}");
        for (series, version) in [("1", "1.9.0"), ("1.9", "1.9.0"), ("2", "2.0.0")] {
            assert_eq!(tag(series), tag(version), "{turns:?}: {series}");
        }
    }
}

#[test]
fn a_late_fix_of_an_old_series_leaves_latest() {
    let fake = Fake::start(Behaviour::default());
    let address = fake.address();
    release(address, "2.0.0");
    let pushed = release(address, "1.9.1");
    assert_eq!(pushed.tags, ["1.9.1", "1.9", "1"]);
    assert_eq!(pushed.left, ["latest"]);
    release(address, "2.0.1-rc.1");
    assert_eq!(
        fake.tag(REPOSITORY, "latest"),
        fake.tag(REPOSITORY, "2.0.0")
    );
    // The same release again moves nothing and asks for no more than its tags.
    fake.state().requests.clear();
    let again = release(address, "2.0.0");
    assert_eq!(again.tags, ["2.0.0", "2.0", "2", "latest"]);
    assert_eq!((again.n_uploaded, fake.count("PUT")), (0, 0));
    assert_eq!(fake.state().requests.len(), 5);
}

/// publishing.md row 11: two git tags on one commit.
#[test]
fn a_commits_tag_is_left_at_its_first_image() {
    let fake = Fake::start(Behaviour::default());
    let of = |version: &str| {
        let tag = format!("v{version}");
        let event = Event {
            tag: Some(&tag),
            commit: Some("0123456789abcdef"),
            model: "m",
            ..Event::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let (layout, manifest) = layout(folder.path(), version.as_bytes());
        let push = Push {
            address: fake.address(),
            repository: REPOSITORY,
            image: (&layout, &manifest),
            tags: &tags::plan(&event).unwrap(),
            mount_from: &[],
            attached: &[],
            overwrites: false,
            options: options(fake.address()),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(push.run()).0.unwrap()
    };
    of("1.0.0");
    let second = of("1.0.1");
    assert_eq!(second.left, ["sha-0123456789ab"]);
    let tag = |tag: &str| fake.tag(REPOSITORY, tag);
    assert_eq!(tag("sha-0123456789ab"), tag("1.0.0"));
    assert_eq!(tag("latest"), tag("1.0.1"));
}

/// A layout of another image for each `content`, and a connection.
fn prepared(fake: &Fake, folder: &Path, content: &str) -> (Layout, Descriptor, Registry) {
    let (layout, manifest) = layout(folder, content.as_bytes());
    let (registry, _) = connect(fake.address(), REPOSITORY, options(fake.address()));
    (layout, manifest, registry)
}

fn source((layout, manifest, _): &(Layout, Descriptor, Registry)) -> PushSource<'_> {
    PushSource {
        layout,
        manifest,
        mount_from: &[],
        attached: &[],
    }
}

/// Both looked before either was there; the upload of one took longer.
#[tokio::test]
async fn a_version_that_was_taken_during_the_upload_is_left() {
    let fake = Fake::start(Behaviour::default());
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let slow = prepared(&fake, folders[0].path(), "slow");
    let quick = prepared(&fake, folders[1].path(), "quick");
    let tags = planned("1.0.0");
    let options = PushOptions::default();
    let uploaded = slow
        .2
        .upload_image(source(&slow), &tags, options)
        .await
        .unwrap();
    quick.2.push(source(&quick), &tags, options).await.unwrap();
    let refused = slow
        .2
        .name_image(source(&slow), &tags, uploaded)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, RegistryError::VersionTaken { .. }),
        "{refused}"
    );
    assert_eq!(
        fake.tag(REPOSITORY, "1.0.0"),
        Some(quick.1.digest.to_string())
    );
    assert_eq!(
        fake.tag(REPOSITORY, "latest"),
        Some(quick.1.digest.to_string())
    );
}

/// Nothing says which version an image of a laptop is.
#[tokio::test]
async fn latest_of_a_repository_with_versions_is_the_highest_of_them() {
    let fake = Fake::start(Behaviour::default());
    let folder = tempfile::tempdir().unwrap();
    let prepared = prepared(&fake, folder.path(), "unversioned");
    let tags = [TagPlan::unversioned()];
    let options = PushOptions::default();
    prepared
        .2
        .push(source(&prepared), &tags, options)
        .await
        .unwrap();
    // Again, with nothing to move.
    prepared
        .2
        .push(source(&prepared), &tags, options)
        .await
        .unwrap();
    let address = fake.address().to_owned();
    thread::spawn(move || release(&address, "1.0.0"))
        .join()
        .unwrap();
    let refused = prepared
        .2
        .push(source(&prepared), &tags, options)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("the highest version, 1.0.0"),
        "{refused}"
    );
    assert_eq!(
        fake.tag(REPOSITORY, "latest"),
        fake.tag(REPOSITORY, "1.0.0")
    );
}
