//! The part of a run in which the load is what it is to be.

/// The share of the peak number of requests in flight from which the load is reached.
const REACHED: f64 = 0.95;
/// There is no steady state in a run with fewer requests than this for each in flight at the peak.
const REQUESTS_PER_CLIENT: usize = 3;
/// Nor with fewer requests than this in it.
const MIN_REQUESTS: u64 = 10;
const MICROSECOND: f64 = 1e-6;

/// When a request was sent and when it ended, in microseconds, and its output tokens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    pub(crate) sent: i64,
    pub(crate) end: i64,
    pub(crate) tokens: u64,
    pub(crate) is_success: bool,
    /// Whether the request meets every SLO of single requests.
    pub(crate) is_good: bool,
}

/// The part of a run without ramp-up and tail.
///
/// It begins when as many requests are in flight as at the peak (95 % of them) and as many have ended,
/// so that each client has had one on average; it ends when fewer are in flight for good. Rates are
/// taken from the requests that end in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SteadyState {
    /// Seconds after the first request was sent.
    pub(crate) start: f64,
    pub(crate) end: f64,
    /// Both in microseconds, as spans have times.
    bounds: (i64, i64),
    /// Requests that end in it, before it and after it.
    pub(crate) requests: u64,
    pub(crate) ramp_up: u64,
    pub(crate) tail: u64,
    pub(crate) successful: u64,
    pub(crate) tokens: u64,
    /// Requests in it that meet every SLO of single requests.
    pub(crate) good: u64,
}

impl SteadyState {
    /// Finds it; `None` if the run is too short to have one.
    pub(crate) fn of(spans: &[Span]) -> Option<Self> {
        let mut changes: Vec<(i64, i32)> = spans
            .iter()
            .flat_map(|span| [(span.sent, 1), (span.end, -1)])
            .collect();
        // What ends at a moment makes room for what is sent then.
        changes.sort_unstable();
        let begin = spans.iter().map(|span| span.sent).min()?;
        let mut in_flight = 0;
        let levels: Vec<(i64, i32)> = changes
            .iter()
            .map(|(at, change)| {
                in_flight += change;
                (*at, in_flight)
            })
            .collect();
        let peak = levels.iter().map(|(_, level)| *level).max()?;
        let needed = usize::try_from(peak).ok()?;
        if needed == 0 || spans.len() < needed * REQUESTS_PER_CLIENT {
            return None;
        }
        let is_reached = |level: i32| f64::from(level) >= f64::from(peak) * REACHED;
        let reached = levels.iter().find(|(_, level)| is_reached(*level))?.0;
        let last = levels.iter().rposition(|(_, level)| is_reached(*level))?;
        let end = levels.get(last + 1).map_or(levels[last].0, |next| next.0);
        let mut ends: Vec<i64> = spans.iter().map(|span| span.end).collect();
        ends.sort_unstable();
        let start = reached.max(ends[needed - 1]);
        let seconds = |at: i64| (at - begin) as f64 * MICROSECOND;
        let mut steady = Self {
            start: seconds(start),
            end: seconds(end),
            bounds: (start, end),
            requests: 0,
            ramp_up: 0,
            tail: 0,
            successful: 0,
            tokens: 0,
            good: 0,
        };
        for span in spans {
            if span.end <= start {
                steady.ramp_up += 1;
            } else if span.end > end {
                steady.tail += 1;
            } else {
                steady.requests += 1;
                steady.successful += u64::from(span.is_success);
                steady.tokens += span.tokens;
                steady.good += u64::from(span.is_good);
            }
        }
        (steady.requests >= MIN_REQUESTS && end > start).then_some(steady)
    }

    /// Those that end in it, with the seconds from its start to their end.
    pub(crate) fn spans<'a>(
        &self,
        spans: impl Iterator<Item = &'a Span>,
    ) -> impl Iterator<Item = (f64, &'a Span)> {
        let (start, end) = self.bounds;
        let is_in = move |span: &&Span| span.end > start && span.end <= end;
        spans
            .filter(is_in)
            .map(move |span| ((span.end - start) as f64 * MICROSECOND, span))
    }

    /// An amount for each `seconds` of it.
    pub(crate) fn rate(&self, amount: u64, seconds: f64) -> f64 {
        amount as f64 / (self.end - self.start) * seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Clients that each send so many requests of one second, one after the other; each client begins
    /// a little later than the one before.
    fn closed_loop(clients: i64, requests: impl Fn(i64) -> i64) -> Vec<Span> {
        let of_client = |client: i64| {
            (0..requests(client)).map(move |turn| {
                let sent = client * 1_000 + turn * 1_000_000;
                Span {
                    sent,
                    end: sent + 1_000_000,
                    tokens: 5,
                    is_success: turn != 2,
                    is_good: turn % 2 == 1,
                }
            })
        };
        (0..clients).flat_map(of_client).collect()
    }

    #[test]
    fn ramp_up_and_tail_are_left_out() {
        // One of four clients has five requests more than the others.
        let spans = closed_loop(4, |client| if client == 3 { 15 } else { 10 });
        let steady = SteadyState::of(&spans).unwrap();
        assert_eq!(steady.ramp_up, 4, "each client's first");
        assert_eq!(
            steady.tail,
            3 + 5,
            "what ends after the first client, the straggler's last"
        );
        assert_eq!(steady.requests, 45 - 4 - 8);
        assert_eq!(steady.successful, steady.requests - 4);
        assert!((steady.start - 1.003).abs() < 1e-9, "{steady:?}");
        assert!((steady.end - 10.0).abs() < 1e-9, "{steady:?}");
        let rate = steady.rate(steady.requests, 60.0);
        assert!((200.0..=240.0).contains(&rate), "{rate}");
        assert_eq!(steady.tokens, 5 * steady.requests);
        let within: Vec<_> = steady.spans(spans.iter()).collect();
        assert_eq!(within.len() as u64, steady.requests);
        let length = steady.end - steady.start;
        assert!(
            within
                .iter()
                .all(|(since, _)| *since > 0.0 && *since <= length)
        );
        let good = within.iter().filter(|(_, span)| span.is_good).count();
        assert_eq!(steady.good, good as u64);
    }

    #[test]
    fn a_short_run_has_none() {
        assert_eq!(SteadyState::of(&[]), None);
        assert_eq!(SteadyState::of(&closed_loop(8, |_| 2)), None);
        let failed = Span {
            sent: 5,
            end: 5,
            tokens: 0,
            is_success: false,
            is_good: false,
        };
        assert_eq!(SteadyState::of(&[failed; 50]), None);
    }

    #[test]
    fn one_client_is_steady_from_its_second_request_to_the_end() {
        let steady = SteadyState::of(&closed_loop(1, |_| 20)).unwrap();
        assert_eq!((steady.ramp_up, steady.requests, steady.tail), (1, 19, 0));
        assert!((steady.end - 20.0).abs() < 1e-9, "{steady:?}");
    }
}
