//! The load of a run that can be changed in mid-run.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::message::{ControlChange, NewLoad};
use crate::base::host;
use crate::load::{Lever, Live, Profile, Rate, Schedule, Session, WorkerShare};
use crate::run::offered::Offered;

/// How long after it was asked for a change takes effect: longer than sessions are prepared ahead, so that
/// none is that would arrive otherwise.
const LEAD: Duration = Duration::from_millis(50);
/// The most clients.
const MAX_CLIENTS: u32 = 1_000_000;

/// The load of a run that can be changed, which its workers share.
#[derive(Debug)]
pub(crate) struct Controlled {
    /// `Err`: why neither rate nor clients can be changed.
    lever: Result<Lever, String>,
    live: Live,
    /// Whether the load has intervals of its own.
    has_stages: bool,
    schedule: Arc<dyn Schedule>,
    /// When clients send no more, after the start.
    duration: Option<Duration>,
    state: Mutex<State>,
    /// Sent at each change, and when the last client is gone.
    news: watch::Sender<()>,
    /// Clients that are not done, of a closed loop.
    active: AtomicUsize,
    is_done: AtomicBool,
    recorded: AtomicU64,
    failed: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    rate: Option<Rate>,
    clients: Option<u32>,
    limit: Option<u32>,
    changes: Vec<ControlChange>,
    /// When each interval between changes begins, in seconds after the start, and what its load is.
    intervals: Vec<(f64, String)>,
}

impl State {
    /// The load in words.
    fn load(&self) -> String {
        let load = match (self.rate, self.clients) {
            (Some(rate), _) => rate.to_string(),
            (None, Some(1)) => "1 client".to_owned(),
            (None, Some(clients)) => format!("{clients} clients"),
            (None, None) => "the load".to_owned(),
        };
        match self.limit {
            Some(limit) => format!("{load}, {limit} in flight at most"),
            None => load,
        }
    }
}

impl Controlled {
    /// Intervals between changes, at most.
    pub(crate) const MAX_INTERVALS: usize = Live::MAX + 1;

