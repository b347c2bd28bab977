//! A request that is being responded to, and what sends the response back.
//!
//! Belongs here: sending a request to what responds, the responses that need no model, and writing
//! and waiting for those that do, in either version of HTTP. Generated responses are in `generate`.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use serde_json::{Value, json};

use crate::{
    api::{self, Api, ApiError, openai, signature},
    clock::{self, Time},
    http::Head,
    http2,
    incoming::Incoming,
    pacer::Pacer,
    response::ResponseHead,
    shared::Shared,
    socket::Arrival,
    transport::Transport,
};

/// A request that has come completely.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) first: Arrival,
    pub(crate) last: Arrival,
}

/// The client is not there any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientGone;

/// What becomes of the connection after a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextAction {
    Continue,
    Close,
}

impl From<bool> for NextAction {
    fn from(keep_alive: bool) -> Self {
        match keep_alive {
            true => Self::Continue,
            false => Self::Close,
        }
    }
}

/// When a connection was opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opened {
    pub(crate) accepted: Time,
    /// When the client's beginning and end of the TLS handshake arrived, if there was one.
    pub(crate) handshake: Option<(Time, Time)>,
}

/// A request under way.
pub(crate) struct Exchange<'a> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pacer: Arc<Pacer>,
    pub(crate) opened: Opened,
    /// When the response before on the same connection was complete, if only then this one's turn
    /// has come.
    pub(crate) free: Time,
    pub(crate) responder: Responder<'a>,
}

/// What sends the response to the client.
pub(crate) enum Responder<'a> {
    Http1 {
        transport: &'a mut Transport,
        incoming: &'a mut Incoming,
        /// Whether the client knows chunks.
        http11: bool,
        keep_alive: bool,
    },
    Http2(http2::StreamResponder),
}

/// The beginning of a response, ready to be written.
pub(crate) enum Opening {
    Http1(Vec<u8>),
    Http2(Box<http2::Opening>),
}

