//! One client's connection, from its beginning to its last request.
//!
//! Belongs here: TLS or not, which version of HTTP the client speaks, and reading requests by
//! HTTP/1.1 one after another. Those by HTTP/2 are read in `http2`.

use std::{
    future::poll_fn,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::net::TcpStream;

use crate::{
    clock::{self, Time},
    exchange::{ClientGone, Exchange, NextAction, Opened, Request, Responder},
    http::{self, BodyDecoder, Reject},
    http2,
    incoming::Incoming,
    pacer::Pacer,
    shared::Shared,
    socket::{self, Reader},
    transport::Transport,
};

/// After a refused request, how long its remaining bytes are awaited, so that closing does not
/// take the refusal away with it.
const LINGER: Duration = Duration::from_secs(1);

/// Why there is no request.
enum NoRequest {
    /// The client has closed or the connection is broken.
    ClientGone,
    Rejected(Reject),
}

/// A connection and what it needs of its worker.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) transport: Transport,
    pub(crate) shared: Arc<Shared>,
    pub(crate) opened: Opened,
    pub(crate) incoming: Incoming,
    pub(crate) pacer: Arc<Pacer>,
    /// When the response before was complete.
    free: Time,
}

impl Connection {
    /// Serves requests on a connection until either side has had enough.
    pub(crate) async fn serve(
        stream: TcpStream,
        accepted: Time,
        shared: Arc<Shared>,
        pacer: Arc<Pacer>,
        reader: Arc<Mutex<Reader>>,
    ) {
        socket::prepare(&stream);
        let (transport, handshake) = match &shared.tls {
            None => (Transport::Plain(stream), None),
            Some(acceptor) => match Transport::handshake(stream, acceptor).await {
                Ok((transport, times)) => (transport, Some(times)),
                Err(error) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    return;
                }
            },
        };
        let mut connection = Self {
            transport,
            shared,
            opened: Opened {
                accepted,
                handshake,
            },
            incoming: Incoming::new(reader),
            pacer,
            free: Time::BEGINNING,
        };
        match connection.is_http2().await {
            Ok(true) => http2::serve(connection).await,
            Ok(false) => connection.run().await,
            Err(_) => {}
        }
    }

    /// Whether the client speaks HTTP/2: because both sides agreed on it, or because it begins so.
    async fn is_http2(&mut self) -> io::Result<bool> {
        if self.transport.is_http2() {
            return Ok(true);
        }
        loop {
            let begun = self.incoming.unused();
            let length = begun.len().min(http2::PREFACE.len());
            if begun[..length] != http2::PREFACE[..length] {
                return Ok(false);
            }
            if length == http2::PREFACE.len() {
                return Ok(true);
            }
            if !self.incoming.fill(&mut self.transport).await? {
                return Ok(false);
            }
        }
    }

    /// Serves requests by HTTP/1.1.
    async fn run(mut self) {
        loop {
            let request = match self.next_request().await {
                Ok(request) => request,
                Err(NoRequest::ClientGone) => return,
                Err(NoRequest::Rejected(reject)) => {
                    let mut exchange = self.exchange(true, false);
                    let refused = exchange.refuse(None, None, &reject.into(), "").await;
                    if refused.is_ok() {
                        self.linger().await;
                    }
                    return;
                }
            };
            let (http11, keep_alive) = (request.head.http11, request.head.keep_alive);
            match self.exchange(http11, keep_alive).respond(request).await {
                Ok(NextAction::Continue) => self.free = clock::now(),
                Ok(NextAction::Close) | Err(ClientGone) => return,
            }
        }
    }

    fn exchange(&mut self, http11: bool, keep_alive: bool) -> Exchange<'_> {
        Exchange {
            shared: Arc::clone(&self.shared),
            pacer: Arc::clone(&self.pacer),
            opened: self.opened,
            free: self.free,
            responder: Responder::Http1 {
                transport: &mut self.transport,
                incoming: &mut self.incoming,
                http11,
                keep_alive,
            },
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
                self.transport
                    .write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    .await?;
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
        match self.incoming.fill(&mut self.transport).await? {
            true => Ok(()),
            false => Err(NoRequest::ClientGone),
        }
    }

    /// Closes the sending side and waits a little for the client to do the same.
    async fn linger(&mut self) {
        let _ = poll_fn(|cx| self.transport.poll_shutdown(cx)).await;
        let closed = async {
            while let Ok(true) = self.incoming.fill(&mut self.transport).await {
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
