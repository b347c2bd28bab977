use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::result::{RunResult, RunSummary};
use crate::{Failure, FailureKind, InvocationResponse};

/// How a simulated run is.
#[derive(Clone, Copy)]
struct Shape {
    requests: usize,
    ttft: f64,
    jitter: f64,
    failures: f64,
    clients: usize,
}

const SHAPE: Shape = Shape {
    requests: 200,
    ttft: 0.05,
    jitter: 0.2,
    failures: 0.0,
    clients: 1,
};

/// A run against a server whose times vary evenly, without waiting for it.
fn run(shape: Shape, random: &mut ChaCha8Rng) -> RunResult {
    // When each client is free.
    let mut free = vec![0.0_f64; shape.clients];
    let mut responses = Vec::new();
    for _ in 0..shape.requests {
        let mut varied =
            |mean: f64| mean * (1.0 + shape.jitter * (2.0 * random.random::<f64>() - 1.0));
        let ttft = varied(shape.ttft);
        let gaps: Vec<f32> = (0..7).map(|_| varied(0.01) as f32).collect();
        let ttlt = ttft + gaps.iter().map(|gap| f64::from(*gap)).sum::<f64>();
        let first = (0..free.len()).min_by(|one, other| free[*one].total_cmp(&free[*other]));
        let at = &mut free[first.unwrap()];
        let sent =
            jiff::Timestamp::from_microsecond(1_700_000_000_000_000 + (*at * 1e6) as i64).unwrap();
        *at += ttlt;
        let is_failed = random.random::<f64>() < shape.failures;
        let mut response = InvocationResponse {
            request_time: Some(sent),
            num_tokens_output: Some(8),
            num_tokens_input: Some(20),
            ..InvocationResponse::default()
        };
        match is_failed {
            true => response.error = Some(Failure::new(FailureKind::ALL[0], "refused")),
            false => {
                response.time_to_first_token = Some(ttft);
                response.time_to_last_token = Some(ttlt);
                response.time_per_output_token = Some((ttlt - ttft) / 7.0);
                response.detail.inter_token_latencies = gaps;
            }
        }
        responses.push(response);
    }
    let summary = RunSummary {
        total_requests: Some(shape.requests as u64),
        total_test_time: free.into_iter().max_by(f64::total_cmp),
        clients: shape.clients as u64,
        ..RunSummary::default()
    };
    RunResult::from_responses(summary, responses)
}

fn compared(base: Shape, new: Shape, random: &mut ChaCha8Rng) -> Comparison {
    let base = Measured::of("base", &run(base, random));
    let new = Measured::of("new", &run(new, random));
    Comparison::by_rounds(&base, &[new], 499).unwrap()
}

fn outcome(comparison: &Comparison, figure: &str) -> Option<Outcome> {
    find(comparison, figure).outcome
}

fn find<'a>(comparison: &'a Comparison, figure: &str) -> &'a Difference {
    let mut differences = comparison.pairs[0].differences.iter();
    differences
        .find(|one| one.figure.to_string() == figure)
        .unwrap()
}

#[test]
fn equals_are_seldom_called_different() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let times = 8;
    let flagged = (0..times).filter(|_| {
        let comparison = compared(SHAPE, SHAPE, &mut random);
        let mut outcomes = comparison.outcomes();
        outcomes.any(|one| matches!(one, Outcome::Better | Outcome::Worse))
    });
    assert!(flagged.count() <= 1);
}

#[test]
fn a_large_difference_is_shown_in_every_figure_and_once() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let slower = Shape {
        ttft: 0.07,
        ..SHAPE
    };
    let [base, new] = [SHAPE, slower].map(|shape| Measured::of("run", &run(shape, &mut random)));
    let comparison = Comparison::of(&base, &[new]).unwrap();
    // Few rounds of chance leave no p-value for figures that are not in the headlines.
    for figure in [
        "ttft-average",
        "ttft-p50",
        "ttft-p95",
        "ttlt-average",
        "output_tps",
    ] {
        assert_eq!(
            outcome(&comparison, figure),
            Some(Outcome::Worse),
            "{figure}"
        );
    }
    let rate = find(&comparison, "requests_per_minute");
    assert_eq!(
        rate.repeats,
        Some(find(&comparison, "output_tps").figure.clone())
    );
    assert_eq!(rate.outcome, Some(Outcome::Worse));
    assert_eq!(find(&comparison, "output_tps").repeats, None);
}

