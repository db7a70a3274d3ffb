//! What is attached to an image: the evaluation as it is, the model as an artifact for tools that know no images of ours, and, where
//! there is a signer, signed statements about the image.
//!
//! Of an index, each of its images and the index itself has its own, since a runtime pulls the one and a person names the other.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use trainyard_attest::{
    Algorithm, BUNDLE_MEDIA_TYPE, BomInputs, CYCLONEDX, MODEL_SIGNATURE, MlBom, ModelFile,
    PROVENANCE, Provenance, ResourceDescriptor, ServerBinary, Statement, TEST_RESULT, TestResult,
};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::{EVALUATION_FILE, Evaluation};
use trainyard_core::files;
use trainyard_core::gate::{VERDICT_FILE, Verdict};
use trainyard_core::model::{FileEntry, ModelFolder};
use trainyard_core::publication::{EVALUATION_MEDIA_TYPE, Referrer};
use trainyard_oci::spec::Descriptor;
use trainyard_oci::{
    Artifact, Attachment, Layer, Layout, MODEL_PACK, ModelPack, annotation, rfc3339,
};
use trainyard_runner::{Context, ExitCode, WithExitCode as _};

use crate::checkout::Checkout;
use crate::image;
use crate::provenance;
use crate::server::{PROGRAM, Server};
use crate::signing::Signer;

/// Annotations by which cosign tells bundles apart without reading them.
const CONTENT: &str = "dev.sigstore.bundle.content";
const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";

/// What is said about an image, and by whom.
pub(crate) struct Evidence<'a> {
    pub(crate) model: &'a ModelFolder,
    /// The model's files as they were packed.
    pub(crate) files: &'a [FileEntry],
    pub(crate) model_pack: &'a ModelPack,
    pub(crate) model_layer: &'a Layer,
    pub(crate) verdict: &'a Verdict,
    pub(crate) evaluation: &'a Evaluation,
    /// The output folder of all stages.
    pub(crate) out: &'a Path,
    pub(crate) context: &'a Context,
    /// Where the context names no commit.
    pub(crate) checkout: Option<&'a Checkout>,
    /// Where the image is going, without a tag: people read it in the statements.
    pub(crate) image_name: &'a str,
    /// The version of a release.
    pub(crate) version: Option<String>,
    /// When the image counts as made, in seconds since 1970.
    pub(crate) created_s: u64,
    /// When this run ends, in seconds since 1970.
    pub(crate) finished_s: u64,
    /// What signs, if anything.
    pub(crate) signer: Option<&'a Signer>,
}

/// An image, or an index of images, that something is attached to.
pub(crate) struct Subject<'a> {
    pub(crate) manifest: &'a Descriptor,
    /// The server in it; an index has none of its own.
    pub(crate) server: Option<&'a Server>,
}

/// What is attached.
pub(crate) struct Attached {
    pub(crate) attachments: Vec<Attachment>,
    /// The same for `publication.json`.
    pub(crate) referrers: Vec<Referrer>,
    /// The bundles among them whose statements are about an image.
    pub(crate) bundles: Vec<Vec<u8>>,
}

