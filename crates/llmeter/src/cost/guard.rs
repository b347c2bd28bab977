//! The guard that stops a run before it costs too much.
//!
//! Before a request is sent, what it may cost is reserved; when its response is in, that is replaced
//! by what it did cost. A request for which the limit leaves no room waits until others are
//! settled. If it has none even then, nothing more is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::model::CostModel;
use super::price::price;
use crate::api::output_limit;
use crate::base::error::{Error, Result};
use crate::base::foreign;
use crate::base::setting::Setting;
use crate::payload::{Payload, Tokenizer, counted};
use crate::result::RunSummary;
use crate::{InvocationResponse, RunResult};

/// How many times more input tokens than the tokenizer counts a prompt is taken to have until a
/// server has reported some: tokenizers differ, and chat templates and media add to a prompt.
const UNPROVEN_FACTOR: f64 = 4.0;
/// Sums of prices are rounded; by this share they may be.
const ROUNDING: f64 = 1e-9;

/// Keeps a run's estimated cost within a limit.
pub(crate) struct SpendGuard {
    model: CostModel,
    limit: f64,
    clients: u64,
    tokenizer: Arc<dyn Tokenizer>,
    ledger: watch::Sender<Ledger>,
}

/// What is known of the spending. The run's own dimensions are not in it: they follow the clock.
#[derive(Debug, Clone, Copy, Default)]
struct Ledger {
    /// What settled requests cost.
    spent: f64,
    /// What requests that are not settled may cost.
    reserved: f64,
    unsettled: u64,
    settled: u64,
    /// The highest cost of a request.
    dearest: Option<f64>,
    /// The highest ratio of reported to counted input tokens.
    input_factor: Option<f64>,
    /// The longest time of a request, in seconds.
    longest: f64,
    /// What the request would have cost that found no room, and what was spent then.
    refused: Option<(f64, f64)>,
}

/// The tokens that a payload may use.
#[derive(Debug)]
pub(crate) struct ExpectedTokens {
    /// As the run's tokenizer counts the prompt; `None` without a prompt.
    input: Option<u64>,
    /// The payload's own limit; `None` without one.
    output: Option<u64>,
    /// The maximum of input tokens that the server reported for this payload; 0 before.
    reported_input: AtomicU64,
}

/// The limit leaves no room: nothing more is to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitReached;

/// Room for one request. Dropping it gives the room back.
pub(crate) struct Reservation {
    guard: Arc<SpendGuard>,
    expected: Arc<ExpectedTokens>,
    /// `None` if the request has all the room that there is, for want of an estimate.
    estimate: Option<f64>,
    amount: f64,
    is_settled: bool,
    /// Whether the request had to wait for it.
    pub(crate) has_waited: bool,
}

impl SpendGuard {
    /// # Errors
    /// If the limit leaves no room for a run at all.
    pub(crate) fn new(
        model: CostModel,
        limit: f64,
        clients: usize,
        tokenizer: Arc<dyn Tokenizer>,
    ) -> Result<Self> {
        let guard = Self {
            model,
            limit,
            clients: clients as u64,
            tokenizer,
            ledger: watch::Sender::default(),
        };
        let start_cost = guard.run_cost(f64::MIN_POSITIVE, 0);
        if !guard.fits(start_cost) {
            let start_cost = price(start_cost);
            let expected =
                format!("more than {start_cost}, what the run costs from its first moment on");
            return Err(Error::invalid(Setting::MaxCost, limit, expected));
        }
        Ok(guard)
    }

    /// The tokens that a payload may use, to be found out before the clock starts.
    pub(crate) fn expect(&self, payload: &Payload, prompt: Option<&Value>) -> ExpectedTokens {
        let count = |text: &str| {
            let counted = counted(&*self.tokenizer, text);
            // Hardly any text has more tokens than characters.
            Some(counted.unwrap_or_else(|| text.chars().count()) as u64)
        };
        ExpectedTokens {
            input: prompt.and_then(|prompt| match prompt.as_str() {
                Some(text) => count(text),
                None => count(&prompt.to_string()),
            }),
            output: output_limit(payload),
            reported_input: AtomicU64::new(0),
        }
    }

