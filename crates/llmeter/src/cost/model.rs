//! The callback that puts costs on responses and runs.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::dimension::{BillableRequest, RequestDimension, RunDimension, TokenPart};
use crate::base::error::{Error, Result};
use crate::callback::{Callback, Hook, HookResult, RequestData, async_trait};
use crate::saved::SavedObject;
use crate::stats::{AnnotationSummary, ExactSum, STANDARD_PERCENTILES, Support};
use crate::{InvocationResponse, RunResult};

/// What annotations and statistics of costs begin with.
const PREFIX: &str = "cost_";
const TOTAL: &str = "cost_total";
/// The guard's statistics begin with this; they are no costs.
const LIMIT: &str = "cost_limit";
const UNKNOWN_REQUESTS: &str = "cost_unknown_requests";
/// Names whose statistics would be taken for others.
const RESERVED: [&str; 5] = [
    "total",
    "per_request",
    "unknown_requests",
    "limit",
    "limit_reached",
];

/// What a run costs: a price for each dimension of its use.
///
/// As a callback it writes `cost_<dimension>` and `cost_total` into the annotations of every response
/// and into the statistics of the run. [`apply`](Self::apply) does the same for a result of an
/// earlier run.
///
/// - A failed request costs what it used. A dimension that has no count for a request is left out
///   of that request and voids nothing else; how many requests have no cost at all is the statistic
///   `cost_unknown_requests`.
/// - Cached tokens are part of the input tokens, and reasoning is part of the output tokens. A model
///   that has a price for the part ([`CachedInputTokens`](super::CachedInputTokens),
///   [`ReasoningTokens`](super::ReasoningTokens)) charges the part only that price, as price lists
///   mean it.
///
/// ```
/// use llmeter::InvocationResponse;
/// use llmeter::cost::{CachedInputTokens, CostModel, InputTokens, OutputTokens};
///
/// let model = CostModel::new()
///     .with_request(InputTokens::new(3.0)?)?
///     .with_request(CachedInputTokens::new(0.3)?)?
///     .with_request(OutputTokens::new(15.0)?)?;
/// let cost = model.calculate_request_cost(&InvocationResponse {
///     num_tokens_input: Some(1_000_000),
///     num_tokens_input_cached: Some(600_000),
///     num_tokens_output: Some(100_000),
///     ..InvocationResponse::default()
/// });
/// assert_eq!(cost.get("InputTokens"), Some(1.2));
/// assert_eq!(cost.get("CachedInputTokens"), Some(0.18));
/// assert_eq!(cost.get("OutputTokens"), Some(1.5));
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct CostModel {
    pub(super) request_dims: Vec<(String, Arc<dyn RequestDimension>)>,
    pub(super) run_dims: Vec<(String, Arc<dyn RunDimension>)>,
}

/// A cost and what it consists of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CalculatedCost {
    /// The known costs by dimension, in the model's order.
    pub dimensions: Vec<(String, f64)>,
}

impl CalculatedCost {
    /// The cost of a dimension, if it is known.
    pub fn get(&self, name: &str) -> Option<f64> {
        let mut dimensions = self.dimensions.iter();
        dimensions.find_map(|(known, cost)| (known == name).then_some(*cost))
    }

    /// The sum of what is known; `None` if nothing is.
    pub fn total(&self) -> Option<f64> {
        let costs = self.dimensions.iter().map(|(_, cost)| *cost);
        costs.reduce(|sum, cost| sum + cost)
    }

    fn add(&mut self, name: &str, cost: Option<f64>) {
        if let Some(cost) = cost.filter(|cost| cost.is_finite()) {
            self.dimensions.push((name.to_owned(), cost));
        }
    }

    /// As annotations and statistics.
    fn named(&self) -> impl Iterator<Item = (String, Value)> {
        let dimensions = self.dimensions.iter();
        dimensions
            .map(|(name, cost)| (format!("{PREFIX}{name}"), (*cost).into()))
            .chain(self.total().map(|total| (TOTAL.to_owned(), total.into())))
    }
}

impl CostModel {
    /// A model by which nothing costs anything.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a dimension of each request's cost, named by its class.
    ///
    /// # Errors
    /// If the model has a dimension of that name.
    pub fn with_request(self, dimension: impl RequestDimension) -> Result<Self> {
        let name = dimension.saved()?.name().to_owned();
        self.with_named_request(name, Arc::new(dimension))
    }

