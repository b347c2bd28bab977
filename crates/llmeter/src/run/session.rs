//! One session: its turns one after the other, each when it is due.

use std::sync::Arc;

use crate::load::{RequestClass, Session, Turn};
use crate::run::client::Client;
use crate::run::shared::Shared;
use crate::run::worker::Worker;
use llmeter_wire::clock::{self, Stamp};

/// Runs a session to its end. `start` is when the run began.
pub(crate) async fn run(shared: Arc<Shared>, worker: Arc<Worker>, session: Session, start: Stamp) {
    let is_warmup = session.class == RequestClass::Warmup;
    let mut turns = session.turns.peekable();
    let mut client = Client::new(shared.clone(), worker, session.client);
    let (requests, interrupt) = (&shared.requests, &shared.interrupt);
    let mut next = requests.of_session(session.client, is_warmup);
    next.want(turns.peek());
    let mut intended = start.after(session.arrival);
    shared.sleep_until(intended).await;
    while let Some(Turn { payload, pause }) = turns.peek().copied() {
        if !pause.is_zero() {
            shared.sleep_until(clock::now().after(pause)).await;
            // What is waited for by intention is no lateness of the meter.
            intended = clock::now();
        }
        if !is_warmup {
            shared.wait_for_recorder().await;
        }
        next.wait(requests, interrupt).await;
        let Ok(reservation) = shared.admit(next.peek(requests, payload)).await else {
            break;
        };
        next.refresh(requests, interrupt).await;
        let is_over = |until| clock::now() >= start.after(until);
        if shared.is_stopping() || session.until.is_some_and(is_over) {
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
        next.want(turns.peek());
        client.capture.reservation = reservation;
        intended = client.request(request, intended, is_warmup).await;
        if turns.peek().is_some() {
            let until = session.until.map(|until| start.after(until));
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