#[test]
fn a_slower_server_is_found_out() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let slower = Shape {
        ttft: 0.055,
        ..SHAPE
    };
    let found = (0..6).filter(|_| {
        let comparison = compared(SHAPE, slower, &mut random);
        outcome(&comparison, "ttft-p50") == Some(Outcome::Worse)
    });
    assert!(found.count() >= 5);

    let comparison = compared(slower, SHAPE, &mut random);
    let ttft = find(&comparison, "ttft-p50");
    assert_eq!(ttft.outcome, Some(Outcome::Better));
    let (low, high) = ttft.change_interval.unwrap();
    assert!(low < -0.05 && high > -0.15 && high < 0.0, "{low} {high}");
    assert_eq!(
        outcome(&comparison, "tpot-p50"),
        Some(Outcome::NoDifference)
    );
    assert_eq!(
        outcome(&comparison, "ttft-p99"),
        Some(Outcome::NotEnoughData)
    );
    assert_eq!(outcome(&comparison, "output_tokens-average"), None);
    assert_eq!(outcome(&comparison, "total_requests"), None);
}

#[test]
fn failures_are_a_rate_like_others() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let failing = Shape {
        failures: 0.15,
        ..SHAPE
    };
    let comparison = compared(SHAPE, failing, &mut random);
    assert_eq!(
        outcome(&comparison, "failed_requests_rate"),
        Some(Outcome::Worse)
    );
    let finding = |text: &str| {
        let condition = text.parse().unwrap();
        comparison.findings(&condition).unwrap()
    };
    assert_eq!(
        finding("failed_requests_rate > +10%").len(),
        1,
        "from none to some"
    );
    assert_eq!(finding("failed_requests_rate > 5%").len(), 1);
    assert_eq!(finding("failed_requests_rate > 90%"), [""; 0]);
}

#[test]
fn a_gate_is_judged_on_the_interval() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let slower = Shape {
        ttft: 0.06,
        ..SHAPE
    };
    let comparison = compared(SHAPE, slower, &mut random);
    let findings = |text: &str| comparison.findings(&text.parse().unwrap()).unwrap();
    assert!(findings("ttft-p50 > +10%")[0].starts_with("ttft-p50 > +10%: it changed by +"));
    // It is 20 % slower, but nobody can be sure that it is by more than 18.
    let change = find(&comparison, "ttft-p50").change.unwrap();
    let just_below = format!("ttft-p50 > +{:.3}%", change * 100.0 - 0.1);
    assert_eq!(findings(&just_below), [""; 0]);
    assert_eq!(findings("ttft-p50 < +0%"), [""; 0]);
    assert_eq!(findings("ttft-p50 > 55ms").len(), 1);
    assert_eq!(findings("ttft-p50 > 500ms"), [""; 0]);
    assert!(findings("ttft-p99 > +10%")[0].contains("not enough data"));
    assert!(findings("cost_total > +10%")[0].contains("do not share"));
    assert!(findings("total_requests > +10%").is_empty());
    assert!(
        comparison
            .findings(&"ttft > +10%".parse().unwrap())
            .is_err()
    );
}

#[test]
fn what_was_not_measured_alike_is_said() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let base = run(SHAPE, &mut random);
    let mut new = run(SHAPE, &mut random);
    new.summary.clients = 4;
    new.interrupted = true;
    let verdict = serde_json::json!({"measurement_verdict": "degraded"});
    new.add_stats(verdict.as_object().unwrap().clone());
    let comparison = Comparison::of(&Measured::of("a", &base), &[Measured::of("b", &new)]).unwrap();
    assert_eq!(
        comparison.pairs[0].unlike,
        [
            "other clients: 1 and 4",
            "the measurement of new is degraded",
            "new was interrupted"
        ]
    );
}

#[test]
fn nothing_is_compared_with_nothing() {
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let base = Measured::of("a", &run(SHAPE, &mut random));
    assert!(Comparison::of(&base, &[]).is_err());
    let few = Shape {
        requests: 4,
        ..SHAPE
    };
    let comparison = compared(few, few, &mut random);
    assert_eq!(
        outcome(&comparison, "ttft-p50"),
        Some(Outcome::NotEnoughData)
    );
    assert!(!comparison.is_worse());
}

