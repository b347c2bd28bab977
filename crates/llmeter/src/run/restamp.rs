//! Times of packets in the place of times of reads.

use std::sync::Arc;

use crate::run::capture::{ReadArrival, Segment};
use llmeter_wire::Arrival;
use llmeter_wire::clock::Stamp;
use llmeter_wire::packet::{Holes, Link, LinkStamps, PacketCapture};

/// A packet that came so long after a read, in nanoseconds, cannot be one that the read brought.
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

/// What packets tell of a response beside its times.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PacketFacts {
    /// When the request's first byte left, if that was seen.
    pub(crate) left: Option<Stamp>,
    pub(crate) holes: Holes,
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
        let head = segment.head.as_ref().map(|head| head.1);
        let last = segment.marks.last().map(|mark| mark.arrival).or(head);
        let Some(last) = last else {
            return;
        };
        self.capture.look(origin.link, last.read(), |stamps| {
            by(stamps, origin, segment);
        });
    }
}

fn by(stamps: &mut LinkStamps<'_>, origin: StreamOrigin, segment: &mut Segment) {
    stamps.place(origin.position, origin.sent);
    if let Some(head) = &mut segment.head {
        let (arrival, end) = (head.1, head.1.position);
        stamps.tell(end.saturating_sub(1), end, |_, at| {
            if agrees(at, arrival) {
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
            is_right &= agrees(at, mark.arrival);
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
    if let Some(ending) = &mut segment.ending {
        // The clock may have begun with an attempt on another connection.
        let sending = ending.sending;
        let is_this = sending.at.is_some() && sending.at == sending.attempt;
        ending.packets = Some(PacketFacts {
            left: is_this.then(|| stamps.left(sending.position)).flatten(),
            holes: stamps.take_holes(),
        });
    }
}

/// Whether bytes that a read brought can have come with a packet. The read's own stamp does not tell: that of bytes
/// which waited for others before them is of their own packet, long before they could be read.
fn agrees(packet: Stamp, read: Arrival) -> bool {
    packet.0 <= read.read().0 + DISAGREEMENT_NS
}