    /// Refuses a limit that a single request may exceed.
    ///
    /// # Errors
    /// If so.
    pub(crate) fn check_limit(&self, expected: &ExpectedTokens) -> Result<()> {
        let run_cost = self.run_cost(f64::MIN_POSITIVE, 0);
        match self.estimate(expected, &Ledger::default().trusting_tokenizer()) {
            Some(estimate) if !self.fits(run_cost + estimate) => {
                let estimate = price(estimate);
                let expected = format!("at least {estimate}, which one request alone may cost");
                let error = Error::invalid(Setting::MaxCost, self.limit, expected);
                Err(error.with_hint("allow more, or lower the payload's output limit"))
            }
            _ => Ok(()),
        }
    }

    /// Reserves room for a request, waiting for it if need be. `elapsed`: seconds since the run
    /// began.
    ///
    /// # Errors
    /// If there is none and will be none.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        expected: &Arc<ExpectedTokens>,
        elapsed: impl Fn() -> f64,
    ) -> Result<Reservation, LimitReached> {
        let mut changes = self.ledger.subscribe();
        let mut has_waited = false;
        loop {
            let now = *changes.borrow_and_update();
            if now.refused.is_some() {
                return Err(LimitReached);
            }
            let mut estimate = self.estimate(expected, &now);
            let plain = self.estimate(expected, &now.trusting_tokenizer());
            let run_cost = self.run_cost(elapsed() + now.longest, now.settled + now.unsettled);
            let mut reserved = None;
            self.ledger.send_if_modified(|ledger| {
                let taken = run_cost + ledger.spent + ledger.reserved;
                let is_first = ledger.unsettled + ledger.settled == 0;
                if is_first && estimate.is_some_and(|estimate| !self.fits(taken + estimate)) {
                    // It is sent alone, so that its response shows how tokens are counted.
                    estimate = plain;
                }
                let has_room = match estimate {
                    Some(estimate) => self.fits(taken + estimate),
                    // A request that nothing is known of is sent alone.
                    None => ledger.unsettled == 0 && taken < self.limit,
                };
                if has_room {
                    let amount = estimate.unwrap_or(self.limit - taken);
                    ledger.reserved += amount;
                    ledger.unsettled += 1;
                    reserved = Some(amount);
                    // Those who wait learn nothing that helps them.
                    return false;
                }
                if ledger.unsettled == 0 {
                    ledger.refused = Some((estimate.unwrap_or(0.0), run_cost + ledger.spent));
                }
                ledger.refused.is_some()
            });
            if let Some(amount) = reserved {
                return Ok(Reservation {
                    guard: self.clone(),
                    expected: expected.clone(),
                    estimate,
                    amount,
                    is_settled: false,
                    has_waited,
                });
            }
            has_waited = true;
            // The sender lives in `self`, so that waiting cannot fail.
            let _ = changes.changed().await;
        }
    }

    /// Ends the sending if time alone has used up the limit. `elapsed`: seconds since the run
    /// began.
    pub(crate) fn check_elapsed_cost(&self, elapsed: f64) {
        if !self.model.has_run_dimensions() {
            return;
        }
        let now = *self.ledger.borrow();
        let run_cost = self.run_cost(elapsed + now.longest, now.settled + now.unsettled);
        self.ledger.send_if_modified(|ledger| {
            let taken = run_cost + ledger.spent + ledger.reserved;
            let is_over = ledger.refused.is_none() && !self.fits(taken);
            if is_over {
                ledger.refused = Some((0.0, run_cost + ledger.spent));
            }
            is_over
        });
    }

    pub(crate) fn is_reached(&self) -> bool {
        self.ledger.borrow().refused.is_some()
    }

    /// The limit, and whether it was reached.
    pub(crate) fn stats(&self) -> Map<String, Value> {
        Map::from_iter([
            ("cost_limit".to_owned(), self.limit.into()),
            ("cost_limit_reached".to_owned(), self.is_reached().into()),
        ])
    }

    /// What the user should know, if the limit was reached.
    pub(crate) fn notice(&self) -> Option<String> {
        let (next, spent) = self.ledger.borrow().refused?;
        let next = match next {
            0.0 => String::new(),
            next => format!(", and the next request may cost {}", price(next)),
        };
        let (limit, spent) = (price(self.limit), price(spent));
        Some(format!(
            "stopped by the cost limit of {limit}: about {spent} is spent, warm-up included{next}"
        ))
    }

    fn fits(&self, cost: f64) -> bool {
        cost <= self.limit * (1.0 + ROUNDING)
    }

    /// What the run costs by its length, without its requests.
    fn run_cost(&self, seconds: f64, requests: u64) -> f64 {
        if !self.model.has_run_dimensions() {
            return 0.0;
        }
        let summary = RunSummary {
            total_requests: Some(requests),
            clients: self.clients,
            total_test_time: Some(seconds),
            ..RunSummary::default()
        };
        let so_far = RunResult::new(summary, Vec::new(), Map::new());
        let cost = foreign::catch_panic(|| self.model.run_cost(&so_far).total());
        cost.ok().flatten().unwrap_or(0.0)
    }

    /// What a request may cost: by its tokens, or else as much as the most expensive request so far.
    fn estimate(&self, expected: &ExpectedTokens, ledger: &Ledger) -> Option<f64> {
        let reported = expected.reported_input.load(Ordering::Relaxed);
        let factor = ledger.input_factor.unwrap_or(UNPROVEN_FACTOR);
        let scaled = |count: u64| (count as f64 * factor).ceil() as u64;
        let input = match reported {
            0 => expected.input.map(scaled),
            reported => Some(reported),
        };
        let output = expected.output;
        // Whether all of the output is reasoning or none is decided by the higher price.
        let costs = [0, output.unwrap_or(0)].map(|reasoning| {
            let request = InvocationResponse {
                num_tokens_input: input,
                num_tokens_input_cached: input.map(|_| 0),
                num_tokens_output: output,
                num_tokens_output_reasoning: output.map(|_| reasoning),
                ..InvocationResponse::default()
            };
            let cost = foreign::catch_panic(|| self.model.calculate_request_cost(&request)).ok()?;
            let is_whole = cost.dimensions.len() == self.model.request_dimensions();
            is_whole.then(|| cost.total().unwrap_or(0.0))
        });
        match costs {
            [Some(one), Some(other)] => Some(one.max(other)),
            _ => ledger.dearest,
        }
    }
}

