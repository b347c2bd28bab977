//! When the frames of a connection came and went.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{clock::Time, socket::Arrival};

/// The types of frames that matter here.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;

/// What is known of the requests of one connection.
#[derive(Debug, Default)]
pub(super) struct Watch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    streams: HashMap<u32, StreamTimes>,
    /// Whether there may be something to write.
    is_queued: bool,
    is_closed: bool,
}

/// A request and its response.
#[derive(Debug)]
struct StreamTimes {
    /// When the request's first byte arrived, and its last so far.
    first: Arrival,
    last: Arrival,
    /// Bytes of the response's body that the kernel has, and the time immediately before the call
    /// that handed it the last of them.
    handed: u64,
    handed_at: Time,
    waiting: Option<Waker>,
}

impl Watch {
    /// When the first and the last byte of a request arrived.
    pub(super) fn arrived(&self, stream: u32) -> Option<(Arrival, Arrival)> {
        let state = self.lock();
        let times = state.streams.get(&stream)?;
        Some((times.first, times.last))
    }

    /// Ready once the kernel has that many bytes of a response's body: the time at which it got the
    /// last of them, or `None` if it never will.
    pub(super) fn poll_handed(
        &self,
        stream: u32,
        bytes: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Time>> {
        let mut state = self.lock();
        let is_closed = state.is_closed;
        match state.streams.get_mut(&stream) {
            Some(times) if times.handed >= bytes => Poll::Ready(Some(times.handed_at)),
            Some(times) if !is_closed => {
                times.waiting = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(None),
        }
    }

    /// A response gave the connection something to send.
    pub(super) fn queued(&self) {
        self.lock().is_queued = true;
    }

    /// Whether that happened since the last time this was asked.
    pub(super) fn take_queued(&self) -> bool {
        std::mem::take(&mut self.lock().is_queued)
    }

    /// A request is over.
    pub(super) fn forget(&self, stream: u32) {
        self.lock().streams.remove(&stream);
    }

    /// The connection is gone.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let waiting = state.streams.values_mut();
        waiting
            .filter_map(|times| times.waiting.take())
            .for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // One thread's tasks alone come here: the lock is never contended.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The frames that come.
#[derive(Debug)]
pub(super) struct Incoming(Frames<Option<Arrival>>);

impl Incoming {
    /// The first frame comes after so many bytes.
    pub(super) fn after(preface: usize) -> Self {
        Self(Frames {
            skip: preface,
            ..Frames::default()
        })
    }

    /// Takes in what arrived then.
    pub(super) fn feed(&mut self, bytes: &[u8], arrival: Arrival, watch: &Watch) {
        self.0.feed(bytes, Some(arrival), |frame, begun| {
            let stream = frame.stream;
            match frame.kind {
                HEADERS => {
                    let first = begun.unwrap_or(arrival);
                    let mut state = watch.lock();
                    let times = state.streams.entry(stream).or_insert(StreamTimes {
                        first,
                        last: arrival,
                        handed: 0,
                        handed_at: arrival.at,
                        waiting: None,
                    });
                    times.last = arrival;
                }
                DATA | CONTINUATION => {
                    if let Some(times) = watch.lock().streams.get_mut(&stream) {
                        times.last = arrival;
                    }
                }
                _ => {}
            }
        });
    }
}

/// The frames that go.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    frames: Frames<()>,
    /// Frames of bodies that the kernel does not have yet: the stream and how many bytes.
    pending: Vec<(u32, u64)>,
}

impl Outgoing {
    /// Takes in what was written. `handed` is when the kernel got the last of it, and of what was
    /// written before; `None` if it does not have it yet.
    pub(super) fn feed(&mut self, bytes: &[u8], handed: Option<Time>, watch: &Watch) {
        let pending = &mut self.pending;
        self.frames.feed(bytes, (), |frame, ()| match frame.kind {
            DATA => pending.push((frame.stream, frame.length as u64)),
            RST_STREAM => watch.forget(frame.stream),
            _ => {}
        });
        let Some(at) = handed else { return };
        if self.pending.is_empty() {
            return;
        }
        let mut state = watch.lock();
        for (stream, length) in self.pending.drain(..) {
            if let Some(times) = state.streams.get_mut(&stream) {
                times.handed += length;
                times.handed_at = at;
                if let Some(waiting) = times.waiting.take() {
                    waiting.wake();
                }
            }
        }
    }
}

/// Finds the frames in the bytes of one direction, however they are split.
#[derive(Debug, Default)]
struct Frames<T> {
    /// Bytes before the first frame.
    skip: usize,
    head: [u8; 9],
    /// Bytes of the head that have come.
    have: usize,
    /// Bytes of the content that have not.
    left: usize,
    /// What was said of the frame's first byte.
    begun: T,
}

/// A frame without its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FrameHead {
    length: usize,
    kind: u8,
    stream: u32,
}

impl<T: Copy> Frames<T> {
    /// Tells of each frame that ends within `bytes`, with the `mark` of its first byte.
    fn feed(&mut self, mut bytes: &[u8], mark: T, mut ended: impl FnMut(FrameHead, T)) {
        let take = |bytes: &mut &[u8], most: usize| {
            let (taken, rest) = bytes.split_at(bytes.len().min(most));
            *bytes = rest;
            taken.len()
        };
        self.skip -= take(&mut bytes, self.skip);
        while !bytes.is_empty() {
            if self.have < self.head.len() {
                if self.have == 0 {
                    self.begun = mark;
                }
                let from = bytes;
                let count = take(&mut bytes, self.head.len() - self.have);
                self.head[self.have..self.have + count].copy_from_slice(&from[..count]);
                self.have += count;
                if self.have < self.head.len() {
                    return;
                }
                self.left = self.frame().length;
            }
            self.left -= take(&mut bytes, self.left);
            if self.left == 0 {
                self.have = 0;
                ended(self.frame(), self.begun);
            }
        }
    }

