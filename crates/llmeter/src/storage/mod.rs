//! Local and cloud paths behind one type.
//!
//! Belongs here: [`Location`], where its credentials come from, and what can be done with a file
//! or an object whatever it means.
//! Does not belong here: which files a run has, and when they are written (`result`).

#[cfg(all(feature = "cloud", feature = "aws"))]
mod aws_credentials;
#[cfg(all(feature = "cloud", not(feature = "aws")))]
#[path = "profile_keys.rs"]
mod aws_credentials;
#[cfg(feature = "cloud")]
mod buckets;
mod cloud_url;
#[cfg(feature = "cloud")]
mod limits;
mod local;
mod location;
#[cfg(feature = "cloud")]
mod reason;

#[cfg(feature = "cloud")]
mod store;
#[cfg(not(feature = "cloud"))]
#[path = "no_store.rs"]
mod store;

pub use location::Location;

/// Files of this machine, as llmeter opens and makes them: never by way of a pipe, a device or, when
/// writing, a link, and read within a bound.
pub mod files {
    pub use crate::base::file::{
        Access, FileProblem, MAX_DATA_FILE, MAX_LINE, MAX_TEXT_FILE, append, create_new, open,
        open_unlinked, read, read_text, replace,
    };
}

pub(crate) use cloud_url::CloudUrl;
pub(crate) use local::{delete, replace, replace_with};
pub(crate) use location::Usable;

pub(crate) use store::{ObjectVersion, Store};

/// An object below a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundObject {
    /// Its name below the URL.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: i64,
}

#[cfg(test)]
mod tests;
