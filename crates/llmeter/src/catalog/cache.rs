//! What the files of runs said, kept for the next time.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::{About, Ending, Facts};
use super::figures::{KeySets, RunFigures};
use crate::base::file::{self, Access, MAX_DATA_FILE};
use crate::result::{FoundFile, FoundFolder};
use crate::storage::Location;

/// The version of the file's format.
const FORMAT: u32 = 2;
/// A file that was written within so many nanoseconds may be written again without looking different.
const UNSETTLED: i128 = 2_000_000_000;

/// What is known of runs by their paths below a folder.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Cache(HashMap<String, (Vec<FoundFile>, Facts)>);

/// The file.
#[derive(Serialize, Deserialize)]
struct Form {
    format: u32,
    folder: String,
    /// Which keys there are together.
    keys: Vec<Vec<String>>,
    runs: BTreeMap<String, KeptRun>,
}

#[derive(Serialize, Deserialize)]
struct KeptRun {
    /// Name, size, time.
    files: Vec<(String, u64, i64)>,
    ending: Ending,
    is_heatmap: bool,
    about: About,
    /// Which of the keys it has.
    keys: usize,
    /// The bytes of the values in base64: millions of numbers take too long to read as text.
    values: String,
}

impl Cache {
    /// Reads a file; one that is not there, or is not what it should be, knows nothing.
    pub(super) fn read(path: &Path, folder: &Location) -> Self {
        let known = || {
            let text = file::read_unlinked(path, MAX_DATA_FILE).ok()?;
            let form: Form = serde_json::from_slice(&text).ok()?;
            let is_ours = form.format == FORMAT && form.folder == identity(folder);
            is_ours.then(|| Self::of(form))?
        };
        known().unwrap_or_default()
    }

    fn of(form: Form) -> Option<Self> {
        let mut sets = KeySets::default();
        let keys: Vec<Arc<[String]>> = form.keys.into_iter().map(Into::into).collect();
        let mut known = HashMap::with_capacity(form.runs.len());
        for (name, run) in form.runs {
            let facts = Facts {
                ending: run.ending,
                is_heatmap: run.is_heatmap,
                about: run.about,
                figures: sets.kept(keys.get(run.keys)?, numbers(&run.values)?)?,
            };
            let files = run.files.into_iter();
            let files = files.map(|(name, size, modified)| FoundFile {
                name,
                size,
                modified,
            });
            known.insert(name, (files.collect(), facts));
        }
        Some(Self(known))
    }

