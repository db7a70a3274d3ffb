use std::fs;

use tempfile::TempDir;
use trainyard_core::config::Config;
use trainyard_core::digest::Sha256Digest;
use trainyard_core::model::{
    Histogram, InputSummary, MANIFEST_FILE, PredictedDistribution, PredictedRows,
    PredictionSummary, RunRecord, SummaryScope, ValueSummary, WEIGHTS_FILE,
};
use trainyard_core::results::ResultFolder;
use trainyard_ml::network::Network;
use trainyard_ml::store::{self, TrainingRows};
use trainyard_ml::train::Trained;

use super::*;

fn no_values() -> ValueSummary {
    ValueSummary {
        name: None,
        n: 0,
        mean: 0.0,
        std: 0.0,
        min: 0.0,
        max: 0.0,
        histogram: Histogram {
            edges: Vec::new(),
            counts: vec![0],
        },
    }
}

/// A model of one number in and one out; another one for each seed.
fn write_model(folder: &Path, seed: u64) {
    let text = "[model]\nname = 'own-name'\ntask = 'regression'\ninput_shape = [1]\n[[model.layers]]\ntype = 'Dense'\nunits = 1\n\
                [data]\ntrain = { features = 'a', labels = 'b' }\ntest = { features = 'a', labels = 'b' }\n";
    let config = Config::parse(text, Path::new("test.toml")).unwrap();
    let network = Network::new(&config.model.layers, &[1], &config.data.preprocessing, seed);
    let trained = Trained {
        network: network.unwrap(),
        history: Vec::new(),
        epoch_s: Vec::new(),
    };
    let rows = TrainingRows {
        columns: None,
        threshold: None,
        data_digest: Sha256Digest::of(b"data"),
        n_rows: 1,
        n_validation_rows: 0,
        prediction_summary: PredictionSummary {
            rows: PredictedRows::Training,
            n_rows: 0,
            predicted: PredictedDistribution::Values(no_values()),
        },
        input_summary: InputSummary {
            over: SummaryScope::Feature,
            n_rows: 0,
            rows: None,
            parts: vec![no_values()],
        },
    };
    // A folder of its own, since that of all stages is locked, and then moved: the manifest comes last.
    let made = tempfile::tempdir().unwrap();
    let results = ResultFolder::begin(&made.path().join("model"), MANIFEST_FILE).unwrap();
    store::write_model(&results, &config, &trained, rows, &RunRecord::default()).unwrap();
    fs::create_dir_all(folder).unwrap();
    for file in [WEIGHTS_FILE, MANIFEST_FILE] {
        fs::copy(made.path().join("model").join(file), folder.join(file)).unwrap();
    }
}

const NO_DRIFT: DriftArgs = DriftArgs {
    drift_window: 0,
    drift_min_rows: 1,
};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn add(&self, relative: &str, seed: u64) {
        write_model(&self.path().join(relative), seed);
    }

    fn open(&self) -> anyhow::Result<Repository> {
        Repository::open(self.path(), NO_DRIFT)
    }
}

fn found<'a>(repository: &'a Repository, name: &str, version: Option<&str>) -> &'a str {
    repository.find(name, version, None).unwrap().version()
}

fn labelled<'a>(repository: &'a Repository, label: &str) -> Result<&'a str, Missing> {
    let model = repository.find("a", None, Some(label));
    model.map(Model::version)
}

#[test]
fn one_model_is_version_1_of_the_name_that_it_has() {
    let folder = Folder::new();
    folder.add("", 1);
    let repository = folder.open().unwrap();
    assert_eq!(repository.names().collect::<Vec<_>>(), ["own-name"]);
    assert_eq!(found(&repository, "own-name", None), "1");
    assert_eq!(found(&repository, "own-name", Some("1")), "1");
    let missing = |name, version| repository.find(name, version, None).unwrap_err();
    assert_eq!(missing("other", None), Missing::Model);
    assert_eq!(missing("own-name", Some("2")), Missing::Version);
    assert_eq!(missing("own-name", Some("01")), Missing::Version);
}

#[test]
fn folders_name_models_and_versions() {
    let folder = Folder::new();
    for (relative, seed) in [("a/2", 1), ("a/10", 2), ("b", 3), ("a/.hidden", 4)] {
        folder.add(relative, seed);
    }
    // Neither a version nor a model.
    folder.add("a/newest", 5);
    fs::create_dir_all(folder.path().join("a/11")).unwrap();
    fs::create_dir_all(folder.path().join("empty")).unwrap();
    fs::write(
        folder.path().join("a/labels.json"),
        r#"{"canary": 10, "old": 2}"#,
    )
    .unwrap();
    let repository = folder.open().unwrap();
    assert_eq!(repository.names().collect::<Vec<_>>(), ["a", "b"]);
    let versions = repository.versions("a").into_iter().map(Model::version);
    assert_eq!(versions.collect::<Vec<_>>(), ["2", "10"]);
    // By number, not by text.
    assert_eq!(found(&repository, "a", None), "10");
    assert_eq!(found(&repository, "b", None), "1");
    assert_eq!(labelled(&repository, "stable"), Ok("10"));
    assert_eq!(labelled(&repository, "old"), Ok("2"));
    assert_eq!(labelled(&repository, "other"), Err(Missing::Label));
    let passed_over = repository.scan.passed_over.iter().map(|it| it.why);
    assert_eq!(passed_over.count(), 2);
}

