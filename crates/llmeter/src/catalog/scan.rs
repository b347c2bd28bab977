//! Finding the runs and experiments below a folder.

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::StreamExt as _;
use llmeter_wire::clock;

use super::cache::Cache;
use super::entry::{Entry, EntryKind, EntryState};
use super::facts::{Ending, Facts, MAX_FILE, READ, WANTED};
use super::figures::{KeySets, RunFigures};
use crate::base::error::Result;
use crate::base::file;
use crate::base::runtime::block_on;
use crate::experiment::{ALONE, WorkloadsResult, is_level_name, is_repeat_name};
use crate::result::{
    AB_FILE, CAPACITY_FILE, CONFIG_FILE, FoundFolder, OWN_CONFIG_FILE, RESPONSES_FILE, RunFolder,
    find_folders,
};
use crate::storage::{CloudUrl, Location, Store, Usable};

/// Objects that are read at a time.
const CONCURRENT_READS: usize = 16;
/// A run whose responses were written within so many nanoseconds is in progress, where there are no locks.
const RECENT: i64 = 10_000_000_000;
/// The same for objects: parts are uploaded every 5 seconds while responses come, and servers' clocks differ.
const RECENTLY_UPLOADED: i64 = 30_000_000_000;

/// The runs and experiments below a folder, here or in the cloud.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # std::fs::create_dir_all(folder.path().join("nightly"))?;
/// # std::fs::write(folder.path().join("nightly/summary.json"), r#"{"clients": 4, "model_id": "m"}"#)?;
/// use llmeter::catalog::{Catalog, Filter, Order};
///
/// let catalog = Catalog::scan(&folder.path().into())?;
/// let filter = Filter::default().model("M").condition("clients >= 4".parse()?);
/// for entry in catalog.chosen(&filter, &Order::default()) {
///     println!("{}: {}, {:?}", entry.name, entry.state, entry.figures.get("time_to_first_token-p50"));
/// }
/// # assert_eq!(catalog.chosen(&filter, &Order::default()).len(), 1);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The folder that was looked through.
    pub folder: Location,
    /// What was found: runs that belong to no experiment, and experiments, in order of their paths.
    pub entries: Vec<Entry>,
    /// Folders below it that could not be read, and so whether they hold runs, with the reason, a line each.
    pub unread: Vec<String>,
}

impl Catalog {
    /// Looks through a folder: eight levels of folders, of each run `summary.json`, `stats.json` and
    /// `run_config.json`, never its responses. Links are not followed. A run that cannot be read is an unreadable
    /// entry, and a folder is among [`unread`](Self::unread).
    ///
    /// # Errors
    /// If the folder itself cannot be read.
    pub fn scan(folder: &Location) -> Result<Self> {
        Ok(scanned(folder, &Cache::default())?.0)
    }

    /// As [`scan`](Self::scan), and what the files say is kept in a file, so that the next time only those
    /// that have changed are read. A file that cannot be understood is not used, and that it cannot be written
    /// does no harm.
    ///
    /// # Errors
    /// As [`scan`](Self::scan).
    pub fn scan_with_cache(folder: &Location, cache: &Path) -> Result<Self> {
        let known = Cache::read(cache, folder);
        let (catalog, seen) = scanned(folder, &known)?;
        if seen != known
            && let Err(reason) = seen.write(cache, folder)
        {
            tracing::debug!(%reason, "what was found is not kept");
        }
        Ok(catalog)
    }
}

/// The classes of mixes, by the mix's path.
type Mixes = BTreeMap<String, Vec<String>>;

fn scanned(folder: &Location, known: &Cache) -> Result<(Catalog, Cache)> {
    let now = clock::wall();
    let mut found = find_folders(folder, WANTED, &[AB_FILE, CAPACITY_FILE, OWN_CONFIG_FILE])?;
    let unread_folders = std::mem::take(&mut found.unread);
    let mut sets = KeySets::default();
    let mut runs = BTreeMap::new();
    let mut tests = BTreeMap::new();
    let mut mixes = Mixes::new();
    let mut seen = Cache::default();
    let mut unread = Vec::new();
    for found in found.folders {
        let has = |name| found.files.iter().any(|file| file.name == name);
        let kind = match (has(AB_FILE), has(CAPACITY_FILE)) {
            (true, _) => Some(EntryKind::Ab),
            (_, true) => Some(EntryKind::Capacity),
            _ => None,
        };
        if has(OWN_CONFIG_FILE) && !has(CONFIG_FILE) {
            let classes = WorkloadsResult::names(&found.location);
            if !classes.is_empty() {
                mixes.insert(found.name.clone(), classes);
            }
        }
        if !found.is_run {
            // Whoever has only a configuration has not begun.
            tests.extend(kind.map(|kind| (found.name, kind)));
            continue;
        }
        match known.facts(&found) {
            Some(facts) => {
                seen.keep(&found, &facts, now);
                runs.insert(found.name.clone(), (found, facts));
            }
            None => unread.push(found),
        }
    }
    for (found, facts) in read(folder, unread, &mut sets)? {
        seen.keep(&found, &facts, now);
        runs.insert(found.name.clone(), (found, facts));
    }
    let now = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
    let runs = runs
        .into_values()
        .map(|(found, facts)| run(found, facts, now));
    let mut entries = grouped(folder, runs.collect(), &tests, &mixes);
    for entry in &mut entries {
        if entry.name.is_empty() {
            entry.name = folder.file_name().unwrap_or_else(|| folder.to_string());
        }
    }
    let folder = folder.clone();
    let catalog = Catalog {
        folder,
        entries,
        unread: unread_folders,
    };
    Ok((catalog, seen))
}

