//! What stood between the frames of a stream and is none: nothing of it is dropped in silence.

use super::ResponseBuilder;
use crate::base::failure::{Failure, FailureKind};
use crate::base::server_text::excerpt;
use llmeter_wire::framing::Outside;

/// The annotation of a response that is whole and had garbage between its events.
pub(crate) const ANNOTATION: &str = "outside_events";

/// Whether a person can read it: of a damaged message nothing is quoted.
fn is_text(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    !text.contains(|c: char| {
        c == char::REPLACEMENT_CHARACTER || c.is_control() && !c.is_whitespace()
    })
}

/// Says what else there was: in the failure of a stream that has one, as the failure of one without
/// content, else in an annotation.
pub(crate) fn quote(outside: &Outside, builder: &mut ResponseBuilder) {
    let words = excerpt(&outside.text);
    let has_content = builder.content_frames() > 0;
    match &builder.error {
        Some(failure) => {
            let kind = failure.kind();
            let is_of_stream = matches!(
                kind,
                FailureKind::Truncated | FailureKind::Empty | FailureKind::Malformed
            );
            if is_of_stream && (outside.is_garbage || !has_content) && is_text(&outside.text) {
                let message = format!("{failure}; outside of its events it says: {words}");
                builder.error = Some(Failure::new(kind, message));
            }
        }
        // Fields that the standard does not know are to be ignored.
        None if !outside.is_garbage => {}
        None if has_content => builder.annotate(ANNOTATION, words),
        None => {
            let reason =
                format!("the stream has no content; outside of its events it says: {words}");
            builder.fail(FailureKind::Malformed, reason);
        }
    }
}
