//! Requests by HTTP/2, any number at a time on a connection.
//!
//! The `h2` crate speaks the protocol. A [`Watch`] below it sees the frames of both directions and
//! knows when each came and went.

mod watch;

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::{
    Reason, RecvStream, SendStream,
    server::{Builder, SendResponse},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    clock::Time,
    connection::Connection,
    exchange::{self, ClientGone, Exchange, Opened, Request},
    http::{Head, MAX_BODY, MAX_HEAD, Reject},
    incoming::Incoming,
    pacer::Pacer,
    response::ResponseHead,
    shared::Shared,
    transport::Transport,
};
use watch::{Incoming as IncomingFrames, Outgoing as OutgoingFrames, Watch};

/// What a client begins with.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Bytes that a client may send before it has to wait: more than most requests have.
const WINDOW: u32 = 4 << 20;
/// Requests at a time on one connection.
const MAX_STREAMS: u32 = 1024;

/// A connection as `h2` reads and writes it.
struct WatchedTransport {
    transport: Transport,
    incoming: Incoming,
    frames_in: IncomingFrames,
    frames_out: OutgoingFrames,
    watch: Arc<Watch>,
}

/// What the requests of a connection share.
#[derive(Clone)]
struct Session {
    shared: Arc<Shared>,
    pacer: Arc<Pacer>,
    opened: Opened,
    watch: Arc<Watch>,
}

/// Serves requests until either side has had enough.
pub(crate) async fn serve(connection: Connection) {
    let watch = Arc::<Watch>::default();
    let session = Session {
        shared: connection.shared,
        pacer: connection.pacer,
        opened: connection.opened,
        watch: Arc::clone(&watch),
    };
    let transport = WatchedTransport {
        transport: connection.transport,
        incoming: connection.incoming,
        frames_in: IncomingFrames::after(PREFACE.len()),
        frames_out: OutgoingFrames::default(),
        watch,
    };
    let handshake = Builder::new()
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .handshake(transport);
    let Ok(mut connection) = handshake.await else {
        return;
    };
    // One task reads, writes and responds: with a task for each request, the end of a response would
    // follow its last token only after the tokens of all other connections.
    let mut requests = FuturesUnordered::new();
    poll_fn(|cx| {
        loop {
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    requests.push(one(request, respond, session.clone()));
                    continue;
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {}
            }
            while let Poll::Ready(Some(())) = requests.poll_next_unpin(cx) {}
            // What they gave the connection to send goes at once, and they go on at once.
            if !session.watch.take_queued() {
                return Poll::Pending;
            }
        }
    })
    .await;
    // Those that are left learn that the client has gone.
    drop(connection);
    while requests.next().await.is_some() {}
}

/// Reads the rest of a request and responds.
async fn one(request: http::Request<RecvStream>, respond: SendResponse<Bytes>, session: Session) {
    let id = respond.stream_id().as_u32();
    let (parts, body) = request.into_parts();
    let head = Head::of_http2(&parts);
    let body = read(body).await;
    let Some((first, last)) = session.watch.arrived(id) else {
        return;
    };
    let mut exchange = Exchange {
        shared: session.shared,
        pacer: session.pacer,
        opened: session.opened,
        free: Time::BEGINNING,
        responder: exchange::Responder::Http2(StreamResponder {
            id,
            respond,
            stream: None,
            sent: 0,
            watch: session.watch,
        }),
    };
    // That the client has left is no news to anybody but the log.
    let _ = match body {
        Ok(body) => {
            let request = Request {
                head,
                body,
                first,
                last,
            };
            exchange.respond(request).await
        }
        Err(Some(reject)) => exchange.refuse(None, Some(&head), &reject.into(), "").await,
        Err(None) => return,
    };
}

/// A request's body; an error without a reason if the client has left.
async fn read(mut stream: RecvStream) -> Result<Vec<u8>, Option<Reject>> {
    let mut body = Vec::new();
    while let Some(data) = stream.data().await {
        let data = data.map_err(|_| None)?;
        if (body.len() + data.len()) as u64 > MAX_BODY {
            return Err(Some(Reject::BodyTooLarge));
        }
        body.extend_from_slice(&data);
        let released = stream.flow_control().release_capacity(data.len());
        released.map_err(|_| None)?;
    }
    Ok(body)
}

