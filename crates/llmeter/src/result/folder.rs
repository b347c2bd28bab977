//! The files of a run folder, as they are written.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::line_writer::write_sent;
use super::mirror::{Mirror, Order};
use super::responses_file::ResponsesWriter;
use super::run_summary::RunSummary;
use super::saved_folder::SavedFolder;
use super::{cloud_folder, json};
use crate::payload::Payload;
use crate::storage::{CloudUrl, Location, Usable, delete, replace, replace_with};
use crate::{Error, InvocationResponse, Result};

pub(crate) const PAYLOAD_FILE: &str = "payload.jsonl";
pub(crate) const CONFIG_FILE: &str = "run_config.json";
pub(crate) const RESPONSES_FILE: &str = "responses.jsonl";
pub(crate) const SUMMARY_FILE: &str = "summary.json";
pub(crate) const STATS_FILE: &str = "stats.json";
/// The configuration that the Python system's files have no place for.
pub const OWN_CONFIG_FILE: &str = "llmeter.json";

/// Where the parts of the responses of a run in the cloud are until it is complete.
pub(crate) const PARTS_FOLDER: &str = "responses.jsonl.parts";

/// The files of a run, in the order in which they are written.
pub const RUN_FILES: [&str; 6] = [
    PAYLOAD_FILE,
    CONFIG_FILE,
    RESPONSES_FILE,
    SUMMARY_FILE,
    STATS_FILE,
    OWN_CONFIG_FILE,
];

/// A folder that a run is written to.
///
/// Files that are written as a whole appear complete or not at all. A folder in the cloud is
/// written to a staging folder on this machine first, and mirrored from there: what is written as
/// a whole at once, the responses in parts while they come. The staging folder is removed when
/// everything is uploaded, and only then.
#[derive(Debug)]
pub struct RunFolder {
    location: Location,
    /// Where the files are written: the folder, or the staging folder of one in the cloud.
    path: PathBuf,
    mirror: Option<Mirror>,
}

impl RunFolder {
    /// Takes a folder for a run, making it and its parents where they are missing. With
    /// `overwrite` the files of a run that is there are removed; other files are never touched.
    ///
    /// # Errors
    /// [`Error::FolderInUse`] if it holds a run and must not be overwritten; [`Error::Io`] or
    /// [`Error::Storage`] if it cannot be made or cleared.
    pub fn create(location: impl Into<Location>, overwrite: bool) -> Result<Self> {
        let location = location.into();
        if let Usable::Cloud(url) = location.usable()? {
            cloud_folder::claim(url, overwrite)?;
            return Self::existing(&location);
        }
        let folder = Self::existing(&location)?;
        if overwrite {
            for name in RUN_FILES {
                delete(&folder.path.join(name))?;
            }
        } else if Self::holds_run(&folder.path) {
            return Err(Error::FolderInUse {
                path: location.to_string(),
            });
        }
        Ok(folder)
    }

