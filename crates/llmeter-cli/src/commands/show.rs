//! `llmeter show`.

use anyhow::{Result, anyhow};
use llmeter::result::RunFolder;
use llmeter::storage::Location;
use llmeter::{Error, RunResult, report};

use crate::args::ShowArguments;
use crate::exit::Exit;
use crate::output;

/// Run folders that an error names.
const MAX_NAMED: usize = 5;

pub(crate) fn show(arguments: &ShowArguments) -> Result<Exit> {
    let result = load(&arguments.folder)?;
    if arguments.json {
        for warning in &result.warnings {
            output::note(&format!("warning: {warning}"));
        }
        output::json(&result.stats_map())?;
    } else {
        output::text(&report::summary(&result))?;
    }
    Ok(Exit::Done)
}

/// Loads a run folder with its responses.
pub(super) fn load(folder: &Location) -> Result<RunResult> {
    match RunResult::load(folder.clone()) {
        Err(reason @ Error::NotARun { .. }) => Err(with_hint(reason, folder)),
        result => Ok(result?),
    }
}

/// Adds which run folders there are in a folder that is none itself.
fn with_hint(reason: Error, folder: &Location) -> anyhow::Error {
    let Some(folder) = folder.local_path() else {
        return reason.into();
    };
    let mut runs: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir() && RunFolder::holds_run(path))
        .collect();
    runs.sort();
    let names = |runs: &[std::path::PathBuf]| {
        runs.iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match runs.as_slice() {
        [] => reason.into(),
        few if few.len() <= MAX_NAMED => anyhow!(
            "{} is not a run folder, but holds some: {}",
            folder.display(),
            names(few)
        ),
        many => anyhow!(
            "{} is not a run folder, but holds {}: {}, …",
            folder.display(),
            many.len(),
            names(&many[many.len() - MAX_NAMED..])
        ),
    }
}
