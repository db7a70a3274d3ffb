//! Datasets: files named by the configuration in, raw rows and labels out. Preprocessing is the network's business.

mod arrays;
mod column;
mod dataset;
mod error;
mod excerpt;
mod features;
mod folders;
pub mod idx;
mod images;
mod labels;
mod load;
mod means;
mod measured;
mod row_labels;
mod sample;
mod table;

pub use column::CellProblem;
pub use dataset::Dataset;
pub use error::DataError;
pub(crate) use error::refuse_lfs_pointer;
pub use excerpt::{Excerpt, Names};
pub use features::{Features, Stored};
pub use folders::Folders;
pub use images::ImageProblem;
pub use labels::LabelProblem;
pub use load::{Split, load, remotes};
pub use row_labels::Labels;
pub use table::{Place, TableProblem};
pub use trainyard_npz as npz;

#[cfg(test)]
mod tests;
