//! What a run in progress answers.

use serde_json::json;

use super::message::Request;
use super::{ControlStatus, Controlled, RunPhase};
use crate::run::saved;
use crate::run::start::Started;
use llmeter_wire::clock;

impl Started {
    /// Answers whoever asks at the run's socket. Never returns.
    pub(crate) async fn serve_control(&self) {
        let (Some(socket), Some(controlled)) = (&self.socket, &self.shared.controlled) else {
            return std::future::pending().await;
        };
        let answer = |line: &str| {
            let done = Request::of_json(line).and_then(|request| self.obey(&request, controlled));
            let answer = match done {
                Ok(()) => json!(self.status(controlled)),
                Err(reason) => json!({ "error": reason }),
            };
            answer.to_string()
        };
        socket.serve(answer).await;
    }

    /// Does what is asked for. The error says in one line why not.
    fn obey(&self, request: &Request, controlled: &Controlled) -> Result<(), String> {
        if *request == Request::default() {
            return Ok(());
        }
        let shared = &self.shared;
        let started = shared.started();
        if shared.is_stopping() {
            return Err("the run is stopping and sends nothing more".to_owned());
        }
        let elapsed = started.map_or(0.0, |start| clock::now().seconds_since(start));
        if !request.load.is_empty() {
            if started.is_none() {
                let reason = "the run is in its warm-up; its load can be changed from its start on";
                return Err(reason.to_owned());
            }
            controlled.change(&request.load, elapsed, shared.offered.as_ref())?;
            let limit = request.load.max_in_flight;
            let in_flight = match (request.load.clients, limit) {
                (Some(clients), _) | (None, Some(Some(clients))) => Some(clients as usize),
                (None, Some(None)) => Some(usize::MAX),
                (None, None) => None,
            };
            in_flight
                .into_iter()
                .for_each(|in_flight| shared.backlog.make_room(in_flight));
        }
        if request.is_stop {
            controlled.note_stop(elapsed);
            shared.stop.reach();
        }
        self.keep_changes(controlled);
        Ok(())
    }

    /// Writes the changes down at once: a run that is killed has been changed, too.
    fn keep_changes(&self, controlled: &Controlled) {
        let Some(folder) = &self.folder else {
            return;
        };
        let written = saved::own_config(&self.config).and_then(|mut own| {
            own[super::CHANGES_KEY] = json!(controlled.changes());
            folder.write_own_config(&own)
        });
        if let Err(reason) = written {
            tracing::warn!(%reason, "a change of the load is not in the run's configuration");
        }
    }

    fn status(&self, controlled: &Controlled) -> ControlStatus {
        let shared = &self.shared;
        let started = shared.started();
        let (rate, clients, max_in_flight) = controlled.load();
        ControlStatus {
            run_name: self.run_name.clone(),
            phase: match started {
                _ if shared.is_stopping() => RunPhase::Stopping,
                None => RunPhase::WarmUp,
                Some(_) => RunPhase::Running,
            },
            elapsed: started.map_or(0.0, |start| clock::now().seconds_since(start)),
            requests: controlled.recorded(),
            failed: controlled.failed(),
            rate: rate.map(|rate| rate.to_string()),
            clients,
            max_in_flight,
            in_flight: shared.offered.as_ref().map(|offered| offered.in_flight()),
            changes: controlled.changes(),
        }
    }
}
