//! The shape of a run's load, before anything is sent.

use std::time::Duration;

use crate::data::ArrivalSummary;
use crate::load::{RequestClass, WorkerShare};
use crate::run::RunConfig;

/// Sessions that are looked at, at most.
const MAX_SESSIONS: usize = 1_000_000;

/// What a run would send when.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutline {
    /// Requests over all clients, warm-up excluded, if the number is known.
    pub planned: Option<u64>,
    /// How long requests are sent, if that is known.
    pub duration: Option<Duration>,
    /// When sessions arrive: of a closed loop all at once.
    pub arrivals: Option<ArrivalSummary>,
}

impl RunConfig {
    /// The shape of the run's load. Sends nothing.
    pub fn outline(&self) -> RunOutline {
        let schedule = self.schedule();
        let (planned, duration) = (schedule.planned(), schedule.duration());
        let all = WorkerShare {
            worker: 0,
            workers: 1,
        };
        let arrivals = schedule
            .sessions(all)
            .filter(|session| session.class == RequestClass::Measured)
            .map(|session| session.arrival)
            .take_while(|arrival| duration.is_none_or(|duration| *arrival <= duration))
            .take(MAX_SESSIONS);
        RunOutline {
            planned,
            duration,
            arrivals: ArrivalSummary::of(arrivals.collect()),
        }
    }
}
