//! Streams that are complete, however their bytes come.

use std::time::Duration;

use llmeter::api::Delivery;
use serde_json::json;

use super::assert_streamed;
use crate::scripted::answers::*;
use crate::scripted::{Step, one, one_with, write};

const PIECES: [&str; 4] = ["one", " two", " thrée", " 四🦀"];

#[test]
fn an_event_a_write() {
    let mut steps = vec![write(STREAM_HEAD), write(chunk(&role()))];
    steps.extend(PIECES.map(|piece| write(chunk(&text(piece)))));
    steps.push(write(chunk(&(stop() + &usage(7, 4)))));
    steps.push(write(chunk(DONE)));
    steps.push(write(LAST_CHUNK));
    let response = one(steps);
    assert_streamed(&response, &PIECES);
    assert_eq!(response.retries, None);
    assert_eq!(response.detail.client, Some(0));
    assert!(response.detail.time_to_connect.is_some());
    assert_eq!(response.detail.time_to_tls, None);
    assert_eq!(
        response.detail.time_to_first_answer_token,
        response.time_to_first_token
    );
}

#[test]
fn everything_in_one_write() {
    // A machine that reads late may have made the burst itself, and does not judge it.
    let mut tries = (0..50).map(|_| one(vec![write(chunked(&whole_stream(&PIECES)))]));
    let response = tries.find(|response| response.detail.delivery.is_some());
    let response = response.expect("this machine is not always late");
    assert_streamed(&response, &PIECES);
    // All came with one read, so there is one time.
    assert_eq!(response.detail.inter_token_latencies, [0.0; 3]);
    assert_eq!(response.time_to_first_token, response.time_to_last_token);
    assert_eq!(response.detail.delivery, Some(Delivery::Buffered));
    assert_eq!(response.time_per_output_token, None);
}

#[test]
fn a_byte_a_write_headers_and_split_characters_included() {
    let response = one(vec![Step::Trickle(chunked(&whole_stream(&PIECES)))]);
    assert_streamed(&response, &PIECES);
}

#[test]
fn a_character_is_split_over_reads() {
    let body = whole_stream(&["crab 🦀!"]);
    let cut = body.find('🦀').unwrap() + 2;
    let (left, right) = body.as_bytes().split_at(cut);
    let response = one(vec![
        write(STREAM_HEAD),
        write(chunk_of(left)),
        Step::Pause(Duration::from_millis(20)),
        write(chunk_of(right)),
        write(LAST_CHUNK),
    ]);
    assert_streamed(&response, &["crab 🦀!"]);
}

#[test]
fn carriage_returns_comments_and_missing_spaces() {
    let plain = whole_stream(&PIECES);
    for body in [
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
        plain.replace("data: ", "data:"),
        format!(
            ": hello\n\n{}",
            plain.replace("\n\n", "\n\n: keep-alive\n\n")
        ),
        plain.replace("data: ", "retry: 3\nid: 4\nunknown: 5\ndata: "),
        format!("\u{feff}{plain}"),
        plain.replace("data: {", "event: message\ndata: {"),
    ] {
        assert_streamed(&one(vec![write(chunked(&body))]), &PIECES);
    }
}

#[test]
fn the_last_event_lacks_its_blank_line() {
    let body = role() + &text("all") + &usage(7, 1) + stop().trim_end();
    assert_streamed(&one(vec![write(chunked(&body))]), &["all"]);
    // Not even the line has an end, and the length says so.
    let body = whole_stream(&PIECES);
    let response = one(vec![write(sized(
        "200 OK",
        "text/event-stream",
        body.trim_end(),
    ))]);
    assert_streamed(&response, &PIECES);
}

#[test]
fn a_finish_reason_without_done_is_complete() {
    let body = role() + &text("all") + &usage(7, 1) + &stop();
    assert_streamed(&one(vec![write(chunked(&body))]), &["all"]);
}

#[test]
fn done_without_a_finish_reason_is_complete() {
    let response = one(vec![write(chunked(&(text("a b") + DONE)))]);
    assert_eq!(response.error, None);
    assert_eq!(response.detail.finish_reason, None);
    assert_eq!(response.num_tokens_output, Some(2), "estimated");
    assert_eq!(response.num_tokens_input, Some(3), "estimated");
}

#[test]
fn whatever_the_content_type_is_called() {
    let body = whole_stream(&PIECES);
    for content_type in ["text/plain", "Text/Event-Stream; charset=utf-8", ""] {
        let response = one(vec![write(sized("200 OK", content_type, &body))]);
        assert_streamed(&response, &PIECES);
    }
    let bare = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_streamed(&one(vec![write(bare)]), &PIECES);
}

#[test]
fn however_the_length_of_the_body_is_told() {
    let body = whole_stream(&PIECES);
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nX: y\r\n\r\nHTTP/1.1 200 OK\n\n",
    ] {
        let response = one(vec![write(format!("{head}{body}")), Step::Close]);
        assert_streamed(&response, &PIECES);
    }
}

