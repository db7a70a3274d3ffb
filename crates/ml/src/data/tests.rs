mod disk;
mod images;
mod tables;

use std::path::Path;

use proptest::prelude::*;

use trainyard_core::config::Config;
use trainyard_core::digest::Sha256Digest;

use super::*;

/// A project folder with files, and a configuration for them.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        Self { folder }
    }

    fn load(
        &self,
        input_shape: &str,
        classes: Option<usize>,
        data: &str,
    ) -> Result<Dataset, String> {
        self.load_split(Split::Train, input_shape, classes, data)
    }

    fn load_split(
        &self,
        split: Split,
        input_shape: &str,
        classes: Option<usize>,
        data: &str,
    ) -> Result<Dataset, String> {
        let (task, last, classes) = match classes {
            Some(n) => {
                let names: Vec<String> = (0..n).map(|class| format!("'c{class}'")).collect();
                let last = format!("units = {n}\nactivation = 'softmax'");
                (
                    "classification",
                    last,
                    format!("classes = [{}]", names.join(", ")),
                )
            }
            None => ("regression", "units = 1".to_owned(), String::new()),
        };
        let text = format!(
            "[model]\nname = 'm'\ntask = '{task}'\ninput_shape = {input_shape}\n[[model.layers]]\ntype = 'Flatten'\n\
             [[model.layers]]\ntype = 'Dense'\n{last}\n[data]\n{classes}\n{data}"
        );
        self.load_text(split, &text)
    }

    /// Two classes of these names and two features.
    fn load_classes(&self, classes: &str, data: &str) -> Result<Dataset, String> {
        let text = format!(
            "[model]\nname = 'm'\ninput_shape = [2]\n[[model.layers]]\ntype = 'Dense'\nunits = 2\n\
             activation = 'softmax'\n[data]\nclasses = {classes}\n{data}"
        );
        self.load_text(Split::Train, &text)
    }

    fn load_text(&self, split: Split, text: &str) -> Result<Dataset, String> {
        self.load_for(split, text, None)
    }

    /// For a model of these columns.
    fn load_for(
        &self,
        split: Split,
        text: &str,
        columns: Option<&[String]>,
    ) -> Result<Dataset, String> {
        let config =
            Config::parse(text, Path::new("trainyard.toml")).map_err(|error| error.to_string())?;
        let folders = Folders {
            base: self.folder.path(),
            downloads: self.folder.path(),
        };
        load(&config, folders, split, columns).map_err(|error| error.to_string())
    }

    fn table(&self, classes: Option<usize>, csv: &str) -> Result<Dataset, String> {
        let data = format!(
            "format = 'csv'\ntrain = {{ path = 't.csv' }}\ntest = {{ path = 't.csv' }}\n[data.csv]\nlabel = 'y'\n{csv}"
        );
        self.load("[2]", classes, &data)
    }
}

fn csv(text: &str) -> Project {
    Project::new(&[("t.csv", text.as_bytes())])
}

fn values(dataset: &Dataset) -> Vec<f32> {
    let mut out = vec![0.0; dataset.n_rows() * dataset.row_len()];
    let all: Vec<u32> = (0..dataset.n_rows() as u32).collect();
    dataset.gather(&all, &mut out).unwrap();
    out
}

