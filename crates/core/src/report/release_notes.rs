//! The notes of a release: the metrics beside the baseline's, the verdict, where the image is, and how to run and verify it.

use super::markdown::{boxed, heading, metrics_table};
use super::release::{Release, facts};
use super::sections::{Section, fitted};
use super::text::{escape, escape_url, name, sentence};
use crate::figure::count;

/// Title of the column of the candidate's values.
const VALUES: &str = "This release";

/// Name of the notes' file, beside `publication.json`.
pub const RELEASE_NOTES_FILE: &str = "release-notes.md";

/// The notes as GitHub-flavoured Markdown of at most `max_chars` characters.
///
/// What does not fit is omitted, least important first, and named.
pub fn release_notes(release: &Release<'_>, max_chars: usize) -> String {
    let sections = vec![
        Section {
            name: "headline",
            rank: 0,
            text: headline(release),
        },
        Section {
            name: "metrics",
            rank: 4,
            text: metrics_table(&release.report(), VALUES),
        },
        Section {
            name: "baseline",
            rank: 3,
            text: baseline(release),
        },
        Section {
            name: "images",
            rank: 1,
            text: images(release),
        },
        Section {
            name: "how to run it",
            rank: 2,
            text: how_to_run(release),
        },
        Section {
            name: "how to verify it",
            rank: 2,
            text: how_to_verify(release),
        },
        Section {
            name: "provenance",
            rank: 3,
            text: provenance(release),
        },
    ];
    let elsewhere = format!("`{RELEASE_NOTES_FILE}`, beside the image, has them.");
    fitted(sections, max_chars, &elsewhere)
}

/// Verdict, model, version and headline metric; below them the verdict in a sentence, and who let the model through where it failed.
fn headline(release: &Release<'_>) -> String {
    let verdict = release.verdict;
    let subject = format!("{} {}", name(&release.manifest.name), name(release.version));
    let summary = sentence(&verdict.summary);
    let overridden = verdict.overridden.as_ref().map(|found| {
        format!(
            "\n> **Overridden by {}**: {} ({})\n",
            name(&found.by),
            sentence(&found.reason),
            escape_url(&found.url)
        )
    });
    format!(
        "{}\n\n{}\n{}",
        heading(&release.report(), &subject),
        boxed(verdict, &summary),
        overridden.unwrap_or_default()
    )
}

fn baseline(release: &Release<'_>) -> String {
    let source = release
        .verdict
        .baseline
        .as_ref()
        .and(release.baseline_source);
    source.map_or_else(String::new, |source| {
        format!("Compared with {}.\n", sentence(source))
    })
}

/// Each image by digest, with its tags.
fn images(release: &Release<'_>) -> String {
    let publication = release.publication;
    let mut rows: Vec<(&str, String)> = Vec::new();
    for destination in &publication.destinations {
        let tags: Vec<String> = destination.tags.iter().map(|tag| code(tag)).collect();
        rows.push(("Image", code(&destination.image)));
        rows.push(("Tags", tags.join(", ")));
    }
    if publication.destinations.is_empty() {
        let digest = code(publication.image_digest.as_str());
        rows.push(("Image", format!("{digest}, not pushed")));
    }
    rows.push(("Platforms", escape(&publication.platforms.join(", "))));
    facts(&rows)
}

fn how_to_run(release: &Release<'_>) -> String {
    if release.image_by_digest().is_none() {
        // The command names a folder of the machine that built the image.
        return String::new();
    }
    format!(
        "Run it:\n\n```sh\n{}\n```\n",
        release.publication.run_command
    )
}

/// Absent where nothing is signed.
fn how_to_verify(release: &Release<'_>) -> String {
    let signed = release.publication.signing_key.as_ref();
    let Some((image, key)) = release.image_by_digest().zip(signed) else {
        return String::new();
    };
    format!(
        "Verify it, with the public key whose fingerprint is `{key}` in `signing.pub`:\n\n```sh\ntrainyard-verify --key signing.pub {image}\n```\n"
    )
}

fn provenance(release: &Release<'_>) -> String {
    let publication = release.publication;
    let n_rows = count(release.evaluation.data.rows.n_rows, "row");
    let mut rows = vec![
        ("Model", code(publication.model_digest.as_str())),
        (
            "Evaluation",
            format!("{}, {n_rows}", code(publication.evaluation_digest.as_str())),
        ),
    ];
    rows.extend(
        publication
            .commit
            .iter()
            .map(|commit| ("Commit", escape(commit))),
    );
    rows.extend(release.run_url.map(|url| ("Run", escape_url(url))));
    rows.push(("Trainyard", escape(&publication.trainyard_version)));
    facts(&rows)
}

/// References, tags and digests, whose grammars have no backtick.
fn code(text: &str) -> String {
    format!("`{text}`")
}
