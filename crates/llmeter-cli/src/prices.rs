//! Prices on the command line: the usual ones by flags, any others by a file.

use std::any::Any;

use anyhow::Result;
use clap::Args;
use llmeter::cost::{CachedInputTokens, CostModel, EndpointTime, InputTokens, OutputTokens};
use llmeter::storage::Location;
use llmeter::{Callback, Error, Setting};

use crate::exit::UsageError;

/// The prices that flags can name; `run` has the same ones.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Prices {
    /// Price of a million input tokens
    #[arg(long, value_name = "PRICE")]
    pub(crate) cost_input: Option<f64>,
    /// Price of a million output tokens
    #[arg(long, value_name = "PRICE")]
    pub(crate) cost_output: Option<f64>,
    /// Price of a million cached input tokens, instead of that of other input tokens
    #[arg(long, value_name = "PRICE")]
    pub(crate) cost_cached_input: Option<f64>,
    /// Price of an hour of the endpoint
    #[arg(long, value_name = "PRICE")]
    pub(crate) cost_hour: Option<f64>,
}

impl Prices {
    pub(crate) fn is_empty(&self) -> bool {
        let prices = [
            self.cost_input,
            self.cost_output,
            self.cost_cached_input,
            self.cost_hour,
        ];
        prices.iter().all(Option::is_none)
    }

    /// The model of these prices; `None` if there are none.
    pub(crate) fn model(&self) -> Result<Option<CostModel>> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut model = CostModel::new();
        if let Some(price) = self.cost_input {
            model = model.with_request(checked(Setting::CostInput, price, InputTokens::new)?)?;
        }
        if let Some(price) = self.cost_cached_input {
            let dimension = checked(Setting::CostCachedInput, price, CachedInputTokens::new)?;
            model = model.with_request(dimension)?;
        }
        if let Some(price) = self.cost_output {
            model = model.with_request(checked(Setting::CostOutput, price, OutputTokens::new)?)?;
        }
        if let Some(price) = self.cost_hour {
            model = model.with_run(checked(Setting::CostHour, price, EndpointTime::new)?)?;
        }
        Ok(Some(model))
    }
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
        let kind = callback
            .saved()
            .map_or_else(|_| "callback".to_owned(), |saved| saved.class);
        UsageError(format!("{path}: it holds a {kind}, not a CostModel"))
    })?)
}
