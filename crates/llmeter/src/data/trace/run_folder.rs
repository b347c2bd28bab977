//! Runs of llmeter's own, repeated request by request at their own times.

use super::{Content, Recorded, RecordedRequest, RecordedSession};
use crate::InvocationResponse;
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
    // When requests were due, if they were so by the clock; the run may have sent them late.
    let due = |response: &InvocationResponse| response.schedule().due_time;
    let is_by_clock = run.responses.iter().all(|response| due(response).is_some());
    for (index, response) in run.responses.into_iter().enumerate() {
        let line = index as u64 + 1;
        let sent = response.request_time;
        let sent = sent.map(|sent| sent.as_nanosecond() as f64 * 1e-9);
        let arrival = match (is_by_clock, sent) {
            (true, _) => due(&response),
            // Those without a time by the clock came when those before them had ended.
            (false, Some(sent)) => {
                let late = response.detail.send_lateness;
                let late = late.filter(|_| due(&response).is_some());
                Some(sent - late.unwrap_or(0.0))
            }
            (false, None) => None,
        };
        let Some(arrival) = arrival else {
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
            arrival,
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
