//! A run folder as it is read: the folder itself, or copies of what is needed from the cloud.

use std::fs::File;
use std::path::PathBuf;

use tempfile::TempDir;

use super::cloud_folder;
use super::folder::{CONFIG_FILE, PARTS_FOLDER, RESPONSES_FILE, STATS_FILE, SUMMARY_FILE};
use crate::base::runtime::block_on;
use crate::storage::{CloudUrl, Location, Store, Usable};
use crate::{Error, Result};

/// How often the parts of a run that ends at this moment are looked for.
const LOOKS: u32 = 3;

/// A folder that is there.
pub(super) struct SavedFolder {
    /// Where it is, as messages name it.
    pub(super) location: Location,
    path: PathBuf,
    cloud: Option<Copied>,
}

/// What a folder in the cloud has, and where copies of it go.
struct Copied {
    url: CloudUrl,
    has_responses: bool,
    folder: TempDir,
}

impl SavedFolder {
    /// Opens a folder. Small files of a folder in the cloud are copied, the responses when they are
    /// asked for.
    pub(super) fn open(location: &Location) -> Result<Self> {
        let missing = |reason: &str| Error::NotARun {
            path: location.clone(),
            reason: reason.to_owned(),
        };
        match location.usable()? {
            Usable::Local(path) if path.is_dir() => Ok(Self {
                location: location.clone(),
                path: path.to_path_buf(),
                cloud: None,
            }),
            Usable::Local(_) => Err(missing("there is no such folder")),
            Usable::Cloud(url) => {
                let copied = Copied::open(url)?.ok_or_else(|| missing("there is nothing there"))?;
                Ok(Self {
                    location: location.clone(),
                    path: copied.folder.path().to_path_buf(),
                    cloud: Some(copied),
                })
            }
        }
    }

    /// Where a file can be read, if it is there.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether the folder has responses, as a file or in parts.
    pub(super) fn has_responses(&self) -> bool {
        match &self.cloud {
            Some(copied) => copied.has_responses,
            None => self.path(RESPONSES_FILE).exists(),
        }
    }

    /// Where the responses can be read, if there are any.
    pub(super) fn responses(&self) -> Result<Option<PathBuf>> {
        if !self.has_responses() {
            return Ok(None);
        }
        if let Some(copied) = &self.cloud {
            copied.fetch_responses()?;
        }
        Ok(Some(self.path(RESPONSES_FILE)))
    }
}

impl Copied {
    /// Copies the small files; `None` if there is nothing at all.
    fn open(url: &CloudUrl) -> Result<Option<Self>> {
        let folder = temporary_folder("llmeter-copy-")?;
        let (from, to) = (url.clone(), folder.path().to_path_buf());
        let names = block_on(async move {
            let store = Store::open(&from)?;
            let names = store.list("").await?;
            for name in [SUMMARY_FILE, STATS_FILE, CONFIG_FILE] {
                if names.iter().any(|found| found == name) {
                    let path = to.join(name);
                    let mut file = File::create(&path).map_err(Error::io("creating", &path))?;
                    store.get_into(name, &mut file).await?;
                }
            }
            Ok(names)
        })?;
        Ok((!names.is_empty()).then(|| Self {
            url: url.clone(),
            has_responses: names
                .iter()
                .any(|name| name == RESPONSES_FILE || name == PARTS_FOLDER),
            folder,
        }))
    }

    /// Copies the responses: the whole file, or, of a run that did not come to its end, the parts in
    /// order.
    fn fetch_responses(&self) -> Result<()> {
        let path = self.folder.path().join(RESPONSES_FILE);
        if path.exists() {
            return Ok(());
        }
        let (url, temporary) = (self.url.clone(), path.with_extension("copy"));
        block_on(async move {
            let store = Store::open(&url)?;
            for _ in 0..LOOKS {
                let mut file =
                    File::create(&temporary).map_err(Error::io("creating", &temporary))?;
                if !store.get_into(RESPONSES_FILE, &mut file).await?
                    && !append_parts(&store, &mut file).await?
                {
                    // The run came to its end meanwhile: its file is there now.
                    continue;
                }
                return std::fs::rename(&temporary, &path).map_err(Error::io("writing", &path));
            }
            Err(Error::Storage {
                action: "reading",
                location: Location::from(url.to_string()).join(PARTS_FOLDER),
                reason: "parts disappear while they are read".to_owned(),
            })
        })
    }
}

/// Appends all parts to a file; `false` if one is gone.
async fn append_parts(store: &Store, file: &mut File) -> Result<bool> {
    let parts = cloud_folder::parts(store).await?;
    for part in &parts {
        if !store.get_into(part, file).await? {
            return Ok(false);
        }
    }
    Ok(!parts.is_empty())
}

/// A folder of this machine for files that are on their way from or to the cloud.
pub(super) fn temporary_folder(prefix: &str) -> Result<TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir()
        .map_err(Error::io("creating", std::env::temp_dir()))
}