#[test]
fn a_huge_frame() {
    let ask = |words: usize| {
        let piece = "word ".repeat(words);
        let response = one(vec![write(chunked(&whole_stream(&[&piece])))]);
        (response, piece)
    };
    let (response, piece) = ask(400_000);
    assert_streamed(&response, &[&piece]);
    // More text than is kept.
    let (response, piece) = ask(1_600_000);
    assert_eq!(response.error, None);
    let kept = response.response_text.unwrap().len();
    assert_eq!(kept, 2 << 20);
    assert_eq!(response.detail.text_dropped as usize, piece.len() - kept);
}

#[test]
fn a_role_frame_is_no_token() {
    let response = one(vec![
        write(unfinished(&role())),
        Step::Pause(Duration::from_millis(50)),
        write(chunk(&(text("a") + &stop() + DONE))),
        write(LAST_CHUNK),
    ]);
    assert_eq!(response.error, None);
    assert_eq!(response.detail.content_frames, Some(1));
    // The server paused between head and token.
    let first = response.time_to_first_token.unwrap();
    assert!(first >= response.detail.time_to_headers.unwrap() + 0.04);
}

#[test]
fn what_follows_the_last_token_does_not_extend_its_time() {
    let response = one(vec![
        write(unfinished(&(role() + &text("a")))),
        Step::Pause(Duration::from_millis(50)),
        write(chunk(&stop())),
        write(chunk(&usage(7, 1))),
        Step::Pause(Duration::from_millis(50)),
        write(chunk(DONE)),
        write(LAST_CHUNK),
    ]);
    assert_streamed(&response, &["a"]);
    assert_eq!(response.time_to_last_token, response.time_to_first_token);
}

#[test]
fn reasoning_comes_before_the_answer() {
    for key in ["reasoning_content", "reasoning"] {
        let response = one(vec![
            write(unfinished(&role())),
            write(chunk(&event(&object(json!({key: "let me"}), None)))),
            write(chunk(&event(&object(json!({key: " think"}), None)))),
            Step::Pause(Duration::from_millis(50)),
            write(chunk(&text("Yes."))),
            write(chunk(&(stop() + DONE))),
            write(LAST_CHUNK),
        ]);
        assert_eq!(response.error, None);
        assert_eq!(response.response_text.as_deref(), Some("Yes."));
        assert_eq!(
            response.detail.reasoning_text.as_deref(),
            Some("let me think")
        );
        assert_eq!(response.detail.content_frames, Some(3));
        let first = response.time_to_first_token.unwrap();
        let answer = response.detail.time_to_first_answer_token.unwrap();
        assert!(answer >= first + 0.04, "{first} {answer}");
        assert_eq!(response.time_to_last_token, Some(answer));
        assert_eq!(
            response.num_tokens_output,
            Some(4),
            "estimated, reasoning too"
        );
    }
}

#[test]
fn tool_calls_are_content() {
    let call = |function| {
        let delta = json!({"tool_calls": [{"index": 0, "function": function}]});
        event(&object(delta, None))
    };
    let body = call(json!({"name": "look", "arguments": ""}))
        + &call(json!({"arguments": "{\"a\":"}))
        + &call(json!({"arguments": "1}"}))
        + &event(&object(json!({}), Some("tool_calls")))
        + DONE;
    let response = one(vec![write(chunked(&body))]);
    assert_eq!(response.error, None);
    assert_eq!(response.detail.content_frames, Some(3));
    assert_eq!(response.detail.finish_reason.as_deref(), Some("tool_calls"));
    assert_eq!(
        response.detail.time_to_first_answer_token,
        response.time_to_first_token
    );
    assert!(response.time_to_first_token.is_some());
}

#[test]
fn stamps_of_the_user_give_the_same_answer() {
    let response = one_with(vec![write(chunked(&whole_stream(&PIECES)))], |config| {
        config.stamps = llmeter::StampSource::User;
    });
    assert_streamed(&response, &PIECES);
}

#[test]
fn a_stream_that_ends_cleanly_within_its_last_event_is_truncated() {
    for tail in [
        "data: {\"id\":\"c1\",\"choi",
        "data: {\"id\":\"c\u{e4}",
        "data: [DO",
    ] {
        let response = one(vec![write(chunked(&(role() + &text("a") + tail)))]);
        let failure = response.error.as_ref().unwrap();
        assert_eq!(
            failure.kind(),
            llmeter::FailureKind::Truncated,
            "{tail}: {failure}"
        );
        // What has ended needs no end mark.
        let response = one(vec![write(chunked(
            &(role() + &text("a") + &stop() + tail),
        ))]);
        assert_eq!(response.error, None, "{tail}");
    }
    let whole = role() + &text("a") + "data: {\"id\": nothing}";
    let failure = one(vec![write(chunked(&whole))]).error.unwrap();
    assert_eq!(failure.kind(), llmeter::FailureKind::Malformed, "{failure}");
}
