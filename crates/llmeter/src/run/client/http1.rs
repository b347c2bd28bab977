//! HTTP/1.1 on a connection: a request on its way out, an answer on its way in.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::run::capture::Capture;
use crate::wire::http1::{HttpError, ResponseReader};
use crate::wire::{Connection, LANE};

/// A request on its way out.
pub(super) struct Writing<'a> {
    left: &'a [u8],
    is_flushed: bool,
    failure: Option<std::io::Error>,
}

impl<'a> Writing<'a> {
    pub(super) fn new(request: &'a [u8]) -> Self {
        Self {
            left: request,
            is_flushed: false,
            failure: None,
        }
    }

    /// Writes as much as the connection takes now.
    pub(super) fn poll(&mut self, connection: &mut Connection, context: &mut Context<'_>) {
        while !self.is_flushed && self.failure.is_none() {
            let connection = Pin::new(&mut *connection);
            let step = if self.left.is_empty() {
                connection
                    .poll_flush(context)
                    .map_ok(|()| self.is_flushed = true)
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

    pub(super) fn is_whole(&self) -> bool {
        self.is_flushed
    }

    pub(super) fn failure(&self) -> Option<String> {
        self.failure.as_ref().map(ToString::to_string)
    }
}

pub(super) enum ReadError {
    Io(std::io::Error),
    Http(HttpError),
}

/// Waits for bytes and takes them in. Gives whether there were any: none is the end.
pub(super) fn poll_read_on(
    connection: &mut Connection,
    reader: &mut ResponseReader,
    capture: &mut Capture,
    context: &mut Context<'_>,
) -> Poll<Result<bool, ReadError>> {
    LANE.with(|lane| {
        lane.with_scratch(|scratch| {
            let mut buffer = ReadBuf::new(scratch);
            ready!(Pin::new(&mut *connection).poll_read(context, &mut buffer))
                .map_err(ReadError::Io)?;
            let bytes = buffer.filled();
            if bytes.is_empty() {
                return Poll::Ready(Ok(false));
            }
            let arrival = connection.last_read();
            let had_head = reader.head().is_some();
            let used = reader
                .feed(bytes, &mut capture.body)
                .map_err(ReadError::Http);
            // What came before bytes that make no sense is kept.
            if !had_head && let Some(head) = reader.head() {
                capture.head(head.clone(), arrival);
            }
            capture.mark(arrival);
            if used? < bytes.len() {
                // Bytes that nobody asked for: the connection cannot be trusted any more.
                reader.forbid_reuse();
            }
            Poll::Ready(Ok(true))
        })
    })
}
