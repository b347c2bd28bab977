//! What an experiment was to do, in a file of its folder.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base::error::{Error, Result};
use crate::saved::json;
use crate::storage::Location;

/// The format of the files that have one.
const FORMAT: u64 = 1;

/// Whether a folder has such a file.
pub(super) fn is_in(folder: &Location, file: &str) -> bool {
    let names = folder.list_blocking().unwrap_or_default();
    names.iter().any(|name| name == file)
}

/// Reads one.
///
/// # Errors
/// If there is none, it cannot be understood, or it has the format of a newer llmeter.
pub(super) fn read<P: DeserializeOwned>(folder: &Location, file: &str) -> Result<P> {
    let not_one = |reason: String| Error::NotARun {
        path: folder.to_string(),
        reason: format!("{file}: {reason}"),
    };
    let text = folder.join(file).read_if_there()?;
    let text = text.ok_or_else(|| not_one("there is none".to_owned()))?;
    let plan: Value = json::read(&text).map_err(|reason| not_one(reason.to_string()))?;
    if let Some(format) = plan.get("format")
        && format.as_u64() != Some(FORMAT)
    {
        return Err(not_one(format!(
            "it has format {format}, this llmeter reads format {FORMAT}; use a newer llmeter"
        )));
    }
    json::read(&text).map_err(|reason| not_one(reason.to_string()))
}

/// Writes one, if there is a folder.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(folder: Option<&Location>, file: &str, plan: &impl Serialize) -> Result<()> {
    match folder {
        None => Ok(()),
        Some(folder) => folder.join(file).write_blocking(json::to_indented(plan)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_plan_is_refused_with_the_reason() {
        let place = tempfile::tempdir().unwrap();
        let folder = Location::from(place.path());
        let refused = || {
            let error = read::<Vec<u32>>(&folder, "plan.json").unwrap_err();
            error.to_string()
        };
        assert!(refused().contains("plan.json: there is none"));
        for (text, expected) in [
            ("{", "plan.json: "),
            (r#"{"format": 2}"#, "format 2, this llmeter reads format 1"),
            (r#"{"format": 1}"#, "plan.json: "),
        ] {
            folder
                .join("plan.json")
                .write_blocking(text.as_bytes().to_vec())
                .unwrap();
            assert!(refused().contains(expected), "{}", refused());
        }
        write(Some(&folder), "plan.json", &[1, 2]).unwrap();
        assert_eq!(read::<Vec<u32>>(&folder, "plan.json").unwrap(), [1, 2]);
        assert!(is_in(&folder, "plan.json") && !is_in(&folder, "other.json"));
    }
}
