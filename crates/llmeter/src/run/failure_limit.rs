//! Failures that end a run before its end.

use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::base::failure::{Failure, Outlook};
use crate::result::RunSummary;
use crate::run::RunConfig;

/// Failures of the first requests that are believed to last.
const ENOUGH_LASTING: u64 = 3;
/// Requests before which no rate of errors ends a run.
const MIN_FOR_RATE: u64 = 20;

/// Why a run sends no more.
#[derive(Debug, Clone)]
pub(crate) enum Stop {
    /// Every request so far failed in a way that does not pass by itself.
    LastingFailures { count: u64, example: Failure },
    /// `max_failures` is reached.
    MaxFailures(u64),
    /// Every figure that was asked for is known: no failure.
    Reached,
    /// More than `limit` of the requests failed.
    ErrorRate { limit: f64, failed: u64, of: u64 },
}

impl Stop {
    fn name(&self) -> Option<&'static str> {
        Some(match self {
            Self::Reached => return None,
            Self::LastingFailures { .. } => "lasting_failures",
            Self::MaxFailures(_) => "max_failures",
            Self::ErrorRate { .. } => "error_rate",
        })
    }

    fn notice(&self) -> Option<String> {
        Some(match self {
            Self::Reached => return None,
            Self::LastingFailures { count, example } => format!(
                "stopped, since the first {count} requests all failed in a way that does not pass by \
                 itself: {example}"
            ),
            Self::MaxFailures(count) => {
                let requests = match count {
                    1 => "1 request".to_owned(),
                    count => format!("{count} requests"),
                };
                format!("stopped at the limit of failures: {requests} failed")
            }
            Self::ErrorRate { limit, failed, of } => {
                format!("stopped at the error rate of {limit}: {failed} of {of} requests failed")
            }
        })
    }
}

/// Tells everybody in a run that nothing more is to be sent. What is in flight may end.
#[derive(Debug, Default)]
pub(crate) struct StopSignal(watch::Sender<Option<Stop>>);

impl StopSignal {
    /// Nothing more is needed: what was to be known is known.
    pub(crate) fn reach(&self) {
        self.stop(Stop::Reached);
    }

    /// The first reason counts.
    fn stop(&self, reason: Stop) {
        self.0.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(reason);
            is_first
        });
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits for it.
    pub(crate) async fn stopped(&self) {
        // The sender is borrowed, so that waiting cannot fail.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    /// The failure that ended a run in its warm-up, of which there is no response.
    pub(crate) fn failure_of_warmup(&self, summary: &RunSummary) -> Option<Failure> {
        match &*self.0.borrow() {
            Some(Stop::LastingFailures { example, .. }) if summary.total_requests == Some(0) => {
                Some(example.clone())
            }
            _ => None,
        }
    }

    /// What ended the run.
    pub(crate) fn stats(&self) -> Map<String, Value> {
        let stop = self.0.borrow();
        let name = stop.as_ref().and_then(Stop::name);
        let entry = |name: &str| ("stopped_by".to_owned(), name.into());
        name.into_iter().map(entry).collect()
    }

    /// What the user should know.
    pub(crate) fn notice(&self) -> Option<String> {
        self.0.borrow().as_ref().and_then(Stop::notice)
    }
}

/// Counts failures, and stops the run at its limits.
#[derive(Debug)]
pub(crate) struct FailureWatch {
    max_failures: Option<u64>,
    error_rate: Option<f64>,
    /// How many failures of the first requests must be of the payload: beyond the number of payloads,
    /// one of them has failed twice. `None` if the run goes on whatever fails.
    enough_of_payloads: Option<u64>,
    recorded: u64,
    failed: u64,
    /// Lasting failures, and those of payloads, as long as there is nothing else.
    first: Option<(u64, u64)>,
}

impl FailureWatch {
    pub(crate) fn new(config: &RunConfig) -> Self {
        let payloads = config.payloads.len() as u64;
        Self {
            max_failures: config.max_failures,
            error_rate: config.stop_on_error_rate,
            enough_of_payloads: config
                .failure_pause
                .then(|| ENOUGH_LASTING.max(payloads.saturating_add(1))),
            recorded: 0,
            failed: 0,
            first: Some((0, 0)),
        }
    }

