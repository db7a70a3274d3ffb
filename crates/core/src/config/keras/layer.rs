//! One layer: what Keras writes of it in, a [`Layer`] out.

use serde_json::{Map, Value, json};

use crate::config::layers::{LayerError, LayerTable};
use crate::model::architecture::Layer;

/// Why a layer of Keras is not one of ours.
#[derive(Debug, thiserror::Error)]
pub(in crate::config) enum LayerProblem {
    #[error("is unknown")]
    Unknown,
    #[error("is {value}, which is not supported")]
    Unsupported {
        value: String,
        hint: Option<&'static str>,
    },
    #[error("`{key}` {problem}")]
    Setting { key: String, problem: Box<Self> },
    #[error("custom classes (`{0}`) are not supported")]
    Custom(String),
    #[error("this layer type is not supported")]
    Class,
    #[error("{}{source}", argument.as_ref().map(|argument| format!("`{argument}`: ")).unwrap_or_default())]
    Table {
        argument: Option<String>,
        source: Box<LayerError>,
    },
    #[error("{0}")]
    Form(#[from] toml::ser::Error),
    #[error("has an axis whose size is not fixed: {0}")]
    FreeAxis(String),
    #[error("the shape is stated as {stated:?}, but the previous layers give {received:?}")]
    Shape {
        stated: Vec<usize>,
        received: Vec<usize>,
    },
}

impl LayerProblem {
    pub(super) fn unsupported(value: &Value, hint: Option<&'static str>) -> Self {
        Self::Unsupported {
            value: shown(value),
            hint,
        }
    }

    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Unsupported { hint, .. } => hint.map(str::to_owned),
            Self::Setting { problem, .. } => problem.hint(),
            Self::Table { source, .. } => source.hint(),
            Self::FreeAxis(_) => {
                Some("give every axis a size: `keras.Input(shape=(28, 28, 1))`".to_owned())
            }
            _ => None,
        }
    }
}

impl From<LayerError> for LayerProblem {
    fn from(source: LayerError) -> Self {
        Self::Table {
            argument: source.argument().map(str::to_owned),
            source: Box::new(source),
        }
    }
}

/// A value in a message: of objects their class and settings, of all no more than a line.
fn shown(value: &Value) -> String {
    let text = match (value["class_name"].as_str(), &value["config"]) {
        (Some(class), Value::Object(config)) => {
            let settings = config.iter().filter(|(_, value)| !value.is_null());
            let settings: Vec<String> = settings
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            format!("{class}({})", settings.join(", "))
        }
        (Some(class), config) => format!("{class} {config}"),
        (None, _) => value.to_string(),
    };
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// A shape with the batch axis, without it.
pub(super) fn shape_of(value: &Value) -> Result<Vec<usize>, LayerProblem> {
    let axes = value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| LayerProblem::unsupported(value, None))?;
    let Some((Value::Null, axes)) = axes.split_first() else {
        return Err(LayerProblem::unsupported(
            value,
            Some("leave the batch size open (`None`) and set `[train] batch_size`"),
        ));
    };
    axes.iter()
        .map(|axis| axis.as_u64().and_then(|axis| usize::try_from(axis).ok()))
        .collect::<Option<_>>()
        .ok_or_else(|| LayerProblem::FreeAxis(value.to_string()))
}

/// The shape that a layer says it receives.
pub(super) fn stated_shape(
    config: &Map<String, Value>,
) -> Result<Option<Vec<usize>>, LayerProblem> {
    ["batch_shape", "batch_input_shape"]
        .into_iter()
        .find_map(|key| Some((key, config.get(key).filter(|value| !value.is_null())?)))
        .map(|(key, value)| shape_of(value).map_err(of_setting(key)))
        .transpose()
}

fn of_setting(key: &str) -> impl Fn(LayerProblem) -> LayerProblem + '_ {
    move |problem| LayerProblem::Setting {
        key: key.to_owned(),
        problem: Box::new(problem),
    }
}

/// An input layer computes nothing, so each of its settings must be one that changes nothing.
pub(super) fn check_input(config: &Map<String, Value>) -> Result<(), LayerProblem> {
    for (key, value) in config {
        let checked = match key.as_str() {
            // Whole numbers are exact in f32; a narrower float would round the features.
            "dtype" => match value.as_str() {
                Some(
                    "float32" | "float64" | "int8" | "uint8" | "int16" | "uint16" | "int32"
                    | "uint32" | "int64" | "uint64",
                ) => Ok(true),
                _ => Err(LayerProblem::unsupported(value, Some(FLOAT32))),
            },
            "type_spec" | "batch_size" | "input_tensor" => is(value, &Value::Null),
            key => neutral(key, value, config, None),
        };
        if !checked.map_err(of_setting(key))? {
            return Err(of_setting(key)(LayerProblem::Unknown));
        }
    }
    Ok(())
}

