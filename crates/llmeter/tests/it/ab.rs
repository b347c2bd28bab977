//! Tests by alternating blocks: what ends them, and what loads again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llmeter::cost::{CostModel, PerRequest};
use llmeter::experiment::{AbEnd, AbResult, AbTest, AbVariant};
use llmeter::stats::Answer;
use llmeter::{Interrupt, Load, RunConfig};

use crate::scripted::answers::{sized, whole_stream};
use crate::scripted::{Scripted, finish, write};

/// A server whose answers have so many frames.
fn server(frames: usize) -> Scripted {
    let words = vec!["a"; frames];
    let answer = sized("200 OK", "text/event-stream", &whole_stream(&words));
    Scripted::start(vec![vec![write(answer)]])
}

fn variant(name: &str, server: &Scripted) -> AbVariant {
    AbVariant {
        name: name.to_owned(),
        config: server.config().clients(1).load(Load::Requests(2)),
    }
}

fn run(test: AbTest) -> llmeter::Result<AbResult> {
    finish(move || test.run_blocking())
}

/// A statistic that a server decides, whatever the machine does.
const TOKENS: &str = "num_tokens_output-average";

#[test]
fn a_difference_is_found_and_ends_the_test() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (server(2), server(20));
    let test = AbTest::new([variant("a", &one), variant("b", &two)], TOKENS)
        .output(folder.path(), Some("test".to_owned()));
    let done = run(test.clone()).unwrap();
    assert_eq!(done.plan.ended_by, Some(AbEnd::Answered));
    let [comparison] = &done.comparisons()[..] else {
        panic!("one variant is compared");
    };
    let analysis = comparison.analysis.as_ref().unwrap();
    assert_eq!(analysis.answer, Answer::Higher);
    assert_eq!(
        (analysis.differences, done.rounds.len()),
        (8, 8),
        "the first look tells"
    );
    assert!(comparison.difference().unwrap() > 1.0);
    assert_eq!((one.requests(), two.requests()), (16, 16));

    let place = folder.path().join("test");
    assert!(place.join("00001-a/summary.json").exists());
    assert!(AbResult::is_in(&place.as_path().into()));
    let loaded = AbResult::load(place.as_path()).unwrap();
    assert_eq!(loaded.plan, done.plan);
    assert_eq!(loaded.comparisons(), done.comparisons());
    let text = llmeter::report::ab(&loaded);
    assert_eq!(text, llmeter::report::ab(&done));
    for part in [
        "is higher with b than with a",
        "after 8 rounds",
        "b against a",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let error = run(test).unwrap_err().to_string();
    assert!(error.contains("already holds"), "{error}");
}

#[test]
fn the_same_is_told_from_a_difference_among_three() {
    let server = server(4);
    let variants = ["a", "b", "c"].map(|name| variant(name, &server));
    let done = run(AbTest::new(variants, TOKENS)).unwrap();
    assert_eq!(done.plan.ended_by, Some(AbEnd::Answered));
    let answers: Vec<_> = done
        .comparisons()
        .into_iter()
        .map(|one| one.analysis.unwrap().answer)
        .collect();
    assert_eq!(answers, [Answer::NoDifference, Answer::NoDifference]);
    let text = llmeter::report::ab(&done);
    assert!(text.contains("differ by less than 5 %"), "{text}");
}

#[test]
fn blocks_of_a_round_come_in_an_order_that_the_seed_draws() {
    let server = server(2);
    let order = |seed| {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let own = seen.clone();
        let variants = ["a", "b"].map(|name| variant(name, &server));
        let test = AbTest::new(variants, TOKENS)
            .seed(seed)
            .observe(move |round, name| {
                own.lock().unwrap().push((round, name.to_owned()));
                None
            });
        run(test).unwrap();
        let seen = seen.lock().unwrap();
        seen.clone()
    };
    let one = order(1);
    assert_eq!(one, order(1));
    let firsts: Vec<_> = one.chunks(2).map(|round| round[0].1.as_str()).collect();
    assert!(firsts.contains(&"a") && firsts.contains(&"b"), "{firsts:?}");
    assert!(
        one.chunks(2)
            .all(|round| round[0].0 == round[1].0 && round[0].1 != round[1].1)
    );
}

