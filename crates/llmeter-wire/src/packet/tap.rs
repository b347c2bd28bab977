//! Where packets are copied, as they come in and go out.

use std::io;

use llmeter_kernel::{Frame, PacketRing};

use super::filter::{Way, filter};
use super::segment::Segment;
use super::{IPV4, IPV6, Link, Record};
use crate::clock::{self, RealtimeOffset};

/// For how many packets from servers there is room for each packet to one, which has a request.
const RECEIVED_FOR_SENT: usize = 8;
/// All protocols: only so are packets seen that go out.
const ALL: u16 = 3;

/// Packets of one family.
#[derive(Debug)]
pub(super) struct Tap {
    received: PacketRing,
    sent: PacketRing,
    offset: RealtimeOffset,
}

impl Tap {
    /// Copies what comes from these ports by TCP, with room for so many packets, and what goes to them.
    pub(super) fn open(is_ipv6: bool, ports: &[u16], room: usize) -> io::Result<Self> {
        let ethernet = match is_ipv6 {
            true => IPV6,
            false => IPV4,
        };
        Ok(Self {
            // By its protocol: such a socket sees each packet once, as it comes in.
            received: PacketRing::open(ethernet, &filter(Way::Received, ethernet, ports), room)?,
            sent: PacketRing::open(
                ALL,
                &filter(Way::Sent, ethernet, ports),
                room / RECEIVED_FOR_SENT,
            )?,
            offset: RealtimeOffset::new(),
        })
    }

    /// Reads what there is.
    pub(super) fn read(&mut self, mut see: impl FnMut(Record)) {
        let now = clock::now();
        let offset = &mut self.offset;
        let mut note = |frame: Frame<'_>| {
            let segment = Segment::parse(frame.head, frame.length)?;
            let (link, way) = match frame.is_outgoing {
                false => (Link::new(segment.to, segment.from), Way::Received),
                true => (Link::new(segment.from, segment.to), Way::Sent),
            };
            see(Record {
                link,
                is_sent: way == Way::Sent,
                is_opening: segment.is_opening,
                sequence: segment.sequence,
                length: segment.length,
                at: offset.to_monotonic(frame.realtime_ns, now),
            });
            Some(())
        };
        for ring in [&mut self.sent, &mut self.received] {
            ring.read(|frame| {
                note(frame);
            });
        }
    }

    /// Packets that found no room, since nobody read those before them.
    pub(super) fn dropped(&mut self) -> u64 {
        // A packet out that is missed takes no time from a response.
        self.received.dropped()
    }
}
