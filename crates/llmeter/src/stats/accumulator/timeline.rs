//! When responses came.

use super::Keep;
use crate::InvocationResponse;
use crate::stats::interval::{Interval, Pace};
use crate::stats::steady::{Span, SteadyState};

/// The amounts whose rates have intervals.
pub(in crate::stats) const ALL_REQUESTS: usize = 0;
pub(in crate::stats) const SUCCESSFUL_REQUESTS: usize = 1;
pub(in crate::stats) const OUTPUT_TOKENS: usize = 2;

/// When requests were sent and when they ended.
#[derive(Debug)]
pub(super) struct Timeline {
    pace: Pace<3>,
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
    pub(super) fn record(&mut self, response: &InvocationResponse) {
        let Some(sent) = response.request_time else {
            return;
        };
        let sent = sent.as_microsecond();
        let took = response.time_to_last_token.unwrap_or(0.0);
        let span = Span {
            sent,
            end: sent.saturating_add((took * 1e6) as i64),
            tokens: response.num_tokens_output.unwrap_or(0),
            is_success: response.error.is_none(),
        };
        let first = *self.first_end.get_or_insert(span.end);
        let amounts = [
            1.0,
            f64::from(u8::from(span.is_success)),
            span.tokens as f64,
        ];
        let since = span.end.saturating_sub(first);
        self.pace.push(since as f64 * 1e-6, amounts);
        if let Some(spans) = &mut self.spans {
            spans.push(span);
        }
    }

    /// The interval of a rate, a second, of a run of `window` seconds.
    pub(super) fn rate_interval(&self, amount: usize, window: f64) -> Option<Interval> {
        self.pace.interval(amount, window, Interval::LEVEL)
    }

    pub(super) fn steady_state(&self) -> Option<SteadyState> {
        SteadyState::of(self.spans.as_deref()?)
    }
}
