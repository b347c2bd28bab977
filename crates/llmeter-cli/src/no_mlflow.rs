//! What stands for MLflow in a build without it: nothing is logged, and who asks for it is refused.

use std::sync::Arc;

use anyhow::Result;
use llmeter::{Callback, RunConfig, RunResult, Setting};

use crate::args::MlflowArguments;
use crate::exit::Exit;
use crate::settings::Given;

const SETTINGS: [Setting; 4] = [
    Setting::Mlflow,
    Setting::MlflowExperiment,
    Setting::MlflowArtifacts,
    Setting::MlflowRequired,
];

fn lacking() -> llmeter::Error {
    llmeter::Error::MissingFeature {
        what: "MLflow".to_owned(),
        feature: "mlflow",
    }
}

pub(crate) fn of(given: &Given) -> Result<Option<Arc<dyn Callback>>> {
    match given
        .settings
        .given()
        .any(|given| SETTINGS.contains(&given))
    {
        true => Err(lacking().into()),
        false => Ok(None),
    }
}

pub(crate) fn require(_: &mut [Arc<dyn Callback>]) -> Result<()> {
    Err(lacking().into())
}

pub(crate) fn log_saved(_: &MlflowArguments) -> Result<Exit> {
    Err(lacking().into())
}

pub(crate) fn may_start(_: &RunConfig) -> Result<bool> {
    Ok(true)
}

pub(crate) fn tell(_: &RunResult) {}
