//! The model of a published image, saved by `verify` and scored on today's rows as the gate's baseline, through a registry of this process.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trainyard_attest::{PrivateKey, ResourceDescriptor, Statement, TEST_RESULT, sign};
use trainyard_core::digest::Sha256Digest;
use trainyard_core::model::ModelFolder;
use trainyard_oci::spec::{Descriptor, MANIFEST};

use crate::evidence::{BUNDLE, Image, REPOSITORY};
use crate::project::{Project, Said};
use crate::registry::{Behaviour, Fake};
use crate::support::{binaries, repository, stage};

fn key_file(name: &str) -> String {
    let path = repository().join("crates/attest/fixtures").join(name);
    path.display().to_string()
}

fn place(fake: &Fake, rest: &str) -> String {
    format!("{}/{REPOSITORY}{rest}", fake.address())
}

/// Publishes 1.0.0, signed where there is a key.
fn publish(project: &Project, fake: &Fake, arguments: &[&str]) {
    let to = place(fake, "");
    let all = [&["--push", &to, "--tag", "1.0.0"], arguments].concat();
    project.run("publish-image", &all, 0);
}

/// `verify --save-model` of 1.0.0 into `folder`.
fn save(fake: &Fake, folder: &Path, arguments: &[&str], code: i32) -> Said {
    save_from(&place(fake, ":1.0.0"), folder, arguments, code)
}

fn save_from(image: &str, folder: &Path, arguments: &[&str], code: i32) -> Said {
    let mut verify = stage("verify");
    verify.arg(image).args(arguments);
    Said::of(verify.arg("--save-model").arg(folder), code)
}

fn digest_of(folder: &Path) -> Sha256Digest {
    ModelFolder::open(folder).unwrap().digest
}

/// Nothing is left of a model that was not saved: neither the folder nor what was read for it.
fn assert_empty(folder: &Path) {
    let left: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
}

/// Publish, change model and test rows, and compare the new model with the published one on the new rows, row by row: with a key, and
/// where the image is not signed.
#[test]
fn a_published_model_is_scored_on_todays_rows_and_compared_row_by_row() {
    let (key, public) = (key_file("p256.pem"), key_file("p256.pub"));
    for (publishing, saving) in [
        (&["--key", &*key][..], &["--key", &*public][..]),
        (&[], &["--unsigned"]),
    ] {
        let fake = Fake::start(Behaviour::default());
        let project = Project::passed();
        publish(&project, &fake, publishing);
        let published = project.json("evaluation/evaluation.json")["model"]["digest"].clone();
        fs::rename(project.path("trainyard-out/model"), project.path("kept")).unwrap();

        // A rule that needs the rows of both.
        let rule =
            "[[gate.rules]]\nmetric = \"f1_macro\"\nmax_drop = 0.9\nconfidence = 0.95\n\n[image]\n";
        project.edit("[image]\n", rule);
        project.edit("seed = 42", "seed = 43");
        project.edit("max_test_rows = 1000", "max_test_rows = 1100");
        project.run("train", &[], 0);
        project.run("evaluate", &[], 0);
        let baseline = format!("oci://{}", place(&fake, ""));
        let against = ["--baseline", &*baseline];
        let said = project.run("gate", &against, 3);
        said.has_output("scored on other rows (1100 rows against 1000)");

        let folder = project.path("published");
        let said = save(&fake, &folder, saving, 0);
        said.has_output(&format!("saved model   {} in", published.as_str().unwrap()));
        assert_eq!(digest_of(&folder), digest_of(&project.path("kept")));
        // By itself it is the whole folder of a model: nothing of the image is beside it.
        let n_files = fs::read_dir(&folder).unwrap().count();
        assert_eq!(n_files, ModelFolder::open(&folder).unwrap().files().len());

        let scored = |model: &str, out: &str| {
            project.run("evaluate", &["--model", model, "--out", out], 0);
            fs::read(project.path(out).join("evaluation/predictions.npz")).unwrap()
        };
        // The folder that was trained is another source of the same scores.
        assert_eq!(scored("published", "again"), scored("kept", "kept-out"));
        let rescored = ["--rescored", "again/evaluation/evaluation.json"];
        project.run("gate", &[&against[..], &rescored].concat(), 0);
        let verdict = project.json("verdict/verdict.json");
        assert_eq!(verdict["verdict"], "pass", "{verdict}");
        let source = verdict["baseline"]["source"].as_str().unwrap();
        assert!(
            source.ends_with("its model scored again on these rows"),
            "{source}"
        );
        let kept = project.json("verdict/baseline.json");
        assert_eq!(kept["data"]["rows"]["n_rows"], 1100);
        assert_eq!(kept["model"]["digest"], published);
        let rules = verdict["rules"].as_array().unwrap().iter();
        let mut paired = rules.filter(|rule| rule["comparison"]["key"]["metric"] == "f1_macro");
        let paired = paired.next_back().unwrap();
        assert_eq!(paired["decision"], "pass");
        let interval = paired["comparison"]["change"].to_string();
        assert!(interval.contains("\"lower\""), "{interval}");
        // A second release is published by that verdict.
        let to = place(&fake, "");
        let arguments = [&against[..], &["--push", &to, "--tag", "1.1.0"]].concat();
        project.run("publish-image", &arguments, 0);
    }
}

