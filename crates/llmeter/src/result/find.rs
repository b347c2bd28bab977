//! Run folders below a folder.

use super::folder::{PARTS_FOLDER, RESPONSES_FILE, STATS_FILE, SUMMARY_FILE};
use crate::Result;
use crate::storage::{Location, Usable};

/// Folders within folders that are looked at.
const MAX_DEPTH: usize = 8;
/// A folder with one of these is a run's.
const OF_RUN: [&str; 4] = [SUMMARY_FILE, STATS_FILE, RESPONSES_FILE, PARTS_FOLDER];

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
    let mut found = Vec::new();
    let mut unread = vec![(folder.clone(), 0)];
    while let Some((folder, depth)) = unread.pop() {
        let below = match folders_in(&folder) {
            Ok(Some(below)) => below,
            Ok(None) => {
                found.push(folder);
                continue;
            }
            Err(error) if depth == 0 => return Err(error),
            Err(error) => {
                tracing::warn!("{error}");
                continue;
            }
        };
        if depth < MAX_DEPTH {
            // The last one is looked at first.
            unread.extend(
                below
                    .into_iter()
                    .rev()
                    .map(|name| (folder.join(name), depth + 1)),
            );
        }
    }
    Ok(found)
}

/// The names of what may be a folder in a folder, in order; `None` for a run's.
fn folders_in(folder: &Location) -> Result<Option<Vec<String>>> {
    let mut names = folder.list_blocking()?;
    if names.iter().any(|name| OF_RUN.contains(&name.as_str())) {
        return Ok(None);
    }
    // A list in the cloud does not tell folders from objects; an object is an empty folder.
    if let Usable::Local(path) = folder.usable()? {
        names.retain(|name| {
            let metadata = std::fs::symlink_metadata(path.join(name));
            metadata.is_ok_and(|metadata| metadata.is_dir())
        });
    }
    Ok(Some(names))
}
