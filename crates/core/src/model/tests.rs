use std::io::Read;
use std::path::Path;

use serde_json::{Value, json};

use super::architecture::{Activation, Dense, Layer, NamedLayer};
use super::*;
use crate::digest::{self, Sha256Digest};
use crate::files;

const WEIGHTS: &[u8] = b"weights";

fn manifest() -> ModelManifest {
    let dense = Dense {
        units: 2,
        activation: Activation::Softmax,
        use_bias: true,
        kernel_regularizer: None,
        bias_regularizer: None,
    };
    let tensor = |name: &str, shape| TensorSpec {
        name: name.to_owned(),
        datatype: "FP32".to_owned(),
        shape,
    };
    let part = ValueSummary {
        name: Some("age".to_owned()),
        n: 4,
        mean: 0.1,
        std: 1.0,
        min: -1.0,
        max: 2.0,
        histogram: Histogram {
            edges: vec![0.0, 0.5],
            counts: vec![1, 2, 1],
        },
    };
    ModelManifest {
        schema_version: SCHEMA_VERSION,
        name: "m".to_owned(),
        task: Task::Classification,
        input: tensor("input", vec![1]),
        columns: None,
        output: tensor("output", vec![2]),
        preprocessing: vec![Preprocessing::DivideBy(255.0)],
        class_names: Some(vec!["a".to_owned(), "b".to_owned()]),
        artifact: Artifact::Network(NetworkArtifact {
            architecture: vec![NamedLayer {
                name: "dense".to_owned(),
                layer: Layer::Dense(dense),
            }],
            weights: FileEntry::of_bytes(WEIGHTS_FILE, WEIGHTS),
        }),
        origin: Origin::Trained(TrainedOrigin {
            trainyard_version: "0.1.0".to_owned(),
            config_digest: Sha256Digest::of(b"config"),
            data_digest: Sha256Digest::of(b"data"),
            seed: u64::MAX,
            engine: Engine::Kernels,
            instruction_set: "x86_64 fma".to_owned(),
            loss: Loss::SparseCategoricalCrossentropy,
            training: TrainingSummary {
                n_rows: 4,
                n_validation_rows: 0,
                epochs: 1,
                batch_size: 4,
                optimizer: "adam".to_owned(),
                n_parameters: 4,
                final_loss: 0.1,
            },
        }),
        input_summary: Some(InputSummary {
            over: SummaryScope::Feature,
            n_rows: 4,
            rows: Some(RowSummary {
                mean: part.clone(),
                contrast: part.clone(),
            }),
            parts: vec![part],
        }),
        prediction_summary: Some(PredictionSummary {
            rows: PredictedRows::Validation,
            n_rows: 3,
            predicted: PredictedDistribution::Classes(vec![1, 2]),
        }),
        threshold: None,
    }
}

/// A model of another tool, as an import will write it.
fn imported(proof: ImportProof) -> ModelManifest {
    ModelManifest {
        artifact: Artifact::Onnx(OnnxArtifact {
            graph: FileEntry::of_bytes("model.onnx", b"graph"),
            external_data: vec![FileEntry::of_bytes("tensors.bin", b"tensors")],
            opset_version: 17,
            graph_input: "x".to_owned(),
            graph_output: "probabilities".to_owned(),
        }),
        origin: Origin::Imported(ImportedOrigin {
            tool: "pytorch".to_owned(),
            tool_version: Some("2.9".to_owned()),
            source: None,
            proof,
        }),
        input_summary: None,
        prediction_summary: None,
        ..manifest()
    }
}

fn write(folder: &Path, manifest: &Value) {
    files::write(&folder.join(WEIGHTS_FILE), WEIGHTS).unwrap();
    files::write(&folder.join("model.onnx"), b"graph").unwrap();
    files::write(&folder.join("tensors.bin"), b"tensors").unwrap();
    files::write_json(&folder.join(MANIFEST_FILE), manifest).unwrap();
}

/// What opening a folder with this manifest says.
fn problem(manifest: &Value) -> String {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), manifest);
    let error = ModelFolder::open(folder.path()).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    format!("{error} {}", cause.unwrap_or_default())
}

