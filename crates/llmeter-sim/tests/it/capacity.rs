//! A search for capacity against a server whose capacity is known.

use std::time::Duration;

use llmeter::api::ApiMode;
use llmeter::data::{self, DataOptions, RequestForm};
use llmeter::experiment::{Capacity, CapacityResult, Over, ProbeVerdict};
use llmeter::payload::Whitespace;
use llmeter::{OpenAiChat, RunConfig};

use crate::server;

#[test]
fn the_capacity_of_a_server_with_four_slots_is_found() {
    // A request takes 30 ms in one of four slots, so that with N clients TTFT is N/4 · 30 ms on average
    // (Little's law): 45 ms with 6 clients, 52.5 ms with 7.
    let server = server(|config| {
        config.ttft = Duration::from_millis(30);
        config.output_tokens = 1;
        config.max_concurrency = Some(4);
    });
    let folder = tempfile::tempdir().unwrap();
    let endpoint = OpenAiChat::builder(server.base_url(), "m").build().unwrap();
    let payload = OpenAiChat::create_payload("Hi", 1, Default::default()).unwrap();
    let mut base = RunConfig::new(std::sync::Arc::new(endpoint), [payload]);
    base.output = Some(folder.path().into());
    base.run_name = Some("search".into());
    base.slos = vec!["ttft-average < 48.7ms".parse().unwrap()];
    let search = Capacity::new(base).between(4.0, 64.0);
    let found = search.run_blocking().unwrap();
    assert_eq!(found.level(), Some(6.0), "{:?}", found.plan);
    assert_eq!(found.breaks_at(), Some(7.0));
    assert!(found.plan.is_complete && found.plan.probes.len() <= 6);
    assert!(
        found
            .plan
            .probes
            .iter()
            .all(|probe| probe.verdict.is_resolved())
    );
    let at = found.at_capacity().unwrap().stats();
    assert_eq!(at.slos_met.len(), 1);
    assert!(found.goodput().is_some() && at.goodput_rate > Some(0.2));

    // All of it is there again, and a later search measures none of it anew.
    let loaded = CapacityResult::load(folder.path().join("search")).unwrap();
    assert_eq!(loaded.plan, found.plan);
    let before = server.requests_served();
    let again = search.resume().run_blocking().unwrap();
    assert_eq!(server.requests_served(), before);
    assert_eq!(again.level(), Some(6.0));
    assert!(again.plan.probes.iter().all(|probe| probe.is_resumed));
    assert!(
        again
            .plan
            .probes
            .iter()
            .any(|probe| probe.verdict == ProbeVerdict::Held)
    );
}

#[test]
fn one_ramp_finds_the_capacity_as_well() {
    // As above; 30 ms for each request in a queue, so that a step is over soon.
    let server = server(|config| {
        config.ttft = Duration::from_millis(30);
        config.output_tokens = 1;
        config.max_concurrency = Some(4);
    });
    let folder = tempfile::tempdir().unwrap();
    let endpoint = OpenAiChat::builder(server.base_url(), "m").build().unwrap();
    let payload = OpenAiChat::create_payload("Hi", 1, Default::default()).unwrap();
    let mut base = RunConfig::new(std::sync::Arc::new(endpoint), [payload]);
    base.output = Some(folder.path().into());
    base.run_name = Some("ramp".into());
    base.slos = vec!["ttft-average < 48.7ms".parse().unwrap()];
    let search = Capacity::new(base)
        .between(4.0, 64.0)
        .adaptive(Duration::from_millis(1500));
    let found = search.run_blocking().unwrap();
    assert_eq!(found.level(), Some(6.0), "{:?}", found.plan);
    assert_eq!(found.breaks_at(), Some(7.0));
    let (low, high) = found.interval();
    assert!(low <= Some(6.0) && high >= Some(7.0), "{:?}", found.plan);
    // It ends where its verdict is clear: with 7 clients, or on a busy machine soon after.
    let steps = found.plan.probes.len();
    assert!((4..8).contains(&steps), "{:?}", found.plan);
    let at = found.at_capacity().unwrap();
    assert!(at.responses.len() > 50 && at.stats().ttft.average < Some(0.0487));
    let loaded = CapacityResult::load_without_responses(folder.path().join("ramp")).unwrap();
    assert_eq!(loaded.plan, found.plan);
    assert_eq!(loaded.at_capacity().unwrap().responses, at.responses);
    assert!(llmeter::report::capacity(&loaded).contains("By the intervals of the steps"));
}

#[test]
fn one_ramp_finds_the_most_sessions_as_well() {
    // Turns without think times load a server as clients do.
    let server = server(|config| {
        config.ttft = Duration::from_millis(30);
        config.output_tokens = 1;
        config.max_concurrency = Some(4);
    });
    let data = data::open(DataOptions {
        source: "synthetic:prompt_tokens=5,output_tokens=1,turns=8".to_owned(),
        columns: None,
        filter: None,
        sample: None,
        form: RequestForm::new(ApiMode::default()),
        tokenizer: std::sync::Arc::new(Whitespace),
        seed: 1,
    });
    let endpoint = OpenAiChat::builder(server.base_url(), "m").build().unwrap();
    let mut base = RunConfig::new(std::sync::Arc::new(endpoint), []);
    base.data = Some(data.unwrap());
    base.slos = vec!["ttft-average < 48.7ms".parse().unwrap()];
    let search = Capacity::new(base)
        .over(Over::Sessions)
        .between(4.0, 64.0)
        .adaptive(Duration::from_millis(1500));
    let found = search.run_blocking().unwrap();
    assert_eq!(found.level(), Some(6.0), "{:?}", found.plan);
    assert_eq!(found.breaks_at(), Some(7.0));
    let at = found.at_capacity().unwrap();
    assert!(
        at.responses
            .iter()
            .all(|response| response.detail.session > 0)
    );
    assert!(llmeter::report::capacity(&found).contains("6 sessions"));
}
