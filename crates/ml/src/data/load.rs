//! From a configuration to a dataset: each format's reader, then what is the same for all.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use trainyard_core::config::{Config, DataFiles, DataFormat, Missing, Source};
use trainyard_core::files;
use trainyard_core::model::{FileEntry, Task};

use super::error::{Excerpt, Names, refuse_lfs_pointer};
use super::features::Features;
use super::labels::{self, LabelProblem};
use super::table::{self, Table, TableProblem};
use super::{DataError, Dataset, Folders, Labels, Split, arrays, column, images, sample};

pub(super) fn load(
    config: &Config,
    folders: Folders<'_>,
    split: Split,
) -> Result<Dataset, DataError> {
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
        files: vec![entry],
    })
}

/// The labels of a table as numbers to predict.
fn numbers(
    table: &Table,
    decimal: trainyard_core::config::Decimal,
    place: impl Fn(usize) -> String,
) -> Result<Vec<f64>, LabelProblem> {
    use trainyard_core::config::Decimal;
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
        row_ids: (0..images.labels.len() as i64).collect(),
        features: Arc::new(Features::U8(images.pixels)),
        selection: None,
        labels: Labels::Class(images.labels),
        weights: None,
        description: images.description,
        warnings: images.warnings,
        files: images.files,
    })
}

/// Where the file of `source` lies, and how the digest of the data counts it.
pub(super) fn measure(
    folders: Folders<'_>,
    source: &Source,
) -> Result<(PathBuf, FileEntry), DataError> {
    let path = folders.locate(source);
    let mut head = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(64).read_to_end(&mut head))
        .map_err(DataError::read(&path))?;
    refuse_lfs_pointer(&path, &head)?;
    if head.is_empty() {
        return Err(DataError::malformed(&path, "the file is empty"));
    }
    let (sha256, size_bytes) = files::measure(&path)?;
    if let Some(remote) = source.remote()
        && remote.sha256 != sha256
    {
        let problem = format!(
            "this download of `{}` has the digest {sha256}; remove it, and it is downloaded anew",
            remote.address()
        );
        return Err(DataError::malformed(&path, problem));
    }
    let entry = FileEntry {
        path: source.name().into_owned(),
        sha256,
        size_bytes,
    };
    Ok((path, entry))
}
