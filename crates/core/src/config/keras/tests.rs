use serde_json::{Value, json};

use super::*;
use crate::model::architecture::{Layer, Padding};

fn parse(text: &str) -> Result<KerasModel, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.json");
    crate::files::write(&path, text.as_ref()).unwrap();
    read(&path).map_err(|error| error.to_string())
}

/// A model that ends in the layer given, with a setting of it changed.
fn sequential(input: &[Value], class: &str, config: &Value) -> Value {
    let mut shape = vec![Value::Null];
    shape.extend_from_slice(input);
    json!({"class_name": "Sequential", "config": {"name": "s", "trainable": true, "layers": [
        {"class_name": "InputLayer", "config": {"batch_shape": shape, "dtype": "float32", "name": "i"}},
        {"class_name": class, "config": config},
    ]}})
}

fn with(config: &Value, key: &str, value: Value) -> Value {
    let mut config = config.clone();
    config[key] = value;
    config
}

const MODEL: &str = r#"{"class_name": "Sequential", "config": {"layers": [
    {"class_name": "InputLayer", "config": {"batch_shape": [null, 8, 2], "name": "i"}},
    {"class_name": "Conv1D", "config": {"name": "c", "filters": 3, "kernel_size": [3], "strides": [1],
        "padding": "same", "dilation_rate": [2], "groups": 1, "activation": "swish", "use_bias": true,
        "kernel_initializer": {"class_name": "GlorotUniform"}, "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.5}}}},
    {"class_name": "Flatten", "config": {"name": "f", "data_format": "channels_last"}}]}}"#;

#[test]
fn a_sequential_model_is_read_with_or_without_a_byte_order_mark() {
    let model = parse(MODEL).unwrap();
    assert_eq!(model.input_shape, [8, 2]);
    let kinds: Vec<&str> = model
        .layers
        .iter()
        .map(|named| named.layer.type_name())
        .collect();
    assert_eq!(kinds, ["Conv1D", "Flatten"]);
    assert_eq!(model.layers[0].name, "c");
    let Layer::Conv1D(conv) = &model.layers[0].layer else {
        panic!("{model:?}")
    };
    assert_eq!((conv.dilation_rate, conv.padding), ([2], Padding::Same));
    assert_eq!(conv.kernel_regularizer.unwrap().l2, 0.5);
    assert_eq!(parse(&format!("\u{feff}{MODEL}")).unwrap(), model);
}

