//! Answers whose body is compressed.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use llmeter::OpenAiChat;

use super::{assert_cut, assert_failed, assert_streamed};
use crate::scripted::answers::*;
use crate::scripted::{Scripted, Step, one, run, write};

fn gzipped(text: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(text).unwrap();
    packer.finish().unwrap()
}

/// A whole answer with this body.
fn answer(status: &str, media_type: &str, coding: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Encoding: {coding}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

const EVENTS: &str = "text/event-stream";

#[test]
fn a_compressed_stream_is_read_however_it_comes() {
    let stream = whole_stream(&["one", " two", " three"]);
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::default());
    deflated.write_all(stream.as_bytes()).unwrap();
    for (coding, body) in [
        ("gzip", gzipped(stream.as_bytes())),
        ("deflate", deflated.finish().unwrap()),
    ] {
        let answer = answer("200 OK", EVENTS, coding, &body);
        assert_streamed(
            &one(vec![write(answer.clone())]),
            &["one", " two", " three"],
        );
        assert_streamed(
            &one(vec![Step::Trickle(answer)]),
            &["one", " two", " three"],
        );
    }
}

/// A frame's time is that of the read which brought the last of the bytes that it unpacks from.
#[test]
fn the_frames_of_a_compressed_stream_have_the_times_of_their_reads() {
    const PAUSE: Duration = Duration::from_millis(40);
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: gzip\r\n\
                Transfer-Encoding: chunked\r\n\r\n";
    let mut steps = vec![write(head)];
    for frame in [role() + &text("one"), text(" two"), text(" three")] {
        packer.write_all(frame.as_bytes()).unwrap();
        packer.flush().unwrap();
        steps.push(Step::Pause(PAUSE));
        steps.push(write(chunk_of(&std::mem::take(packer.get_mut()))));
    }
    packer
        .write_all((stop() + &usage(7, 3) + DONE).as_bytes())
        .unwrap();
    let rest = chunk_of(&packer.finish().unwrap());
    steps.push(write([&rest, LAST_CHUNK.as_bytes()].concat()));

    let server = Scripted::start(vec![steps]);
    let result = run(server.config());
    let response = &result.responses[0];
    assert_streamed(response, &["one", " two", " three"]);
    let writes = server.writes();
    let head = response.detail.time_to_headers.unwrap();
    // How well the clocks of the kernel and of the process are matched, in seconds.
    let tolerance = 0.001;
    let stamps = [
        (1, response.time_to_first_token.unwrap()),
        (3, response.time_to_last_token.unwrap()),
    ];
    for (number, stamp) in stamps {
        let least = writes[number].0.seconds_since(writes[0].1) - tolerance;
        let most = writes[number].1.seconds_since(writes[0].0) + tolerance;
        let after_head = stamp - head;
        if result.quality.as_ref().unwrap().kernel_stamped_rate == 1.0 {
            assert!(
                least <= after_head && after_head <= most,
                "{least} {after_head} {most}"
            );
        }
        assert!(after_head >= least, "{least} {after_head}");
    }
}

#[test]
fn a_compressed_answer_in_one_piece() {
    let body = gzipped(completion("plain words").as_bytes());
    let server = Scripted::start(vec![vec![write(answer(
        "200 OK",
        "application/json",
        "GZIP",
        &body,
    ))]]);
    let endpoint = OpenAiChat::builder(&server.base_url, "m").streaming(false);
    let responses = run(server.config_of(endpoint.build().unwrap())).responses;
    assert_eq!(responses[0].error, None);
    assert_eq!(responses[0].response_text.as_deref(), Some("plain words"));
}

