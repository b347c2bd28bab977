//! What a dimension of cost is, and which ones files can name.

use std::any::Any;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use serde_json::Value;

use super::{
    CachedInputTokens, EndpointTime, InputTokens, OutputTokens, PerRequest, ReasoningTokens,
    SageMakerRTEndpointCompute, SageMakerRTEndpointStorage,
};
use crate::base::error::Result;
use crate::saved::{Registry, Saved, SavedObject};
use crate::{InvocationResponse, RunResult};

/// A part of a request's tokens that may have a price of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenPart {
    /// Input tokens that came from the server's cache.
    CachedInput,
    /// Output tokens that were reasoning.
    Reasoning,
}

/// A request as it is billed by one cost model.
#[derive(Debug, Clone, Copy)]
pub struct BillableRequest<'a> {
    /// The response, failed or not.
    pub response: &'a InvocationResponse,
    /// Input tokens without those that the model prices apart.
    pub input_tokens: Option<u64>,
    /// Output tokens without those that the model prices apart.
    pub output_tokens: Option<u64>,
}

/// A part of the costs that each request has for itself.
///
/// ```
/// use llmeter::cost::{
///     BillableRequest, CostModel, RequestDimension, register_request_dimension,
/// };
/// use llmeter::saved::{Saved, SavedObject};
/// use llmeter::InvocationResponse;
/// use serde::{Deserialize, Serialize};
///
/// /// A price for each second that a request takes.
/// #[derive(Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct RequestTime {
///     price_per_second: f64,
/// }
///
/// impl Saved for RequestTime {
///     const CLASS: &'static str = "my_app.RequestTime";
/// }
///
/// impl RequestDimension for RequestTime {
///     fn saved(&self) -> llmeter::Result<SavedObject> {
///         SavedObject::of(self)
///     }
///
///     fn cost(&self, request: &BillableRequest<'_>) -> Option<f64> {
///         Some(request.response.time_to_last_token? * self.price_per_second)
///     }
/// }
///
/// // From here on files can name it.
/// register_request_dimension::<RequestTime>();
/// let model = CostModel::new().with_request(RequestTime { price_per_second: 0.5 })?;
/// let response = InvocationResponse {
///     time_to_last_token: Some(3.0),
///     ..InvocationResponse::default()
/// };
/// assert_eq!(model.calculate_request_cost(&response).total(), Some(1.5));
/// # Ok::<(), llmeter::Error>(())
/// ```
pub trait RequestDimension: Any + Send + Sync {
    /// The dimension as files hold it; [`SavedObject::of`] makes this of a [`Saved`] type.
    ///
    /// # Errors
    /// If it cannot be saved.
    fn saved(&self) -> Result<SavedObject>;

    /// What the request costs, `None` if that is not known. The spend guard asks for requests that
    /// are yet to be sent, too, with the tokens that they may use.
    fn cost(&self, request: &BillableRequest<'_>) -> Option<f64>;

    /// The tokens that this dimension has a price for, so that
    /// [`BillableRequest::input_tokens`] and [`BillableRequest::output_tokens`] are without them
    /// for all dimensions of the model.
    fn prices_apart(&self) -> Option<TokenPart> {
        None
    }
}

/// A part of the costs that a run has as a whole.
pub trait RunDimension: Any + Send + Sync {
    /// The dimension as files hold it; [`SavedObject::of`] makes this of a [`Saved`] type.
    ///
    /// # Errors
    /// If it cannot be saved.
    fn saved(&self) -> Result<SavedObject>;

    /// What the run costs, `None` if that is not known. The spend guard asks while the run goes on,
    /// with a result that has only `summary.clients`, `summary.total_requests` and
    /// `summary.total_test_time`, as far as they have come.
    fn cost(&self, result: &RunResult) -> Option<f64>;
}

static REQUEST: LazyLock<RwLock<Registry<dyn RequestDimension>>> = LazyLock::new(|| {
    let mut registry = Registry::<dyn RequestDimension>::new("request dimension");
    registry.register::<InputTokens>(|dimension| Arc::new(dimension));
    registry.register::<OutputTokens>(|dimension| Arc::new(dimension));
    registry.register::<CachedInputTokens>(|dimension| Arc::new(dimension));
    registry.register::<ReasoningTokens>(|dimension| Arc::new(dimension));
    registry.register::<PerRequest>(|dimension| Arc::new(dimension));
    RwLock::new(registry)
});

static RUN: LazyLock<RwLock<Registry<dyn RunDimension>>> = LazyLock::new(|| {
    let mut registry = Registry::<dyn RunDimension>::new("run dimension");
    registry.register::<EndpointTime>(|dimension| Arc::new(dimension));
    registry.register::<SageMakerRTEndpointCompute>(|dimension| Arc::new(dimension));
    registry.register::<SageMakerRTEndpointStorage>(|dimension| Arc::new(dimension));
    RwLock::new(registry)
});

/// Makes a type of request dimension known to this process, so that files can name it. A type of
/// the same class is replaced.
pub fn register_request_dimension<T: RequestDimension + Saved>() {
    let mut registry = REQUEST.write().unwrap_or_else(PoisonError::into_inner);
    registry.register::<T>(|dimension| Arc::new(dimension));
}

/// Makes a type of run dimension known to this process, so that files can name it. A type of the
/// same class is replaced.
pub fn register_run_dimension<T: RunDimension + Saved>() {
    let mut registry = RUN.write().unwrap_or_else(PoisonError::into_inner);
    registry.register::<T>(|dimension| Arc::new(dimension));
}

/// Builds the request dimension that an envelope describes.
///
/// # Errors
/// If its type is unknown or its fields are wrong; the message lists the known types.
pub fn request_dimension_from_json(value: &Value) -> Result<Arc<dyn RequestDimension>> {
    let registry = REQUEST.read().unwrap_or_else(PoisonError::into_inner);
    registry.build_json(value)
}

/// Builds the run dimension that an envelope describes.
///
/// # Errors
/// As [`request_dimension_from_json`].
pub fn run_dimension_from_json(value: &Value) -> Result<Arc<dyn RunDimension>> {
    let registry = RUN.read().unwrap_or_else(PoisonError::into_inner);
    registry.build_json(value)
}