/// One setting changed at a time: each that is not honoured is refused with its layer and name.
#[test]
fn no_setting_of_a_layer_is_dropped() {
    let shape = [json!(6)];
    let image = [json!(8), json!(8), json!(2)];
    let object = |class: &str, config: Value| json!({"module": "keras", "class_name": class, "config": config});
    let dense = json!({"name": "h", "units": 3});
    let conv = json!({"name": "h", "filters": 3, "kernel_size": [2, 2]});
    let depthwise = json!({"name": "h", "kernel_size": [2, 2]});
    let plain = json!({"name": "h"});
    let embedding = json!({"name": "h", "input_dim": 9, "output_dim": 2});
    let dropout = json!({"name": "h", "rate": 0.5});
    let norm = json!({"name": "h"});
    let policy = |name: &str| object("DTypePolicy", json!({"name": name}));
    let refused: Vec<(&[Value], &str, &Value, &str, Value)> = vec![
        (&shape, "Dense", &dense, "trainable", json!(false)),
        (&shape, "Dense", &dense, "dtype", json!("mixed_float16")),
        (&shape, "Dense", &dense, "dtype", policy("mixed_bfloat16")),
        (&shape, "Dense", &dense, "dtype", policy("float64")),
        (
            &shape,
            "Dense",
            &dense,
            "activity_regularizer",
            object("L2", json!({"l2": 0.01})),
        ),
        (
            &shape,
            "Dense",
            &dense,
            "bias_initializer",
            object("Ones", json!({})),
        ),
        (&shape, "Dense", &dense, "bias_initializer", Value::Null),
        (
            &shape,
            "Dense",
            &dense,
            "kernel_initializer",
            object("HeNormal", json!({"seed": null})),
        ),
        (
            &shape,
            "Dense",
            &dense,
            "kernel_initializer",
            object("GlorotUniform", json!({"seed": 7})),
        ),
        (
            &shape,
            "Dense",
            &dense,
            "kernel_initializer",
            json!("zeros"),
        ),
        (
            &shape,
            "Dense",
            &dense,
            "kernel_constraint",
            object("MaxNorm", json!({"max_value": 2})),
        ),
        (
            &shape,
            "Dense",
            &dense,
            "bias_constraint",
            object("NonNeg", json!({})),
        ),
        (
            &shape,
            "Dense",
            &dense,
            "kernel_regularizer",
            object("OrthogonalRegularizer", json!({})),
        ),
        (
            &shape,
            "Dense",
            &dense,
            "kernel_regularizer",
            object("L2", json!({"l2": 0.1, "l3": 1})),
        ),
        (
            &shape,
            "Dense",
            &dense,
            "activation",
            object("LeakyReLU", json!({"negative_slope": 0.3})),
        ),
        (&shape, "Dense", &dense, "activation", json!("hard_sigmoid")),
        (&shape, "Dense", &dense, "lora_rank", json!(4)),
        (
            &shape,
            "Dense",
            &dense,
            "quantization_config",
            json!({"mode": "int8"}),
        ),
        (
            &shape,
            "Dense",
            &dense,
            "batch_input_shape",
            json!([null, 7]),
        ),
        (&shape, "Dense", &dense, "surprise", json!(1)),
        (&shape, "Dense", &dense, "filters", json!(1)),
        (
            &image,
            "Conv2D",
            &conv,
            "data_format",
            json!("channels_first"),
        ),
        (&image, "Conv2D", &conv, "groups", json!(2)),
        (&image, "Conv2D", &conv, "padding", json!("causal")),
        (
            &image,
            "DepthwiseConv2D",
            &depthwise,
            "depthwise_initializer",
            object("Constant", json!({"value": 1})),
        ),
        (
            &image,
            "DepthwiseConv2D",
            &depthwise,
            "depthwise_constraint",
            object("UnitNorm", json!({})),
        ),
        (
            &image,
            "GlobalMaxPooling2D",
            &plain,
            "keepdims",
            json!(true),
        ),
        (
            &image,
            "Flatten",
            &plain,
            "data_format",
            json!("channels_first"),
        ),
        (&shape, "Embedding", &embedding, "mask_zero", json!(true)),
        (&shape, "Embedding", &embedding, "input_length", json!(5)),
        (
            &shape,
            "Embedding",
            &embedding,
            "embeddings_regularizer",
            object("L2", json!({"l2": 0.01})),
        ),
        (
            &shape,
            "Embedding",
            &embedding,
            "embeddings_initializer",
            object(
                "RandomUniform",
                json!({"minval": -0.1, "maxval": 0.05, "seed": null}),
            ),
        ),
        (&shape, "Dropout", &dropout, "seed", json!(3)),
        (&shape, "Dropout", &dropout, "noise_shape", json!([1, 6])),
        (&image, "BatchNormalization", &norm, "axis", json!([1])),
        (
            &image,
            "BatchNormalization",
            &norm,
            "gamma_initializer",
            object("Zeros", json!({})),
        ),
        (
            &image,
            "BatchNormalization",
            &norm,
            "moving_mean_initializer",
            object("Ones", json!({})),
        ),
        (
            &image,
            "BatchNormalization",
            &norm,
            "beta_regularizer",
            object("L1", json!({})),
        ),
        (&image, "BatchNormalization", &norm, "renorm", json!(true)),
        (
            &image,
            "BatchNormalization",
            &norm,
            "synchronized",
            json!(true),
        ),
        (
            &image,
            "BatchNormalization",
            &norm,
            "virtual_batch_size",
            json!(8),
        ),
        (
            &image,
            "LayerNormalization",
            &norm,
            "axis",
            json!([1, 2, 3]),
        ),
        (
            &image,
            "LayerNormalization",
            &norm,
            "rms_scaling",
            json!(true),
        ),
        (&image, "Normalization", &norm, "mean", json!([0.5])),
        (&image, "Normalization", &norm, "invert", json!(true)),
        (&image, "ReLU", &plain, "threshold", json!(0.5)),
        (&image, "ReLU", &plain, "max_value", json!(6)),
        (&image, "Softmax", &plain, "axis", json!(1)),
        (&image, "ELU", &plain, "alpha", json!(0.5)),
        (&image, "ELU", &plain, "beta", json!(0.5)),
    ];
    for (shape, class, config, key, value) in refused {
        let what = format!("{class} {key} {value}");
        let text = sequential(shape, class, config).to_string();
        assert!(parse(&text).is_ok(), "{what}: {:?}", parse(&text));
        let text = sequential(shape, class, &with(config, key, value)).to_string();
        let problem = parse(&text).expect_err(&what);
        assert!(
            problem.contains(&format!("layer `h` ({class})")),
            "{what}: {problem}"
        );
        let is_named = problem.contains(&format!("`{key}`"))
            || (key == "batch_input_shape" && problem.contains("[7]"));
        assert!(is_named, "{what}: {problem}");
    }
}