impl Reservation {
    /// Replaces the estimate by what the request did cost. One whose tokens are not all known, or that
    /// failed without telling, but may have been worked on, counts as much as was estimated.
    pub(crate) fn settle(mut self, response: &InvocationResponse) {
        self.is_settled = true;
        let cost = foreign::catch_panic(|| self.guard.model.calculate_request_cost(response));
        let cost = cost.unwrap_or_default();
        let partial = cost.total().unwrap_or(0.0);
        let is_known = cost.total().is_some() && self.guard.model.is_whole(&cost);
        let failed = response.error.is_some();
        let is_told = !failed || response.num_tokens_output.is_some();
        let was_refused = response.request_time.is_none()
            || response.detail.status.is_some_and(|status| status >= 400);
        let cost = match was_refused || is_known && is_told {
            true => partial,
            false => self.estimate.unwrap_or(0.0).max(partial),
        };
        if let Some(reported) = response.num_tokens_input.filter(|_| !failed) {
            let seen = &self.expected.reported_input;
            seen.fetch_max(reported, Ordering::Relaxed);
        }
        let factor = response.num_tokens_input.zip(self.expected.input);
        let factor = factor.filter(|&(_, counted)| counted > 0 && !failed);
        self.guard.ledger.send_modify(|ledger| {
            ledger.spent += cost;
            ledger.settled += 1;
            ledger.give_back(self.amount);
            if is_told {
                ledger.dearest = Some(ledger.dearest.unwrap_or(0.0).max(cost));
            }
            if let Some((reported, counted)) = factor {
                let factor = reported as f64 / counted as f64;
                ledger.input_factor = Some(ledger.input_factor.unwrap_or(1.0).max(factor));
            }
            if let Some(seconds) = response.time_to_last_token {
                ledger.longest = ledger.longest.max(seconds);
            }
        });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_settled {
            let give_back = |ledger: &mut Ledger| ledger.give_back(self.amount);
            self.guard.ledger.send_modify(give_back);
        }
    }
}

impl Ledger {
    /// The same for who trusts the tokenizer.
    fn trusting_tokenizer(self) -> Self {
        Self {
            input_factor: self.input_factor.or(Some(1.0)),
            ..self
        }
    }

    fn give_back(&mut self, amount: f64) {
        self.unsettled = self.unsettled.saturating_sub(1);
        // What rounding left behind is nobody's.
        self.reserved = match self.unsettled {
            0 => 0.0,
            _ => (self.reserved - amount).max(0.0),
        };
    }
}
