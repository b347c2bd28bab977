//! What a run would have recorded of a response, from the response's bytes alone.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use crate::base::error::Result;
use crate::callback::CallbackData;
use crate::endpoint::{Endpoint, InvocationResponse, ResponseHead};
use crate::payload::{Payload, Whitespace};
use crate::run::backlog::Backlog;
use crate::run::capture::{Capture, ExchangeEnd, Segment, SegmentQueue, SendTiming};
use crate::run::decode::Decoder;
use crate::run::prepare::Prepared;
use crate::run::route::Route;
use llmeter_wire::Arrival;
use llmeter_wire::clock::Stamp;

/// When every response arrived, in nanoseconds after its request was sent.
const ARRIVED: i64 = 1_000_000;

/// Records responses as a run does, without a server. For fuzzing, which needs the whole way from a
/// read to the record and no sockets.
pub struct Replay {
    prepared: Arc<Prepared>,
    decoder: Decoder,
    capture: Capture,
    segments: Receiver<Segment>,
}

impl Replay {
    /// # Errors
    /// If the endpoint cannot send the payload.
    pub fn new(endpoint: Arc<dyn Endpoint>, payload: &Payload) -> Result<Self> {
        let (queue, segments) = channel();
        Ok(Self {
            prepared: Arc::new(Prepared::new(&Route::to(endpoint.clone(), None), payload)?),
            decoder: Decoder::new(Arc::new([Route::to(endpoint, None)]), Arc::new(Whitespace)),
            capture: Capture::new(
                SegmentQueue::new(queue, None),
                Arc::new(Backlog::new(1, false)),
            ),
            segments,
        })
    }

    /// The record of a response of which `reads` brought the body. `None` would be a response that
    /// was never recorded.
    pub fn record(&mut self, head: ResponseHead, reads: &[&[u8]]) -> Option<InvocationResponse> {
        let arrival = Arrival {
            at: Stamp(ARRIVED),
            ..Arrival::default()
        };
        self.capture.head(head, arrival);
        for read in reads {
            self.capture.body.extend_from_slice(read);
            self.capture.mark(arrival);
        }
        self.capture.finish(ExchangeEnd {
            client: 0,
            prepared: self.prepared.clone(),
            data: CallbackData::default(),
            sending: SendTiming {
                at: Some(Stamp(0)),
                ..SendTiming::default()
            },
            failure: None,
            at: arrival.at,
            is_warmup: false,
            outcomes: None,
            transport_end: None,
            network: None,
            packets: None,
            response: None,
            turn: None,
        });
        let (decoder, segments) = (&mut self.decoder, self.segments.try_iter());
        let recorded = segments.filter_map(|segment| decoder.take(segment)).last();
        recorded.map(|recorded| recorded.response)
    }
}