/// The layer; `received` is the shape that comes in, where it is known.
pub(super) fn read(
    class: &str,
    config: &Map<String, Value>,
    received: Option<&[usize]>,
) -> Result<Layer, LayerProblem> {
    let mut table = toml::Table::new();
    let own = match activation_layer(class, config, received)? {
        Some((function, own)) => {
            table.insert("type".to_owned(), "Activation".into());
            table.insert("activation".to_owned(), function.into());
            own
        }
        None if Layer::TYPES.contains(&class) => {
            table.insert("type".to_owned(), class.into());
            &[]
        }
        None => return Err(LayerProblem::Class),
    };
    for (key, value) in config {
        if own.contains(&key.as_str())
            || neutral(key, value, config, received).map_err(of_setting(key))?
        {
            continue;
        }
        let Some(value) = converted(key, value).map_err(of_setting(key))? else {
            continue;
        };
        let key = match key.as_str() {
            "depthwise_regularizer" => "kernel_regularizer",
            // Keras 2's name.
            "alpha" if class == "LeakyReLU" => "negative_slope",
            key => key,
        };
        let value = toml::Value::try_from(value)
            .map_err(|error| of_setting(key)(LayerProblem::Form(error)))?;
        table.insert(key.to_owned(), value);
    }
    let (_, layer) = LayerTable::from(table).read()?;
    Ok(layer)
}

const FLOAT32: &str = "only float32 is supported: build the model with `dtype=\"float32\"`";

fn is(value: &Value, wanted: &Value) -> Result<bool, LayerProblem> {
    is_one_of(value, std::slice::from_ref(wanted), None)
}

fn is_one_of(
    value: &Value,
    wanted: &[Value],
    hint: Option<&'static str>,
) -> Result<bool, LayerProblem> {
    let is_equal = |wanted: &Value| match (wanted.as_f64(), value.as_f64()) {
        // 1 and 1.0 are one number; so are 0.2 and what 0.2 becomes in float32.
        (Some(wanted), Some(value)) => wanted as f32 == value as f32,
        _ => wanted == value,
    };
    if wanted.iter().any(is_equal) {
        Ok(true)
    } else {
        Err(LayerProblem::unsupported(value, hint))
    }
}

/// Whether `key` is a setting that only one value of is supported; an error where it has another.
pub(super) fn neutral(
    key: &str,
    value: &Value,
    config: &Map<String, Value>,
    received: Option<&[usize]>,
) -> Result<bool, LayerProblem> {
    match key {
        // Read with the layer itself.
        "name" | "batch_shape" | "batch_input_shape" => Ok(true),
        "trainable" => is_one_of(
            value,
            &[json!(true)],
            Some("frozen layers are not supported: set `layer.trainable = True`"),
        ),
        "dtype" => match value["config"]["name"].as_str().or(value.as_str()) {
            None if value.is_null() => Ok(true),
            Some("float32") => Ok(true),
            _ => Err(LayerProblem::unsupported(value, Some(FLOAT32))),
        },
        "mask_zero" => is_one_of(
            value,
            &[json!(false)],
            Some(
                "masking is not supported: set `mask_zero=False`; index 0 is then an index like any other",
            ),
        ),
        "seed" => is_one_of(
            value,
            &[Value::Null],
            Some("`[train] seed` seeds every layer: leave `seed` out"),
        ),
        "data_format" => is_one_of(
            value,
            &[Value::Null, json!("channels_last")],
            Some("images are [height, width, channels]: set `data_format=\"channels_last\"`"),
        ),
        "groups" => is(value, &json!(1)),
        "axis" => {
            let is_last = match value.as_array().map(Vec::as_slice) {
                Some([axis]) => is_last_axis(axis, received),
                Some(_) => false,
                None => is_last_axis(value, received),
            };
            if is_last {
                Ok(true)
            } else {
                Err(LayerProblem::unsupported(
                    value,
                    Some("only the last axis (-1) is supported"),
                ))
            }
        }
        "sparse" | "ragged" | "optional" | "keepdims" | "invert" | "renorm" | "rms_scaling"
        | "synchronized" | "dynamic" | "stateful" => is(value, &json!(false)),
        // Settings of a renormalisation that is off.
        "renorm_clipping" | "renorm_momentum" => {
            is(config.get("renorm").unwrap_or(&json!(false)), &json!(false))
        }
        "noise_shape"
        | "mean"
        | "variance"
        | "weights"
        | "lora_rank"
        | "lora_alpha"
        | "quantization_config"
        | "virtual_batch_size"
        | "adjustment"
        | "activity_regularizer"
        | "embeddings_regularizer"
        | "gamma_regularizer"
        | "beta_regularizer" => is(value, &Value::Null),
        "input_length" => match received {
            Some([steps, ..]) => is_one_of(value, &[Value::Null, json!(steps)], None),
            _ => is(value, &Value::Null),
        },
        key if key.ends_with("_constraint") => is(value, &Value::Null),
        key if key.ends_with("_initializer") => initializer(key, value),
        _ => Ok(false),
    }
}

/// Keras 2 counts axes with the batch's once a model is built.
fn is_last_axis(axis: &Value, received: Option<&[usize]>) -> bool {
    axis == -1 || received.is_some_and(|received| axis.as_u64() == Some(received.len() as u64))
}

