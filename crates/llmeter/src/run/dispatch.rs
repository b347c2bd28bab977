//! Starts the sessions of one worker when they arrive.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::load::{RequestClass, Session};
use crate::run::gate::BarrierPass;
use crate::run::session;
use crate::run::shared::Shared;
use crate::run::worker::Worker;
use llmeter_wire::clock;

/// How long before its arrival a session is started, so that its first request can be prepared.
const LOOKAHEAD: Duration = Duration::from_millis(20);

/// Carries out a worker's sessions. Returns whether all came to their end: one that panics does
/// not.
pub(crate) async fn dispatch(
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    sessions: impl Iterator<Item = Session>,
    pass: BarrierPass,
) -> bool {
    let mut sessions = sessions.peekable();
    let mut tasks = JoinSet::new();
    let mut is_whole = true;
    let mut start = clock::now();
    while let Some(session) = sessions.next_if(|session| session.class == RequestClass::Warmup) {
        tasks.spawn(session::run(shared.clone(), worker.clone(), session, start));
    }
    while let Some(ended) = tasks.join_next().await {
        is_whole &= ended.is_ok();
    }
    shared.gate.wait(pass).await;
    start = shared.begin();
    for session in sessions {
        let begin = start.after(session.arrival.saturating_sub(LOOKAHEAD));
        shared.sleep_until(begin).await;
        if shared.is_stopping() {
            break;
        }
        while let Some(ended) = tasks.try_join_next() {
            is_whole &= ended.is_ok();
        }
        tasks.spawn(session::run(shared.clone(), worker.clone(), session, start));
    }
    while let Some(ended) = tasks.join_next().await {
        is_whole &= ended.is_ok();
    }
    if shared.ended().is_none() {
        // The run was stopped before its first session.
        shared.note_end();
    }
    is_whole
}