    /// A load with that rate or so many clients; `fixed` says why it cannot be changed where its schedule does
    /// not allow it.
    pub(crate) fn new(
        schedule: Arc<dyn Schedule>,
        rate: Option<Rate>,
        limit: Option<usize>,
        fixed: impl FnOnce() -> String,
    ) -> Self {
        let (lever, schedule) = match schedule.adjustable() {
            Some((lever, adjustable)) => (Ok(lever), adjustable),
            None => (Err(fixed()), schedule),
        };
        let clients = match &lever {
            Ok(Lever::Clients(clients)) => Some(*clients),
            _ => None,
        };
        let mut state = State {
            rate: rate.filter(|_| lever.is_ok()),
            clients: clients.map(|clients| clients as u32),
            limit: limit.and_then(|limit| u32::try_from(limit).ok()),
            ..State::default()
        };
        state.intervals.push((0.0, state.load()));
        Self {
            duration: schedule.duration(),
            live: Live::new(lever.clone().unwrap_or(Lever::Rate(0.0))),
            lever,
            has_stages: !schedule.stage_ends().is_empty(),
            schedule,
            state: Mutex::new(state),
            news: watch::Sender::new(()),
            active: AtomicUsize::new(clients.unwrap_or(0)),
            is_done: AtomicBool::new(false),
            recorded: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// The schedule in the form that is carried out.
    pub(crate) fn schedule(&self) -> Arc<dyn Schedule> {
        self.schedule.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the load of a run that began `elapsed` seconds ago. The error says in one line why not;
    /// nothing is changed then.
    pub(crate) fn change(
        &self,
        new: &NewLoad,
        elapsed: f64,
        offered: Option<&Offered>,
    ) -> Result<(), String> {
        let mut state = self.state();
        self.check(new, offered.is_some())?;
        let before = [
            state.rate.map(|rate| rate.to_string()),
            state.clients.map(|clients| clients.to_string()),
            Some(shown_limit(state.limit)),
        ];
        state.rate = new.rate.or(state.rate);
        state.clients = new.clients.or(state.clients);
        state.limit = new.max_in_flight.unwrap_or(state.limit);
        let level = match &self.lever {
            Ok(Lever::Rate(first)) => state.rate.map_or(*first, Rate::per_second),
            Ok(Lever::Clients(first)) => state.clients.map_or(*first as f64, f64::from),
            Err(_) => 0.0,
        };
        let after = [
            state.rate.map(|rate| rate.to_string()),
            state.clients.map(|clients| clients.to_string()),
            Some(shown_limit(state.limit)),
        ];
        let last = state.intervals.last().map_or(0.0, |(begin, _)| *begin);
        let at = Duration::from_secs_f64((elapsed + LEAD.as_secs_f64()).max(last));
        let names = ["rate", "clients", "max_in_flight"];
        let changes = names.into_iter().zip(before.into_iter().zip(after));
        let changes: Vec<_> = changes
            .filter(|(_, (from, to))| from != to)
            .map(|(name, (from, to))| ControlChange {
                time: at.as_secs_f64(),
                setting: name.to_owned(),
                from,
                to,
            })
            .collect();
        if changes.is_empty() {
            return Ok(());
        }
        // `check` has seen that there is room.
        self.live.push(at, level);
        if let (Some(limit), Some(offered)) = (new.max_in_flight, offered) {
            offered.set_limit(limit.map(|limit| limit as usize));
        }
        for change in &changes {
            tracing::info!(?change, "the load is changed");
        }
        state.changes.extend(changes);
        let load = state.load();
        state.intervals.push((at.as_secs_f64(), load));
        drop(state);
        self.news.send_replace(());
        Ok(())
    }

    fn check(&self, new: &NewLoad, is_open: bool) -> Result<(), String> {
        if self.is_done.load(Relaxed) {
            return Err("the run has sent all its requests".to_owned());
        }
        match (&self.lever, new.rate, new.clients) {
            (_, None, None) => {}
            (Err(reason), ..) => return Err(reason.clone()),
            (Ok(Lever::Rate(_)), _, Some(_)) => {
                return Err(
                    "its requests arrive by a rate: there are no clients to change".to_owned(),
                );
            }
            (Ok(Lever::Clients(_)), Some(_), _) => {
                return Err("it is a load of clients, which has no rate to change".to_owned());
            }
            (Ok(_), ..) => {}
        }
        if let Some(clients) = new.clients {
            if !(1..=MAX_CLIENTS).contains(&clients) {
                return Err(format!(
                    "{clients} clients: expected from 1 to {MAX_CLIENTS}"
                ));
            }
            host::check_open_files(clients as usize).map_err(|reason| reason.to_string())?;
        }
        if let Some(limit) = new.max_in_flight {
            if !is_open {
                return Err(
                    "it is a load of clients: they are the limit of requests in flight".to_owned(),
                );
            }
            if limit == Some(0) {
                return Err(
                    "max_in_flight 0: expected 1 or more; a rate of 0/s is a pause".to_owned(),
                );
            }
        }
        if self.live.len() >= Live::MAX {
            return Err(format!(
                "it was changed {} times, which is the most",
                Live::MAX
            ));
        }
        Ok(())
    }

    /// The run was asked to stop.
    pub(crate) fn note_stop(&self, elapsed: f64) {
        self.state().changes.push(ControlChange {
            time: elapsed,
            setting: "stop".to_owned(),
            from: None,
            to: None,
        });
    }

    /// A response is recorded.
    pub(crate) fn note_response(&self, has_failed: bool) {
        self.recorded.fetch_add(1, Relaxed);
        self.failed.fetch_add(u64::from(has_failed), Relaxed);
    }

    /// Responses that are recorded.
    pub(crate) fn recorded(&self) -> u64 {
        self.recorded.load(Relaxed)
    }

    /// Those of them that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }

    /// What was changed so far.
    pub(crate) fn changes(&self) -> Vec<ControlChange> {
        self.state().changes.clone()
    }

    /// Rate, clients and limit as they are from the last change on.
    pub(crate) fn load(&self) -> (Option<Rate>, Option<u32>, Option<u32>) {
        let state = self.state();
        (state.rate, state.clients, state.limit)
    }

    /// When each interval between changes begins, in seconds after the start, and what its load is; none
    /// without changes, or where the load has stages.
    pub(crate) fn intervals(&self) -> Vec<(f64, String)> {
        let state = self.state();
        match state.intervals.len() {
            1 => Vec::new(),
            _ if self.has_stages => Vec::new(),
            _ => state.intervals.clone(),
        }
    }

    /// How many intervals [`intervals`](Self::intervals) has.
    pub(crate) fn changes_known(&self) -> usize {
        match self.live.len() {
            0 => 0,
            _ if self.has_stages => 0,
            changes => changes + 1,
        }
    }

    /// The interval between changes in which a moment is, from 1 on; `None` without changes.
    pub(crate) fn interval(&self, at: Duration) -> Option<u32> {
        self.live.interval(at)
    }

    /// The most clients that there were.
    pub(crate) fn most_clients(&self) -> Option<usize> {
        let has_clients = matches!(self.lever, Ok(Lever::Clients(_)));
        has_clients.then(|| self.live.highest() as usize)
    }

    /// Seconds of all clients in the first so many seconds of the run.
    pub(crate) fn client_seconds(&self, seconds: f64) -> Option<f64> {
        let has_clients = matches!(self.lever, Ok(Lever::Clients(_)));
        has_clients.then(|| self.live.area(seconds))
    }

    /// `control_changes`, if there are any.
    pub(crate) fn stats(&self) -> Map<String, Value> {
        let changes = self.changes();
        match changes.is_empty() {
            true => Map::new(),
            false => [(super::CHANGES_KEY.to_owned(), json!(changes))]
                .into_iter()
                .collect(),
        }
    }

    /// A client that begins a closed loop, or joins it.
    fn part(self: &Arc<Self>, client: u32, known: usize) -> ClientPart {
        ClientPart {
            controlled: self.clone(),
            client,
            known,
        }
    }
}

fn shown_limit(limit: Option<u32>) -> String {
    limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())
}

/// A client's part in a closed loop: it may have to leave before its turns are over.
#[derive(Debug)]
pub(crate) struct ClientPart {
    controlled: Arc<Controlled>,
    client: u32,
    /// Changes that there were when it began.
    known: usize,
}

impl ClientPart {
    /// Whether it has to leave. `now`: seconds after the start, which is asked only if something was changed.
    pub(crate) fn has_left(&self, now: impl FnOnce() -> f64) -> bool {
        let live = &self.controlled.live;
        live.len() > self.known
            && live.has_left(
                self.client,
                self.known,
                Duration::from_secs_f64(now().max(0.0)),
            )
    }
}

impl Drop for ClientPart {
    fn drop(&mut self) {
        let controlled = &self.controlled;
        if controlled.active.fetch_sub(1, Relaxed) == 1 {
            controlled.is_done.store(true, Relaxed);
            controlled.news.send_replace(());
        }
    }
}

/// What one worker knows of the load.
pub(crate) struct LiveLoad {
    controlled: Arc<Controlled>,
    share: WorkerShare,
    news: watch::Receiver<()>,
    known: usize,
    /// Of a rate.
    profile: Option<Profile>,
    /// Clients that are to join, in order.
    joining: Vec<(Duration, u64, usize)>,
    rounds: u64,
}

/// When a worker has to look again.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// Then, after the start.
    At(Duration),
    /// Once there is news.
    OnNews,
    /// There is nothing more.
    Never,
}

impl LiveLoad {
    /// `None` if the load cannot be changed.
    pub(crate) fn of(controlled: &Arc<Controlled>, share: WorkerShare) -> Option<Self> {
        let lever = controlled.lever.as_ref().ok()?;
        let profile = matches!(lever, Lever::Rate(_)).then(|| controlled.live.profile());
        Some(Self {
            controlled: controlled.clone(),
            share,
            news: controlled.news.subscribe(),
            known: 0,
            profile,
            joining: Vec::new(),
            rounds: 0,
        })
    }