#[test]
fn every_artifact_and_origin_comes_back_as_it_was_written() {
    let compared = ImportProof::Compared {
        n_rows: 32,
        max_difference: 1e-7,
        tolerance: 1e-5,
        rows_digest: Sha256Digest::of(b"rows"),
    };
    for manifest in [
        manifest(),
        imported(ImportProof::Absent {}),
        imported(compared),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &serde_json::to_value(&manifest).unwrap());
        assert_eq!(ModelFolder::open(folder.path()).unwrap().manifest, manifest);
    }
}

/// Independent of the code that opens a folder: the lines of the design, from the files on the disk.
#[test]
fn the_digest_covers_the_manifest_and_every_file_of_the_artifact() {
    for (manifest, files) in [
        (manifest(), vec![MANIFEST_FILE, WEIGHTS_FILE]),
        (
            imported(ImportProof::Absent {}),
            vec![MANIFEST_FILE, "model.onnx", "tensors.bin"],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &serde_json::to_value(&manifest).unwrap());
        let read = |_: &ModelManifest, _: &FileEntry, reader: &mut dyn Read| {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes)
        };
        let (opened, contents) = ModelFolder::read_with(folder.path(), read).unwrap();
        assert_eq!(opened.files(), files);
        let contents: Vec<_> = contents.into_iter().map(Result::unwrap).collect();
        let stored = |file: &&str| files::read(&folder.path().join(file)).unwrap();
        let expected: Vec<_> = files[1..].iter().map(stored).collect();
        assert_eq!(contents, expected);
        let measured: Vec<_> = files
            .iter()
            .map(|file| FileEntry::measure(folder.path(), file).unwrap())
            .collect();
        let expected = digest::of_file_set(
            measured
                .iter()
                .map(|file| (&file.sha256, file.size_bytes, file.path.as_str())),
        );
        assert_eq!(opened.digest, expected);
        assert_eq!(opened, ModelFolder::open(folder.path()).unwrap());
    }
}

#[test]
fn a_file_that_is_read_in_part_is_digested_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &serde_json::to_value(manifest()).unwrap());
    let (opened, _) = ModelFolder::read_with(folder.path(), |_, _, _| ()).unwrap();
    assert_eq!(opened, ModelFolder::open(folder.path()).unwrap());
    let longer = [WEIGHTS, b"!"].concat();
    files::write(&folder.path().join(WEIGHTS_FILE), &longer).unwrap();
    let error = ModelFolder::read_with(folder.path(), |_, _, _| ()).unwrap_err();
    assert!(error.to_string().contains("does not match the digest"));
}

/// An archive with its files in any order, below any folder, and with others beside them.
#[test]
fn a_model_in_an_archive_is_the_one_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &serde_json::to_value(manifest()).unwrap());
    let archive = folder.path().join("layer.tar");
    let mut builder = tar::Builder::new(Vec::new());
    for name in [WEIGHTS_FILE, "other", MANIFEST_FILE] {
        let bytes = files::read(&folder.path().join(name)).unwrap_or_default();
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        let path = format!("models/{name}");
        builder
            .append_data(&mut header, path, bytes.as_slice())
            .unwrap();
    }
    files::write(&archive, &builder.into_inner().unwrap()).unwrap();
    let read = |_: &ModelManifest, entry: &FileEntry, reader: &mut dyn Read| {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        (entry.path.clone(), bytes)
    };
    let (opened, contents) = ModelFolder::read_with(&archive, read).unwrap();
    assert_eq!(contents, [(WEIGHTS_FILE.to_owned(), WEIGHTS.to_vec())]);
    let unpacked = ModelFolder::open(folder.path()).unwrap();
    assert_eq!(opened.digest, unpacked.digest);

    files::write(&archive, b"").unwrap();
    let error = ModelFolder::read_with(&archive, read).unwrap_err();
    assert!(
        error.to_string().contains("layer.tar/model.json"),
        "{error}"
    );
}