    /// Adds a dimension of each request's cost.
    ///
    /// # Errors
    /// If the model has a dimension of that name, or the name cannot be one.
    pub fn with_named_request(
        mut self,
        name: impl Into<String>,
        dimension: Arc<dyn RequestDimension>,
    ) -> Result<Self> {
        let name = self.free_name(name.into())?;
        self.request_dims.push((name, dimension));
        Ok(self)
    }

    /// Adds a dimension of the run's cost, named by its class.
    ///
    /// # Errors
    /// If the model has a dimension of that name.
    pub fn with_run(self, dimension: impl RunDimension) -> Result<Self> {
        let name = dimension.saved()?.name().to_owned();
        self.with_named_run(name, Arc::new(dimension))
    }

    /// Adds a dimension of the run's cost.
    ///
    /// # Errors
    /// If the model has a dimension of that name, or the name cannot be one.
    pub fn with_named_run(
        mut self,
        name: impl Into<String>,
        dimension: Arc<dyn RunDimension>,
    ) -> Result<Self> {
        let name = self.free_name(name.into())?;
        self.run_dims.push((name, dimension));
        Ok(self)
    }

    /// Whether the model has no dimension at all.
    pub fn is_empty(&self) -> bool {
        self.request_dims.is_empty() && self.run_dims.is_empty()
    }

    /// What a request costs by itself.
    pub fn calculate_request_cost(&self, response: &InvocationResponse) -> CalculatedCost {
        let is_apart = |part| {
            let mut dims = self.request_dims.iter();
            dims.any(|(_, dimension)| dimension.prices_apart() == Some(part))
        };
        let without = |tokens: Option<u64>, part, count: Option<u64>| {
            let count = count.filter(|_| is_apart(part)).unwrap_or(0);
            tokens.map(|tokens| tokens.saturating_sub(count))
        };
        let cached = response.num_tokens_input_cached;
        let reasoning = response.num_tokens_output_reasoning;
        // Vectors are no output tokens, whatever these cost.
        let output = response.num_tokens_output;
        let output = output.or_else(|| response.vectors().map(|_| 0));
        let request = BillableRequest {
            response,
            input_tokens: without(response.num_tokens_input, TokenPart::CachedInput, cached),
            output_tokens: without(output, TokenPart::Reasoning, reasoning),
        };
        let mut cost = CalculatedCost::default();
        for (name, dimension) in &self.request_dims {
            cost.add(name, dimension.cost(&request));
        }
        cost
    }

    /// What a run costs, its requests included. Changes nothing.
    ///
    /// # Errors
    /// If the costs of requests are wanted of a result that was loaded without them.
    pub fn calculate_run_cost(&self, result: &RunResult) -> Result<CalculatedCost> {
        self.check(result)?;
        let mut cost = self.run_cost(result);
        if result.responses.is_empty() {
            for (name, _) in &self.request_dims {
                let summary = result.annotation_summary(&format!("{PREFIX}{name}"));
                cost.add(name, summary.map(|summary| summary.sum));
            }
            return Ok(cost);
        }
        let mut sums = vec![None; self.request_dims.len()];
        for response in &result.responses {
            let of_request = self.calculate_request_cost(response);
            for ((name, _), sum) in self.request_dims.iter().zip(&mut sums) {
                if let Some(cost) = of_request.get(name) {
                    sum.get_or_insert_with(ExactSum::default).add(cost);
                }
            }
        }
        for ((name, _), sum) in self.request_dims.iter().zip(sums) {
            cost.add(name, sum.map(|sum| sum.value()));
        }
        Ok(cost)
    }

    /// Puts the costs of a finished run on its responses, as annotations, and into its statistics.
    /// Statistics of another model's costs are replaced. [`RunResult::save`] then writes the
    /// statistics; responses that were written before stay as they are in their file.
    ///
    /// # Errors
    /// If the costs of requests are wanted of a result that was loaded without them.
    pub fn apply(&self, result: &mut RunResult) -> Result<CalculatedCost> {
        self.check(result)?;
        for response in &mut result.responses {
            self.annotate(response);
        }
        self.contribute(result)
    }

    /// The dimensions of the run, without its requests.
    pub(super) fn run_cost(&self, result: &RunResult) -> CalculatedCost {
        let mut cost = CalculatedCost::default();
        for (name, dimension) in &self.run_dims {
            cost.add(name, dimension.cost(result));
        }
        cost
    }

    pub(super) fn has_run_dimensions(&self) -> bool {
        !self.run_dims.is_empty()
    }

    /// How many dimensions a request has.
    pub(super) fn request_dimensions(&self) -> usize {
        self.request_dims.len()
    }

