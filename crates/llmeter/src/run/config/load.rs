//! What of a configuration says what is sent when.

use std::sync::Arc;

use super::RunConfig;
use crate::load::{
    ClosedLoop, Conversations, DataLoop, Load, OpenLoop, Profile, Schedule, SessionLoop, Sharded,
    StagedClients, Stages,
};

impl RunConfig {
    /// What is to be sent when.
    pub(crate) fn schedule(&self) -> Arc<dyn Schedule> {
        let whole = self.whole_schedule();
        match self.shard {
            None => whole,
            Some(shard) => Arc::new(Sharded { whole, shard }),
        }
    }

    /// What of a limit for the whole load is this run's.
    pub(crate) fn own_share(&self, limit: f64) -> f64 {
        self.shard.map_or(limit, |shard| limit / shard.of as f64)
    }

    fn whole_schedule(&self) -> Arc<dyn Schedule> {
        if let Load::Schedule(schedule) = &self.load {
            return schedule
                .of_run(self.shard)
                .unwrap_or_else(|| schedule.clone());
        }
        let duration = match (&self.load, &self.stages) {
            (_, Some(stages)) => Some(stages.duration()),
            (Load::Duration(duration), None) => Some(*duration),
            _ => None,
        };
        let warmup_time = Some(self.warmup_time).filter(|time| !time.is_zero());
        let conversations = self.conversations();
        let of_all = |conversations: &Conversations| {
            let all = match self.load {
                // Stages say how long they go on, as a duration does.
                Load::EachPayloadOnce if self.stages.is_none() => conversations.count(),
                _ => None,
            };
            all.into_iter().chain(self.max_sessions).min()
        };
        let stages = self.stages.as_ref();
        let staged = stages.and_then(Stages::most_at_a_time);
        if let (Some(conversations), Some(concurrent)) = (&conversations, self.sessions.or(staged))
        {
            return Arc::new(SessionLoop {
                sessions: of_all(conversations),
                conversations: conversations.clone(),
                concurrent,
                stages: stages.cloned(),
                start: self.data_start,
                max_requests: self.max_requests,
                duration,
                warmup: self.warmup,
                warmup_time,
                shard: self.shard,
                taken: Arc::default(),
            });
        }
        let stages = stages.filter(|stages| stages.are_rates());
        if let Some(conversations) = &conversations {
            let rate = self.session_rate.map_or(0.0, |rate| rate.per_second());
            return Arc::new(OpenLoop {
                rate: stages.map_or_else(|| Profile::constant(rate), Stages::profile),
                stage_ends: stages.map(Stages::ends).unwrap_or_default(),
                arrivals: self.arrivals,
                payloads: 0,
                data: Some(self.data_start),
                seed: self.seed,
                warmup: self.warmup,
                warmup_time,
                requests: of_all(conversations),
                duration,
                max_requests: self.max_requests,
                conversations: Some(conversations.clone()),
                is_adjustable: false,
            });
        }
        let rate = self.rate.map(|rate| Profile::constant(rate.per_second()));
        if let Some(rate) = stages.map(Stages::profile).or(rate) {
            let of_data = match (&self.load, &self.data) {
                (Load::EachPayloadOnce, Some(data)) if self.stages.is_none() => data.size(),
                _ => None,
            };
            let requests = self.requests_per_client().into_iter().chain(of_data);
            return Arc::new(OpenLoop {
                rate,
                stage_ends: stages.map(Stages::ends).unwrap_or_default(),
                arrivals: self.arrivals,
                payloads: self.payloads.len(),
                data: self.data.as_ref().map(|_| self.data_start),
                seed: self.seed,
                warmup: self.warmup,
                warmup_time,
                requests: requests.chain(self.max_requests).min(),
                duration,
                max_requests: None,
                conversations: None,
                is_adjustable: false,
            });
        }
        if let Some(data) = &self.data {
            let of_all = match self.load {
                Load::Requests(count) => Some(count.saturating_mul(self.clients as u64)),
                Load::EachPayloadOnce => data.size(),
                _ => None,
            };
            return Arc::new(DataLoop {
                clients: self.clients,
                start: self.data_start,
                requests: of_all.into_iter().chain(self.max_requests).min(),
                duration,
                warmup: self.warmup,
                warmup_time,
                shard: self.shard,
                taken: Arc::default(),
            });
        }
        let closed_loop = ClosedLoop {
            clients: self.whole_client_count(),
            payloads: self.payloads.len(),
            seed: self.seed,
            warmup: self.warmup,
            warmup_time,
            requests: self.requests_per_client(),
            max_requests: self.max_requests,
            duration,
        };
        match &self.stages {
            Some(stages) => Arc::new(StagedClients {
                stages: stages.clone(),
                clients: closed_loop,
            }),
            None => Arc::new(closed_loop),
        }
    }

