//! The answer to `infer`: scores in, JSON out, and behind it binary data where it is asked for.

use serde::Serialize;

use crate::answer::Refusal;
use crate::model::Model;
use crate::protocol::CLASS_OUTPUT;

/// What is asked for.
pub(crate) struct Wanted {
    pub(super) id: Option<String>,
    pub(super) outputs: Vec<WantedOutput>,
}

/// One output.
pub(super) struct WantedOutput {
    pub(super) name: String,
    pub(super) is_binary: bool,
    /// The best classes of each row instead of the scores.
    pub(super) n_best: Option<usize>,
}

/// An answer on its way.
pub(crate) struct Encoded {
    pub(crate) body: Vec<u8>,
    /// Of the JSON, where binary data follows.
    pub(crate) header_length: Option<usize>,
}

#[derive(Serialize)]
struct Response<'a> {
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    outputs: Vec<Output<'a>>,
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'a str,
    shape: Vec<usize>,
    datatype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
}

#[derive(Serialize)]
struct Parameters {
    binary_data_size: usize,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Numbers(&'a [f32]),
    Texts(Vec<String>),
}

impl Data<'_> {
    /// As binary data: numbers little-endian, texts each behind its length in four bytes.
    fn append_to(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Numbers(numbers) => {
                bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
            Self::Texts(texts) => {
                for text in texts {
                    bytes.extend((text.len() as u32).to_le_bytes());
                    bytes.extend(text.as_bytes());
                }
            }
        }
    }
}

impl Wanted {
    /// The answer from the scores `[n_rows, n_outputs]`.
    pub(crate) fn encode(
        &self,
        model: &Model,
        scores: &[f32],
        n_rows: usize,
    ) -> Result<Encoded, Refusal> {
        let mut binary = Vec::new();
        let outputs = self.outputs.iter().map(|wanted| {
            let (shape, datatype, data) = data(model, wanted, scores, n_rows);
            let start = binary.len();
            if wanted.is_binary {
                data.append_to(&mut binary);
            }
            Output {
                name: &wanted.name,
                shape,
                datatype,
                parameters: wanted.is_binary.then(|| Parameters {
                    binary_data_size: binary.len() - start,
                }),
                data: (!wanted.is_binary).then_some(data),
            }
        });
        let response = Response {
            model_name: model.name(),
            model_version: model.version(),
            id: self.id.as_deref(),
            outputs: outputs.collect(),
        };
        let mut body = serde_json::to_vec(&response).map_err(Refusal::internal)?;
        let has_binary = self.outputs.iter().any(|wanted| wanted.is_binary);
        let header_length = has_binary.then_some(body.len());
        body.append(&mut binary);
        Ok(Encoded {
            body,
            header_length,
        })
    }
}

fn data<'a>(
    model: &Model,
    wanted: &WantedOutput,
    scores: &'a [f32],
    n_rows: usize,
) -> (Vec<usize>, &'static str, Data<'a>) {
    if let Some(k) = wanted.n_best
        && let Some(best) = model.best_classes(scores, k)
    {
        let shape = vec![n_rows, best.len() / n_rows.max(1)];
        return (shape, "BYTES", Data::Texts(best));
    }
    if wanted.name == CLASS_OUTPUT
        && let Some(classes) = model.classes(scores)
    {
        let classes = classes.into_iter().map(str::to_owned).collect();
        return (vec![n_rows], "BYTES", Data::Texts(classes));
    }
    let shape = [&[n_rows], model.manifest().output.shape.as_slice()].concat();
    (shape, "FP32", Data::Numbers(scores))
}
