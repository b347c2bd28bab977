//! The objects under a URL.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path as Key;
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, WriteMultipart,
};

use super::{CloudUrl, buckets, reason};
use crate::{Error, Result};

/// Files above this size are uploaded in pieces of this size, or larger ones where there would be
/// too many.
const PART_SIZE: u64 = 5 * 1024 * 1024;
/// The maximum of pieces of an upload; S3 takes 10,000.
const MAX_PARTS: u64 = 9_000;
/// Pieces that are on their way at a time: each has to arrive within a request's time limit, also
/// over a slow network.
const CONCURRENT_PARTS: usize = 1;

/// The objects under a URL, by their names below it; the empty name is the URL's own object.
///
/// Must be opened and used in the same runtime.
pub(crate) struct Store {
    bucket: Arc<dyn ObjectStore>,
    url: CloudUrl,
}

impl Store {
    /// Prepares everything; nothing is sent yet.
    ///
    /// # Errors
    /// If the environment's settings for this provider cannot be used.
    pub(crate) fn open(url: &CloudUrl) -> Result<Self> {
        let bucket = buckets::open(url).map_err(|error| failed("opening", url, "", &error))?;
        Ok(Self {
            bucket,
            url: url.clone(),
        })
    }

    /// Reads a whole object.
    pub(crate) async fn get(&self, name: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        if self.get_into(name, &mut content).await? {
            return Ok(content);
        }
        Err(Error::Storage {
            action: "reading",
            location: self.url.below(name).to_string(),
            reason: "there is no such object".to_owned(),
        })
    }

    /// Appends an object to a file; `false` if there is no such object.
    pub(crate) async fn get_into(&self, name: &str, to: &mut (impl Write + Send)) -> Result<bool> {
        let failed = |error: StoreError| failed("reading", &self.url, name, &error);
        let found = match self.bucket.get(&self.key(name)?).await {
            Ok(found) => found,
            Err(ref error @ StoreError::NotFound { .. }) if !reason::is_bucket_missing(error) => {
                return Ok(false);
            }
            Err(error) => return Err(failed(error)),
        };
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.try_next().await.map_err(failed)? {
            let written = to.write_all(&piece);
            let shown = self.url.below(name).to_string();
            written.map_err(Error::io("writing a copy of", shown))?;
        }
        Ok(true)
    }

    /// Writes an object.
    pub(crate) async fn put(&self, name: &str, content: Vec<u8>) -> Result<()> {
        let size = content.len() as u64;
        if size > PART_SIZE {
            let from = Path::new("memory");
            return self.put_multipart(name, size, &*content, from).await;
        }
        let put = self.bucket.put(&self.key(name)?, content.into()).await;
        put.map_err(|error| failed("writing", &self.url, name, &error))?;
        Ok(())
    }

    /// Writes an object unless there is one of that name; tells whether it did. A server that
    /// cannot tell writes.
    pub(crate) async fn put_new(&self, name: &str, content: Vec<u8>) -> Result<bool> {
        let options = PutOptions::from(PutMode::Create);
        let put = self
            .bucket
            .put_opts(&self.key(name)?, content.clone().into(), options)
            .await;
        match put {
            Ok(_) => Ok(true),
            Err(StoreError::AlreadyExists { .. }) => Ok(false),
            Err(StoreError::NotImplemented { .. }) => {
                self.put(name, content).await?;
                Ok(true)
            }
            Err(error) => Err(failed("writing", &self.url, name, &error)),
        }
    }

    /// Writes a file's content as an object, without holding it in memory.
    pub(crate) async fn put_file(&self, name: &str, path: &Path) -> Result<()> {
        let unreadable = || Error::io("reading", path);
        let mut file = File::open(path).map_err(unreadable())?;
        let size = file.metadata().map_err(unreadable())?.len();
        if size <= PART_SIZE {
            let mut content = Vec::new();
            file.read_to_end(&mut content).map_err(unreadable())?;
            return self.put(name, content).await;
        }
        self.put_multipart(name, size, file, path).await
    }

    /// Writes an object piece by piece. It appears with the last one.
    async fn put_multipart(
        &self,
        name: &str,
        size: u64,
        mut content: impl Read + Send,
        from: &Path,
    ) -> Result<()> {
        let failed = |error: StoreError| failed("writing", &self.url, name, &error);
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
        upload.finish().await.map_err(failed)?;
        Ok(())
    }

    /// The names directly below `name`, objects and folders, in order.
    pub(crate) async fn list(&self, name: &str) -> Result<Vec<String>> {
        let key = self.key(name)?;
        let found = self
            .bucket
            .list_with_delimiter(Some(&key))
            .await
            .map_err(|error| failed("listing", &self.url, name, &error))?;
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

    /// Whether there is an object below `name`.
    pub(crate) async fn has_any(&self, name: &str) -> Result<bool> {
        match self.bucket.list(Some(&self.key(name)?)).next().await {
            None => Ok(false),
            Some(Ok(_)) => Ok(true),
            Some(Err(error)) => Err(failed("listing", &self.url, name, &error)),
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
                Err(error) => return Err(failed("deleting", &self.url, "", &error)),
            }
        }
        Ok(())
    }

    fn key(&self, name: &str) -> Result<Key> {
        Key::parse(self.url.below(name).key)
            .map_err(|error| failed("naming", &self.url, name, &error.into()))
    }
}

fn failed(action: &'static str, url: &CloudUrl, name: &str, error: &StoreError) -> Error {
    Error::Storage {
        action,
        location: url.below(name).to_string(),
        reason: reason::of(error, url),
    }
}
