//! Why data cannot be used: which file, where in it, and what to change.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use trainyard_core::files::FileError;

use super::images::ImageProblem;
use super::labels::LabelProblem;
use super::table::TableProblem;

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

/// Text of a file as a message quotes it: in backticks, on one line, cut where it is long. A quote that is never
/// closed makes one cell of the rest of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(String);

impl Excerpt {
    const MAX_CHARS: usize = 80;

    pub(super) fn of(text: &str) -> Self {
        let mut excerpt: String = text
            .chars()
            .take(Self::MAX_CHARS)
            .flat_map(|c| {
                let is_plain = !c.is_control();
                let plain = is_plain.then_some(c);
                plain.into_iter().chain(
                    (!is_plain)
                        .then(|| c.escape_default())
                        .into_iter()
                        .flatten(),
                )
            })
            .collect();
        if text.chars().nth(Self::MAX_CHARS).is_some() {
            excerpt.push('…');
        }
        Self(excerpt)
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", self.0)
    }
}

/// Names as a message lists them: the first few, and how many more there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    shown: Vec<Excerpt>,
    n_more: usize,
}

impl Names {
    const N_SHOWN: usize = 12;

    pub(super) fn of<S: AsRef<str>>(names: &[S]) -> Self {
        Self {
            shown: names
                .iter()
                .take(Self::N_SHOWN)
                .map(|name| Excerpt::of(name.as_ref()))
                .collect(),
            n_more: names.len().saturating_sub(Self::N_SHOWN),
        }
    }
}

impl fmt::Display for Names {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (idx, name) in self.shown.iter().enumerate() {
            let comma = if idx == 0 { "" } else { ", " };
            write!(formatter, "{comma}{name}")?;
        }
        match self.n_more {
            0 => Ok(()),
            n_more => write!(formatter, " and {n_more} more"),
        }
    }
}