/// The same layers, with every setting at the one value that is supported, in the spelling of Keras 2 and of Keras 3.
#[test]
fn settings_that_change_nothing_are_taken_in_either_spelling() {
    let image = [json!(8), json!(8), json!(2)];
    let shape = [json!(6)];
    let glorot = json!({"module": "keras.initializers", "class_name": "GlorotUniform",
        "config": {"seed": null, "input_axes": null, "output_axes": null}, "registered_name": null});
    let zeros = json!({"class_name": "Zeros", "config": {}});
    let cases = [
        (
            &image[..],
            "BatchNormalization",
            json!({"name": "b", "trainable": true, "dtype": "float32", "axis": [3],
            "momentum": 0.99, "epsilon": 0.001, "center": true, "scale": true, "beta_initializer": zeros,
            "gamma_initializer": "ones", "moving_variance_initializer": {"class_name": "Ones", "config": {}},
            "gamma_constraint": null, "renorm": false, "renorm_clipping": {}, "synchronized": false}),
        ),
        (
            &image[..],
            "Conv2D",
            json!({"name": "c", "filters": 2, "kernel_size": [3, 3], "strides": [1, 1],
            "padding": "valid", "data_format": "channels_last", "dilation_rate": [1, 1], "groups": 1,
            "activation": "linear", "use_bias": true, "kernel_initializer": glorot, "bias_initializer": zeros,
            "kernel_regularizer": null, "activity_regularizer": null, "kernel_constraint": null}),
        ),
        (
            &shape[..],
            "Embedding",
            json!({"name": "e", "input_dim": 9, "output_dim": 2, "mask_zero": false,
            "input_length": 6, "embeddings_initializer":
                {"class_name": "RandomUniform", "config": {"minval": -0.05, "maxval": 0.05, "seed": null}}}),
        ),
        (
            &shape[..],
            "Dropout",
            json!({"name": "d", "rate": 0.5, "seed": null, "noise_shape": null,
            "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": null}}),
        ),
        (
            &shape[..],
            "ReLU",
            json!({"name": "r", "max_value": null, "negative_slope": 0.0, "threshold": 0.0}),
        ),
        (
            &shape[..],
            "LeakyReLU",
            json!({"name": "l", "alpha": 0.200_000_002_98}),
        ),
        (
            &shape[..],
            "LeakyReLU",
            json!({"name": "l", "negative_slope": 0.2}),
        ),
        (&shape[..], "Softmax", json!({"name": "l", "axis": -1})),
        (&shape[..], "Softmax", json!({"name": "l", "axis": 1})),
        (&shape[..], "ELU", json!({"name": "l", "alpha": 1.0})),
        (
            &shape[..],
            "Activation",
            json!({"name": "l", "activation": "swish"}),
        ),
        (
            &shape[..],
            "Dense",
            json!({"name": "l", "units": 2, "activation": null,
            "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.01}}}),
        ),
    ];
    for (shape, class, config) in cases {
        let text = sequential(shape, class, &config).to_string();
        let model = parse(&text);
        assert!(model.is_ok(), "{class}: {model:?}");
    }
}

/// Keras 2 and 3 name the slope differently; both take 0.3 where it is not given.
#[test]
fn a_leaky_relu_has_its_own_slope() {
    for (config, expected) in [
        (json!({"name": "l"}), 0.3),
        (json!({"name": "l", "alpha": 0.25}), 0.25),
        (json!({"name": "l", "negative_slope": 0.1}), 0.1),
    ] {
        let text = sequential(&[json!(6)], "LeakyReLU", &config).to_string();
        let model = parse(&text).unwrap();
        let Layer::LeakyReLU(leaky) = &model.layers[0].layer else {
            panic!("{model:?}")
        };
        assert_eq!(leaky.negative_slope, expected);
    }
}

/// Keras fills these in itself where they are not given.
#[test]
fn penalties_have_kerass_defaults() {
    for (regularizer, expected) in [
        (json!({"class_name": "L2", "config": {}}), (0.0, 0.01)),
        (
            json!({"class_name": "L1", "config": {"l1": 0.5}}),
            (0.5, 0.0),
        ),
        (json!("l2"), (0.0, 0.01)),
        (
            json!({"class_name": "L1L2", "config": {"l2": 0.5}}),
            (0.0, 0.5),
        ),
    ] {
        let config = json!({"name": "d", "units": 2, "kernel_regularizer": regularizer});
        let model = parse(&sequential(&[json!(6)], "Dense", &config).to_string()).unwrap();
        let Layer::Dense(dense) = &model.layers[0].layer else {
            panic!("{model:?}")
        };
        let found = dense.kernel_regularizer.unwrap();
        assert_eq!((found.l1, found.l2), expected, "{regularizer}");
    }
}

#[test]
fn what_is_not_a_model_of_ours_is_named() {
    let quoted = serde_json::to_string(MODEL).unwrap();
    let replaced = |from: &str, to: &str| {
        assert!(MODEL.contains(from), "{from}");
        MODEL.replace(from, to)
    };
    for (text, expected) in [
        (
            replaced("\"Flatten\"", "\"LSTM\""),
            "layer `f` (LSTM): this layer type",
        ),
        (
            replaced("\"Flatten\"", "\"Sequential\""),
            "layer `f` (Sequential): this layer type",
        ),
        (
            replaced("\"Sequential\"", "\"Transformer\""),
            "models of the class `Transformer`",
        ),
        (
            replaced("[null, 8, 2]", "[null, null, 2]"),
            "layer `i` (InputLayer): `batch_shape` has an axis whose size is not fixed",
        ),
        (
            replaced("[null, 8, 2]", "[32, 8, 2]"),
            "layer `i` (InputLayer): `batch_shape` is [32,8,2]",
        ),
        (
            replaced("\"name\": \"i\"", "\"name\": \"i\", \"sparse\": true"),
            "`sparse` is true",
        ),
        (
            replaced("\"name\": \"i\"", "\"name\": \"i\", \"ragged\": true"),
            "`ragged` is true",
        ),
        (
            replaced("\"name\": \"i\"", "\"name\": \"i\", \"dtype\": \"float16\""),
            "`dtype` is \"float16\"",
        ),
        (
            replaced("\"layers\":", "\"trainable\": false, \"layers\":"),
            "`trainable` of the model is false",
        ),
        (
            replaced("\"layers\":", "\"mood\": 1, \"layers\":"),
            "`mood` of the model is unknown",
        ),
        (
            replaced(
                "{\"class_name\": \"Flatten\"",
                "{\"module\": \"my.layers\", \"class_name\": \"Flatten\"",
            ),
            "custom classes (`my.layers`)",
        ),
        (
            replaced(
                "{\"class_name\": \"Flatten\"",
                "{\"registered_name\": \"my>Flatten\", \"class_name\": \"Flatten\"",
            ),
            "custom classes (`my>Flatten`)",
        ),
        (quoted, "a JSON string inside JSON"),
        ("{\"layers\": []}".to_owned(), "this is not a model"),
        ("PK\u{3}\u{4}".to_owned(), "a Keras archive"),
        (
            "layers: []".to_owned(),
            "is not JSON: expected value at line 1 column 1",
        ),
    ] {
        let problem = parse(&text).unwrap_err();
        assert!(problem.contains(expected), "{expected}: {problem}");
    }
    let missing = read(Path::new("no/such/file.json")).unwrap_err();
    assert!(missing.to_string().contains("No such file"), "{missing}");
}

#[test]
fn files_in_keras_other_formats_are_named_as_such() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, expected) in [
        (&b"PK\x03\x04rest"[..], "a Keras archive (`.keras`"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file (`.h5`"),
        (b"\xff\xfe{\0", "text in UTF-16"),
    ] {
        let path = folder.path().join("m.keras");
        crate::files::write(&path, bytes).unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.hint().unwrap().contains("model.to_json()"));
    }
}