#[test]
fn a_table_has_columns_by_role() {
    let project = csv("id,b,y,a,w,note\n7,2,c1,1,0.5,x\nx 9,4,c0,3,2,y\n");
    let roles = "features = ['a', 'b']\nweight = 'w'\nrow_id = 'id'";
    let dataset = project.table(Some(2), roles).unwrap();
    assert_eq!(values(&dataset), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(dataset.labels, Labels::Class(vec![1, 0]));
    assert_eq!(dataset.weights, Some(vec![0.5, 2.0]));
    assert_eq!(
        dataset.row_ids,
        Some(vec!["7".to_owned(), "x 9".to_owned()])
    );
    assert_eq!(dataset.columns, Some(vec!["a".to_owned(), "b".to_owned()]));
    // What has no role is a feature, unless it is ignored.
    let dataset = project
        .table(Some(2), "ignore = ['note', 'id', 'w']")
        .unwrap();
    assert_eq!(values(&dataset), [2.0, 1.0, 4.0, 3.0]);
}

/// Slices are cut by features as the table writes them, not as single precision rounds them.
#[test]
fn a_feature_is_given_back_as_it_is_written() {
    let project = csv("a,b,y\n0.1,2,c0\n-7.25,3,c1\n");
    let dataset = project.table(Some(2), "").unwrap();
    assert_eq!(dataset.feature("a").unwrap(), Some(vec![0.1, -7.25]));
    assert_eq!(dataset.subset(&[1]).feature("b").unwrap(), Some(vec![3.0]));
    assert_eq!(dataset.feature("y").unwrap(), None);
}

#[test]
fn empty_cells_are_what_the_configuration_says() {
    let project = csv("a,b,y\n1,NA,1\n3,4,2\n,8,3\n");
    let error = project.table(None, "").unwrap_err();
    assert!(
        error.contains("line 2: the column `b` is empty") && error.contains("missing = \"drop\""),
        "{error}"
    );
    assert_eq!(
        values(&project.table(None, "missing = 'drop'").unwrap()),
        [3.0, 4.0]
    );
    assert_eq!(
        values(&project.table(None, "missing = -1").unwrap()),
        [1.0, -1.0, 3.0, 4.0, -1.0, 8.0]
    );
    assert_eq!(
        values(&project.table(None, "missing = 'mean'").unwrap()),
        [1.0, 6.0, 3.0, 4.0, 2.0, 8.0]
    );
}

#[test]
fn the_types_of_columns_are_found_and_shown_or_declared_and_checked() {
    let project = csv("a,b,y\n1,true,1.5\n-2.5,false,2\n3,,0\n");
    let dataset = project.table(None, "missing = 0").unwrap();
    assert_eq!(values(&dataset), [1.0, 1.0, -2.5, 0.0, 3.0, 0.0]);
    assert_eq!(
        dataset.description[0],
        "`t.csv`: 3 rows, label `y` (numbers), 2 features: a (number), b (boolean, 1 missing)"
    );
    for (csv_text, types, expected) in [
        (
            "a,b,y\n1,true,1\n2,1,1\n",
            "",
            "line 3: `1` in the column `b`: numbers and true or false are mixed",
        ),
        (
            "a,b,y\n1,2,1\n1,TRUE,1\n",
            "",
            "line 3: `TRUE` in the column `b`: numbers and true or false are mixed",
        ),
        (
            "a,b,y\n1,2.5,1\n",
            "types = { b = 'integer' }",
            "line 2: `2.5` in the column `b` is not an integer",
        ),
        (
            "a,b,y\n1,2,1\n",
            "types = { b = 'boolean' }",
            "line 2: `2` in the column `b` is not a boolean",
        ),
        (
            "a,b,y\n1,true,1\n",
            "types = { b = 'number' }",
            "line 2: `true` in the column `b` is not a number",
        ),
        (
            "a,b,y\n1,2,1\n",
            "types = { z = 'number' }",
            "there is no column `z`",
        ),
        (
            "a,b,y\n1,2,1\n",
            "types = { b = 'text' }",
            "unknown variant `text`",
        ),
    ] {
        let error = csv(csv_text).table(None, types).unwrap_err();
        assert!(error.contains(expected), "{csv_text:?}: {error}");
    }
    let mixed = csv("a,b,y\n1,true,1\n2,1,1\n3,0,1\n");
    let dataset = mixed.table(None, "types = { b = 'boolean' }").unwrap();
    assert_eq!(values(&dataset), [1.0, 1.0, 2.0, 1.0, 3.0, 0.0]);
}

#[test]
fn a_download_counts_only_with_its_digest() {
    let project = csv("a,b,y\n1,2,3\n");
    let good = "a,b,y\n4,5,6\n";
    let digest = Sha256Digest::of(good.as_bytes());
    std::fs::write(project.folder.path().join(digest.hex()), good).unwrap();
    let data = format!(
        "format = 'csv'\ntrain = {{ path = {{ url = 'https://example.com/t.csv?key=1', sha256 = '{}' }} }}\n\
         test = {{ path = 't.csv' }}\n[data.csv]\nlabel = 'y'\n",
        digest.hex()
    );
    let dataset = project.load("[2]", None, &data).unwrap();
    assert_eq!(values(&dataset), [4.0, 5.0]);
    assert_eq!(dataset.files[0].path, "https://example.com/t.csv");
    std::fs::write(project.folder.path().join(digest.hex()), "a,b,y\n4,5,7\n").unwrap();
    let error = project.load("[2]", None, &data).unwrap_err();
    assert!(error.contains("has the digest"), "{error}");
}

#[test]
fn tables_that_are_wrong_are_named_with_their_line() {
    for (text, classes, expected) in [
        (
            "a,b\n1,2\n",
            None,
            "there is no column `y`; there are `a`, `b`",
        ),
        ("a,a,y\n1,2,3\n", None, "two columns are called `a`"),
        ("a,b,y\n", None, "there are no rows"),
        (
            "a,b,y\n1,2\n",
            None,
            "line 2: 2 cells, but the header has 3",
        ),
        (
            "a,b,y\n1,x,3\n",
            None,
            "line 2: `x` in the column `b` is not a finite number; leave the column out with",
        ),
        (
            "a,b,y\n1,inf,3\n",
            None,
            "line 2: `inf` in the column `b` is not a finite number",
        ),
        ("a,b,y\n1,2,\n", None, "line 2: the label `y` is empty"),
        (
            "a,b,y\n1,2,x\n",
            None,
            "line 2: the label `x` is not a number",
        ),
        (
            "a,b,y\n1,2,c9\n",
            Some(2),
            "line 2: the label `c9` is none of the classes `c0`, `c1`",
        ),
        (
            "a,b,y\n1,2,2\n",
            Some(2),
            "line 2: the label 2 is not one of the 2 classes (0 to 1)",
        ),
        (
            "a,b,c,y\n1,2,3,4\n",
            None,
            "3 columns are features (`a`, `b`, `c`), but `[model] input_shape` is [2]",
        ),
        (
            "version https://git-lfs.github.com/spec/v1\n",
            None,
            "Git LFS pointer",
        ),
    ] {
        let error = csv(text).table(classes, "").unwrap_err();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
    let error = csv("a,b,y\n1,2,3\n")
        .table(None, "weight = 'a'\nignore = ['z']")
        .unwrap_err();
    assert!(error.contains("there is no column `z`"), "{error}");
}

#[test]
fn numpy_arrays_are_read_alone_and_by_name() {
    let x = npz::Array::table(vec![1.0, 2.0, 3.0, 4.0], 2);
    let y = npz::Array::integers(vec![1, 0]);
    let archive = npz::write_npz(&[("x", &x), ("y", &y)]).unwrap();
    let project = Project::new(&[
        ("x.npy", &npz::write_npy(&x)),
        ("y.npy", &npz::write_npy(&y)),
        ("all.npz", &archive),
    ]);
    let data = |train: &str| format!("format = 'npy'\ntrain = {{ {train} }}\ntest = {{ {train} }}");
    let alone = project
        .load(
            "[2]",
            Some(2),
            &data("features = 'x.npy', labels = 'y.npy'"),
        )
        .unwrap();
    let named =
        "features = 'all.npz', features_array = 'x', labels = 'all.npz', labels_array = 'y'";
    let named = project.load("[2]", Some(2), &data(named)).unwrap();
    for dataset in [alone, named] {
        assert_eq!(values(&dataset), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(dataset.labels, Labels::Class(vec![1, 0]));
    }
    let error = project
        .load(
            "[2]",
            Some(2),
            &data("features = 'all.npz', labels = 'y.npy'"),
        )
        .unwrap_err();
    assert!(
        error.contains("it holds the arrays x, y; name one with `features_array`"),
        "{error}"
    );
    // Which array of a file is trained on is part of what the data are.
    let both = npz::write_npz(&[("x", &x), ("z", &x)]).unwrap();
    std::fs::write(project.folder.path().join("both.npz"), both).unwrap();
    let digest = |array: &str| {
        let train = format!("features = 'both.npz', features_array = '{array}', labels = 'y.npy'");
        let dataset = project.load("[2]", Some(2), &data(&train)).unwrap();
        dataset.digest()
    };
    assert_ne!(digest("x"), digest("z"));
    let error = project
        .load(
            "[2]",
            Some(2),
            &data("features = 'x.npy', features_array = 'x', labels = 'y.npy'"),
        )
        .unwrap_err();
    assert!(
        error.contains("this is not an `.npz`, so there is no array `x` in it"),
        "{error}"
    );
    let error = project
        .load(
            "[3]",
            Some(2),
            &data("features = 'x.npy', labels = 'y.npy'"),
        )
        .unwrap_err();
    assert!(
        error.contains("one row has the shape [2], but `[model] input_shape` is [3]"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever happens to a file, reading it gives rows or an error, and never a panic.
    #[test]
    fn damaged_files_are_errors(cut in 0..400_usize, at in 0..400_usize, byte in any::<u8>(), which in 0..4_usize) {
        let x = npz::Array::table(vec![1.0, 2.0, 3.0, 4.0], 2);
        let y = npz::Array::integers(vec![1, 0]);
        let mut file = match which {
            0 => npz::write_npy(&x),
            1 => npz::write_npz(&[("x", &x), ("y", &y)]).unwrap(),
            2 => idx::write(&idx::Array { shape: vec![2, 2], values: idx::Values::U8(vec![1, 2, 3, 4]) }),
            _ => b"a,b,y\n1,2,c0\n3,4,c1\n".to_vec(),
        };
        file.truncate(file.len().saturating_sub(cut / 4));
        if let Some(place) = file.get_mut(at) {
            *place = byte;
        }
        let labels = npz::write_npy(&y);
        let idx_labels = idx::write(&idx::Array { shape: vec![2], values: idx::Values::U8(vec![1, 0]) });
        let project = Project::new(&[("x", &file), ("t.csv", &file), ("y.npy", &labels), ("y.idx", &idx_labels)]);
        let data = match which {
            0 | 1 => "format = 'npy'\ntrain = { features = 'x', labels = 'y.npy' }\ntest = { features = 'x', labels = 'y.npy' }",
            2 => "train = { features = 'x', labels = 'y.idx' }\ntest = { features = 'x', labels = 'y.idx' }",
            _ => "format = 'csv'\ntrain = { path = 't.csv' }\ntest = { path = 't.csv' }\n[data.csv]\nlabel = 'y'",
        };
        if let Ok(dataset) = project.load("[2]", Some(2), data) {
            prop_assert!(values(&dataset).iter().all(|value| value.is_finite()));
        }
    }
}
