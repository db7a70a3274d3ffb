use candle_core::{Device, Tensor};
use candle_nn::Module as _;
use serde_json::json;
use trainyard_core::config::Config;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::files;
use trainyard_core::model::{
    FileEntry, InputSummary, MANIFEST_FILE, PredictedDistribution, PredictedRows,
    PredictionSummary, RunRecord, SummaryScope, WEIGHTS_FILE,
};
use trainyard_core::results::ResultFolder;

use super::*;
use crate::kernels::noise;
use crate::store::{TrainingRows, write_model};
use crate::train::Trained;
use crate::weights::{Floats, serialise};

/// A model's folder in an output folder of its own: stages that write to one output folder exclude each other.
struct Folder {
    _out: tempfile::TempDir,
    model: std::path::PathBuf,
}

impl Folder {
    fn new() -> Self {
        let out = tempfile::tempdir().unwrap();
        let model = out.path().join("model");
        std::fs::create_dir(&model).unwrap();
        Self { _out: out, model }
    }

    fn path(&self) -> &Path {
        &self.model
    }
}

/// A model of three features and two classes, stored as after training.
fn store(folder: &Path) -> Network {
    let text = "[model]\nname = 'm'\ninput_shape = [3]\n[[model.layers]]\ntype = 'Dense'\nunits = 2\n\
                activation = 'softmax'\n[data]\nclasses = ['no', 'yes']\npreprocessing = [{ divide_by = 2 }]\n\
                train = { features = 'a', labels = 'b' }\ntest = { features = 'a', labels = 'b' }\n";
    let config = Config::parse(text, Path::new("test.toml")).unwrap();
    let layers = config.model.layers.clone();
    let network = Network::new(&layers, &[3], &config.data.preprocessing, 5).unwrap();
    let rows = TrainingRows {
        columns: None,
        threshold: None,
        data_digest: Sha256Digest::of(b"data"),
        n_rows: 7,
        n_validation_rows: 0,
        input_summary: InputSummary {
            over: SummaryScope::Feature,
            n_rows: 0,
            parts: crate::input_summary::tests::empty_parts(3),
            rows: None,
        },
        prediction_summary: PredictionSummary {
            rows: PredictedRows::Training,
            n_rows: 0,
            predicted: PredictedDistribution::Classes(vec![0, 0]),
        },
    };
    let trained = Trained {
        network: network.clone(),
        history: Vec::new(),
        epoch_s: Vec::new(),
    };
    let results = ResultFolder::begin(folder, MANIFEST_FILE).unwrap();
    write_model(&results, &config, &trained, rows, &RunRecord::default()).unwrap();
    network
}

/// Other weights, with the digest that the manifest needs for them.
fn replace_weights(folder: &Path, bytes: &[u8]) {
    files::write(&folder.join(WEIGHTS_FILE), bytes).unwrap();
    let path = folder.join(MANIFEST_FILE);
    let mut manifest: serde_json::Value = files::read_json(&path, "model manifest").unwrap();
    manifest["artifact"]["weights"] =
        serde_json::to_value(FileEntry::of_bytes(WEIGHTS_FILE, bytes)).unwrap();
    files::write_json(&path, &manifest).unwrap();
}

fn error(folder: &Path) -> String {
    let error = Predictor::open(folder, Threads::single()).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string);
    format!("{error}: {}", cause.unwrap_or_default())
}

#[test]
fn a_stored_model_scores_as_the_network_did_however_it_is_asked() {
    let folder = Folder::new();
    let network = store(folder.path());
    let predictor = Predictor::open(folder.path(), Threads::new(Some(2))).unwrap();
    let n_rows = 300;
    let rows = noise(3 * n_rows, 9);

    let mut workspace = Workspace::for_scoring(&network, n_rows);
    workspace.input_mut(n_rows).copy_from_slice(&rows);
    network.preprocess(workspace.input_mut(n_rows));
    network.score(&mut workspace, n_rows, &Threads::single());
    let expected = workspace.output(&network, n_rows);

    let scores = predictor.score(&rows, n_rows).unwrap();
    assert_eq!(scores, expected);
    let dataset = crate::input_summary::tests::dataset(
        &[3],
        crate::data::Features::F32(rows.clone()),
        n_rows,
    );
    assert_eq!(predictor.score_dataset(&dataset).unwrap(), expected);
    let tensor = Tensor::from_vec(rows, (n_rows, 3), &Device::Cpu).unwrap();
    let tensor = predictor.forward(&tensor).unwrap();
    assert_eq!(
        tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        expected
    );

    let classes = predictor.classes(&scores[..2]).unwrap();
    assert_eq!(classes, [if scores[0] >= scores[1] { "no" } else { "yes" }]);
    let error = predictor.score(&[0.0; 4], 1).unwrap_err().to_string();
    assert!(error.contains("1 rows of 3 values each"), "{error}");
}

