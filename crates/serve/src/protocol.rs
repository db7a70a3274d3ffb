//! The two protocols, as functions of a model and a request.

pub(crate) mod open_inference;
pub(crate) mod tensorflow;

use trainyard_core::model::TensorSpec;

use crate::answer::Refusal;

/// Name of the extra output that holds each row's best class.
pub(crate) const CLASS_OUTPUT: &str = "class";

fn not_valid(problem: impl std::fmt::Display) -> Refusal {
    Refusal::bad_request(format!("the request is not valid: {problem}"))
}

/// The number of rows in a tensor of this shape, which must be `[n, …]` with the model's own axes.
fn n_rows(shape: &[usize], input: &TensorSpec) -> Result<usize, Refusal> {
    match shape.split_first() {
        Some((&n_rows, row)) if n_rows > 0 && row == input.shape => Ok(n_rows),
        _ => Err(Refusal::bad_request(format!(
            "`{}` has the shape {shape:?}, but this model takes {}",
            input.name,
            with_batch(&input.shape)
        ))),
    }
}

/// `[n, 28, 28, 1]`.
fn with_batch(row: &[usize]) -> String {
    let axes: String = row.iter().map(|axis| format!(", {axis}")).collect();
    format!("[n{axes}]")
}
