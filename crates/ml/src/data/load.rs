//! From a configuration to a dataset: each format's reader, then what is the same for all.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use trainyard_core::config::{
    Config, CsvConfig, DataFiles, DataFormat, Decimal, Missing, Remote, Source,
};
use trainyard_core::folds::keys;
use trainyard_core::model::Task;

use super::dataset::Dataset;
use super::error::DataError;
use super::excerpt::{Excerpt, Names};
use super::features::Features;
use super::folders::Folders;
use super::labels::{self, LabelProblem};
use super::means::means;
use super::measured::measure;
use super::row_labels::Labels;
use super::table::{self, Table, TableProblem};
use super::{arrays, column, images, sample};

/// Which part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// `[data] train`.
    Train,
    /// `[data] test`.
    Test,
}

/// Reads one part of the data that `config` names. Its [`remotes`] must have been downloaded.
///
/// `columns` are the features that a model was trained on, in their order, where each is a column of a table: then those
/// are read by name, wherever they stand, and no other may be there that the configuration does not ignore.
pub fn load(
    config: &Config,
    folders: Folders<'_>,
    split: Split,
    columns: Option<&[String]>,
) -> Result<Dataset, DataError> {
    let (files, max_rows) = match split {
        Split::Train => (&config.data.train, config.data.max_train_rows),
        Split::Test => (&config.data.test, config.data.max_test_rows),
    };
    let dataset = match config.data.format {
        DataFormat::Idx | DataFormat::Npy => arrays::load(config, folders, files)?,
        DataFormat::Csv => load_table(config, folders, files, split, columns)?,
        DataFormat::Images => load_images(config, folders, files, split)?,
    };
    let mut dataset = dataset;
    if split == Split::Train {
        let classes = config.data.classes.as_deref().unwrap_or(&[]);
        dataset.warnings.extend(without_rows(&dataset, classes));
    }
    Ok(
        match max_rows.filter(|max_rows| *max_rows < dataset.n_rows()) {
            Some(max_rows) => dataset.subset(&sample::draw(&dataset.labels, max_rows)),
            None => dataset,
        },
    )
}

/// A warning about the classes that no row has: the network cannot learn them.
fn without_rows(dataset: &Dataset, classes: &[String]) -> Option<String> {
    let Labels::Class(labels) = &dataset.labels else {
        return None;
    };
    let mut has_rows = vec![false; classes.len()];
    for &label in labels {
        has_rows[label as usize] = true;
    }
    let missing: Vec<&String> = classes
        .iter()
        .zip(has_rows)
        .filter_map(|(class, has_rows)| (!has_rows).then_some(class))
        .collect();
    (!missing.is_empty()).then(|| {
        format!(
            "no training row has the class {}, so it cannot be learnt",
            Names::of(&missing)
        )
    })
}

/// The files on the network that loading one part of the data reads.
pub fn remotes(config: &Config, split: Split) -> Vec<&Remote> {
    let data = &config.data;
    let fills_in_means = data
        .csv
        .as_ref()
        .is_some_and(|csv| csv.missing == Missing::Mean);
    let reads_train = split == Split::Train || fills_in_means;
    let train = reads_train.then(|| data.train.remotes());
    let test = (split == Split::Test).then(|| data.test.remotes());
    train
        .into_iter()
        .flatten()
        .chain(test.into_iter().flatten())
        .collect()
}

/// Validation sees to it that the files of each format are named.
fn path_of(files: &DataFiles) -> &Source {
    files
        .path
        .as_ref()
        .expect("validated: this format has a path")
}

