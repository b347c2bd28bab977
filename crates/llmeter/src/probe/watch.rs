//! What is seen of a request while it is carried out: on the wire and by the endpoint's decoder.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value};

use crate::base::lock::lock;
use crate::endpoint::{
    Endpoint, EndpointError, Frame, FrameDecoder, Framing, HttpApi, HttpRequest, Identity,
    ResponseBuilder, ResponseHead, SavedObject, Transport,
};
use crate::payload::Payload;
use crate::run::ConnectionWatch;
use llmeter_wire::clock::{self, Stamp};
use llmeter_wire::{Connection, Phase, Server, TlsInfo};

/// The maximum of frames that are kept; the rest is counted.
const MAX_FRAMES: usize = 10_000;
/// The maximum of bytes of a frame that are kept.
const MAX_BYTES: usize = 4 * 1024;

/// What the worker tells of the connection.
#[derive(Debug, Default)]
pub(super) struct Watch {
    opening: Mutex<Option<Opening>>,
    opened: Mutex<Option<Opened>>,
}

/// A connection that is not ready yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening {
    begun: Stamp,
    /// Time to connect, once that is done.
    pub(super) time_to_connect: Option<f64>,
}

/// A connection that was opened.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) address: Option<SocketAddr>,
    pub(super) time_to_connect: f64,
    pub(super) time_to_tls: Option<f64>,
    pub(super) tls: Option<TlsInfo>,
}

impl ConnectionWatch for Watch {
    fn enter(&self, phase: Phase) {
        let mut opening = lock(&self.opening);
        let begun = match (phase, *opening) {
            (Phase::Proxy | Phase::Tls, Some(opening)) => opening.begun,
            _ => clock::now(),
        };
        *opening = Some(Opening {
            begun,
            time_to_connect: (phase == Phase::Tls).then(|| clock::now().seconds_since(begun)),
        });
    }

    fn connected(&self, connection: &Connection) {
        *lock(&self.opening) = None;
        *lock(&self.opened) = Some(Opened {
            address: connection.address,
            time_to_connect: connection.time_to_connect,
            time_to_tls: connection.time_to_tls,
            tls: connection.tls(),
        });
    }
}

impl Watch {
    /// The opening of a connection that did not come to its end.
    pub(super) fn opening(&self) -> Option<Opening> {
        *lock(&self.opening)
    }

    pub(super) fn opened(&self) -> Option<Opened> {
        lock(&self.opened).clone()
    }
}

/// What came, in order.
#[derive(Debug, Default)]
pub(super) struct FrameLog {
    pub(super) head: Option<ResponseHead>,
    pub(super) frames: Vec<LoggedFrame>,
    /// Frames that were not kept.
    pub(super) dropped: u64,
}

#[derive(Debug)]
pub(super) struct LoggedFrame {
    pub(super) at: Option<Stamp>,
    pub(super) event: Option<String>,
    /// The beginning of the frame's data.
    pub(super) data: Vec<u8>,
    pub(super) bytes: usize,
    pub(super) has_content: bool,
}

impl FrameLog {
    fn add(&mut self, at: Option<Stamp>, event: Option<&str>, data: &[u8], has_content: bool) {
        if self.frames.len() == MAX_FRAMES {
            self.dropped += 1;
            return;
        }
        self.frames.push(LoggedFrame {
            at,
            event: event.map(str::to_owned),
            data: data[..data.len().min(MAX_BYTES)].to_vec(),
            bytes: data.len(),
            has_content,
        });
    }
}

/// An endpoint whose decoder writes down what it gets. A run pays nothing for the possibility.
pub(super) struct Watched {
    inner: Arc<dyn Endpoint>,
    log: Arc<Mutex<FrameLog>>,
}

impl Watched {
    pub(super) fn new(inner: Arc<dyn Endpoint>) -> Self {
        Self {
            inner,
            log: Arc::default(),
        }
    }

    pub(super) fn take_log(&self) -> FrameLog {
        std::mem::take(&mut lock(&self.log))
    }

    /// The API within. Only asked of endpoints that are one.
    fn api(&self) -> &dyn HttpApi {
        match self.inner.transport() {
            Transport::Http(api) => api,
            Transport::Invoke(_) => {
                unreachable!("`transport` hands on an endpoint that invokes itself")
            }
        }
    }
}

impl Endpoint for Watched {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn is_streaming(&self) -> bool {
        self.inner.is_streaming()
    }

    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        self.inner.prepare_payload(payload)
    }

    fn prompt_text(&self, payload: &Payload) -> Option<Value> {
        self.inner.prompt_text(payload)
    }

    fn transport(&self) -> Transport<'_> {
        match self.inner.transport() {
            Transport::Http(_) => Transport::Http(self),
            invoking @ Transport::Invoke(_) => invoking,
        }
    }

    fn saved(&self) -> SavedObject {
        self.inner.saved()
    }

    fn extra_state(&self) -> Map<String, Value> {
        self.inner.extra_state()
    }
}

impl HttpApi for Watched {
    fn server(&self) -> &Server {
        self.api().server()
    }

    fn method(&self) -> &str {
        self.api().method()
    }

    fn check(&self) -> crate::Result<()> {
        self.api().check()
    }

    fn request(&self, payload: &Payload) -> Result<HttpRequest, EndpointError> {
        self.api().request(payload)
    }

    fn request_lifetime(&self) -> Option<Duration> {
        self.api().request_lifetime()
    }

    fn is_fresh(&self, made: Stamp) -> bool {
        self.api().is_fresh(made)
    }

    fn framing(&self) -> Framing {
        self.api().framing()
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(WatchedDecoder {
            inner: self.api().decoder(),
            log: self.log.clone(),
        })
    }

    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.api().redact(text)
    }
}

struct WatchedDecoder {
    inner: Box<dyn FrameDecoder>,
    log: Arc<Mutex<FrameLog>>,
}

impl FrameDecoder for WatchedDecoder {
    fn head(&mut self, head: &ResponseHead, builder: &mut ResponseBuilder) {
        lock(&self.log).head = Some(head.clone());
        self.inner.head(head, builder);
    }

    fn frame(&mut self, frame: Frame<'_>, builder: &mut ResponseBuilder) {
        let at = builder.frame_stamp();
        let (event, data) = (frame.event, frame.data);
        self.inner.frame(frame, builder);
        lock(&self.log).add(at, event, data, builder.frame_has_content());
    }

    fn non_streaming(&mut self, body: &[u8], builder: &mut ResponseBuilder) {
        let at = builder.frame_stamp();
        self.inner.non_streaming(body, builder);
        lock(&self.log).add(at, None, body, builder.frame_has_content());
    }

    fn end(&mut self, builder: &mut ResponseBuilder) {
        self.inner.end(builder);
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        let words = self.inner.error_message(body);
        let mut log = lock(&self.log);
        let is_success = |head: &ResponseHead| (200..300).contains(&head.status);
        // What else a success holds is decoded, and written down then.
        if words.is_some() || !log.head.as_ref().is_some_and(is_success) {
            log.add(None, None, body, false);
        }
        words
    }

    fn throttle(&self, body: &[u8]) -> Option<String> {
        self.inner.throttle(body)
    }

    fn generates_content(&self) -> bool {
        self.inner.generates_content()
    }
}
