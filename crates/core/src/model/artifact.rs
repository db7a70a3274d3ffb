//! What computes the output: a network of ours, or a file of another runtime.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::FileEntry;
use super::architecture::NamedLayer;

/// What computes the output of a model. Its files lie beside `model.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Artifact {
    /// A network of Trainyard's own layers.
    Network(NetworkArtifact),
    /// An ONNX graph. Reserved: this build refuses to open it.
    Onnx(OnnxArtifact),
}

/// A network of Trainyard's own layers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkArtifact {
    /// The layers, first to last.
    pub architecture: Vec<NamedLayer>,
    /// The tensors, as safetensors in Keras layout, named `<layer>/kernel`, `<layer>/bias`, ….
    pub weights: FileEntry,
}

/// An ONNX graph and how the model's input and output are called in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnnxArtifact {
    /// The protobuf file.
    pub graph: FileEntry,
    /// Files of tensors that the graph refers to; a graph above 2 GiB has some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub external_data: Vec<FileEntry>,
    /// Version of the default operator set.
    pub opset_version: u32,
    /// Name of the graph's input that takes the rows.
    pub graph_input: String,
    /// Name of the graph's output that gives the scores.
    pub graph_output: String,
}

impl Artifact {
    /// The files, in a fixed order. The model's digest covers these and `model.json`.
    pub fn files(&self) -> Vec<&FileEntry> {
        match self {
            Self::Network(network) => vec![&network.weights],
            Self::Onnx(onnx) => [&onnx.graph]
                .into_iter()
                .chain(&onnx.external_data)
                .collect(),
        }
    }

    /// The network, where it is one of ours.
    pub const fn network(&self) -> Option<&NetworkArtifact> {
        match self {
            Self::Network(network) => Some(network),
            Self::Onnx(_) => None,
        }
    }

    /// The first file that does not lie right beside `model.json`, if there is one.
    pub(super) fn stray_file(&self) -> Option<&str> {
        let is_plain = |path: &str| {
            Path::new(path).components().count() == 1
                && !matches!(path, "." | "..")
                && !path.contains(['/', '\\'])
        };
        let mut paths = self.files().into_iter().map(|file| file.path.as_str());
        paths.find(|path| !is_plain(path))
    }
}
