//! JSON that stood between the events of a stream, or in the place of one: errors that a server or a gateway wrote there, and whole
//! responses.

use super::MAX_ERROR_BODY;
use super::frame::{foresee, take_document};
use crate::endpoint::{FrameDecoder, ResponseBuilder};
use llmeter_wire::clock::Stamp;
use llmeter_wire::framing::Outside;

/// Takes JSON: an error, or a whole response if the events had no content. Returns whether it was a
/// whole response. `is_broken`: the wire failed, so that only errors count.
pub(super) fn take_json(
    outside: &Outside,
    decoder: &mut dyn FrameDecoder,
    builder: &mut ResponseBuilder,
    at: Stamp,
    is_broken: bool,
) -> bool {
    let Some(json) = json_in(&outside.text) else {
        return false;
    };
    // Such an error is short, and to look for it in the beginning of something long takes long.
    if is_broken && json.len() > MAX_ERROR_BODY {
        return false;
    }
    if let Some(words) = decoder.error_message(json) {
        let was_failed = builder.is_failed();
        builder.server_error(decoder.throttle(json), words);
        if !was_failed {
            foresee(builder, None, json);
        }
        return false;
    }
    if is_broken || builder.content_frames() > 0 || builder.is_failed() {
        return false;
    }
    builder.begin_frame(at);
    take_document(decoder, json, builder);
    true
}

/// From the first line that begins like JSON.
fn json_in(text: &[u8]) -> Option<&[u8]> {
    let starts = std::iter::once(0).chain(memchr::memchr_iter(b'\n', text).map(|end| end + 1));
    let mut lines = starts.map(|start| text[start..].trim_ascii());
    lines.find(|rest| matches!(rest.first(), Some(b'{' | b'[')))
}
