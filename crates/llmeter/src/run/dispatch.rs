//! Starts the sessions of one worker when they arrive.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::base::foreign;
use crate::load::{RequestClass, Session};
use crate::run::alarm::Alarm;
use crate::run::control::{LiveLoad, Next};
use crate::run::gate::BarrierPass;
use crate::run::session::Coming;
use crate::run::shared::Shared;
use crate::run::worker::Worker;
use llmeter_wire::clock::{self, Stamp};

/// How long before its arrival a session is prepared whose requests are made one by one.
const LOOKAHEAD: Duration = Duration::from_millis(20);

/// Sessions that start in a row before others have their turn.
const STARTS: usize = 32;

/// Carries out a worker's sessions. Returns whether all came to their end: one that panics does
/// not.
pub(crate) async fn dispatch(
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    sessions: impl Iterator<Item = Session>,
    pass: BarrierPass,
) -> bool {
    let mut sessions = sessions.peekable();
    let controlled = shared.controlled.as_ref();
    let live = controlled.and_then(|controlled| LiveLoad::of(controlled, worker.share));
    let mut dispatcher = Dispatcher {
        lookahead: match shared.requests.is_prefetched() {
            true => LOOKAHEAD,
            false => Duration::ZERO,
        },
        alarm: Alarm::new(),
        shared,
        worker,
        tasks: JoinSet::new(),
        is_whole: true,
    };
    let warmup = RequestClass::Warmup;
    dispatcher
        .carry_out(&mut sessions, warmup, clock::now(), None)
        .await;
    let shared = dispatcher.shared.clone();
    shared.gate.wait(pass).await;
    let start = shared.begin();
    let measured = RequestClass::Measured;
    dispatcher
        .carry_out(&mut sessions, measured, start, live)
        .await;
    if shared.ended().is_none() {
        // The run was stopped before its first session.
        shared.note_end();
    }
    dispatcher.is_whole
}

struct Dispatcher {
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    /// How long before its arrival a session is prepared.
    lookahead: Duration,
    alarm: Alarm,
    tasks: JoinSet<()>,
    is_whole: bool,
}

