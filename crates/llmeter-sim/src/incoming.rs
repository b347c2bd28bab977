//! The bytes that a client has sent and nobody has used yet, and when they came.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use crate::socket::{Arrival, Reader};
use crate::transport::Transport;

/// While a response is under way, this much of what follows is read ahead.
const READ_AHEAD: usize = 64 << 10;

/// The receiving side of a connection.
#[derive(Debug)]
pub(crate) struct Incoming {
    reader: Arc<Mutex<Reader>>,
    bytes: Vec<u8>,
    /// Used bytes at the beginning of `bytes`.
    used: usize,
    /// Count of all bytes used since the connection began.
    position: u64,
    /// For each read that still matters, the position after its last byte.
    reads: VecDeque<(u64, Arrival)>,
    closed: bool,
}

impl Incoming {
    pub(crate) fn new(reader: Arc<Mutex<Reader>>) -> Self {
        Self {
            reader,
            bytes: Vec::new(),
            used: 0,
            position: 0,
            reads: VecDeque::new(),
            closed: false,
        }
    }

    /// What has come and is not used.
    pub(crate) fn unused(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// When the first unused byte came.
    pub(crate) fn first_arrival(&self) -> Option<Arrival> {
        self.reads.front().map(|(_, arrival)| *arrival)
    }

    /// Takes `count` bytes away and gives the arrival of the last of them.
    pub(crate) fn consume(&mut self, count: usize) -> Option<Arrival> {
        self.used += count;
        self.position += count as u64;
        let mut last = None;
        while let Some(&(end, arrival)) = self.reads.front() {
            last = Some(arrival);
            if end > self.position {
                break;
            }
            self.reads.pop_front();
            if end == self.position {
                break;
            }
        }
        if self.used == self.bytes.len() {
            self.bytes.clear();
            self.used = 0;
            // A large body's buffer is not kept for the small requests that follow.
            self.bytes.shrink_to(READ_AHEAD);
        } else if self.used > READ_AHEAD {
            self.bytes.drain(..self.used);
            self.used = 0;
        }
        last
    }

    /// The unused bytes that the earliest read brought.
    pub(crate) fn earliest(&self) -> &[u8] {
        let end = self.reads.front().map_or(self.position, |read| read.0);
        let length = end.saturating_sub(self.position) as usize;
        &self.unused()[..length.min(self.unused().len())]
    }

    /// Waits for more bytes. `false`: the client has closed.
    pub(crate) async fn fill(&mut self, transport: &mut Transport) -> io::Result<bool> {
        poll_fn(|cx| self.poll_fill(transport, cx)).await
    }

    /// As [`fill`](Self::fill).
    pub(crate) fn poll_fill(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        if self.closed {
            return Poll::Ready(Ok(false));
        }
        let before = self.bytes.len();
        let arrival = ready!(transport.poll_read(cx, &self.reader, &mut self.bytes))?;
        if self.bytes.len() == before {
            self.closed = true;
            return Poll::Ready(Ok(false));
        }
        let end = self.position + (self.bytes.len() - self.used) as u64;
        self.reads.push_back((end, arrival));
        Poll::Ready(Ok(true))
    }

    /// Whether the client has gone, reading ahead to find out. Wakes the task when that changes.
    pub(crate) fn poll_gone(
        &mut self,
        transport: &mut Transport,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        while self.unused().len() < READ_AHEAD || self.closed {
            if !matches!(ready!(self.poll_fill(transport, cx)), Ok(true)) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use crate::clock::Time;

    use super::*;

    fn incoming(reads: &[usize]) -> Incoming {
        let mut incoming = Incoming::new(Arc::new(Mutex::new(Reader::new())));
        for (index, length) in reads.iter().enumerate() {
            incoming.bytes.extend(vec![b'x'; *length]);
            let at = Time(index as i64);
            let arrival = Arrival { at, kernel: true };
            incoming
                .reads
                .push_back((incoming.bytes.len() as u64, arrival));
        }
        incoming
    }

    #[test]
    fn each_byte_has_the_arrival_of_its_own_read() {
        let mut incoming = incoming(&[10, 5, 5]);
        let first = |incoming: &Incoming| incoming.first_arrival().map(|arrival| arrival.at.0);
        assert_eq!(first(&incoming), Some(0));
        // Within the second read.
        assert_eq!(incoming.consume(12).unwrap().at, Time(1));
        assert_eq!(first(&incoming), Some(1));
        // To the very end of the second read.
        assert_eq!(incoming.consume(3).unwrap().at, Time(1));
        assert_eq!(first(&incoming), Some(2));
        assert_eq!(incoming.consume(5).unwrap().at, Time(2));
        assert_eq!(first(&incoming), None);
        assert!(incoming.unused().is_empty());
    }
}
