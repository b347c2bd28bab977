//! What every other module stands on.
//!
//! Belongs here: the library's error, failures of requests, names of settings, files, calls into foreign code, hooks,
//! locks, the machine, runtimes, texts of servers and how they are shown.
//! Does not belong here: anything that knows a request, a response or a file format.

pub(crate) mod error;
pub(crate) mod failure;
pub(crate) mod file;
pub(crate) mod foreign;
pub(crate) mod hook;
pub(crate) mod host;
pub(crate) mod lock;
pub(crate) mod nearest;
pub(crate) mod runtime;
pub(crate) mod server_text;
pub(crate) mod setting;
pub(crate) mod shown;
#[cfg(any(feature = "aws", feature = "mlflow"))]
pub(crate) mod side_traffic;
