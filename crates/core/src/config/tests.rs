use super::*;
use crate::model::Loss;

const GOOD: &str = r#"
[model]
name = "digits"
input_shape = [8, 8, 1]

[[model.layers]]
type = "Conv2D"
filters = 4
kernel_size = 3
activation = "relu"

[[model.layers]]
type = "Flatten"

[[model.layers]]
type = "Dense"
units = 2
activation = "softmax"

[data]
classes = ["even", "odd"]
preprocessing = [{ divide_by = 16 }]
train = { features = "a", labels = "b" }
test = { features = "c", labels = "d" }

[train]
epochs = 3

[[gate.rules]]
metric = "accuracy"
min = 0.9
"#;

fn error_of(text: &str) -> String {
    Config::parse(text, Path::new("trainyard.toml"))
        .unwrap_err()
        .to_string()
}

fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

fn remote(url: &str) -> String {
    let source = format!(
        "features = {{ url = \"{url}\", sha256 = \"{}\" }}",
        "0".repeat(64)
    );
    changed("features = \"a\"", &source)
}

#[test]
fn a_file_on_the_network_is_known_by_its_address_without_the_query() {
    let text = remote("https://example.com/x.npy?signature=1");
    let config = Config::parse(&text, Path::new("trainyard.toml")).unwrap();
    let source = config.data.train.features.as_ref().unwrap();
    assert_eq!(source.name(), "https://example.com/x.npy");
    assert_eq!(
        source.locate(Path::new("base"), Path::new("cache")),
        Path::new("cache").join("0".repeat(64))
    );
    assert_eq!(config.data.train.remotes().count(), 1);
    assert_eq!(config.data.test.remotes().count(), 0);
}

#[test]
fn defaults_are_filled_in_and_layers_are_named_as_keras_names_them() {
    let config = Config::parse(GOOD, Path::new("trainyard.toml")).unwrap();
    assert_eq!(config.train.batch_size, 32);
    assert_eq!(config.train.loss, Loss::SparseCategoricalCrossentropy);
    let names: Vec<&str> = config
        .model
        .layers
        .iter()
        .map(|layer| layer.name.as_str())
        .collect();
    assert_eq!(names, ["conv2d", "flatten", "dense"]);
}

/// What is wrong with layers of a Keras file is said of the line that names the file, with the layer's name.
#[test]
fn problems_of_a_keras_model_name_the_layer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trainyard.toml");
    let layers = GOOD.find("input_shape").unwrap()..GOOD.find("[data]").unwrap();
    let mut text = GOOD.to_owned();
    text.replace_range(layers, "keras = \"m.json\"\n");
    for (activation, dense, expected) in [
        ("softmax", 2, None),
        (
            "relu",
            2,
            Some("layer `d` (Dense): a classifier's last layer must give probabilities"),
        ),
        (
            "softmax",
            0,
            Some("layer `d` (Dense): Dense has a size of zero"),
        ),
    ] {
        let model = serde_json::json!({"class_name": "Sequential", "config": {"layers": [
            {"class_name": "InputLayer", "config": {"name": "i", "batch_shape": [null, 8]}},
            {"class_name": "Dense", "config": {"name": "d", "units": dense, "activation": activation}},
        ]}});
        let keras = folder.path().join("m.json");
        crate::files::write(&keras, model.to_string().as_bytes()).unwrap();
        let message = Config::parse(&text, &path).map_err(|error| error.to_string());
        match expected {
            None => assert_eq!(message.unwrap().model.layers[0].name, "d"),
            Some(expected) => {
                let message = message.unwrap_err();
                assert!(message.contains(expected), "{message}");
                assert!(message.contains("trainyard.toml:4:1"), "{message}");
            }
        }
    }
}

