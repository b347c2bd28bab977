//! What earlier runs and experiments left in a folder that a new one is to have.
//!
//! Belongs here: which files and folders those are, and how they give way. How a run takes its folder
//! is in `folder`.

use std::fs;

use super::folder::RUN_FILES;
use super::{RunFolder, cloud_folder};
use crate::base::file;
use crate::base::runtime::block_on;
use crate::storage::{Location, Store, Usable, delete};
use crate::{Error, Result};

/// The file of a heatmap, beside those of its run.
pub(crate) const HEATMAP_FILE: &str = "heatmap.json";
/// The file of an A/B test.
pub(crate) const AB_FILE: &str = "ab.json";
/// The file of a search for capacity.
pub(crate) const CAPACITY_FILE: &str = "capacity.json";
const EXPERIMENT_FILES: [&str; 3] = [HEATMAP_FILE, AB_FILE, CAPACITY_FILE];
/// The deepest that runs lie in an experiment's folder: the levels of repeated load tests.
const MAX_DEPTH: u32 = 2;

/// Takes a folder for an experiment of several runs. With `overwrite` what an earlier run or experiment left
/// in it goes; other files are never touched.
///
/// # Errors
/// [`Error::FolderInUse`] if something is there and must not be overwritten; if it cannot be removed.
pub fn take(folder: &Location, overwrite: bool) -> Result<()> {
    if overwrite {
        return clear(folder, MAX_DEPTH, true);
    }
    match is_there(folder, MAX_DEPTH) {
        true => Err(in_use(folder)),
        false => Ok(()),
    }
}

/// [`take`] for a single run, but for the files of runs, which are taken by `folder`.
pub(super) fn take_from_experiment(folder: &Location, overwrite: bool) -> Result<()> {
    if overwrite {
        return clear(folder, MAX_DEPTH, false);
    }
    let names = folder.list_blocking().unwrap_or_default();
    let is_own = |name: &String| EXPERIMENT_FILES.contains(&name.as_str());
    let mut members = members(folder, &names);
    match names.iter().any(is_own) || members.any(|member| is_there(&member, MAX_DEPTH - 1)) {
        true => Err(in_use(folder)),
        false => Ok(()),
    }
}

fn in_use(folder: &Location) -> Error {
    Error::FolderInUse {
        path: folder.to_string(),
    }
}

fn is_there(folder: &Location, depth: u32) -> bool {
    let names = folder.list_blocking().unwrap_or_default();
    let is_own = |name: &str| RUN_FILES.contains(&name) || EXPERIMENT_FILES.contains(&name);
    names.iter().any(|name| is_own(name))
        || depth > 0 && members(folder, &names).any(|member| is_there(&member, depth - 1))
}

/// The folders of runs in an experiment's: `00008-clients`, `00002-repeat`, `00001-VARIANT`. No link is followed.
fn members<'a>(folder: &'a Location, names: &'a [String]) -> impl Iterator<Item = Location> + 'a {
    let is_member = |name: &&String| {
        let (number, rest) = name.split_once('-').unwrap_or_default();
        number.len() >= 5 && number.bytes().all(|byte| byte.is_ascii_digit()) && !rest.is_empty()
    };
    let members = names.iter().filter(is_member).map(|name| folder.join(name));
    members.filter(|member| {
        let path = member.local_path();
        path.is_none_or(|path| path.is_dir() && !file::is_link(path))
    })
}

fn clear(folder: &Location, depth: u32, with_run: bool) -> Result<()> {
    let names = folder.list_blocking().unwrap_or_default();
    if depth > 0 {
        for member in members(folder, &names) {
            if is_there(&member, depth - 1) {
                clear(&member, depth - 1, true)?;
            }
        }
    }
    match folder.usable()? {
        Usable::Local(path) => {
            if with_run && RunFolder::is_being_written(path) == Some(true) {
                let path = path.display().to_string();
                return Err(Error::FolderBusy { path });
            }
            let run_files = RUN_FILES.iter().filter(|_| with_run);
            for name in EXPERIMENT_FILES.iter().chain(run_files) {
                delete(&path.join(name))?;
            }
            if depth < MAX_DEPTH {
                // Goes if nothing else is in it.
                let _ = fs::remove_dir(path);
            }
        }
        Usable::Cloud(url) => {
            if with_run {
                cloud_folder::release(url)?;
            }
            let files = names.into_iter();
            let files: Vec<_> = files
                .filter(|name| EXPERIMENT_FILES.contains(&name.as_str()))
                .collect();
            let url = url.clone();
            block_on(async move { Store::open(&url)?.delete(files).await })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_and_experiments_left_goes() {
        let place = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{}").unwrap();
        };
        let ours = [
            "summary.json",
            "ab.json",
            "00008-clients/summary.json",
            "00002-repeat/00004-clients/responses.jsonl",
        ];
        let others = [
            "notes.md",
            "llmeter-report.html",
            "12345-other/data.csv",
            "00001-clients/summary.json.bak",
            "runs/summary.json",
        ];
        ours.iter().chain(&others).for_each(|name| put(name));
        let folder = Location::from(place.path());
        assert!(matches!(
            take(&folder, false),
            Err(Error::FolderInUse { .. })
        ));
        take(&folder, true).unwrap();
        for name in ours {
            assert!(!place.path().join(name).exists(), "{name}");
        }
        assert!(!place.path().join("00002-repeat").exists());
        for name in others {
            assert!(place.path().join(name).exists(), "{name}");
        }
        take(&folder, false).unwrap();
    }
}
