//! When responses came.

use super::Keep;
use crate::InvocationResponse;
use crate::stats::interval::{Interval, Pace};
use crate::stats::steady::{Span, SteadyState};

/// How many amounts there are.
const AMOUNTS: usize = 4;

/// The amounts whose rates have intervals, by their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Amount {
    Requests,
    Successful,
    OutputTokens,
    /// Requests that meet every SLO of single requests.
    Good,
}

/// What a rate is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Window {
    /// The whole run.
    Run,
    /// The steady state.
    Steady,
}

/// When requests were sent and when they ended.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    pace: Pace<AMOUNTS>,
    /// When the first response ended, in microseconds, as files have times.
    first_end: Option<i64>,
    /// `None` in low memory.
    spans: Option<Vec<Span>>,
}

impl Timeline {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            pace: Pace::default(),
            first_end: None,
            spans: (keep == Keep::Values).then(Vec::new),
        }
    }

    /// Takes in when the request was sent and when it ended, if the response says so.
    pub(super) fn record(&mut self, response: &InvocationResponse, is_good: bool) {
        let Some(sent) = response.request_time else {
            return;
        };
        let sent = sent.as_microsecond();
        let took = response.time_in_flight().unwrap_or(0.0);
        let span = Span {
            sent,
            end: sent.saturating_add((took * 1e6) as i64),
            tokens: response.num_tokens_output.unwrap_or(0),
            is_success: response.error.is_none(),
            is_good,
        };
        let first = *self.first_end.get_or_insert(span.end);
        let since = span.end.saturating_sub(first);
        self.pace.push(since as f64 * 1e-6, amounts(&span));
        if let Some(spans) = &mut self.spans {
            spans.push(span);
        }
    }

    /// The interval of a rate, a second, of a run of `window` seconds.
    pub(super) fn rate_interval(&self, amount: Amount, window: f64) -> Option<Interval> {
        self.pace.interval(amount as usize, window, Interval::LEVEL)
    }

    /// How evenly amounts come up in the steady state.
    pub(super) fn pace_within(&self, steady: &SteadyState) -> Pace<AMOUNTS> {
        let mut pace = Pace::default();
        let spans = self.spans.iter().flatten();
        for (since, span) in steady.spans(spans) {
            pace.push(since, amounts(span));
        }
        pace
    }

    pub(super) fn steady_state(&self) -> Option<SteadyState> {
        SteadyState::of(self.spans.as_deref()?)
    }
}

fn amounts(span: &Span) -> [f64; AMOUNTS] {
    let one = |is_counted: bool| f64::from(u8::from(is_counted));
    [
        1.0,
        one(span.is_success),
        span.tokens as f64,
        one(span.is_good),
    ]
}
