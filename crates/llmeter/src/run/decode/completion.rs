//! Whether a response is complete: its API says so, not its connection.

use super::frame::{frame_of, take_frame};
use super::{Assembly, Body};
use crate::api::StreamEnd;
use crate::run::silence::Completeness;

impl Assembly {
    /// How far the response is by what its API says.
    pub(super) fn completeness(&self) -> Completeness {
        let is_over = self.builder.is_failed()
            || match &self.body {
                Body::Whole(body) | Body::Error(body) => is_json(body),
                Body::Foreign(body) => body.trim_ascii_end().ends_with(b"</html>"),
                Body::Events(events) => events.broken.is_some(),
                Body::Undecided(_) | Body::Unknown => false,
            };
        match self.builder.stream_end() {
            _ if is_over => Completeness::Ended,
            StreamEnd::Open => Completeness::Open,
            // Usage comes last.
            StreamEnd::Finished if self.builder.usage.output.is_some() => Completeness::Ended,
            StreamEnd::Finished => Completeness::Finished,
            StreamEnd::Ended => Completeness::Ended,
        }
    }

    /// Whether what came is a whole answer, and no refusal. Takes in a last frame without end mark.
    pub(super) fn is_complete_answer(&mut self) -> bool {
        if let (Body::Events(events), Some(decoder)) = (&mut self.body, &mut self.decoder)
            && !self.builder.is_failed()
            && let Ok(Some(tail)) = events.framer.finish()
            && (tail.data == b"[DONE]" || is_json(&tail.data))
        {
            self.builder.begin_frame(self.last.at);
            take_frame(&mut **decoder, frame_of(&tail), &mut self.builder);
        }
        !self.builder.is_failed()
            && match &self.body {
                Body::Whole(body) => is_json(body),
                Body::Events(_) => self.builder.stream_end() != StreamEnd::Open,
                Body::Unknown | Body::Undecided(_) | Body::Error(_) | Body::Foreign(_) => false,
            }
    }
}

/// What says that a body is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyEnd {
    /// The connection, as its protocol has it.
    OfTransport,
    /// The response itself: the connection did not, and what is left of its frames is nothing.
    OfResponse,
    /// Nothing: the wire failed, so that the decoder must not complain of an early end.
    Missing,
}

/// Whether this is one whole JSON document that cannot go on.
fn is_json(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii();
    let is_closed = bytes.last().is_some_and(|last| matches!(last, b'}' | b']'));
    is_closed && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_that_may_go_on_is_not_whole() {
        for whole in [&b" {\"a\": [1]}\r\n"[..], b"[]"] {
            assert!(is_json(whole));
        }
        for open in [&b"{\"a\": [1]"[..], b"", b"12", b"null", b"{} {}"] {
            assert!(!is_json(open));
        }
    }
}
