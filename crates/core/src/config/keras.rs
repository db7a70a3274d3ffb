//! The architecture that Keras writes: the JSON of `model.to_json()` of a Sequential model in, layers and input shape out.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::LayerTable;
use crate::files;

/// Keys that say nothing about what a layer computes.
const IGNORED: [&str; 12] = [
    "name",
    "trainable",
    "dtype",
    "batch_input_shape",
    "batch_shape",
    "activity_regularizer",
    "seed",
    "noise_shape",
    "synchronized",
    "mask_zero",
    "sparse",
    "quantization_config",
];

/// Initialisers that our own stand for; weights are drawn by our own generator in any case.
const INITIALIZERS: [&str; 4] = ["GlorotUniform", "Zeros", "Ones", "RandomUniform"];

/// Input shape and layers of the file at `path`. The error says what is wrong, in words.
pub(super) fn read(path: &Path) -> Result<(Vec<usize>, Vec<LayerTable>), String> {
    let text = files::read_text(path).map_err(|error| error.to_string())?;
    parse(&text).map_err(|problem| format!("`{}`: {problem}", path.display()))
}

fn parse(text: &str) -> Result<(Vec<usize>, Vec<LayerTable>), String> {
    let model: Value =
        serde_json::from_str(text).map_err(|error| format!("this is no JSON ({error})"))?;
    if model["class_name"] != "Sequential" {
        return Err("this is no Sequential model, as `model.to_json()` writes it".to_owned());
    }
    let layers = model["config"]["layers"]
        .as_array()
        .ok_or("there are no layers")?;
    let mut input_shape = None;
    let mut tables = Vec::new();
    for (idx, layer) in layers.iter().enumerate() {
        let config = &layer["config"];
        let shape = ["batch_shape", "batch_input_shape"]
            .iter()
            .find_map(|key| config[*key].as_array());
        if let (Some(shape), None) = (shape, &input_shape) {
            let axes = shape
                .iter()
                .skip(1)
                .map(|axis| axis.as_u64().map(|axis| axis as usize));
            let axes: Option<Vec<usize>> = axes.collect();
            input_shape = Some(axes.ok_or("an axis of the input is not fixed")?);
        }
        let class = layer["class_name"].as_str().unwrap_or_default();
        if class == "InputLayer" {
            continue;
        }
        let table =
            table(class, config).map_err(|problem| format!("layer {idx} ({class}): {problem}"))?;
        tables.push(table);
    }
    let input_shape =
        input_shape.ok_or("the input shape is not known; begin the model with `keras.Input`")?;
    Ok((input_shape, tables))
}

fn table(class: &str, config: &Value) -> Result<LayerTable, String> {
    let mut table = Map::new();
    table.insert("type".to_owned(), class.into());
    table.insert("name".to_owned(), config["name"].clone());
    for (key, value) in config.as_object().into_iter().flatten() {
        let is_neutral = match key.as_str() {
            "data_format" => value.is_null() || value == "channels_last",
            "groups" => value == 1,
            "axis" => value == -1 || *value == json!([-1]),
            "keepdims" | "invert" | "renorm" | "rms_scaling" => value == false,
            key if key.ends_with("_constraint") => value.is_null(),
            "mean" | "variance" | "weights" | "lora_rank" | "lora_alpha" => value.is_null(),
            "input_length" | "input_shape" => true,
            // Settings of what is off.
            "renorm_clipping" | "renorm_momentum" => config["renorm"] == false,
            key if key.ends_with("_initializer") => initializer_is_known(value),
            key => IGNORED.contains(&key),
        };
        if is_neutral {
            continue;
        }
        if key.ends_with("_initializer") || key.ends_with("_constraint") {
            return Err(format!("`{key}` {} is not supported", value["class_name"]));
        }
        let value = match key.as_str() {
            "kernel_regularizer" | "bias_regularizer" | "depthwise_regularizer" => {
                match regularizer(value)? {
                    None => continue,
                    Some(value) => value,
                }
            }
            key if key.ends_with("_regularizer") => {
                if value.is_null() {
                    continue;
                }
                return Err(format!("`{key}` is not supported"));
            }
            "activation" if value == "swish" => "silu".into(),
            "activation" if !value.is_string() => {
                return Err(format!("the activation {value} is not supported"));
            }
            _ => value.clone(),
        };
        let key = if key == "depthwise_regularizer" {
            "kernel_regularizer"
        } else {
            key
        };
        table.insert(key.to_owned(), one_axis(class, value));
    }
    serde_json::from_value(Value::Object(table)).map_err(|error| error.to_string())
}

/// Layers over steps write their sizes as a list of one.
fn one_axis(class: &str, value: Value) -> Value {
    match value.as_array().map(Vec::as_slice) {
        Some([only]) if class.ends_with("1D") => only.clone(),
        _ => value,
    }
}

fn initializer_is_known(value: &Value) -> bool {
    value.is_null()
        || value["class_name"]
            .as_str()
            .is_some_and(|class| INITIALIZERS.contains(&class))
}

fn regularizer(value: &Value) -> Result<Option<Value>, String> {
    let number = |key: &str| value["config"][key].as_f64().unwrap_or(0.0);
    match value["class_name"].as_str() {
        None if value.is_null() => Ok(None),
        Some("L1") => Ok(Some(json!({"l1": number("l1")}))),
        Some("L2") => Ok(Some(json!({"l2": number("l2")}))),
        Some("L1L2") => Ok(Some(json!({"l1": number("l1"), "l2": number("l2")}))),
        _ => Err(format!("the regularizer {value} is not supported")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LayerKind;

    const MODEL: &str = r#"{"class_name": "Sequential", "config": {"layers": [
        {"class_name": "InputLayer", "config": {"batch_shape": [null, 8, 2], "name": "i"}},
        {"class_name": "Conv1D", "config": {"name": "c", "filters": 3, "kernel_size": [3], "strides": [1],
            "padding": "same", "dilation_rate": [2], "groups": 1, "activation": "swish", "use_bias": true,
            "kernel_initializer": {"class_name": "GlorotUniform"}, "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.5}}}},
        {"class_name": "Flatten", "config": {"name": "f", "data_format": "channels_last"}}]}}"#;

    #[test]
    fn a_sequential_model_is_read() {
        let (input_shape, tables) = parse(MODEL).unwrap();
        assert_eq!(input_shape, [8, 2]);
        assert_eq!(
            (tables[0].kind, tables[1].kind),
            (LayerKind::Conv1D, LayerKind::Flatten)
        );
        assert_eq!(tables[0].name.as_deref(), Some("c"));
        assert_eq!(
            tables[0]
                .kernel_regularizer
                .map(|regularizer| regularizer.l2),
            Some(0.5)
        );
    }

    #[test]
    fn what_is_not_supported_is_named_with_its_layer() {
        for (from, to, expected) in [
            (
                "\"groups\": 1",
                "\"groups\": 2",
                "layer 1 (Conv1D): unknown field `groups`",
            ),
            (
                "GlorotUniform",
                "HeNormal",
                "`kernel_initializer` \"HeNormal\" is not supported",
            ),
            (
                "\"Flatten\"",
                "\"LSTM\"",
                "layer 2 (LSTM): unknown variant `LSTM`",
            ),
            (
                "\"Sequential\"",
                "\"Functional\"",
                "this is no Sequential model",
            ),
            (
                "[null, 8, 2]",
                "[null, null, 2]",
                "an axis of the input is not fixed",
            ),
        ] {
            let problem = parse(&MODEL.replace(from, to)).unwrap_err();
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
