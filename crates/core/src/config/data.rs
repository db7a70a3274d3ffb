//! `[data]`: where rows come from.

use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::error::Problem;
use super::source::{Remote, Source};
use crate::model::{Preprocessing, Task};

/// `[data]`: where rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Format of the files.
    #[serde(default)]
    pub format: DataFormat,
    /// Training data.
    #[serde(default)]
    pub train: DataFiles,
    /// Test data, never seen in training.
    #[serde(default)]
    pub test: DataFiles,
    /// Class names, in the order of the labels 0, 1, … and of the columns of scores; required for classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// Preprocessing steps, such as `{ divide_by = 255 }`; stored in the model and applied by the server too.
    #[serde(default)]
    pub preprocessing: Vec<Preprocessing>,
    /// Fraction of the training data held out for validation, drawn by seed and stratified by class; 0 for none.
    #[serde(default)]
    pub validation_fraction: f64,
    /// Train on only this many rows, stratified by class and the same each time; for a quick try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_train_rows: Option<usize>,
    /// Score only this many test rows, stratified by class and the same each time; for a quick try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_test_rows: Option<usize>,
    /// images: resize images to `[model] input_shape`; otherwise another size is an error.
    #[serde(default)]
    pub resize: bool,
    /// csv: column roles and dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub csv: Option<CsvConfig>,
}

/// Format of the data files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataFormat {
    /// IDX, the format of MNIST; optionally compressed with gzip.
    #[default]
    Idx,
    /// NumPy's `.npy` and `.npz`.
    Npy,
    /// A table with a header; see `[data.csv]`.
    Csv,
    /// A folder with one subfolder of images (PNG, JPEG, BMP, GIF, WebP or PNM) per class.
    Images,
}

/// Files of the training or the test data.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DataFiles {
    /// idx, npy: the file of features: a path relative to the configuration file, or `{ url = "…", sha256 = "…" }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Source>,
    /// idx, npy: the file of labels, written like `features`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Source>,
    /// npy: name of the array of features in an `.npz`; needed if it holds several arrays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features_array: Option<String>,
    /// npy: name of the array of labels in an `.npz`; needed if it holds several arrays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels_array: Option<String>,
    /// csv: the table, written like `features`. images: the folder, relative to the configuration file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Source>,
}

impl DataFiles {
    /// The files that are given, by key.
    fn sources(&self) -> impl Iterator<Item = (&'static str, &Source)> {
        [
            ("features", &self.features),
            ("labels", &self.labels),
            ("path", &self.path),
        ]
        .into_iter()
        .filter_map(|(key, source)| Some((key, source.as_ref()?)))
    }

    /// Those of the files that lie here, relative to the configuration file.
    pub fn local_paths(&self) -> impl Iterator<Item = &std::path::Path> {
        self.sources().filter_map(|(_, source)| match source {
            Source::Path(path) => Some(path.as_path()),
            Source::Remote(_) => None,
        })
    }

    /// Those of the files that lie on the network.
    pub fn remotes(&self) -> impl Iterator<Item = &Remote> {
        self.sources().filter_map(|(_, source)| source.remote())
    }
}

/// `[data.csv]`: the roles of columns.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CsvConfig {
    /// Name of the label column.
    pub label: String,
    /// Names of the feature columns, in this order; by default all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// Columns to ignore.
    #[serde(default)]
    pub ignore: Vec<String>,
    /// Name of the column of sample weights, for training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// Name of the column of row ids: any text, unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_id: Option<String>,
    /// Column types that are enforced rather than inferred: `{ age = "integer" }`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub types: BTreeMap<String, ColumnType>,
    /// How missing values are handled: `"error"`, `"drop"` (the row), `"mean"` (of the training data) or a number.
    #[serde(default)]
    pub missing: Missing,
    /// Field delimiter.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// Decimal separator: `"."` (`1.5`) or `","` (`1,5`).
    #[serde(default, skip_serializing_if = "Decimal::is_point")]
    pub decimal: Decimal,
}

const fn comma() -> char {
    ','
}

/// Decimal separator of the numbers in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum Decimal {
    /// `1.5`
    #[default]
    #[serde(rename = ".")]
    Point,
    /// `1,5`
    #[serde(rename = ",")]
    Comma,
}

