//! Run folders below a folder.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs::{self, DirEntry, Metadata};
use std::path::Path;
use std::time::UNIX_EPOCH;

use super::folder::{
    CONFIG_FILE, OWN_CONFIG_FILE, PARTS_FOLDER, RESPONSES_FILE, STATS_FILE, SUMMARY_FILE,
};
use crate::base::runtime::block_on;
use crate::storage::{FoundObject, Location, Store, Usable};
use crate::{Error, Result};

/// Folders within folders that are looked at.
const MAX_DEPTH: usize = 8;
/// A folder with one of these is a run's.
const OF_RUN: [&str; 4] = [SUMMARY_FILE, STATS_FILE, RESPONSES_FILE, PARTS_FOLDER];

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct FoundFolders {
    pub(crate) folders: Vec<FoundFolder>,
    /// Folders that could not be read, and why, a line each.
    pub(crate) unread: Vec<String>,
}

/// A folder that holds a run or a marked file.
#[derive(Debug, Clone)]
pub(crate) struct FoundFolder {
    pub(crate) location: Location,
    /// Its path below the folder that was searched, with slashes; empty for that one. What is no text in it is in
    /// hexadecimal digits, so that folders are told apart: `\xff`.
    pub(crate) name: String,
    pub(crate) is_run: bool,
    /// Those of the wanted files that it has.
    pub(crate) files: Vec<FoundFile>,
    /// When the last of a run's objects was written, in nanoseconds since 1970; 0 for a folder of this machine.
    pub(crate) written: i64,
}

/// A file, and what tells whether it was written again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFile {
    pub(crate) name: String,
    pub(crate) size: u64,
    /// Nanoseconds since 1970; 0 where the system does not tell.
    pub(crate) modified: i64,
}

/// The run folders below a folder, in order of their paths; the folder itself, if it is one.
///
/// Looked at are eight levels of folders. Links are not followed, what lies within a run folder is not
/// looked at, and folders that cannot be read are passed over.
///
/// # Errors
/// If the folder itself cannot be read.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// std::fs::create_dir_all(folder.path().join("tests/nightly"))?;
/// std::fs::write(folder.path().join("tests/nightly/summary.json"), "{}")?;
/// let found = llmeter::result::find_runs(&folder.path().into())?;
/// assert_eq!(found, [folder.path().join("tests/nightly").into()]);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub fn find_runs(folder: &Location) -> Result<Vec<Location>> {
    let found = find_folders(folder, &[], &[])?.folders.into_iter();
    Ok(found
        .filter(|found| found.is_run)
        .map(|found| found.location)
        .collect())
}

/// As [`find_runs`], with the `wanted` files of each folder, and with folders that have one of the `marks`. Where
/// [`OWN_CONFIG_FILE`] is one, the classes of a mix are found, which lie in its folder.
pub(crate) fn find_folders(
    folder: &Location,
    wanted: &'static [&'static str],
    marks: &'static [&'static str],
) -> Result<FoundFolders> {
    match folder.usable()? {
        Usable::Local(path) => find_local(folder, path, wanted, marks),
        Usable::Cloud(url) => {
            let (url, folder) = (url.clone(), folder.clone());
            block_on(async move {
                let objects = Store::open(&url)?.list_below().await?;
                Ok(FoundFolders {
                    folders: of_objects(&folder, &objects, wanted, marks),
                    unread: Vec::new(),
                })
            })
        }
    }
}

fn find_local(
    folder: &Location,
    path: &Path,
    wanted: &[&str],
    marks: &[&str],
) -> Result<FoundFolders> {
    let mut found = FoundFolders::default();
    let mut unread = vec![(path.to_path_buf(), String::new(), 0)];
    while let Some((path, name, depth)) = unread.pop() {
        let entries = match entries(&path) {
            Ok(entries) => entries,
            Err(error) if depth == 0 => return Err(error),
            Err(error) => {
                found.unread.push(error.to_string());
                continue;
            }
        };
        let has_any = |of: &[&str]| entries.iter().any(|(name, _)| of.contains(&name.as_str()));
        let is_run = has_any(&OF_RUN);
        if is_run || has_any(marks) {
            let file = |(name, entry): &(String, DirEntry)| {
                // Not of what a link leads to.
                let metadata = entry.metadata().ok().filter(Metadata::is_file)?;
                Some(FoundFile {
                    name: name.clone(),
                    size: metadata.len(),
                    modified: modified(&metadata),
                })
            };
            let files = entries
                .iter()
                .filter(|(name, _)| wanted.contains(&name.as_str()));
            found.folders.push(FoundFolder {
                location: match name.as_str() {
                    "" => folder.clone(),
                    // Its name may be no text.
                    _ => Location::from(path.as_path()),
                },
                name: name.clone(),
                is_run,
                files: files.filter_map(file).collect(),
                written: 0,
            });
        }
        let names = || entries.iter().map(|(name, _)| name.as_str());
        if is_run && !may_be_mix(names(), marks) || depth == MAX_DEPTH {
            continue;
        }
        // The last one is looked at first.
        for (below, entry) in entries.iter().rev() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                unread.push((entry.path(), joined(&name, below), depth + 1));
            }
        }
    }
    Ok(found)
}

