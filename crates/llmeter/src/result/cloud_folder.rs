//! Taking a folder in an object store for a run.

use super::folder::{OWN_CONFIG_FILE, PARTS_FOLDER, RUN_FILES, free_names};
use crate::base::runtime::block_on;
use crate::storage::{CloudUrl, Store};
use crate::{Error, Result};

/// What marks a folder as taken until the file's real content comes.
const CLAIM: &[u8] = b"{}";

/// Takes this folder, removing the files of a run that is there if that is allowed.
pub(super) fn claim(url: &CloudUrl, overwrite: bool) -> Result<()> {
    let url = url.clone();
    block_on(async move {
        let store = Store::open(&url)?;
        let files = run_files(&store).await?;
        if files.is_empty() || overwrite {
            store.delete(files).await?;
            if store.put_new(OWN_CONFIG_FILE, CLAIM.to_vec()).await? {
                return Ok(());
            }
        }
        Err(Error::FolderInUse {
            path: url.to_string(),
        })
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
                && (!claims || store.put_new(&mark, CLAIM.to_vec()).await?)
            {
                return Ok(name);
            }
        }
        // Unreachable: there is always a next name.
        Err(Error::Internal("no name for the run is free"))
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
        .filter_map(|name| Some((name.parse().ok()?, format!("{PARTS_FOLDER}/{name}"))))
        .collect();
    parts.sort();
    Ok(parts.into_iter().map(|(_, name)| name).collect())
}

/// The name of the part with this number; they are counted from 1.
pub(super) fn part(number: u64) -> String {
    format!("{PARTS_FOLDER}/{number:06}")
}
