//! A request of `infer`: JSON, and behind it binary data where its header says how long the JSON is.

use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::outputs::{Wanted, WantedOutput};
use crate::answer::{Refusal, echo};
use crate::body::Sink;
use crate::datatype::{Datatype, RawElements};
use crate::json::{Document, Scanner};
use crate::model::Model;
use crate::protocol::{CLASS_OUTPUT, n_rows, not_valid};

/// The header that says how many bytes of the body are JSON.
pub(crate) const HEADER_LENGTH: &str = "inference-header-content-length";

/// Whether the body has binary data behind its JSON, and where it begins.
pub(crate) fn header_length(headers: &HeaderMap) -> Result<Option<usize>, Refusal> {
    let Some(value) = headers.get(HEADER_LENGTH) else {
        return Ok(None);
    };
    let length = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    length.map(Some).ok_or_else(|| {
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        Refusal::bad_request(format!(
            "`Inference-Header-Content-Length` is `{}`, which is not a number of bytes",
            echo(&text)
        ))
    })
}

#[derive(Deserialize)]
struct Request {
    id: Option<String>,
    #[serde(default)]
    parameters: Map<String, Value>,
    inputs: Vec<Input>,
    #[serde(default)]
    outputs: Vec<RequestedOutput>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    shape: Vec<usize>,
    datatype: String,
    #[serde(default)]
    parameters: Map<String, Value>,
    data: Option<Value>,
}

#[derive(Deserialize)]
struct RequestedOutput {
    name: String,
    #[serde(default)]
    parameters: Map<String, Value>,
}

/// A request that is being received.
pub(crate) struct Inference {
    model: Model,
    part: Part,
}

enum Part {
    /// JSON to the end, or for so many bytes more.
    Json {
        scanner: Scanner,
        n_left: Option<usize>,
    },
    /// The values follow.
    Binary { asked: Asked, elements: RawElements },
    /// A part that failed: nothing more is read.
    Failed,
}

/// What a request asks for, but for the values.
struct Asked {
    wanted: Wanted,
    n_rows: usize,
}

/// A request that has been received.
pub(crate) struct Rows {
    pub(crate) values: Vec<f32>,
    pub(crate) n_rows: usize,
    pub(crate) wanted: Wanted,
}

impl Inference {
    /// Of a body whose first `header_length` bytes are JSON; all of it where absent.
    pub(crate) fn new(model: Model, header_length: Option<usize>) -> Self {
        Self {
            model,
            part: Part::Json {
                scanner: Scanner::default(),
                n_left: header_length,
            },
        }
    }

    /// The request, whose end this is.
    pub(crate) fn finish(self) -> Result<Rows, Refusal> {
        let name = self.model.manifest().input.name.clone();
        let wrong = |problem: String| Refusal::bad_request(format!("`{name}`: {problem}"));
        match self.part {
            Part::Json {
                n_left: Some(n_left),
                ..
            } if n_left > 0 => Err(not_valid(format!(
                "the body ends {n_left} bytes before `Inference-Header-Content-Length` says"
            ))),
            Part::Json { scanner, .. } => {
                let document = scanner.finish().map_err(not_valid)?;
                match asked(&self.model, document)? {
                    (asked, Values::Here(values)) => Ok(asked.with(values)),
                    (asked, Values::Behind(elements)) => {
                        Ok(asked.with(elements.finish().map_err(wrong)?))
                    }
                }
            }
            Part::Binary { asked, elements } => Ok(asked.with(elements.finish().map_err(wrong)?)),
            Part::Failed => Err(not_valid("it broke off")),
        }
    }
}

impl Asked {
    fn with(self, values: Vec<f32>) -> Rows {
        Rows {
            values,
            n_rows: self.n_rows,
            wanted: self.wanted,
        }
    }
}

impl Sink for Inference {
    fn push(&mut self, mut piece: &[u8]) -> Result<(), Refusal> {
        let part = std::mem::replace(&mut self.part, Part::Failed);
        self.part = match part {
            Part::Json {
                mut scanner,
                n_left,
            } => {
                let n_json = n_left.map_or(piece.len(), |n_left| n_left.min(piece.len()));
                let (json, binary) = piece.split_at(n_json);
                scanner.push(json).map_err(not_valid)?;
                let n_left = n_left.map(|n_left| n_left - n_json);
                if n_left == Some(0) && !binary.is_empty() {
                    let document = scanner.finish().map_err(not_valid)?;
                    let (asked, Values::Behind(elements)) = asked(&self.model, document)? else {
                        return Err(not_valid(
                            "there are bytes behind the JSON, and no input has `binary_data_size`",
                        ));
                    };
                    piece = binary;
                    Part::Binary { asked, elements }
                } else {
                    piece = &[];
                    Part::Json { scanner, n_left }
                }
            }
            other => other,
        };
        if let Part::Binary { elements, .. } = &mut self.part {
            elements.push(piece).map_err(not_valid)?;
        }
        Ok(())
    }
}

/// Where the values of the input are.
enum Values {
    Here(Vec<f32>),
    Behind(RawElements),
}

