//! Reports, made when they are asked for.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use hyper::body::Bytes;
use tokio::sync::Mutex;

use super::server::aside;
use crate::base::error::Result;
use crate::catalog::Entry;
use crate::report::{Report, html};
use crate::result::RUN_FILES;
use crate::storage::Location;

/// Runs that are compared at most.
pub(super) const MAX_COMPARED: usize = 8;
/// Reports that are kept.
const KEPT: usize = 4;

/// Makes reports, one at a time, and keeps the last few.
#[derive(Default)]
pub(super) struct Reports(Mutex<VecDeque<(Seen, Bytes)>>);

/// Folders and what their files looked like.
type Seen = Vec<(Location, Vec<Option<(u64, std::time::SystemTime)>>)>;

impl Reports {
    /// The report of an entry, or of several side by side.
    pub(super) async fn of(&self, entries: Vec<Entry>) -> Result<Bytes> {
        // Two at a time would take twice the memory, and be no faster.
        let mut kept = self.0.lock().await;
        let seen = seen(&entries);
        if let Some(seen) = &seen
            && let Some((_, page)) = kept.iter().find(|(known, _)| known == seen)
        {
            return Ok(page.clone());
        }
        let folders: Vec<_> = entries.into_iter().map(|entry| entry.location).collect();
        let page = aside("report", move || Ok(html(&Report::load(&folders)?))).await?;
        let page = Bytes::from(page);
        if let Some(seen) = seen {
            kept.push_front((seen, page.clone()));
            kept.truncate(KEPT);
        }
        Ok(page)
    }
}

/// What the files of entries look like; `None` in the cloud, which is not asked.
fn seen(entries: &[Entry]) -> Option<Seen> {
    let look = |path: &Path| {
        let files = RUN_FILES.iter().map(|name| {
            let metadata = fs::symlink_metadata(path.join(name)).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        });
        files.collect()
    };
    let runs = entries
        .iter()
        .flat_map(|entry| entry.each_run().chain([entry]));
    runs.map(|run| Some((run.location.clone(), look(run.location.local_path()?))))
        .collect()
}
