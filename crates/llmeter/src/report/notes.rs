//! What a reader of the figures should know of the responses that they leave out.

use super::summary::{figure, or_dash};
use crate::base::setting::Setting;
use crate::base::shown::duration;
use crate::result::RunResult;
use crate::stats::Stats;

/// What of a run's responses is left out of its figures or came otherwise than asked for, a sentence
/// each.
pub fn notes(result: &RunResult) -> Vec<String> {
    notes_with(result, &in_backticks)
}

/// [`notes`] with settings called as `name` says.
pub fn notes_with(result: &RunResult, name: &dyn Fn(Setting) -> String) -> Vec<String> {
    of_stats(&result.stats(), name)
}

/// How the library calls a setting in a sentence.
pub(super) fn in_backticks(setting: Setting) -> String {
    format!("`{setting}`")
}

pub(super) fn of_stats(stats: &Stats, name: &dyn Fn(Setting) -> String) -> Vec<String> {
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
        let is_own = stats.measurement_verdict.as_deref() == Some("client-bound");
        let cause = match stats.buffered_responses_rate < NOTEWORTHY_SHARE {
            true => "a busy machine reads some short ones so late",
            false if is_own => {
                "the run is client-bound, so that llmeter may have read them so late; see the verdict \
                 before you look for a proxy that buffers"
            }
            false => {
                "something between holds streams back (a proxy that buffers), or the server does not \
                 send as it generates"
            }
        };
        notes.push(format!(
            "{} came in one burst: {cause}; ITL and TPOT are without them",
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
    if stats.several_choices_responses > 0 {
        notes.push(format!(
            "{} have several choices: the text is the first one's, the tokens are those of all, and TPOT is \
             without them",
            share(
                stats.several_choices_responses,
                stats.several_choices_responses_rate
            )
        ));
    }
    notes.extend(steady_state(stats, name));
    if stats.stalled_responses > 0 {
        let threshold = duration(stats.stall_threshold.unwrap_or_default());
        notes.push(format!(
            "{} stalled, with a gap of more than {threshold}; the longest gap of a response is {} in \
             the median",
            share(stats.stalled_responses, stats.stalled_responses_rate),
            or_dash(stats.longest_gap.p50, duration)
        ));
    }
    if let (Some(speed), Some(frames)) = (stats.reading_speed, stats.late_frames_rate) {
        notes.push(format!(
            "a reader of {} tokens/s has to wait for {:.1} % of the frames, in {:.1} % of the responses",
            figure(speed),
            frames * 100.0,
            stats.late_responses_rate.unwrap_or_default() * 100.0
        ));
    }
    if stats.total_failure_pause > 0.0 {
        notes.push(format!(
            "clients waited {} after requests that had failed, so that the load was lower",
            duration(stats.total_failure_pause)
        ));
    }
    if stats.total_left_open_wait > 0.0 {
        notes.push(format!(
            "clients waited {} for the end of complete responses that the server left open, so that the \
             load was lower",
            duration(stats.total_left_open_wait)
        ));
    }
    notes.extend(of_the_network(stats));
    if stats.until_reached == Some(true) {
        notes.push(format!(
            "the run ended when every figure of {} was known as precisely as asked",
            name(Setting::Until)
        ));
    }
    if let Some(beyond) = stats
        .input_tokens_beyond_asked
        .filter(|beyond| *beyond != 0.0)
    {
        let more = if beyond > 0.0 { "more" } else { "fewer" };
        notes.push(format!(
            "the server counts {} input tokens {more} for a request than its prompt has by the tokenizer: a \
             chat template adds some, and another tokenizer counts otherwise",
            figure(beyond.abs())
        ));
    }
    if let Some(rate) = stats.output_tokens_as_asked_rate.filter(|rate| *rate < 1.0) {
        notes.push(format!(
            "{:.1} % of the responses have exactly the output tokens that were asked for; the average is {} \
             {} (`force_output_length` has servers go on)",
            rate * 100.0,
            figure(stats.output_tokens_beyond_asked.unwrap_or_default().abs()),
            match stats.output_tokens_beyond_asked {
                Some(beyond) if beyond > 0.0 => "above it",
                _ => "below it",
            }
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

/// From this share of the run's time or requests on, ramp-up and tail matter, and bursts have a cause.
const NOTEWORTHY_SHARE: f64 = 0.05;

/// Which requests are outside the steady state, if rates are shown without them, or if they are many.
fn steady_state(stats: &Stats, name: &dyn Fn(Setting) -> String) -> Option<String> {
    let (Some(start), Some(end)) = (stats.steady_start, stats.steady_end) else {
        let none = "no steady state was found: rates are those of the whole run";
        return stats.steady_rates.then(|| none.to_owned());
    };
    let [steady, ramp_up, tail] = [
        stats.steady_requests,
        stats.ramp_up_requests,
        stats.tail_requests,
    ]
    .map(|requests| requests.unwrap_or(0));
    let count = |requests: u64| figure(requests as f64);
    if stats.steady_rates {
        return Some(format!(
            "rates are those of the steady state, from {} to {} with {} requests; {} of the ramp-up and \
             {} of the tail are left out of them",
            duration(start),
            duration(end),
            count(steady),
            count(ramp_up),
            count(tail)
        ));
    }
    // One client is at its full load from its first request on.
    if stats.clients == Some(1) {
        return None;
    }
    let outside = (ramp_up + tail) as f64 / (steady + ramp_up + tail).max(1) as f64;
    let window = stats.total_test_time.filter(|window| *window > 0.0);
    let beyond = window.map_or(0.0, |window| 1.0 - (end - start) / window);
    (outside > NOTEWORTHY_SHARE || beyond > NOTEWORTHY_SHARE).then(|| {
        format!(
            "ramp-up and tail ({} and {} requests, before {} and after {}) are in the rates; {} \
             leaves them out",
            count(ramp_up),
            count(tail),
            duration(start),
            duration(end),
            name(Setting::Steady)
        )
    })
}

/// What got lost on the way, and what that cost.
fn of_the_network(stats: &Stats) -> Vec<String> {
    let count = |count: u64, one: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let mut notes = Vec::new();
    let delayed = stats.network_delayed_responses;
    if delayed > 0 {
        let waited = stats.network_hole_wait;
        let waited = match (delayed, waited.p50, waited.p99) {
            (1, Some(wait), _) => format!("{} for a lost packet", duration(wait)),
            (_, Some(p50), Some(p99)) => format!(
                "for lost packets, {} in the median, p99 {}",
                duration(p50),
                duration(p99)
            ),
            _ => "for lost packets".to_owned(),
        };
        notes.push(format!("{} waited {waited}", count(delayed, "response")));
    } else if stats.network_out_of_order > 0 {
        notes.push(format!(
            "{} of responses came before one that was missing: packets were lost on the way, or \
             overtook one another",
            count(stats.network_out_of_order, "segment")
        ));
    }
    if stats.network_retransmissions > 0 {
        notes.push(format!(
            "this machine had to send {} again: packets to the server were lost, or their \
             acknowledgements late",
            count(stats.network_retransmissions, "segment")
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_stats(stats: &Stats) -> Vec<String> {
        super::of_stats(stats, &in_backticks)
    }

    #[test]
    fn what_is_left_out_of_rates_is_said() {
        let mut stats = Stats {
            steady_start: Some(1.0),
            steady_end: Some(58.25),
            steady_requests: Some(1_900),
            ramp_up_requests: Some(64),
            tail_requests: Some(36),
            ..Stats::default()
        };
        let many = "ramp-up and tail (64 and 36 requests, before 1.00 s and after 58.25 s) are in the \
                    rates; `steady` leaves them out";
        assert_eq!(of_stats(&stats), [""; 0], "5 % of the requests");
        stats.tail_requests = Some(37);
        assert_eq!(of_stats(&stats), [many.replace("36", "37")]);
        stats.tail_requests = Some(36);
        stats.total_test_time = Some(60.2);
        assert_eq!(of_stats(&stats), [""; 0], "less than 5 % of the time");
        stats.total_test_time = Some(60.3);
        assert_eq!(of_stats(&stats), [many]);
        stats.steady_rates = true;
        assert_eq!(
            of_stats(&stats),
            [
                "rates are those of the steady state, from 1.00 s to 58.25 s with 1,900 requests; 64 of \
                 the ramp-up and 36 of the tail are left out of them"
            ]
        );
        stats.steady_start = None;
        assert_eq!(
            of_stats(&stats),
            ["no steady state was found: rates are those of the whole run"]
        );
    }

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
            several_choices_responses: 600,
            several_choices_responses_rate: 0.5,
            total_left_open_wait: 1.5,
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
                "600 of 1,200 responses (50.0 %) have several choices: the text is the first one's, the \
                 tokens are those of all, and TPOT is without them",
                "clients waited 2.50 s after requests that had failed, so that the load was lower",
                "clients waited 1.50 s for the end of complete responses that the server left open, so that \
                 the load was lower",
                "2 of 10 warm-up requests failed, the first with: HTTP 500 Internal Server Error",
            ]
        );
        assert_eq!(of_stats(&Stats::default()), [""; 0]);
    }

    #[test]
    fn a_run_that_is_client_bound_blames_nobody_else_for_bursts() {
        let stats = Stats {
            total_requests: Some(10),
            buffered_responses: 10,
            buffered_responses_rate: 1.0,
            measurement_verdict: Some("client-bound".to_owned()),
            ..Stats::default()
        };
        let notes = of_stats(&stats);
        assert!(
            notes[0].contains("came in one burst: the run is client-bound")
                && !notes[0].contains("the server does not"),
            "{notes:?}"
        );
    }
}