fn asked(model: &Model, mut document: Document) -> Result<(Asked, Values), Refusal> {
    let value = std::mem::take(&mut document.value);
    let Request {
        id,
        parameters,
        inputs,
        outputs,
    } = serde_json::from_value(value).map_err(not_valid)?;
    if let Some(name) = ["sequence_id", "sequence_start", "sequence_end"]
        .into_iter()
        .find(|name| {
            parameters
                .get(*name)
                .is_some_and(|it| *it != Value::Bool(false))
        })
    {
        return Err(Refusal::bad_request(format!(
            "this model keeps no state between requests, so `{name}` means nothing to it"
        )));
    }
    let wanted = wanted(model, id, &parameters, outputs)?;
    let spec = &model.manifest().input;
    let n_inputs = inputs.len();
    let [input] = <[Input; 1]>::try_from(inputs).map_err(|_| {
        Refusal::bad_request(format!(
            "there are {n_inputs} inputs, but this model takes one, `{}`",
            spec.name
        ))
    })?;
    if input.name != spec.name {
        return Err(Refusal::bad_request(format!(
            "there is no input `{}`; this model takes `{}`",
            echo(&input.name),
            spec.name
        )));
    }
    let datatype = Datatype::parse(&input.datatype).ok_or_else(|| {
        Refusal::bad_request(format!(
            "`{}` of the type {} cannot be read; send {}",
            spec.name,
            echo(&input.datatype),
            spec.datatype
        ))
    })?;
    let n_rows = n_rows(&input.shape, spec)?;
    let wrong = |problem: String| Refusal::bad_request(format!("`{}`: {problem}", spec.name));
    let n_elements = n_rows.checked_mul(spec.n_elements()).ok_or_else(|| {
        wrong(format!(
            "the shape {:?} is larger than any data",
            input.shape
        ))
    })?;
    if input
        .parameters
        .keys()
        .any(|name| name.starts_with("shared_memory"))
    {
        return Err(wrong("memory is not shared with this server".to_owned()));
    }
    let asked = Asked { wanted, n_rows };
    let Some(size) = input.parameters.get("binary_data_size") else {
        let data = input
            .data
            .ok_or_else(|| not_valid("missing field `data`"))?;
        let values = values(document, &data, &input.shape, n_elements, datatype);
        return Ok((asked, Values::Here(values.map_err(wrong)?)));
    };
    if input.data.is_some() {
        return Err(wrong(
            "it has both `data` and `binary_data_size`; give one".to_owned(),
        ));
    }
    let expected = n_elements.checked_mul(datatype.n_bytes());
    if size.as_u64().map(|size| size as usize) != expected || expected.is_none() {
        return Err(wrong(format!(
            "`binary_data_size` is {size}, but the shape {:?} of {} takes {}",
            input.shape,
            datatype.name(),
            expected.map_or_else(
                || "more than there can be".to_owned(),
                |n| format!("{n} bytes")
            )
        )));
    }
    Ok((
        asked,
        Values::Behind(RawElements::new(datatype, n_elements)),
    ))
}

/// Values come flat, or nested as the shape says.
fn values(
    mut document: Document,
    data: &Value,
    shape: &[usize],
    n_elements: usize,
    datatype: Datatype,
) -> Result<Vec<f32>, String> {
    let Some(data) = document.take(data) else {
        return Err(Document::refusal(data));
    };
    let is_flat = data.shape.len() == 1;
    if data.values.len() != n_elements || !(is_flat || data.shape == shape) {
        return Err(format!(
            "the shape {shape:?} is announced, but its data has the shape {:?}",
            data.shape
        ));
    }
    datatype.check(&data.values, data.are_booleans)?;
    Ok(data.values)
}

/// The outputs asked for; the scores alone where none are.
fn wanted(
    model: &Model,
    id: Option<String>,
    parameters: &Map<String, Value>,
    asked: Vec<RequestedOutput>,
) -> Result<Wanted, Refusal> {
    let manifest = model.manifest();
    let flag = |parameters: &Map<String, Value>, name: &str| match parameters.get(name) {
        None => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(not_valid(format!(
            "`{name}` is {other}, which is neither true nor false"
        ))),
    };
    let are_binary = flag(parameters, "binary_data_output")?.unwrap_or(false);
    if asked.is_empty() {
        let scores = WantedOutput {
            name: manifest.output.name.clone(),
            is_binary: are_binary,
            n_best: None,
        };
        return Ok(Wanted {
            id,
            outputs: vec![scores],
        });
    }
    let output = |RequestedOutput { name, parameters }: RequestedOutput| {
        let has_classes = manifest.class_names.is_some();
        let is_scores = name == manifest.output.name;
        if !(is_scores || name == CLASS_OUTPUT && has_classes) {
            let message = format!("there is no output `{}`", echo(&name));
            return Err(Refusal::bad_request(message));
        }
        let n_best = match parameters.get("classification") {
            None => None,
            Some(Value::Number(n)) if n.as_u64() == Some(0) => None,
            Some(_) if !(is_scores && has_classes) => {
                return Err(Refusal::bad_request(format!(
                    "`{}` has no classes, so `classification` cannot be answered",
                    echo(&name)
                )));
            }
            Some(n) => Some(n.as_u64().ok_or_else(|| {
                not_valid(format!(
                    "`classification` is {n}, which is not a number of classes"
                ))
            })? as usize),
        };
        let is_binary = flag(&parameters, "binary_data")?.unwrap_or(are_binary);
        Ok(WantedOutput {
            name,
            is_binary,
            n_best,
        })
    };
    let outputs = asked.into_iter().map(output).collect::<Result<_, _>>()?;
    Ok(Wanted { id, outputs })
}