    /// Writes the file.
    pub(super) fn write(&self, path: &Path, folder: &Location) -> io::Result<()> {
        let mut places = HashMap::new();
        let mut keys = Vec::new();
        let mut place = |figures: &RunFigures| {
            *places.entry(figures.keys().clone()).or_insert_with(|| {
                keys.push(figures.keys().to_vec());
                keys.len() - 1
            })
        };
        let runs = self.0.iter().map(|(name, (files, facts))| {
            let files = files.iter();
            let run = KeptRun {
                files: files
                    .map(|file| (file.name.clone(), file.size, file.modified))
                    .collect(),
                ending: facts.ending,
                is_heatmap: facts.is_heatmap,
                about: facts.about.clone(),
                keys: place(&facts.figures),
                values: text(facts.figures.values()),
            };
            (name.clone(), run)
        });
        let form = Form {
            format: FORMAT,
            folder: identity(folder),
            runs: runs.collect(),
            keys,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        file::replace(path, &serde_json::to_vec(&form)?, Access::Owner)
    }

    /// What is known of a folder's files as they are.
    pub(super) fn facts(&self, found: &FoundFolder) -> Option<Facts> {
        let (files, facts) = self.0.get(&found.name)?;
        (*files == found.files).then(|| facts.clone())
    }

    /// Keeps what a folder's files say, unless they may change unseen.
    pub(super) fn keep(&mut self, found: &FoundFolder, facts: &Facts, now: Timestamp) {
        let settled = now.as_nanosecond() - UNSETTLED;
        let mut files = found.files.iter();
        if files.all(|file| file.modified > 0 && i128::from(file.modified) < settled) {
            let known = (found.files.clone(), facts.clone());
            self.0.insert(found.name.clone(), known);
        }
    }
}

/// Numbers as text, bit by bit.
fn text(numbers: &[f64]) -> String {
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    BASE64_STANDARD_NO_PAD.encode(bytes)
}

fn numbers(text: &str) -> Option<Vec<f64>> {
    let bytes = BASE64_STANDARD_NO_PAD.decode(text).ok()?;
    let (numbers, []) = bytes.as_chunks() else {
        return None;
    };
    let numbers: Vec<f64> = numbers.iter().copied().map(f64::from_le_bytes).collect();
    numbers
        .iter()
        .all(|number| number.is_finite())
        .then_some(numbers)
}

/// The folder, by whatever path it is named.
fn identity(folder: &Location) -> String {
    let canonical = folder
        .local_path()
        .and_then(|path| path.canonicalize().ok());
    canonical.map_or_else(|| folder.to_string(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Catalog;

    /// A folder with a run whose files were written long ago.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("runs/one");
        fs::create_dir_all(&run).unwrap();
        for (name, text) in [
            ("summary.json", r#"{"model_id": "m", "clients": 3}"#),
            ("stats.json", r#"{"time_to_first_token-p50": 0.25}"#),
        ] {
            fs::write(run.join(name), text).unwrap();
            age(&run.join(name), 100);
        }
        folder
    }

    fn age(path: &Path, seconds: u64) {
        let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 - seconds);
        fs::File::options()
            .write(true)
            .open(path)
            .unwrap()
            .set_modified(then)
            .unwrap();
    }

    #[test]
    fn what_is_kept_is_used_until_a_file_changes() {
        let place = folder();
        let (runs, cache) = (place.path().join("runs"), place.path().join("kept/cache"));
        let found = || {
            let catalog = Catalog::scan_with_cache(&(&runs).into(), &cache).unwrap();
            let [only] = catalog.entries.as_slice() else {
                panic!("{catalog:?}");
            };
            assert_eq!(only.clients, Some(3));
            let ttft = only.figures.get("time_to_first_token-p50");
            (only.model.clone().unwrap(), ttft.unwrap())
        };
        assert_eq!(found(), ("m".to_owned(), 0.25));
        // With another model in the cache, what is told comes from there.
        let kept = fs::read_to_string(&cache).unwrap();
        assert!(kept.contains("\"model\":\"m\""), "{kept}");
        fs::write(
            &cache,
            kept.replace("\"model\":\"m\"", "\"model\":\"kept\""),
        )
        .unwrap();
        assert_eq!(found(), ("kept".to_owned(), 0.25));
        let stats = runs.join("one/stats.json");
        fs::write(&stats, r#"{"time_to_first_token-p50": 0.5}"#).unwrap();
        age(&stats, 50);
        assert_eq!(found(), ("m".to_owned(), 0.5));
        // A damaged one is made anew.
        for damaged in ["{", "{\"format\": 1}", "", &kept.replace("AAA", "???")] {
            fs::write(&cache, damaged).unwrap();
            assert_eq!(found(), ("m".to_owned(), 0.5));
            let made = fs::read_to_string(&cache).unwrap();
            assert!(
                made.starts_with("{\"format\":2,") && made.contains("\"model\":\"m\""),
                "{made}"
            );
        }
    }

    #[test]
    fn files_that_may_change_unseen_are_read_again() {
        let place = folder();
        let stats = place.path().join("runs/one/stats.json");
        // Written at this moment.
        fs::write(&stats, r#"{"time_to_first_token-p50": 0.5}"#).unwrap();
        let cache = place.path().join("cache");
        Catalog::scan_with_cache(&place.path().join("runs").into(), &cache).unwrap();
        let kept = Cache::read(&cache, &place.path().join("runs").into());
        assert_eq!(kept, Cache::default());
    }

    #[test]
    fn the_cache_of_one_folder_tells_nothing_of_another() {
        let (place, other) = (folder(), folder());
        let cache = place.path().join("cache");
        let scan = |place: &tempfile::TempDir| {
            Catalog::scan_with_cache(&place.path().join("runs").into(), &cache).unwrap();
            Cache::read(&cache, &place.path().join("runs").into())
        };
        assert_ne!(scan(&place), Cache::default());
        assert_ne!(scan(&other), Cache::default());
        let first = Cache::read(&cache, &place.path().join("runs").into());
        assert_eq!(first, Cache::default());
    }
}
