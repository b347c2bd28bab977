//! Where there are no Unix sockets, a run cannot be controlled.

use std::io;
use std::path::Path;

/// See the Unix one.
#[derive(Debug)]
pub(crate) struct ControlSocket;

impl ControlSocket {
    /// # Errors
    /// Always.
    pub(crate) fn open(_: &Path) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Never returns.
    pub(crate) async fn serve(&self, _: impl FnMut(&str) -> String) {
        std::future::pending().await
    }
}

/// # Errors
/// Always.
pub(crate) fn ask(_: &Path, _: &str) -> io::Result<String> {
    Err(io::ErrorKind::Unsupported.into())
}
