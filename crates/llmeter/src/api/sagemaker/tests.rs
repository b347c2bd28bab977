use proptest::prelude::*;

use super::*;
use crate::endpoint::{AwsOptions, HttpApi};

fn decoder(streaming: bool) -> Box<dyn FrameDecoder> {
    let aws = AwsOptions::new()
        .region("us-east-1")
        .access_keys("A", "b", None);
    let builder = SageMaker::builder("e", "m").aws(aws).streaming(streaming);
    builder.build().unwrap().decoder()
}

fn decode(parts: &[&[u8]]) -> ResponseBuilder {
    let (mut decoder, mut response) = (decoder(true), ResponseBuilder::default());
    for data in parts {
        let frame = Frame {
            event: Some("PayloadPart"),
            data,
            is_error: false,
        };
        decoder.frame(frame, &mut response);
    }
    decoder.end(&mut response);
    response
}

#[test]
fn lines_may_be_split_over_parts() {
    let body = b"data:{\"token\":{\"text\":\"a\"}}\n\ndata:{\"token\":{\"text\":\" b\"},\
        \"generated_text\":\"a b\",\"details\":{\"generated_tokens\":7,\"finish_reason\":\"length\"}}\n\n";
    let bytewise: Vec<&[u8]> = body.chunks(1).collect();
    for parts in [vec![&body[..]], bytewise] {
        let response = decode(&parts);
        assert_eq!((&*response.text, response.usage.output), ("a b", Some(7)));
        assert_eq!(response.finish_reason.as_deref(), Some("length"));
        assert_eq!(response.error, None);
    }
    let uncounted = decode(&[
        b"data:{\"token\":{\"text\":\"a\"}}\n",
        b"{\"token\":{\"text\":\"b\"}}",
    ]);
    assert_eq!((&*uncounted.text, uncounted.usage.output), ("ab", Some(2)));
}

#[test]
fn a_chat_reasons_and_calls_tools() {
    let response = decode(&[
        b"data:{\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
        b"data:{\"choices\":[{\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
        b"data:{\"choices\":[{\"delta\":{\"content\":\"yes\"}}]}\n\n",
        b"data:{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0}]}}]}\n\ndata:[DONE]\n\n",
    ]);
    assert_eq!((&*response.reasoning, &*response.text), ("hm", "yes"));
    assert_eq!(response.content_frames(), 3);
    assert_eq!(response.usage.output, Some(3), "the opening is no token");
    assert_eq!(response.error, None);

    let mut whole = ResponseBuilder::default();
    let body = br#"{"choices": [{"message": {"content": null, "tool_calls": [{"id": "c"}]}}]}"#;
    decoder(false).non_streaming(body, &mut whole);
    assert_eq!((whole.error_text(), whole.content_frames()), (None, 1));
}

#[test]
fn lines_that_are_no_frames_are_quoted() {
    let token = b"data:{\"token\":{\"text\":\"a\"}}\n";
    let response = decode(&[b"event: x\n: ping\nCUDA out of ", b"memory\n"]);
    let error = response.error_text().unwrap();
    assert!(error.contains("CUDA out of memory"), "{error}");
    assert!(!error.contains("ping"), "{error}");
    let response = decode(&[token, b"CUDA out of memory\n", b"data:[DONE]\n"]);
    assert_eq!(response.error, None);
    assert_eq!(response.annotations["outside_events"], "CUDA out of memory");
    assert!(decode(&[token, b"data:[DONE]\n"]).annotations.is_empty());
}

#[test]
fn every_element_of_a_list_is_read() {
    let read = |body: &str| {
        let mut response = ResponseBuilder::default();
        response.begin_frame(llmeter_wire::clock::Stamp(1));
        decoder(true).non_streaming(body.as_bytes(), &mut response);
        response
    };
    let lines = r#"[{"token": {"text": "a"}}, {"token": {"text": "b"}}]"#;
    let response = read(lines);
    assert_eq!((&response.error, &*response.text), (&None, "ab"));
    assert_eq!(response.usage.output, Some(2));
    let failing = lines.replace("}}]", r#"}}, {"error": "too long"}]"#);
    let error = read(&failing).error.unwrap().to_string();
    assert_eq!(error, "SageMaker: too long");
}

#[test]
fn errors_are_the_containers_words() {
    let error = |parts: &[&[u8]]| decode(parts).error.unwrap().to_string();
    let body = b"data:{\"error\":\"too long\",\"error_type\":\"validation\"}\n\n";
    assert_eq!(error(&[body]), "SageMaker validation: too long");
    assert!(error(&[]).contains("without a single event"));
    assert!(error(&[b"\n"]).contains("without a token"));
    assert!(error(&[b"data:{oops\n"]).contains("not valid JSON"));
}

#[test]
fn a_whole_answer_may_be_a_list() {
    for body in [
        &b"[{\"generated_text\":\"a\",\"details\":{\"generated_tokens\":3}}]"[..],
        b"{\"generated_text\":\"a\",\"details\":{\"generated_tokens\":3}}",
    ] {
        let mut response = ResponseBuilder::default();
        decoder(false).non_streaming(body, &mut response);
        assert_eq!((&*response.text, response.usage.output), ("a", Some(3)));
        assert_eq!(response.error, None);
    }
    let mut response = ResponseBuilder::default();
    decoder(false).non_streaming(b"[]", &mut response);
    assert!(response.is_failed());
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..30), 0..4)) {
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        prop_assert!(decode(&parts).is_failed());
    }
}