#[test]
fn nothing_is_served_where_one_of_them_cannot_be() {
    let folder = Folder::new();
    let error = |folder: &Folder| format!("{:#}", folder.open().unwrap_err());
    assert!(error(&folder).contains("holds neither `model.json`"));
    folder.add("a/1", 1);
    fs::write(folder.path().join("a/labels.json"), r#"{"canary": 2}"#).unwrap();
    assert!(error(&folder).contains("`canary` of `a` is that of version 2, which is not there"));
    fs::write(folder.path().join("a/labels.json"), "[1]").unwrap();
    assert!(error(&folder).contains("labels.json"));
    fs::remove_file(folder.path().join("a/labels.json")).unwrap();
    folder.open().unwrap();
    folder.add("b/1", 2);
    fs::remove_file(folder.path().join("b/1").join(WEIGHTS_FILE)).unwrap();
    assert!(error(&folder).contains("cannot serve the model in"));
    let nowhere = Repository::open(Path::new("nowhere"), NO_DRIFT).unwrap_err();
    assert_eq!(nowhere.to_string(), "there is no `nowhere`");
}

/// What is served after the folder has been looked at until nothing changes.
fn settled(watcher: &mut Watcher, repository: Repository) -> Repository {
    assert!(
        watcher.look(&repository).is_none(),
        "not before it has settled"
    );
    let repository = watcher.look(&repository).unwrap();
    assert!(watcher.look(&repository).is_none(), "nothing has changed");
    repository
}

fn digest(repository: &Repository, version: &str) -> String {
    let model = repository.find("a", Some(version), None).unwrap();
    model.digest().to_string()
}

#[test]
fn versions_come_change_and_go_while_others_are_served() {
    let folder = Folder::new();
    folder.add("a/1", 1);
    let mut watcher = Watcher::new(folder.path());
    let first = folder.open().unwrap();
    let kept = first.find("a", None, None).unwrap().clone();
    let before = digest(&first, "1");
    assert!(watcher.look(&first).is_none() && watcher.look(&first).is_none());

    folder.add("a/2", 2);
    fs::write(folder.path().join("a/labels.json"), r#"{"canary": 2}"#).unwrap();
    let second = settled(&mut watcher, first);
    assert_eq!(found(&second, "a", None), "2");
    assert_eq!(labelled(&second, "canary"), Ok("2"));
    assert_eq!(digest(&second, "1"), before);

    // Replaced in place, and a label that leads nowhere: the labels before it hold.
    folder.add("a/1", 3);
    fs::write(folder.path().join("a/labels.json"), r#"{"canary": 7}"#).unwrap();
    let third = settled(&mut watcher, second);
    assert_ne!(digest(&third, "1"), before);
    assert_eq!(labelled(&third, "canary"), Ok("2"));

    fs::remove_dir_all(folder.path().join("a/2")).unwrap();
    let fourth = settled(&mut watcher, third);
    assert_eq!(found(&fourth, "a", None), "1");
    // A request that began with a model ends with it.
    assert_eq!(kept.digest().to_string(), before);
}

#[test]
fn what_cannot_be_loaded_leaves_what_is_served() {
    let folder = Folder::new();
    folder.add("a/1", 1);
    let mut watcher = Watcher::new(folder.path());
    let repository = folder.open().unwrap();
    let before = digest(&repository, "1");
    let _ = watcher.look(&repository);

    for version in ["1", "2"] {
        let weights = folder.path().join("a").join(version).join(WEIGHTS_FILE);
        folder.add(&format!("a/{version}"), 5);
        fs::write(weights, "broken").unwrap();
    }
    let broken = settled(&mut watcher, repository);
    assert_eq!(digest(&broken, "1"), before);
    assert_eq!(found(&broken, "a", None), "1");
    let listed: Vec<_> = broken.list().collect();
    assert_eq!((listed[0].version, listed[0].problem), (1, None));
    assert_eq!(listed[1].version, 2);
    assert!(listed[1].problem.unwrap().contains("cannot serve"));

    // Whole at last.
    folder.add("a/2", 5);
    let whole = settled(&mut watcher, broken);
    assert_eq!(found(&whole, "a", None), "2");

    // A volume that is gone takes nothing with it, and what comes back is seen.
    fs::rename(folder.path().join("a"), folder.path().join(".a")).unwrap();
    let gone = settled(&mut watcher, whole);
    assert_eq!(found(&gone, "a", None), "2");
    fs::rename(folder.path().join(".a"), folder.path().join("a")).unwrap();
    let back = settled(&mut watcher, gone);
    assert_eq!(found(&back, "a", None), "2");
}