#[test]
fn compressed_refusals_and_web_pages_are_quoted() {
    let refusal = gzipped(br#"{"error": {"message": "no such thing"}}"#);
    let json = "application/json";
    let response = one(vec![write(answer("404 X", json, "gzip", &refusal))]);
    assert_failed(&response, "HTTP 404 Not Found: no such thing");
    let page = gzipped(b"<title>Sign in</title>");
    let response = one(vec![write(answer("200 OK", "text/html", "gzip", &page))]);
    assert_failed(&response, "text/html");
    assert!(response.error.unwrap().to_string().contains("Sign in"));
}

/// The status is what matters, and what can be read of the body is quoted.
#[test]
fn a_refusal_whose_body_cannot_be_unpacked_keeps_its_status() {
    let page = "text/html";
    let refused = |body: &[u8]| one(vec![write(answer("502 X", page, "gzip", body))]);
    let response = refused(b"<h1>bad gateway</h1>");
    assert_failed(&response, "HTTP 502 Bad Gateway");
    assert_eq!(response.detail.status, Some(502));

    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(b"the model is gone").unwrap();
    packer.flush().unwrap();
    let cut = packer.get_ref().clone();
    let quoted = "HTTP 502 Bad Gateway: the model is gone";
    assert_failed(&refused(&cut), quoted);
    let garbled = [cut.as_slice(), &[0xff; 8]].concat();
    assert_failed(&refused(&garbled), quoted);
    // Byte by byte: what follows the failure is not taken for a part of the body.
    let trickled = answer("502 X", page, "gzip", &garbled);
    let response = one(vec![Step::Trickle(trickled)]);
    assert_eq!(response.error_text(), Some(quoted));
    let response = one(vec![write(answer("200 OK", page, "gzip", &cut))]);
    assert_failed(&response, "text/html");
    assert!(
        response
            .error
            .unwrap()
            .to_string()
            .ends_with("the model is gone")
    );
}

#[test]
fn what_cannot_be_unpacked_is_named() {
    let response = one(vec![write(answer("200 OK", EVENTS, "br", b"\x1f\x8b?"))]);
    assert_failed(&response, "encoded as br");
    let response = one(vec![write(answer("500 X", EVENTS, "zstd", b"\x1f\x8b?"))]);
    assert_failed(
        &response,
        "HTTP 500 Internal Server Error: the response is encoded as zstd",
    );
    let response = one(vec![write(answer(
        "200 OK",
        EVENTS,
        "gzip",
        b"data: x\n\n",
    ))]);
    assert_failed(&response, "not valid gzip");
    assert_eq!(response.detail.status, Some(200));
}

#[test]
fn a_compressed_stream_that_breaks_keeps_what_it_had() {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer
        .write_all((role() + &text("half")).as_bytes())
        .unwrap();
    packer.flush().unwrap();
    let half = packer.get_ref().clone();
    let response = one(vec![write(answer("200 OK", EVENTS, "gzip", &half))]);
    assert_cut(&response, "half", "gzip data is truncated");
    let garbled = [half.as_slice(), b"\xff\xff\xff\xff\xff\xff\xff\xff"].concat();
    let response = one(vec![write(answer("200 OK", EVENTS, "gzip", &garbled))]);
    assert_cut(&response, "half", "not valid gzip");
}

#[test]
fn a_bomb_is_a_failure_and_no_full_memory() {
    let bomb = gzipped(&vec![b' '; 16 << 20]);
    for media_type in [EVENTS, "application/json"] {
        let response = one(vec![write(answer("200 OK", media_type, "gzip", &bomb))]);
        assert_failed(&response, "exceeds the limit");
    }
}

#[test]
fn nothing_is_compressed_unless_the_user_asks() {
    let build = |value: &str| {
        OpenAiChat::builder("http://h/v1", "m")
            .header("accept-encoding", value)
            .build()
    };
    for value in ["gzip", "gzip;q=1.0, deflate", "identity", "*"] {
        assert!(build(value).is_ok(), "{value}");
    }
    for value in ["br", "gzip, zstd"] {
        let error = build(value).unwrap_err().to_string();
        assert!(
            error.contains("gzip, deflate") && error.contains(value),
            "{error}"
        );
    }
}
