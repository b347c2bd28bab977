//! Files of this machine.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// Writes a file so that it is, at any moment, the old one or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    replace_with(path, |temporary| {
        let write = || {
            let mut file = File::create(temporary)?;
            file.write_all(content)?;
            file.sync_all()
        };
        write().map_err(Error::io("writing", path))
    })
}

/// As [`replace`]; `write` writes the content to the file that takes the name then.
pub(crate) fn replace_with(path: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    // Several threads may write the same file.
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{process}-{count}.tmp"));
    write(&temporary)
        .and_then(|()| fs::rename(&temporary, path).map_err(Error::io("writing", path)))
        .inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Error::io("reading", path))
}

/// As [`replace`], making the folders where they are missing.
pub(super) fn write(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::io("creating", parent))?;
    }
    replace(path, content)
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
