//! The objects under a URL.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, UpdateVersion,
    WriteMultipart,
};

use super::buckets::{self, StoreSecrets};
use super::limits::TIMEOUT;
use super::{CloudUrl, FoundObject, reason};
use crate::base::file::{FileProblem, MAX_DATA_FILE};
use crate::{Error, Result};

/// Files above this size are uploaded in pieces of this size, or larger ones where there would be
/// too many.
const PART_SIZE: u64 = 5 * 1024 * 1024;
/// The maximum of pieces of an upload; S3 takes 10,000.
const MAX_PARTS: u64 = 9_000;
/// Pieces that are on their way at a time: each has to arrive within a request's time limit, also
/// over a slow network.
const CONCURRENT_PARTS: usize = 1;
/// Objects that are listed below a URL at most.
const MAX_LISTED: usize = 1_000_000;

/// What tells whether an object was written again.
#[derive(Clone)]
pub(crate) enum ObjectVersion {
    /// There is none.
    Absent,
    Known(UpdateVersion),
    /// There is one, and the server does not tell which.
    Untold,
}

/// The objects under a URL, by their names below it; the empty name is the URL's own object.
///
/// Must be opened and used in the same runtime.
pub(crate) struct Store {
    bucket: Arc<dyn ObjectStore>,
    url: CloudUrl,
    secrets: StoreSecrets,
}

impl Store {
    /// Prepares everything; nothing is sent yet.
    ///
    /// # Errors
    /// If the environment's settings for this provider cannot be used.
    pub(crate) fn open(url: &CloudUrl) -> Result<Self> {
        let opened = buckets::open(url);
        let (bucket, secrets) = opened.map_err(|error| Error::Storage {
            action: "opening",
            location: url.to_string(),
            reason: reason::of(&error, url, &StoreSecrets::default()),
        })?;
        Ok(Self {
            bucket,
            url: url.clone(),
            secrets,
        })
    }

    /// Reads a whole object of at most [`MAX_DATA_FILE`] bytes.
    pub(crate) async fn get(&self, name: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        if self
            .get_into(name, &mut content, Some(MAX_DATA_FILE))
            .await?
        {
            return Ok(content);
        }
        Err(Error::Storage {
            action: "reading",
            location: self.url.below(name).to_string(),
            reason: "there is no such object".to_owned(),
        })
    }

    /// Appends an object to a file; `false` if there is no such object. One of more bytes than `limit`
    /// is refused as a file of this machine is, and read no further.
    pub(crate) async fn get_into(
        &self,
        name: &str,
        to: &mut (impl Write + Send),
        limit: Option<u64>,
    ) -> Result<bool> {
        let failed = |error: StoreError| self.failed("reading", name, &error);
        let found = match self.bucket.get(&self.key(name)?).await {
            Ok(found) => found,
            Err(ref error @ StoreError::NotFound { .. }) if !reason::is_bucket_missing(error) => {
                return Ok(false);
            }
            Err(error) => return Err(failed(error)),
        };
        let shown = || self.url.below(name).to_string();
        let is_too_large = |size: u64| limit.filter(|limit| size > *limit);
        let mut size = found.meta.size;
        let mut pieces = found.into_stream();
        if is_too_large(size).is_none() {
            size = 0;
            while let Some(piece) = pieces.try_next().await.map_err(failed)? {
                size += piece.len() as u64;
                if is_too_large(size).is_some() {
                    break;
                }
                let written = to.write_all(&piece);
                written.map_err(Error::io("writing a copy of", shown()))?;
            }
        }
        if let Some(limit) = is_too_large(size) {
            let problem = FileProblem::TooLarge(limit);
            return Err(Error::io("reading", shown())(problem.into()));
        }
        Ok(true)
    }

