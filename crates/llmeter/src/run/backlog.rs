//! Bytes on their way from workers to decoders: how many, and who has to wait.
//!
//! A server may send faster than its responses can be decoded. Then reading waits, so that the bytes
//! stay with the server: the memory that they take here is bounded, for each response and for all.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use crate::run::capture::SEGMENT_SIZE;
use llmeter_wire::clock::{self, Stamp};

/// The maximum of bytes that wait for the decoders, unless the clients may hand over more at the same moment:
/// those of many begin together, and end together.
const LIMIT: usize = 32 * 1024 * 1024;
/// The same for a run in low memory, beside what its clients may hand over at the same moment.
const SMALL_LIMIT: usize = 2 * 1024 * 1024;
/// Bytes of one response that wait, from which on it is not read any further. Decoders look every
/// 10 ms, in which no model says as much.
const RESPONSE_LIMIT: usize = 128 * 1024;

/// The limit of a run with so many clients.
fn limit_of(clients: usize, is_low_memory: bool) -> usize {
    let in_flight = clients.saturating_mul(2 * SEGMENT_SIZE);
    match is_low_memory {
        true => LIMIT.min(in_flight.saturating_add(SMALL_LIMIT)),
        false => LIMIT.max(in_flight),
    }
}

/// Bytes on their way from the workers to the decoders.
#[derive(Debug)]
pub(crate) struct Backlog {
    bytes: AtomicUsize,
    highest: AtomicUsize,
    /// Beyond this the workers begin no request until the decoders have caught up.
    limit: AtomicUsize,
    is_low_memory: bool,
    /// Tells those who wait that the decoders have caught up. Many may wait: none of them looks for itself.
    room: Notify,
    waited_ns: AtomicU64,
}

impl Backlog {
    pub(crate) fn new(clients: usize, is_low_memory: bool) -> Self {
        let limit = AtomicUsize::new(limit_of(clients, is_low_memory));
        Self {
            bytes: AtomicUsize::new(0),
            highest: AtomicUsize::new(0),
            limit,
            is_low_memory,
            room: Notify::new(),
            waited_ns: AtomicU64::new(0),
        }
    }

    /// Has room for so many clients, as one with more of them from the start.
    pub(crate) fn make_room(&self, clients: usize) {
        let limit = limit_of(clients, self.is_low_memory);
        self.limit.fetch_max(limit, Ordering::Relaxed);
        self.room.notify_waiters();
    }

    pub(crate) fn grow(&self, by: usize) {
        let bytes = self.bytes.fetch_add(by, Ordering::Relaxed) + by;
        self.highest.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(crate) fn shrink(&self, by: usize) {
        let before = self.bytes.fetch_sub(by, Ordering::Relaxed);
        let limit = self.limit.load(Ordering::Relaxed);
        if before > limit && before - by <= limit {
            self.room.notify_waiters();
        }
    }

    /// Waits until the decoders have caught up.
    pub(crate) async fn room(&self) {
        loop {
            let mut room = pin!(self.room.notified());
            // What is decoded from here on is not missed.
            room.as_mut().enable();
            if !self.is_full() {
                return;
            }
            room.await;
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn highest(&self) -> usize {
        self.highest.load(Ordering::Relaxed)
    }

    /// A request, or the reading of its response, has waited from then on.
    pub(crate) fn note_wait(&self, since: Stamp) {
        let waited = clock::now().0 - since.0;
        self.waited_ns
            .fetch_add(waited.max(0) as u64, Ordering::Relaxed);
    }

    /// Seconds that were waited, summed.
    pub(crate) fn waited(&self) -> f64 {
        self.waited_ns.load(Ordering::Relaxed) as f64 * 1e-9
    }
}

/// One response on its way, from its second segment on.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    bytes: AtomicUsize,
    is_refused: AtomicBool,
    reader: AtomicWaker,
}

impl Flow {
    pub(crate) fn grow(&self, by: usize) {
        self.bytes.fetch_add(by, Ordering::Relaxed);
    }

    /// So many bytes were decoded.
    pub(crate) fn shrink(&self, by: usize) {
        self.bytes.fetch_sub(by, Ordering::Relaxed);
        self.reader.wake();
    }

    /// Nothing more of the response is wanted.
    pub(crate) fn refuse(&self) {
        self.is_refused.store(true, Ordering::Relaxed);
        self.reader.wake();
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Ready when more may be read.
    pub(crate) fn poll_room(&self, backlog: &Backlog, context: &mut Context<'_>) -> Poll<()> {
        if self.has_room(backlog) {
            return Poll::Ready(());
        }
        self.reader.register(context.waker());
        // What was decoded meanwhile woke nobody.
        match self.has_room(backlog) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Whoever waits has bytes of its own with the decoder, which wakes it.
    fn has_room(&self, backlog: &Backlog) -> bool {
        let own = self.bytes.load(Ordering::Relaxed);
        own == 0 || (own <= RESPONSE_LIMIT && !backlog.is_full())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_run_in_low_memory_lets_less_wait() {
        let is_full = |clients: usize, is_low_memory: bool, bytes: usize| {
            let backlog = Backlog::new(clients, is_low_memory);
            backlog.grow(bytes);
            backlog.is_full()
        };
        assert!(!is_full(64, false, LIMIT));
        assert!(is_full(64, false, LIMIT + 1));
        assert!(is_full(64, true, 4 << 20));
        // What all clients hand over at the same moment must not hold them up.
        assert!(!is_full(16_384, false, 16_384 * SEGMENT_SIZE));
        assert!(!is_full(1024, true, 1024 * SEGMENT_SIZE));
        assert!(is_full(100_000, true, LIMIT + 1));
    }

    #[tokio::test]
    async fn all_who_wait_are_told_of_room() {
        let backlog = std::sync::Arc::new(Backlog::new(1, false));
        backlog.room().await;
        backlog.grow(LIMIT + 10);
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let backlog = backlog.clone();
                tokio::spawn(async move { backlog.room().await })
            })
            .collect();
        tokio::task::yield_now().await;
        backlog.shrink(9);
        tokio::task::yield_now().await;
        assert!(waiting.iter().all(|one| !one.is_finished()));
        backlog.shrink(1);
        for one in waiting {
            one.await.unwrap();
        }
    }

    #[test]
    fn a_response_waits_for_its_own_bytes_only() {
        let (backlog, flow) = (Backlog::new(1, false), Flow::default());
        let mut context = Context::from_waker(Waker::noop());
        let mut may_read = |flow: &Flow| flow.poll_room(&backlog, &mut context).is_ready();
        flow.grow(RESPONSE_LIMIT);
        assert!(may_read(&flow));
        flow.grow(1);
        assert!(!may_read(&flow));
        flow.shrink(1);
        assert!(may_read(&flow));
        // With all of memory in use, those wait that a decoder will wake.
        backlog.grow(LIMIT + 1);
        assert!(!may_read(&flow));
        flow.shrink(RESPONSE_LIMIT);
        assert!(may_read(&flow));
    }
}