#[test]
fn classes_follow_the_threshold_that_the_model_was_given() {
    let folder = Folder::new();
    store(folder.path());
    let path = folder.path().join(MANIFEST_FILE);
    let mut manifest: serde_json::Value = files::read_json(&path, "model manifest").unwrap();
    manifest["threshold"] = json!({
        "by": { "aim": "max_f1" },
        "positive_class": "yes",
        "threshold": 0.25,
        "value": 0.9,
        "rows": Sha256Digest::of(b"rows"),
        "n_rows": 7,
    });
    files::write_json(&path, &manifest).unwrap();
    let predictor = Predictor::open(folder.path(), Threads::single()).unwrap();
    let classes = predictor.classes(&[0.75, 0.25, 0.8, 0.2]).unwrap();
    assert_eq!(classes, ["yes", "no"]);
    // Without one that meets the aim, the class with the highest score is predicted.
    manifest["threshold"]["threshold"] = json!(null);
    files::write_json(&path, &manifest).unwrap();
    let predictor = Predictor::open(folder.path(), Threads::single()).unwrap();
    assert_eq!(predictor.classes(&[0.75, 0.25]).unwrap(), ["no"]);
    manifest["threshold"]["positive_class"] = json!("maybe");
    files::write_json(&path, &manifest).unwrap();
    assert!(error(folder.path()).contains("which is not one of two classes"));
}

#[test]
fn weights_that_are_not_the_networks_are_refused_by_name() {
    let folder = Folder::new();
    store(folder.path());
    let (kernel, bias) = ([0.5; 6], [0.0; 2]);
    let tensor = |name: &str, shape: &[usize], values| {
        (name.to_owned(), Floats::new(shape.to_vec(), values))
    };
    let whole = || {
        [
            tensor("dense/kernel", &[3, 2], &kernel[..]),
            tensor("dense/bias", &[2], &bias[..]),
        ]
    };
    replace_weights(folder.path(), &serialise(whole()).unwrap());
    Predictor::open(folder.path(), Threads::single()).unwrap();

    let [kernel, bias] = whole();
    replace_weights(folder.path(), &serialise([kernel]).unwrap());
    assert!(error(folder.path()).contains("`dense/bias` is missing"));
    let turned = tensor("dense/kernel", &[2, 3], &[0.5; 6]);
    replace_weights(folder.path(), &serialise([turned, bias]).unwrap());
    let found = error(folder.path());
    assert!(
        found.contains("`dense/kernel` is missing or is not of the shape [3, 2]"),
        "{found}"
    );
    let [kernel, bias] = whole();
    let more = tensor("dense_1/bias", &[2], &[0.0; 2]);
    replace_weights(folder.path(), &serialise([kernel, bias, more]).unwrap());
    assert!(error(folder.path()).contains("a tensor `dense_1/bias`, but no layer has one"));
    replace_weights(folder.path(), b"not safetensors");
    assert!(error(folder.path()).contains("the weights are not a file of safetensors"));

    files::write(&folder.path().join(WEIGHTS_FILE), b"changed").unwrap();
    assert!(error(folder.path()).contains("does not match the digest in model.json"));
}

#[test]
fn an_onnx_graph_is_refused_with_what_to_do_instead() {
    let folder = Folder::new();
    store(folder.path());
    files::write(&folder.path().join("model.onnx"), b"graph").unwrap();
    let path = folder.path().join(MANIFEST_FILE);
    let mut manifest: serde_json::Value = files::read_json(&path, "model manifest").unwrap();
    manifest["artifact"] = json!({
        "type": "onnx",
        "graph": FileEntry::of_bytes("model.onnx", b"graph"),
        "opset_version": 17,
        "graph_input": "x",
        "graph_output": "y",
    });
    files::write_json(&path, &manifest).unwrap();
    let found = error(folder.path());
    assert!(
        found.contains("is an ONNX graph (`model.onnx`), which this version"),
        "{found}"
    );
    assert!(
        found.contains("`trainyard-evaluate --predictions FILE`"),
        "{found}"
    );
}