/// Reads the files of runs.
fn read(
    folder: &Location,
    unread: Vec<FoundFolder>,
    sets: &mut KeySets,
) -> Result<Vec<(FoundFolder, Facts)>> {
    let mut done = Vec::with_capacity(unread.len());
    match folder.usable()? {
        Usable::Local(_) => {
            for found in unread {
                let facts = Facts::read(&found.files, sets, |name| read_local(&found, name));
                done.push((found, facts));
            }
        }
        Usable::Cloud(url) => {
            for (found, mut texts) in read_objects(url, unread)? {
                let facts = Facts::read(&found.files, sets, |name| {
                    texts
                        .remove(name)
                        .unwrap_or_else(|| Err("it is gone".to_owned()))
                });
                done.push((found, facts));
            }
        }
    }
    Ok(done)
}

fn read_local(found: &FoundFolder, name: &str) -> Result<Vec<u8>, String> {
    let path = found.location.local_path().map(|path| path.join(name));
    let path = path.ok_or("it is not on this machine")?;
    file::read_unlinked(path, MAX_FILE).map_err(|reason| reason.to_string())
}

type Texts = BTreeMap<&'static str, Result<Vec<u8>, String>>;

fn read_objects(url: &CloudUrl, unread: Vec<FoundFolder>) -> Result<Vec<(FoundFolder, Texts)>> {
    if unread.is_empty() {
        return Ok(Vec::new());
    }
    let url = url.clone();
    block_on(async move {
        let store = &Store::open(&url)?;
        let read = unread.into_iter().map(async |found| {
            let mut texts = Texts::new();
            for name in READ {
                if found.files.iter().any(|file| file.name == name) {
                    let mut text = Vec::new();
                    let object = match found.name.as_str() {
                        "" => name.to_owned(),
                        folder => format!("{folder}/{name}"),
                    };
                    let read = store.get_into(&object, &mut text, Some(MAX_FILE)).await;
                    let text = match read {
                        Ok(true) => Ok(text),
                        Ok(false) => Err("it is gone".to_owned()),
                        Err(reason) => Err(reason.to_string()),
                    };
                    texts.insert(name, text);
                }
            }
            (found, texts)
        });
        let read = futures_util::stream::iter(read).buffered(CONCURRENT_READS);
        Ok(read.collect().await)
    })
}

fn run(found: FoundFolder, facts: Facts, now: i64) -> Entry {
    let state = match facts.ending {
        Ending::Complete => EntryState::Complete,
        Ending::Interrupted => EntryState::Interrupted,
        Ending::Unreadable => EntryState::Unreadable,
        Ending::Open => open_state(&found, now),
    };
    let about = facts.about;
    Entry {
        location: found.location,
        name: found.name,
        kind: match facts.is_heatmap {
            true => EntryKind::Heatmap,
            false => EntryKind::Run,
        },
        state,
        started: about.started,
        run_name: about.run_name,
        description: about.description,
        model: about.model,
        endpoint: about.endpoint,
        clients: about.clients,
        requests_per_client: about.requests_per_client,
        duration: about.duration,
        verdict: about.verdict,
        figures: facts.figures,
        runs: Vec::new(),
    }
}

/// Whether a run without an end is in progress.
fn open_state(found: &FoundFolder, now: i64) -> EntryState {
    let Some(path) = found.location.local_path() else {
        return match now.saturating_sub(found.written) < RECENTLY_UPLOADED {
            true => EntryState::Running,
            false => EntryState::Unfinished,
        };
    };
    let is_running = RunFolder::is_being_written(path).unwrap_or_else(|| {
        let metadata = std::fs::symlink_metadata(path.join(RESPONSES_FILE)).ok();
        let written = metadata.and_then(|metadata| metadata.modified().ok());
        let written = written.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        written.is_some_and(|time| now.saturating_sub(time.as_nanos() as i64) < RECENT)
    });
    match is_running {
        true => EntryState::Running,
        false => EntryState::Broken,
    }
}

