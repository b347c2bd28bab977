//! A request by HTTP/1.1.

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::turn::Turn;
use super::{Channel, Client, broken, no_response};
use crate::base::failure::{Failure, FailureKind};
use crate::run::capture::Capture;
use crate::run::prepare::Prepared;
use crate::run::silence::TransportEnd;
use llmeter_wire::clock::{self, Stamp};
use llmeter_wire::http1::{HttpError, ResponseReader};
use llmeter_wire::{Arrival, Connection, Phase, WORKER};

impl Client {
    /// One exchange: writes and reads at the same time, and marks what each read brought. What a
    /// connection that was kept (`is_kept`) brings instead of a response is
    /// [`NoResponse`](FailureKind::NoResponse).
    pub(super) async fn exchange_http1(
        &mut self,
        mut connection: Box<Connection>,
        is_kept: bool,
        prepared: &Prepared,
        intended: Stamp,
    ) -> Result<Stamp, Failure> {
        let read = self.read_http1(&mut connection, is_kept, prepared, intended);
        let read = read.await;
        // After the end: no stamp waits for it.
        self.capture.network = connection.network();
        let (end, may_keep) = read?;
        if may_keep {
            self.keep(Channel::Http1(connection));
        }
        Ok(end)
    }

    /// The exchange itself. Returns when it was over, and whether the connection can carry another.
    async fn read_http1(
        &mut self,
        connection: &mut Connection,
        is_kept: bool,
        prepared: &Prepared,
        intended: Stamp,
    ) -> Result<(Stamp, bool), Failure> {
        connection.arm();
        let position = connection.last_read().position;
        self.capture
            .comes_by(connection.link(), connection.is_plain(), position);
        let mut reader = match is_kept {
            true => ResponseReader::after_another(),
            false => ResponseReader::new(),
        };
        let mut writing = Writing::new(&prepared.request);
        let mut turn = Turn::default();
        let mut slow = self.read_rate.map(SlowReading::new);
        let limit = slow.as_ref().map_or(usize::MAX, SlowReading::most);
        loop {
            let read = poll_fn(|context| {
                // A server may refuse a request while it is still being written, and then read no
                // further: its response is read although the writing is not done.
                writing.poll(connection, context, &mut self.phase);
                self.capture.sending.note(
                    connection.first_write(),
                    connection.first_position(),
                    intended,
                );
                ready!(self.capture.poll_room(context)).map_err(ReadError::TooLarge)?;
                match poll_read_on(connection, &mut reader, &mut self.capture, limit, context) {
                    Poll::Pending if self.capture.is_over() => Poll::Ready(Ok(Read::Silence)),
                    Poll::Pending => {
                        turn.ends();
                        Poll::Pending
                    }
                    read => read,
                }
            });
            match read.await {
                Ok(Read::Bytes(_)) if is_kept && connection.is_early() => {
                    let reason = "bytes came before the request was sent";
                    return Err(no_response(Some(reason.to_owned())));
                }
                Ok(Read::Bytes(_)) if is_kept && is_idle_timeout(&reader) => {
                    return Err(no_response(Some("it had timed out while idle".to_owned())));
                }
                Ok(Read::Bytes(_)) if reader.is_done() => break,
                Ok(Read::Bytes(count)) => {
                    turn.has_read().await;
                    if let Some(slow) = &mut slow {
                        slow.has_read(count).await;
                    }
                }
                Ok(Read::Silence) => {
                    self.note_refusal(reader.head());
                    return Ok((clock::now(), false));
                }
                Ok(Read::End) if reader.may_end_at_close() => break,
                Ok(Read::End) | Err(ReadError::Io(_)) if !reader.has_begun() => {
                    return Err(no_response(writing.failure()));
                }
                Ok(Read::End) => {
                    self.capture.transport_end = Some(TransportEnd::Closed);
                    let reason = "the server closed the connection in the middle of the response";
                    let failure = Failure::new(FailureKind::Truncated, reason);
                    return Err(failure.in_phase(Phase::Stream));
                }
                Err(ReadError::TooLarge(failure)) => return Err(failure),
                Err(ReadError::Io(reason)) => {
                    self.capture.transport_end = Some(match reason.kind() {
                        // TLS that ends without saying so.
                        ErrorKind::UnexpectedEof => TransportEnd::Closed,
                        _ => TransportEnd::Reset,
                    });
                    return Err(broken(reason));
                }
                // The rest of a response before it that was longer than it said.
                Err(ReadError::Http(reason)) if is_kept && reader.head().is_none() => {
                    return Err(no_response(Some(reason.to_string())));
                }
                Err(ReadError::Http(reason)) => {
                    self.capture.transport_end = Some(TransportEnd::Garbled);
                    return Err(reason.into());
                }
            }
        }
        let end = connection.last_read().at;
        self.note_refusal(reader.head());
        Ok((end, reader.keeps_alive() && writing.is_whole()))
    }
}

/// Whether a response says that a connection was idle for too long: a server may send it just before
/// the next request arrives.
fn is_idle_timeout(reader: &ResponseReader) -> bool {
    reader.head().is_some_and(|head| head.status == 408)
}