impl Decimal {
    // The default is not written, so that configurations older than this setting keep their digest.
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    const fn is_point(&self) -> bool {
        matches!(self, Self::Point)
    }
}

/// Type of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// `true` and `false`, which become 1 and 0.
    Boolean,
    /// Whole numbers.
    Integer,
    /// Any finite numbers.
    Number,
}

/// How missing values are handled.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Missing {
    /// They are an error.
    #[default]
    Error,
    /// Their row is dropped.
    Drop,
    /// They become the column's mean over the training data.
    Mean,
    /// They become this number.
    Value(f64),
}

impl<'de> Deserialize<'de> for Missing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrNumber;
        impl Visitor<'_> for WordOrNumber {
            type Value = Missing;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`\"error\"`, `\"drop\"`, `\"mean\"` or a number")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Missing, E> {
                match word {
                    "error" => Ok(Missing::Error),
                    "drop" => Ok(Missing::Drop),
                    "mean" => Ok(Missing::Mean),
                    _ => Err(E::unknown_variant(word, &["error", "drop", "mean"])),
                }
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Missing, E> {
                if value.is_finite() {
                    Ok(Missing::Value(value))
                } else {
                    Err(E::custom("must be a finite number"))
                }
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Missing, E> {
                Ok(Missing::Value(value as f64))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Missing, E> {
                Ok(Missing::Value(value as f64))
            }
        }
        deserializer.deserialize_any(WordOrNumber)
    }
}

impl Serialize for Missing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Error => "error".serialize(serializer),
            Self::Drop => "drop".serialize(serializer),
            Self::Mean => "mean".serialize(serializer),
            Self::Value(value) => value.serialize(serializer),
        }
    }
}

impl JsonSchema for Missing {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Missing".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [{ "enum": ["error", "drop", "mean"] }, { "type": "number" }] })
    }
}

impl CsvConfig {
    fn validate(&self) -> Result<(), Problem> {
        let delimiter = &["data", "csv", "delimiter"];
        if !self.delimiter.is_ascii() {
            return Err(Problem::at(delimiter, "must be an ASCII character"));
        }
        if matches!(self.delimiter, '"' | '\r' | '\n' | '\0') {
            let problem = "a quote or a line break cannot be the field delimiter";
            return Err(Problem::at(delimiter, problem)
                .hint("write `delimiter = \",\"`, `\";\"` or `\"\\t\"`"));
        }
        if self.delimiter == ',' && self.decimal == Decimal::Comma {
            let problem = "the comma is also the field delimiter";
            return Err(Problem::at(&["data", "csv", "decimal"], problem)
                .hint("write `delimiter = \";\"`, or the field delimiter of that file"));
        }
        Ok(())
    }
}

impl DataConfig {
    pub(super) fn validate(
        &self,
        task: Task,
        input_shape: &[usize],
        n_outputs: usize,
    ) -> Result<(), Problem> {
        self.validate_classes(task, n_outputs)?;
        self.validate_files(input_shape)?;
        if self.format == DataFormat::Images && task == Task::Regression {
            return Err(Problem::at(
                &["data", "format"],
                "an image folder is for classification, but `[model] task` is `regression`",
            ));
        }
        for (step_idx, step) in self.preprocessing.iter().enumerate() {
            let is_sound = match *step {
                Preprocessing::DivideBy(divisor) => divisor.is_finite() && divisor != 0.0,
                Preprocessing::Normalize { mean, std } => {
                    mean.is_finite() && std.is_finite() && std > 0.0
                }
            };
            if !is_sound {
                let place = ["data", "preprocessing", &step_idx.to_string()];
                return Err(Problem::at(
                    &place,
                    "needs finite numbers and a divisor other than 0 (`std`: above 0)",
                ));
            }
        }
        if !(0.0..1.0).contains(&self.validation_fraction) {
            let problem = format!("{} is not in [0, 1)", self.validation_fraction);
            return Err(Problem::at(&["data", "validation_fraction"], problem));
        }
        for (key, rows) in [
            ("max_train_rows", self.max_train_rows),
            ("max_test_rows", self.max_test_rows),
        ] {
            if rows == Some(0) {
                return Err(Problem::at(&["data", key], "must be at least 1"));
            }
        }
        Ok(())
    }