    /// Whether a request's cost is all that it costs, so that no token count is missing.
    pub(super) fn is_whole(&self, cost: &CalculatedCost) -> bool {
        self.needed().all(|name| cost.get(name).is_some())
    }

    /// The dimensions that every request has. Those that price a part of the tokens apart are absent
    /// where a server does not report that part.
    fn needed(&self) -> impl Iterator<Item = &str> {
        let dims = self.request_dims.iter();
        let dims = dims.filter(|(_, dimension)| dimension.prices_apart().is_none());
        dims.map(|(name, _)| name.as_str())
    }

    fn annotate(&self, response: &mut InvocationResponse) {
        let cost = self.calculate_request_cost(response);
        let annotations = &mut response.annotations;
        for (name, _) in &self.request_dims {
            annotations.shift_remove(&format!("{PREFIX}{name}"));
        }
        annotations.shift_remove(TOTAL);
        annotations.extend(cost.named());
    }

    /// Adds the statistics of annotated responses.
    pub(crate) fn contribute(&self, result: &mut RunResult) -> Result<CalculatedCost> {
        let mut stats = Map::new();
        let mut put = |name: &str, summary: &AnnotationSummary| {
            let key = |statistic: &str| format!("{PREFIX}{name}-{statistic}");
            for (statistic, value) in summary.named() {
                stats.insert(key(statistic), value.into());
            }
            stats.insert(key("count"), summary.count.into());
            for percentile in STANDARD_PERCENTILES {
                if percentile.support(summary.count) != Support::Full {
                    let beyond = percentile.beyond(summary.count);
                    stats.insert(key(&format!("{percentile}-beyond")), beyond.into());
                }
            }
        };
        let mut cost = self.run_cost(result);
        for (name, _) in &self.request_dims {
            if let Some(summary) = result.annotation_summary(&format!("{PREFIX}{name}")) {
                put(&format!("{name}_per_request"), &summary);
                cost.add(name, Some(summary.sum));
            }
        }
        if !self.request_dims.is_empty() {
            let total = result.annotation_summary(TOTAL);
            if let Some(total) = &total {
                put("per_request", total);
            }
            let known = self.needed().map(|name| {
                let summary = result.annotation_summary(&format!("{PREFIX}{name}"));
                summary.map_or(0, |summary| summary.count)
            });
            let known = known.min().or(total.map(|total| total.count));
            let known = known.unwrap_or(0);
            let recorded = result.summary.total_requests.unwrap_or(known);
            if let Some(unknown) = recorded.checked_sub(known).filter(|&unknown| unknown > 0) {
                stats.insert(UNKNOWN_REQUESTS.to_owned(), unknown.into());
            }
        }
        stats.extend(cost.named());
        result.remove_stats(|key| key.starts_with(PREFIX) && !key.starts_with(LIMIT));
        result.contribute_stats(stats)?;
        Ok(cost)
    }

    fn check(&self, result: &RunResult) -> Result<()> {
        if self.request_dims.is_empty() || result.knows_annotations() {
            return Ok(());
        }
        let expected = "a result loaded with its responses, from which request costs are summed";
        Err(Error::field("result", "without its responses", expected))
    }

    fn free_name(&self, name: String) -> Result<String> {
        let field = "cost dimension";
        if name.is_empty() || RESERVED.contains(&name.as_str()) {
            let reserved = RESERVED.join(", ");
            let expected = format!("a name that is not empty and none of {reserved}");
            return Err(Error::field(field, format!("{name:?}"), expected));
        }
        let names = self.request_dims.iter().map(|(name, _)| name);
        let mut names = names.chain(self.run_dims.iter().map(|(name, _)| name));
        if names.any(|known| *known == name) {
            let expected = "a name that no other dimension of the model has";
            return Err(Error::field(field, format!("{name:?} (twice)"), expected));
        }
        Ok(name)
    }
}

#[async_trait]
impl Callback for CostModel {
    fn saved(&self) -> Result<Option<SavedObject>> {
        SavedObject::of(self).map(Some)
    }

    fn hooks(&self) -> &'static [Hook] {
        &[Hook::AfterInvoke, Hook::AfterRun]
    }

    async fn after_invoke(
        &self,
        response: &mut InvocationResponse,
        _: &mut RequestData,
    ) -> HookResult {
        self.annotate(response);
        Ok(())
    }

    async fn after_run(&self, result: &mut RunResult) -> HookResult {
        self.contribute(result)?;
        Ok(())
    }
}
