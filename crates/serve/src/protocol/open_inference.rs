//! Open Inference Protocol v2 over REST: tensors in JSON or as binary data, both ways.

mod metadata;
mod outputs;
mod request;

pub(crate) use metadata::{config, index, model_metadata, server_metadata, statistics};
pub(crate) use request::{HEADER_LENGTH, Inference, Rows, header_length};