/// The way back to a client by HTTP/2.
pub(crate) struct StreamResponder {
    id: u32,
    respond: SendResponse<Bytes>,
    /// Once the head was sent.
    stream: Option<SendStream<Bytes>>,
    /// Bytes of the body that were sent so far.
    sent: u64,
    watch: Arc<Watch>,
}

/// The beginning of a response.
pub(crate) struct Opening {
    head: Option<http::Response<()>>,
    body: Bytes,
}

impl Opening {
    pub(crate) fn new(head: &ResponseHead<'_>, body: &[u8]) -> Self {
        Self {
            head: head.to_http2(),
            body: Bytes::copy_from_slice(body),
        }
    }
}

impl StreamResponder {
    /// Sends the head and the first bytes of the body. Gives the time at which the last of them was
    /// handed over.
    pub(crate) async fn open(&mut self, opening: Opening) -> Result<Time, ClientGone> {
        let head = opening.head.ok_or(ClientGone)?;
        let stream = self.respond.send_response(head, false);
        self.stream = Some(stream.map_err(|_| ClientGone)?);
        self.send(opening.body).await
    }

    /// Sends all of `bytes` and gives the time immediately before the call that handed the last of
    /// them to the kernel.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<Time, ClientGone> {
        self.send(Bytes::copy_from_slice(bytes)).await
    }

    async fn send(&mut self, bytes: Bytes) -> Result<Time, ClientGone> {
        let stream = self.stream.as_mut().ok_or(ClientGone)?;
        self.sent += bytes.len() as u64;
        stream.send_data(bytes, false).map_err(|_| ClientGone)?;
        self.watch.queued();
        poll_fn(|cx| {
            if let Poll::Ready(handed) = self.watch.poll_handed(self.id, self.sent, cx) {
                return Poll::Ready(handed.ok_or(ClientGone));
            }
            // A window that the client does not open, on a stream that it has given up.
            stream.poll_reset(cx).map(|_| Err(ClientGone))
        })
        .await
    }

    /// Sends the last bytes.
    pub(crate) fn end(&mut self, bytes: &[u8]) -> Result<(), ClientGone> {
        let stream = self.stream.as_mut().ok_or(ClientGone)?;
        let bytes = Bytes::copy_from_slice(bytes);
        stream.send_data(bytes, true).map_err(|_| ClientGone)?;
        self.watch.queued();
        Ok(())
    }

    pub(crate) fn reset(&mut self) {
        self.watch.queued();
        match &mut self.stream {
            Some(stream) => stream.send_reset(Reason::INTERNAL_ERROR),
            None => self.respond.send_reset(Reason::INTERNAL_ERROR),
        }
    }

    /// Whether the client has given the request up, or is gone.
    pub(crate) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let reset = match &mut self.stream {
            Some(stream) => stream.poll_reset(cx),
            None => self.respond.poll_reset(cx),
        };
        reset.map(drop)
    }
}

impl Drop for StreamResponder {
    fn drop(&mut self) {
        self.watch.forget(self.id);
    }
}

impl AsyncRead for WatchedTransport {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.incoming.unused().is_empty()
            && !ready!(this.incoming.poll_fill(&mut this.transport, cx))?
        {
            return Poll::Ready(Ok(()));
        }
        let Some(arrival) = this.incoming.first_arrival() else {
            return Poll::Ready(Ok(()));
        };
        // Of one read at a time, so that all of it arrived then.
        let bytes = this.incoming.earliest();
        let bytes = &bytes[..bytes.len().min(buffer.remaining())];
        buffer.put_slice(bytes);
        this.frames_in.feed(bytes, arrival, &this.watch);
        this.incoming.consume(bytes.len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WatchedTransport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let (count, handed) = ready!(this.transport.poll_write(cx, bytes))?;
        this.frames_out.feed(&bytes[..count], handed, &this.watch);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let handed = ready!(this.transport.poll_flush(cx))?;
        this.frames_out.feed(&[], handed, &this.watch);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().transport.poll_shutdown(cx)
    }
}

impl Drop for WatchedTransport {
    fn drop(&mut self) {
        self.watch.close();
    }
}
