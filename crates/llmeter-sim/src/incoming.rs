//! The bytes that a client has sent and nobody has used yet, and when they came.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use tokio::net::TcpStream;

use crate::socket::{Arrival, Reader};

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

    /// Waits for more bytes. `false`: the client has closed.
    pub(crate) async fn fill(&mut self, stream: &TcpStream) -> io::Result<bool> {
        loop {
            if self.closed {
                return Ok(false);
            }
            match self.read(stream) {
                Ok(()) => return Ok(!self.closed),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.readable().await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether the client has gone, reading ahead to find out. Wakes the task when that changes.
    pub(crate) fn poll_gone(&mut self, stream: &TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.closed {
                return Poll::Ready(());
            }
            if self.unused().len() >= READ_AHEAD {
                return Poll::Pending;
            }
            match stream.poll_read_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(())) => match self.read(stream) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Poll::Ready(()),
                },
            }
        }
    }

    fn read(&mut self, stream: &TcpStream) -> io::Result<()> {
        // One thread's tasks alone share the reader: the lock is never contended.
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, arrival) = match reader.read(stream) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            read => read?,
        };
        if bytes.is_empty() {
            self.closed = true;
            return Ok(());
        }
        self.bytes.extend_from_slice(bytes);
        let end = self.position + (self.bytes.len() - self.used) as u64;
        self.reads.push_back((end, arrival));
        Ok(())
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
