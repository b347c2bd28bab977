//! The runs that there are, and which of them may be opened.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use llmeter_wire::clock::{self, Stamp};
use serde_json::{Map, Value, json};

use super::server::aside;
use crate::base::error::Result;
use crate::base::file;
use crate::base::shown::{SHOWN, one_line};
use crate::catalog::{Catalog, Entry, Filter};
use crate::report::is_listed;
use crate::result::RUN_FILES;
use crate::storage::Location;

/// Seconds for which what was found is not looked for again, or so many times what looking took.
const FRESH: f64 = 1.0;
const FRESH_FACTOR: f64 = 10.0;

/// The runs below the viewer's folder. A run is opened by its id, which only a run that was found has.
pub(super) struct Shelf {
    folder: Location,
    cache: Option<PathBuf>,
    /// With the time at which it was found, and how many seconds that took.
    found: tokio::sync::Mutex<Option<(Stamp, f64, Arc<Found>)>>,
}

/// What was found.
pub(super) struct Found {
    catalog: Catalog,
    /// Entries, and runs of experiments, by their ids.
    by_id: HashMap<String, Entry>,
}

impl Shelf {
    pub(super) fn new(folder: Location, cache: Option<PathBuf>) -> Self {
        Self {
            folder,
            cache,
            found: tokio::sync::Mutex::default(),
        }
    }

    /// What there is, as of a second ago or later. Whoever asks meanwhile waits for the same.
    pub(super) async fn found(&self) -> Result<Arc<Found>> {
        let mut found = self.found.lock().await;
        if let Some((at, took, known)) = &*found
            && clock::now().seconds_since(*at) < FRESH.max(took * FRESH_FACTOR)
        {
            return Ok(known.clone());
        }
        let start = clock::now();
        let (folder, cache) = (self.folder.clone(), self.cache.clone());
        let scanned = aside("scan", move || {
            // A folder that the first run makes.
            let is_there = folder.local_path().is_none_or(Path::exists);
            let catalog = match cache {
                _ if !is_there => Catalog {
                    folder,
                    entries: Vec::new(),
                    unread: Vec::new(),
                },
                Some(cache) => Catalog::scan_with_cache(&folder, &cache)?,
                None => Catalog::scan(&folder)?,
            };
            Ok(Arc::new(Found::new(catalog)))
        })
        .await?;
        let now = clock::now();
        *found = Some((now, now.seconds_since(start), scanned.clone()));
        Ok(scanned)
    }

    /// The run or experiment of this id, if it lies where it was found: links that were put there since are
    /// not followed.
    pub(super) async fn find(&self, id: &str) -> Result<Option<Entry>> {
        let found = self.found().await?;
        let entry = found.by_id.get(id);
        Ok(entry
            .filter(|entry| is_within(&self.folder, entry))
            .cloned())
    }
}

impl Found {
    fn new(catalog: Catalog) -> Self {
        let mut by_id = HashMap::new();
        for entry in &catalog.entries {
            for run in &entry.runs {
                by_id.insert(id(run), run.clone());
            }
            by_id.insert(id(entry), entry.clone());
        }
        Self { catalog, by_id }
    }

    /// The list for the page, with a version that tells lists apart; of the version that the page has already
    /// nothing else.
    pub(super) fn to_json(&self, filter: &Filter, seen: &str) -> String {
        let entries = self.catalog.entries.iter();
        let entries: Vec<_> = entries
            .filter(|entry| filter.admits(entry))
            .map(with_id)
            .collect();
        let entries = Value::from(entries).to_string();
        let unread = self.catalog.unread.iter().map(|text| one_line(text, SHOWN));
        let unread = Value::from_iter(unread).to_string();
        let version = digest(&format!("{entries}{unread}"));
        if version == seen {
            return json!({"version": version}).to_string();
        }
        let folder = Value::from(self.catalog.folder.to_string());
        format!(
            r#"{{"version": "{version}", "folder": {folder}, "unread": {unread}, "entries": {entries}}}"#
        )
    }
}

fn with_id(entry: &Entry) -> Map<String, Value> {
    let mut object = entry.to_json(&is_listed);
    object.insert("id".to_owned(), id(entry).into());
    if !entry.runs.is_empty() {
        object.insert("runs".to_owned(), entry.runs.iter().map(with_id).collect());
    }
    object
}

/// The id of an entry, which it keeps while it stays where it is.
fn id(entry: &Entry) -> String {
    digest(&entry.name)
}

/// FNV-1a, 64 bits.
fn digest(text: &str) -> String {
    let digest = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
            (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    format!("{digest:016x}")
}

/// Whether the folders of an entry, and their files, lie below the viewer's folder. What is in the cloud has no
/// links.
fn is_within(folder: &Location, entry: &Entry) -> bool {
    let Some(root) = folder.local_path() else {
        return true;
    };
    let Ok(root) = root.canonicalize() else {
        return false;
    };
    let is_plain = |run: &Entry| {
        let path = run.location.local_path()?;
        let below = path.strip_prefix(folder.local_path()?).ok()?;
        let is_there = path.canonicalize().ok()? == root.join(below);
        let mut files = RUN_FILES.iter();
        Some(is_there && !files.any(|name| file::is_link(&Path::new(path).join(name))))
    };
    entry
        .each_run()
        .chain([entry])
        .all(|run| is_plain(run).unwrap_or(false))
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_a_link_leads_to_is_not_opened() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("runs");
        let secret = place.path().join("secret");
        for path in [&folder.join("a/run"), &secret] {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join("summary.json"), "{}").unwrap();
        }
        let location = Location::from(&folder);
        let found = || Found::new(Catalog::scan(&location).unwrap());
        let run = found().by_id.values().next().unwrap().clone();
        assert!(is_within(&location, &run));
        // A file, and then the folder itself, become links.
        symlink(
            secret.join("summary.json"),
            folder.join("a/run/responses.jsonl"),
        )
        .unwrap();
        assert!(!is_within(&location, &run));
        fs::remove_dir_all(folder.join("a")).unwrap();
        fs::create_dir(folder.join("a")).unwrap();
        symlink(&secret, folder.join("a/run")).unwrap();
        assert!(!is_within(&location, &run));
        assert!(found().by_id.is_empty());
    }
}
