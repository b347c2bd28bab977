//! The files of a run folder, as they are written.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use super::line_writer::write_sent;
use super::mirror::{Mirror, Order};
use super::responses_file::ResponsesWriter;
use super::run_summary::RunSummary;
use super::saved_folder::SavedFolder;
use super::unwritten::Unwritten;
use super::{cloud_folder, earlier, json, local_folder};
use crate::base::file::{self, Access};
use crate::payload::Payload;
use crate::storage::{CloudUrl, Location, Usable, replace, replace_with};
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

/// Room that a run keeps for its last files, in bytes.
const RESERVE: usize = 32 * 1024;

/// A folder that a run is written to.
///
/// A process that writes beyond its limit of the size of files gets the signal SIGXFSZ, which ends it
/// unless it is caught or ignored; then the write fails, as one to a full disk does.
///
/// Files that are written as a whole appear complete or not at all. A folder in the cloud is
/// written to a staging folder on this machine first, and mirrored from there: what is written as
/// a whole at once, the responses in parts while they come. The staging folder is removed when
/// everything is uploaded, and only then; nobody but its user can read it. Who can read a folder of this
/// machine is up to the process's umask.
///
/// No link is followed when its files are written, except that the folder itself may be one.
#[derive(Debug)]
pub struct RunFolder {
    location: Location,
    /// Where the files are written: the folder, or the staging folder of one in the cloud.
    path: PathBuf,
    mirror: Option<Mirror>,
    /// Takes the room of the last files, so that responses that fill the disk leave it to them. It has
    /// no name: nothing is left of it if the process ends.
    reserve: Mutex<Option<File>>,
    /// Keeps other runs from a folder of this machine while it is open.
    _lock: Option<File>,
}

/// `payload.jsonl`.
pub(crate) fn payload_lines<'a>(payloads: impl IntoIterator<Item = &'a Payload>) -> Vec<u8> {
    let mut lines = Vec::new();
    for payload in payloads {
        write_sent(&mut lines, payload);
        lines.push(b'\n');
    }
    lines
}

impl RunFolder {
    /// Takes a folder for a run, making it and its parents where they are missing. With
    /// `overwrite` the files of a run or an experiment that is there are removed; other files are never
    /// touched.
    ///
    /// Of several runs that take one folder at the same time, exactly one gets it. A folder of this
    /// machine is that run's alone until this value is dropped, `overwrite` or not, on file systems
    /// that have locks.
    ///
    /// # Errors
    /// [`Error::FolderInUse`] if it holds a run and must not be overwritten, [`Error::FolderBusy`] if
    /// another run writes to it; [`Error::Io`] or [`Error::Storage`] if it cannot be made or cleared.
    pub fn create(location: impl Into<Location>, overwrite: bool) -> Result<Self> {
        let location = location.into();
        earlier::take_from_experiment(&location, overwrite)?;
        match location.usable()? {
            Usable::Cloud(url) => {
                cloud_folder::claim(url, overwrite)?;
                Self::of_claim(&location)
            }
            Usable::Local(path) => {
                fs::create_dir_all(path).map_err(Error::io("creating", path))?;
                Self::take(location.clone(), path, overwrite)
            }
        }
    }

    /// Takes a folder of this machine that exists.
    fn take(location: Location, path: &Path, overwrite: bool) -> Result<Self> {
        Ok(Self {
            _lock: local_folder::claim(path, overwrite)?,
            ..Self::local(location, path.to_path_buf())
        })
    }

