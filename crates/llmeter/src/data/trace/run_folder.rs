//! Runs of llmeter's own, repeated request by request at their own times.

use super::{Content, Recorded, RecordedRequest, RecordedSession};
use crate::base::error::{Error, Result};
use crate::result::RunResult;
use crate::storage::Location;

/// The requests of a run's folder.
pub(super) fn read(folder: &Location) -> Result<Recorded> {
    let run = RunResult::load(folder.clone())?;
    let mut recorded = Recorded {
        kind: "a run",
        block: 512,
        ..Recorded::default()
    };
    for (index, response) in run.responses.into_iter().enumerate() {
        let line = index as u64 + 1;
        let Some(sent) = response.request_time else {
            recorded.unusable.push((line, "it was not sent".to_owned()));
            continue;
        };
        let Some(payload) = response.input_payload else {
            recorded
                .unusable
                .push((line, "it has no payload".to_owned()));
            continue;
        };
        let output_tokens = response.detail.asked_tokens()[1];
        recorded.sessions.push(RecordedSession {
            arrival: sent.as_nanosecond() as f64 * 1e-9,
            requests: vec![RecordedRequest {
                pause: 0.0,
                input_tokens: response.detail.asked_input_tokens.into(),
                output_tokens,
                hash_ids: Box::default(),
                content: Some(Content::Body((*payload).clone())),
            }],
            parent: None,
        });
    }
    // Responses are in the order in which they ended, which says nothing of the trace.
    recorded
        .sessions
        .sort_by(|one, other| one.arrival.total_cmp(&other.arrival));
    match recorded.sessions.is_empty() {
        true => Err(Error::NotARun {
            path: folder.to_string(),
            reason: "it has no request to replay".to_owned(),
        }),
        false => Ok(recorded),
    }
}
