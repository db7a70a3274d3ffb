//! What is deployed: the image by digest, what is known of its model, and the held-out sample.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use trainyard_core::config::JudgingConfig;
use trainyard_core::files;
use trainyard_core::held_out_sample::{HeldOutSample, SAMPLE_FILE};
use trainyard_core::publication::{PUBLICATION_FILE, Publication};
use trainyard_kubernetes::App;
use trainyard_oci::{Access, ImageReference, RetryPolicy};
use trainyard_registry::Reach;
use trainyard_runner::{ExitCode, WithExitCode as _};
use trainyard_verify::Proven;

use crate::inputs::Inputs;
use crate::runtime::runtime;

/// What is deployed.
pub(crate) struct Subject {
    /// By digest.
    pub(crate) image: ImageReference,
    /// What is signed about it; absent where nothing was asked for.
    pub(crate) evidence: Option<Proven>,
    pub(crate) model_name: String,
    pub(crate) model_digest: Option<String>,
    evaluation_digest: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) sample: Option<HeldOutSample>,
}

impl Subject {
    /// Resolves and verifies the image.
    pub(crate) fn find(inputs: &Inputs, config: &JudgingConfig) -> anyhow::Result<Self> {
        let folder = inputs.stage.out.join("image");
        let path = folder.join(PUBLICATION_FILE);
        let publication: Option<Publication> = match files::is_there(&path) {
            true => Some(files::read_json(&path, "a publication").exit_code(ExitCode::Data)?),
            false => None,
        };
        let published = publication.as_ref().and_then(|it| it.destinations.first());
        let written = inputs.image().or(published.map(|it| it.image.as_str()));
        let written = written
            .with_context(|| match &publication {
                Some(_) => format!(
                    "`{}` says that the image was pushed nowhere",
                    path.display()
                ),
                None => "no image is named".to_owned(),
            })
            .exit_code(ExitCode::Usage)
            .hint("name it: `trainyard-deploy ghcr.io/owner/name@sha256:…`")?;
        let named: ImageReference = written.parse().exit_code(ExitCode::Usage)?;
        let (image, evidence) = match verified(inputs, config, written)? {
            Some(evidence) => (evidence.image.clone(), Some(evidence)),
            None => (resolved(inputs, config, named)?, None),
        };
        // What lies in the output folder may be about another image.
        let publication = publication.filter(|it| Some(&it.image_digest) == image.digest());
        let model_name = publication.as_ref().map(|it| it.model_name.clone());
        let model_name = model_name.or_else(|| config.model_name.clone());
        let of_evidence = |pick: fn(&Proven) -> Option<String>| evidence.as_ref().and_then(pick);
        let model_digest = of_evidence(|it| it.model_digest.clone())
            .or_else(|| publication.as_ref().map(|it| it.model_digest.to_string()));
        let evaluation_digest = of_evidence(|it| it.evaluation_digest.clone()).or_else(|| {
            publication
                .as_ref()
                .map(|it| it.evaluation_digest.to_string())
        });
        let sample_path = match &inputs.sample {
            Some(path) => Some(path.clone()),
            None => Some(folder.join(SAMPLE_FILE))
                .filter(|path| publication.is_some() && files::is_there(path)),
        };
        let sample = sample_path.map(|path| sample_at(path, model_digest.as_deref()));
        Ok(Self {
            model_name: model_name
                .or_else(|| config.deploy.name.clone())
                .context("the model has no name")
                .exit_code(ExitCode::Usage)
                .hint("write `[deploy]` with `name = \"…\"`, or `[model]` with its name")?,
            commit: of_evidence(|it| it.commit.clone())
                .or_else(|| publication.as_ref().and_then(|it| it.commit.clone())),
            sample: sample.transpose()?,
            image,
            evidence,
            model_digest,
            evaluation_digest,
        })
    }

