//! A run folder as it is read: the folder itself, or copies of what is needed from the cloud.

use std::fs::File;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::cloud_folder;
use super::folder::{
    CONFIG_FILE, OWN_CONFIG_FILE, PARTS_FOLDER, RESPONSES_FILE, STATS_FILE, SUMMARY_FILE,
};
use crate::base::file::{self, Access, MAX_DATA_FILE};
use crate::base::runtime::block_on;
use crate::storage::{CloudUrl, Location, Store, Usable, delete};
use crate::{Error, Result};

/// Attempts to read the parts of a run that ends at this moment.
const MAX_ATTEMPTS: u32 = 3;

/// A folder that is there.
pub(super) struct SavedFolder {
    /// Where it is, as messages name it.
    pub(super) location: Location,
    path: PathBuf,
    has_responses: bool,
    /// A folder in the cloud, and where copies of its files go.
    cloud: Option<(CloudUrl, TempDir)>,
}

impl SavedFolder {
    /// Opens a folder. Small files of a folder in the cloud are copied, the responses when they are
    /// asked for.
    pub(super) fn open(location: &Location) -> Result<Self> {
        let missing = |reason: &str| Error::NotARun {
            path: location.to_string(),
            reason: reason.to_owned(),
        };
        match location.usable()? {
            Usable::Local(path) if path.is_dir() => Ok(Self {
                location: location.clone(),
                path: path.to_path_buf(),
                has_responses: path.join(RESPONSES_FILE).exists(),
                cloud: None,
            }),
            Usable::Local(path) if path.exists() => Err(missing("it is a file")),
            Usable::Local(_) => Err(missing("there is no such folder")),
            Usable::Cloud(url) => {
                let copies = temporary_folder("llmeter-copy-")?;
                let path = copies.path().to_path_buf();
                let names = block_on(copy_small_files(url.clone(), path.clone()))?;
                if names.is_empty() {
                    return Err(missing("there is nothing there"));
                }
                Ok(Self {
                    location: location.clone(),
                    path,
                    has_responses: [RESPONSES_FILE, PARTS_FOLDER]
                        .iter()
                        .any(|wanted| names.iter().any(|name| name == wanted)),
                    cloud: Some((url.clone(), copies)),
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
        self.has_responses
    }

    /// Where the responses can be read, if there are any.
    pub(super) fn responses(&self) -> Result<Option<PathBuf>> {
        let path = self.path(RESPONSES_FILE);
        if let Some((url, _)) = &self.cloud
            && self.has_responses
            && !path.exists()
        {
            block_on(copy_responses(url.clone(), path.clone()))?;
        }
        Ok(self.has_responses.then_some(path))
    }
}

/// Copies the small files of a folder; gives the names of all.
async fn copy_small_files(from: CloudUrl, to: PathBuf) -> Result<Vec<String>> {
    let store = Store::open(&from)?;
    let names = store.list("").await?;
    for name in [SUMMARY_FILE, STATS_FILE, CONFIG_FILE, OWN_CONFIG_FILE] {
        if names.iter().any(|found| found == name) {
            let path = to.join(name);
            let mut file = made(&path)?;
            let limit = Some(MAX_DATA_FILE);
            store.get_into(name, &mut file, limit).await?;
        }
    }
    Ok(names)
}

/// Copies the responses: the whole file, or, of a run that did not come to its end, the parts in
/// order.
async fn copy_responses(url: CloudUrl, path: PathBuf) -> Result<()> {
    let temporary = path.with_extension("copy");
    let store = Store::open(&url)?;
    for _ in 0..MAX_ATTEMPTS {
        delete(&temporary)?;
        let mut file = made(&temporary)?;
        // Without both, the run came to its end meanwhile: its file is there now.
        if store.get_into(RESPONSES_FILE, &mut file, None).await?
            || append_parts(&store, &mut file).await?
        {
            return std::fs::rename(&temporary, &path).map_err(Error::io("writing", &path));
        }
    }
    Err(Error::Storage {
        action: "reading",
        location: format!("{url}/{PARTS_FOLDER}"),
        reason: "parts disappear while they are read".to_owned(),
    })
}

/// Appends all parts to a file; `false` if one is gone.
async fn append_parts(store: &Store, file: &mut File) -> Result<bool> {
    let parts = cloud_folder::parts(store).await?;
    for part in &parts {
        if !store.get_into(part, file, None).await? {
            return Ok(false);
        }
    }
    Ok(!parts.is_empty())
}

fn made(path: &Path) -> Result<File> {
    file::create_new(path, Access::Owner).map_err(Error::io("creating", path))
}

/// A folder of this machine for files that are on their way from or to the cloud. It has a name that
/// nobody can know beforehand, and nobody else can look into it.
pub(super) fn temporary_folder(prefix: &str) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder
        .tempdir()
        .map_err(Error::io("creating", std::env::temp_dir()))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn nobody_else_can_look_into_what_is_on_its_way() {
        let folder = temporary_folder("llmeter-test-").unwrap();
        let path = folder.path().join("responses.jsonl");
        made(&path).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&path)), (0o700, 0o600));
    }
}
