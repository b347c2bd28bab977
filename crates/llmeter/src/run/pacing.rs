//! Clients whose requests fail wait before their next, so that a failing server is not hammered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use tokio::sync::Notify;

use crate::base::failure::{Failure, FailureKind};
use crate::run::capture::SegmentQueue;
use crate::run::shared::Shared;
use llmeter_wire::clock::{self, Stamp};

/// The pause after a failure; each further one in a row doubles it. A random part of up to half is
/// taken off, so that clients do not come back in step.
const MIN_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How long a client waits for its last response to be decoded. Later decoding means that the recorder has
/// fallen behind.
const VERDICT_WAIT: Duration = Duration::from_secs(1);
/// The same as long as nothing points to a failure.
const FIRST_VERDICT_WAIT: Duration = Duration::from_millis(100);

/// What became of a client's requests: whether they failed is the decoder's to tell.
#[derive(Debug, Default)]
pub(crate) struct Outcomes {
    told: AtomicU64,
    failures_in_a_row: AtomicU32,
    /// That there is one more.
    news: Notify,
}

impl Outcomes {
    /// A request is decoded. An interrupted one is nobody's failure.
    pub(crate) fn tell(&self, failure: Option<&Failure>) {
        match failure.map(Failure::kind) {
            None => self.failures_in_a_row.store(0, Ordering::Relaxed),
            Some(FailureKind::Interrupted | FailureKind::Cancelled) => {}
            Some(_) => _ = self.failures_in_a_row.fetch_add(1, Ordering::Relaxed),
        }
        self.told.fetch_add(1, Ordering::Release);
        self.news.notify_one();
    }
}

/// A client's pace.
#[derive(Debug, Default)]
pub(crate) struct Pacing {
    outcomes: Arc<Outcomes>,
    /// Requests whose outcome is or will be told.
    sent: u64,
    /// Whether the last one failed for all that the worker can see.
    seems_failed: bool,
}

impl Pacing {
    /// A request is over. Gives where its outcome is to be told.
    pub(crate) fn next(&mut self, seems_failed: bool) -> Arc<Outcomes> {
        self.sent += 1;
        self.seems_failed = seems_failed;
        self.outcomes.clone()
    }

    /// Waits if the last request failed or seems to have, until `until` at most. Gives the seconds that
    /// it waited for a failure.
    ///
    /// Only the decoder finds a failure in a response that looks like a success. Until it has found one
    /// success in the run, nobody sends ahead of it.
    pub(crate) async fn pause(
        &mut self,
        shared: &Shared,
        decoder: &SegmentQueue,
        until: Option<Stamp>,
    ) -> Option<f64> {
        let outcomes = &self.outcomes;
        let in_a_row = || outcomes.failures_in_a_row.load(Ordering::Relaxed);
        let longest_wait = match self.seems_failed || in_a_row() > 0 {
            true => VERDICT_WAIT,
            false if !shared.has_succeeded() => FIRST_VERDICT_WAIT,
            false => return None,
        };
        self.seems_failed = false;
        let begin = clock::now();
        let verdict = async {
            while outcomes.told.load(Ordering::Acquire) < self.sent {
                outcomes.news.notified().await;
            }
        };
        decoder.wake_decoder();
        tokio::select! {
            biased;
            () = verdict => {}
            () = tokio::time::sleep(longest_wait) => {}
            () = shared.stopping() => {}
        }
        let longest = longest_pause(in_a_row());
        if let Some(longest) = longest {
            let pause = longest.mul_f64(rand::rng().random_range(0.5..=1.0));
            let end = begin.after(pause);
            shared
                .sleep_until(until.map_or(end, |until| end.min(until)))
                .await;
        }
        let waited = clock::now().seconds_since(begin);
        Some(longest.map_or(0.0, |_| waited))
    }
}

/// The longest pause after so many failures in a row.
fn longest_pause(failures: u32) -> Option<Duration> {
    let doublings = failures.checked_sub(1)?.min(16);
    Some(MIN_PAUSE.saturating_mul(1 << doublings).min(MAX_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_have_an_end() {
        let longest = |failures| longest_pause(failures).map(|pause| pause.as_millis());
        assert_eq!(longest(0), None);
        let grown: Vec<_> = [1, 2, 3, 6, 7, u32::MAX].map(longest).into();
        let wanted = [100, 200, 400, 3200, 5000, 5000].map(Some);
        assert_eq!(grown, wanted);
    }

    #[test]
    fn a_success_ends_a_row_of_failures_and_an_interruption_is_neither() {
        let outcomes = Outcomes::default();
        let failure = |kind| Some(Failure::new(kind, "no"));
        let mut row = Vec::new();
        for told in [
            failure(FailureKind::HttpStatus),
            failure(FailureKind::Interrupted),
            failure(FailureKind::Timeout),
            None,
        ] {
            outcomes.tell(told.as_ref());
            row.push(outcomes.failures_in_a_row.load(Ordering::Relaxed));
        }
        assert_eq!(row, [1, 1, 2, 0]);
        assert_eq!(outcomes.told.load(Ordering::Relaxed), 4);
    }
}
