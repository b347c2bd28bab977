//! Files of this machine.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use crate::base::file::{self, Access, MAX_DATA_FILE, Replacement};
use crate::{Error, Result};

/// Writes a file so that it is, at any moment, the old one or the new one.
pub(crate) fn replace(path: &Path, content: &[u8], access: Access) -> Result<()> {
    file::replace(path, content, access).map_err(Error::io("writing", path))
}

/// As [`replace`]; `write` writes the content to the file that takes the name then.
pub(crate) fn replace_with(
    path: &Path,
    access: Access,
    write: impl FnOnce(File) -> Result<()>,
) -> Result<()> {
    let failed = || Error::io("writing", path);
    let mut to = Replacement::of(path, access).map_err(failed())?;
    write(to.file().try_clone().map_err(failed())?)?;
    to.finish().map_err(failed())
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    file::read(path, MAX_DATA_FILE).map_err(Error::io("reading", path))
}

/// As [`replace`], making the folders where they are missing.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
    }
    replace(path, content, Access::Umask)
}

/// The names in a folder, in order.
pub(super) fn list(path: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::io("reading", path))? {
        let entry = entry.map_err(Error::io("reading", path))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Deletes a file. That there is none is no error.
pub(crate) fn delete(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io("removing", path)(error))
        }
        _ => Ok(()),
    }
}
