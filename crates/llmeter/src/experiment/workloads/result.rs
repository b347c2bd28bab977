//! What a mix measured, and its folder.

use super::ALONE;
use super::saved::SavedWorkloads;
use crate::base::error::Result;
use crate::result::RunResult;
use crate::storage::Location;

/// What [`Workloads`](super::Workloads) measured.
#[derive(Debug)]
#[non_exhaustive]
pub struct WorkloadsResult {
    /// All classes as one run, without its responses: they are in its folder.
    pub whole: RunResult,
    /// Each class by its name.
    pub classes: Vec<(String, RunResult)>,
    /// Each class as it was alone, if that was measured.
    pub alone: Vec<(String, RunResult)>,
    /// What of the folder cannot be read.
    pub warnings: Vec<String>,
}

impl WorkloadsResult {
    /// Whether a folder holds such a mix.
    pub fn is_in(folder: &Location) -> bool {
        !Self::names(folder).is_empty()
    }

    /// The names of the classes of the mix in a folder; none if it holds none.
    pub fn names(folder: &Location) -> Vec<String> {
        let saved = SavedWorkloads::load(folder.clone()).ok().flatten();
        let classes = saved.into_iter().flat_map(|saved| saved.classes);
        classes.map(|(name, _)| name).collect()
    }

    /// Reads a mix from its folder, its classes with their responses. A class that cannot be read is among the
    /// [`warnings`](Self::warnings).
    ///
    /// # Errors
    /// If the whole cannot be read.
    pub fn load(folder: impl Into<Location>) -> Result<Self> {
        let folder = folder.into();
        let whole = RunResult::load(folder.clone())?;
        let (classes, warnings) = Self::load_classes(&folder);
        let alone = folder.join(ALONE);
        // Only where it was measured.
        let names = alone.list_blocking().unwrap_or_default();
        let of_alone = classes.iter().map(|(name, _)| name);
        let of_alone = of_alone.filter(|name| names.contains(name));
        let alone = of_alone.filter_map(|name| {
            let result = RunResult::load(alone.join(name)).ok()?;
            Some((name.clone(), result))
        });
        Ok(Self {
            whole,
            alone: alone.collect(),
            classes,
            warnings,
        })
    }

    /// The classes of a mix, also of one that has not come to its end, and why others cannot be read.
    pub(crate) fn load_classes(folder: &Location) -> (Vec<(String, RunResult)>, Vec<String>) {
        let (mut classes, mut warnings) = (Vec::new(), Vec::new());
        for name in Self::names(folder) {
            match RunResult::load(folder.join(&name)) {
                Ok(result) => classes.push((name, result)),
                Err(reason) => warnings.push(format!("workload {name}: {reason}")),
            }
        }
        (classes, warnings)
    }
}
