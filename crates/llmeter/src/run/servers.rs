//! The figures of each server of a run that has several.

use serde_json::{Map, Value, json};

use crate::InvocationResponse;
use crate::api::SharedName;
use crate::result::FailureTally;
use crate::run::stages::OF_WHOLE_RUNS;
use crate::stats::{Accumulator, Condition, Keep};

/// Servers that have figures of their own, in responses that are read from files.
const MAX_SERVERS: usize = 256;

/// Figures by server, fed one response at a time.
#[derive(Debug)]
pub(crate) struct ServerTally {
    servers: Vec<ServerFigures>,
    keep: Keep,
    slos: Vec<Condition>,
}

#[derive(Debug)]
struct ServerFigures {
    name: SharedName,
    responses: Accumulator,
    failures: FailureTally,
}

impl ServerTally {
    /// Of servers that are found in the responses.
    pub(crate) fn new(keep: Keep, slos: &[Condition]) -> Self {
        Self {
            servers: Vec::new(),
            keep,
            slos: slos.to_vec(),
        }
    }

    /// With these servers, also if no response comes from them.
    pub(crate) fn with(mut self, names: impl Iterator<Item = SharedName>) -> Self {
        for name in names.filter(|name| !name.is_none()) {
            self.add(name);
        }
        self
    }

    fn add(&mut self, name: SharedName) -> &mut ServerFigures {
        let figures = ServerFigures {
            name,
            responses: Accumulator::new(self.keep).slos(&self.slos),
            failures: FailureTally::default(),
        };
        self.servers.push(figures);
        let last = self.servers.len() - 1;
        &mut self.servers[last]
    }

    /// Takes in a response. One that names no server is nobody's.
    pub(crate) fn record(&mut self, response: &InvocationResponse) {
        let name = response.detail.server;
        if name.is_none() {
            return;
        }
        let at = self.servers.iter().position(|known| known.name == name);
        let figures = match at {
            Some(at) => &mut self.servers[at],
            None if self.servers.len() < MAX_SERVERS => self.add(name),
            None => return,
        };
        figures.responses.record(response);
        let failure = response.error.as_ref().filter(|_| !response.is_cancelled());
        if let Some(failure) = failure {
            figures.failures.record(failure);
        }
    }

    /// The statistics: `servers`, in order; nothing without any. Rates are over `window`, in seconds;
    /// `resolved`: how long the name of each took to look up, as far as that is known.
    pub(crate) fn stats(
        &mut self,
        window: Option<f64>,
        resolved: impl Iterator<Item = Option<f64>>,
    ) -> Map<String, Value> {
        if self.servers.is_empty() {
            return Map::new();
        }
        let server = |(server, resolved): (&mut ServerFigures, Option<f64>)| {
            let mut stats = Map::new();
            stats.insert("server".to_owned(), json!(server.name.as_str()));
            let requests = server.responses.recorded();
            stats.insert("total_requests".to_owned(), json!(requests));
            if let Some(seconds) = resolved {
                stats.insert("time_to_resolve".to_owned(), json!(seconds));
            }
            if let Some(group) = server.failures.groups().first() {
                stats.insert("failure".to_owned(), json!(group.example.message()));
            }
            let of_responses = server.responses.stats(window).into_iter();
            let is_of_server =
                |key: &str| !OF_WHOLE_RUNS.iter().any(|start| key.starts_with(start));
            stats.extend(of_responses.filter(|(key, _)| is_of_server(key)));
            Value::Object(stats)
        };
        let resolved = resolved.chain(std::iter::repeat(None));
        let servers: Vec<_> = self.servers.iter_mut().zip(resolved).map(server).collect();
        Map::from_iter([("servers".to_owned(), servers.into())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::failure::{Failure, FailureKind};

    #[test]
    fn each_server_has_its_own_figures_and_its_failures() {
        let names = ["a", "b"].map(SharedName::new).into_iter();
        let mut tally = ServerTally::new(Keep::Values, &[]).with(names);
        for (server, ttft) in [("a", Some(0.1)), ("a", Some(0.3)), ("c", None)] {
            let mut response = InvocationResponse::default();
            response.detail.server = SharedName::new(server);
            response.time_to_first_token = ttft;
            if ttft.is_none() {
                response.error = Some(Failure::new(FailureKind::NoResponse, "nobody there"));
            }
            tally.record(&response);
        }
        // One of a run with one server.
        tally.record(&InvocationResponse::default());
        let stats = tally.stats(Some(60.0), [Some(0.5)].into_iter());
        let of = |server: usize, key: &str| stats["servers"][server][key].clone();
        assert_eq!(of(0, "server"), "a");
        assert_eq!(
            (of(0, "time_to_resolve"), of(1, "time_to_resolve")),
            (json!(0.5), Value::Null)
        );
        assert_eq!(of(0, "time_to_first_token-p50"), json!(0.2));
        assert_eq!(of(0, "requests_per_minute"), json!(2.0));
        assert_eq!(
            (of(1, "server"), of(1, "total_requests")),
            (json!("b"), json!(0))
        );
        assert_eq!(
            (of(2, "failed_requests"), of(2, "failure")),
            (json!(1), json!("nobody there"))
        );
        assert!(
            ServerTally::new(Keep::Values, &[])
                .stats(None, std::iter::empty())
                .is_empty()
        );
    }
}