#[test]
fn a_folder_that_holds_something_else_is_left_alone() {
    let fake = Fake::start(Behaviour::default());
    let project = Project::passed();
    publish(&project, &fake, &[]);
    let folder = project.path("there");
    let saved = |code| save(&fake, &folder, &["--unsigned"], code);

    fs::create_dir(&folder).unwrap();
    saved(0);
    let manifest = fs::metadata(folder.join("model.json")).unwrap().modified();
    saved(0);
    let again = fs::metadata(folder.join("model.json")).unwrap().modified();
    assert_eq!(manifest.unwrap(), again.unwrap(), "it was there already");

    // Another model, and what is not one: that is said before the registry is asked.
    project.edit("seed = 42", "seed = 43");
    project.run("train", &[], 0);
    let trained = project.path("trainyard-out/model");
    let said = save(&fake, &trained, &["--unsigned"], 2);
    said.has_error("holds another model");
    said.has_error("name another folder by `--save-model`, or remove this one");
    said.has_output("outcome       not checked");
    let digest = digest_of(&trained);
    let n_requests = fake.state().requests.len();
    fs::write(folder.join("model.json"), "{}").unwrap();
    saved(2).has_error("is there and is not a model's folder");
    fs::write(project.path("file"), "").unwrap();
    save(&fake, &project.path("file"), &["--unsigned"], 2).has_error("is not a model's folder");
    assert_eq!(fake.state().requests.len(), n_requests);
    assert_eq!(digest_of(&trained), digest);
}

/// One changed byte of the layer that holds the model.
#[test]
fn a_changed_layer_is_not_saved() {
    let fake = Fake::start(Behaviour::default());
    let project = Project::passed();
    let key = key_file("p256.pem");
    publish(&project, &fake, &["--key", &key]);
    let public = key_file("p256.pub");
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    let layer = layer_of(&fake, &fake.tag(REPOSITORY, "1.0.0").unwrap());
    let change = |change: &dyn Fn(&mut Vec<u8>)| {
        let key = (REPOSITORY.to_owned(), layer.clone());
        change(fake.state().blobs.get_mut(&key).unwrap());
    };
    change(&|bytes| *bytes.last_mut().unwrap() ^= 1);
    let said = save(&fake, &folder, &["--key", &public], 5);
    said.has_error("the model of");
    assert_empty(parent.path());
    change(&|bytes| *bytes.last_mut().unwrap() ^= 1);
    // More than was promised is not read to its end.
    change(&|bytes| bytes.push(0));
    let said = save(&fake, &folder, &["--key", &public], 5);
    said.has_error("more than the");
    assert_empty(parent.path());
}