const KERAS_3: &str = r#"{"module": "keras.src.models.functional", "class_name": "Functional", "config": {"name": "f", "trainable": true, "layers": [
    {"module": "keras.layers", "class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "softmax"}, "registered_name": null,
     "name": "d", "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__", "config": {"shape": [null, 4], "dtype": "float32", "keras_history": ["r", 0, 0]}}], "kwargs": {"training": null}}]},
    {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [null, 4], "dtype": "float32", "sparse": false, "ragged": false, "name": "i"}, "registered_name": null, "name": "i", "inbound_nodes": []},
    {"module": "keras.layers", "class_name": "ReLU", "config": {"name": "r"}, "registered_name": null,
     "name": "r", "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["i", 0, 0]}}], "kwargs": {}}]}],
    "input_layers": [["i", 0, 0]], "output_layers": ["d", 0, 0]}, "registered_name": "Functional", "build_config": {"input_shape": null}, "compile_config": {"optimizer": "adam"}}"#;

const KERAS_2: &str = r#"{"class_name": "Functional", "config": {"name": "f", "trainable": true, "layers": [
    {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 4], "dtype": "float32", "sparse": false, "ragged": false, "name": "i"}, "name": "i", "inbound_nodes": []},
    {"class_name": "ReLU", "config": {"name": "r", "max_value": null, "negative_slope": 0.0, "threshold": 0.0}, "name": "r", "inbound_nodes": [[["i", 0, 0, {}]]]},
    {"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "softmax"}, "name": "d", "inbound_nodes": [[["r", 0, 0, {}]]]}],
    "input_layers": [["i", 0, 0]], "output_layers": [["d", 0, 0]]}, "keras_version": "2.15.0", "backend": "tensorflow"}"#;

