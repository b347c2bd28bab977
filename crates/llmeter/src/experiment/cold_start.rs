//! The first request to a server that sleeps: how long until it answers, and until it is as fast as it gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::recovery::{first_usual, usual_limit};
use crate::InvocationResponse;
use crate::base::error::{Error, Result};
use crate::experiment::watched::watched_run;
use crate::load::{Load, Schedule, Session, Turn, WorkerShare};
use crate::result::RunResult;
use crate::run::{Interrupt, Observer, ResponseWatch, RunConfig, Runner};
use llmeter_wire::clock::{self, Stamp};

/// Between two requests while the server wakes, by default.
const POLL: Duration = Duration::from_millis(500);
/// How long the first response is waited for by default.
const WAIT: Duration = Duration::from_secs(600);
/// Responses by default.
const RESPONSES: u64 = 50;
/// Responses at least: half of them say what is steady.
const MIN_RESPONSES: u64 = 10;

/// One client asks a server that sleeps until it answers, and then goes on until its latencies are known.
///
/// It is one run. Requests that fail while the server wakes (refused, 503) are failures of the run, and in no
/// latency; so the time to the first response is counted from the first of them. Statistics beside those of any
/// run: `cold_start_first_token`, `cold_start_response`, `cold_start_steady`, `cold_start_failures`,
/// `cold_start_limit`.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::experiment::ColdStart;
/// use llmeter::{OpenAiChat, RunConfig};
///
/// # fn main() -> llmeter::Result<()> {
/// let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
/// let payload = OpenAiChat::create_payload("Tell me a story.", 128, Default::default())?;
/// let base = RunConfig::new(Arc::new(endpoint), [payload]).output("runs");
/// let stats = ColdStart::new(base).run_blocking()?.stats();
/// println!("{:?} s to the first token, {:?} s to the usual latency", stats.cold_start_first_token,
///          stats.cold_start_steady);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ColdStart {
    base: RunConfig,
    responses: u64,
    poll: Duration,
    wait: Duration,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
}

impl ColdStart {
    /// `base` is what the run is otherwise; its clients, rate and load are not used.
    pub fn new(base: RunConfig) -> Self {
        Self {
            base,
            responses: RESPONSES,
            poll: POLL,
            wait: WAIT,
            observer: None,
            interrupt: Interrupt::new(),
        }
    }

    /// How many responses there are to be.
    #[must_use]
    pub fn responses(mut self, responses: u64) -> Self {
        self.responses = responses;
        self
    }

    /// How long after one that failed the next request is sent, and how long the first response is waited for.
    #[must_use]
    pub fn polling(mut self, every: Duration, wait: Duration) -> Self {
        (self.poll, self.wait) = (every, wait);
        self
    }

    watched_run! {
        /// Makes `interrupt` stop the run.
    }

    /// Carries the run out, blocking the calling thread.
    ///
    /// # Errors
    /// When a setting cannot be used, or as [`Runner::run`]; a server that cannot be reached is waited for.
    pub fn run_blocking(&self) -> Result<RunResult> {
        if self.responses < MIN_RESPONSES {
            let expected = format!("{MIN_RESPONSES} or more");
            return Err(Error::field("requests", self.responses, expected));
        }
        if self.base.low_memory {
            let reason = "low_memory keeps no latencies over time";
            return Err(Error::refused("low_memory", reason));
        }
        let awake = Arc::new(AtomicBool::new(false));
        let schedule = WakeUp {
            poll: self.poll,
            awake: awake.clone(),
            payloads: self.base.payloads.len().max(1),
        };
        let watch = Waking {
            awake,
            left: AtomicU64::new(self.responses),
            failures: AtomicU64::new(self.responses),
            until: clock::now().after(self.wait),
        };
        let config = RunConfig {
            clients: 1,
            rate: None,
            stages: None,
            warmup: 0,
            warmup_time: Duration::ZERO,
            wait_until_ready: Duration::ZERO,
            // Who sleeps is asked again and again, at times that are known.
            failure_pause: false,
            may_be_down: true,
            load: Load::Schedule(Arc::new(schedule)),
            watch: Some(Arc::new(watch)),
            ..self.base.clone()
        };
        let mut runner = Runner::new(config).interrupted_by(self.interrupt.clone());
        if let Some(observer) = &self.observer {
            runner = runner.observe(observer.clone());
        }
        let mut result = runner.run_blocking()?;
        let found = figures(&result);
        result.add_stats(found);
        if result.summary.output_path.is_some() {
            result.save(None)?;
        }
        Ok(result)
    }
}

/// One client that pauses after each request until the server is awake.
#[derive(Debug)]
struct WakeUp {
    poll: Duration,
    awake: Arc<AtomicBool>,
    payloads: usize,
}

