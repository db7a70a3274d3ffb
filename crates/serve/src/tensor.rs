//! Tensors as clients write them: nested or flat lists of numbers, row-major.

/// Lists nested deeper than this are not tensors of any network here.
pub(crate) const MAX_AXES: usize = 8;

/// Values and the shape in which they were nested.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Nested {
    /// Outermost first; one axis for a flat list.
    pub(crate) shape: Vec<usize>,
    /// Row-major; of booleans 0 and 1.
    pub(crate) values: Vec<f32>,
    /// Whether they were written as `true` and `false`.
    pub(crate) are_booleans: bool,
}
