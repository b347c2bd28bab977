//! Taking a folder of this machine for a run.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::folder::{OWN_CONFIG_FILE, RUN_FILES, RunFolder};
use crate::storage::delete;
use crate::{Error, Result};

/// Attempts to lock a folder, and the time between them: whoever asks [`is_locked`] has it for a moment.
const LOCK_ATTEMPTS: u32 = 4;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// What marks a folder as taken until the file's real content comes.
const CLAIM: &[u8] = b"{}";

/// Takes this folder, which exists, removing the files of a run that is there if that is allowed.
/// Gives the lock that keeps others out, where there are locks.
pub(super) fn claim(path: &Path, overwrite: bool) -> Result<Option<File>> {
    let shown = || path.display().to_string();
    let lock = lock(path).map_err(|WouldBlock| Error::FolderBusy { path: shown() })?;
    if overwrite {
        for name in RUN_FILES {
            delete(&path.join(name))?;
        }
    } else if RunFolder::holds_run(path) {
        return Err(Error::FolderInUse { path: shown() });
    }
    let mark = path.join(OWN_CONFIG_FILE);
    // Where folders cannot be locked, whoever makes this file has the folder.
    let mut file = match OpenOptions::new().write(true).create_new(true).open(&mark) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            return Err(Error::FolderInUse { path: shown() });
        }
        Err(error) => return Err(Error::io("creating", &mark)(error)),
    };
    file.write_all(CLAIM).map_err(|error| {
        let _ = fs::remove_file(&mark);
        Error::io("writing", &mark)(error)
    })?;
    Ok(lock)
}

/// Another run has the folder.
struct WouldBlock;

/// Locks a folder until the file is closed; `None` where that is not possible.
fn lock(path: &Path) -> Result<Option<File>, WouldBlock> {
    let Ok(folder) = File::open(path) else {
        return Ok(None);
    };
    for attempt in 1.. {
        match folder.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if attempt == LOCK_ATTEMPTS => return Err(WouldBlock),
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(_)) => return Ok(None),
        }
    }
    Ok(Some(folder))
}

/// Whether a run has a folder at this moment; `None` where that cannot be told.
pub(super) fn is_locked(path: &Path) -> Option<bool> {
    let folder = File::open(path).ok()?;
    match folder.try_lock_shared() {
        Ok(()) => Some(false),
        Err(TryLockError::WouldBlock) => Some(true),
        Err(TryLockError::Error(_)) => None,
    }
}

/// Makes `name` in `base`, or else `name-2`, `name-3`, …: a folder that was not there.
pub(super) fn new(base: &Path, name: &str) -> Result<PathBuf> {
    fs::create_dir_all(base).map_err(Error::io("creating", base))?;
    for name in free_names(name) {
        let path = base.join(name);
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("creating", &path)(error)),
        }
    }
    // Unreachable: there is always a next name.
    Err(Error::Internal("no name for the run is free"))
}

/// `name`, `name-2`, `name-3`, …
pub(super) fn free_names(name: &str) -> impl Iterator<Item = String> + use<> {
    let name = name.to_owned();
    std::iter::once(name.clone()).chain((2_u64..).map(move |number| format!("{name}-{number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_several_takers_gets_the_folder() {
        for overwrite in [false, true] {
            let base = tempfile::tempdir().unwrap();
            let path = base.path().join("run");
            let start = std::sync::Barrier::new(8);
            let take = || {
                start.wait();
                RunFolder::create(&path, overwrite)
            };
            let taken: Vec<_> = std::thread::scope(|scope| {
                let takers: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
                takers.into_iter().map(|one| one.join().unwrap()).collect()
            });
            let (taken, refused): (Vec<_>, Vec<_>) = taken.into_iter().partition(Result::is_ok);
            assert_eq!((taken.len(), refused.len()), (1, 7));
            for error in refused.into_iter().map(Result::unwrap_err) {
                let is_clear =
                    matches!(error, Error::FolderBusy { .. } | Error::FolderInUse { .. });
                assert!(is_clear, "{error}");
            }
        }
    }
}