/// Whether a run's folder may be that of a mix, which has no configuration of a run, and whether that is asked for.
fn may_be_mix<'n>(names: impl Iterator<Item = &'n str> + Clone, marks: &[&str]) -> bool {
    let has = |wanted: &str| names.clone().any(|name| name == wanted);
    marks.contains(&OWN_CONFIG_FILE) && has(OWN_CONFIG_FILE) && !has(CONFIG_FILE)
}

/// What is in a folder, by names.
fn entries(path: &Path) -> Result<Vec<(String, DirEntry)>> {
    let failed = || Error::io("reading", path);
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        entries.push((shown(&entry.file_name()), entry));
    }
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(entries)
}

/// A name as text, from which names that are none are told apart.
fn shown(name: &OsStr) -> String {
    let mut text = String::new();
    for part in name.as_encoded_bytes().utf8_chunks() {
        text.push_str(part.valid());
        for byte in part.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn modified(metadata: &Metadata) -> i64 {
    let since = metadata.modified().ok();
    let since = since.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

fn joined(folder: &str, name: &str) -> String {
    match folder {
        "" => name.to_owned(),
        folder => format!("{folder}/{name}"),
    }
}

/// The folders that objects stand for.
fn of_objects(
    folder: &Location,
    objects: &[FoundObject],
    wanted: &[&str],
    marks: &[&str],
) -> Vec<FoundFolder> {
    use std::collections::BTreeMap;

    let mut folders: BTreeMap<Vec<&str>, (bool, Vec<FoundFile>, i64)> = BTreeMap::new();
    for object in objects {
        let mut path: Vec<&str> = object.name.split('/').collect();
        // What lies in a folder of parts tells of the folder that has it.
        let in_parts = path.iter().position(|name| *name == PARTS_FOLDER);
        path.truncate(in_parts.map_or(path.len(), |at| at + 1));
        let Some(name) = path.pop() else {
            continue;
        };
        let (is_run, is_marked) = (OF_RUN.contains(&name), marks.contains(&name));
        let is_wanted = wanted.contains(&name);
        if path.len() > MAX_DEPTH || !(is_run || is_marked || is_wanted) {
            continue;
        }
        let (run, files, written) = folders.entry(path).or_default();
        *run |= is_run;
        *written = object.modified.max(*written);
        if is_wanted {
            files.push(FoundFile {
                name: name.to_owned(),
                size: object.size,
                modified: object.modified,
            });
        }
    }
    let runs: Vec<Vec<&str>> = folders
        .iter()
        .filter(|(_, (is_run, files, _))| {
            let names = files.iter().map(|file| file.name.as_str());
            *is_run && !may_be_mix(names, marks)
        })
        .map(|(path, _)| path.clone())
        .collect();
    let is_within_run = |path: &[&str]| {
        let mut above = (0..path.len()).map(|length| path[..length].to_vec());
        above.any(|above| runs.binary_search(&above).is_ok())
    };
    let mut found = Vec::new();
    for (path, (is_run, files, written)) in &folders {
        let is_marked = files.iter().any(|file| marks.contains(&file.name.as_str()));
        if (*is_run || is_marked) && !is_within_run(path) {
            let name = path.join("/");
            found.push(FoundFolder {
                location: match name.as_str() {
                    "" => folder.clone(),
                    name => folder.join(name),
                },
                name,
                is_run: *is_run,
                files: files.clone(),
                written: *written,
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_stand_for_folders() {
        let object = |name: &str| FoundObject {
            name: name.to_owned(),
            size: 3,
            modified: 7,
        };
        let objects = [
            "b/summary.json",
            "b/inner/summary.json",
            "a/responses.jsonl.parts/000001",
            "a/run_config.json",
            "test/ab.json",
            "test/00001-a/stats.json",
            "notes/run_config.json",
            "1/2/3/4/5/6/7/8/9/stats.json",
        ]
        .map(object);
        let folder = Location::from("runs");
        let found = of_objects(
            &folder,
            &objects,
            &["run_config.json", "ab.json"],
            &["ab.json"],
        );
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.name.as_str(), one.is_run, one.files.len()))
            .collect();
        assert_eq!(
            found,
            [
                ("a", true, 1),
                ("b", true, 0),
                ("test", false, 1),
                ("test/00001-a", true, 0)
            ]
        );
    }
}
