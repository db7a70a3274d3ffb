//! From a configuration to a dataset: each format's reader, then what is the same for all.

use std::sync::Arc;

use trainyard_core::config::{Config, DataFiles, DataFormat, Decimal, Missing, Remote, Source};
use trainyard_core::model::Task;

use super::dataset::{Dataset, Labels};
use super::error::DataError;
use super::excerpt::{Excerpt, Names};
use super::features::Features;
use super::folders::Folders;
use super::labels::{self, LabelProblem};
use super::measured::measure;
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
pub fn load(config: &Config, folders: Folders<'_>, split: Split) -> Result<Dataset, DataError> {
    let (files, max_rows) = match split {
        Split::Train => (&config.data.train, config.data.max_train_rows),
        Split::Test => (&config.data.test, config.data.max_test_rows),
    };
    let dataset = match config.data.format {
        DataFormat::Idx | DataFormat::Npy => arrays::load(config, folders, files)?,
        DataFormat::Csv => load_table(config, folders, files)?,
        DataFormat::Images => load_images(config, folders, files, split)?,
    };
    Ok(
        match max_rows.filter(|max_rows| *max_rows < dataset.n_rows()) {
            Some(max_rows) => dataset.subset(&sample::draw(&dataset.labels, max_rows)),
            None => dataset,
        },
    )
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
) -> Result<Dataset, DataError> {
    let (path, entry) = measure(folders, path_of(files))?;
    let csv = config
        .data
        .csv
        .as_ref()
        .expect("validated: a table has `[data.csv]`");
    let classes = config.data.classes.as_deref().unwrap_or(&[]);
    // Always of the training rows: what a test row lacks must not be learnt from other test rows.
    let means = match csv.missing {
        Missing::Mean => {
            let train = folders.locate(path_of(&config.data.train));
            Some(table::means(&train, csv, classes)?)
        }
        _ => None,
    };
    let table = table::read(&path, csv, classes, means.as_deref())?;
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
    Ok(Dataset {
        row_shape,
        labels,
        selection: None,
        description: vec![format!("`{}`: {}", entry.path, table.describe(csv))],
        warnings: Vec::new(),
        features: Arc::new(table.features),
        weights: table.weights,
        row_ids: table.row_ids,
        columns: Some(
            table
                .columns
                .into_iter()
                .map(|column| column.name)
                .collect(),
        ),
        files: vec![entry],
    })
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
