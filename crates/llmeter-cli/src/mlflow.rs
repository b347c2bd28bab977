//! Runs logged to MLflow: the callback that settings ask for, `llmeter mlflow`, what `run` asks before and says
//! after.

use std::any::Any;
use std::sync::Arc;

use anyhow::Result;
use llmeter::mlflow::MlflowCallback;
use llmeter::saved::Saved;
use llmeter::storage::Location;
use llmeter::{Callback, Error, RunConfig, RunResult, RunSettings, SavedRun, Setting};

use crate::args::MlflowArguments;
use crate::commands::show;
use crate::exit::Exit;
use crate::output;
use crate::settings::Given;
use crate::trust::{self, Consent};

/// The callback that the settings ask for.
pub(crate) fn of(given: &Given) -> Result<Option<Arc<dyn Callback>>> {
    let settings = &given.settings;
    if settings.mlflow.is_some() {
        let callback = over(MlflowCallback::new(), settings)?;
        return Ok(Some(match given.is_from_file(Setting::Mlflow) {
            true => Arc::new(callback.address_from_file()),
            false => Arc::new(callback),
        }));
    }
    let details = [Setting::MlflowExperiment, Setting::MlflowArtifacts];
    match settings.given().find(|given| details.contains(given)) {
        Some(setting) => Err(Error::requires(setting, Setting::Mlflow).into()),
        None => Ok(None),
    }
}

/// What the settings say, over a callback.
fn over(mut mlflow: MlflowCallback, settings: &RunSettings) -> Result<MlflowCallback> {
    match settings.mlflow.as_deref() {
        None => {}
        Some("") if !is_set("MLFLOW_TRACKING_URI") => {
            let error = Error::hidden(Setting::Mlflow, "the address of a tracking server");
            return Err(error
                .with_hint("set MLFLOW_TRACKING_URI, or give it here")
                .into());
        }
        Some("") => {}
        Some(uri) => mlflow = mlflow.tracking_uri(uri)?,
    }
    if let Some(name) = &settings.mlflow_experiment {
        mlflow = mlflow.experiment(name);
    }
    if settings.mlflow_artifacts == Some(true) {
        mlflow = mlflow.artifacts(true);
    }
    mlflow.validate()?;
    Ok(mlflow)
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// Requires what the callbacks log to, whichever way they were given.
pub(crate) fn require(callbacks: &mut [Arc<dyn Callback>]) -> Result<()> {
    let mut is_logged = false;
    for callback in callbacks {
        let any: &dyn Any = &**callback;
        if let Some(mlflow) = any.downcast_ref::<MlflowCallback>() {
            *callback = Arc::new(mlflow.clone().required(true));
            is_logged = true;
        }
    }
    match is_logged {
        true => Ok(()),
        false => Err(Error::requires(Setting::MlflowRequired, Setting::Mlflow).into()),
    }
}

/// Logs a saved run. Flags are laid over the callback that the run itself had.
pub(crate) fn log_saved(arguments: &MlflowArguments) -> Result<Exit> {
    let settings = &arguments.flags.settings;
    let base = match settings.mlflow {
        Some(_) => None,
        None => callback_of_run(&arguments.folder),
    };
    let callback = over(base.unwrap_or_default(), settings)?;
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
pub(crate) fn may_start(config: &RunConfig) -> Result<bool> {
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
pub(crate) fn tell(result: &RunResult) {
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
