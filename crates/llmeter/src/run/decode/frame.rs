//! Handing frames and documents to their API, and reading what a failure in them says of the next request.

use crate::api::outlook;
use crate::endpoint::{FrameDecoder, ResponseBuilder};
use llmeter_wire::framing::{Frame, Tail};

/// Lets the API take a frame.
pub(super) fn take_frame(
    decoder: &mut dyn FrameDecoder,
    frame: Frame<'_>,
    builder: &mut ResponseBuilder,
) {
    let was_failed = builder.is_failed();
    decoder.frame(frame, builder);
    if !was_failed {
        foresee(builder, frame.event, frame.data);
    }
}

/// Lets the API take a response that is no stream.
pub(super) fn take_document(
    decoder: &mut dyn FrameDecoder,
    body: &[u8],
    builder: &mut ResponseBuilder,
) {
    let was_failed = builder.is_failed();
    decoder.non_streaming(body, builder);
    if !was_failed {
        foresee(builder, None, body);
    }
}

/// Keeps whether the next request may fare better, if this is a failure.
pub(super) fn foresee(builder: &mut ResponseBuilder, event: Option<&str>, data: &[u8]) {
    if let Some(failure) = &mut builder.error {
        failure.foresee(outlook(event, data));
    }
}

/// A last frame without its end mark.
pub(super) fn frame_of(tail: &Tail) -> Frame<'_> {
    Frame {
        event: tail.event.as_deref(),
        data: &tail.data,
        is_error: false,
    }
}

/// Whether the stream ended within a last frame: its JSON, or its end mark, goes on.
pub(super) fn is_cut(tail: &Tail) -> bool {
    let data = tail.data.trim_ascii();
    let is_json = data.starts_with(b"{") || data.starts_with(b"[");
    let read = || serde_json::from_slice::<serde::de::IgnoredAny>(data);
    let is_mark = data.len() < b"[DONE]".len() && b"[DONE]".starts_with(data);
    is_json && (is_mark || read().is_err_and(|reason| reason.is_eof()))
}
