//! What a reader of the figures should know of the responses that they leave out.

use super::summary::figure;
use crate::base::shown::duration;
use crate::result::RunResult;
use crate::stats::Stats;

/// What of a run's responses is left out of its figures or came otherwise than asked for, a sentence
/// each.
pub fn notes(result: &RunResult) -> Vec<String> {
    of_stats(&result.stats())
}

pub(super) fn of_stats(stats: &Stats) -> Vec<String> {
    let requests = stats.total_requests.unwrap_or(0);
    let successful = requests.saturating_sub(stats.failed_requests);
    let share = |part: u64, rate: f64| {
        let (part, all) = (figure(part as f64), figure(successful as f64));
        format!("{part} of {all} responses ({:.1} %)", rate * 100.0)
    };
    let mut notes = Vec::new();
    if stats.empty_responses > 0 {
        notes.push(format!(
            "{} were empty, without content and output tokens: they are in no latency",
            share(stats.empty_responses, stats.empty_responses_rate)
        ));
    }
    if stats.buffered_responses > 0 {
        notes.push(format!(
            "{} came in one burst: something between holds streams back (a proxy that buffers), or \
             the server does not send as it generates; ITL and TPOT are without them",
            share(stats.buffered_responses, stats.buffered_responses_rate)
        ));
    }
    if stats.non_streaming_responses > 0 {
        notes.push(format!(
            "{} came as one document although a stream was asked for: they have no TTFT",
            share(
                stats.non_streaming_responses,
                stats.non_streaming_responses_rate
            )
        ));
    }
    if stats.total_failure_pause > 0.0 {
        notes.push(format!(
            "clients waited {} after requests that had failed, so that the load was lower",
            duration(stats.total_failure_pause)
        ));
    }
    if stats.warmup_failed_requests > 0 {
        let failed = figure(stats.warmup_failed_requests as f64);
        let all = figure(stats.warmup_requests.unwrap_or(0) as f64);
        let first = stats.warmup_first_failure.as_deref().unwrap_or_default();
        notes.push(format!(
            "{failed} of {all} warm-up requests failed, the first with: {first}"
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_a_sentence() {
        let stats = Stats {
            total_requests: Some(1_300),
            failed_requests: 100,
            empty_responses: 12,
            empty_responses_rate: 0.01,
            buffered_responses: 1_188,
            buffered_responses_rate: 0.99,
            non_streaming_responses: 600,
            non_streaming_responses_rate: 0.5,
            total_failure_pause: 2.5,
            warmup_failed_requests: 2,
            warmup_requests: Some(10),
            warmup_first_failure: Some("HTTP 500 Internal Server Error".to_owned()),
            ..Stats::default()
        };
        assert_eq!(
            of_stats(&stats),
            [
                "12 of 1,200 responses (1.0 %) were empty, without content and output tokens: they are \
                 in no latency",
                "1,188 of 1,200 responses (99.0 %) came in one burst: something between holds streams \
                 back (a proxy that buffers), or the server does not send as it generates; ITL and TPOT \
                 are without them",
                "600 of 1,200 responses (50.0 %) came as one document although a stream was asked for: \
                 they have no TTFT",
                "clients waited 2.50 s after requests that had failed, so that the load was lower",
                "2 of 10 warm-up requests failed, the first with: HTTP 500 Internal Server Error",
            ]
        );
        assert_eq!(of_stats(&Stats::default()), [""; 0]);
    }
}
