//! What becomes of every way in which a server can answer, over real sockets.

mod ageing;
mod bodies;
mod codings;
mod connections;
mod failures;
mod retries;
mod server_times;
mod streams;
mod transport_ends;

use llmeter::InvocationResponse;

/// Asserts what a complete stream of these pieces gives.
#[track_caller]
fn assert_streamed(response: &InvocationResponse, pieces: &[&str]) {
    assert_eq!(response.error, None);
    assert_eq!(
        response.response_text.as_deref(),
        Some(pieces.concat().as_str())
    );
    assert_eq!(response.detail.content_frames, Some(pieces.len() as u32));
    assert_eq!(response.num_tokens_output, Some(pieces.len() as u64));
    assert_eq!(response.num_tokens_input, Some(7));
    assert_eq!(response.detail.finish_reason.as_deref(), Some("stop"));
    assert_eq!(response.detail.status, Some(200));
    assert_eq!(response.id.as_deref(), Some("chatcmpl-1"));
    assert_eq!(
        response.detail.inter_token_latencies.len(),
        pieces.len() - 1
    );
    assert_times(response);
}

/// Asserts that times are there and in order.
#[track_caller]
fn assert_times(response: &InvocationResponse) {
    let first = response.time_to_first_token.unwrap();
    let last = response.time_to_last_token.unwrap();
    assert!(0.0 < first && first <= last, "{first} {last}");
    let headers = response.detail.time_to_headers.unwrap();
    assert!(0.0 < headers && headers <= first, "{headers} {first}");
    assert!(response.request_time.is_some());
}

/// Asserts that a request failed with these words before any content came.
#[track_caller]
fn assert_failed(response: &InvocationResponse, words: &str) {
    let error = response.error_text().unwrap_or("(none)");
    assert!(error.contains(words), "{error:?} should say {words:?}");
    assert!(!error.contains('\n'), "one line: {error:?}");
    assert_eq!(response.response_text, None);
    assert_eq!(response.time_to_first_token, None);
    assert_eq!(response.time_to_last_token, None);
    assert_eq!(response.num_tokens_output, None);
    assert_eq!(response.time_per_output_token, None);
    assert!(response.request_time.is_some(), "it was sent");
    assert!(response.id.is_some());
}

/// Asserts that a stream failed with these words and kept what came before.
#[track_caller]
fn assert_cut(response: &InvocationResponse, text: &str, words: &str) {
    let error = response.error_text().unwrap_or("(none)");
    assert!(error.contains(words), "{error:?} should say {words:?}");
    assert_eq!(response.response_text.as_deref(), Some(text));
    assert_eq!(response.num_tokens_output, None);
    assert_times(response);
}
