//! Runs against a server that does what a list of steps says, over real sockets.

pub(crate) mod answers;

use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use llmeter::endpoint::ApiEndpoint;
use llmeter::wire::clock::{self, Stamp};
use llmeter::{InvocationResponse, Load, OpenAiChat, RunConfig, RunResult, Runner};
use llmeter_testing::{Builder, ScriptedServer};
use serde_json::json;

pub(crate) use llmeter_testing::Step;

/// Longest time that any run of a test may take: reaching it is a hang.
const HANG: Duration = Duration::from_secs(60);

pub(crate) fn write(bytes: impl Into<Vec<u8>>) -> Step {
    Step::write(bytes)
}

/// When a write began and when it was done.
type Write = (Stamp, Stamp);

/// A running scripted server that speaks chat completions.
pub(crate) struct Scripted {
    pub(crate) base_url: String,
    server: ScriptedServer,
    writes: Arc<Mutex<Vec<Write>>>,
}

impl Scripted {
    /// Plays the first script for the first request, and so on; the last one is for all others.
    pub(crate) fn start(scripts: Vec<Vec<Step>>) -> Self {
        Self::with(ScriptedServer::play(scripts), "http")
    }

    /// A server that plays its script as soon as a request's head has come, without reading on.
    pub(crate) fn not_reading_bodies(scripts: Vec<Vec<Step>>) -> Self {
        Self::with(ScriptedServer::play(scripts).not_reading_bodies(), "http")
    }

    pub(crate) fn with(server: Builder, scheme: &str) -> Self {
        let writes = Arc::<Mutex<Vec<Write>>>::default();
        let log = Arc::clone(&writes);
        let server = server.around_writes(move |write| {
            let begin = clock::now();
            write();
            log.lock().unwrap().push((begin, clock::now()));
        });
        let server = server.start().unwrap();
        Self {
            base_url: format!("{scheme}://{}/v1", server.address()),
            server,
            writes,
        }
    }

    /// Waits until one more request has come.
    pub(crate) fn wait_for_request(&self) {
        assert!(self.server.wait_for_request(HANG), "a request comes");
    }

    /// Lets all that waits in [`Step::WaitForRelease`] go on, now and later.
    pub(crate) fn release(&self) {
        self.server.release();
    }

    pub(crate) fn requests(&self) -> usize {
        self.server.requests().len()
    }

    /// The requests, in the order in which they were read.
    pub(crate) fn all(&self) -> Vec<llmeter_testing::Request> {
        self.server.requests()
    }

    /// The bodies of requests, in the order in which they were read.
    pub(crate) fn bodies(&self) -> Vec<String> {
        let requests = self.server.requests().into_iter();
        requests
            .map(|request| request.text().into_owned())
            .collect()
    }

    /// Method and target of each request.
    pub(crate) fn lines(&self) -> Vec<String> {
        let requests = self.server.requests().into_iter();
        requests
            .map(|request| format!("{} {}", request.method, request.target))
            .collect()
    }

    /// A header of each request.
    pub(crate) fn headers(&self, name: &str) -> Vec<Option<String>> {
        let requests = self.server.requests().into_iter();
        requests
            .map(|request| request.header(name).map(str::to_owned))
            .collect()
    }

    pub(crate) fn connections(&self) -> usize {
        self.server.connections()
    }

    pub(crate) fn writes(&self) -> Vec<Write> {
        self.writes.lock().unwrap().clone()
    }

    /// A run of one request against this server.
    pub(crate) fn config(&self) -> RunConfig {
        let endpoint = OpenAiChat::builder(&self.base_url, "m").build().unwrap();
        self.config_of(endpoint)
    }

    pub(crate) fn config_of(&self, endpoint: ApiEndpoint) -> RunConfig {
        let payload = OpenAiChat::create_payload("one two three", 64, Default::default()).unwrap();
        let mut config = RunConfig::new(Arc::new(endpoint), [payload]);
        config.timeout = Duration::from_secs(20);
        config
    }
}

/// Runs on a thread of its own, so that a hang becomes a failure.
pub(crate) fn run(config: RunConfig) -> RunResult {
    finish(move || Runner::new(config).run_blocking()).expect("the run starts")
}

/// Does some work on a thread of its own, so that a hang becomes a failure.
pub(crate) fn finish<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = channel();
    std::thread::spawn(move || done.send(work()));
    result.recv_timeout(HANG).expect("no hang, and no panic")
}

/// One request to a server that plays these steps.
pub(crate) fn one(steps: Vec<Step>) -> InvocationResponse {
    one_with(steps, |_| {})
}

pub(crate) fn one_with(
    steps: Vec<Step>,
    change: impl FnOnce(&mut RunConfig),
) -> InvocationResponse {
    let server = Scripted::start(vec![steps]);
    let mut config = server.config();
    change(&mut config);
    let mut result = run(config);
    assert_eq!(result.responses.len(), 1);
    result.responses.remove(0)
}

/// So many requests in a row on one client.
pub(crate) fn several(scripts: Vec<Vec<Step>>) -> (Vec<InvocationResponse>, Scripted) {
    let count = scripts.len() as u64;
    let server = Scripted::start(scripts);
    let responses = run(server.config().load(Load::Requests(count))).responses;
    assert_eq!(responses.len() as u64, count);
    (responses, server)
}

/// A payload whose prompt is this text.
pub(crate) fn payload(text: &str) -> llmeter::payload::Payload {
    let payload = json!({"messages": [{"role": "user", "content": text}]});
    payload.as_object().unwrap().clone()
}
