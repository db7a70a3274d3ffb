//! A whole model: its layers in the order in which values pass through them.

use serde_json::{Map, Value};

use super::layer::{self, LayerProblem};
use crate::config::layers;
use crate::model::architecture::NamedLayer;

/// What `[model] keras` names, ready to take the place of `input_shape` and `layers`.
#[derive(Debug, PartialEq)]
pub(in crate::config) struct KerasModel {
    /// Without the batch axis.
    pub(in crate::config) input_shape: Vec<usize>,
    pub(in crate::config) layers: Vec<NamedLayer>,
}

/// Why a model of Keras cannot be trained here.
#[derive(Debug, thiserror::Error)]
pub(in crate::config) enum ModelError {
    #[error("the model is a JSON string inside JSON, as `json.dump(model.to_json(), …)` writes it")]
    Quoted,
    #[error("this is not a model: there is no `class_name` and `config`")]
    NotAModel,
    #[error("models of the class `{0}` are not supported, only Sequential and Functional")]
    Class(String),
    #[error("`{key}` of the model {problem}")]
    Setting { key: String, problem: LayerProblem },
    #[error("layer {idx} has no `{key}`")]
    Incomplete { idx: usize, key: &'static str },
    #[error("layer `{name}` ({class}): {problem}")]
    Layer {
        name: String,
        class: String,
        problem: LayerProblem,
    },
    #[error("the layers do not form one chain: {0}")]
    NotAChain(String),
    #[error("the input shape is not known")]
    NoInputShape,
}

impl ModelError {
    pub(super) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Quoted => "write the text itself: `file.write(model.to_json())`",
            Self::NotAModel => "write what `model.to_json()` returns, not `get_config()`",
            Self::NoInputShape => "begin the model with `keras.Input(shape=(…))`",
            Self::NotAChain(_) => {
                "only networks in which each layer feeds the next one can be trained here"
            }
            Self::Setting { problem, .. } | Self::Layer { problem, .. } => return problem.hint(),
            Self::Class(_) | Self::Incomplete { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

/// One element of a model's `layers`.
struct Entry<'a> {
    class: &'a str,
    /// By which other layers name it.
    name: &'a str,
    config: &'a Map<String, Value>,
    /// Functional models: the calls of this layer.
    inbound: &'a Value,
}

impl Entry<'_> {
    fn error(&self, problem: LayerProblem) -> ModelError {
        ModelError::Layer {
            name: self.name.to_owned(),
            class: self.class.to_owned(),
            problem,
        }
    }
}

pub(super) fn read(model: &Value) -> Result<KerasModel, ModelError> {
    if model.is_string() {
        return Err(ModelError::Quoted);
    }
    let class = model["class_name"].as_str().ok_or(ModelError::NotAModel)?;
    let is_functional = match class {
        "Sequential" => false,
        "Functional" | "Model" => true,
        other => return Err(ModelError::Class(other.to_owned())),
    };
    known_keys(
        model,
        // How to compile and build the model again says nothing about its layers: `[train]` says how they are trained.
        &[
            "class_name",
            "config",
            "module",
            "registered_name",
            "keras_version",
            "backend",
            "build_config",
            "compile_config",
        ],
    )?;
    let config = &model["config"];
    let list = if let Value::Array(layers) = config {
        // The first versions of Keras 2 wrote a bare list.
        layers
    } else {
        model_settings(config)?;
        config["layers"].as_array().ok_or(ModelError::NotAModel)?
    };
    let entries = list
        .iter()
        .enumerate()
        .map(|(idx, layer)| entry(idx, layer))
        .collect::<Result<Vec<_>, _>>()?;
    let entries = if is_functional {
        chain(entries, config)?
    } else {
        entries
    };
    let build_shape = match &config["build_input_shape"] {
        Value::Null => None,
        shape => Some(
            layer::shape_of(shape).map_err(|problem| ModelError::Setting {
                key: "build_input_shape".to_owned(),
                problem,
            })?,
        ),
    };
    assemble(&entries, build_shape)
}

fn known_keys(value: &Value, known: &[&str]) -> Result<(), ModelError> {
    let keys = value.as_object().into_iter().flat_map(Map::keys);
    match keys.into_iter().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(ModelError::Setting {
            key: key.clone(),
            problem: LayerProblem::Unknown,
        }),
        None => Ok(()),
    }
}

