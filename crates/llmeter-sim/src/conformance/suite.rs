//! Putting an endpoint through the cases.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use llmeter::payload::Payload;
use llmeter::{Endpoint, Error, InvocationResponse, Load, RunConfig, Runner};
use llmeter_testing::ScriptedServer;

use super::checks::CaseRun;
use super::wording::{Says, Transport, Wording};
use super::{Case, Request};

/// How long a request may take. Reaching it is a failure, but for one case.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long a request may take whose response never ends: its first bytes come within it.
const STALL_TIMEOUT: Duration = Duration::from_secs(2);
/// How long all requests of a case may take. Reaching it means that the run hangs.
const CASE_TIMEOUT: Duration = Duration::from_secs(120);

type MakeEndpoint = dyn Fn(SocketAddr) -> Result<Arc<dyn Endpoint>, Error> + Send + Sync;

/// An endpoint and the cases that it is put through.
pub struct Suite {
    wording: Arc<dyn Wording>,
    payload: Payload,
    endpoint: Box<MakeEndpoint>,
    cases: Vec<Case>,
    skipped: Vec<(Case, String)>,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint did as it should.
    Passed,
    /// It was not asked, for this reason.
    Skipped(String),
    /// What was expected and what was got, one line each.
    Failed(Vec<String>),
}

/// What became of all cases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In the order of [`Case::ALL`].
    pub outcomes: Vec<(Case, Outcome)>,
}

impl Suite {
    /// All cases for the endpoint that `endpoint` makes for a server at an address. Its requests
    /// have this payload.
    pub fn new(
        wording: impl Wording + 'static,
        payload: Payload,
        endpoint: impl Fn(SocketAddr) -> Result<Arc<dyn Endpoint>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            wording: Arc::new(wording),
            payload,
            endpoint: Box::new(endpoint),
            cases: Case::ALL.to_vec(),
            skipped: Vec::new(),
        }
    }

    /// Leaves a case out and says why in the report.
    #[must_use]
    pub fn skip(mut self, case: Case, why: impl Into<String>) -> Self {
        self.skipped.push((case, why.into()));
        self
    }

    /// These cases alone, such as one that fails and is looked into.
    #[must_use]
    pub fn only(mut self, cases: &[Case]) -> Self {
        self.cases.retain(|case| cases.contains(case));
        self
    }

    /// Puts the endpoint through the cases.
    pub fn run(&self) -> Report {
        let outcomes = self.cases.iter().map(|&case| (case, self.outcome(case)));
        Report {
            outcomes: outcomes.collect(),
        }
    }

    fn outcome(&self, case: Case) -> Outcome {
        let is_skipped = |skipped: Case| skipped == case || skipped == case.reason_case();
        match self
            .skipped
            .iter()
            .find(|(skipped, _)| is_skipped(*skipped))
        {
            Some((_, why)) => Outcome::Skipped(why.clone()),
            None => self
                .ask(case)
                .unwrap_or_else(|problem| Outcome::Failed(vec![problem.to_string()])),
        }
    }

    /// Asks the endpoint a case, unless it does not apply, and looks at the responses.
    fn ask(&self, case: Case) -> Result<Outcome, Box<dyn std::error::Error>> {
        // Where it connects does not matter yet.
        let unbound = SocketAddr::from(([127, 0, 0, 1], 9));
        let streaming = (self.endpoint)(unbound)?.is_streaming();
        let transport = self.wording.transport();
        let why = if !streaming && case.needs_stream() {
            Some("the endpoint does not stream")
        } else if !transport.is_http() && case.needs_http() {
            Some("the API is not carried by HTTP")
        } else {
            self.wording.cannot(case.reason_case(), streaming)
        };
        if let Some(why) = why {
            return Ok(Outcome::Skipped(why.to_owned()));
        }

        let (says, plain) = (Says::of(case), Says::plain());
        let asked = CaseRun {
            wording: &*self.wording,
            case,
            streaming,
            says: &says,
            closes: false,
        };
        let after = CaseRun {
            case: Case::Usage,
            says: &plain,
            ..asked
        };
        let scripts = |closes| {
            let [asked, after] = [asked, after].map(|run| CaseRun { closes, ..run });
            Some([asked.script()?, after.script()?])
        };
        let (Some(kept), Some(closed)) = (scripts(false), scripts(true)) else {
            let problem = "the wording has no words for it: if the API cannot say it, skip the \
                           case with a reason";
            return Err(problem.into());
        };
        let mut server = ScriptedServer::respond(move |request| {
            let scripts = match request.keeps_connection() {
                true => &kept,
                false => &closed,
            };
            scripts[request.number.min(1)].clone()
        });
        if let Transport::Tcp(is_complete) = transport {
            server = server.reading(is_complete);
        }
        let server = server.start()?;
        let endpoint = (self.endpoint)(server.address())?;
        let prompt = endpoint.prompt_text(&self.payload);
        let is_http = matches!(endpoint.transport(), llmeter::endpoint::Transport::Http(_));
        let timeout = match case {
            Case::Stall => STALL_TIMEOUT,
            _ => TIMEOUT,
        };
        let [first, second] = run(endpoint, &self.payload, timeout)?;
        let (requests, connections) = (server.requests(), server.connections());

        let mut problems = asked.problems(&first, prompt.is_some());
        let next = after.problems(&second, prompt.is_some()).into_iter();
        problems.extend(next.map(|problem| format!("the request after it: {problem}")));
        problems.extend(self.wrong_requests(&requests, streaming));
        let (expected, why) = match requests.first().is_none_or(Request::keeps_connection) {
            true => (1, "which is kept after the response"),
            false => (2, "as the request asks to close it"),
        };
        if is_http && !asked.breaks_the_connection() && connections != expected {
            problems.push(format!(
                "connections: expected {expected}, {why}, got {connections}"
            ));
        }
        Ok(match problems.is_empty() {
            true => Outcome::Passed,
            false => Outcome::Failed(problems),
        })
    }

    fn wrong_requests(&self, requests: &[Request], streaming: bool) -> Vec<String> {
        if requests.len() != 2 {
            return vec![format!("requests: expected 2, got {}", requests.len())];
        }
        let check = |request| self.wording.check_request(request, streaming).err();
        let wrong = requests.iter().filter_map(check);
        wrong
            .map(|problem| format!("the request is not what the API takes: {problem}"))
            .collect()
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite")
            .field("cases", &self.cases)
            .field("skipped", &self.skipped)
            .finish_non_exhaustive()
    }
}