impl Evidence<'_> {
    /// Writes everything into the layout. The same inputs give the same bytes, but for the signatures of ECDSA keys, which hold a
    /// random number, and for the time in the provenance unless `SOURCE_DATE_EPOCH` gives it.
    pub(crate) fn attach(
        &self,
        subjects: &[Subject<'_>],
        layout: &Layout,
    ) -> anyhow::Result<Attached> {
        let evaluation = self.evaluation_file()?;
        let mut attached = Attached {
            attachments: Vec::new(),
            referrers: Vec::new(),
            bundles: Vec::new(),
        };
        for subject in subjects {
            let artifact = Artifact {
                media_type: EVALUATION_MEDIA_TYPE.to_owned(),
                bytes: evaluation.clone(),
                title: Some(EVALUATION_FILE.to_owned()),
                annotations: self.annotations([]),
            };
            attached.add_artifact(EVALUATION_MEDIA_TYPE, &artifact, subject, layout)?;
            let attachment =
                layout.attach_model(self.model_pack, self.model_layer, subject.manifest);
            attached.add(MODEL_PACK, attachment.exit_code(ExitCode::Data)?);
            let Some(signer) = self.signer else {
                continue;
            };
            for (kind, bundle) in self.signed(subject, signer)? {
                // That one is about the model's files.
                if kind != MODEL_SIGNATURE {
                    attached.bundles.push(bundle.clone());
                }
                let artifact = Artifact {
                    media_type: BUNDLE_MEDIA_TYPE.to_owned(),
                    bytes: bundle,
                    title: None,
                    annotations: self
                        .annotations([(CONTENT, "dsse-envelope"), (PREDICATE_TYPE, kind)]),
                };
                attached.add_artifact(kind, &artifact, subject, layout)?;
            }
        }
        if let Some(Signer::Key(key)) = self.signer {
            let fingerprint = key.public_key().fingerprint();
            tracing::info!("signed the evidence with the key {fingerprint}");
            if key.public_key().algorithm() == Algorithm::Ed25519 {
                tracing::warn!(
                    "the model's files are not signed by themselves, since OpenSSF Model Signing has no Ed25519; the statements \
                     about the image are: use a P-256 key for both"
                );
            }
        }
        Ok(attached)
    }

    /// The very bytes of the evaluation that was judged.
    fn evaluation_file(&self) -> anyhow::Result<Vec<u8>> {
        let path = self.out.join("evaluation").join(EVALUATION_FILE);
        let bytes = files::read(&path).exit_code(ExitCode::Data)?;
        if Some(&Sha256Digest::of(&bytes)) != self.verdict.evaluation_digest.as_ref() {
            return Err(anyhow!(
                "`{}` changed while the image was built",
                path.display()
            ))
            .exit_code(ExitCode::Data);
        }
        Ok(bytes)
    }

    fn annotations<const N: usize>(&self, further: [(&str, &str); N]) -> BTreeMap<String, String> {
        let further = further.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let created = (annotation::CREATED.to_owned(), rfc3339(self.created_s));
        further.into_iter().chain([created]).collect()
    }

    /// Predicate types and bundles of the statements about one image.
    fn signed(
        &self,
        subject: &Subject<'_>,
        signer: &Signer,
    ) -> anyhow::Result<Vec<(&'static str, Vec<u8>)>> {
        let mut bundles = Vec::new();
        for (kind, statement) in self.statements(subject)? {
            bundles.push((kind, signer.sign(&statement)?));
        }
        let files = self.files.iter();
        let files = files.map(|file| ModelFile {
            name: &file.path,
            sha256: &file.sha256,
        });
        let files: Vec<_> = files.collect();
        if let Some(bundle) = signer.sign_model(&self.model.manifest.name, &files)? {
            bundles.push((MODEL_SIGNATURE, bundle));
        }
        Ok(bundles)
    }

    fn statements(&self, subject: &Subject<'_>) -> anyhow::Result<[(&'static str, Statement); 3]> {
        let about = || ResourceDescriptor::new(self.image_name, &subject.manifest.digest);
        let verdict_path = self.out.join("verdict").join(VERDICT_FILE);
        let (verdict_digest, _) = files::measure(&verdict_path).exit_code(ExitCode::Data)?;
        let run = self.context.run.as_ref();
        let verdict = TestResult::of(
            self.verdict,
            &verdict_digest,
            self.evaluation
                .predictions
                .as_ref()
                .map(|file| &file.sha256),
            run.and_then(|run| run.url.as_deref()),
        );
        let build = provenance::build(
            (self.context, self.checkout),
            (self.model, self.files),
            self.verdict,
            &verdict_digest,
            rfc3339(self.finished_s),
        );
        let provenance = Provenance::of(&build)
            .context("the provenance of the image cannot be stated")
            .exit_code(ExitCode::Usage)?;
        let server = match subject.server {
            Some(server) => {
                let (sha256, _) = files::measure(&server.path).exit_code(ExitCode::Data)?;
                Some((server, sha256))
            }
            None => None,
        };
        let created = rfc3339(self.created_s);
        let bom = MlBom::of(&BomInputs {
            manifest: &self.model.manifest,
            model_digest: &self.model.digest,
            evaluation: self.evaluation,
            version: self.version.as_deref(),
            server: server.as_ref().map(|(server, sha256)| ServerBinary {
                name: PROGRAM,
                // Another server than the one released with this program says its version only when it is run.
                version: server.is_ours.then_some(env!("CARGO_PKG_VERSION")),
                sha256,
            }),
            timestamp: Some(&created),
        })
        .exit_code(ExitCode::Inconclusive)?;
        Ok([
            (TEST_RESULT, verdict.statement(about())),
            (PROVENANCE, provenance.statement(about())),
            (CYCLONEDX, bom.statement(about())),
        ])
    }
}

impl Attached {
    fn add_artifact(
        &mut self,
        kind: &str,
        artifact: &Artifact,
        subject: &Subject<'_>,
        layout: &Layout,
    ) -> anyhow::Result<()> {
        let attachment = layout.attach(artifact, subject.manifest);
        self.add(kind, attachment.exit_code(ExitCode::Data)?);
        Ok(())
    }

    fn add(&mut self, kind: &str, attachment: Attachment) {
        self.referrers.push(Referrer {
            kind: kind.to_owned(),
            digest: attachment.manifest.digest.clone(),
            subject: attachment.subject.clone(),
        });
        self.attachments.push(attachment);
    }
}

/// What is attached, for people.
pub(crate) fn name_of(kind: &str) -> &str {
    match kind {
        EVALUATION_MEDIA_TYPE => "evaluation",
        MODEL_PACK => "ModelPack",
        statement => trainyard_attest::short_name(statement),
    }
}

/// When this run ends: `SOURCE_DATE_EPOCH`, so that it can be repeated to the byte, else now; in seconds since 1970.
pub(crate) fn finished_s() -> anyhow::Result<u64> {
    let now = || {
        let since = std::time::UNIX_EPOCH.elapsed();
        since.map_or(0, |since| since.as_secs())
    };
    Ok(image::source_date_epoch()?.unwrap_or_else(now))
}
