//! Baselines: what runs are compared with, kept under names.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::LoadTestResult;
use super::compare::{PAYLOAD_DIGEST, payload_digest};
use crate::base::error::{Error, Result};
use crate::result::{CONFIG_FILE, OWN_CONFIG_FILE, RunResult, read_responses_of};
use crate::storage::Location;

/// Where the baselines of a project are, below its folder.
const FOLDER: &str = ".llmeter/baselines";

/// The baselines of a project: run folders without texts, in `.llmeter/baselines`.
///
/// What is kept of a run is what a comparison needs: its figures, its configuration and the numbers of its
/// responses. Prompts, payloads and texts of responses are left out, so that the folder can be kept with the
/// project's sources.
#[derive(Debug, Clone)]
pub struct Baselines {
    folder: PathBuf,
}

impl Baselines {
    /// Those of the project in this folder.
    pub fn of_project(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into().join(FOLDER),
        }
    }

    /// Where they are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Keeps a run, or a load test, as a baseline of this name. Gives its folder.
    ///
    /// # Errors
    /// If the name is none, if there is a baseline of the name and `overwrite` is false, if the run cannot be
    /// loaded, or the files cannot be written.
    pub fn save(&self, name: &str, from: impl Into<Location>, overwrite: bool) -> Result<PathBuf> {
        let from = from.into();
        let place = self.place(name)?;
        if exists(&place)? && !overwrite {
            return Err(Error::refused(
                "baseline",
                format!("there is one called {name} already; `overwrite` replaces it"),
            ));
        }
        fs::create_dir_all(&self.folder).map_err(Error::io("creating", &self.folder))?;
        // Complete, or not there.
        let made = tempfile::Builder::new()
            .prefix(".new-")
            .tempdir_in(&self.folder)
            .map_err(Error::io("creating", &self.folder))?;
        match RunResult::load_without_responses(from.clone()) {
            Err(Error::NotARun { .. }) if LoadTestResult::is_in(&from) => {
                for (_, level) in LoadTestResult::load_without_responses(from)?.results {
                    let path = level.summary.output_path.clone();
                    let path = path.ok_or_else(|| Error::missing_field("output_path"))?;
                    let level_name = path.file_name().unwrap_or_default();
                    keep(level, &path, made.path().join(level_name))?;
                }
            }
            result => keep(result?, &from, made.path().to_path_buf())?,
        }
        if exists(&place)? {
            fs::remove_dir_all(&place).map_err(Error::io("removing", &place))?;
        }
        readable(made.path())?;
        fs::rename(made.path(), &place).map_err(Error::io("writing", &place))?;
        Ok(place)
    }

    /// The names of the baselines, in alphabetical order.
    ///
    /// # Errors
    /// If the folder is there and cannot be read.
    pub fn list(&self) -> Result<Vec<String>> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(reason) if reason.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(reason) => return Err(Error::io("reading", &self.folder)(reason)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("reading", &self.folder))?;
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if let Some(name) = entry
                .file_name()
                .to_str()
                .filter(|name| is_folder && is_name(name))
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    /// The folder of a baseline.
    ///
    /// # Errors
    /// If there is none of this name; the message has those that there are.
    pub fn find(&self, name: &str) -> Result<Location> {
        let place = self.place(name)?;
        if exists(&place)? {
            return Ok(place.into());
        }
        let known = match self.list()?.as_slice() {
            [] => format!("there are none in {}", self.folder.display()),
            names => format!("there are {}", names.join(", ")),
        };
        Err(Error::refused(
            "baseline",
            format!("none is called {name}; {known}"),
        ))
    }

    /// Removes a baseline.
    ///
    /// # Errors
    /// As [`find`](Self::find), and if the folder cannot be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.find(name)?;
        let place = self.place(name)?;
        fs::remove_dir_all(&place).map_err(Error::io("removing", &place))
    }

    fn place(&self, name: &str) -> Result<PathBuf> {
        if !is_name(name) {
            let expected =
                "letters, digits, '-', '_' and '.', beginning with a letter, a digit or '_'";
            return Err(Error::field("baseline", format!("{name:?}"), expected));
        }
        Ok(self.folder.join(name))
    }
}

/// The name of a folder, and of no other.
fn is_name(name: &str) -> bool {
    let is_allowed = |letter: char| letter.is_alphanumeric() || "-_.".contains(letter);
    !name.is_empty()
        && name.len() <= 100
        && !name.starts_with(['.', '-'])
        && name.chars().all(is_allowed)
}