/// Each mistake, and what the message must name: the place, and what to write.
#[test]
fn errors_name_the_line_and_the_remedy() {
    let cases = [
        (
            changed("epochs = 3", "epoch = 3"),
            ["trainyard.toml:27:1", "did you mean `epochs`?"],
        ),
        (
            changed("kernel_size = 3", "kernel_sizes = 3"),
            ["trainyard.toml:9:1", "did you mean `kernel_size`?"],
        ),
        (
            changed("\"Flatten\"", "\"Flaten\""),
            ["trainyard.toml:13:1", "did you mean `Flatten`?"],
        ),
        (
            changed("epochs = 3", "epochs = 0"),
            ["trainyard.toml:27:1", "must be at least 1"],
        ),
        (
            changed("epochs = 3", "epochs = \"3\""),
            ["trainyard.toml:27:10", "invalid type: string"],
        ),
        (
            changed("filters = 4\n", ""),
            ["trainyard.toml:6:1", "add `filters = 32`"],
        ),
        (
            changed("units = 2", "units = 3"),
            ["trainyard.toml:21:1", "2 names, but the last layer gives 3"],
        ),
        (
            changed("\"softmax\"", "\"relu\""),
            ["trainyard.toml:15:1", "activation = \"softmax\""],
        ),
        (
            changed("kernel_size = 3", "kernel_size = 9"),
            ["trainyard.toml:6:1", "larger than its input"],
        ),
        (
            changed("min = 0.9", "maximum = 0.9"),
            ["trainyard.toml:31:1", "did you mean `max`?"],
        ),
        (
            changed("min = 0.9", "max_drop_percent = 5"),
            ["trainyard.toml:31:1", "did you mean `max_drop_pct`?"],
        ),
        (
            changed("[[gate.rules]]", "[[gate.rule]]"),
            ["trainyard.toml:29:8", "did you mean `rules`?"],
        ),
        (
            changed("[[gate.rules]]", "[gate.rules]"),
            ["trainyard.toml:29:1", "as `[[gate.rules]]`"],
        ),
        (
            changed("min = 0.9", "min = nan"),
            ["trainyard.toml:31:1", "finite"],
        ),
        (
            changed("min = 0.9", "min_rows = 5"),
            ["trainyard.toml:29:1", "asks for nothing"],
        ),
        (
            changed("\"accuracy\"", "\"zeal\"\nmax_drop = 0.1"),
            ["trainyard.toml:30:1", "direction"],
        ),
        (
            changed("divide_by = 16", "divide_by = 0"),
            ["trainyard.toml:22:18", "a divisor other than 0"],
        ),
        (
            changed("type = \"Flatten\"", "type = \"Flatten\"\nunits = 3"),
            ["trainyard.toml:14:1", "has no argument `units`"],
        ),
        (
            changed("name = \"digits\"", "name = \"di gits\""),
            ["trainyard.toml:3:1", "letters, digits"],
        ),
        (
            changed("features = \"a\"", "features = 3"),
            ["trainyard.toml:23:22", "a path, or `{ url = "],
        ),
        (
            changed("features = \"a\"", "features = { url = \"https://a/b\" }"),
            ["trainyard.toml:23:22", "missing field `sha256`"],
        ),
        (
            changed(
                "features = \"a\"",
                "features = { url = \"https://a/b\", sha256 = \"12\" }",
            ),
            ["trainyard.toml:23:54", "`12` is not the 64 hex digits"],
        ),
        (
            remote("ftp://a/b"),
            ["trainyard.toml:23:11", "must begin with `https://`"],
        ),
        (
            remote("https://me:secret@a/b"),
            ["trainyard.toml:23:11", "user name or password"],
        ),
        (
            changed("epochs = 3", "epochs = 3\noptimizer = { momentum = 0.9 }"),
            ["trainyard.toml:28:15", "`adam` takes `beta_1`, `beta_2`"],
        ),
        (
            changed("epochs = 3", "schedule = { factor = 0.5 }"),
            [
                "trainyard.toml:27:14",
                "no effect with `type = \"constant\"`",
            ],
        ),
        (
            changed(
                "epochs = 3",
                "early_stopping = { patience = 2, monitor = \"val_loss\" }",
            ),
            [
                "trainyard.toml:27:34",
                "add `validation_fraction = 0.1` to `[data]`",
            ],
        ),
        (
            changed("epochs = 3", "huber_delta = 2"),
            ["trainyard.toml:27:1", "belongs to `loss = \"huber\"`"],
        ),
        ("[model".to_owned(), ["trainyard.toml:1:7", ""]),
    ];
    for (text, parts) in cases {
        let message = error_of(&text);
        for part in parts {
            assert!(message.contains(part), "`{part}` is not in:\n{message}");
        }
    }
}

#[test]
fn only_what_decides_the_weights_changes_the_training_digest() {
    let digest = |text: &str| {
        Config::parse(text, Path::new("x"))
            .unwrap()
            .training_digest()
            .unwrap()
    };
    let same = [
        changed("min = 0.9", "min = 0.5"),
        changed("epochs = 3", "epochs = 3\nthreads = 1"),
        // The same settings, written out or left to their defaults.
        changed(
            "epochs = 3",
            "epochs = 3\nbatch_size = 32\noptimizer = { type = \"adam\", learning_rate = 0.001 }",
        ),
        changed("kernel_size = 3", "kernel_size = [3, 3]\nstrides = 1"),
    ];
    let other = [
        changed("epochs = 3", "epochs = 4"),
        changed("epochs = 3", "epochs = 3\nseed = 7"),
    ];
    assert!(same.iter().all(|text| digest(text) == digest(GOOD)));
    assert!(other.iter().all(|text| digest(text) != digest(GOOD)));
}

#[test]
fn lines_of_rules_are_found_for_annotations() {
    assert_eq!(line_of(GOOD, &["gate", "rules", "0"]), Some(29));
    assert_eq!(line_of(GOOD, &["gate", "rules", "0", "min"]), Some(31));
    assert_eq!(line_of(GOOD, &["gate", "rules", "1"]), None);
}

