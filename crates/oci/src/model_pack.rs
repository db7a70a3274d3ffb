//! The model of an image as a ModelPack artifact (CNCF ModelPack specification, spec.md and config.md), so that tools which know
//! models and not our images read it: a second manifest over the very layer, which is sent and stored once.

use std::collections::BTreeMap;

use serde::Serialize;
use trainyard_core::digest::Sha256Digest;

use crate::layer::Layer;
use crate::spec::{Descriptor, MANIFEST, Manifest};

/// The artifact type of the manifest.
pub const MODEL_PACK: &str = "application/vnd.cncf.model.manifest.v1+json";

const CONFIG: &str = "application/vnd.cncf.model.config.v1+json";

/// A layer that is a tar archive with the weights.
const WEIGHTS_TAR: &str = "application/vnd.cncf.model.weight.v1.tar";

/// The folder or file that a layer holds.
const FILE_PATH: &str = "org.cncf.model.filepath";

/// What is said of the model. Absent fields are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelDescription {
    /// When it was made, as RFC 3339.
    pub created_at: String,
    /// Its name.
    pub name: String,
    /// Name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Commit that it was made from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// Address of the source repository.
    #[serde(rename = "sourceURL", skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// SPDX licence expressions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub licenses: Vec<String>,
}

/// A model whose files are one uncompressed layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelPack {
    /// What it is.
    pub description: ModelDescription,
    /// The format of its weights: `safetensors`, `onnx`.
    pub format: String,
    /// The numbers that the weights are: `float32`; absent where they are not known.
    pub precision: Option<String>,
    /// The folder of the layer that holds its files.
    pub folder: String,
}

#[derive(Serialize)]
struct ConfigFile<'a> {
    descriptor: &'a ModelDescription,
    modelfs: ModelFs<'a>,
    config: TechnicalConfig<'a>,
}

#[derive(Serialize)]
struct ModelFs<'a> {
    r#type: &'static str,
    #[serde(rename = "diffIds")]
    diff_ids: [&'a Sha256Digest; 1],
}

#[derive(Serialize)]
struct TechnicalConfig<'a> {
    format: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<&'a str>,
}

impl ModelPack {
    /// The configuration's bytes, and the manifest over it and `layer` that refers to the image `subject`.
    pub(crate) fn encode(
        &self,
        layer: &Layer,
        subject: &Descriptor,
    ) -> serde_json::Result<(Vec<u8>, Manifest)> {
        let config = serde_json::to_vec(&ConfigFile {
            descriptor: &self.description,
            modelfs: ModelFs {
                r#type: "layers",
                diff_ids: [&layer.diff_id],
            },
            config: TechnicalConfig {
                format: &self.format,
                precision: self.precision.as_deref(),
            },
        })?;
        let weights = Descriptor {
            media_type: WEIGHTS_TAR.to_owned(),
            digest: layer.digest.clone(),
            size: layer.size,
            artifact_type: None,
            platform: None,
            annotations: BTreeMap::from([(FILE_PATH.to_owned(), self.folder.clone())]),
        };
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST.to_owned(),
            artifact_type: Some(MODEL_PACK.to_owned()),
            config: Descriptor::of(CONFIG, &config),
            layers: vec![weights],
            subject: Some(subject.without_place()),
            annotations: BTreeMap::new(),
        };
        Ok((config, manifest))
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::spec::LAYER_TAR;

    /// Independent source: the example of the specification's spec.md, and config.md.
    #[test]
    fn the_manifest_is_over_the_images_layer() {
        let digest = Sha256Digest::of(b"the layer");
        let layer = Layer {
            digest: digest.clone(),
            diff_id: digest.clone(),
            size: 9,
            media_type: LAYER_TAR.to_owned(),
            created_by: String::new(),
            path: PathBuf::new(),
            files: BTreeMap::new(),
        };
        let model = ModelPack {
            description: ModelDescription {
                created_at: "2023-11-14T22:13:20Z".to_owned(),
                name: "digits".to_owned(),
                licenses: vec!["MIT".to_owned()],
                ..ModelDescription::default()
            },
            format: "safetensors".to_owned(),
            precision: Some("float32".to_owned()),
            folder: "models".to_owned(),
        };
        let subject = Descriptor::of(MANIFEST, b"the image");
        let (config, manifest) = model.encode(&layer, &subject).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(
            config,
            serde_json::json!({
                "descriptor": { "createdAt": "2023-11-14T22:13:20Z", "name": "digits", "licenses": ["MIT"] },
                "modelfs": { "type": "layers", "diffIds": [digest] },
                "config": { "format": "safetensors", "precision": "float32" },
            })
        );
        assert_eq!(manifest.layers[0].digest, digest);
        let manifest = serde_json::to_value(manifest).unwrap();
        assert_eq!(
            manifest["artifactType"],
            "application/vnd.cncf.model.manifest.v1+json"
        );
        assert_eq!(
            manifest["config"]["mediaType"],
            "application/vnd.cncf.model.config.v1+json"
        );
        assert_eq!(
            manifest["layers"][0]["mediaType"],
            "application/vnd.cncf.model.weight.v1.tar"
        );
        assert_eq!(manifest["subject"]["digest"], subject.digest.as_str());
    }
}
