//! Times of packets in the place of times of reads.

use std::sync::Arc;

use crate::run::capture::{ReadArrival, Segment};
use llmeter_wire::clock::Stamp;
use llmeter_wire::packet::{Link, PacketCapture};

/// A read whose last packet came so long after it, in nanoseconds, cannot be the one that packets tell of.
const DISAGREEMENT_NS: i64 = 1_000_000;

/// Where in its connection a response is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamOrigin {
    pub(crate) link: Link,
    /// Whether the body lies in the packets as it is, and not in records that are readable as a whole.
    pub(crate) is_plain: bool,
    /// Bytes that the connection had brought before.
    pub(crate) position: u64,
    /// When the request was sent.
    pub(crate) sent: Stamp,
}

/// Gives the bytes of responses the times of the packets that brought them.
pub(crate) struct Restamper {
    capture: Arc<PacketCapture>,
}

impl Restamper {
    pub(crate) fn new(capture: Arc<PacketCapture>) -> Self {
        Self { capture }
    }

    /// What no packet was seen of keeps the time of its read.
    pub(crate) fn restamp(&self, segment: &mut Segment) {
        let Some(origin) = segment.origin else {
            return;
        };
        let Ok(mut stamps) = self.capture.stamps(origin.link) else {
            return;
        };
        stamps.place(origin.position, origin.sent);
        if let Some(head) = &mut segment.head {
            let (arrival, end) = (head.1, head.1.position);
            stamps.tell(end.saturating_sub(1), end, |_, at| {
                if agrees(at, arrival.at) {
                    head.1 = arrival.by_packet(at);
                }
            });
        }
        let mut marks = Vec::with_capacity(segment.marks.len());
        let mut begin = 0;
        for mark in &segment.marks {
            let end = mark.arrival.position;
            let length = match origin.is_plain {
                true => u64::from(mark.end - begin),
                false => 1,
            };
            let before = marks.len();
            let mut is_right = true;
            let is_known = stamps.tell(end.saturating_sub(length), end, |to, at| {
                is_right &= agrees(at, mark.arrival.at);
                marks.push(ReadArrival {
                    end: mark.end - (end - to) as u32,
                    arrival: mark.arrival.by_packet(at),
                });
            });
            if !is_known || !is_right {
                marks.truncate(before);
                marks.push(*mark);
            }
            begin = mark.end;
        }
        segment.marks = marks;
    }
}

/// Whether bytes that a read brought can have come with a packet.
fn agrees(packet: Stamp, read: Stamp) -> bool {
    packet.0 <= read.0 + DISAGREEMENT_NS
}
