//! Taking a folder in an object store for a run.

use super::folder::{OWN_CONFIG_FILE, PARTS_FOLDER, RUN_FILES};
use super::local_folder::free_names;
use crate::base::runtime::block_on;
use crate::storage::{CloudUrl, ObjectVersion, Store};
use crate::{Error, Result};

/// Takes this folder, removing the files of a run that is there if that is allowed.
pub(super) fn claim(url: &CloudUrl, overwrite: bool) -> Result<()> {
    let url = url.clone();
    block_on(async move {
        let store = Store::open(&url)?;
        // Before the files are listed: whoever changes it from here on is faster.
        let known = store.version(OWN_CONFIG_FILE).await?;
        let mut files = run_files(&store).await?;
        let is_free = files.is_empty() || overwrite;
        if !is_free || !claim_with(&store, OWN_CONFIG_FILE, known).await? {
            return Err(Error::FolderInUse {
                path: url.to_string(),
            });
        }
        // Only who has the folder may clear it.
        files.retain(|name| name != OWN_CONFIG_FILE);
        if let Err(reason) = store.delete(files).await {
            let _ = store.delete(vec![OWN_CONFIG_FILE.to_owned()]).await;
            return Err(reason);
        }
        Ok(())
    })
}

/// The first of `name`, `name-2`, … under which there is nothing; `claims` takes it.
pub(super) fn free_name(base: &CloudUrl, name: &str, claims: bool) -> Result<String> {
    let (base, names) = (base.clone(), free_names(name));
    block_on(async move {
        let store = Store::open(&base)?;
        for name in names {
            let mark = format!("{name}/{OWN_CONFIG_FILE}");
            if !store.has_any(&name).await?
                && (!claims || claim_with(&store, &mark, ObjectVersion::Absent).await?)
            {
                return Ok(name);
            }
        }
        // Unreachable: there is always a next name.
        Err(Error::Internal("no name for the run is free"))
    })
}

/// Writes the claim unless somebody else has written the object since it was `known`; tells whether
/// it did. Each claim differs from any other, so that a failure after which it is there all the same
/// can be told from somebody else's.
async fn claim_with(store: &Store, mark: &str, known: ObjectVersion) -> Result<bool> {
    let claim = format!("{{\"claim\": \"{}\"}}", uuid::Uuid::new_v4());
    let is_ours = async || matches!(store.get(mark).await, Ok(found) if found == claim.as_bytes());
    match store.put_if(mark, claim.clone().into_bytes(), known).await {
        Ok(true) => Ok(true),
        // A request that was sent again after its response was lost meets its own claim.
        Ok(false) => Ok(is_ours().await),
        Err(reason) => {
            if is_ours().await {
                // Nothing is left behind of a run that does not start.
                let _ = store.delete(vec![mark.to_owned()]).await;
            }
            Err(reason)
        }
    }
}

/// Removes what a run that does not start has written.
pub(super) fn release(url: &CloudUrl) -> Result<()> {
    let url = url.clone();
    block_on(async move {
        let store = Store::open(&url)?;
        store.delete(run_files(&store).await?).await
    })
}

/// The objects in a folder that belong to a run, parts included.
async fn run_files(store: &Store) -> Result<Vec<String>> {
    let mut files = Vec::new();
    for name in store.list("").await? {
        if name == PARTS_FOLDER {
            files.extend(parts(store).await?);
        } else if RUN_FILES.contains(&name.as_str()) {
            files.push(name);
        }
    }
    Ok(files)
}

/// The parts of the responses, in order.
pub(super) async fn parts(store: &Store) -> Result<Vec<String>> {
    let names = store.list(PARTS_FOLDER).await?;
    let mut parts: Vec<(u64, String)> = names
        .into_iter()
        .map(|name| format!("{PARTS_FOLDER}/{name}"))
        .filter_map(|name| Some((part_number(&name)?, name)))
        .collect();
    parts.sort();
    Ok(parts.into_iter().map(|(_, name)| name).collect())
}

/// The number of the part with this name.
pub(super) fn part_number(name: &str) -> Option<u64> {
    name.strip_prefix(PARTS_FOLDER)?
        .strip_prefix('/')?
        .parse()
        .ok()
}

/// The name of the part with this number; they are counted from 1.
pub(super) fn part(number: u64) -> String {
    format!("{PARTS_FOLDER}/{number:06}")
}
