//! Callbacks in files, here or in the cloud.

use std::sync::Arc;

use super::{Callback, from_json, kinds};
use crate::base::error::{Error, Result};
use crate::saved::{Kind, as_json, refused};
use crate::storage::Location;

impl dyn Callback {
    /// Writes the callback to a file that `load_from_file` reads, as does
    /// the Python system if it knows the type. Missing folders are made.
    ///
    /// # Errors
    /// If the callback cannot be saved or the file cannot be written.
    pub async fn save_to_file(&self, path: impl Into<Location>) -> Result<()> {
        path.into().write(self.file_content()?).await
    }

    /// As `save_to_file`, blocking the calling thread.
    ///
    /// # Errors
    /// As `save_to_file`.
    pub fn save_to_file_blocking(&self, path: impl Into<Location>) -> Result<()> {
        path.into().write_blocking(self.file_content()?)
    }

    /// Reads a callback of any registered type.
    ///
    /// ```
    /// use llmeter::callback::{CacheBuster, Callback};
    ///
    /// let folder = std::env::temp_dir().join("llmeter-doc-test");
    /// let file = folder.join("buster.json");
    /// let callback: &dyn Callback = &CacheBuster::new(7);
    /// callback.save_to_file_blocking(&file)?;
    /// let again = <dyn Callback>::load_from_file_blocking(&file)?;
    /// assert_eq!(again.saved()?, callback.saved()?);
    /// # std::fs::remove_dir_all(folder).ok();
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the file cannot be read or is no JSON, if its type is unknown, its fields are wrong, or it
    /// was written by a newer llmeter. The message names the file and lists the known types.
    pub async fn load_from_file(path: impl Into<Location>) -> Result<Arc<dyn Callback>> {
        let path = path.into();
        let text = path.read().await;
        built(&path, text)
    }

    /// As `load_from_file`, blocking the calling thread.
    ///
    /// # Errors
    /// As `load_from_file`.
    pub fn load_from_file_blocking(path: impl Into<Location>) -> Result<Arc<dyn Callback>> {
        let path = path.into();
        let text = path.read_blocking();
        built(&path, text)
    }

    fn file_content(&self) -> Result<Vec<u8>> {
        let saved = self
            .saved()?
            .ok_or_else(|| Error::field("callback", self.name(), "one that has a saved form"))?;
        Ok(saved.to_file())
    }
}

fn built(path: &Location, text: Result<Vec<u8>>) -> Result<Arc<dyn Callback>> {
    let known = || {
        let names: Vec<_> = kinds().iter().map(Kind::name).collect();
        format!("known types: {}", names.join(", "))
    };
    let value = as_json(path, text, "callback", known)?;
    from_json(&value).map_err(|reason| refused(path, reason))
}