/// A request on its way out.
struct Writing<'a> {
    left: &'a [u8],
    is_flushed: bool,
    failure: Option<std::io::Error>,
}

impl<'a> Writing<'a> {
    fn new(request: &'a [u8]) -> Self {
        Self {
            left: request,
            is_flushed: false,
            failure: None,
        }
    }

    /// Writes as much as the connection takes now.
    fn poll(
        &mut self,
        connection: &mut Connection,
        context: &mut Context<'_>,
        phase: &mut Option<Phase>,
    ) {
        while !self.is_flushed && self.failure.is_none() {
            let connection = Pin::new(&mut *connection);
            let step = if self.left.is_empty() {
                connection.poll_flush(context).map_ok(|()| {
                    self.is_flushed = true;
                    *phase = Some(Phase::Head);
                })
            } else {
                connection
                    .poll_write(context, self.left)
                    .map(|written| match written? {
                        0 => Err(std::io::ErrorKind::WriteZero.into()),
                        count => {
                            self.left = &self.left[count..];
                            Ok(())
                        }
                    })
            };
            match step {
                Poll::Pending => return,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(reason)) => self.failure = Some(reason),
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.is_flushed
    }

    fn failure(&self) -> Option<String> {
        self.failure.as_ref().map(ToString::to_string)
    }
}

/// Reading slowly on purpose.
struct SlowReading {
    bytes_per_second: u32,
    /// When what was read before could have been read.
    ready: Option<Stamp>,
}

impl SlowReading {
    /// Reads in a second, about.
    const READS: u32 = 20;

    fn new(bytes_per_second: u32) -> Self {
        Self {
            bytes_per_second,
            ready: None,
        }
    }

    /// The most bytes of one read.
    fn most(&self) -> usize {
        (self.bytes_per_second / Self::READS).max(1) as usize
    }

    /// Waits until so many bytes have had their time.
    async fn has_read(&mut self, bytes: usize) {
        let time = Duration::from_secs_f64(bytes as f64 / f64::from(self.bytes_per_second));
        let now = clock::now();
        let ready = self.ready.unwrap_or(now).max(now).after(time);
        self.ready = Some(ready);
        tokio::time::sleep(Duration::from_secs_f64(ready.seconds_since(now).max(0.0))).await;
    }
}

/// What reading brought.
enum Read {
    Bytes(usize),
    /// The end of the connection.
    End,
    /// The response is over by what it says itself, and nothing more comes.
    Silence,
}

enum ReadError {
    TooLarge(Failure),
    Io(std::io::Error),
    Http(HttpError),
}

/// Takes in what a read brought. Returns how many bytes belong to the response.
fn take(
    bytes: &[u8],
    arrival: Arrival,
    reader: &mut ResponseReader,
    capture: &mut Capture,
) -> Result<usize, HttpError> {
    let had_head = reader.head().is_some();
    let used = reader.feed(bytes, &mut capture.body);
    // What came before bytes that make no sense is kept.
    if !had_head && let Some(head) = reader.head() {
        capture.head(head.clone(), arrival);
    }
    capture.mark(arrival);
    used
}

/// The same, piece by piece, so that each can be found in the packets.
fn take_pieces(
    bytes: &[u8],
    arrival: Arrival,
    is_plain: bool,
    reader: &mut ResponseReader,
    capture: &mut Capture,
) -> Result<usize, HttpError> {
    let mut used = 0;
    while used < bytes.len() && !reader.is_done() {
        let had_head = reader.head().is_some();
        let piece = reader.feed_piece(&bytes[used..], &mut capture.body);
        used += piece.as_ref().copied().unwrap_or(0);
        // A record is readable as a whole.
        let after = match is_plain {
            true => bytes.len() - used,
            false => 0,
        };
        let arrival = Arrival {
            position: arrival.position - after as u64,
            ..arrival
        };
        if !had_head && let Some(head) = reader.head() {
            capture.head(head.clone(), arrival);
        }
        capture.mark(arrival);
        piece?;
    }
    Ok(used)
}

/// Waits for bytes and takes them in.
fn poll_read_on(
    connection: &mut Connection,
    reader: &mut ResponseReader,
    capture: &mut Capture,
    limit: usize,
    context: &mut Context<'_>,
) -> Poll<Result<Read, ReadError>> {
    WORKER.with(|worker| {
        worker.with_scratch(|scratch| {
            let limit = limit.min(scratch.len());
            let mut buffer = ReadBuf::new(&mut scratch[..limit]);
            ready!(Pin::new(&mut *connection).poll_read(context, &mut buffer))
                .map_err(ReadError::Io)?;
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok(Read::End));
            }
            let arrival = connection.last_read();
            let used = match capture.wants_pieces() {
                true => take_pieces(bytes, arrival, connection.is_plain(), reader, capture),
                false => take(bytes, arrival, reader, capture),
            };
            if used.map_err(ReadError::Http)? < bytes.len() {
                // Bytes that nobody asked for: the connection cannot be trusted any more.
                reader.forbid_reuse();
            }
            Poll::Ready(Ok(Read::Bytes(bytes.len())))
        })
    })
}
