//! Files with one object.

use serde_json::Value;

use super::Saved;
use crate::base::error::{Error, Result};
use crate::storage::Location;

/// An object of a type that is known beforehand.
pub(super) fn typed<T: Saved>(path: &Location, text: Result<Vec<u8>>) -> Result<T> {
    let expected = || format!("expected is a file of {}", T::CLASS);
    let value = as_json(path, text, "object", expected)?;
    T::from_saved(&value).map_err(|reason| refused(path, reason))
}

/// The JSON of a file that should hold `what`; `note` tells more of that.
pub(crate) fn as_json(
    path: &Location,
    text: Result<Vec<u8>>,
    what: &str,
    note: impl Fn() -> String,
) -> Result<Value> {
    let text = text.map_err(|error| {
        let reason = match &error {
            Error::Io { source, .. } => source.to_string(),
            Error::Storage { reason, .. } => reason.clone(),
            other => other.to_string(),
        };
        let reason = format!("no {what} can be read from it: {reason}; {}", note());
        content(path, None, None, reason).caused_by(error)
    })?;
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&text);
    serde_json::from_slice(text).map_err(|reason| {
        let (line, column) = (Some(reason.line()), Some(reason.column()));
        let text = format!("it is no JSON: {reason}; {}", note());
        content(path, line, column, text).caused_by(reason)
    })
}

/// A file whose object cannot be built.
pub(crate) fn refused(path: &Location, reason: Error) -> Error {
    content(path, None, None, reason.to_string()).caused_by(reason)
}

fn content(path: &Location, line: Option<usize>, column: Option<usize>, reason: String) -> Error {
    Error::Content {
        path: path.to_string().into(),
        line,
        column,
        reason,
        source: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::{CacheBuster, Callback};
    use crate::cost::CostModel;

    #[test]
    fn every_type_saves_and_loads_itself() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/buster.json");
        CacheBuster::new(7).save_to_file_blocking(&file).unwrap();
        let again = CacheBuster::load_from_file_blocking(&file).unwrap();
        assert_eq!(again.saved().unwrap(), CacheBuster::new(7).saved().unwrap());
        // The same file as through the trait object.
        let any = <dyn Callback>::load_from_file_blocking(&file).unwrap();
        assert_eq!(any.saved().unwrap(), again.saved().unwrap());
        any.save_to_file_blocking(folder.path().join("any.json"))
            .unwrap();
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        assert_eq!(read("any.json"), read("new/buster.json"));

        let error = CostModel::load_from_file_blocking(&file).err().unwrap();
        let error = error.to_string();
        assert!(
            error.contains("buster.json") && error.contains("CacheBuster"),
            "{error}"
        );
        assert!(error.contains("expected CostModel"), "{error}");
        let missing = folder.path().join("missing.json");
        let error = CacheBuster::load_from_file_blocking(missing).err().unwrap();
        let error = error.to_string();
        assert!(
            error.contains("missing.json") && error.contains(CacheBuster::CLASS),
            "{error}"
        );
    }

    #[tokio::test]
    async fn every_type_saves_and_loads_itself_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("costs.json");
        let model = CostModel::example().unwrap();
        model.save_to_file(&file).await.unwrap();
        let again = CostModel::load_from_file(&file).await.unwrap();
        assert_eq!(again.saved().unwrap(), model.saved().unwrap());
    }
}
