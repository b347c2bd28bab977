//! AWS event streams, against Amazon's own reader of them.

use aws_smithy_eventstream::frame::{DecodedFrame, MessageFrameDecoder};
use llmeter::endpoint::Framing;

use crate::framing::frames;
use crate::{FAILED, Input};

const PRELUDE: usize = 12;
const SHORTEST: usize = PRELUDE + 4;

/// Tries the framing of AWS event streams. Checksums are put right first, unless the input says
/// otherwise: hardly any other input would get past them.
pub fn event_stream(bytes: &[u8]) {
    let Some(input) = Input::of(bytes) else {
        return;
    };
    let mut body = input.body.to_vec();
    if !input.is(FAILED) {
        put_right(&mut body);
    }
    let (ours, _) = frames(Framing::EventStream, &input, &body);
    let (mut decoder, mut rest) = (MessageFrameDecoder::new(), body.as_slice());
    let mut ours = ours.iter();
    while let Ok(DecodedFrame::Complete(message)) = decoder.decode_frame(&mut rest) {
        let Some(frame) = ours.next() else {
            panic!("a message that was not read: {message:?}");
        };
        let header = |name: &str| {
            let mut headers = message.headers().iter().rev();
            let header = headers.find(|header| header.name().as_str() == name)?;
            header.value().as_string().ok().map(|text| text.as_str())
        };
        let words = header(":error-message").map(str::as_bytes);
        let (event, data) = match header(":message-type") {
            Some("exception") => (header(":exception-type"), None),
            Some("error") => (header(":error-code"), words),
            _ => (header(":event-type"), None),
        };
        assert_eq!(frame.event.as_deref(), event);
        assert_eq!(frame.data, data.unwrap_or(&message.payload()[..]));
    }
}

/// Gives the messages that lie within `body` the checksums that they should have.
fn put_right(mut body: &mut [u8]) {
    while body.len() >= SHORTEST {
        let length = u32::from_be_bytes([body[0], body[1], body[2], body[3]]) as usize;
        let checksum = crc32fast::hash(&body[..8]);
        body[8..PRELUDE].copy_from_slice(&checksum.to_be_bytes());
        if length < SHORTEST || length > body.len() {
            return;
        }
        let (message, rest) = body.split_at_mut(length);
        let (content, place) = message.split_at_mut(length - 4);
        place.copy_from_slice(&crc32fast::hash(content).to_be_bytes());
        body = rest;
    }
}
