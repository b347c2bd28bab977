//! One client's connection, from its first request to its last.
//!
//! Belongs here: reading requests one after another, sending each to what answers it, and the
//! answers that need no model. Generated answers are in `generate`.

use std::{
    future::poll_fn,
    io,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use llmeter_wire::clock::{self, Stamp};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    aws::{self, Operation},
    dialect::Dialect,
    http::{self, BodyDecoder, Head, Reject},
    incoming::Incoming,
    openai::ApiError,
    pacer::Pacer,
    response::ResponseHead,
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
pub(crate) struct Gone;

/// What becomes of the connection after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Continue,
    Close,
}

/// Why there is no request.
enum NoRequest {
    /// The client has closed or the connection is broken.
    Gone,
    Rejected(Reject),
}

/// A connection and what it needs of its worker.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) shared: Arc<Shared>,
    /// When the answer before was complete.
    pub(crate) free: Stamp,
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
            free: Stamp(i64::MIN),
            incoming: Incoming::new(reader),
            pacer,
        }
    }

    /// Answers requests until either side has had enough.
    pub(crate) async fn run(mut self) {
        loop {
            let request = match self.next_request().await {
                Ok(request) => request,
                Err(NoRequest::Gone) => return,
                Err(NoRequest::Rejected(reject)) => {
                    let refused = self.refuse(&reject.into(), false, None).await;
                    if refused.is_ok() {
                        self.linger().await;
                    }
                    return;
                }
            };
            match self.answer(request).await {
                Ok(Then::Continue) => self.free = clock::now(),
                Ok(Then::Close) | Err(Gone) => return,
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
        let first = self.incoming.first_arrival().ok_or(NoRequest::Gone)?;
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
            false => Err(NoRequest::Gone),
        }
    }

    async fn answer(&mut self, request: Request) -> Result<Then, Gone> {
        let head = &request.head;
        let whole_path = head.path().to_owned();
        let path = whole_path
            .strip_prefix("/v1")
            .filter(|path| path.starts_with('/'))
            .unwrap_or(&whole_path);
        if let Some((operation, _)) = Operation::of(&whole_path) {
            return self.aws(request, operation).await;
        }
        let reads = matches!(head.method.as_str(), "GET" | "HEAD");
        let dialect = Dialect::of(&whole_path);
        let (allowed, allow) = match path {
            _ if dialect.is_some() => (head.method == "POST", "POST"),
            "/models" | "/health" => (reads, "GET, HEAD"),
            _ if path.starts_with("/models/") => (reads, "GET, HEAD"),
            _ => {
                let error = ApiError::unknown_path(&head.method, &whole_path);
                return self.refuse_request(head, &error).await;
            }
        };
        if !allowed {
            let error = ApiError::wrong_method(&head.method, &whole_path);
            return self.refuse(&error, head.keep_alive, Some(allow)).await;
        }
        if path == "/health" {
            return self.json(head, b"{\"status\":\"ok\"}").await;
        }
        let checked = match &self.shared.config.verify_sigv4 {
            // As on Bedrock's newer address.
            Some(key) if whole_path.starts_with("/anthropic/") => {
                aws::verify(&request, "bedrock-mantle", key)
            }
            _ => self.check_key(head),
        };
        if let Err(error) = checked {
            return self.refuse_request(head, &error).await;
        }
        if let Some(dialect) = dialect {
            return self.generate(dialect, request).await;
        }
        let model = json!({
            "id": self.shared.config.model,
            "object": "model",
            "created": self.shared.created,
            "owned_by": "llmeter",
        });
        let body = match path.strip_prefix("/models/").map(percent_decode) {
            None => json!({"object": "list", "data": [model]}),
            Some(name) if name == self.shared.config.model => model,
            Some(name) => {
                let error = ApiError::unknown_model(&name);
                return self.refuse_request(head, &error).await;
            }
        };
        self.json(head, body.to_string().as_bytes()).await
    }

    async fn aws(&mut self, request: Request, operation: Operation) -> Result<Then, Gone> {
        let checked = if request.head.method != "POST" {
            let message = format!("{} is not allowed here", request.head.method);
            Err(aws::error(405, "UnknownOperationException", message))
        } else if let Some(key) = &self.shared.config.verify_sigv4 {
            aws::verify(&request, operation.service(), key)
        } else {
            self.check_key(&request.head).map_err(|error| ApiError {
                status: 403,
                ..aws::translated(error)
            })
        };
        match checked {
            Ok(()) => {
                let dialect = Dialect::of(request.head.path());
                let dialect = dialect.unwrap_or(Dialect::Aws(operation));
                self.generate(dialect, request).await
            }
            Err(error) => self.refuse_request(&request.head, &error).await,
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
        let given = head.api_key.as_deref().or(given);
        match given {
            Some(key) if key == expected => Ok(()),
            given => Err(ApiError::unauthorized(given)),
        }
    }

    /// Refuses a request that was well-formed as far as HTTP goes.
    pub(crate) async fn refuse_request(
        &mut self,
        head: &Head,
        error: &ApiError,
    ) -> Result<Then, Gone> {
        let (body, kind) = match Dialect::of(head.path()) {
            Some(dialect) => (dialect.error(error), dialect.error_type(error)),
            None => (error.body(), error.aws_type),
        };
        let head_only = head.method == "HEAD";
        self.send(error.status, head.keep_alive, None, &body, head_only, kind)
            .await
    }

    async fn refuse(
        &mut self,
        error: &ApiError,
        keep_alive: bool,
        allow: Option<&str>,
    ) -> Result<Then, Gone> {
        let (body, kind) = (error.body(), error.aws_type);
        self.send(error.status, keep_alive, allow, &body, false, kind)
            .await
    }

    async fn json(&mut self, head: &Head, body: &[u8]) -> Result<Then, Gone> {
        let head_only = head.method == "HEAD";
        self.send(200, head.keep_alive, None, body, head_only, None)
            .await
    }

    async fn send(
        &mut self,
        status: u16,
        keep_alive: bool,
        allow: Option<&str>,
        body: &[u8],
        head_only: bool,
        aws_error_type: Option<&str>,
    ) -> Result<Then, Gone> {
        let request_id = self.shared.request_id();
        let mut out = Vec::with_capacity(512 + body.len());
        ResponseHead {
            status,
            content_type: "application/json",
            length: Some(body.len()),
            chunked: false,
            keep_alive,
            request_id: &request_id,
            aws_error_type,
            aws_request_id: aws_error_type.map(|_| request_id.as_str()),
            allow,
            more: Vec::new(),
        }
        .write(&mut out);
        if !head_only {
            out.extend_from_slice(body);
        }
        // Whoever has read an answer finds it counted.
        self.shared.count_answer();
        self.write(&out).await?;
        Ok(if keep_alive {
            Then::Continue
        } else {
            Then::Close
        })
    }

    /// Writes all of `bytes` and gives the time of the call that took the last of them.
    pub(crate) async fn write(&self, bytes: &[u8]) -> Result<Stamp, Gone> {
        socket::write(&self.stream, bytes).await.map_err(|_| Gone)
    }

    /// Waits until `due`, or not at all if that has passed, and says whether it waited.
    pub(crate) async fn wait_until(&mut self, due: Stamp) -> Result<bool, Gone> {
        let mut asked = false;
        poll_fn(|cx| {
            if clock::now() >= due {
                return Poll::Ready(Ok(asked));
            }
            if self.incoming.poll_gone(&self.stream, cx).is_ready() {
                return Poll::Ready(Err(Gone));
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
    pub(crate) async fn unless_gone<F: Future>(&mut self, future: F) -> Result<F::Output, Gone> {
        let mut future = std::pin::pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            self.incoming
                .poll_gone(&self.stream, cx)
                .map(|()| Err(Gone))
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
        Self::Gone
    }
}

pub(crate) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digit: u8| char::from(digit).to_digit(16);
        match (first, tail) {
            (b'%', [high, low, tail @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                let value = hex(*high).unwrap_or(0) * 16 + hex(*low).unwrap_or(0);
                bytes.push(u8::try_from(value).unwrap_or(0));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::percent_decode;

    #[test]
    fn percent_signs_decode_or_stand() {
        assert_eq!(percent_decode("org%2Fmodel%20x"), "org/model x");
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%zz"), "%zz");
    }
}