fn model_settings(config: &Value) -> Result<(), ModelError> {
    known_keys(
        config,
        &[
            "name",
            "trainable",
            "dtype",
            "layers",
            "build_input_shape",
            "input_layers",
            "output_layers",
        ],
    )?;
    for key in ["trainable", "dtype"] {
        if let Some(value) = config.get(key) {
            layer::neutral(key, value, &Map::new(), None).map_err(|problem| {
                ModelError::Setting {
                    key: key.to_owned(),
                    problem,
                }
            })?;
        }
    }
    Ok(())
}

fn entry(idx: usize, layer: &Value) -> Result<Entry<'_>, ModelError> {
    let missing = |key| ModelError::Incomplete { idx, key };
    let config = layer["config"]
        .as_object()
        .ok_or_else(|| missing("config"))?;
    let class = layer["class_name"]
        .as_str()
        .ok_or_else(|| missing("class_name"))?;
    let name = layer["name"]
        .as_str()
        .or_else(|| config.get("name").and_then(Value::as_str))
        .ok_or_else(|| missing("name"))?;
    let entry = Entry {
        class,
        name,
        config,
        inbound: &layer["inbound_nodes"],
    };
    let own = |value: &Value, is_kerass: fn(&str, &str) -> bool| match value.as_str() {
        Some(text) if !is_kerass(text, class) => {
            Err(entry.error(LayerProblem::Custom(text.to_owned())))
        }
        _ => Ok(()),
    };
    own(&layer["module"], |module, _| {
        let first = module.split('.').next();
        matches!(first, Some("keras" | "tf_keras" | "tensorflow"))
    })?;
    own(&layer["registered_name"], |registered, class| {
        registered == class
    })?;
    let known = [
        "class_name",
        "config",
        "name",
        "inbound_nodes",
        "module",
        "registered_name",
        "build_config",
    ];
    let keys = layer.as_object().into_iter().flat_map(Map::keys);
    match keys.into_iter().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(entry.error(LayerProblem::Setting {
            key: key.clone(),
            problem: Box::new(LayerProblem::Unknown),
        })),
        None => Ok(entry),
    }
}

/// The layers of a functional model from its input to its output.
fn chain<'a>(entries: Vec<Entry<'a>>, config: &Value) -> Result<Vec<Entry<'a>>, ModelError> {
    let broken = |problem: String| Err(ModelError::NotAChain(problem));
    let mut senders = Vec::new();
    for entry in &entries {
        let nodes = entry.inbound.as_array().map_or(&[][..], Vec::as_slice);
        senders.push(match nodes {
            [] => None,
            [node] => Some(sender(entry, node)?),
            _ => return broken(format!("`{}` is called more than once", entry.name)),
        });
    }
    let ends = |key: &str| {
        let mut names = Vec::new();
        names_in(&config[key], &mut names);
        names
    };
    let (inputs, outputs) = (ends("input_layers"), ends("output_layers"));
    let ([input], [output]) = (inputs.as_slice(), outputs.as_slice()) else {
        return broken(format!(
            "there are {} inputs and {} outputs",
            inputs.len(),
            outputs.len()
        ));
    };
    let mut order = Vec::new();
    let mut current = *input;
    loop {
        let Some(idx) = entries.iter().position(|entry| entry.name == current) else {
            return broken(format!("there is no layer `{current}`"));
        };
        if order.contains(&idx) {
            return broken(format!("`{current}` feeds itself"));
        }
        order.push(idx);
        let mut next = (0..entries.len()).filter(|idx| senders[*idx] == Some(current));
        match (next.next(), next.next()) {
            (Some(first), Some(second)) => {
                let [first, second] = [first, second].map(|idx| entries[idx].name);
                return broken(format!("`{current}` feeds both `{first}` and `{second}`"));
            }
            (Some(first), None) => current = entries[first].name,
            (None, _) => break,
        }
    }
    if current != *output {
        return broken(format!("the output is `{output}`, but `{current}` is last"));
    }
    if let Some(idx) = (0..entries.len()).find(|idx| !order.contains(idx)) {
        return broken(format!("`{}` is not part of it", entries[idx].name));
    }
    let mut entries: Vec<Option<Entry<'_>>> = entries.into_iter().map(Some).collect();
    Ok(order
        .into_iter()
        .filter_map(|idx| entries[idx].take())
        .collect())
}

