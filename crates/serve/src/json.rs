//! A JSON document of which the tensors are read as it arrives: pieces of any size in, what is beside the tensors and the tensors
//! themselves out. A text of numbers is never held, so that a request takes the memory of its values.

mod numbers;
mod scanner;

pub(crate) use scanner::{Document, Scanner};
