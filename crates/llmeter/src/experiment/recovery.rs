//! When latencies are again what they were: the rule, apart from what made them otherwise.

use serde::{Deserialize, Serialize};

use crate::InvocationResponse;
use crate::result::RunResult;
use crate::stats::student_t;

/// The values that a new value, drawn like those before, stays below with this probability are usual.
const CONFIDENCE: f64 = 0.99;
/// A value is usual, too, if it is so much above the mean: a server whose latencies hardly vary would never
/// be back to them.
const TOLERANCE: f64 = 0.05;
/// Windows in a row that have to be usual.
const IN_A_ROW: usize = 3;
/// Requests without which a window says nothing.
const MIN_REQUESTS: usize = 5;
/// Percentiles that are followed.
const FOLLOWED: [(&str, f64); 2] = [("p50", 0.5), ("p90", 0.9)];

/// When one figure was again what it was before a disturbance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// The figure: `TTFT from due p50`.
    pub figure: String,
    /// Its mean over the windows before, in seconds; `None` if requests failed there.
    pub before: Option<f64>,
    /// Up to which it counts as what it was before, in seconds.
    pub limit: Option<f64>,
    /// Its highest value from the beginning of the disturbance on, in seconds; `None` if requests failed
    /// in that window.
    pub highest: Option<f64>,
    /// When it was back, in seconds after the end of the disturbance; `None` if it was not.
    pub recovered_after: Option<f64>,
    /// How long after the disturbance was looked, in seconds.
    pub watched: f64,
    /// How long a window is, in seconds.
    pub window: f64,
}

/// The highest value that is no wonder after these: the upper end of Student's prediction interval for one
/// more value (Fisher 1935), or somewhat above their mean. `None` with fewer than two.
pub(super) fn usual_limit(values: &[f64]) -> Option<f64> {
    let count = values.len() as f64;
    if values.len() < 2 || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (count - 1.0)).sqrt();
    let beyond = student_t(CONFIDENCE, count - 1.0) * deviation * (1.0 + 1.0 / count).sqrt();
    Some((mean + beyond).max(mean * (1.0 + TOLERANCE)))
}

/// The first place from which on so many values in a row are within a limit; those that are unknown are not.
pub(super) fn first_usual(values: &[Option<f64>], limit: f64) -> Option<usize> {
    let is_usual = |value: &Option<f64>| value.is_some_and(|value| value <= limit);
    let mut rows = values.windows(IN_A_ROW);
    rows.position(|row| row.iter().all(is_usual))
}

/// A request: when it was due or, of clients, sent, in seconds after the run's start, and its latency, which
/// is infinite if it failed.
type Arrival = (f64, f64);

/// The requests of a run by when they were due, and what their latency is called.
fn arrivals(result: &RunResult) -> (&'static str, Vec<Arrival>) {
    let all = &result.responses;
    let first = all.iter().filter_map(|one| one.request_time).min();
    let is_open = all.iter().any(|one| one.schedule().due_time.is_some());
    let is_streamed = all.iter().any(|one| one.time_to_first_token.is_some());
    let at = |one: &InvocationResponse| match one.schedule().due_time {
        Some(due) => Some(due),
        None => Some(one.request_time?.duration_since(first?).as_secs_f64()),
    };
    let latency = |one: &InvocationResponse| match (is_open, is_streamed) {
        (true, true) => one.schedule().scheduled_time_to_first_token,
        (true, false) => one.schedule().scheduled_time_to_last_token,
        (false, true) => one.time_to_first_token,
        (false, false) => one.time_to_last_token,
    };
    let name = match (is_open, is_streamed) {
        (true, true) => "TTFT from due",
        (true, false) => "TTLT from due",
        (false, true) => "TTFT",
        (false, false) => "TTLT",
    };
    let arrival = |one: &InvocationResponse| {
        let known = latency(one).filter(|_| one.error.is_none());
        Some((at(one)?, known.unwrap_or(f64::INFINITY)))
    };
    (name, all.iter().filter_map(arrival).collect())
}

/// A percentile of the requests due in a window; `None` if they are too few.
fn percentile(arrivals: &[Arrival], from: f64, to: f64, share: f64) -> Option<f64> {
    let within = arrivals.iter().filter(|(at, _)| (from..to).contains(at));
    let mut latencies: Vec<f64> = within.map(|(_, latency)| *latency).collect();
    if latencies.len() < MIN_REQUESTS {
        return None;
    }
    latencies.sort_unstable_by(f64::total_cmp);
    let rank = (share * latencies.len() as f64).ceil() as usize;
    latencies.get(rank.max(1) - 1).copied()
}

