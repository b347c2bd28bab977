//! A request by HTTP/2.

use std::future::poll_fn;
use std::task::{Poll, ready};

use super::turn::Turn;
use super::{Channel, Client, broken, no_response};
use crate::base::failure::Failure;
use crate::run::prepare::Prepared;
use crate::run::silence::TransportEnd;
use llmeter_wire::Phase;
use llmeter_wire::clock::{self, Stamp};
use llmeter_wire::http2::{Http2, Http2Error};

/// Why a response is not read to its end.
enum Stop {
    TooLarge(Failure),
    Http2(Http2Error),
}

impl Client {
    /// One exchange, as by HTTP/1.1: what a read brought is marked with its arrival.
    pub(super) async fn exchange_http2(
        &mut self,
        mut http2: Box<Http2>,
        prepared: &Prepared,
        intended: Stamp,
    ) -> Result<Stamp, Failure> {
        let mut exchange = match http2.send(&prepared.request) {
            Ok(exchange) => exchange,
            Err(Http2Error::Ended(reason)) => return Err(no_response(Some(reason))),
            Err(reason) => return Err(reason.into()),
        };
        let position = http2.last_read().position;
        self.capture
            .comes_by(http2.link(), http2.is_plain(), position);
        self.phase = Some(Phase::Head);
        let mut turn = Turn::default();
        while !exchange.is_done() {
            let read = poll_fn(|context| {
                ready!(self.capture.poll_room(context)).map_err(Stop::TooLarge)?;
                let had_head = exchange.head().is_some();
                let body = &mut self.capture.body;
                let step = http2.poll_exchange(&mut exchange, body, context);
                self.capture
                    .sending
                    .note(http2.first_write(), http2.first_position(), intended);
                if step.is_pending() && self.capture.is_over() {
                    return Poll::Ready(Ok(true));
                }
                if step.is_pending() {
                    turn.ends();
                }
                let step = ready!(step);
                // What came before a failure is kept.
                let arrival = http2.last_read();
                if !had_head && let Some(head) = exchange.head() {
                    self.capture.head(head.clone(), arrival);
                }
                self.capture.mark(arrival);
                Poll::Ready(step.map(|()| false).map_err(Stop::Http2))
            });
            match read.await {
                Ok(false) => turn.has_read().await,
                // Over by what the response says itself: the connection is not used again.
                Ok(true) => {
                    self.note_refusal(exchange.head());
                    return Ok(clock::now());
                }
                Err(Stop::TooLarge(failure)) => return Err(failure),
                Err(Stop::Http2(Http2Error::Ended(reason))) if exchange.head().is_none() => {
                    return Err(no_response(Some(reason)));
                }
                Err(Stop::Http2(reason)) => {
                    self.capture.transport_end = Some(match &reason {
                        Http2Error::Ended(_) => TransportEnd::Closed,
                        Http2Error::Reset(_) => TransportEnd::Reset,
                        Http2Error::Broken(_) => TransportEnd::Garbled,
                    });
                    return Err(match reason {
                        reason @ Http2Error::Ended(_) => broken(reason),
                        reason => reason.into(),
                    });
                }
            }
        }
        let end = http2.last_read().at;
        // After the end: no stamp waits for it.
        self.capture.network = http2.network().await;
        self.note_refusal(exchange.head());
        self.keep(Channel::Http2(http2));
        Ok(end)
    }
}