    /// Takes in what was changed. To be called after a look at the clock whose time plus the time that
    /// sessions are prepared ahead is what is started: what is appended later takes effect after that.
    pub(crate) fn refresh(&mut self) {
        let live = &self.controlled.live;
        let count = live.len();
        if count == self.known {
            return;
        }
        if self.profile.is_some() {
            self.profile = Some(live.profile());
        } else {
            let WorkerShare { worker, workers } = self.share;
            let joining = live.joining(self.known).into_iter();
            let mine = joining.filter(|(_, client, _)| *client as usize % workers == worker);
            self.joining.extend(mine);
        }
        self.known = count;
    }

    /// When a session of the schedule arrives; `None` if that is not before the run's end, or not yet known.
    pub(crate) fn arrival(&self, session: &Session) -> Option<Duration> {
        let Some(profile) = &self.profile else {
            return Some(session.arrival);
        };
        let at = session.arrival_by(profile)?;
        let end = self.controlled.duration;
        end.is_none_or(|end| at < end).then_some(at)
    }

    /// Whether its sessions are clients.
    pub(crate) fn has_clients(&self) -> bool {
        self.profile.is_none()
    }

    /// The part of a client that the schedule begins with.
    pub(crate) fn part(&self, session: &Session) -> Option<ClientPart> {
        self.has_clients()
            .then(|| self.controlled.part(session.client, 0))
    }

    /// The next client that joins up to then.
    pub(crate) fn join(&mut self, until: Duration) -> Option<(Session, ClientPart)> {
        let (at, client, known) = *self.joining.first().filter(|(at, ..)| *at <= until)?;
        self.joining.remove(0);
        self.rounds += 1;
        let mut session = self.controlled.schedule.joining(client, self.rounds)?;
        session.arrival = at;
        self.controlled.active.fetch_add(1, Relaxed);
        Some((session, self.controlled.part(client as u32, known)))
    }

    /// When to look again, given the next session of the schedule and the time since the start.
    pub(crate) fn next(&self, session: Option<&Session>, now: Duration) -> Next {
        if self.has_clients() {
            return match (session, self.joining.first()) {
                (Some(session), _) => Next::At(session.arrival),
                (None, Some((at, ..))) => Next::At(*at),
                (None, None) if self.controlled.is_done.load(Relaxed) => Next::Never,
                (None, None) => Next::OnNews,
            };
        }
        let Some(session) = session else {
            return Next::Never;
        };
        match (self.arrival(session), self.controlled.duration) {
            (Some(at), _) => Next::At(at),
            (None, Some(end)) if now >= end => Next::Never,
            (None, Some(end)) => Next::At(end),
            (None, None) => Next::OnNews,
        }
    }

    /// Waits for news.
    pub(crate) async fn changed(&mut self) {
        // The sender is in `controlled`, so that waiting cannot fail.
        let _ = self.news.changed().await;
    }
}