    /// The objects that run it, in `namespace`.
    pub(crate) fn app(&self, config: &JudgingConfig, namespace: &str) -> App {
        let known = [
            ("trainyard.dev/model-name", Some(&self.model_name)),
            ("trainyard.dev/model-digest", self.model_digest.as_ref()),
            (
                "trainyard.dev/evaluation-digest",
                self.evaluation_digest.as_ref(),
            ),
            ("trainyard.dev/commit", self.commit.as_ref()),
        ];
        let provenance: BTreeMap<String, String> = known
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?.clone())))
            .collect();
        App {
            name: config.deploy.name_for(&self.model_name),
            namespace: namespace.to_owned(),
            image: self.image.to_string(),
            port: config.image.port,
            config: config.deploy.clone(),
            provenance,
        }
    }
}

/// What is signed about the image, by whom the inputs trust. `None` with `--unsigned`.
fn verified(
    inputs: &Inputs,
    config: &JudgingConfig,
    image: &str,
) -> anyhow::Result<Option<Proven>> {
    let evidence = &inputs.evidence;
    if evidence.unsigned {
        tracing::warn!("no evidence is verified: `--unsigned`");
        return Ok(None);
    }
    if evidence.key.is_empty() && evidence.identity.is_none() && evidence.policy.is_none() {
        return Err(anyhow!("no signer is named whose evidence would be verified"))
            .exit_code(ExitCode::Usage)
            .hint("name one by `--key`, by `--identity` and `--issuer`, or by `--policy`; `--unsigned` deploys without");
    }
    let mut registry = inputs.registry.clone();
    registry.plain_http.extend(config.image.plain_http.clone());
    let verify = trainyard_verify::Inputs {
        reference: Some(image.to_owned()),
        image: None,
        key: evidence.key.clone(),
        identity: evidence.identity.clone(),
        issuer: evidence.issuer.clone(),
        trusted_root: evidence.trusted_root.clone(),
        policy: evidence.policy.clone(),
        model: None,
        save_model: None,
        unsigned: false,
        rules: None,
        json: false,
        ca: authorities(inputs, config),
        registry,
        log: inputs.stage.log.clone(),
    };
    let found = trainyard_verify::prove(&verify)?;
    tracing::info!("the evidence of `{}` is verified", found.image);
    Ok(Some(found))
}

fn authorities(inputs: &Inputs, config: &JudgingConfig) -> Option<PathBuf> {
    let of_config = || {
        config
            .image
            .ca
            .as_ref()
            .map(|path| inputs.stage.base().join(path))
    };
    inputs.ca.clone().or_else(of_config)
}

/// The image by digest, which for a tag the registry says.
fn resolved(
    inputs: &Inputs,
    config: &JudgingConfig,
    named: ImageReference,
) -> anyhow::Result<ImageReference> {
    if named.digest().is_some() {
        return Ok(named);
    }
    let reach = Reach {
        args: &inputs.registry,
        plain_http: &config.image.plain_http,
        ca: authorities(inputs, config),
        retry: RetryPolicy::default(),
        token: None,
    };
    let registry = reach.connect(&named, Access::Pull)?;
    let runtime = runtime()?;
    let tag = named.tag().unwrap_or("latest");
    let found = runtime
        .block_on(registry.read_manifest(tag))
        .exit_code(ExitCode::Service)?;
    let found = found
        .with_context(|| format!("`{named}` is not there, or may not be read by this user"))
        .exit_code(ExitCode::Service)?;
    Ok(named.with_digest(&found.descriptor.digest))
}

fn sample_at(path: PathBuf, model_digest: Option<&str>) -> anyhow::Result<HeldOutSample> {
    let sample: HeldOutSample =
        files::read_json(&path, "a held-out sample").exit_code(ExitCode::Data)?;
    let of = sample.model_digest.to_string();
    if model_digest.is_some_and(|digest| digest != of) {
        return Err(anyhow!(
            "`{}` is the sample of the model {of}, and the image holds {}",
            path.display(),
            model_digest.unwrap_or_default()
        ))
        .exit_code(ExitCode::Usage)
        .hint("give the `sample.json` that `publish-image` wrote beside this image");
    }
    Ok(sample)
}
