//! Prices on the command line: the usual ones by flags, any others by a file.

use std::any::Any;

use anyhow::Result;
use llmeter::cost::{CachedInputTokens, CostModel, EndpointTime, InputTokens, OutputTokens};
use llmeter::storage::Location;
use llmeter::{Callback, Error, RunSettings, Setting};

use crate::exit::UsageError;

/// The model of the prices that are given; `None` if there are none.
pub(crate) fn model(settings: &RunSettings) -> Result<Option<CostModel>> {
    let mut model = CostModel::new();
    if let Some(price) = settings.cost_input {
        model = model.with_request(checked(Setting::CostInput, price, InputTokens::new)?)?;
    }
    if let Some(price) = settings.cost_cached_input {
        let dimension = checked(Setting::CostCachedInput, price, CachedInputTokens::new)?;
        model = model.with_request(dimension)?;
    }
    if let Some(price) = settings.cost_output {
        model = model.with_request(checked(Setting::CostOutput, price, OutputTokens::new)?)?;
    }
    if let Some(price) = settings.cost_hour {
        model = model.with_run(checked(Setting::CostHour, price, EndpointTime::new)?)?;
    }
    Ok((!model.is_empty()).then_some(model))
}

fn checked<T>(
    setting: Setting,
    price: f64,
    make: fn(f64) -> llmeter::Result<T>,
) -> llmeter::Result<T> {
    make(price).map_err(|_| Error::invalid(setting, price, "0 or more"))
}

/// The model that a file holds.
pub(crate) fn model_of_file(path: &Location) -> Result<CostModel> {
    let callback = <dyn Callback>::load_from_file_blocking(path.clone())?;
    let model = (&*callback as &dyn Any).downcast_ref::<CostModel>();
    Ok(model.cloned().ok_or_else(|| {
        let saved = callback.saved().ok().flatten();
        let kind = saved.map_or_else(|| callback.name(), |saved| saved.class);
        UsageError(format!("{path}: it holds a {kind}, not a CostModel"))
    })?)
}