#[test]
fn a_functional_model_is_read_where_it_is_a_chain() {
    for text in [KERAS_3, KERAS_2] {
        let model = parse(text).unwrap();
        let names: Vec<&str> = model
            .layers
            .iter()
            .map(|named| named.name.as_str())
            .collect();
        assert_eq!((model.input_shape, names), (vec![4], vec!["r", "d"]));
    }
    let changed = |from: &str, to: &str| {
        assert!(KERAS_2.contains(from), "{from}");
        parse(&KERAS_2.replace(from, to)).unwrap_err()
    };
    for (from, to, expected) in [
        (
            "[[[\"r\", 0, 0, {}]]]",
            "[[[\"i\", 0, 0, {}]]]",
            "`i` feeds both `r` and `d`",
        ),
        (
            "[[[\"r\", 0, 0, {}]]]",
            "[[[\"r\", 0, 0, {}], [\"i\", 0, 0, {}]]]",
            "`d` has 2 inputs",
        ),
        (
            "[[[\"r\", 0, 0, {}]]]",
            "[[[\"r\", 0, 0, {}]], [[\"i\", 0, 0, {}]]]",
            "`d` is called more than once",
        ),
        (
            "[[[\"r\", 0, 0, {}]]]",
            "[[[\"r\", 0, 0, {\"training\": true}]]]",
            "layer `d` (Dense): `training` is true",
        ),
        (
            "\"output_layers\": [[\"d\", 0, 0]]",
            "\"output_layers\": [[\"r\", 0, 0]]",
            "the output is `r`, but `d` is last",
        ),
        (
            "\"output_layers\": [[\"d\", 0, 0]]",
            "\"output_layers\": [[\"d\", 0, 0], [\"r\", 0, 0]]",
            "1 inputs and 2 outputs",
        ),
        (
            "[[[\"i\", 0, 0, {}]]]",
            "[[[\"d\", 0, 0, {}]]]",
            "the output is `d`, but `i` is last",
        ),
    ] {
        let problem = changed(from, to);
        assert!(problem.contains(expected), "{expected}: {problem}");
    }
}

/// Keras 2 keeps the input's shape with the first layer, Keras 3 also with the model.
#[test]
fn the_input_shape_is_found_where_keras_keeps_it() {
    let dense = json!({"class_name": "Dense", "config": {"name": "d", "units": 2, "batch_input_shape": [null, 5]}});
    let built = json!({"class_name": "Dense", "config": {"name": "d", "units": 2}});
    for model in [
        json!({"class_name": "Sequential", "config": {"name": "s", "layers": [dense]}}),
        json!({"class_name": "Sequential", "config": [dense]}),
        json!({"class_name": "Sequential", "config": {"build_input_shape": [null, 5], "layers": [built]}}),
    ] {
        assert_eq!(parse(&model.to_string()).unwrap().input_shape, [5]);
    }
    let unknown = json!({"class_name": "Sequential", "config": {"layers": [built]}});
    let problem = parse(&unknown.to_string()).unwrap_err();
    assert!(
        problem.contains("the input shape is not known"),
        "{problem}"
    );
}
