//! Loads that a schedule of one's own describes.

use std::sync::Arc;
use std::time::Duration;

use llmeter::load::{RequestClass, Schedule, Session, Turn, WorkerShare};
use llmeter::{Load, RunResult};

use super::{config, friendly, whole};
use crate::scripted::{Scripted, Step, run};

/// Sessions that arrive evenly spaced, whether those before have ended or not.
#[derive(Debug)]
struct Metronome {
    sessions: u32,
    every: Duration,
    turns: usize,
    warmup: u32,
}

impl Schedule for Metronome {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        let (every, turns) = (self.every, self.turns);
        let mine = move |count: u32| (share.worker as u32..count).step_by(share.workers);
        let warmup = mine(self.warmup).map(|number| Session {
            class: RequestClass::Warmup,
            ..Session::new(number, Duration::ZERO, std::iter::once(Turn::of_payload(0)))
        });
        let measured = mine(self.sessions).map(move |number| {
            let payload = number as usize;
            let turns = (0..turns).map(move |_| Turn::of_payload(payload));
            Session::new(number, every * number, turns)
        });
        Box::new(warmup.chain(measured))
    }

    fn planned(&self) -> Option<u64> {
        Some(u64::from(self.sessions) * self.turns as u64)
    }
}

/// The prompts of the requests that each session sent, in the order of their sending.
fn by_session(result: &RunResult) -> Vec<Vec<String>> {
    let mut responses: Vec<_> = result.responses.iter().collect();
    responses.sort_by_key(|response| response.request_time);
    let sessions = responses.iter().map(|one| one.detail.client.unwrap());
    let mut prompts = vec![Vec::new(); sessions.max().map_or(0, |last| last as usize + 1)];
    for response in responses {
        let prompt = response.input_prompt.as_ref().unwrap().as_str().unwrap();
        prompts[response.detail.client.unwrap() as usize].push(prompt.to_owned());
    }
    prompts
}

#[test]
fn requests_are_sent_when_they_are_due_although_none_has_ended() {
    const GAP: Duration = Duration::from_millis(100);
    let mut script = vec![Step::WaitForRelease];
    script.extend(whole());
    let server = Scripted::start(vec![script]);
    let folder = tempfile::tempdir().unwrap();
    // Of three payloads the fourth session's is the first again.
    let mut config = config(&server, 3).output(folder.path());
    assert_eq!(config.clients, 1);
    config.workers = Some(1);
    config.load = Load::Schedule(Arc::new(Metronome {
        sessions: 4,
        every: GAP,
        turns: 2,
        warmup: 0,
    }));
    let work = std::thread::spawn(move || run(config));
    // All of them are in flight before the first response begins.
    for _ in 0..4 {
        server.wait_for_request();
    }
    let bodies = server.bodies();
    for (body, prompt) in bodies.iter().zip(["p0", "p1", "p2", "p0"]) {
        assert!(body.contains(prompt), "{prompt} in {body}");
    }
    server.release();
    let result = work.join().unwrap();

    assert_eq!(result.responses.len(), 8);
    let expected = ["p0", "p1", "p2", "p0"].map(|prompt| vec![prompt.to_owned(); 2]);
    assert_eq!(by_session(&result), expected);
    // One request in flight on each connection, and a session's turns share theirs.
    assert_eq!(server.connections(), 4);
    let quality = result.quality.as_ref().unwrap();
    assert_eq!(quality.connections, 4);
    assert_eq!(quality.requests_on_new_connection, 4);

    let mut firsts: Vec<_> = result.responses.iter().collect();
    firsts.sort_by_key(|response| response.request_time);
    let start = result.summary.start_time.unwrap();
    for (number, response) in firsts[..4].iter().enumerate() {
        assert_eq!(response.detail.client, Some(number as u32));
        let after = response.request_time.unwrap().duration_since(start);
        let due = GAP.as_secs_f64() * number as f64;
        // The clocks of the wall and of the run may differ by a little.
        assert!(after.as_secs_f64() > due - 0.005, "{number}: {after:?}");
        assert_eq!(response.error, None);
        assert_eq!(response.num_tokens_output, Some(2));
        let text = response.response_text.as_deref();
        assert_eq!(text, Some("one two"), "no bytes of another response");
    }
    let warning = "the run cannot be repeated from its folder: the schedule has no saved form";
    assert_eq!(result.warnings, [warning]);
    assert_eq!(result.summary.total_requests, Some(8));
    let loaded = RunResult::load(result.summary.output_path.as_ref().unwrap()).unwrap();
    assert_eq!(loaded.responses, result.responses);
    assert_eq!(loaded.stats(), result.stats());
}

#[test]
fn sessions_share_the_connections_of_their_worker_and_a_warm_up_comes_first() {
    let server = friendly();
    let mut config = config(&server, 2);
    config.workers = Some(1);
    config.load = Load::Schedule(Arc::new(Metronome {
        sessions: 2,
        every: Duration::ZERO,
        turns: 3,
        warmup: 2,
    }));
    let result = run(config);
    assert_eq!(server.requests(), 8);
    assert_eq!(by_session(&result), [vec!["p0"; 3], vec!["p1"; 3]]);
    assert_eq!(server.connections(), 2, "those that the warm-up opened");
    assert_eq!(result.quality.unwrap().requests_on_new_connection, 0);
}