    fn frame(&self) -> FrameHead {
        let [a, b, c, kind, _, stream @ ..] = self.head;
        FrameHead {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            // The first bit means nothing.
            stream: u32::from_be_bytes(stream) & 0x7fff_ffff,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u32, content: &[u8]) -> Vec<u8> {
        let length = (content.len() as u32).to_be_bytes();
        let stream = (stream | 1 << 31).to_be_bytes();
        [&length[1..], &[kind, 0], &stream, content].concat()
    }

    fn arrival(at: i64) -> Arrival {
        Arrival {
            at: Time(at),
            kernel: true,
        }
    }

    #[test]
    fn frames_are_found_however_their_bytes_are_split() {
        let bytes = [
            b"PREFACE".to_vec(),
            frame(HEADERS, 1, b"abc"),
            frame(4, 0, b""),
            frame(DATA, 1, &[7; 300]),
            frame(DATA, 3, b""),
        ]
        .concat();
        let head = |length, kind, stream| FrameHead {
            length,
            kind,
            stream,
        };
        let all = [
            head(3, HEADERS, 1),
            head(0, 4, 0),
            head(300, DATA, 1),
            head(0, DATA, 3),
        ];
        for size in 1..=bytes.len() {
            let mut frames = Frames {
                skip: 7,
                ..Frames::<usize>::default()
            };
            let mut found = Vec::new();
            for (number, part) in bytes.chunks(size).enumerate() {
                frames.feed(part, number, |frame, begun| found.push((frame, begun)));
            }
            let begins = [7, 19, 28, 337];
            let expected: Vec<_> = all
                .into_iter()
                .zip(begins.map(|byte| byte / size))
                .collect();
            assert_eq!(found, expected, "{size}");
        }
    }

    #[test]
    fn a_request_has_come_with_the_last_byte_of_its_last_frame() {
        let (watch, mut frames) = (Watch::default(), Incoming::after(0));
        let headers = frame(HEADERS, 1, b"abc");
        frames.feed(&headers[..4], arrival(1), &watch);
        assert!(watch.arrived(1).is_none());
        frames.feed(&headers[4..], arrival(2), &watch);
        let body = frame(DATA, 1, b"body");
        frames.feed(&body[..12], arrival(3), &watch);
        let of = |stream| {
            let (first, last) = watch.arrived(stream).unwrap();
            (first.at.0, last.at.0)
        };
        assert_eq!(of(1), (1, 2));
        // Another request's frames come between.
        let rest = [&body[12..], &frame(HEADERS, 3, b"x")].concat();
        frames.feed(&rest, arrival(4), &watch);
        assert_eq!((of(1), of(3)), ((1, 4), (4, 4)));
        frames.feed(&frame(6, 0, &[0; 8]), arrival(5), &watch);
        assert_eq!((of(1), of(3)), ((1, 4), (4, 4)));
        watch.forget(1);
        assert!(watch.arrived(1).is_none());
    }

    #[test]
    fn a_frame_is_handed_over_when_the_kernel_has_all_of_it() {
        let (watch, mut requests, mut frames) =
            (Watch::default(), Incoming::after(0), Outgoing::default());
        requests.feed(&frame(HEADERS, 1, b"abc"), arrival(1), &watch);
        let handed = |bytes| {
            let mut context = Context::from_waker(Waker::noop());
            match watch.poll_handed(1, bytes, &mut context) {
                Poll::Pending => None,
                Poll::Ready(at) => Some(at.map(|at| at.0)),
            }
        };
        let data = frame(DATA, 1, b"12345");
        frames.feed(&frame(HEADERS, 1, b"h"), Some(Time(2)), &watch);
        frames.feed(&data[..10], Some(Time(3)), &watch);
        assert_eq!(handed(5), None);
        frames.feed(&data[10..], Some(Time(4)), &watch);
        assert_eq!(handed(5), Some(Some(4)));
        // Written, but sealed and not yet sent.
        frames.feed(&data, None, &watch);
        assert_eq!(handed(10), None);
        frames.feed(&[], Some(Time(6)), &watch);
        assert_eq!(handed(10), Some(Some(6)));
        assert_eq!(handed(11), None);
        watch.close();
        assert_eq!((handed(10), handed(11)), (Some(Some(6)), Some(None)));
    }
}
