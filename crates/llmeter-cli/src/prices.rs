//! Prices on the command line: the usual ones by flags, any others by a file.

use std::path::Path;

use anyhow::{Context, Result};
use clap::Args;
use llmeter::callback::cost::{
    CachedInputTokens, CostModel, EndpointTime, InputTokens, OutputTokens,
};

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
            model = model.with_request(checked("--cost-input", price, InputTokens::new)?)?;
        }
        if let Some(price) = self.cost_cached_input {
            let dimension = checked("--cost-cached-input", price, CachedInputTokens::new)?;
            model = model.with_request(dimension)?;
        }
        if let Some(price) = self.cost_output {
            model = model.with_request(checked("--cost-output", price, OutputTokens::new)?)?;
        }
        if let Some(price) = self.cost_hour {
            model = model.with_run(checked("--cost-hour", price, EndpointTime::new)?)?;
        }
        Ok(Some(model))
    }
}

fn checked<T>(flag: &str, price: f64, make: fn(f64) -> llmeter::Result<T>) -> Result<T> {
    make(price).map_err(|_| {
        UsageError(format!(
            "{flag}: {price} is not usable: a price is at least 0"
        ))
        .into()
    })
}

/// The model that a file holds.
pub(crate) fn model_of_file(path: &Path) -> Result<CostModel> {
    let name = path.display();
    let text = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
    let value = serde_json::from_slice(&text)
        .map_err(|reason| UsageError(format!("{name} is no JSON: {reason}")))?;
    CostModel::from_json(&value).with_context(|| name.to_string())
}