/// Puts the runs of experiments together.
fn grouped(
    folder: &Location,
    runs: Vec<Entry>,
    tests: &BTreeMap<String, EntryKind>,
    mixes: &Mixes,
) -> Vec<Entry> {
    let mut of_mixes: BTreeMap<String, Vec<(usize, Entry)>> = BTreeMap::new();
    let mut experiments: BTreeMap<(String, EntryKind), Vec<Entry>> = BTreeMap::new();
    let mut entries = Vec::new();
    for run in runs {
        if let Some((mix, class)) = mix_of(&run.name, mixes).filter(|(mix, _)| !mix.is_empty()) {
            // What a class was alone is in the mix's report.
            let classes = of_mixes.entry(mix.to_owned()).or_default();
            classes.extend(class.map(|class| (class, run)));
            continue;
        }
        match experiment_of(&run.name, tests) {
            // A folder that is one itself shows its runs.
            Some((name, kind)) if !name.is_empty() => {
                experiments.entry((name, kind)).or_default().push(run);
            }
            _ => entries.push(run),
        }
    }
    for ((name, kind), runs) in experiments {
        let location = above(folder, &name, &runs);
        entries.push(experiment(location, name, kind, runs));
    }
    for (name, mut classes) in of_mixes {
        classes.sort_by_key(|(at, _)| *at);
        let runs: Vec<Entry> = classes.into_iter().map(|(_, run)| run).collect();
        match entries.iter_mut().find(|entry| entry.name == name) {
            Some(whole) => (whole.kind, whole.runs) = (EntryKind::Workloads, runs),
            // They are still running.
            None if runs.is_empty() => {}
            None => {
                let location = above(folder, &name, &runs);
                entries.push(experiment(location, name, EntryKind::Workloads, runs));
            }
        }
    }
    entries.sort_by(|one, other| one.name.split('/').cmp(other.name.split('/')));
    entries
}

/// The mix that a run of this path belongs to, and the place of its class; none of what a class was alone.
fn mix_of<'n>(name: &'n str, mixes: &Mixes) -> Option<(&'n str, Option<usize>)> {
    let (above, own) = name.rsplit_once('/')?;
    if let Some(classes) = mixes.get(above) {
        let place = classes.iter().position(|class| class == own);
        return place.map(|place| (above, Some(place)));
    }
    let (mix, alone) = above.rsplit_once('/')?;
    (alone == ALONE && mixes.contains_key(mix)).then_some((mix, None))
}

/// The folder of this name, from that of a run within it: a name may be no text.
fn above(folder: &Location, name: &str, runs: &[Entry]) -> Location {
    let above = runs.first().and_then(|run| {
        let steps = run.name.split('/').count() - name.split('/').count();
        (0..steps).try_fold(run.location.clone(), |location, _| location.parent())
    });
    above.unwrap_or_else(|| folder.join(name))
}

/// The experiment that a run of this path belongs to.
fn experiment_of(name: &str, tests: &BTreeMap<String, EntryKind>) -> Option<(String, EntryKind)> {
    let split = |path: &str| match path.rsplit_once('/') {
        Some((above, name)) => (above.to_owned(), name.to_owned()),
        None => (String::new(), path.to_owned()),
    };
    if name.is_empty() {
        return None;
    }
    let (above, own) = split(name);
    if let Some(kind) = tests.get(&above) {
        return Some((above, *kind));
    }
    if is_repeat_name(&own) {
        return Some((above, EntryKind::Repeats));
    }
    if !is_level_name(&own) {
        return None;
    }
    let (further, parent) = split(&above);
    match is_repeat_name(&parent) {
        true => Some((further, EntryKind::Repeats)),
        false => Some((above, EntryKind::LoadTest)),
    }
}

fn experiment(location: Location, name: String, kind: EntryKind, runs: Vec<Entry>) -> Entry {
    let first = runs.iter().find(|run| run.model.is_some()).or(runs.first());
    let text = |of: fn(&Entry) -> &Option<String>| first.and_then(|run| of(run).clone());
    let states = runs.iter().map(|run| run.state);
    Entry {
        kind,
        state: states.max().unwrap_or(EntryState::Complete),
        started: runs.iter().filter_map(|run| run.started).min(),
        run_name: location.file_name(),
        description: text(|run| &run.description),
        model: text(|run| &run.model),
        endpoint: text(|run| &run.endpoint),
        clients: None,
        requests_per_client: None,
        duration: None,
        verdict: worst(&runs),
        figures: RunFigures::default(),
        location,
        name,
        runs,
    }
}

/// The worst verdict that runs have.
fn worst(runs: &[Entry]) -> Option<String> {
    let rank = |verdict: &&str| {
        ["clean", "degraded", "client-bound"]
            .iter()
            .position(|one| one == verdict)
    };
    let verdicts = runs.iter().filter_map(|run| run.verdict.as_deref());
    verdicts.max_by_key(rank).map(str::to_owned)
}