const DEFAULT_WEIGHTS: &str =
    "only Keras's default initialisers are supported: leave the initialiser out";

/// The initialiser that is used for a tensor, by its key: Keras's default for all layers.
fn initializer(key: &str, value: &Value) -> Result<bool, LayerProblem> {
    let expected = match key {
        "kernel_initializer" | "depthwise_initializer" => "GlorotUniform",
        "bias_initializer" | "beta_initializer" | "moving_mean_initializer" => "Zeros",
        "gamma_initializer" | "moving_variance_initializer" => "Ones",
        "embeddings_initializer" => "RandomUniform",
        _ => return Ok(false),
    };
    let refused = || LayerProblem::unsupported(value, Some(DEFAULT_WEIGHTS));
    let class = match value {
        Value::String(name) => name,
        value => value["class_name"].as_str().ok_or_else(refused)?,
    };
    // Names as Keras takes them in Python: `glorot_uniform`, `uniform`.
    let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
    let (class, wanted) = (plain(class), plain(expected));
    let is_expected = class == wanted
        || (class == "uniform" && expected == "RandomUniform")
        || (class == wanted.trim_end_matches('s'));
    if !is_expected {
        return Err(refused());
    }
    for (key, value) in value["config"].as_object().into_iter().flatten() {
        let default = match key.as_str() {
            "minval" => json!(-0.05),
            "maxval" => json!(0.05),
            "seed" | "input_axes" | "output_axes" => Value::Null,
            "dtype" => json!("float32"),
            _ => return Err(of_setting(key)(LayerProblem::Unknown)),
        };
        is_one_of(value, &[default], Some(DEFAULT_WEIGHTS)).map_err(of_setting(key))?;
    }
    Ok(true)
}

/// Layers of Keras that are an activation function by another name: the function, and the settings that belong to it.
fn activation_layer(
    class: &str,
    config: &Map<String, Value>,
    received: Option<&[usize]>,
) -> Result<Option<(&'static str, &'static [&'static str])>, LayerProblem> {
    let require = |key: &str, default: &Value, wanted: &[Value]| {
        is_one_of(config.get(key).unwrap_or(default), wanted, None)
            .map(|_| ())
            .map_err(of_setting(key))
    };
    Ok(Some(match class {
        "ReLU" => {
            require("max_value", &Value::Null, &[Value::Null])?;
            require("negative_slope", &json!(0), &[Value::Null, json!(0)])?;
            require("threshold", &json!(0), &[Value::Null, json!(0)])?;
            ("relu", &["max_value", "negative_slope", "threshold"])
        }
        "ELU" => {
            require("alpha", &json!(1.0), &[json!(1.0)])?;
            ("elu", &["alpha"])
        }
        "Softmax" => {
            let last = json!(-1);
            let axis = config.get("axis").filter(|axis| !axis.is_null());
            neutral("axis", axis.unwrap_or(&last), config, received).map_err(of_setting("axis"))?;
            ("softmax", &["axis"])
        }
        _ => return Ok(None),
    }))
}

/// A setting of ours as `[[model.layers]]` has it; `None` where it says nothing.
fn converted(key: &str, value: &Value) -> Result<Option<Value>, LayerProblem> {
    Ok(match key {
        "kernel_regularizer" | "bias_regularizer" | "depthwise_regularizer" => regularizer(value)?,
        "activation" if value.is_null() => None,
        "activation" if value == "swish" => Some("silu".into()),
        "activation" if !value.is_string() => {
            return Err(LayerProblem::unsupported(
                value,
                Some("write the activation as a separate layer"),
            ));
        }
        _ => Some(value.clone()),
    })
}

fn regularizer(value: &Value) -> Result<Option<Value>, LayerProblem> {
    if value.is_null() {
        return Ok(None);
    }
    let class = value["class_name"]
        .as_str()
        .or(value.as_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    // What Keras takes where the penalty is not given.
    let (default, keys): (f64, &[&str]) = match class.as_str() {
        "l1" => (0.01, &["l1"]),
        "l2" => (0.01, &["l2"]),
        "l1l2" => (0.0, &["l1", "l2"]),
        "l1_l2" => (0.01, &["l1", "l2"]),
        _ => return Err(LayerProblem::unsupported(value, None)),
    };
    let config = value["config"].as_object();
    let given = config.into_iter().flat_map(Map::keys);
    if let Some(key) = given.into_iter().find(|key| !keys.contains(&key.as_str())) {
        return Err(of_setting(key)(LayerProblem::Unknown));
    }
    let mut penalties = Map::new();
    for key in keys {
        let penalty = match config.and_then(|config| config.get(*key)) {
            Some(penalty) => penalty
                .as_f64()
                .ok_or_else(|| of_setting(key)(LayerProblem::unsupported(penalty, None)))?,
            None => default,
        };
        penalties.insert((*key).to_owned(), penalty.into());
    }
    Ok(Some(Value::Object(penalties)))
}
