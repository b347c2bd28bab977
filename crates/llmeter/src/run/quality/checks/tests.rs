use super::*;
use crate::endpoint::ResponseDetail;
use crate::payload::Whitespace;

/// Counts every word as one token, and says so.
struct Words;

impl Tokenizer for Words {
    fn count(&self, text: &str) -> usize {
        text.split_whitespace().count()
    }

    fn name(&self) -> Option<String> {
        Some("words".to_owned())
    }

    fn saved(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

fn at(seconds: f64) -> Stamp {
    Stamp((seconds * 1e9) as i64)
}

/// A good response to a request that was sent so many seconds after the first.
fn response(sent: f64) -> InvocationResponse {
    let time = 1_700_000_000_000_000 + (sent * 1e6) as i64;
    InvocationResponse {
        response_text: Some("one two three four".into()),
        time_to_first_token: Some(0.4),
        time_to_last_token: Some(1.0),
        num_tokens_output: Some(4),
        request_time: jiff::Timestamp::from_microsecond(time).ok(),
        detail: ResponseDetail {
            inter_token_latencies: vec![0.2, 0.2, 0.2],
            content_frames: Some(4),
            num_tokens_output_source: Some(TokenSource::Reported),
            ..ResponseDetail::default()
        },
        ..InvocationResponse::default()
    }
}

/// The findings of twenty requests one after the other, each of which `change` makes wrong.
fn findings(change: impl Fn(&mut InvocationResponse, &mut [Stamp; 2])) -> Vec<String> {
    let mut checks = CrossChecks::default();
    for number in 0..20 {
        let sent = f64::from(number);
        let mut one = response(sent);
        let mut exchange = [at(sent), at(sent + 1.0)];
        change(&mut one, &mut exchange);
        checks.record(&one, Some(exchange), true, &Words);
    }
    checks.findings(Some(20.0), Some(1))
}

fn only(findings: &[String], part: &str) {
    assert!(
        matches!(findings, [one] if one.contains(part)),
        "{part}: {findings:?}"
    );
}

#[test]
fn what_agrees_is_no_finding() {
    assert_eq!(findings(|_, _| {}), [""; 0]);
    let mut checks = CrossChecks::default();
    assert_eq!(checks.findings(Some(1.0), Some(1)), [""; 0]);
    checks.record(&response(0.0), None, true, &Whitespace);
    assert_eq!(checks.findings(None, Some(1)), [""; 0]);
}

#[test]
fn little_s_law_finds_wrong_latencies() {
    let wrong = findings(|one, _| {
        one.time_to_first_token = Some(0.3);
        one.time_to_last_token = Some(0.7);
        one.detail.inter_token_latencies = vec![0.1, 0.1, 0.2];
    });
    only(&wrong, "Little's law");
}

/// What follows the last token of a stream may take its time, but no latency is longer than its request.
#[test]
fn a_late_end_mark_is_no_contradiction() {
    let of = |end: f64| {
        let mut checks = CrossChecks::default();
        for number in 0..20 {
            let sent = f64::from(number) * 2.0;
            let exchange = [at(sent), at(sent + end)];
            checks.record(&response(sent), Some(exchange), false, &Words);
        }
        checks.findings(Some(40.0), Some(1))
    };
    assert_eq!(of(1.5), [""; 0]);
    only(&of(0.7), "Little's law");
}

#[test]
fn token_counts_are_held_against_frames_and_the_tokenizer() {
    only(
        &findings(|one, _| one.num_tokens_output = Some(2_000)),
        "500.00 times as many output tokens as the tokenizer counts",
    );
    only(
        &findings(|one, _| one.detail.content_frames = Some(8)),
        "2.00 frames for each token",
    );
    let contradictory = findings(|one, _| {
        one.detail.num_tokens_output_source = Some(TokenSource::Contradictory);
    });
    only(&contradictory, "100.0 % of the responses have token counts");
}

#[test]
fn gaps_must_add_up() {
    let wrong = findings(|one, _| one.detail.inter_token_latencies[1] = 0.21);
    only(&wrong, "do not add up");
}

#[test]
fn clocks_must_agree() {
    let late = findings(|one, exchange| {
        *exchange = exchange.map(|stamp| Stamp(stamp.0 * 2));
        one.time_to_last_token = None;
    });
    assert_eq!(late.len(), 2, "{late:?}");
    only(
        &late[..1],
        "of the last it took 40.00 s, but the run 20.00 s",
    );
    only(&late[1..], "requests took 40.00 s in all");
}

#[test]
fn clocks_that_go_apart_are_found() {
    let findings = |error: f64| {
        let mut checks = CrossChecks::default();
        for (at_seconds, wall) in [(0.0, 100.0), (1.0, 101.0), (2.0, 107.0), (3.0, 108.0)] {
            let at = at(at_seconds);
            checks.record_clocks(Clocks { at, wall, error });
        }
        checks.findings(Some(20.0), Some(1))
    };
    only(&findings(0.0), "went apart by 5.00 s");
    assert_eq!(findings(2.5), [""; 0], "the reading thread was held up");
    let mut checks = CrossChecks::default();
    checks.record_clocks(Clocks::read());
    checks.record_clocks(Clocks::read());
    assert_eq!(checks.findings(Some(0.001), Some(1)), [""; 0]);
}

#[test]
fn dates_of_requests_are_no_clock() {
    // An endpoint that takes its time between the date and sending.
    let late = findings(|one, exchange| {
        if exchange[0] > at(10.0) {
            let time = one.request_time.unwrap();
            one.request_time = Some(time - jiff::SignedDuration::from_secs(5));
        }
    });
    assert_eq!(late, [""; 0]);
}

#[test]
fn no_request_ends_after_the_run() {
    let mut checks = CrossChecks::default();
    for sent in [0.0, 30.0] {
        checks.record(
            &response(sent),
            Some([at(sent), at(sent + 1.0)]),
            true,
            &Words,
        );
    }
    only(&checks.findings(Some(20.0), None), "but the run 20.00 s");
}