impl Dispatcher {
    /// Carries out the sessions of a class, which come first, and waits for their end. `live`: how they change
    /// meanwhile.
    async fn carry_out(
        &mut self,
        sessions: &mut Peekable<impl Iterator<Item = Session>>,
        class: RequestClass,
        start: Stamp,
        mut live: Option<LiveLoad>,
    ) {
        let mut coming: VecDeque<Coming> = VecDeque::new();
        let mut started = 0;
        loop {
            // Before what was changed is asked for: what is changed later takes effect later than this.
            let horizon = clock::now().after(self.lookahead);
            if let Some(live) = &mut live {
                live.refresh();
            }
            let arrival = |session: &Session| {
                let arrival = match &live {
                    Some(live) => live.arrival(session),
                    None => Some(session.arrival),
                };
                arrival.filter(|_| session.class == class)
            };
            let is_near =
                |session: &Session| arrival(session).is_some_and(|at| start.after(at) <= horizon);
            while let Some(mut session) = sessions.next_if(is_near) {
                session.arrival = arrival(&session).unwrap_or(session.arrival);
                let part = live.as_ref().and_then(|live| live.part(&session));
                coming.push_back(Coming::new(&self.shared, session, start, part));
            }
            let until = Duration::from_secs_f64(horizon.seconds_since(start).max(0.0));
            while let Some((session, part)) = live.as_mut().and_then(|live| live.join(until)) {
                coming.push_back(Coming::new(&self.shared, session, start, Some(part)));
            }
            while let Some(session) = coming.pop_front_if(|session| session.due <= clock::now()) {
                if self.shared.is_stopping() {
                    break;
                }
                if self.start(session).await.is_break() {
                    let arrival = |session: &Session| {
                        let arrival = match &live {
                            Some(live) => live.arrival(session),
                            None => Some(session.arrival),
                        };
                        let until = session.until.filter(|_| session.class == class);
                        arrival.filter(|at| until.is_some_and(|until| *at < until))
                    };
                    let left = std::iter::from_fn(|| {
                        sessions.next_if(|session| arrival(session).is_some())
                    });
                    let left = left.filter_map(|session| Some(start.after(arrival(&session)?)));
                    self.leave(
                        class,
                        start,
                        coming.drain(..).map(|session| session.due).chain(left),
                    );
                    break;
                }
                started += 1;
                if started % STARTS == 0 {
                    tokio::task::yield_now().await;
                }
            }
            if self.shared.is_stopping() {
                break;
            }
            let next = sessions.peek().filter(|session| session.class == class);
            let first = coming.front().map(|session| session.due);
            let Some(live) = &mut live else {
                let next =
                    next.map(|session| start.after(session.arrival.saturating_sub(self.lookahead)));
                let Some(due) = next.into_iter().chain(first).min() else {
                    break;
                };
                tokio::select! {
                    () = self.alarm.sleep_until(due) => {}
                    () = self.shared.stopping() => break,
                }
                continue;
            };
            let now = Duration::from_secs_f64(clock::now().seconds_since(start).max(0.0));
            let next = match live.next(next, now) {
                Next::At(at) => Some(start.after(at.saturating_sub(self.lookahead))),
                Next::Never if first.is_none() => break,
                Next::Never | Next::OnNews => None,
            };
            let due = next.into_iter().chain(first).min();
            let has_clients = live.has_clients();
            let (alarm, tasks) = (&mut self.alarm, &mut self.tasks);
            tokio::select! {
                () = async {
                    match due {
                        Some(due) => alarm.sleep_until(due).await,
                        None => std::future::pending().await,
                    }
                } => {}
                () = live.changed() => {}
                // Whoever waits for clients that may join looks after those that are there.
                Some(ended) = tasks.join_next(), if has_clients => self.is_whole &= ended.is_ok(),
                () = self.shared.stopping() => break,
            }
        }
        while let Some(ended) = self.tasks.join_next().await {
            self.is_whole &= ended.is_ok();
        }
    }

    /// Starts a session that has arrived, as soon as it may. Breaks if it may no more.
    async fn start(&mut self, session: Coming) -> ControlFlow<()> {
        let is_warmup = session.class == RequestClass::Warmup;
        let shared = self.shared.clone();
        let offered = shared.offered.as_ref().filter(|_| !is_warmup);
        if let Some(offered) = offered {
            offered.note_due(session.due, shared.stage(session.due, session.start));
            shared.wait_for_recorder().await;
        }
        let Some(entry) = shared.enter(session.due, is_warmup).await else {
            if let Some(offered) = offered {
                offered.note_unsent(session.due, clock::now());
            }
            return ControlFlow::Break(());
        };
        if entry.waited > 0.0 && session.is_over() {
            if let Some(offered) = offered {
                offered.note_unsent(session.due, clock::now());
            }
            return ControlFlow::Break(());
        }
        while let Some(ended) = self.tasks.try_join_next() {
            self.is_whole &= ended.is_ok();
        }
        let mut work = Box::pin(session.run(shared.clone(), self.worker.clone(), entry));
        // Its first request is sent here and now, and not after all that has been read meanwhile.
        let first = poll_fn(|context| {
            let polled = foreign::catch_panic(|| work.as_mut().poll(context).is_pending());
            Poll::Ready(polled)
        });
        match first.await {
            Ok(true) => drop(self.tasks.spawn(work)),
            Ok(false) => {}
            Err(_) => self.is_whole = false,
        }
        ControlFlow::Continue(())
    }

    /// Counts requests whose time was over before they could be sent.
    fn leave(&self, class: RequestClass, start: Stamp, due: impl Iterator<Item = Stamp>) {
        let offered = self.shared.offered.as_ref();
        let offered = offered.filter(|_| class == RequestClass::Measured);
        // Where the run is stopped, what would have come was never due.
        let now = clock::now();
        for due in due.take_while(|due| *due <= now) {
            if let Some(offered) = offered {
                offered.note_due(due, self.shared.stage(due, start));
                offered.note_unsent(due, now);
            }
        }
    }
}
