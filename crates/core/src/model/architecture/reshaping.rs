//! Other shapes for the same values, frames of zeros, and larger images.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::argument::ArgumentError;
use super::axes;
use super::layer_type::LayerType;
use super::shape::{self, Misfit, at_least_one, n_values};

/// All axes joined into one, in row-major (NHWC) order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flatten {}

impl LayerType for Flatten {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        Ok(vec![n_values(input)?])
    }
}

/// Another shape for the same values in row-major order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The target shape; one axis may be -1 and is inferred.
    pub target_shape: Vec<i64>,
}

impl LayerType for Reshape {
    const EXAMPLE: &'static [&'static str] = &["target_shape = [-1]"];

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        let target = &self.target_shape;
        let mismatch = || Misfit::Reshape {
            shape: input.to_vec(),
            target: target.clone(),
        };
        let n_values = n_values(input)?;
        let known = target.iter().filter(|axis| **axis != -1);
        let known = known.map(|axis| usize::try_from(*axis).ok().filter(|axis| *axis > 0));
        let product = known
            .clone()
            .try_fold(1_usize, |product, axis| product.checked_mul(axis?))
            .ok_or_else(mismatch)?;
        let n_free = target.iter().filter(|axis| **axis == -1).count();
        let fits = match n_free {
            0 => product == n_values,
            1 => n_values.is_multiple_of(product),
            _ => false,
        };
        if !fits {
            return Err(mismatch());
        }
        let axis = |axis: &i64| usize::try_from(*axis).unwrap_or(n_values / product);
        Ok(target.iter().map(axis).collect())
    }
}

/// Rows and columns of zeros around an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ZeroPadding2D {
    /// Padding, as `1`, `[1, 2]` (height, width) or `[[1, 1], [2, 2]]` (top and bottom, left and right).
    #[serde(deserialize_with = "frame", default = "frame_of_one")]
    #[schemars(with = "Frame")]
    pub padding: [[usize; 2]; 2],
}

impl LayerType for ZeroPadding2D {
    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        let ([height, width], channels) = shape::windowed_axes::<2>(input)?;
        let [[top, bottom], [left, right]] = self.padding;
        for size in [top, bottom, left, right] {
            at_least_one(size.saturating_add(1))?;
        }
        Ok(vec![height + top + bottom, width + left + right, channels])
    }
}

/// Rows and columns of an image, each repeated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpSampling2D {
    /// How often each row and each column is repeated, as `2` or `[2, 3]` (height, width).
    #[serde(with = "axes", default = "twice")]
    #[schemars(with = "axes::Sizes<2>")]
    pub size: [usize; 2],
    /// How values between the pixels are made.
    #[serde(default)]
    pub interpolation: Interpolation,
}

/// How values between the pixels of a larger image are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Each is the nearest pixel's.
    #[default]
    Nearest,
}

impl LayerType for UpSampling2D {
    fn check(&self) -> Result<(), ArgumentError> {
        if self.size.contains(&0) {
            return Err(ArgumentError::new("size", "must be at least 1"));
        }
        Ok(())
    }

    fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, Misfit> {
        let ([height, width], channels) = shape::windowed_axes::<2>(input)?;
        let [rows, columns] = self.size;
        // Sizes beyond any image's are refused by what follows, as any that is too large.
        Ok(vec![
            height.saturating_mul(rows),
            width.saturating_mul(columns),
            channels,
        ])
    }
}

const fn twice() -> [usize; 2] {
    [2; 2]
}

const fn frame_of_one() -> [[usize; 2]; 2] {
    [[1; 2]; 2]
}

fn frame<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[[usize; 2]; 2], D::Error> {
    /// One side of the frame twice, or both sides.
    #[derive(Deserialize)]
    struct Sides(#[serde(with = "axes")] [usize; 2]);

    struct OneOrTwo;
    impl<'de> Visitor<'de> for OneOrTwo {
        type Value = [[usize; 2]; 2];

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("rows and columns of zeros such as 1, [1, 2] or [[1, 1], [2, 2]]")
        }

        fn visit_i64<E: de::Error>(self, size: i64) -> Result<Self::Value, E> {
            match usize::try_from(size) {
                Ok(size) => Ok([[size; 2]; 2]),
                Err(_) => Err(E::custom("a size must not be negative")),
            }
        }

        fn visit_u64<E: de::Error>(self, size: u64) -> Result<Self::Value, E> {
            match usize::try_from(size) {
                Ok(size) => Ok([[size; 2]; 2]),
                Err(_) => Err(E::custom("a size is too large")),
            }
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let mut next = |idx: usize| match sequence.next_element::<Sides>()? {
                Some(Sides(sides)) => Ok(sides),
                None => Err(de::Error::invalid_length(idx, &self)),
            };
            let frame = [next(0)?, next(1)?];
            match sequence.next_element::<de::IgnoredAny>()? {
                None => Ok(frame),
                Some(_) => Err(de::Error::invalid_length(3, &self)),
            }
        }
    }
    deserializer.deserialize_any(OneOrTwo)
}

/// Stands for such a frame in schemas.
struct Frame;

impl JsonSchema for Frame {
    fn schema_name() -> Cow<'static, str> {
        "Frame".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "array", "minItems": 2, "maxItems": 2 }
            ]
        })
    }
}