/// Two requests of one client, one after another, on a thread of their own, so that a run which
/// never ends is a failure like any other.
fn run(
    endpoint: Arc<dyn Endpoint>,
    payload: &Payload,
    timeout: Duration,
) -> Result<[InvocationResponse; 2], String> {
    let mut config = RunConfig::new(endpoint, [payload.clone()]).load(Load::Requests(2));
    config.timeout = timeout;
    let (done, result) = channel();
    thread::spawn(move || {
        let result = Runner::new(config).run_blocking();
        // Who waited too long is gone.
        done.send(result).ok();
    });
    let result = result
        .recv_timeout(CASE_TIMEOUT)
        .map_err(|_| format!("the run did not end within {} s", CASE_TIMEOUT.as_secs()))?
        .map_err(|error| format!("the run did not start: {error}"))?;
    let responses = <[_; 2]>::try_from(result.responses);
    responses.map_err(|all| format!("responses: expected 2, got {}", all.len()))
}

impl Report {
    /// Whether nothing failed.
    pub fn passes(&self) -> bool {
        let mut outcomes = self.outcomes.iter();
        outcomes.all(|(_, outcome)| !matches!(outcome, Outcome::Failed(_)))
    }

    /// Fails a test unless all cases passed or were skipped.
    ///
    /// # Panics
    /// With the report if a case failed.
    #[track_caller]
    pub fn assert_passes(&self) {
        assert!(self.passes(), "the endpoint does not conform:\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, outcome) in &self.outcomes {
            match outcome {
                Outcome::Passed => writeln!(f, "passed   {case}")?,
                Outcome::Skipped(why) => writeln!(f, "skipped  {case}: {why}")?,
                Outcome::Failed(problems) => {
                    writeln!(f, "FAILED   {case}")?;
                    for problem in problems {
                        writeln!(f, "           {problem}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
