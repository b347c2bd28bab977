//! What stands for object stores in a build without them: none can be opened.

use std::convert::Infallible;
use std::io::Write;
use std::path::Path;

use super::{CloudUrl, FoundObject};
use crate::{Error, Result};

#[derive(Clone)]
pub(crate) enum ObjectVersion {
    Absent,
}

pub(crate) struct Store(Infallible);

impl Store {
    pub(crate) fn open(url: &CloudUrl) -> Result<Self> {
        Err(Error::MissingFeature {
            what: url.to_string(),
            feature: "cloud",
        })
    }

    pub(crate) async fn get(&self, _: &str) -> Result<Vec<u8>> {
        match self.0 {}
    }

    pub(crate) async fn get_into(
        &self,
        _: &str,
        _: &mut (impl Write + Send),
        _: Option<u64>,
    ) -> Result<bool> {
        match self.0 {}
    }

    #[cfg(feature = "view")]
    pub(crate) async fn get_range(&self, _: &str, _: std::ops::Range<u64>) -> Result<Vec<u8>> {
        match self.0 {}
    }

    pub(crate) async fn put(&self, _: &str, _: Vec<u8>) -> Result<()> {
        match self.0 {}
    }

    pub(crate) async fn put_if(&self, _: &str, _: Vec<u8>, _: ObjectVersion) -> Result<bool> {
        match self.0 {}
    }

    pub(crate) async fn version(&self, _: &str) -> Result<ObjectVersion> {
        match self.0 {}
    }

    pub(crate) async fn put_file(&self, _: &str, _: &Path) -> Result<()> {
        match self.0 {}
    }

    pub(crate) async fn list(&self, _: &str) -> Result<Vec<String>> {
        match self.0 {}
    }

    pub(crate) async fn list_below(&self) -> Result<Vec<FoundObject>> {
        match self.0 {}
    }

    pub(crate) async fn has_any(&self, _: &str) -> Result<bool> {
        match self.0 {}
    }

    pub(crate) async fn delete(&self, _: Vec<String>) -> Result<()> {
        match self.0 {}
    }
}