#[test]
fn rates_of_clients_that_take_turns_are_judged() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let shape = Shape {
        requests: 400,
        clients: 8,
        ..SHAPE
    };
    for _ in 0..2 {
        let comparison = compared(shape, shape, &mut random);
        for figure in ["output_tps", "requests_per_minute"] {
            let rate = find(&comparison, figure);
            assert_eq!(rate.outcome, Some(Outcome::NoDifference), "{figure}");
        }
        let condition = "output_tps < -5%".parse().unwrap();
        assert_eq!(comparison.findings(&condition).unwrap(), [""; 0]);
    }
    let slower = Shape {
        ttft: 0.12,
        ..shape
    };
    let comparison = compared(shape, slower, &mut random);
    let condition = "output_tps < -5%".parse().unwrap();
    assert_eq!(comparison.findings(&condition).unwrap().len(), 1);
}

#[test]
fn every_figure_of_a_run_is_there_for_gates() {
    let mut random = ChaCha8Rng::seed_from_u64(8);
    let mut runs = [(); 2].map(|()| run(SHAPE, &mut random));
    for run in &mut runs {
        run.judge_by(vec!["ttft < 1s".parse().unwrap()]);
    }
    let [base, new] = runs.map(|run| Measured::of("run", &run));
    let comparison = Comparison::by_rounds(&base, &[new], 99).unwrap();
    let findings = |text: &str| comparison.findings(&text.parse().unwrap()).unwrap();
    assert_eq!(findings("total_output_tokens > 1599").len(), 1);
    assert_eq!(findings("total_output_tokens > +1%"), [""; 0]);
    let keys = comparison.pairs[0]
        .differences
        .iter()
        .map(|one| one.figure.key());
    assert!(keys.into_iter().any(|key| key == "slo_rate-ttft < 1s"));
    let few = Shape {
        requests: 4,
        ..SHAPE
    };
    let comparison = compared(few, few, &mut random);
    let rates = ["output_tps", "requests_per_minute"].map(|one| find(&comparison, one));
    assert_eq!(
        rates.map(|one| one.outcome),
        [Some(Outcome::NotEnoughData); 2]
    );
    assert!(
        rates.iter().any(|one| one.repeats.is_some()),
        "one says it for both"
    );
}

/// Runs whose time to the first token is so much of the shape's.
fn repeats(factors: &[f64], random: &mut ChaCha8Rng) -> Measured {
    let runs = factors.iter().map(|factor| {
        let ttft = SHAPE.ttft * factor;
        run(Shape { ttft, ..SHAPE }, random)
    });
    Measured::of_repeats("repeats", &runs.collect::<Vec<_>>())
}

#[test]
fn what_changes_from_repeat_to_repeat_counts_where_it_is_more() {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    // The machine changes by more than the servers differ.
    let base = repeats(&[1.0, 1.1, 0.9, 1.05, 0.95], &mut random);
    let new = repeats(&[1.1, 0.95, 1.15, 1.0, 1.05], &mut random);
    let one = Comparison::by_rounds(&base, &[new], 499).unwrap();
    let ttft = find(&one, "ttft-p50");
    assert_eq!(ttft.outcome, Some(Outcome::NoDifference), "{ttft:?}");
    assert_eq!(ttft.spread, Some(Spread::Repeats));
    let (low, high) = ttft.change_interval.unwrap();
    assert!(low < 0.0 && high > 0.1, "{low} {high}");
    assert_eq!(
        (one.pairs[0].base_repeats, one.pairs[0].new_repeats),
        (5, 5)
    );
    // Of what did not change, requests tell the same as ever.
    let gaps = find(&one, "tpot-p50");
    assert_eq!(gaps.outcome, Some(Outcome::NoDifference));

    // One run is judged by what the base's repeats show.
    let base = repeats(&[1.0, 1.1, 0.9, 1.05, 0.95], &mut random);
    let new = repeats(&[1.1], &mut random);
    let one = Comparison::by_rounds(&base, &[new], 499).unwrap();
    assert_eq!(outcome(&one, "ttft-p50"), Some(Outcome::NoDifference));

    let base = repeats(&[1.0; 5], &mut random);
    let new = repeats(&[1.2; 5], &mut random);
    let one = Comparison::of(&base, &[new]).unwrap();
    let ttft = find(&one, "ttft-p50");
    assert_eq!(ttft.outcome, Some(Outcome::Worse), "{ttft:?}");
    let (low, high) = ttft.change_interval.unwrap();
    assert!(
        0.15 < low && low < 0.2 && 0.2 < high && high < 0.25,
        "{low} {high}"
    );
    assert!(Comparison::of(&base, &[repeats(&[], &mut random)]).is_err());
}