/// Whether a folder is there. A link in its place is refused: it leads to what somebody else chose.
fn exists(place: &PathBuf) -> Result<bool> {
    match fs::symlink_metadata(place) {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(_) => Err(Error::refused(
            "baseline",
            format!("{} is no folder", place.display()),
        )),
        Err(reason) if reason.kind() == ErrorKind::NotFound => Ok(false),
        Err(reason) => Err(Error::io("reading", place)(reason)),
    }
}

/// Temporary folders are the user's alone; a baseline is like other folders.
fn readable(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder, mode).map_err(Error::io("writing", folder))?;
    }
    let _ = folder;
    Ok(())
}

/// Writes what is kept of a run.
fn keep(mut result: RunResult, from: &Location, to: PathBuf) -> Result<()> {
    read_responses_of(from, |response| {
        let mut kept = response.clone();
        kept.response_text = None;
        kept.input_payload = None;
        kept.input_prompt = None;
        kept.annotations.clear();
        result.responses.push(kept);
    })?;
    let place = Location::from(to);
    result.save(Some(&place))?;
    for name in [CONFIG_FILE, OWN_CONFIG_FILE] {
        if let Some(content) = from.join(name).read_if_there()? {
            place.join(name).write_blocking(content)?;
        }
    }
    if let Some(digest) = payload_digest(from) {
        place.join(PAYLOAD_DIGEST).write_blocking(digest)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::InvocationResponse;
    use crate::experiment::Measured;
    use crate::result::RunSummary;

    fn run(folder: &Path) -> Location {
        let response = InvocationResponse {
            id: Some("a".into()),
            response_text: Some("secret text".into()),
            time_to_last_token: Some(0.5),
            annotations: json!({"label": "secret text"})
                .as_object()
                .unwrap()
                .clone()
                .into(),
            ..InvocationResponse::default()
        };
        let summary = RunSummary {
            total_requests: Some(1),
            ..RunSummary::default()
        };
        let place = Location::from(folder.join("run"));
        RunResult::from_responses(summary, vec![response])
            .save(Some(&place))
            .unwrap();
        place
            .join("payload.jsonl")
            .write_blocking("{\"prompt\": \"secret text\"}\n")
            .unwrap();
        place
    }

    #[test]
    fn a_baseline_keeps_figures_and_no_texts() {
        let project = tempfile::tempdir().unwrap();
        let from = run(project.path());
        let baselines = Baselines::of_project(project.path());
        assert_eq!(baselines.list().unwrap(), [""; 0]);
        let place = baselines.save("main", from.clone(), false).unwrap();
        for entry in fs::read_dir(&place).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            assert!(!text.contains("secret"), "{text}");
        }
        let kept = RunResult::load(place).unwrap();
        assert_eq!(kept.responses[0].time_to_last_token, Some(0.5));
        assert_eq!(
            payload_digest(&from),
            payload_digest(&baselines.find("main").unwrap())
        );
        Measured::load(baselines.find("main").unwrap()).unwrap();

        let refused = baselines.save("main", from.clone(), false).unwrap_err();
        assert!(refused.to_string().contains("`overwrite`"), "{refused}");
        baselines.save("main", from.clone(), true).unwrap();
        baselines.save("other", from, false).unwrap();
        assert_eq!(baselines.list().unwrap(), ["main", "other"]);
        baselines.remove("main").unwrap();
        let missing = baselines.find("main").unwrap_err().to_string();
        assert_eq!(missing, "baseline: none is called main; there are other");
    }

    #[test]
    fn a_name_is_one_folder() {
        let project = tempfile::tempdir().unwrap();
        let baselines = Baselines::of_project(project.path());
        for name in ["", ".", "..", "a/b", "../x", ".hidden", "a\0b", "a b"] {
            assert!(baselines.find(name).is_err(), "{name}");
            assert!(baselines.remove(name).is_err(), "{name}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_no_baseline() {
        let project = tempfile::tempdir().unwrap();
        let from = run(project.path());
        let elsewhere = project.path().join("elsewhere");
        fs::create_dir_all(&elsewhere).unwrap();
        let folder = project.path().join(FOLDER);
        fs::create_dir_all(&folder).unwrap();
        std::os::unix::fs::symlink(&elsewhere, folder.join("main")).unwrap();
        let baselines = Baselines::of_project(project.path());
        assert!(baselines.remove("main").is_err());
        assert!(baselines.save("main", from, true).is_err());
        assert!(elsewhere.is_dir());
        assert_eq!(baselines.list().unwrap(), [""; 0]);
    }
}