#[test]
fn a_decimal_point_is_not_written_so_older_digests_hold() {
    let table = |decimal: &str| {
        let data = format!(
            "format = \"csv\"\nclasses = [\"even\", \"odd\"]\ntrain = {{ path = \"a\" }}\ntest = {{ path = \"c\" }}\n\
             [data.csv]\nlabel = \"y\"\ndelimiter = \";\"\n{decimal}"
        );
        let text = changed("classes = [\"even\", \"odd\"]", &data)
            .replace("preprocessing = [{ divide_by = 16 }]\n", "")
            .replace("train = { features = \"a\", labels = \"b\" }\n", "")
            .replace("test = { features = \"c\", labels = \"d\" }\n", "");
        Config::parse(&text, Path::new("trainyard.toml")).unwrap()
    };
    let written = |config: &Config| toml::to_string(config).unwrap();
    let (unset, point, comma) = (
        table(""),
        table("decimal = \".\""),
        table("decimal = \",\""),
    );
    assert_eq!(written(&unset), written(&point));
    assert!(!written(&unset).contains("decimal") && written(&comma).contains("decimal = \",\""));
    assert_eq!(
        unset.training_digest().unwrap(),
        point.training_digest().unwrap()
    );
}

#[test]
fn a_setting_of_another_format_is_refused() {
    for (line, place) in [
        (
            "train = { features = \"a\", labels = \"b\", features_array = \"x\" }",
            "features_array",
        ),
        (
            "resize = true\ntrain = { features = \"a\", labels = \"b\" }",
            "resize",
        ),
    ] {
        let error = error_of(&changed(
            "train = { features = \"a\", labels = \"b\" }",
            line,
        ));
        assert!(
            error.contains(place) && error.contains("belongs to `format"),
            "{error}"
        );
    }
}

/// A place that is not a path is not among the files that decide what a model is.
#[test]
fn a_baseline_is_a_path_or_a_published_image() {
    let with = |baseline: &str| {
        let text =
            format!("[gate]\nbaseline = \"{baseline}\"\n[image]\nplain_http = [\"office:5000\"]\n");
        JudgingConfig::parse(&text, Path::new("trainyard.toml"))
    };
    let of_file = with("old/evaluation.json").unwrap();
    assert_eq!(of_file.files.paths, [Path::new("old/evaluation.json")]);
    let of_image = with("oci://office:5000/digits:1.0").unwrap();
    let expected = BaselinePlace::Image("office:5000/digits:1.0".to_owned());
    assert_eq!(of_image.gate.baseline, Some(expected));
    assert_eq!(of_image.files.paths.len(), 0);
    assert_eq!(of_image.image.plain_http, ["office:5000"]);
    let written = toml::to_string(&of_image.gate).unwrap();
    assert!(
        written.contains("baseline = \"oci://office:5000/digits:1.0\""),
        "{written}"
    );
    let wrong = with("https://office:5000/digits").unwrap_err().to_string();
    assert!(
        wrong.starts_with("trainyard.toml:2:") && wrong.contains("write a path such as"),
        "{wrong}"
    );
}

/// Each of these once gave an image without its server, or without the file.
#[test]
fn files_of_the_image_keep_their_hands_off_server_and_model() {
    let with = |targets: &[&str]| {
        let files = targets
            .iter()
            .map(|target| format!("[[image.files]]\nsource = \"a\"\ntarget = \"{target}\"\n"));
        format!("{GOOD}\n{}", files.collect::<String>())
    };
    for target in [
        "/usr/local/bin",
        "/usr",
        "/usr/local/bin/trainyard-serve",
        "/usr/local/bin/trainyard-serve/x",
        "/models",
        "/models/model.json",
        "/models/extra.txt",
    ] {
        let error = error_of(&with(&["/licenses/LICENSE", target]));
        assert!(error.contains("target"), "{target}: {error}");
    }
    assert!(error_of(&with(&["/a", "/a/b"])).contains("cannot both be in the image"));
    let good = with(&["/licenses/LICENSE", "/usr/local/bin/other", "/modelsx"]);
    assert!(Config::parse(&good, Path::new("trainyard.toml")).is_ok());
}

/// Logs have more readers than the file.
#[test]
fn no_error_shows_a_secret_that_was_written_here() {
    let in_report = |line: &str| error_of(&format!("{GOOD}\n[report]\n{line}\n"));
    let error = in_report("elasticsearch = \"https://elastic:s3cret@search.example.org\"");
    assert!(
        error.contains("`report.elasticsearch`: holds a user name or a password"),
        "{error}"
    );
    assert!(error.contains("TRAINYARD_ELASTICSEARCH_API_KEY"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
    let error = in_report("api_key = \"s3cret\"");
    assert!(error.contains("unknown field `api_key`"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
    // Other lines are shown.
    let error = in_report("elasticsearch = \"search.example.org\"");
    assert!(error.contains("| elasticsearch = \"search"), "{error}");
}
