use proptest::prelude::*;

use super::*;
use crate::endpoint::{AwsOptions, HttpApi};

fn decoder(streaming: bool) -> Box<dyn FrameDecoder> {
    let aws = AwsOptions::new().region("us-east-1").bearer_token("key1");
    let builder = BedrockInvoke::builder("m").aws(aws).streaming(streaming);
    builder.build().unwrap().decoder()
}

fn decode(chunks: &[Value]) -> ResponseBuilder {
    use base64::Engine as _;
    let (mut decoder, mut response) = (decoder(true), ResponseBuilder::default());
    for chunk in chunks {
        let bytes = base64::engine::general_purpose::STANDARD.encode(chunk.to_string());
        let data = json!({"bytes": bytes, "p": "ab"}).to_string();
        let frame = Frame {
            event: Some("chunk"),
            data: data.as_bytes(),
            is_error: false,
        };
        decoder.frame(frame, &mut response);
    }
    decoder.end(&mut response);
    response
}

#[test]
fn chunks_give_text_and_the_last_counts() {
    let response = decode(&[
        json!({"id": "c-1", "choices": [{"delta": {"reasoning_content": "hm"}}]}),
        json!({"choices": [{"delta": {"content": "a"}}]}),
        json!({"choices": [{"delta": {"content": "b"}, "finish_reason": "stop"}],
            "amazon-bedrock-invocationMetrics": {"inputTokenCount": 3, "outputTokenCount": 2}}),
    ]);
    assert_eq!((&*response.text, &*response.reasoning), ("ab", "hm"));
    assert_eq!(
        (response.usage.input, response.usage.output),
        (Some(3), Some(2))
    );
    assert_eq!(response.finish_reason.as_deref(), Some("stop"));
    assert_eq!(
        (response.id.as_deref(), response.error_text()),
        (Some("c-1"), None)
    );
}

#[test]
fn claudes_tools_and_hidden_thoughts_are_content() {
    let frames = |chunks: &[Value]| decode(chunks).content_frames();
    let end = json!({"type": "message_stop", "amazon-bedrock-invocationMetrics": {}});
    let tool = json!({"content_block": {"type": "tool_use", "name": "find", "input": {}}});
    let arguments = json!({"delta": {"type": "input_json_delta", "partial_json": "{}"}});
    assert_eq!(frames(&[tool, arguments, end.clone()]), 2);
    let hidden = json!({"content_block": {"type": "redacted_thinking", "data": "Xy"}});
    assert_eq!(frames(&[hidden, end.clone()]), 1);
    let signature = json!({"delta": {"type": "signature_delta", "signature": "Xy"}});
    assert_eq!(frames(&[signature.clone(), end.clone()]), 1);
    let thought = json!({"delta": {"type": "thinking_delta", "thinking": "hm"}});
    assert_eq!(frames(&[thought, signature, end]), 1);
}

#[test]
fn a_path_that_finds_nothing_is_named() {
    let error = decode(&[json!({"text": "a"})]).error.unwrap().to_string();
    assert!(error.contains("choices[0].delta.content"), "{error}");
    assert!(
        decode(&[])
            .error_text()
            .unwrap()
            .contains("without a single event")
    );
    let mut response = ResponseBuilder::default();
    decoder(false).non_streaming(b"{\"x\":1}", &mut response);
    assert!(
        response
            .error_text()
            .unwrap()
            .to_string()
            .contains("generated_text_jmespath")
    );
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(data in proptest::collection::vec(any::<u8>(), 0..60), is_error in any::<bool>()) {
        let (mut decoder, mut response) = (decoder(true), ResponseBuilder::default());
        decoder.frame(Frame { event: Some("chunk"), data: &data, is_error }, &mut response);
        decoder.non_streaming(&data, &mut response);
        decoder.end(&mut response);
        prop_assert!(response.is_failed());
    }
}
