//! What a run costs.
//!
//! Belongs here: the [`CostModel`] callback, the dimensions of which it consists, the guard that
//! stops a run before it costs too much.
//! Does not belong here: the table of costs (`report`), sums over responses (`stats`).
//!
//! Prices are in any one currency; costs are in the same.

mod dimension;
mod guard;
mod model;
pub(crate) mod price;
mod sagemaker;
#[cfg(feature = "aws")]
mod sagemaker_lookup;
mod saved;
mod time;
mod tokens;

pub use dimension::{
    BillableRequest, RequestDimension, RunDimension, TokenPart, register_request_dimension,
    register_run_dimension, request_dimension_from_json, run_dimension_from_json,
};
pub(crate) use guard::{ExpectedTokens, LimitReached, Reservation, SpendGuard};
pub use model::{CalculatedCost, CostModel};
pub use sagemaker::{SageMakerRTEndpointCompute, SageMakerRTEndpointStorage};
pub use time::EndpointTime;
pub use tokens::{CachedInputTokens, InputTokens, OutputTokens, PerRequest, ReasoningTokens};