/// The names of layers in `["i", 0, 0]`, or in a list or table of such.
fn names_in<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => match items.as_slice() {
            [Value::String(name), Value::Number(_), Value::Number(_), ..] => names.push(name),
            items => items.iter().for_each(|item| names_in(item, names)),
        },
        Value::Object(items) => items.values().for_each(|item| names_in(item, names)),
        _ => {}
    }
}

/// The one layer whose output `entry` is called with; `node` is a call as Keras 2 or 3 writes it.
fn sender<'a>(entry: &Entry<'a>, node: &'a Value) -> Result<&'a str, ModelError> {
    let mut names = Vec::new();
    let mut arguments: Vec<(&String, &Value)> = Vec::new();
    match node {
        Value::Object(node) => {
            tensors_in(node.get("args").unwrap_or(&Value::Null), &mut names);
            let kwargs = node.get("kwargs").and_then(Value::as_object);
            arguments.extend(kwargs.into_iter().flatten());
        }
        node => {
            names_in(node, &mut names);
            for call in node.as_array().into_iter().flatten() {
                let kwargs = call.get(3).and_then(Value::as_object);
                arguments.extend(kwargs.into_iter().flatten());
            }
        }
    }
    if let Some((key, value)) = arguments.into_iter().find(|(_, value)| !value.is_null()) {
        return Err(entry.error(LayerProblem::Setting {
            key: key.clone(),
            problem: Box::new(LayerProblem::unsupported(value, None)),
        }));
    }
    match names.as_slice() {
        [name] => Ok(name),
        _ => Err(ModelError::NotAChain(format!(
            "`{}` has {} inputs",
            entry.name,
            names.len()
        ))),
    }
}

fn tensors_in<'a>(value: &'a Value, names: &mut Vec<&'a str>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| tensors_in(item, names)),
        Value::Object(_) if value["class_name"] == "__keras_tensor__" => {
            names_in(&value["config"]["keras_history"], names);
        }
        Value::Object(items) => items.values().for_each(|item| tensors_in(item, names)),
        _ => {}
    }
}

fn assemble(
    entries: &[Entry<'_>],
    build_shape: Option<Vec<usize>>,
) -> Result<KerasModel, ModelError> {
    let mut input_shape: Option<Vec<usize>> = None;
    // What the next layer receives, as far as it is known.
    let mut received: Option<Vec<usize>> = None;
    // Entries that are layers of ours.
    let (mut layers, mut own) = (Vec::new(), Vec::new());
    for (idx, entry) in entries.iter().enumerate() {
        let stated = layer::stated_shape(entry.config).map_err(|problem| entry.error(problem))?;
        match (stated, &received) {
            (Some(stated), Some(received)) if stated != *received => {
                return Err(entry.error(LayerProblem::Shape {
                    stated,
                    received: received.clone(),
                }));
            }
            (Some(stated), None) if idx == 0 => {
                input_shape = Some(stated.clone());
                received = Some(stated);
            }
            _ => {}
        }
        if idx == 0 && input_shape.is_none() {
            input_shape.clone_from(&build_shape);
            received.clone_from(&build_shape);
        }
        if entry.class == "InputLayer" {
            layer::check_input(entry.config).map_err(|problem| entry.error(problem))?;
            if idx > 0 {
                return Err(ModelError::NotAChain(format!(
                    "`{}` is a second input",
                    entry.name
                )));
            }
            continue;
        }
        let layer = layer::read(entry.class, entry.config, received.as_deref())
            .map_err(|problem| entry.error(problem))?;
        // What does not fit is reported with the whole network.
        received = received.and_then(|received| layer.output_shape(&received).ok());
        layers.push((Some(entry.name.to_owned()), layer));
        own.push(entry);
    }
    let layers = layers::named(layers).map_err(|(idx, error)| own[idx].error(error.into()))?;
    Ok(KerasModel {
        input_shape: input_shape.ok_or(ModelError::NoInputShape)?,
        layers,
    })
}