/// When the latencies of a run were again what they were before a disturbance between two moments, both in
/// seconds after its start, looked at in windows until `end`.
///
/// Windows are counted back from the disturbance, the first of the run left out, and on from its end. A request
/// belongs to the window in which it was due; one that failed is later than any other. Before is what the
/// windows before the disturbance have; a figure has recovered with the first of three windows in a row in
/// which it is no higher than [`usual_limit`] of those.
pub(super) fn recoveries(
    result: &RunResult,
    [begin, over, end]: [f64; 3],
    window: f64,
) -> Vec<Recovery> {
    let (name, arrivals) = arrivals(result);
    let windows_before = (begin / window) as usize;
    let windows_after = ((end - over) / window + 1e-9) as usize;
    let windows_within = ((over - begin) / window).ceil() as usize;
    let followed = FOLLOWED.into_iter().map(|(statistic, share)| {
        let of = |from: f64| percentile(&arrivals, from, from + window, share);
        // The first one has a server that is cold.
        let before = (1..windows_before).filter_map(|back| of(begin - back as f64 * window));
        let before: Vec<f64> = before.collect();
        let after = (0..windows_after).map(|number| of(over + number as f64 * window));
        let after: Vec<Option<f64>> = after.collect();
        let within = (0..windows_within).filter_map(|number| of(begin + number as f64 * window));
        let highest = within
            .chain(after.iter().copied().flatten())
            .reduce(f64::max);
        let limit = usual_limit(&before);
        let back = limit.and_then(|limit| first_usual(&after, limit));
        Recovery {
            figure: format!("{name} {statistic}"),
            before: limit.map(|_| before.iter().sum::<f64>() / before.len() as f64),
            limit,
            highest: highest.filter(|value| value.is_finite()),
            recovered_after: back.map(|number| number as f64 * window),
            watched: windows_after as f64 * window,
            window,
        }
    });
    followed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::ScheduleDetail;
    use crate::{Failure, FailureKind};

    #[test]
    fn what_is_usual_follows_from_what_was() {
        assert_eq!(usual_limit(&[1.0]), None);
        assert_eq!(usual_limit(&[1.0, f64::INFINITY]), None);
        // Values that do not vary leave the tolerance.
        assert_eq!(usual_limit(&[2.0; 5]), Some(2.1));
        // mean 2, deviation 1, t(0.99, 2) = 6.965.
        let limit = usual_limit(&[1.0, 2.0, 3.0]).unwrap();
        assert!(
            (limit - (2.0 + 6.9646 * (4.0_f64 / 3.0).sqrt())).abs() < 1e-3,
            "{limit}"
        );
        let values = [9.0, 1.0, 1.0, 9.0, 1.0, 1.0, 1.0].map(Some);
        assert_eq!(first_usual(&values, 2.0), Some(4));
        assert_eq!(first_usual(&values[..6], 2.0), None);
        let unknown = [Some(1.0), None, Some(1.0), Some(1.0), Some(1.0)];
        assert_eq!(first_usual(&unknown, 2.0), Some(2));
    }

    /// A run with ten requests a second whose latencies a function of their time tells.
    fn run(latency: impl Fn(f64) -> f64) -> RunResult {
        let mut result = RunResult::default();
        for number in 0..400 {
            let due = f64::from(number) * 0.1 + 0.05;
            let mut response = InvocationResponse::default();
            let latency = latency(due);
            match latency.is_finite() {
                true => response.time_to_first_token = Some(latency),
                false => response.error = Some(Failure::new(FailureKind::Other, "no")),
            }
            response.detail.schedule = Some(Box::new(ScheduleDetail {
                due_time: Some(due),
                scheduled_time_to_first_token: latency.is_finite().then_some(latency),
                ..ScheduleDetail::default()
            }));
            result.responses.push(response);
        }
        result
    }

    #[test]
    fn latencies_recover_when_three_windows_are_as_before() {
        // A queue that a spike between 10 s and 12 s leaves, and that is gone at 20 s.
        let queue = |due: f64| match due {
            10.0..12.0 => 0.1 + (due - 10.0),
            12.0..20.0 => 0.1 + 2.0 * (20.0 - due) / 8.0,
            _ => 0.1,
        };
        let found = recoveries(&run(queue), [10.0, 12.0, 40.0], 1.0);
        let [p50, p90] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(p50.figure, "TTFT from due p50");
        assert!((p50.before.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(
            (p50.recovered_after, p90.recovered_after),
            (Some(8.0), Some(8.0))
        );
        assert_eq!((p50.watched, p50.window), (28.0, 1.0));
        assert!(
            p90.highest > Some(1.9) && p90.highest < Some(2.1),
            "{p90:?}"
        );
        // Watched for too short a time.
        let found = recoveries(&run(queue), [10.0, 12.0, 22.0], 1.0);
        assert_eq!((found[0].recovered_after, found[0].watched), (None, 10.0));
        // Failures are no recovery, and before the spike there is then nothing to come back to.
        let failing = |due: f64| if due > 15.0 { f64::INFINITY } else { 0.1 };
        let found = recoveries(&run(failing), [10.0, 12.0, 40.0], 1.0);
        assert_eq!(
            (found[0].recovered_after, found[0].highest),
            (Some(0.0), None)
        );
        let broken = |due: f64| if due < 15.0 { f64::INFINITY } else { 0.1 };
        let found = recoveries(&run(broken), [10.0, 12.0, 40.0], 1.0);
        assert_eq!((found[0].before, found[0].recovered_after), (None, None));
    }
}