fn layer_of(fake: &Fake, digest: &str) -> String {
    let manifest = manifest_of(fake, digest);
    let layers = manifest["layers"].as_array().unwrap();
    layers.last().unwrap()["digest"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn manifest_of(fake: &Fake, digest: &str) -> Value {
    let state = fake.state();
    let (_, bytes) = &state.manifests[&(REPOSITORY.to_owned(), digest.to_owned())];
    serde_json::from_slice(bytes).unwrap()
}

/// What is signed holds for the image, and names another model: nothing of it is saved. Without the signature it is not looked at.
#[test]
fn a_model_that_is_not_the_one_that_is_signed_is_not_saved() {
    let fake = Fake::start(Behaviour::default());
    let project = Project::passed();
    publish(&project, &fake, &[]);
    let digest: Sha256Digest = fake.tag(REPOSITORY, "1.0.0").unwrap().parse().unwrap();
    let manifest = {
        let state = fake.state();
        let (_, bytes) = &state.manifests[&(REPOSITORY.to_owned(), digest.to_string())];
        Descriptor::of(MANIFEST, bytes)
    };
    let image = Image { fake, manifest };
    let text = fs::read_to_string(key_file("p256.pem")).unwrap();
    let key = PrivateKey::from_pem(&text).unwrap();
    let evaluation = fs::read(project.path("trainyard-out/evaluation/evaluation.json"));
    let evaluation = Sha256Digest::of(&evaluation.unwrap());
    let attach = |model: &str| {
        let configuration = json!([
            { "name": "verdict.json", "annotations": { "dev.trainyard.model.digest": model } },
            { "name": "evaluation.json", "digest": { "sha256": evaluation.hex() } },
        ]);
        let predicate = json!({ "result": "PASSED", "configuration": configuration });
        let about = ResourceDescriptor::new("m", &digest);
        let statement = Statement::new(about, TEST_RESULT, predicate);
        image.attach(BUNDLE, sign(&statement, &key).unwrap());
    };
    let own = digest_of(&project.path("trainyard-out/model"));
    attach(own.as_str());
    let public = key_file("p256.pub");
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    save(&image.fake, &folder, &["--key", &public], 0);
    fs::remove_dir_all(&folder).unwrap();

    let other = Sha256Digest::of(b"another model");
    attach(other.as_str());
    let said = save(&image.fake, &folder, &["--key", &public], 1);
    said.has_output(&format!("the model in the image is {own}"));
    said.has_output(&format!("the signed verdict names {other}"));
    said.has_error("so its model was not saved");
    assert_empty(parent.path());
    // Nothing holds by a key that is not trusted, so the layer is not even asked for.
    let blob = format!(
        "GET /v2/{REPOSITORY}/blobs/{}",
        layer_of(&image.fake, digest.as_str())
    );
    let n_read = image.fake.count(&blob);
    let stranger = key_file("p384.pub");
    save(&image.fake, &folder, &["--key", &stranger], 3).has_error("was not saved");
    assert_eq!(image.fake.count(&blob), n_read);
    assert_empty(parent.path());
}

/// An image whose annotation names another model than it holds, and one whose last layer holds none.
#[test]
fn an_unsigned_image_must_hold_the_model_that_it_names() {
    let fake = Fake::start(Behaviour::default());
    let project = Project::passed();
    publish(&project, &fake, &[]);
    let original = manifest_of(&fake, &fake.tag(REPOSITORY, "1.0.0").unwrap());
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    let says = |edit: &dyn Fn(&mut Value), code| {
        let mut manifest = original.clone();
        edit(&mut manifest);
        let bytes = manifest.to_string().into_bytes();
        let digest = Sha256Digest::of(&bytes).to_string();
        let key = (REPOSITORY.to_owned(), digest.clone());
        let manifest = (MANIFEST.to_owned(), bytes);
        fake.state().manifests.insert(key, manifest);
        let image = place(&fake, &format!("@{digest}"));
        let said = save_from(&image, &folder, &["--unsigned"], code);
        assert_empty(parent.path());
        said
    };
    let other = Sha256Digest::of(b"another model");
    let renamed = |manifest: &mut Value| {
        manifest["annotations"]["dev.trainyard.model.digest"] = json!(other);
    };
    says(&renamed, 1).has_output(&format!("the image names {other}"));
    let without = |manifest: &mut Value| {
        manifest["layers"].as_array_mut().unwrap().pop();
    };
    says(&without, 4).has_error("holds no `/models/model.json`");
}

/// All images of an index share one layer; the index is what is signed. One for a further platform with another model is not guessed at.
#[test]
fn the_model_of_an_index_is_that_of_each_image_in_it() {
    let project = Project::passed();
    let server = binaries().join("trainyard-serve");
    let mut arm64 = fs::read(&server).unwrap();
    // `e_machine` of AArch64 (System V ABI, chapter 4).
    arm64[18..20].copy_from_slice(&183_u16.to_le_bytes());
    project.write("serve-arm64", &arm64);
    let fake = Fake::start(Behaviour::default());
    let key = key_file("p256.pem");
    let servers = [
        "--server",
        "serve-arm64",
        "--server",
        server.to_str().unwrap(),
    ];
    publish(&project, &fake, &[&servers[..], &["--key", &key]].concat());
    let folder = project.path("published");
    let public = key_file("p256.pub");
    save(&fake, &folder, &["--key", &public], 0);
    let trained = digest_of(&project.path("trainyard-out/model"));
    assert_eq!(digest_of(&folder), trained);
    let layer = layer_of_first(&fake);
    assert_eq!(
        fake.count(&format!("GET /v2/{REPOSITORY}/blobs/{layer}")),
        1
    );

    let digest = fake.tag(REPOSITORY, "1.0.0").unwrap();
    let mut index = manifest_of(&fake, &digest);
    let first = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let mut other = manifest_of(&fake, &first);
    other["layers"].as_array_mut().unwrap().pop();
    let insert = |document: &Value, media_type: &str| {
        let bytes = document.to_string().into_bytes();
        let descriptor = Descriptor::of(media_type, &bytes);
        let key = (REPOSITORY.to_owned(), descriptor.digest.to_string());
        let stored = (media_type.to_owned(), bytes);
        fake.state().manifests.insert(key, stored);
        descriptor
    };
    let other = insert(&other, MANIFEST);
    index["manifests"][0]["digest"] = json!(other.digest);
    index["manifests"][0]["size"] = json!(other.size);
    let index = insert(&index, trainyard_oci::spec::INDEX);
    let image = place(&fake, &format!("@{}", index.digest));
    let said = save_from(&image, &project.path("mixed"), &["--unsigned"], 4);
    said.has_error("the images of the index hold different models");
    assert!(!project.path("mixed").exists());
}

/// The model's layer, by the first image of the index 1.0.0.
fn layer_of_first(fake: &Fake) -> String {
    let index = manifest_of(fake, &fake.tag(REPOSITORY, "1.0.0").unwrap());
    layer_of(fake, index["manifests"][0]["digest"].as_str().unwrap())
}

#[test]
fn what_does_not_go_together_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("model");
    let public = key_file("p256.pub");
    let refused = |arguments: &[&str]| {
        let mut verify = stage("verify");
        Said::of(verify.arg("localhost:1/acme/m:1").args(arguments), 2)
    };
    let place = place.to_str().unwrap();
    refused(&["--unsigned"]).has_error("--save-model");
    let said = refused(&["--save-model", place]);
    said.has_error("no signer is named");
    said.has_error("`--unsigned` saves the model of an image that is not signed");
    refused(&["--save-model", place, "--unsigned", "--key", &public]).has_error("--key");
}