    /// Makes a new folder for a run whose name was generated: `name` in `base`, or else `name-2`,
    /// `name-3`, … Two processes that do this at the same time get different folders.
    ///
    /// # Errors
    /// If a folder cannot be made.
    pub fn create_free(base: impl Into<Location>, name: &str) -> Result<Self> {
        let base = base.into();
        let local_base = match base.usable()? {
            Usable::Local(path) => path,
            Usable::Cloud(url) => {
                return Self::existing(&base.join(cloud_folder::free_name(url, name, true)?));
            }
        };
        fs::create_dir_all(local_base).map_err(Error::io("creating", local_base))?;
        loop {
            let path = local_base.join(free_local_name(local_base, name));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self::local(path.as_path().into(), path)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("creating", &path)(error)),
            }
        }
    }

    /// The first of `name`, `name-2`, `name-3`, … that is not taken in `base`.
    ///
    /// # Errors
    /// If a folder in the cloud cannot be listed.
    pub fn free_name(base: impl Into<Location>, name: &str) -> Result<String> {
        match base.into().usable()? {
            Usable::Local(base) => Ok(free_local_name(base, name)),
            Usable::Cloud(url) => cloud_folder::free_name(url, name, false),
        }
    }

    /// Whether a folder on this machine holds a file of a run.
    pub fn holds_run(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        RUN_FILES.iter().any(|name| path.join(name).exists())
    }

    /// A folder that exists, whatever it holds.
    pub(crate) fn existing(location: &Location) -> Result<Self> {
        match location.usable()? {
            Usable::Local(path) => {
                fs::create_dir_all(path).map_err(Error::io("creating", path))?;
                Ok(Self::local(location.clone(), path.to_path_buf()))
            }
            Usable::Cloud(url) => Self::mirrored(location.clone(), url),
        }
    }

    fn local(location: Location, path: PathBuf) -> Self {
        Self {
            location,
            path,
            mirror: None,
        }
    }

    fn mirrored(location: Location, url: &CloudUrl) -> Result<Self> {
        let mirror = Mirror::start(url)?;
        Ok(Self {
            location,
            path: mirror.staging().to_path_buf(),
            mirror: Some(mirror),
        })
    }

    /// Where it is, as files and messages name it.
    pub fn location(&self) -> &Location {
        &self.location
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
            write_sent(&mut lines, payload);
            lines.push(b'\n');
        }
        self.write(PAYLOAD_FILE, &lines)
    }

    /// Writes `run_config.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_config(&self, config: &Value) -> Result<()> {
        self.write(CONFIG_FILE, &json::to_indented(config))
    }

    /// Writes `llmeter.json`: the configuration that `run_config.json` has no place for.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_own_config(&self, config: &Value) -> Result<()> {
        self.write(OWN_CONFIG_FILE, &json::to_indented(config))
    }

    /// Opens `responses.jsonl` for appending. In the cloud, what is appended is uploaded in parts.
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
        self.mirror(Order::Follow)?;
        Ok(ResponsesWriter::new(path, file))
    }

    /// Writes a whole `responses.jsonl`, unless there is one.
    pub(crate) fn add_responses(&self, responses: &[InvocationResponse]) -> Result<()> {
        if self.has_responses()? {
            return Ok(());
        }
        replace_with(&self.path.join(RESPONSES_FILE), |path| {
            let file = File::create(path).map_err(Error::io("creating", path))?;
            let mut writer = ResponsesWriter::new(path.to_path_buf(), file);
            responses
                .iter()
                .try_for_each(|response| writer.append(response))?;
            writer.flush()
        })
    }

    /// Copies `responses.jsonl` from another folder, unless there is one here or none there.
    pub(crate) fn copy_responses(&self, from: &Location) -> Result<()> {
        if self.has_responses()? {
            return Ok(());
        }
        let Ok(from) = SavedFolder::open(from) else {
            return Ok(());
        };
        let Some(from) = from.responses()? else {
            return Ok(());
        };
        let path = self.path.join(RESPONSES_FILE);
        replace_with(&path, |temporary| {
            let copied = fs::copy(&from, temporary).map(drop);
            copied.map_err(Error::io("writing", &path))
        })
    }

    fn has_responses(&self) -> Result<bool> {
        let is_here = self.path.join(RESPONSES_FILE).exists();
        match &self.mirror {
            Some(mirror) if !is_here => mirror.order(Order::HasResponses),
            _ => Ok(is_here),
        }
    }

    /// Writes `stats.json`, then `summary.json`: the run is complete. In the cloud, what is not
    /// there yet is uploaded.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_summary_and_stats(
        &self,
        summary: &RunSummary,
        stats: &Map<String, Value>,
    ) -> Result<()> {
        let write = |name: &str, content: &[u8]| replace(&self.path.join(name), content);
        write(STATS_FILE, &json::to_indented(stats))?;
        write(SUMMARY_FILE, &json::to_indented(summary))?;
        self.mirror(Order::Complete)
    }

    /// Ends a run's folder as [`write_summary_and_stats`](Self::write_summary_and_stats) does. That
    /// an upload fails does not undo the run: the warning then says where the files are.
    pub(crate) fn finish(
        self,
        summary: &RunSummary,
        stats: &Map<String, Value>,
    ) -> Result<Option<String>> {
        let Err(reason) = self.write_summary_and_stats(summary, stats) else {
            return Ok(None);
        };
        let Some(mirror) = self.mirror else {
            return Err(reason);
        };
        Ok(Some(format!(
            "the results are not completely in {}: {reason}; all files are in {}",
            self.location,
            mirror.keep_staging().display()
        )))
    }

    /// Writes a file as a whole, to the end.
    fn write(&self, name: &'static str, content: &[u8]) -> Result<()> {
        replace(&self.path.join(name), content)?;
        self.mirror(Order::Upload(name))
    }

    /// Has the mirror do something, if there is one.
    fn mirror(&self, order: Order) -> Result<()> {
        match &self.mirror {
            Some(mirror) => mirror.order(order).map(drop),
            None => Ok(()),
        }
    }
}

fn free_local_name(base: &Path, name: &str) -> String {
    free_names(name)
        .find(|name| base.join(name).symlink_metadata().is_err())
        .unwrap_or_else(|| name.to_owned())
}

/// `name`, `name-2`, `name-3`, …
pub(super) fn free_names(name: &str) -> impl Iterator<Item = String> + use<> {
    let name = name.to_owned();
    std::iter::once(name.clone()).chain((2_u64..).map(move |number| format!("{name}-{number}")))
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
        assert_eq!(RunFolder::free_name(base.path(), "r").unwrap(), "r");
        for name in ["r", "r-2", "r-3"] {
            let folder = RunFolder::create_free(base.path(), "r").unwrap();
            assert_eq!(folder.location(), &base.path().join(name).into());
        }
        assert_eq!(RunFolder::free_name(base.path(), "r").unwrap(), "r-4");
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
