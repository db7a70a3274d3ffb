//! A project folder for targets whose readers take a path.

use std::path::Path;

use tempfile::TempDir;
use trainyard_core::config::Config;
use trainyard_ml::data::{self, Folders, Split};

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("a temporary folder");
}

/// Lends a folder in which `name` holds `bytes`.
pub fn with_file<T>(name: &str, bytes: &[u8], work: impl FnOnce(&Path) -> T) -> T {
    FOLDER.with(|folder| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder to be made");
        std::fs::write(&path, bytes).expect("a file to be written");
        work(folder.path())
    })
}

/// Loads the training data that `text` names. What is loaded has as many labels as rows, and finite features.
pub fn load(text: &str, base: &Path) {
    let config = Config::parse(text, Path::new("trainyard.toml")).expect("a sound configuration");
    let folders = Folders {
        base,
        downloads: base,
    };
    let Ok(dataset) = data::load(&config, folders, Split::Train, None) else {
        return;
    };
    assert_eq!(dataset.labels.len(), dataset.n_rows());
    let mut row = vec![0.0; dataset.row_len()];
    for idx in 0..dataset.n_rows() as u32 {
        dataset.gather(&[idx], &mut row).expect("the files are still there");
        assert!(row.iter().all(|value| value.is_finite()));
    }
}