#[test]
fn a_budget_ends_a_test_that_has_no_answer() {
    let server = server(2);
    let variants = || ["a", "b"].map(|name| variant(name, &server));
    // Nothing is within a margin of nothing but the same number.
    let test = || AbTest::new(variants(), "time_to_last_token-p50").margin(0.0);
    let done = run(test().max_requests(11)).unwrap();
    assert_eq!(done.plan.ended_by, Some(AbEnd::Requests));
    assert_eq!((done.rounds.len(), server.requests()), (2, 8));
    assert_eq!(
        done.comparisons()[0].analysis.as_ref().unwrap().answer,
        Answer::Open
    );
    let done = run(test().max_rounds(3)).unwrap();
    assert_eq!(
        (done.plan.ended_by, done.rounds.len()),
        (Some(AbEnd::Rounds), 3)
    );
    assert!(run(test().max_duration(Duration::ZERO)).is_err());
    let done = run(test().max_duration(Duration::from_nanos(1))).unwrap();
    assert_eq!(
        (done.plan.ended_by, done.rounds.len()),
        (Some(AbEnd::Duration), 0)
    );

    let costly = |mut variant: AbVariant| {
        let costs = CostModel::new()
            .with_request(PerRequest::new(1.0).unwrap())
            .unwrap();
        variant.config = variant.config.callback(Arc::new(costs));
        variant
    };
    // Three blocks of two requests, and what buys none of the fourth.
    let done = run(AbTest::new(variants().map(costly), "time_to_last_token-p50").max_cost(6.5));
    let done = done.unwrap();
    assert_eq!(done.warnings, [""; 0]);
    assert_eq!(done.plan.ended_by, Some(AbEnd::Cost));
    let cost: f64 = done
        .blocks()
        .filter_map(|block| block.stats().cost_total)
        .sum();
    assert!(cost <= 6.5, "{cost}");
    assert!(llmeter::report::ab(&done).contains("limit of cost"));
}

#[test]
fn an_interrupted_test_keeps_whole_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(2);
    let interrupt = Interrupt::new();
    let (own, blocks) = (interrupt.clone(), AtomicUsize::new(0));
    let variants = ["a", "b"].map(|name| variant(name, &server));
    let test = AbTest::new(variants, TOKENS)
        .output(folder.path(), Some("test".to_owned()))
        .interrupted_by(interrupt)
        .observe(move |_, _| {
            if blocks.fetch_add(1, Ordering::Relaxed) == 3 {
                own.stop();
            }
            None
        });
    let done = run(test).unwrap();
    assert_eq!(done.plan.ended_by, Some(AbEnd::Interrupted));
    let loaded = AbResult::load(folder.path().join("test")).unwrap();
    assert_eq!(loaded.plan.ended_by, Some(AbEnd::Interrupted));
    let analysis = loaded.comparisons().remove(0).analysis.unwrap();
    assert_eq!((analysis.differences, analysis.answer), (1, Answer::Open));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let server = server(2);
    let of = |names: &[&str]| {
        let variants: Vec<_> = names.iter().map(|name| variant(name, &server)).collect();
        AbTest::new(variants, TOKENS)
    };
    let unusable = |mut config: RunConfig| {
        config.clients = 0;
        AbVariant {
            name: "b".to_owned(),
            config,
        }
    };
    let odd = AbTest::new([variant("a", &server), unusable(server.config())], TOKENS);
    for (test, part) in [
        (of(&["a"]), "two or more"),
        (of(&["a", "a"]), "a name of its own"),
        (of(&["a", "../b"]), "letters"),
        (of(&["a", "b"]).alpha(0.0), "alpha"),
        (of(&["a", "b"]).margin(1.0), "margin"),
        (of(&["a", "b"]).max_rounds(0), "rounds"),
        (odd, "clients"),
    ] {
        let error = run(test).unwrap_err().to_string();
        assert!(error.contains(part), "{part}: {error}");
    }
    assert_eq!(server.requests(), 0);
}
