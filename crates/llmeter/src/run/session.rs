//! One session: its turns one after the other, each when it is due.

use std::iter::Peekable;
use std::sync::Arc;
use std::time::Duration;

use crate::load::{RequestClass, Session, Turn};
use crate::run::client::Client;
use crate::run::offered::Entry;
use crate::run::prefetch::NextRequest;
use crate::run::shared::Shared;
use crate::run::worker::Worker;
use llmeter_wire::clock::{self, Stamp};

/// A session whose first request is being prepared.
pub(crate) struct Coming {
    client: u32,
    pub(crate) class: RequestClass,
    pub(crate) until: Option<Duration>,
    turns: Peekable<Box<dyn Iterator<Item = Turn> + Send>>,
    next: NextRequest,
    /// When the run began, or its warm-up.
    pub(crate) start: Stamp,
    /// When it arrives.
    pub(crate) due: Stamp,
}

impl Coming {
    /// Prepares a session of a run that began at `start`.
    pub(crate) fn new(shared: &Shared, session: Session, start: Stamp) -> Self {
        let is_warmup = session.class == RequestClass::Warmup;
        let mut turns = session.turns.peekable();
        let server = shared.balancer.of_session();
        let mut next = shared
            .requests
            .of_session(session.client, is_warmup, server);
        next.want(turns.peek(), &shared.balancer);
        Self {
            client: session.client,
            class: session.class,
            until: session.until,
            turns,
            next,
            start,
            due: start.after(session.arrival),
        }
    }

    /// Whether the time in which it may send has passed.
    pub(crate) fn is_over(&self) -> bool {
        let is_past = |until| clock::now() >= self.start.after(until);
        self.until.is_some_and(is_past)
    }

    /// Runs it to its end, from when it has arrived. `entry`: what lets its first request be sent.
    pub(crate) async fn run(self, shared: Arc<Shared>, worker: Arc<Worker>, entry: Entry) {
        let Self {
            client: number,
            class,
            until,
            mut turns,
            mut next,
            start,
            due: mut intended,
        } = self;
        let is_warmup = class == RequestClass::Warmup;
        let mut client = Client::new(shared.clone(), worker, number);
        let (requests, interrupt) = (&shared.requests, &shared.interrupt);
        let mut entry = Some(entry);
        let mut sequence = 0;
        while let Some(Turn { payload, pause }) = turns.peek().copied() {
            if !pause.is_zero() {
                let due = clock::now().after(pause);
                shared.sleep_until(due).await;
                // What is waited for by intention is no lateness of the meter.
                intended = match shared.offered {
                    Some(_) => due,
                    None => clock::now(),
                };
            }
            // The first turn was due when the session arrived.
            if sequence > 0
                && !is_warmup
                && let Some(offered) = &shared.offered
            {
                offered.note_due(intended, shared.stage(intended, start));
            }
            // The first turn of an open loop may be sent although its time has just passed.
            let has_time = entry.is_some() && shared.offered.is_some();
            let entry = match entry.take() {
                None => shared.enter(intended, is_warmup).await,
                first => first,
            };
            let Some(entry) = entry else {
                break;
            };
            if !is_warmup {
                shared.wait_for_recorder().await;
            }
            next.wait(requests, interrupt).await;
            let Ok(reservation) = shared.admit(next.peek(requests, payload)).await else {
                break;
            };
            next.refresh(requests, interrupt).await;
            let is_over = |until| !has_time && clock::now() >= start.after(until);
            if shared.is_stopping() || until.is_some_and(is_over) {
                break;
            }
            if reservation
                .as_ref()
                .is_some_and(|reservation| reservation.has_waited)
            {
                intended = clock::now();
            }
            let Some(request) = next.take(requests, payload) else {
                break;
            };
            turns.next();
            next.want(turns.peek(), &shared.balancer);
            if !is_warmup {
                (client.cancel_after, client.read_rate) = shared.fate(number, sequence);
            }
            sequence += 1;
            client.capture.sending.read_rate = client.read_rate;
            client.capture.reservation = reservation;
            client.capture.sending.stage = shared.stage(intended, start);
            client.capture.sending.due = shared.due(intended, start, &entry);
            intended = client.request(request, intended, is_warmup).await;
            drop(entry);
            if turns.peek().is_some() {
                let until = until.map(|until| start.after(until));
                if client.pause_after_failure(until).await {
                    intended = clock::now();
                }
            }
        }
        client.retire();
        if !is_warmup {
            shared.note_end();
        }
    }
}