    /// The conversations of the data, if the load is one of conversations.
    pub(super) fn conversations(&self) -> Option<Conversations> {
        let data = self.data.as_ref().filter(|_| self.has_sessions())?;
        Some(Conversations {
            data: data.clone(),
            trace: None,
            think_time: self.think_time.clone(),
            history: self.history,
            counts_single: true,
            seed: self.seed,
        })
    }

    /// Whether conversations are what the load consists of.
    pub(crate) fn has_sessions(&self) -> bool {
        let staged = self.stages.as_ref().is_some_and(Stages::are_sessions);
        self.sessions.is_some() || self.session_rate.is_some() || staged
    }

    /// This run's share of the most requests, where conversations are not cut before.
    pub(crate) fn own_max_requests(&self) -> Option<u64> {
        let most = self.max_requests.filter(|_| self.has_sessions())?;
        Some(match self.shard {
            Some(shard) => shard.count(usize::try_from(most).unwrap_or(usize::MAX)) as u64,
            None => most,
        })
    }

    /// Why neither its rate nor its clients can be changed in mid-run, if that is so.
    pub(crate) fn why_fixed(&self) -> String {
        if let Some(shard) = self.shard {
            return format!("it is part {shard} of a load, whose other parts would not change");
        }
        if self.stages.is_some() {
            return "its load is in stages, which say how it changes".to_owned();
        }
        if self.sessions.is_some() {
            return "its sessions follow one another, so many at a time".to_owned();
        }
        match &self.load {
            Load::Schedule(schedule) if schedule.is_of_data() => {
                "it replays a trace, at the trace's own times".to_owned()
            }
            Load::Schedule(_) => "its load is a schedule of its own".to_owned(),
            // So many in all are shared out among its clients before the run.
            _ => format!(
                "{} shares its requests out among its clients before it begins",
                crate::base::setting::Setting::MaxRequests
            ),
        }
    }

    /// What stages are about, in words, if not about rates.
    pub(super) fn staged_without_rates(&self) -> Option<&'static str> {
        let stages = self.stages.as_ref()?;
        (!stages.are_rates()).then(|| stages.kind())
    }

    /// Whether stages are about clients.
    pub(super) fn has_staged_clients(&self) -> bool {
        let is_of_clients = |stages: &Stages| !stages.are_rates() && !stages.are_sessions();
        self.stages.as_ref().is_some_and(is_of_clients)
    }

    /// Clients that send at the same time, at most; 1 in an open loop. Those of this run, which may be a
    /// part of the load's.
    pub(crate) fn client_count(&self) -> usize {
        let whole = self.whole_client_count();
        match self.shard {
            Some(shard) if !self.is_open_loop() => shard.count(whole),
            _ => whole,
        }
    }

    /// Clients of the whole load, of which this run may be a part.
    pub(crate) fn whole_client_count(&self) -> usize {
        let staged = self.stages.as_ref().and_then(Stages::most_at_a_time);
        staged.or(self.sessions).unwrap_or(self.clients)
    }

    /// Whether the clock decides when requests are sent.
    pub(crate) fn is_open_loop(&self) -> bool {
        match &self.load {
            Load::Schedule(schedule) => schedule.is_open_loop(),
            _ => self.has_rates(),
        }
    }

    /// Whether arrivals have a rate, of the whole run or of its stages.
    pub(crate) fn has_rates(&self) -> bool {
        self.rate.is_some()
            || self.session_rate.is_some()
            || self.stages.as_ref().is_some_and(Stages::are_rates)
    }

    /// Requests that may be in flight at a time, if that is bound.
    pub(crate) fn in_flight_bound(&self) -> Option<usize> {
        match matches!(self.load, Load::Schedule(_)) || self.is_open_loop() {
            true => self
                .max_in_flight
                .map(|most| self.shard.map_or(most, |shard| shard.count(most).max(1))),
            false => Some(self.client_count()),
        }
    }

    /// Requests of each client, if the load is bound by count; of an open loop all of them.
    pub(crate) fn requests_per_client(&self) -> Option<u64> {
        match &self.load {
            _ if self.stages.is_some() => None,
            // Clients do not send the same number each.
            _ if self.has_sessions() => None,
            Load::EachPayloadOnce if self.data.is_some() => None,
            Load::EachPayloadOnce => Some(self.payloads.len() as u64),
            Load::Requests(count) => Some(*count),
            Load::Duration(_) | Load::Schedule(_) => None,
        }
    }

    /// Workers that a run of any load uses.
    pub(crate) fn most_workers(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        self.workers
            .unwrap_or_else(|| cores.saturating_sub(1).max(1))
    }

    /// Workers that this run uses.
    pub(crate) fn worker_count(&self) -> usize {
        let workers = self.most_workers();
        match self.in_flight_bound() {
            Some(bound) if !matches!(self.load, Load::Schedule(_)) => workers.min(bound),
            _ => workers,
        }
    }
}
