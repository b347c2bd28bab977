//! The files of a run folder, as they are written.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::json;
use super::responses_file::ResponsesWriter;
use super::run_summary::RunSummary;
use crate::payload::Payload;
use crate::{Error, InvocationResponse, Result};

pub(crate) const PAYLOAD_FILE: &str = "payload.jsonl";
pub(crate) const CONFIG_FILE: &str = "run_config.json";
pub(crate) const RESPONSES_FILE: &str = "responses.jsonl";
pub(crate) const SUMMARY_FILE: &str = "summary.json";
pub(crate) const STATS_FILE: &str = "stats.json";
/// The configuration that the Python system's files have no place for.
pub const OWN_CONFIG_FILE: &str = "llmeter.json";

const FILES: [&str; 6] = [
    PAYLOAD_FILE,
    CONFIG_FILE,
    RESPONSES_FILE,
    SUMMARY_FILE,
    STATS_FILE,
    OWN_CONFIG_FILE,
];

/// A folder that a run is written to.
///
/// Files that are written as a whole appear complete or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Takes a folder for a run, making it and its parents where they are missing. With
    /// `overwrite` the files of a run that is there are removed; other files are never touched.
    ///
    /// # Errors
    /// [`Error::FolderInUse`] if it holds a run and must not be overwritten; [`Error::Io`] if it
    /// cannot be made or cleared.
    pub fn create(path: impl Into<PathBuf>, overwrite: bool) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(Error::io("creating", &path))?;
        if overwrite {
            for name in FILES {
                remove(&path.join(name))?;
            }
        } else if Self::holds_run(&path) {
            return Err(Error::FolderInUse { path });
        }
        Ok(Self { path })
    }

    /// Makes a new folder for a run whose name was generated: `name` in `base`, or else `name-2`,
    /// `name-3`, … Two processes that do this at the same time get different folders.
    ///
    /// # Errors
    /// If a folder cannot be made.
    pub fn create_free(base: impl AsRef<Path>, name: &str) -> Result<Self> {
        let base = base.as_ref();
        fs::create_dir_all(base).map_err(Error::io("creating", base))?;
        loop {
            let path = base.join(Self::free_name(base, name));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("creating", &path)(error)),
            }
        }
    }

    /// The first of `name`, `name-2`, `name-3`, … that is not taken in `base`.
    pub fn free_name(base: impl AsRef<Path>, name: &str) -> String {
        let base = base.as_ref();
        let mut free = name.to_owned();
        let mut number = 1_u64;
        while base.join(&free).symlink_metadata().is_ok() {
            number += 1;
            free = format!("{name}-{number}");
        }
        free
    }

    /// Whether a folder holds a file of a run.
    pub fn holds_run(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        FILES.iter().any(|name| path.join(name).exists())
    }

    /// A folder that exists, whatever it holds.
    pub(crate) fn existing(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(Error::io("creating", &path))?;
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of payloads, for `run_config.json`.
    pub fn payload_path(&self) -> PathBuf {
        self.path.join(PAYLOAD_FILE)
    }

    /// Writes `payload.jsonl`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_payloads<'a>(
        &self,
        payloads: impl IntoIterator<Item = &'a Payload>,
    ) -> Result<()> {
        let mut lines = Vec::new();
        for payload in payloads {
            json::write_inline(&mut lines, payload);
            lines.push(b'\n');
        }
        self.replace(PAYLOAD_FILE, &lines)
    }

    /// Writes `run_config.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_config(&self, config: &Value) -> Result<()> {
        self.replace(CONFIG_FILE, &json::to_indented(config))
    }

    /// Writes `llmeter.json`: the configuration that `run_config.json` has no place for.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_own_config(&self, config: &Value) -> Result<()> {
        self.replace(OWN_CONFIG_FILE, &json::to_indented(config))
    }

    /// Opens `responses.jsonl` for appending.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn responses(&self) -> Result<ResponsesWriter> {
        let path = self.path.join(RESPONSES_FILE);
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path)
            .map_err(Error::io("opening", &path))?;
        Ok(ResponsesWriter::new(path, file))
    }

    /// Writes a whole `responses.jsonl`, unless there is one.
    pub(crate) fn add_responses(&self, responses: &[InvocationResponse]) -> Result<()> {
        let path = self.path.join(RESPONSES_FILE);
        if path.exists() {
            return Ok(());
        }
        let temporary = self.temporary(RESPONSES_FILE);
        let write = || {
            let file = File::create(&temporary).map_err(Error::io("creating", &temporary))?;
            let mut writer = ResponsesWriter::new(temporary.clone(), file);
            for response in responses {
                writer.append(response)?;
            }
            writer.flush()?;
            fs::rename(&temporary, &path).map_err(Error::io("writing", &path))
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
    }

    /// Copies `responses.jsonl` from another folder, unless there is one here or none there.
    pub(crate) fn copy_responses(&self, from: &Path) -> Result<()> {
        let (from, path) = (from.join(RESPONSES_FILE), self.path.join(RESPONSES_FILE));
        if path.exists() || !from.exists() {
            return Ok(());
        }
        let temporary = self.temporary(RESPONSES_FILE);
        fs::copy(&from, &temporary)
            .and_then(|_| fs::rename(&temporary, &path))
            .map_err(|error| {
                let _ = fs::remove_file(&temporary);
                Error::io("writing", &path)(error)
            })
    }

    /// Writes `stats.json`, then `summary.json`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_summary_and_stats(
        &self,
        summary: &RunSummary,
        stats: &Map<String, Value>,
    ) -> Result<()> {
        self.replace(STATS_FILE, &json::to_indented(stats))?;
        self.replace(SUMMARY_FILE, &json::to_indented(&summary.to_map()))
    }

    /// Writes a file so that it is, at any moment, the old one or the new one.
    fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        let temporary = self.temporary(name);
        let write = || {
            let mut file = File::create(&temporary)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        };
        write().map_err(|error| {
            let _ = fs::remove_file(&temporary);
            Error::io("writing", &path)(error)
        })
    }

    /// Where a file is made before it takes its name.
    fn temporary(&self, name: &str) -> PathBuf {
        self.path
            .join(format!(".{name}.{}.tmp", std::process::id()))
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::io("removing", path)(error))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_folder_with_a_run_is_refused_unless_it_may_be_overwritten() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a/run");
        let folder = RunFolder::create(&path, false).unwrap();
        fs::write(path.join("notes.txt"), "mine").unwrap();
        RunFolder::create(&path, false).unwrap();
        folder.write_config(&json!({"clients": 1})).unwrap();
        folder.write_own_config(&json!({})).unwrap();
        let error = RunFolder::create(&path, false).unwrap_err();
        assert!(matches!(error, Error::FolderInUse { .. }), "{error}");
        RunFolder::create(&path, true).unwrap();
        let left: Vec<_> = fs::read_dir(&path).unwrap().collect();
        assert_eq!(left.len(), 1, "only what is not the run's: {left:?}");
    }

    #[test]
    fn a_generated_name_moves_on_to_a_free_one() {
        let base = tempfile::tempdir().unwrap();
        assert_eq!(RunFolder::free_name(base.path(), "r"), "r");
        for name in ["r", "r-2", "r-3"] {
            let folder = RunFolder::create_free(base.path(), "r").unwrap();
            assert_eq!(folder.path(), base.path().join(name));
        }
        assert_eq!(RunFolder::free_name(base.path(), "r"), "r-4");
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        let error = RunFolder::create(file.join("run"), false).unwrap_err();
        assert!(error.to_string().contains("file/run"), "{error}");
    }

    #[test]
    fn files_are_written_as_python_writes_them_and_nothing_else_is_left() {
        let base = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(base.path(), false).unwrap();
        let payload = json!({"text": "é", "n": [1, 2]});
        folder
            .write_payloads([payload.as_object().unwrap()])
            .unwrap();
        folder.write_config(&json!({"a": {}, "b": [1]})).unwrap();
        let read = |name: &str| fs::read_to_string(base.path().join(name)).unwrap();
        assert_eq!(
            read(PAYLOAD_FILE),
            "{\"text\": \"\\u00e9\", \"n\": [1, 2]}\n"
        );
        assert_eq!(
            read(CONFIG_FILE),
            "{\n    \"a\": {},\n    \"b\": [\n        1\n    ]\n}"
        );
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 2);
    }
}