    /// Reads some bytes of an object that has them.
    #[cfg(feature = "view")]
    pub(crate) async fn get_range(
        &self,
        name: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Vec<u8>> {
        let read = self.bucket.get_range(&self.key(name)?, range).await;
        let read = read.map_err(|error| self.failed("reading", name, &error))?;
        Ok(read.to_vec())
    }

    /// Writes an object.
    pub(crate) async fn put(&self, name: &str, content: Vec<u8>) -> Result<()> {
        let size = content.len() as u64;
        let from = Path::new("memory");
        if size > PART_SIZE && self.put_multipart(name, size, &*content, from).await? {
            return Ok(());
        }
        self.put_whole(name, content).await
    }

    async fn put_whole(&self, name: &str, content: Vec<u8>) -> Result<()> {
        match self.bucket.put(&self.key(name)?, content.into()).await {
            Err(error) if !reason::is_etag_missing(&error) => {
                Err(self.failed("writing", name, &error))
            }
            _ => Ok(()),
        }
    }

    /// Writes an object if it still is what is known of it; tells whether it did. A server that has no
    /// conditional writes writes.
    pub(crate) async fn put_if(
        &self,
        name: &str,
        content: Vec<u8>,
        known: ObjectVersion,
    ) -> Result<bool> {
        let mode = match known {
            ObjectVersion::Absent => PutMode::Create,
            ObjectVersion::Known(version) => PutMode::Update(version),
            ObjectVersion::Untold => PutMode::Overwrite,
        };
        let put = self
            .bucket
            .put_opts(
                &self.key(name)?,
                content.clone().into(),
                PutOptions::from(mode),
            )
            .await;
        match put {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Ok(false),
            Err(error) if reason::is_etag_missing(&error) => Ok(true),
            Err(error) if reason::is_unsupported(&error) => {
                self.put(name, content).await?;
                Ok(true)
            }
            Err(error) => Err(self.failed("writing", name, &error)),
        }
    }

    /// What an object is at this moment.
    pub(crate) async fn version(&self, name: &str) -> Result<ObjectVersion> {
        // Not HEAD, whose response does not tell why something is refused.
        match self.bucket.get(&self.key(name)?).await {
            Ok(found) if found.meta.e_tag.is_none() && found.meta.version.is_none() => {
                Ok(ObjectVersion::Untold)
            }
            Ok(found) => Ok(ObjectVersion::Known(UpdateVersion {
                e_tag: found.meta.e_tag,
                version: found.meta.version,
            })),
            Err(ref error @ StoreError::NotFound { .. }) if !reason::is_bucket_missing(error) => {
                Ok(ObjectVersion::Absent)
            }
            Err(error) => Err(self.failed("reading", name, &error)),
        }
    }

    /// Writes a file's content as an object, without holding it in memory if the server can do that.
    pub(crate) async fn put_file(&self, name: &str, path: &Path) -> Result<()> {
        let unreadable = || Error::io("reading", path);
        let mut file = File::open(path).map_err(unreadable())?;
        let size = file.metadata().map_err(unreadable())?.len();
        if size > PART_SIZE && self.put_multipart(name, size, &file, path).await? {
            return Ok(());
        }
        file.rewind().map_err(unreadable())?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(unreadable())?;
        self.put_whole(name, content).await
    }

    /// Writes an object piece by piece. It appears with the last one. `false` if the server does not
    /// give the ETags by which pieces are put together.
    async fn put_multipart(
        &self,
        name: &str,
        size: u64,
        mut content: impl Read + Send,
        from: &Path,
    ) -> Result<bool> {
        let failed = |error: StoreError| self.failed("writing", name, &error);
        let piece = PART_SIZE.max(size.div_ceil(MAX_PARTS)) as usize;
        let upload = self
            .bucket
            .put_multipart(&self.key(name)?)
            .await
            .map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, piece);
        let mut buffer = vec![0; 256 * 1024];
        loop {
            // Not to hold a server's storage with pieces that nobody will put together.
            let outcome = match upload.wait_for_capacity(CONCURRENT_PARTS).await {
                Ok(()) => content
                    .read(&mut buffer)
                    .map_err(Error::io("reading", from)),
                Err(error) if reason::is_etag_missing(&error) => {
                    let _ = upload.abort().await;
                    return Ok(false);
                }
                Err(error) => Err(failed(error)),
            };
            match outcome {
                Ok(0) => break,
                Ok(length) => upload.write(&buffer[..length]),
                Err(error) => {
                    let _ = upload.abort().await;
                    return Err(error);
                }
            }
        }
        match upload.finish().await {
            Ok(_) => Ok(true),
            Err(error) if reason::is_etag_missing(&error) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// The names directly below `name`, objects and folders, in order.
    pub(crate) async fn list(&self, name: &str) -> Result<Vec<String>> {
        let key = self.key(name)?;
        let found = tokio::time::timeout(TIMEOUT, self.bucket.list_with_delimiter(Some(&key)))
            .await
            .map_err(|_| Error::Storage {
                action: "listing",
                location: self.url.below(name).to_string(),
                reason: format!("timed out after {} s", TIMEOUT.as_secs()),
            })?
            .map_err(|error| self.failed("listing", name, &error))?;
        let mut names: Vec<String> = found
            .common_prefixes
            .iter()
            .chain(found.objects.iter().map(|object| &object.location))
            .filter(|found| **found != key)
            .filter_map(|found| Some(found.filename()?.to_owned()))
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Every object below the URL, at any depth.
    pub(crate) async fn list_below(&self) -> Result<Vec<FoundObject>> {
        let failed = |reason: String| Error::Storage {
            action: "listing",
            location: self.url.to_string(),
            reason,
        };
        let key = self.key("")?;
        let mut listed = self.bucket.list(Some(&key));
        let mut found = Vec::new();
        loop {
            let next = tokio::time::timeout(TIMEOUT, listed.try_next()).await;
            let next =
                next.map_err(|_| failed(format!("timed out after {} s", TIMEOUT.as_secs())))?;
            let Some(object) = next.map_err(|error| self.failed("listing", "", &error))? else {
                return Ok(found);
            };
            let Some(parts) = object.location.prefix_match(&key) else {
                continue;
            };
            if found.len() == MAX_LISTED {
                return Err(failed(format!("there are more than {MAX_LISTED} objects")));
            }
            let name: Vec<_> = parts.map(|part| part.as_ref().to_owned()).collect();
            let nanoseconds = object.last_modified.timestamp_nanos_opt();
            found.push(FoundObject {
                name: name.join("/"),
                size: object.size,
                modified: nanoseconds.unwrap_or_default(),
            });
        }
    }

    /// Whether there is an object below `name`.
    pub(crate) async fn has_any(&self, name: &str) -> Result<bool> {
        match self.bucket.list(Some(&self.key(name)?)).next().await {
            None => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(error)) => Err(self.failed("listing", name, &error)),
        }
    }

    /// Deletes objects; those that are not there are passed over.
    pub(crate) async fn delete(&self, names: Vec<String>) -> Result<()> {
        let keys = names
            .iter()
            .map(|name| self.key(name))
            .collect::<Result<Vec<_>>>()?;
        let keys = futures_util::stream::iter(keys.into_iter().map(Ok)).boxed();
        let mut deleted = self.bucket.delete_stream(keys);
        while let Some(outcome) = deleted.next().await {
            match outcome {
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(self.failed("deleting", "", &error)),
            }
        }
        Ok(())
    }

    fn key(&self, name: &str) -> Result<Key> {
        Key::parse(self.url.below(name).key)
            .map_err(|error| self.failed("naming", name, &error.into()))
    }

    fn failed(&self, action: &'static str, name: &str, error: &StoreError) -> Error {
        Error::Storage {
            action,
            location: self.url.below(name).to_string(),
            reason: reason::of(error, &self.url, &self.secrets),
        }
    }
}
