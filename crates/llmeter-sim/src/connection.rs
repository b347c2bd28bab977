//! One client's connection, from its first request to its last.
//!
//! Belongs here: reading requests one after another, sending each to what responds, and the
//! responses that need no model. Generated ones are in `generate`.

use std::{
    future::poll_fn,
    io,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use crate::clock::{self, Time};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    api::{self, Api, ApiError, openai, signature},
    http::{self, BodyDecoder, Head, Reject},
    incoming::Incoming,
    pacer::Pacer,
    response,
    shared::Shared,
    socket::{self, Arrival, Reader},
};

/// After a refused request, how long its remaining bytes are awaited, so that closing does not
/// take the refusal away with it.
const LINGER: Duration = Duration::from_secs(1);

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

/// Why there is no request.
enum NoRequest {
    /// The client has closed or the connection is broken.
    ClientGone,
    Rejected(Reject),
}

/// A connection and what it needs of its worker.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) shared: Arc<Shared>,
    /// When the response before was complete.
    pub(crate) free: Time,
    incoming: Incoming,
    pacer: Arc<Pacer>,
}

impl Connection {
    pub(crate) fn new(
        stream: TcpStream,
        shared: Arc<Shared>,
        pacer: Arc<Pacer>,
        reader: Arc<Mutex<Reader>>,
    ) -> Self {
        socket::prepare(&stream);
        Self {
            stream,
            shared,
            free: Time::BEGINNING,
            incoming: Incoming::new(reader),
            pacer,
        }
    }

    /// Serves requests until either side has had enough.
    pub(crate) async fn run(mut self) {
        loop {
            let request = match self.next_request().await {
                Ok(request) => request,
                Err(NoRequest::ClientGone) => return,
                Err(NoRequest::Rejected(reject)) => {
                    let refused = self.refuse(None, None, &reject.into(), "").await;
                    if refused.is_ok() {
                        self.linger().await;
                    }
                    return;
                }
            };
            match self.respond(request).await {
                Ok(NextAction::Continue) => self.free = clock::now(),
                Ok(NextAction::Close) | Err(ClientGone) => return,
            }
        }
    }

    async fn next_request(&mut self) -> Result<Request, NoRequest> {
        let (head, length) = loop {
            if let Some(parsed) = http::parse_head(self.incoming.unused())? {
                break parsed;
            }
            self.more().await?;
        };
        let first = self.incoming.first_arrival().ok_or(NoRequest::ClientGone)?;
        let mut last = self.incoming.consume(length).unwrap_or(first);
        let mut decoder = BodyDecoder::new(head.framing);
        let mut told_to_continue = !head.expects_continue;
        loop {
            let used = decoder.feed(self.incoming.unused())?;
            if used > 0 {
                last = self.incoming.consume(used).unwrap_or(last);
            }
            if decoder.is_done() {
                break;
            }
            if !told_to_continue {
                told_to_continue = true;
                socket::write(&self.stream, b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            self.more().await?;
        }
        Ok(Request {
            head,
            body: decoder.into_body(),
            first,
            last,
        })
    }

    async fn more(&mut self) -> Result<(), NoRequest> {
        match self.incoming.fill(&self.stream).await? {
            true => Ok(()),
            false => Err(NoRequest::ClientGone),
        }
    }

    async fn respond(&mut self, request: Request) -> Result<NextAction, ClientGone> {
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
                self.send(Some(head), 200, headers, &body).await
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

    /// Refuses a request in the words of its API. One without a head was not well-formed, and its
    /// connection cannot be kept. `methods` are those that the path takes.
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
        self.send(head, refusal.status, headers, &refusal.body)
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
        headers: Vec<(&'static str, String)>,
        body: &Value,
    ) -> Result<NextAction, ClientGone> {
        let keep_alive = head.is_some_and(|head| head.keep_alive);
        let is_head = head.is_some_and(|head| head.method == "HEAD");
        let out = response::json(status, keep_alive, &headers, &body.to_string(), is_head);
        // Whoever has read a response finds it counted.
        self.shared.count_response();
        self.write(&out).await?;
        Ok(NextAction::from(keep_alive))
    }

    /// Writes all of `bytes` and gives the time of the call that took the last of them.
    pub(crate) async fn write(&self, bytes: &[u8]) -> Result<Time, ClientGone> {
        socket::write(&self.stream, bytes)
            .await
            .map_err(|_| ClientGone)
    }

    /// Waits until `due`, or not at all if that has passed, and says whether it waited.
    pub(crate) async fn wait_until(&mut self, due: Time) -> Result<bool, ClientGone> {
        let mut asked = false;
        poll_fn(|cx| {
            if clock::now() >= due {
                return Poll::Ready(Ok(asked));
            }
            if self.incoming.poll_gone(&self.stream, cx).is_ready() {
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
            self.incoming
                .poll_gone(&self.stream, cx)
                .map(|()| Err(ClientGone))
        })
        .await
    }

    /// Closes the sending side and waits a little for the client to do the same.
    async fn linger(&mut self) {
        let _ = self.stream.shutdown().await;
        let closed = async {
            while let Ok(true) = self.incoming.fill(&self.stream).await {
                self.incoming.consume(self.incoming.unused().len());
            }
        };
        let _ = tokio::time::timeout(LINGER, closed).await;
    }
}

impl From<Reject> for NoRequest {
    fn from(reject: Reject) -> Self {
        Self::Rejected(reject)
    }
}

impl From<io::Error> for NoRequest {
    fn from(_: io::Error) -> Self {
        Self::ClientGone
    }
}