    /// Gives back a folder whose run does not start: nothing of the run is left in it.
    pub(crate) fn release(self) {
        for name in RUN_FILES {
            let _ = fs::remove_file(self.path.join(name));
        }
        if self.mirror.is_none() {
            // Goes if nothing else is in it.
            let _ = fs::remove_dir(&self.path);
        }
        if let Ok(Usable::Cloud(url)) = self.location.usable()
            && let Err(reason) = cloud_folder::release(url)
        {
            tracing::warn!(%reason, "the folder of a run that did not start is left over");
        }
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
                return Self::of_claim(&base.join(cloud_folder::free_name(url, name, true)?));
            }
        };
        loop {
            let path = local_folder::new(local_base, name)?;
            match Self::take(path.as_path().into(), &path, false) {
                // A run that was given this very name was faster.
                Err(Error::FolderInUse { .. } | Error::FolderBusy { .. }) => {}
                taken => return taken,
            }
        }
    }

    /// Makes a new folder for the folders of several runs, in the way of
    /// [`create_free`](Self::create_free). In the cloud, where there are no empty folders, its first
    /// run makes it.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create_group(base: impl Into<Location>, name: &str) -> Result<Location> {
        let base = base.into();
        match base.usable()? {
            Usable::Local(path) => Ok(local_folder::new(path, name)?.into()),
            Usable::Cloud(url) => Ok(base.join(cloud_folder::free_name(url, name, false)?)),
        }
    }

    /// Whether a folder on this machine holds a file of a run.
    pub fn holds_run(path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        let mut names = RUN_FILES.iter();
        // A link to nowhere would be written through.
        names.any(|name| file::is_taken(&path.join(name)))
    }

    /// Whether a run of this or another process writes to a folder of this machine at this moment; `None`
    /// where the file system cannot tell.
    pub fn is_being_written(path: impl AsRef<Path>) -> Option<bool> {
        local_folder::is_locked(path.as_ref())
    }

    /// A folder in the cloud that is claimed.
    fn of_claim(location: &Location) -> Result<Self> {
        Self::existing(location).inspect_err(|_| {
            if let Ok(Usable::Cloud(url)) = location.usable() {
                // The reason why nothing is written tells enough.
                let _ = cloud_folder::release(url);
            }
        })
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
            reserve: Mutex::default(),
            _lock: None,
        }
    }

    fn mirrored(location: Location, url: &CloudUrl) -> Result<Self> {
        let mirror = Mirror::start(url)?;
        Ok(Self {
            location,
            path: mirror.staging().to_path_buf(),
            mirror: Some(mirror),
            reserve: Mutex::default(),
            _lock: None,
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
        self.write(PAYLOAD_FILE, &payload_lines(payloads))
    }

    /// Writes `payload.jsonl` as another run has it.
    pub(crate) fn write_payload_text(&self, text: &[u8]) -> Result<()> {
        self.write(PAYLOAD_FILE, text)
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
        let file = file::append(&path, self.access()).map_err(Error::io("opening", &path))?;
        let writer = ResponsesWriter::new(path, file)?;
        self.mirror(Order::Follow)?;
        Ok(writer)
    }

    /// Keeps room for `stats.json` and `summary.json`, as far as there is some.
    pub(crate) fn reserve(&self) {
        let Ok(mut file) = tempfile::tempfile_in(&self.path) else {
            return;
        };
        // What is taken before the disk is full is kept, too.
        let _ = file.write_all(&[0; RESERVE]);
        *self.reserve.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
    }

    /// Writes a whole `responses.jsonl`, unless there is one.
    pub(crate) fn add_responses(&self, responses: &[InvocationResponse]) -> Result<()> {
        if self.has_responses()? {
            return Ok(());
        }
        let path = self.path.join(RESPONSES_FILE);
        replace_with(&path, self.access(), |file| {
            let mut writer = ResponsesWriter::new(path.clone(), file)?;
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
        let mut from = file::open_unlinked(&from).map_err(Error::io("reading", &from))?;
        replace_with(&path, self.access(), |mut to| {
            let copied = std::io::copy(&mut from, &mut to).map(drop);
            copied.map_err(Error::io("writing", &path))
        })
    }

    fn has_responses(&self) -> Result<bool> {
        let is_here = file::is_taken(&self.path.join(RESPONSES_FILE));
        match &self.mirror {
            Some(mirror) if !is_here => mirror.order(Order::HasResponses),
            _ => Ok(is_here),
        }
    }

    /// Appends responses to `responses.jsonl`, which has those before them; tells how many.
    pub(crate) fn append_responses(&self, missing: &[InvocationResponse]) -> Result<u64> {
        let mut writer = self.responses()?;
        for response in missing {
            if writer.append(response).is_err() {
                break;
            }
        }
        // What cannot be written is counted by `close`.
        let _ = writer.flush();
        Ok(writer.close())
    }

    /// Writes `stats.json`, then `summary.json`: the run is complete. In the cloud, what is not
    /// there yet is uploaded. A file that cannot be written does not keep the other from being so.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn write_summary_and_stats(
        &self,
        summary: &RunSummary,
        stats: &Map<String, Value>,
    ) -> Result<()> {
        for (_, written) in self.write_last_files(summary, stats) {
            written?;
        }
        self.mirror(Order::Complete)
    }

    fn write_last_files(
        &self,
        summary: &RunSummary,
        stats: &Map<String, Value>,
    ) -> [(&'static str, Result<()>); 2] {
        let reserve = &self.reserve;
        drop(
            reserve
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let access = self.access();
        let write = |name: &'static str, content: &[u8]| {
            (name, replace(&self.path.join(name), content, access))
        };
        [
            write(STATS_FILE, &json::to_indented(stats)),
            write(SUMMARY_FILE, &json::to_indented(summary)),
        ]
    }

    /// Ends a run's folder as [`write_summary_and_stats`](Self::write_summary_and_stats) does. What
    /// cannot be written does not undo the run.
    pub(crate) fn finish(self, summary: &RunSummary, stats: &Map<String, Value>) -> Vec<Unwritten> {
        let written = self.write_last_files(summary, stats).into_iter();
        let mut unwritten: Vec<_> = written
            .filter_map(|(name, written)| {
                let reason = Arc::new(written.err()?);
                Some(Unwritten::File { name, reason })
            })
            .collect();
        if let Some(mirror) = &self.mirror
            && let Err(reason) = mirror.order(Order::Complete)
        {
            unwritten.push(Unwritten::Upload {
                location: self.location.clone(),
                staging: mirror.keep_staging().to_path_buf(),
                reason: Arc::new(reason),
            });
        }
        unwritten
    }

    /// Writes a file as a whole, to the end.
    fn write(&self, name: &'static str, content: &[u8]) -> Result<()> {
        replace(&self.path.join(name), content, self.access())?;
        self.mirror(Order::Upload(name))
    }

    /// Who may read its files: of a folder in the cloud, nobody else while they are here.
    fn access(&self) -> Access {
        match self.mirror {
            Some(_) => Access::Owner,
            None => Access::Umask,
        }
    }

    /// Has the mirror do something, if there is one.
    fn mirror(&self, order: Order) -> Result<()> {
        match &self.mirror {
            Some(mirror) => mirror.order(order).map(drop),
            None => Ok(()),
        }
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
        folder.write_config(&json!({"clients": 1})).unwrap();
        for overwrite in [false, true] {
            let error = RunFolder::create(&path, overwrite).unwrap_err();
            assert!(matches!(error, Error::FolderBusy { .. }), "{error}");
        }
        drop(folder);
        let error = RunFolder::create(&path, false).unwrap_err();
        assert!(matches!(error, Error::FolderInUse { .. }), "{error}");
        let folder = RunFolder::create(&path, true).unwrap();
        assert_eq!(names(&path), ["llmeter.json", "notes.txt"]);
        folder.release();
        assert_eq!(names(&path), ["notes.txt"], "only what is not the run's");
        RunFolder::create(&path, false).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_that_is_given_up_is_gone() {
        let base = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(base.path().join("run"), false).unwrap();
        folder.write_config(&json!({"clients": 1})).unwrap();
        folder.release();
        assert_eq!(names(base.path()), [""; 0]);
    }

    #[test]
    fn a_generated_name_moves_on_to_a_free_one() {
        let base = tempfile::tempdir().unwrap();
        for name in ["r", "r-2", "r-3"] {
            let folder = RunFolder::create_free(base.path(), "r").unwrap();
            assert_eq!(folder.location(), &base.path().join(name).into());
        }
        let group = RunFolder::create_group(base.path(), "r").unwrap();
        assert_eq!(group, base.path().join("r-4").into());
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
        assert_eq!(read(OWN_CONFIG_FILE), "{}");
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 3);
    }
}