impl Schedule for WakeUp {
    fn sessions(&self, share: WorkerShare) -> Box<dyn Iterator<Item = Session> + Send> {
        let (poll, awake, payloads) = (self.poll, self.awake.clone(), self.payloads);
        let turns = (0..).map(move |number: usize| Turn {
            pause: match number == 0 || awake.load(Relaxed) {
                true => Duration::ZERO,
                false => poll,
            },
            ..Turn::of_payload(number % payloads)
        });
        let only = (share.worker == 0).then(|| Session::new(0, Duration::ZERO, turns));
        Box::new(only.into_iter())
    }

    fn is_of_experiment(&self) -> bool {
        true
    }
}

/// Ends the run when there are responses enough, or the server does not wake.
#[derive(Debug)]
struct Waking {
    awake: Arc<AtomicBool>,
    /// Responses that are still to come, and failures after the first response that may.
    left: AtomicU64,
    failures: AtomicU64,
    until: Stamp,
}

impl ResponseWatch for Waking {
    fn note(&self, response: &InvocationResponse) -> bool {
        if response.error.is_none() {
            self.awake.store(true, Relaxed);
            return self.left.fetch_sub(1, Relaxed) <= 1;
        }
        match self.awake.load(Relaxed) {
            // A server that falls asleep again must not keep the run for ever.
            true => self.failures.fetch_sub(1, Relaxed) <= 1,
            false => clock::now() >= self.until,
        }
    }
}

/// The statistics of a run of one client, in the order in which it sent.
///
/// Times are from when the first request was sent, or the run began if that one never was. What is steady follows
/// from the second half of the responses: the first response that is, with the two after it, no slower than
/// [`usual_limit`] of those.
fn figures(result: &RunResult) -> Map<String, Value> {
    let sent = result.responses.iter().map(|one| one.request_time);
    let begin = sent.clone().next().flatten().or(result.summary.start_time);
    let mut stats = Map::new();
    let Some(begin) = begin else {
        return stats;
    };
    let mut add = |key: &str, value: Value| stats.insert(format!("cold_start_{key}"), value);
    let answered = |one: &&InvocationResponse| one.error.is_none();
    let failures = result
        .responses
        .iter()
        .take_while(|one| !answered(one))
        .count();
    add("failures", json!(failures));
    let since =
        |one: &InvocationResponse| Some(one.request_time?.duration_since(begin).as_secs_f64());
    let answers: Vec<_> = result.responses.iter().filter(answered).collect();
    let Some(first) = answers.first() else {
        return stats;
    };
    if let Some(sent) = since(first) {
        if let Some(ttft) = first.time_to_first_token {
            add("first_token", json!(sent + ttft));
        }
        if let Some(ttlt) = first.time_to_last_token {
            add("response", json!(sent + ttlt));
        }
    }
    let is_streamed = answers.iter().any(|one| one.time_to_first_token.is_some());
    let latencies = answers.iter().map(|one| match is_streamed {
        true => one.time_to_first_token,
        false => one.time_to_last_token,
    });
    let latencies: Vec<Option<f64>> = latencies.collect();
    let usual: Vec<f64> = latencies[latencies.len() / 2..]
        .iter()
        .flatten()
        .copied()
        .collect();
    if answers.len() >= MIN_RESPONSES as usize
        && let Some(limit) = usual_limit(&usual)
    {
        add("limit", json!(limit));
        let steady = first_usual(&latencies, limit).and_then(|number| since(answers[number]));
        if let Some(steady) = steady {
            add("steady", json!(steady));
        }
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Failure, FailureKind};

    #[test]
    fn a_server_is_steady_once_it_is_as_fast_as_later() {
        let mut result = RunResult::default();
        let begin: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let at = |seconds: f64| begin + jiff::SignedDuration::from_secs_f64(seconds);
        for second in 0..23 {
            let mut response = InvocationResponse {
                request_time: Some(at(f64::from(second))),
                ..InvocationResponse::default()
            };
            match second {
                0..3 => response.error = Some(Failure::new(FailureKind::Other, "503")),
                3 => response.time_to_first_token = Some(2.5),
                4..8 => response.time_to_first_token = Some(1.0),
                _ => response.time_to_first_token = Some(0.1),
            }
            response.time_to_last_token = response.time_to_first_token.map(|time| time + 0.5);
            result.responses.push(response);
        }
        let stats = figures(&result);
        let of = |key: &str| stats[&format!("cold_start_{key}")].as_f64().unwrap();
        assert_eq!(
            (of("failures"), of("first_token"), of("response")),
            (3.0, 5.5, 6.0)
        );
        assert_eq!(of("steady"), 8.0);
        assert!((of("limit") - 0.105).abs() < 1e-12);
        result.responses.truncate(2);
        assert_eq!(figures(&result).len(), 1);
    }
}
