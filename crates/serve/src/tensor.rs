//! Tensors in JSON: nested or flat lists of numbers in, row-major values out.

use serde_json::Value;

/// Lists nested deeper than this are not tensors of any network here.
const MAX_AXES: usize = 8;

/// Numbers and the shape in which they were nested.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Nested {
    /// Outermost first; empty for a single number.
    pub(crate) shape: Vec<usize>,
    /// Row-major.
    pub(crate) values: Vec<f32>,
}

impl Nested {
    /// Reads a number or regularly nested lists of numbers. The error says what is wrong, in words.
    pub(crate) fn parse(value: &Value) -> Result<Self, String> {
        let mut shape = Vec::new();
        let mut first = value;
        while let Value::Array(items) = first {
            shape.push(items.len());
            if shape.len() > MAX_AXES {
                return Err(format!("lists are nested more than {MAX_AXES} deep"));
            }
            match items.first() {
                Some(item) => first = item,
                None => break,
            }
        }
        let mut values = Vec::with_capacity(shape.iter().product::<usize>().min(1 << 20));
        collect(value, &shape, &mut values)?;
        Ok(Self { shape, values })
    }
}

fn collect(value: &Value, shape: &[usize], values: &mut Vec<f32>) -> Result<(), String> {
    match (value, shape.split_first()) {
        (Value::Number(number), None) => {
            let value = number.as_f64().unwrap_or(f64::NAN) as f32;
            if !value.is_finite() {
                return Err(format!("{number} does not fit into 32 bits"));
            }
            values.push(value);
            Ok(())
        }
        (Value::Array(items), Some((&n, rest))) if items.len() == n => items
            .iter()
            .try_for_each(|item| collect(item, rest, values)),
        (Value::Array(items), Some((n, _))) => Err(format!(
            "lists of one axis differ in length: {} and {n}",
            items.len()
        )),
        (Value::Array(_), None) => Err("some items are lists and some are numbers".to_owned()),
        (other, None) => Err(format!("{} is not a number", kind(other))),
        (other, Some(_)) => Err(format!("{} stands where a list belongs", kind(other))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_and_flat_lists_are_read_row_major() {
        let nested = Nested::parse(&json!([[1, 2.5], [3, -4e0]])).unwrap();
        assert_eq!(nested.shape, [2, 2]);
        assert_eq!(nested.values, [1.0, 2.5, 3.0, -4.0]);
        assert_eq!(Nested::parse(&json!(7)).unwrap().shape, [0; 0]);
        assert_eq!(Nested::parse(&json!([])).unwrap().shape, [0]);
    }

    #[test]
    fn what_is_no_tensor_is_refused_in_words() {
        for (value, expected) in [
            (json!([[1, 2], [3]]), "differ in length: 1 and 2"),
            (json!([[1], 2]), "a number stands where a list belongs"),
            (json!([1, [2]]), "some items are lists"),
            (json!(["1"]), "a text is not a number"),
            (json!([1e300]), "does not fit into 32 bits"),
            (json!([[[[[[[[[1]]]]]]]]]), "more than 8 deep"),
        ] {
            let error = Nested::parse(&value).unwrap_err();
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}
