//! `llmeter mlflow`, and what `run` asks of MLflow before and says of it after.

use std::any::Any;

use anyhow::Result;
use llmeter::mlflow::MlflowCallback;
use llmeter::saved::Saved;
use llmeter::storage::Location;
use llmeter::{Callback, RunConfig, RunResult, SavedRun};

use super::show;
use crate::args::MlflowArguments;
use crate::exit::Exit;
use crate::settings::Given;
use crate::trust::{self, Consent};
use crate::{callbacks, output};

/// Logs a saved run. Flags are laid over the callback that the run itself had.
pub(crate) fn mlflow(arguments: &MlflowArguments) -> Result<Exit> {
    let settings = &arguments.flags.settings;
    let base = match settings.mlflow {
        Some(_) => None,
        None => callback_of_run(&arguments.folder),
    };
    let callback = callbacks::mlflow_over(base.unwrap_or_default(), settings)?;
    let result = show::load(&arguments.folder)?;
    let consent = Consent {
        given: &Given::of_flags(settings.clone()),
        is_given: arguments.trust.trust_folder,
    };
    let Some(trust) = consent.to(&callback.destinations())? else {
        output::note(trust::NOTHING);
        return Ok(Exit::CouldNotRun);
    };
    let callback = callback.trust(trust);
    output::warnings(&result);
    let page = callback.log_blocking(&result)?;
    output::text(&format!("{page}\n"))?;
    Ok(Exit::Done)
}

/// The callback that the run itself was given.
fn callback_of_run(folder: &Location) -> Option<MlflowCallback> {
    let saved = SavedRun::load(folder.clone()).ok()?;
    let mut callbacks = saved.callbacks.iter();
    callbacks.find_map(|callback| MlflowCallback::from_saved(callback).ok())
}

/// Whether a run is to start: one that cannot be logged is not if that is required, or if somebody
/// at a terminal says so.
pub(super) fn may_start(config: &RunConfig) -> Result<bool> {
    for callback in &config.callbacks {
        let callback: &dyn Any = &**callback;
        let Some(mlflow) = callback.downcast_ref::<MlflowCallback>() else {
            continue;
        };
        let mlflow = mlflow.clone().trust(config.trust.clone());
        let Err(reason) = mlflow.check_blocking() else {
            continue;
        };
        // Without an address it cannot be logged later either.
        if mlflow.is_required() || !mlflow.has_server() {
            return Err(reason.into());
        }
        output::note(&format!("warning: the run may not be logged: {reason}"));
        if trust::can_ask()
            && !trust::ask("Run all the same? `llmeter mlflow DIR` logs a saved run later.")?
        {
            output::note(trust::NOTHING);
            return Ok(false);
        }
    }
    Ok(true)
}

/// Says where a run can be seen, or how it can be logged later.
pub(super) fn tell(result: &RunResult) {
    for page in &result.tracked_at {
        output::note(&format!("MLflow: {page}"));
    }
    let mut failures = result.callback_errors.iter();
    let name = MlflowCallback::CLASS.rsplit('.').next();
    let has_failed = failures.any(|failure| Some(failure.callback.as_str()) == name);
    if has_failed && let Some(folder) = &result.summary.output_path {
        output::note(&format!(
            "hint: log the run later with `llmeter mlflow {folder}`"
        ));
    }
}
