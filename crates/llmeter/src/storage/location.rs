//! Where a file or folder is.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::cloud_url::{ACCEPTED, CloudUrl, Provider};
use super::{Store, local};
use crate::base::file::MAX_DATA_FILE;
use crate::base::runtime::{block_on, run_on_thread};
use crate::{Error, Result, Setting};

/// Where a file or folder is: on this machine, or in an object store.
///
/// Anything that names one becomes a `Location`: `"runs"`, `"file:///tmp/runs"`, a `Path`,
/// `"s3://bucket/prefix"`, `"gs://bucket/prefix"`, `"az://container/prefix"`. Text that cannot be
/// used is kept, and refused when it is used; [`check`](Self::check) tells beforehand.
///
/// Credentials, endpoint and region come from the environment, by the names that the providers'
/// own tools use (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, `GOOGLE_APPLICATION_CREDENTIALS`,
/// `AZURE_STORAGE_ACCOUNT_NAME`, …); for S3 also from the profile `AWS_PROFILE`. They are never
/// part of a location.
///
/// The asynchronous methods work in any runtime; those that end in `_blocking` also in none.
///
/// ```
/// use llmeter::Setting;
/// use llmeter::storage::Location;
///
/// let runs = Location::from("s3://bucket/team/runs");
/// assert_eq!(runs.join("first").to_string(), "s3://bucket/team/runs/first");
/// assert_eq!(runs.file_name().as_deref(), Some("runs"));
/// assert!(Location::from("ftp://host/runs").check(Setting::Output).is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location(Place);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Local(PathBuf),
    Cloud(CloudUrl),
    /// What was given, without what may be secret in it, and what would be accepted.
    Unusable {
        shown: String,
        accepted: String,
    },
}

impl Location {
    /// What `name` is in this folder.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        match &self.0 {
            Place::Local(path) => Self(Place::Local(path.join(name))),
            // Joined as text, so that it is checked as a whole.
            Place::Cloud(url) => Self::from(format!("{url}/{}", posix(name))),
            Place::Unusable { .. } => self.clone(),
        }
    }

    /// The folder that it is in; `None` if there is none above it.
    pub fn parent(&self) -> Option<Self> {
        match &self.0 {
            Place::Local(path) => Some(Self(Place::Local(path.parent()?.to_path_buf()))),
            Place::Cloud(url) if url.key.is_empty() => None,
            Place::Cloud(url) => {
                let (above, _) = url.key.rsplit_once('/').unwrap_or_default();
                Some(Self(Place::Cloud(CloudUrl {
                    key: above.to_owned(),
                    ..url.clone()
                })))
            }
            Place::Unusable { .. } => None,
        }
    }

    /// Its last name; `None` if it has none, as a bucket.
    pub fn file_name(&self) -> Option<String> {
        match &self.0 {
            Place::Local(path) => Some(path.file_name()?.to_string_lossy().into_owned()),
            Place::Cloud(url) => {
                let name = url.key.rsplit('/').next()?;
                (!name.is_empty()).then(|| name.to_owned())
            }
            Place::Unusable { .. } => None,
        }
    }

    /// The path, if it is on this machine.
    pub fn local_path(&self) -> Option<&Path> {
        match &self.0 {
            Place::Local(path) => Some(path),
            _ => None,
        }
    }

    /// Whether it is in an object store.
    pub fn is_cloud(&self) -> bool {
        matches!(self.0, Place::Cloud(_))
    }

    /// Checks that it can be used, without looking whether anything is there. `setting` is what an
    /// error is about.
    ///
    /// # Errors
    /// If it is an unknown kind of URL, has credentials in it, or names no bucket; or if it is in
    /// the cloud and this build has no support for that.
    pub fn check(&self, setting: Setting) -> Result<()> {
        self.refused().map_or(Ok(()), |(shown, expected)| {
            Err(Error::invalid(setting, shown, expected))
        })
    }

    /// How it is shown and what would be accepted, if it cannot be used.
    fn refused(&self) -> Option<(String, &str)> {
        match &self.0 {
            Place::Unusable { shown, accepted } => Some((shown.clone(), accepted)),
            Place::Cloud(url) if !cfg!(feature = "cloud") => {
                let expected = "a local path: this build of llmeter lacks the feature `cloud`";
                Some((url.to_string(), expected))
            }
            _ => None,
        }
    }

    /// Reads a whole file of at most [`MAX_DATA_FILE`](super::files::MAX_DATA_FILE) bytes.
    ///
    /// # Errors
    /// If there is none, it is larger, or it cannot be read.
    pub async fn read(&self) -> Result<Vec<u8>> {
        run_on_thread(self.clone().reading()).await
    }

    /// As [`read`](Self::read), blocking the calling thread.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_blocking(&self) -> Result<Vec<u8>> {
        block_on(self.clone().reading())
    }

    /// Writes a file as a whole: it is, at any moment, the old one or the new one. Folders are
    /// made where they are missing.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn write(&self, content: impl Into<Vec<u8>>) -> Result<()> {
        run_on_thread(self.clone().writing(content.into())).await
    }

    /// As [`write`](Self::write), blocking the calling thread.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn write_blocking(&self, content: impl Into<Vec<u8>>) -> Result<()> {
        block_on(self.clone().writing(content.into()))
    }

    /// The names of files and folders in this folder, in order. In an object store a folder that
    /// is not there is an empty one.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn list(&self) -> Result<Vec<String>> {
        run_on_thread(self.clone().listing()).await
    }

    /// As [`list`](Self::list), blocking the calling thread.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn list_blocking(&self) -> Result<Vec<String>> {
        block_on(self.clone().listing())
    }

    /// Deletes a file. That there is none is no error.
    ///
    /// # Errors
    /// If it cannot be deleted.
    pub async fn delete(&self) -> Result<()> {
        run_on_thread(self.clone().deleting()).await
    }

    /// As [`delete`](Self::delete), blocking the calling thread.
    ///
    /// # Errors
    /// As [`delete`](Self::delete).
    pub fn delete_blocking(&self) -> Result<()> {
        block_on(self.clone().deleting())
    }

    /// Reads a whole file, blocking the calling thread; `None` if there is none.
    pub(crate) fn read_if_there(&self) -> Result<Option<Vec<u8>>> {
        let location = self.clone();
        block_on(async move {
            match location.usable()? {
                Usable::Local(path) if !path.exists() => Ok(None),
                Usable::Local(path) => local::read(path).map(Some),
                Usable::Cloud(url) => {
                    let mut content = Vec::new();
                    let store = Store::open(url)?;
                    let found = store
                        .get_into("", &mut content, Some(MAX_DATA_FILE))
                        .await?;
                    Ok(found.then_some(content))
                }
            }
        })
    }

    async fn reading(self) -> Result<Vec<u8>> {
        match self.usable()? {
            Usable::Local(path) => local::read(path),
            Usable::Cloud(url) => Store::open(url)?.get("").await,
        }
    }

    async fn writing(self, content: Vec<u8>) -> Result<()> {
        match self.usable()? {
            Usable::Local(path) => local::write(path, &content),
            Usable::Cloud(url) => Store::open(url)?.put("", content).await,
        }
    }

    async fn listing(self) -> Result<Vec<String>> {
        match self.usable()? {
            Usable::Local(path) => local::list(path),
            Usable::Cloud(url) => Store::open(url)?.list("").await,
        }
    }

    async fn deleting(self) -> Result<()> {
        match self.usable()? {
            Usable::Local(path) => local::delete(path),
            Usable::Cloud(url) => Store::open(url)?.delete(vec![String::new()]).await,
        }
    }

    /// What it is, if it can be used.
    pub(crate) fn usable(&self) -> Result<Usable<'_>> {
        if let Some((shown, expected)) = self.refused() {
            return Err(Error::field("location", shown, expected));
        }
        match &self.0 {
            Place::Local(path) => Ok(Usable::Local(path)),
            Place::Cloud(url) => Ok(Usable::Cloud(url)),
            Place::Unusable { shown, accepted } => Err(Error::field("location", shown, accepted)),
        }
    }
}

