//! Why data cannot be used: which file, where in it, and what to change.

use std::io;
use std::path::{Path, PathBuf};

use trainyard_core::files::FileError;

use super::images::problem::ImageProblem;
use super::labels::LabelProblem;
use super::table::problem::TableProblem;

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file is missing or unreadable.
    #[error(transparent)]
    File(#[from] FileError),
    /// A pointer of Git LFS stands where the data should be.
    #[error(
        "`{}` is a Git LFS pointer, not the data itself\nhint: set `lfs: true` on `actions/checkout`, or run `git lfs pull`",
        path.display()
    )]
    LfsPointer {
        /// The file.
        path: PathBuf,
    },
    /// A file does not hold what its format says.
    #[error("`{}`: {problem}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
    /// A table cannot be used.
    #[error("`{}`: {problem}", path.display())]
    Table {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: Box<TableProblem>,
    },
    /// Labels cannot be used.
    #[error("`{}`: {problem}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: Box<LabelProblem>,
    },
    /// An image or a folder of images cannot be used.
    #[error("`{}`: {problem}", path.display())]
    Image {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong.
        problem: Box<ImageProblem>,
    },
    /// Two files do not belong together.
    #[error("`{}` has {n_features} rows, but `{}` has {n_labels} labels", features.display(), labels.display())]
    Counts {
        /// The file of features.
        features: PathBuf,
        /// Its rows.
        n_features: usize,
        /// The file of labels.
        labels: PathBuf,
        /// Its rows.
        n_labels: usize,
    },
    /// Rows that were left on the disk cannot be read when they are needed.
    #[error("cannot read rows of `{}` any more: was it changed while it was in use?", path.display())]
    Lost {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Rows that are too many for memory cannot be kept in a temporary file.
    #[error(
        "cannot keep the rows of `{}` in a temporary file in `{}`; set `TMPDIR` to a folder with more room",
        path.display(),
        std::env::temp_dir().display()
    )]
    Temporary {
        /// Where the rows come from.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DataError {
    /// What the system said about a file.
    pub(crate) fn read(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        |source| {
            Self::File(FileError::Read {
                path: path.to_owned(),
                source,
            })
        }
    }

    pub(crate) fn malformed(path: &Path, problem: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            problem: problem.into(),
        }
    }

    pub(super) fn table(path: &Path) -> impl Fn(TableProblem) -> Self + Copy {
        |problem| Self::Table {
            path: path.to_owned(),
            problem: Box::new(problem),
        }
    }

    pub(super) fn labels(path: &Path) -> impl Fn(LabelProblem) -> Self + Copy {
        |problem| Self::Labels {
            path: path.to_owned(),
            problem: Box::new(problem),
        }
    }

    pub(super) fn image(path: &Path) -> impl Fn(ImageProblem) -> Self + Copy {
        |problem| Self::Image {
            path: path.to_owned(),
            problem: Box::new(problem),
        }
    }

    pub(super) fn temporary(path: &Path) -> impl Fn(io::Error) -> Self + Copy {
        |source| Self::Temporary {
            path: path.to_owned(),
            source,
        }
    }
}

/// Refuses a Git LFS pointer; `head` is how the file begins.
pub(crate) fn refuse_lfs_pointer(path: &Path, head: &[u8]) -> Result<(), DataError> {
    if head.starts_with(b"version https://git-lfs.github.com/spec/") {
        return Err(DataError::LfsPointer {
            path: path.to_owned(),
        });
    }
    Ok(())
}