#[test]
fn a_changed_file_of_the_artifact_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = imported(ImportProof::Absent {});
    write(folder.path(), &serde_json::to_value(manifest).unwrap());
    files::write(&folder.path().join("tensors.bin"), b"Tensors").unwrap();
    let error = ModelFolder::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("tensors.bin` does not match the digest in model.json"),
        "{error}"
    );
}

#[test]
fn unknown_fields_are_refused_wherever_they_stand() {
    let whole = serde_json::to_value(manifest()).unwrap();
    for place in [
        "",
        "/artifact",
        "/artifact/architecture/0",
        "/artifact/weights",
        "/origin",
        "/origin/training",
        "/input_summary",
        "/input_summary/parts/0",
        "/input_summary/parts/0/histogram",
        "/input_summary/rows",
        "/prediction_summary",
    ] {
        let mut changed = whole.clone();
        let object = changed.pointer_mut(place).unwrap();
        object["surprise"] = json!(1);
        let error = problem(&changed);
        assert!(
            error.contains("unknown field `surprise`"),
            "{place}: {error}"
        );
    }
    let imported = imported(ImportProof::Absent {});
    let whole = serde_json::to_value(imported).unwrap();
    for place in ["/artifact", "/origin", "/origin/proof"] {
        let mut changed = whole.clone();
        changed.pointer_mut(place).unwrap()["surprise"] = json!(1);
        let error = problem(&changed);
        assert!(
            error.contains("unknown field `surprise`"),
            "{place}: {error}"
        );
    }
}

#[test]
fn what_contradicts_itself_is_said() {
    for (place, value, said) in [
        (
            "/artifact/weights/path",
            json!("../w"),
            "must lie in the same folder",
        ),
        ("/output/shape", json!([3]), "the layers give Some([2])"),
        ("/class_names", json!(["a"]), "1 class names for 2 outputs"),
        (
            "/class_names",
            json!(["a", "a"]),
            "two classes are called `a`",
        ),
        ("/task", json!("regression"), "a regression has no classes"),
        ("/input_summary/parts", json!([]), "0 parts instead of 1"),
        ("/input_summary/parts/0/n", json!(5), "must sum to `n`"),
        (
            "/input_summary/parts/0/histogram/edges",
            json!([0.5, 0.5]),
            "must ascend",
        ),
        (
            "/input_summary/rows/contrast/n",
            json!(5),
            "must sum to `n`",
        ),
        (
            "/prediction_summary/n_rows",
            json!(4),
            "`prediction_summary`: the counts must sum to `n_rows`",
        ),
        (
            "/prediction_summary/predicted",
            json!({"classes": [3]}),
            "1 counts for 2 classes",
        ),
        (
            "/input_summary/parts/0/histogram/edges",
            json!([0.5]),
            "one count more than edges",
        ),
    ] {
        let mut changed = serde_json::to_value(manifest()).unwrap();
        *changed.pointer_mut(place).unwrap() = value;
        let error = problem(&changed);
        assert!(error.contains(said), "{place}: {error}");
    }
}

#[test]
fn another_schema_version_is_named_before_its_fields() {
    let error = problem(&json!({"schema_version": 7, "strange": true}));
    assert!(
        error.contains("has schema version 7, but this build reads version 1"),
        "{error}"
    );
}

#[test]
fn a_value_on_an_edge_lies_in_the_bin_above() {
    let histogram = Histogram {
        edges: vec![0.0, 1.0],
        counts: vec![0; 3],
    };
    let bins = [-1.0, -0.0, 0.5, 1.0, 2.0].map(|value| histogram.bin_of(value));
    assert_eq!(bins, [0, 1, 1, 2, 2]);
}

/// Written before rows and predictions were summarised.
#[test]
fn a_model_without_the_optional_summaries_is_read() {
    let mut older = serde_json::to_value(manifest()).unwrap();
    older.as_object_mut().unwrap().remove("prediction_summary");
    let summary = older["input_summary"].as_object_mut().unwrap();
    summary.remove("rows");
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &older);
    let found = ModelFolder::open(folder.path()).unwrap().manifest;
    assert_eq!(found.prediction_summary, None);
    assert_eq!(found.input_summary.unwrap().rows, None);
}
