//! The report on GitHub: the comment and the check run. Nothing here can change a verdict; what goes wrong is a warning
//! that names what to do.

mod baseline;
mod checkout;
mod fresh_rows;
mod joined;
mod link;
mod looks;
mod overriding;
mod reporter;
mod unchanged;
mod writing;

pub(crate) use baseline::{Compared, OwnRecord};
pub(crate) use checkout::{has_own_checkout, tested_merge_commit};
pub(crate) use link::{Link, ReadError, parsed};
pub(crate) use reporter::{Reporter, has_started};
pub(crate) use writing::{Kept, Written, warn};