fn load_table(
    config: &Config,
    folders: Folders<'_>,
    files: &DataFiles,
    split: Split,
    columns: Option<&[String]>,
) -> Result<Dataset, DataError> {
    let (path, entry) = measure(folders, path_of(files))?;
    let csv = config
        .data
        .csv
        .as_ref()
        .expect("validated: a table has `[data.csv]`");
    let of_model = columns.map(|columns| of_model(csv, columns)).transpose();
    let of_model = of_model.map_err(DataError::table(&path))?;
    let (csv, is_closed) = match &of_model {
        Some(of_model) => (of_model, csv.features.is_none()),
        None => (csv, false),
    };
    let classes = config.data.classes.as_deref().unwrap_or(&[]);
    let keys = match (split, &config.evaluate.cross_validation) {
        (Split::Train, Some(folds)) => folds.columns().cloned().collect(),
        _ => Vec::new(),
    };
    let table = table::read(&path, csv, classes, &keys, is_closed)?;
    // Always of the training rows: what a test row lacks must not be learnt from other test rows.
    let fill = match (csv.missing, split) {
        (Missing::Mean, Split::Train) => Some(means_of(&table, &path)?),
        (Missing::Mean, Split::Test) => {
            let train = folders.locate(path_of(&config.data.train));
            Some(means_of(
                &table::read(&train, csv, classes, &[], false)?,
                &train,
            )?)
        }
        _ => None,
    };
    let row_shape = config.model.input_shape.clone();
    if row_shape.iter().product::<usize>() != table.n_columns {
        let names: Vec<&str> = table
            .columns
            .iter()
            .map(|column| column.name.as_str())
            .collect();
        return Err(DataError::table(&path)(TableProblem::Width {
            n_features: table.n_columns,
            names: Names::of(&names),
            input_shape: row_shape,
        }));
    }
    let place = |row: usize| table::place_of(&path, table.starts[row]).to_string();
    let labels = match config.model.task {
        Task::Classification => labels::of_names(&table.labels, classes, place).map(Labels::Class),
        Task::Regression => numbers(&table, csv.decimal, place).map(Labels::Value),
    };
    let labels = labels.map_err(DataError::labels(&path))?;
    let time = config.evaluate.cross_validation.as_ref();
    if let Some(name) = time.and_then(|folds| folds.time.as_ref())
        && let Some(times) = table.keys.get(name)
    {
        keys::by_time(times).map_err(|problem| {
            DataError::table(&path)(TableProblem::Time {
                place: table::place_of(&path, table.starts[problem.row()]),
                column: Excerpt::of(name),
                problem,
            })
        })?;
    }
    Ok(Dataset {
        row_shape,
        labels,
        selection: None,
        fill: fill.map(Arc::new),
        description: vec![format!("`{}`: {}", entry.path, table.describe(csv))],
        warnings: Vec::new(),
        columns: Some(table.names()),
        features: Arc::new(table.features),
        weights: table.weights,
        row_ids: table.row_ids,
        keys: table.keys,
        files: vec![entry],
    })
}

/// What the missing values of a table are filled with where it is the training table.
fn means_of(table: &Table, path: &Path) -> Result<Vec<f32>, DataError> {
    means(&table.features, 0..table.labels.len(), &table.names(), path)
}

/// The configuration of a table whose features are those of a model, by name.
fn of_model(csv: &CsvConfig, columns: &[String]) -> Result<CsvConfig, TableProblem> {
    match &csv.features {
        Some(features) if features != columns => Err(TableProblem::OtherFeatures {
            trained: Names::of(columns),
            features: Names::of(features),
        }),
        _ => Ok(CsvConfig {
            features: Some(columns.to_vec()),
            ..csv.clone()
        }),
    }
}

/// The labels of a table as numbers to predict.
fn numbers(
    table: &Table,
    decimal: Decimal,
    place: impl Fn(usize) -> String,
) -> Result<Vec<f64>, LabelProblem> {
    let other = match decimal {
        Decimal::Point => Decimal::Comma,
        Decimal::Comma => Decimal::Point,
    };
    let number = |(row, label): (usize, &String)| {
        column::number(label, decimal).ok_or_else(|| match label.parse::<f64>() {
            Ok(value) if !value.is_finite() => LabelProblem::NotFinite {
                place: place(row),
                label: value,
            },
            _ => LabelProblem::Text {
                place: place(row),
                label: Excerpt::of(label),
                hint: match (column::number(label, other), decimal) {
                    (Some(_), Decimal::Point) => "; set `decimal = \",\"` in `[data.csv]`",
                    (Some(_), Decimal::Comma) => "; set `decimal = \".\"` in `[data.csv]`",
                    (None, _) => "",
                },
            },
        })
    };
    table.labels.iter().enumerate().map(number).collect()
}

fn load_images(
    config: &Config,
    folders: Folders<'_>,
    files: &DataFiles,
    split: Split,
) -> Result<Dataset, DataError> {
    let root = folders.locate(path_of(files));
    let row_shape = config.model.input_shape.clone();
    let shape = *row_shape
        .as_array()
        .expect("validated: images have height, width and channels");
    let classes = config
        .data
        .classes
        .as_deref()
        .expect("validated: image folders have classes");
    let name = path_of(files).name();
    let images = images::read(&root, &name, classes, shape, config.data.resize)?;
    // What is never seen cannot be learnt; test data without one of the classes can still be scored.
    if let Some(class) = images
        .without_images
        .first()
        .filter(|_| split == Split::Train)
    {
        return Err(DataError::image(&root)(images::ImageProblem::NoImages {
            class: Excerpt::of(class),
        }));
    }
    Ok(Dataset {
        row_shape,
        row_ids: None,
        fill: None,
        keys: BTreeMap::new(),
        columns: None,
        features: Arc::new(Features::U8(images.pixels)),
        selection: None,
        labels: Labels::Class(images.labels),
        weights: None,
        description: images.description,
        warnings: images.warnings,
        files: images.files,
    })
}