/// A location that can be used.
pub(crate) enum Usable<'a> {
    Local(&'a Path),
    Cloud(&'a CloudUrl),
}

fn place(text: &str) -> Place {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Place::Local(text.into());
    };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if !is_scheme {
        return Place::Local(text.into());
    }
    let scheme = scheme.to_ascii_lowercase();
    let unusable = |accepted| Place::Unusable {
        shown: without_secrets(&scheme, rest),
        accepted,
    };
    if scheme == "file" {
        let path = url::Url::parse(text).map(|url| url.to_file_path());
        return match path {
            Ok(Ok(path)) => Place::Local(path),
            _ => unusable("a file URL of this machine, like file:///home/me/runs".to_owned()),
        };
    }
    match Provider::from_scheme(&scheme) {
        Some(provider) => match CloudUrl::parse(provider, rest) {
            Ok(url) => Place::Cloud(url),
            Err(accepted) => unusable(accepted),
        },
        None => unusable(ACCEPTED.to_owned()),
    }
}

/// A URL without user, password and query.
fn without_secrets(scheme: &str, rest: &str) -> String {
    let (rest, query) = match rest.split_once('?') {
        Some((rest, _)) => (rest, "?…"),
        None => (rest, ""),
    };
    // A password may hold a slash, so that everything up to the last @ may belong to it.
    let rest = match rest.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None if rest
            .split('/')
            .next()
            .is_some_and(|host| host.contains(':')) =>
        {
            "…".to_owned()
        }
        None => rest.to_owned(),
    };
    format!("{scheme}://{rest}{query}")
}

/// A path with slashes, as it is written to files.
fn posix(path: &Path) -> String {
    let text = path.to_string_lossy();
    if cfg!(windows) {
        text.replace('\\', "/")
    } else {
        text.into_owned()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Local(path) => path.display().fmt(formatter),
            Place::Cloud(url) => url.fmt(formatter),
            Place::Unusable { shown, .. } => shown.fmt(formatter),
        }
    }
}

/// Never fails: see [`Location::check`].
impl std::str::FromStr for Location {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

macro_rules! from_paths {
    ($($type:ty)+) => {
        $(impl From<$type> for Location {
            fn from(path: $type) -> Self {
                let path: &Path = path.as_ref();
                Self(path.to_str().map_or_else(|| Place::Local(path.to_owned()), place))
            }
        })+
    };
}
from_paths!(&str String &String &Path PathBuf &PathBuf OsString);

impl From<&Location> for Location {
    fn from(location: &Location) -> Self {
        location.clone()
    }
}

/// As text: a path with slashes, or a URL.
impl Serialize for Location {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Place::Local(path) => serializer.serialize_str(&posix(path)),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}