    fn validate_classes(&self, task: Task, n_outputs: usize) -> Result<(), Problem> {
        // One output is the probability of the second class.
        let n_classes = n_outputs.max(2);
        match (task, &self.classes) {
            (Task::Classification, None) => {
                return Err(Problem::at(&["data"], "a classifier needs the names of its classes")
                    .hint(format!("add `classes = [\"…\", …]` with {n_classes} names, in the order of the labels")));
            }
            (Task::Classification, Some(classes)) if classes.len() != n_classes => {
                let problem = format!(
                    "{} names, but the last layer gives {n_outputs} outputs",
                    classes.len()
                );
                return Err(
                    Problem::at(&["data", "classes"], problem).hint("give one name per output")
                );
            }
            (Task::Regression, Some(_)) => {
                return Err(
                    Problem::at(&["data", "classes"], "regression has no classes")
                        .hint("remove this line"),
                );
            }
            _ => {}
        }
        check_classes(self.classes.as_deref().unwrap_or_default())
    }

    /// Each format has its own keys.
    fn validate_files(&self, input_shape: &[usize]) -> Result<(), Problem> {
        let is_arrays = matches!(self.format, DataFormat::Idx | DataFormat::Npy);
        for (part, files) in [("train", &self.train), ("test", &self.test)] {
            let given = [
                ("features", files.features.is_some(), is_arrays),
                ("labels", files.labels.is_some(), is_arrays),
                ("path", files.path.is_some(), !is_arrays),
            ];
            for (key, is_given, is_wanted) in given {
                if is_wanted && !is_given {
                    return Err(Problem::at(&["data", part], format!("`{key}` is missing"))
                        .hint(format!("add `{key} = \"…\"`, a path relative to this file")));
                }
                if is_given && !is_wanted {
                    let problem = format!("the format `{:?}` does not use `{key}`", self.format)
                        .to_lowercase();
                    return Err(Problem::at(&["data", part, key], problem));
                }
            }
            let arrays = [
                ("features_array", &files.features_array),
                ("labels_array", &files.labels_array),
            ];
            for (key, _) in arrays.iter().filter(|(_, array)| array.is_some()) {
                if self.format != DataFormat::Npy {
                    return Err(Problem::at(
                        &["data", part, key],
                        "belongs to `format = \"npy\"`",
                    ));
                }
            }
            for (key, source) in files.sources() {
                let problem = match source.remote() {
                    Some(_) if self.format == DataFormat::Images => {
                        Some("an image folder cannot be downloaded: give the path of a folder")
                    }
                    remote => remote.and_then(Remote::problem),
                };
                if let Some(problem) = problem {
                    return Err(Problem::at(&["data", part, key], problem));
                }
            }
        }
        if self.resize && self.format != DataFormat::Images {
            return Err(Problem::at(
                &["data", "resize"],
                "belongs to `format = \"images\"`",
            ));
        }
        match (self.format, &self.csv) {
            (DataFormat::Csv, None) => {
                return Err(Problem::at(&["data"], "a table needs a label column")
                    .hint("add `[data.csv]` with `label = \"…\"`"));
            }
            (DataFormat::Csv, Some(csv)) => csv.validate()?,
            (_, None) => {}
            (_, Some(_)) => {
                return Err(Problem::at(
                    &["data", "csv"],
                    "belongs to `format = \"csv\"`",
                ));
            }
        }
        let is_image = matches!(input_shape, [_, _, 1 | 3 | 4]);
        if self.format == DataFormat::Images && !is_image {
            return Err(Problem::at(
                &["model", "input_shape"],
                "must be `[height, width, channels]` for images",
            )
            .hint("write 1 channel for grey, 3 for RGB or 4 for RGBA"));
        }
        Ok(())
    }
}

/// Names of classes tell them apart, whoever trains the model.
pub(super) fn check_classes(classes: &[String]) -> Result<(), Problem> {
    for (class_idx, class) in classes.iter().enumerate() {
        if class.trim().is_empty() || classes[..class_idx].contains(class) {
            let problem = format!("the class name `{class}` is empty or a duplicate");
            return Err(Problem::at(&["data", "classes"], problem));
        }
        // Cells of a table lose the blanks around them, so such a name would match none.
        if class.trim() != class {
            let problem = format!("the class name `{class}` begins or ends with a space");
            return Err(Problem::at(&["data", "classes"], problem)
                .hint(format!("write `{:?}`", class.trim())));
        }
    }
    Ok(())
}