    /// Takes in a response's failure, if it has one.
    pub(crate) fn note(&mut self, failure: Option<&Failure>, is_warmup: bool, signal: &StopSignal) {
        self.note_first(failure, signal);
        if is_warmup {
            return;
        }
        self.recorded += 1;
        self.failed += u64::from(failure.is_some());
        let (failed, of) = (self.failed, self.recorded);
        if let Some(limit) = self.max_failures
            && failure.is_some()
            && failed >= limit
        {
            signal.stop(Stop::MaxFailures(limit));
        }
        // At a success, too: the first rate that counts may be that of failures long before it.
        if let Some(limit) = self.error_rate
            && of >= MIN_FOR_RATE
            && failed as f64 > limit * of as f64
        {
            signal.stop(Stop::ErrorRate { limit, failed, of });
        }
    }

    fn note_first(&mut self, failure: Option<&Failure>, signal: &StopSignal) {
        let (Some((lasting, of_payload)), Some(enough_of_payloads)) =
            (&mut self.first, self.enough_of_payloads)
        else {
            return;
        };
        match failure.map(|failure| (failure, failure.outlook())) {
            Some((_, Outlook::Lasting)) => *lasting += 1,
            Some((_, Outlook::OfPayload)) => *of_payload += 1,
            _ => self.first = None,
        }
        let (Some((lasting, of_payload)), Some(example)) = (self.first, failure) else {
            return;
        };
        if lasting >= ENOUGH_LASTING || of_payload >= enough_of_payloads {
            signal.stop(Stop::LastingFailures {
                count: lasting + of_payload,
                example: example.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::failure::FailureKind;

    fn watch(max_failures: Option<u64>, error_rate: Option<f64>, payloads: u64) -> FailureWatch {
        FailureWatch {
            max_failures,
            error_rate,
            enough_of_payloads: Some(ENOUGH_LASTING.max(payloads + 1)),
            recorded: 0,
            failed: 0,
            first: Some((0, 0)),
        }
    }

    fn status(status: u16) -> Option<Failure> {
        let mut failure = Failure::new(FailureKind::HttpStatus, format!("HTTP {status}"));
        failure.locate(None, Some(status));
        Some(failure)
    }

    /// How many requests with these failures in turn it takes to stop, and why.
    fn stops(mut watch: FailureWatch, failures: &[Option<Failure>]) -> Option<(usize, String)> {
        let signal = Arc::new(StopSignal::default());
        for (number, failure) in failures.iter().cycle().take(100).enumerate() {
            watch.note(failure.as_ref(), false, &signal);
            if let Some(notice) = signal.notice() {
                return Some((number + 1, notice));
            }
        }
        None
    }

    #[test]
    fn failures_that_last_stop_a_run_only_at_its_beginning() {
        let after = |failures: &[Option<Failure>]| {
            stops(watch(None, None, 1), failures).map(|(count, _)| count)
        };
        for lasting in [401, 403, 404, 405, 307, 400, 422] {
            assert_eq!(after(&[status(lasting)]), Some(3), "{lasting}");
        }
        for passing in [429, 500, 503, 408] {
            assert_eq!(after(&[status(passing)]), None, "{passing}");
        }
        assert_eq!(after(&[None, status(401), status(401), status(401)]), None);
        assert_eq!(after(&[status(401), status(500), status(401)]), None);
        let (_, notice) = stops(watch(None, None, 1), &[status(404)]).unwrap();
        assert!(notice.ends_with("by itself: HTTP 404"), "{notice}");
    }

    #[test]
    fn one_payload_that_is_refused_says_nothing_of_others() {
        let stopped = stops(watch(None, None, 5), &[status(400)]);
        assert_eq!(stopped.unwrap().0, 6, "the sixth is a payload's second");
        assert_eq!(stops(watch(None, None, 5), &[status(401)]).unwrap().0, 3);
    }

    #[test]
    fn limits_count_every_failure() {
        let some = [None, status(500)];
        assert_eq!(
            stops(watch(Some(7), None, 1), &some),
            Some((
                14,
                "stopped at the limit of failures: 7 requests failed".to_owned()
            ))
        );
        assert_eq!(stops(watch(None, Some(0.5), 1), &some), None);
        assert_eq!(
            stops(watch(None, Some(0.4), 1), &some),
            Some((
                20,
                "stopped at the error rate of 0.4: 10 of 20 requests failed".to_owned()
            ))
        );
    }

    #[test]
    fn failures_before_a_rate_counts_are_in_it() {
        let mut early = vec![status(500); 9];
        early.resize(100, None);
        let stopped = stops(watch(None, Some(0.4), 1), &early);
        assert_eq!(stopped.map(|(count, _)| count), Some(20));
        assert_eq!(stops(watch(None, Some(0.5), 1), &early), None);
    }
}