impl Exchange<'_> {
    /// Responds, and says what becomes of the connection.
    pub(crate) async fn respond(&mut self, request: Request) -> Result<NextAction, ClientGone> {
        let head = &request.head;
        let Some((api, route)) = api::find(head.path()) else {
            return self.page(head).await;
        };
        let wrong = if head.method != "POST" {
            Err(ApiError::wrong_method(&head.method, head.path()))
        } else {
            match (&self.shared.config.verify_sigv4, route.service) {
                (Some(key), Some(service)) => signature::verify(&request, service, key),
                _ => self.check_key(head),
            }
        };
        match wrong {
            Ok(()) => self.generate(api, &route, request).await,
            Err(error) => self.refuse(Some(api), Some(head), &error, "POST").await,
        }
    }

    /// What generates nothing.
    async fn page(&mut self, head: &Head) -> Result<NextAction, ClientGone> {
        let config = &self.shared.config;
        let models = openai::models(head.path(), &config.model, self.shared.created);
        let is_health = matches!(head.path(), "/health" | "/v1/health");
        let wrong = if models.is_none() && !is_health {
            Err(ApiError::unknown_path(&head.method, head.path()))
        } else if !matches!(head.method.as_str(), "GET" | "HEAD") {
            Err(ApiError::wrong_method(&head.method, head.path()))
        } else if is_health {
            Ok(())
        } else {
            self.check_key(head)
        };
        let found = models.unwrap_or_else(|| Ok(json!({"status": "ok"})));
        match wrong.and(found) {
            Ok(body) => {
                let headers = vec![("x-request-id", self.shared.request_id())];
                self.send(Some(head), 200, &headers, &body).await
            }
            Err(error) => self.refuse(None, Some(head), &error, "GET, HEAD").await,
        }
    }

    fn check_key(&self, head: &Head) -> Result<(), ApiError> {
        let Some(expected) = &self.shared.config.api_key else {
            return Ok(());
        };
        let given = head.authorization.as_deref().and_then(|value| {
            let (scheme, key) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
        });
        match head.api_key.as_deref().or(given) {
            Some(key) if key == expected => Ok(()),
            given => Err(ApiError::unauthorized(given)),
        }
    }

    /// Refuses a request in the words of its API. One without a head was not well-formed.
    /// `methods` are those that the path takes.
    pub(crate) async fn refuse(
        &mut self,
        api: Option<&dyn Api>,
        head: Option<&Head>,
        error: &ApiError,
        methods: &str,
    ) -> Result<NextAction, ClientGone> {
        let refusal = api.map_or(openai::refusal as fn(&_) -> _, |api| api.about().refusal)(error);
        let mut headers = match api {
            Some(api) => self.ids(api, None),
            None => vec![("x-request-id", self.shared.request_id())],
        };
        headers.extend(refusal.headers);
        if refusal.status == 405 {
            headers.push(("allow", methods.to_owned()));
        }
        self.send(head, refusal.status, &headers, &refusal.body)
            .await
    }

    /// The headers with the id of the HTTP request and, where the API has one there, of the response.
    pub(crate) fn ids(&self, api: &dyn Api, id: Option<&str>) -> Vec<(&'static str, String)> {
        const REQUEST: &str = "x-request-id";
        let request = self.shared.request_id();
        let id = id.unwrap_or(&request).to_owned();
        match api.about().id_header {
            None => vec![(REQUEST, request)],
            Some(REQUEST) => vec![(REQUEST, id)],
            Some(name) => vec![(REQUEST, request), (name, id)],
        }
    }

    async fn send(
        &mut self,
        head: Option<&Head>,
        status: u16,
        headers: &[(&'static str, String)],
        body: &Value,
    ) -> Result<NextAction, ClientGone> {
        let is_head = head.is_some_and(|head| head.method == "HEAD");
        let body = body.to_string();
        let head = ResponseHead::json(status, headers, &body);
        let body = if is_head { &[][..] } else { body.as_bytes() };
        self.complete(self.opening(&head, body), |_| {}).await?;
        Ok(self.next_action(&head))
    }

    /// Whether a stream's frames are sent as chunks.
    pub(crate) fn is_chunked(&self) -> bool {
        matches!(self.responder, Responder::Http1 { http11: true, .. })
    }

    /// What becomes of the connection after a response with this head. A client that knows no chunks
    /// learns of the end of a stream by the connection's.
    pub(crate) fn next_action(&self, head: &ResponseHead<'_>) -> NextAction {
        match self.responder {
            Responder::Http1 {
                http11, keep_alive, ..
            } => NextAction::from(keep_alive && (http11 || head.length.is_some())),
            Responder::Http2(_) => NextAction::Continue,
        }
    }

    /// A response's head and the first bytes of its body.
    pub(crate) fn opening(&self, head: &ResponseHead<'_>, body: &[u8]) -> Opening {
        match &self.responder {
            Responder::Http1 { .. } => {
                let mut bytes = Vec::with_capacity(512 + body.len());
                let is_chunked = self.is_chunked() && head.length.is_none();
                let keep_alive = self.next_action(head) == NextAction::Continue;
                head.write(is_chunked, keep_alive, &mut bytes);
                bytes.extend_from_slice(body);
                Opening::Http1(bytes)
            }
            Responder::Http2(_) => Opening::Http2(Box::new(http2::Opening::new(head, body))),
        }
    }

    /// Writes the beginning of a response.
    pub(crate) async fn open(&mut self, opening: Opening) -> Result<(), ClientGone> {
        match (&mut self.responder, opening) {
            (Responder::Http1 { transport, .. }, Opening::Http1(bytes)) => {
                transport.write(&bytes).await.map_err(|_| ClientGone)?;
                Ok(())
            }
            (Responder::Http2(responder), Opening::Http2(opening)) => {
                responder.open(*opening).await?;
                Ok(())
            }
            _ => Err(ClientGone),
        }
    }

    /// Writes a whole response. `log` gets the time of its last byte: whoever has read a response to
    /// its end finds it counted and logged.
    pub(crate) async fn complete(
        &mut self,
        whole: Opening,
        log: impl FnOnce(Time),
    ) -> Result<(), ClientGone> {
        match (&mut self.responder, whole) {
            (Responder::Http1 { transport, .. }, Opening::Http1(bytes)) => {
                log(clock::now());
                self.shared.count_response();
                transport.write(&bytes).await.map_err(|_| ClientGone)?;
                Ok(())
            }
            (Responder::Http2(responder), Opening::Http2(whole)) => {
                log(responder.open(*whole).await?);
                self.shared.count_response();
                responder.end(&[])
            }
            _ => Err(ClientGone),
        }
    }

    /// Writes all of `bytes` and gives the time of the call that took the last of them.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<Time, ClientGone> {
        match &mut self.responder {
            Responder::Http1 { transport, .. } => {
                transport.write(bytes).await.map_err(|_| ClientGone)
            }
            Responder::Http2(responder) => responder.write(bytes).await,
        }
    }

    /// Writes the last bytes of a response.
    pub(crate) async fn end(&mut self, bytes: &[u8]) -> Result<(), ClientGone> {
        match &mut self.responder {
            Responder::Http1 { transport, .. } => {
                transport.write(bytes).await.map_err(|_| ClientGone)?;
                Ok(())
            }
            Responder::Http2(responder) => responder.end(bytes),
        }
    }

    /// Breaks the response off: the connection is closed, by HTTP/2 the stream is reset.
    pub(crate) fn cut(&mut self) -> NextAction {
        if let Responder::Http2(responder) = &mut self.responder {
            responder.reset();
        }
        NextAction::Close
    }

    /// Waits until `due`, or not at all if that has passed, and says whether it waited.
    pub(crate) async fn wait_until(&mut self, due: Time) -> Result<bool, ClientGone> {
        let mut asked = false;
        poll_fn(|cx| {
            if clock::now() >= due {
                return Poll::Ready(Ok(asked));
            }
            if self.responder.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(ClientGone));
            }
            if !asked {
                self.pacer.wake_at(due, cx.waker());
                asked = true;
            }
            Poll::Pending
        })
        .await
    }

    /// Waits for `future`, unless the client leaves before.
    pub(crate) async fn unless_gone<F: Future>(
        &mut self,
        future: F,
    ) -> Result<F::Output, ClientGone> {
        let mut future = std::pin::pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.responder.poll_gone(cx).map(|()| Err(ClientGone))
        })
        .await
    }
}

impl Responder<'_> {
    /// Whether the client has gone. Wakes the task when that changes.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Http1 {
                transport,
                incoming,
                ..
            } => incoming.poll_gone(transport, cx),
            Self::Http2(responder) => responder.poll_gone(cx),
        }
    }
}
