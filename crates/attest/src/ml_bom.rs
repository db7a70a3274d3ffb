//! A bill of materials of a model: a CycloneDX 1.6 document with a model card, from the model's manifest and its evaluation.
//!
//! The same inputs give the same bytes: the serial number is derived from the document's digest, and a time is in it only
//! where one is given. CycloneDX 1.7 has the same model card, but fewer readers.

mod card;
mod document;

use std::fmt::Display;

use serde_json::Value;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::evaluation::Evaluation;
use trainyard_core::model::{ImportedOrigin, ModelManifest, Origin, TrainedOrigin};

use crate::statement::{ResourceDescriptor, Statement};
use document::{Bom, Component, Dependency, Hash, Metadata, Property, Tools};

/// The type of the predicate.
pub const CYCLONEDX: &str = "https://cyclonedx.org/bom";

const SPEC_VERSION: &str = "1.6";

const MODEL: &str = "model";
const SERVER: &str = "server";

/// What a bill of materials is made of.
#[derive(Debug, Clone, Copy)]
pub struct BomInputs<'a> {
    /// What the model is.
    pub manifest: &'a ModelManifest,
    /// The model's digest.
    pub model_digest: &'a Sha256Digest,
    /// What it scored.
    pub evaluation: &'a Evaluation,
    /// The model's version, where it has one: a release tag's.
    pub version: Option<&'a str>,
    /// The server that is packed with it.
    pub server: Option<ServerBinary<'a>>,
    /// When it was made, as RFC 3339: `SOURCE_DATE_EPOCH` or the commit's time, so that a build can be repeated.
    pub timestamp: Option<&'a str>,
}

/// A program that serves a model.
#[derive(Debug, Clone, Copy)]
pub struct ServerBinary<'a> {
    /// Its file name.
    pub name: &'a str,
    /// Its version, where it is known.
    pub version: Option<&'a str>,
    /// Digest of the file.
    pub sha256: &'a Sha256Digest,
}

/// Why there is no bill of materials.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MlBomError {
    /// The figures are of another model.
    #[error(
        "the evaluation is of {}, not of {model}: run `trainyard-evaluate` on this model",
        evaluated.as_ref().map_or("predictions without a model", Sha256Digest::as_str)
    )]
    OtherModel {
        /// The model that was scored, where the evaluation names it.
        evaluated: Option<Sha256Digest>,
        /// The model that the bill is of.
        model: Sha256Digest,
    },
}

/// A bill of materials.
#[derive(Debug, Clone, PartialEq)]
pub struct MlBom {
    document: Value,
}

impl MlBom {
    /// The bill of a model and of what is packed with it.
    pub fn of(inputs: &BomInputs<'_>) -> Result<Self, MlBomError> {
        let BomInputs {
            manifest,
            model_digest,
            evaluation,
            version,
            server,
            timestamp,
        } = *inputs;
        if evaluation.model.digest.as_ref() != Some(model_digest) {
            return Err(MlBomError::OtherModel {
                evaluated: evaluation.model.digest.clone(),
                model: model_digest.clone(),
            });
        }
        let model = Component {
            kind: "machine-learning-model",
            bom_ref: MODEL.to_owned(),
            name: manifest.name.clone(),
            version: version.map(str::to_owned),
            model_card: Some(card::model_card(manifest, evaluation)),
            properties: [property("dev.trainyard.model.digest", model_digest)]
                .into_iter()
                .chain(origin(&manifest.origin))
                .collect(),
            ..Component::default()
        };
        let files = manifest.artifact.files().into_iter().map(|file| Component {
            kind: "file",
            bom_ref: format!("file:{}", file.path),
            name: file.path.clone(),
            hashes: vec![hash(&file.sha256)],
            ..Component::default()
        });
        let files: Vec<_> = files.collect();
        let mut dependencies = vec![Dependency {
            bom_ref: MODEL.to_owned(),
            depends_on: files.iter().map(|file| file.bom_ref.clone()).collect(),
        }];
        dependencies.extend(server.map(|_| Dependency {
            bom_ref: SERVER.to_owned(),
            depends_on: vec![MODEL.to_owned()],
        }));
        let server = server.map(|server| Component {
            kind: "application",
            bom_ref: SERVER.to_owned(),
            name: server.name.to_owned(),
            version: server.version.map(str::to_owned),
            hashes: vec![hash(server.sha256)],
            ..Component::default()
        });
        let mut bom = Bom {
            bom_format: "CycloneDX",
            spec_version: SPEC_VERSION,
            serial_number: None,
            version: 1,
            metadata: Metadata {
                timestamp: timestamp.map(str::to_owned),
                tools: Tools {
                    components: vec![Component {
                        kind: "application",
                        name: "trainyard".to_owned(),
                        version: Some(evaluation.trainyard_version.clone()),
                        ..Component::default()
                    }],
                },
                component: model,
            },
            components: files.into_iter().chain(server).collect(),
            dependencies,
        };
        bom.serial_number = Some(serial_number(&Sha256Digest::of(&bytes(&bom))));
        let document = serde_json::to_value(&bom).expect("texts and lists always serialise");
        Ok(Self { document })
    }

    /// The document.
    pub const fn document(&self) -> &Value {
        &self.document
    }

    /// The statement that `subject` holds this.
    pub fn statement(&self, subject: ResourceDescriptor) -> Statement {
        Statement::new(subject, CYCLONEDX, self.document.clone())
    }
}

fn bytes(bom: &Bom) -> Vec<u8> {
    serde_json::to_vec(bom).expect("texts and lists always serialise")
}

/// A UUID of version 8 (RFC 9562, section 5.8): the first 122 bits of a digest that are not the version's or variant's.
fn serial_number(digest: &Sha256Digest) -> String {
    let hex = digest.hex();
    // The two bits of the variant are 1 and 0.
    let variant = (hex.as_bytes()[16] as char)
        .to_digit(16)
        .map_or(8, |digit| 8 | (digit & 3));
    format!(
        "urn:uuid:{}-{}-8{}-{variant:x}{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..32]
    )
}

fn hash(digest: &Sha256Digest) -> Hash {
    Hash {
        alg: "SHA-256",
        content: digest.hex().to_owned(),
    }
}

fn property(name: &str, value: impl Display) -> Property {
    Property {
        name: name.to_owned(),
        value: value.to_string(),
    }
}

/// Where the model came from, for which CycloneDX has no fields.
fn origin(origin: &Origin) -> Vec<Property> {
    match origin {
        Origin::Trained(TrainedOrigin {
            trainyard_version,
            config_digest,
            data_digest: _,
            seed,
            engine,
            instruction_set,
            loss: _,
            training,
        }) => vec![
            property("dev.trainyard.training.version", trainyard_version),
            property("dev.trainyard.training.config.digest", config_digest),
            property("dev.trainyard.training.seed", seed),
            property("dev.trainyard.training.engine", engine.name()),
            property("dev.trainyard.training.instructions", instruction_set),
            property("dev.trainyard.training.epochs", training.epochs),
            property("dev.trainyard.training.optimizer", &training.optimizer),
            property("dev.trainyard.training.parameters", training.n_parameters),
        ],
        Origin::Imported(ImportedOrigin {
            tool,
            tool_version,
            source,
            proof: _,
        }) => [
            Some(property("dev.trainyard.import.tool", tool)),
            (tool_version.as_ref())
                .map(|version| property("dev.trainyard.import.version", version)),
            (source.as_ref()).map(|file| property("dev.trainyard.import.digest", &file.sha256)),
        ]
        .into_iter()
        .flatten()
        .collect(),
    }
}

#[cfg(test)]
mod tests;
